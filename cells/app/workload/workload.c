/* The workload that can be checked (thesis §9.2): tasks that talk, draw, write files, spawn and allocate in rounds, each
 * of which ends in a checksum that is known in advance. It is what fault campaigns are judged by.
 *
 * Every task is restartable. A round that a fault disturbs is repeated; a round that ends with a wrong checksum is
 * counted as bad. Options, as arguments or on the command line: rounds=N ends after N rounds with a line on the log;
 * exit=1 then ends the machine through the debug port, with 0x10 when all rounds were right and 0x11 when not. */
#include "cells/app/workload/board.h"
#include "cells/app/workload/expected.h"
#include "cells/app/workload/parts.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/boot/boot.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/log/log.h"
#include "cells/kernel/panic/panic.h"
#include "cells/kernel/scheduler/scheduler.h"
#include "cells/kernel/task/task.h"
#include "cells/lib/format/format.h"
#include "cells/lib/string/string.h"
#include "guest/abi/layout.h"

CELL("workload", APPLICATION, 1);

#define ATTEMPT_MIN_NS 1000000000ull
#define ATTEMPT_MAX_NS 10000000000ull
#define ATTEMPT_ROUNDS 10 /* as many times as long as the slowest round so far: then an attempt has failed */

/* Attempts that come to nothing in a row, before the workload takes it for a fault of its own. */
#define FUTILE_MAX     40
#define FUTILE_ERROR   1
#define FUTILE_TIMEOUT 20
#define PAUSE_NS       5000000ull
#define CONDUCTOR      "conductor"

static void judge(struct board *board, const struct job *job, const uint64_t value[PARTS], uint64_t ns)
{
    uint64_t checksum = pattern_round(job->index, value), right = expected[job->index % PATTERN_CYCLE];
    bool is_right = checksum == right;
    uint64_t round = board_settle(board, is_right, ns);
    char text[64];

    arena_count(COUNTER_rounds, 1);
    arena_count(is_right ? COUNTER_checksums_ok : COUNTER_checksums_bad, 1);
    format_print(text, sizeof text, "round %lu %s %016lx", round, is_right ? "ok" : "bad", checksum);
    arena_event(EVENT_ROUND, round, checksum, text);
    if (!is_right)
        log_warn("workload: round %lu: checksum %016lx, right is %016lx", round, checksum, right);
}

static uint64_t patience_ns(const struct board *board)
{
    uint64_t ns = board->slowest_ns ? board->slowest_ns * ATTEMPT_ROUNDS : ATTEMPT_MAX_NS;

    return ns < ATTEMPT_MIN_NS ? ATTEMPT_MIN_NS : ns > ATTEMPT_MAX_NS ? ATTEMPT_MAX_NS : ns;
}

/* Fills the places that nobody has: all of them at the start, later those whose task ended before its time. */
static enum err fill(struct board *board)
{
    enum err e = ERR_OK;

    for (unsigned i = 0; e == ERR_OK && i < PARTS; i++) {
        if (board->place[i].taken)
            continue;
        e = part_spawn(board, (enum part)i);
        board->place[i].taken = e == ERR_OK;
    }
    return e;
}

static void conduct(struct board *board)
{
    uint64_t began = cpu_ns(), value[PARTS];
    struct job job;

    enum err e = fill(board);
    board_start(board, &job);
    if (e == ERR_OK)
        e = board_gather(board, &job, patience_ns(board), value);
    if (e == ERR_OK) {
        judge(board, &job, value, cpu_ns() - began);
        return;
    }
    if (board_repeat(board, e == ERR_TIMEOUT ? FUTILE_TIMEOUT : FUTILE_ERROR) >= FUTILE_MAX)
        panic("the workload gets nowhere");
    scheduler_sleep_ns(PAUSE_NS);
}

static void conductor_entry(uint64_t argument)
{
    struct board *board = (struct board *)argument;

    while (board_wants_more(board))
        conduct(board);
}

/* Also when recovery has given it up: nobody else would tell the parts that the work is over. */
static void conductor_ended(uint64_t argument)
{
    board_stop((struct board *)argument);
    board_leave((struct board *)argument);
}

static bool is_alive(uint32_t state)
{
    return state != TASK_FREE && state != TASK_EXITED && state != TASK_FAILED;
}

/* The board of a workload that task `owner` began before recovery made it anew, found through its conductor. */
static struct board *board_of(uint32_t owner)
{
    for (uint32_t i = 1; i < arena_header()->table[ARENA_TASKS].used; i++) {
        const struct arena_task *task = arena_task(i);
        if (is_alive(task->state) && string_equal(task->name, CONDUCTOR) &&
            ((struct board *)task->argument)->owner == owner)
            return (struct board *)task->argument;
    }
    return NULL;
}

/* The conductor first, so that a workload under way can be found. The board is no variable's own: it belongs to the
 * workload, which goes on when this task fails. */
static enum err begin(uint64_t rounds, struct board **ret_board)
{
    struct board *board = board_new(task_this()->id, rounds);

    if (!board)
        return ERR_NOMEM;
    enum err e = crew_spawn(board, CONDUCTOR, conductor_entry, (uint64_t)board, conductor_ended);
    if (e != ERR_OK) {
        board_put(board);
        return e;
    }
    *ret_board = board;
    return ERR_OK;
}

static void report(const struct tally *tally)
{
    log_info("workload: %lu rounds, %lu ok, %lu bad", tally->rounds, tally->ok, tally->bad);
    if (tally->repeated)
        log_info("workload: %lu attempts repeated", tally->repeated);
}

/* The number behind `key=` among the arguments, else on the command line, else 0. */
static uint64_t number_option(const char *key, int argc, char **argv)
{
    char text[24] = "";
    uint64_t number = 0;

    for (int i = 1; i < argc; i++)
        if (string_starts(argv[i], key) && argv[i][string_length(key)] == '=')
            string_copy(text, argv[i] + string_length(key) + 1, sizeof text);
    if (!*text && !boot_option(key, text, sizeof text))
        return 0;
    for (const char *c = text; *c >= '0' && *c <= '9'; c++)
        number = number * 10 + (uint64_t)(*c - '0');
    return number;
}

static int workload_main(int argc, char **argv)
{
    struct board *board = board_of(task_this()->id);
    enum err e = board ? ERR_OK : begin(number_option("rounds", argc, argv), &board);

    if (e != ERR_OK) {
        log_warn("workload: can't start: %s", err_text(e));
        return 1;
    }
    board_wait_done(board);
    struct tally tally = board->tally;
    board_put(board);
    report(&tally);
    if (number_option("exit", argc, argv))
        cpu_out8(LAYOUT_DEBUG_EXIT_PORT, tally.bad ? 0x11 : 0x10);
    return tally.bad ? 1 : 0;
}
MAIN(workload_main);
