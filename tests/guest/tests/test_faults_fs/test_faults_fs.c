/* memory_fs under faults in its text and in that of the cells below it: an operation of a client is struck at one of
 * the instructions that it executes; the client is restarted until the operation is done; then all files are compared
 * with what they should be. Each experiment follows from its number and the seed, and from those before it on the
 * machine. One that loses something ends the machine, but for the first `losses`, after which it begins with no files
 * again. Options on the command line:
 *   first=N count=N   these experiments;  seed=N;  cell=NAME   only instructions of this cell;
 *   losses=N */
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/loader/loader.h"
#include "cells/host/log/log.h"
#include "cells/lib/string/string.h"
#include "cells/recover/fault/fault.h"
#include "cells/recover/mend/mend.h"
#include "cells/recover/mend_second/mend_second.h"
#include "cells/task/park/park.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "tests/guest/fixtures/testing/testing.h"
#include "tests/guest/tests/test_faults_fs/files.h"
#include "tests/guest/tests/test_faults_fs/strike.h"
#include "guest/abi/layout.h"

CELL("test_faults_fs", KERNEL, 1);
FOUNDATION(); /* keeps its data, what the files should be, when it is reloaded because a client fails again and again */

#define TRACES     100         /* operations that are traced */
#define TRIES      6           /* of one operation, that is refused */
#define PATIENCE   3000000000u /* ns for an operation and its recovery */
#define PAUSE_NS   200000
#define HITS_EVERY 4 /* one of so many strikes waits for a later time than the first */
#define HITS_MAX   8

static struct {
    struct job job;
    struct strike strike;
    unsigned begins, refused;
    enum err error;
    bool partial, wrong; /* a file was neither as before nor as afterwards; something was read that is not so */
    uint32_t done;
    /* the oracle */
    enum files_state state;
    unsigned file;
    uint32_t compared;
} now;

static bool await(const uint32_t *word)
{
    uint64_t since = cpu_ns();

    while (!__atomic_load_n(word, __ATOMIC_ACQUIRE) && cpu_ns() - since < PATIENCE)
        scheduler_sleep_ns(PAUSE_NS);
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

/* The client. Restarted, it begins again. */
static void client(uint64_t)
{
    if (now.begins++ && !files_is_before_or_after(&now.job))
        now.partial = true;
    while ((now.error = files_do(&now.job, &now.wrong)) && ++now.refused < TRIES)
        ;
    __atomic_store_n(&now.done, 1, __ATOMIC_RELEASE);
}

static void oracle(uint64_t)
{
    now.state = files_compare(&now.file);
    __atomic_store_n(&now.compared, 1, __ATOMIC_RELEASE);
}

/* Runs a restartable task, and waits until it ends. False: it has not ended in time. */
static bool run(const char *name, void (*entry)(uint64_t), const uint32_t *done)
{
    struct task *task = task_spawn(name, entry, 0, &(struct task_options){.restartable = true, .pinned = 1});

    if (!task || !await(done)) {
        task_put(task);
        return false;
    }
    return task_join(MOVE(task), NULL) == JOIN_ENDED;
}

static bool is_closed(uint64_t since)
{
    for (uint64_t seq = since + 1; seq <= arena_header()->fault_seq; seq++)
        if (fault_record(seq) && fault_record(seq)->outcome != FAULT_OUTCOME_RECOVERED)
            return false;
    return true;
}

/* What the scrubber would do within a tenth of a second: what is damaged and was not noticed is put right. Returns how
 * many cells were. */
static unsigned mend_all_cells(void)
{
    GUARD(loader) locked = loader_hold();
    unsigned mended = mend_second_first();

    for_each_cell (cell) {
        if (arena_cell(cell)->state != CELL_LIVE || !mend_find_damage(cell).index)
            continue;
        GUARD(park) parked = park_all();
        mended += mend_cell(cell) != 0;
    }
    return mended;
}

static unsigned count_faults(uint64_t since, const char **ret_action)
{
    static const char *const names[] = {[FAULT_ACTION_UNWIND] = "unwind",
                                        [FAULT_ACTION_RESTART] = "restart",
                                        [FAULT_ACTION_MEND] = "mend",
                                        [FAULT_ACTION_RELOAD] = "reload"};
    unsigned faults = 0;
    uint32_t action = 0;

    for (uint64_t seq = since + 1; seq <= arena_header()->fault_seq; seq++) {
        const struct arena_fault *f = fault_record(seq);
        faults += !f || f->kind != FAULT_DAMAGE;
        if (f && f->kind != FAULT_DAMAGE && f->action > action)
            action = f->action;
    }
    *ret_action = action && action < array_size(names) && names[action] ? names[action] : "none";
    return faults;
}

static const char *end_of(bool done, bool closed, bool compared)
{
    if (!done)
        return "HUNG";
    if (now.error)
        return "REFUSED";
    if (now.wrong)
        return "DELIVERED";
    if (now.partial)
        return "PARTIAL";
    if (!compared)
        return "UNREADABLE";
    if (now.state != FILES_RIGHT)
        return files_state_names[now.state];
    return closed ? "right" : "OPEN";
}

static void print_faults(uint64_t since)
{
    for (uint64_t seq = since + 1; seq <= arena_header()->fault_seq; seq++) {
        const struct arena_fault *f = fault_record(seq);
        if (f)
            log_info("FAULT %lu: %s, %s:%s+%u, address %lx, blamed on %s, kind %u, outcome %u: %s", seq, f->task_name,
                     f->cell_name, f->symbol, f->offset, f->address, f->blamed, f->kind, f->outcome, f->message);
    }
}

/* One experiment. False: something is lost. */
static bool strike_once(uint64_t seed, unsigned number)
{
    uint64_t state = seed + number * 0x632be59bd9b4e019ull, since = arena_header()->fault_seq;
    const char *action;

    memset(&now, 0, sizeof now);
    now.job = files_draw_job(&state);
    now.strike = (struct strike){.kind = now.job.operation, .model = files_draw(&state) % STRIKE_MODELS, .left = 1};
    now.strike.bits = files_draw(&state);
    if (files_draw(&state) % HITS_EVERY == 0)
        now.strike.left += files_draw(&state) % HITS_MAX;
    if (strike_prepare(&now.strike, files_draw(&state))) {
        log_warn("no place for %u %s %s: %u", number, operation_names[now.job.operation], now.strike.section,
                 strike_places(now.strike.kind));
        return false;
    }
    (void)mend_all_cells();
    log_info("EXPERIMENT %u %s %s %s %s+%u.%lu", number, operation_names[now.job.operation],
             strike_names[now.strike.model], now.strike.cell, now.strike.section, now.strike.offset,
             now.strike.bits % (8 * now.strike.bytes));
    files_expect(&now.job);
    bool done = run("client", client, &now.done);
    bool closed = done && testing_await(is_closed(since));
    unsigned mended = done ? mend_all_cells() : 0;
    bool compared = done && run("oracle", oracle, &now.compared);
    unsigned faults = count_faults(since, &action);
    const char *end = end_of(done, closed, compared);
    log_info("END %u %s: activated %u, faults %u, begun %u, refused %u, mended %u, %s, file %u, %s", number, end,
             now.strike.done, faults, now.begins, now.refused, mended, action, now.file, err_text(now.error));
    if (string_equal(end, "right"))
        return true;
    print_faults(since);
    return false;
}

/* Traces operations without a strike, until the first ones of each kind are known. */
static void trace_all(const struct testing *test, uint64_t seed)
{
    for (unsigned i = 0; i < TRACES; i++) {
        memset(&now, 0, sizeof now);
        now.job = files_draw_job(&seed);
        files_expect(&now.job);
        strike_trace(true, now.job.operation);
        client(0);
        strike_trace(false, 0);
        testing_need(test, !now.error && !now.wrong);
    }
    testing_need(test, files_compare(&now.file) == FILES_RIGHT);
    log_info("PLACES %u", strike_places(UINT32_MAX));
}

static int test_faults_fs_main(int, char **)
{
    struct testing test = testing_begin("test_faults_fs");
    unsigned first = testing_times("first", 0), count = testing_times("count", 100), seed = testing_times("seed", 1),
             losses = testing_times("losses", 0);

    testing_need(&test, strike_init() == ERR_OK && files_begin() == ERR_OK);
    trace_all(&test, seed);
    for (unsigned i = first, left = losses; i < first + count; i++)
        if (!strike_once(seed, i)) {
            testing_need(&test, left-- && files_reset() == ERR_OK);
            log_info("LOST %u", i);
        }
    testing_ok(&test, losses ? "few experiments lose anything" : "no file is lost, no content wrong");
    log_info("TEST test_faults_fs: done");
    cpu_out8(LAYOUT_DEBUG_EXIT_PORT, 0x10);
    return 0;
}
MAIN(test_faults_fs_main);
