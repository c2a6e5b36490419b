/* See recovery.h. A fault's record is open until its remedy has been applied; then it is closed, once. */
#include "cells/recover/recovery/recovery.h"
#include "cells/recover/recovery/audit.h"
#include "cells/recover/recovery/blame.h"
#include "cells/recover/recovery/imports.h"
#include "cells/recover/recovery/lines.h"
#include "cells/recover/recovery/overdue.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/loader/loader.h"
#include "cells/evolve/namespace/namespace.h"
#include "cells/evolve/reap/reap.h"
#include "cells/evolve/swap/swap.h"
#include "cells/host/log/log.h"
#include "cells/lib/string/string.h"
#include "cells/recover/fault/fault.h"
#include "cells/recover/kill/kill.h"
#include "cells/recover/mend/mend.h"
#include "cells/recover/mend_second/mend_second.h"
#include "cells/recover/unwind/unwind.h"
#include "cells/task/park/park.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "guest/abi/note.h"

CELL("recovery", KERNEL, 1);
FOUNDATION();

#define WINDOW_NS      60000000000 /* faults of one cell within this time count together */
#define TRIES_MAX      16          /* of one task, blamed on one cell, in the window: then it is given up */
#define TRIES_UNBLAMED 64          /* the same, of faults that are blamed on no cell */
#define TRIES_CALLER   2           /* after so many that are blamed on the foundation, what called it is to blame */
#define TRIES_AT_ONCE  4           /* after so many, a restart waits for 1 ms, and twice as long each time after that */
#define DOUBLINGS_MAX  6           /* of that time */
#define TRIES_IMPORTS  4           /* after so many, and after each so many more, what the cell imports is reloaded */
#define NESTED_FAULTS  8           /* open ones of a task, that may be one failure: it cannot be unwound with more */
#define LOGGED_FAULTS  (ARENA_FAULTS_MAX - 1)
#define REPAIRS        16
#define SETTLE_NS      20000000   /* after a fault, in which what has been restarted runs: lines and old cells wait */
#define POSTPONED_MAX  4          /* times in a row */
#define FORGOTTEN_NS   1000000000 /* an open fault is so old, and its task goes on: it was restarted for another one */
#define RECENT_FAULTS  64         /* that are searched for open ones without a failed task */

enum remedy { REMEDY_NONE, REMEDY_RELOAD, REMEDY_RELOAD_FRESH, REMEDY_RELOAD_IMPORTS, REMEDY_GIVE_UP };

/* ---- remedies ---- */

/* Whether the record still is that of the cell that was there at the time of the fault. */
static bool is_same_cell(struct cell_ref cell, const struct arena_fault *fault)
{
    return arena_cell(cell)->state == CELL_LIVE && arena_cell(cell)->loaded_ns <= fault->time_ns;
}

/* The cell that the fault is blamed on. None: there is none, or it has been replaced since. */
static struct cell_ref blamed_cell(const struct arena_fault *fault)
{
    struct cell_ref cell = fault_blamed(fault->seq);

    return cell.index && is_same_cell(cell, fault) ? cell : NO_CELL;
}

/* Counts earlier faults within the window that were blamed on the same name and namespace. same_task: only of the same
 * task. Else of any task. The newest open ones of this task do not count: they may be of its unwinding, which is one
 * failure. */
static unsigned recurrences(const struct arena_fault *fault, bool same_task)
{
    unsigned count = 0, open = 0;

    for (uint64_t seq = fault->seq - 1; seq > 0 && fault->seq - seq < LOGGED_FAULTS; seq--) {
        const struct arena_fault *earlier = fault_record(seq);
        if (!earlier || fault->time_ns - earlier->time_ns > WINDOW_NS)
            break;
        bool same = earlier->task_id == fault->task_id;
        bool nested = same && earlier->outcome == FAULT_OUTCOME_OPEN && open++ < NESTED_FAULTS;
        if ((same_task && !same) || nested || earlier->kind == FAULT_DAMAGE)
            continue;
        count += string_equal(earlier->blamed, fault->blamed) &&
                 string_equal(earlier->blamed_namespace, fault->blamed_namespace);
    }
    return count;
}

/* The cell that a remedy is for. After so many faults the foundation is intact and has been reloaded: it fails because
 * of what the cell that has called it gives it. */
static struct cell_ref suspect(const struct arena_fault *fault)
{
    struct cell_ref blamed = blamed_cell(fault), cells[FAULT_CELLS];

    if (!blamed.index || !mend_is_needed(blamed) || recurrences(fault, true) < TRIES_CALLER)
        return blamed;
    unsigned count = fault_cells(fault->seq, cells);
    for (unsigned i = 0; i < count; i++)
        if (!mend_is_needed(cells[i]) && is_same_cell(cells[i], fault))
            return cells[i];
    return blamed;
}

/* What to do about a fault that is blamed on `cell`. needed: the code that failed will run again, so the cell has to
 * work. */
static enum remedy choose_remedy(const struct arena_fault *fault, struct cell_ref cell, bool needed)
{
    unsigned tries = recurrences(fault, true);

    if (needed && tries >= (cell.index ? TRIES_MAX : TRIES_UNBLAMED))
        return REMEDY_GIVE_UP;
    if (!cell.index || recurrences(fault, false) == 0)
        return REMEDY_NONE;
    if (needed && tries && tries % TRIES_IMPORTS == 0)
        return REMEDY_RELOAD_IMPORTS;
    if (!needed) /* one reload is tried; an application that fails is no sign of damage */
        return arena_cell(cell)->kind == CELL_APPLICATION || arena_cell(cell)->reloads ? REMEDY_NONE : REMEDY_RELOAD;
    /* The foundation keeps its data: run queues, bound pointers. Without it nothing runs. */
    return arena_cell(cell)->reloads == 0 || mend_is_needed(cell) ? REMEDY_RELOAD : REMEDY_RELOAD_FRESH;
}

/* The running task may take the reserves until the end of the scope. Needs the loader lock. */
struct reserve_guard {
    const void *before;
};

static struct reserve_guard reserve_use(void)
{
    return (struct reserve_guard){__atomic_exchange_n(&arena_reserve_user, cpu_task(), __ATOMIC_RELAXED)};
}

static void reserve_guard_end(struct reserve_guard *guard)
{
    __atomic_store_n(&arena_reserve_user, guard->before, __ATOMIC_RELAXED);
}

/* A reload stands on the foundation, so that this is put right first. */
static void mend_foundation(struct arena_fault *fault)
{
    unsigned mended = mend_second_first();

    for_each_cell (cell)
        if (arena_cell(cell)->state == CELL_LIVE && mend_is_needed(cell))
            mended += mend_cell(cell);
    if (!mended)
        return;
    arena_count(COUNTER_mends, mended);
    fault_step(fault, FAULT_STEP_MENDED, mended, NO_CELL);
}

/* False: it was not reloaded, and the log says why. */
static bool reload_cell(struct arena_fault *fault, struct cell_ref cell, unsigned flags)
{
    GUARD(loader) locked = loader_hold(); /* until the new cell's count is written: nobody replaces it before */
    GUARD(reserve) open = reserve_use();
    struct report done = {};
    audit_heap(); /* a reload needs it */
    mend_foundation(fault);
    enum err error = swap_reload_cell(cell, flags, &done);

    if (error) {
        log_warn("recovery: %s is not reloaded: %s: %s", arena_string(arena_cell(cell)->name), err_text(error),
                 done.text);
        fault_step(fault, FAULT_STEP_REFUSED, 1, cell);
        return false;
    }
    struct arena_cell *heir = arena_cell((struct cell_ref){done.result});
    heir->reloads++;
    arena_count(COUNTER_reloads, 1);
    fault->action = FAULT_ACTION_RELOAD;
    fault_step(fault, flags & SWAP_FRESH_DATA ? FAULT_STEP_RELOAD_FRESH : FAULT_STEP_RELOAD, 1,
               (struct cell_ref){done.result});
    lines_later("recovery: %s reloaded at %lx%s, paused for %lu ns", arena_string(heir->name), heir->text_virt,
                flags & SWAP_FRESH_DATA ? " with fresh data" : "", done.pause_ns);
    return true;
}

static unsigned mend_parked(struct cell_ref cell)
{
    GUARD(park) parked = park_all();

    return mend_cell(cell);
}

/* For want of a reload: what should not change is written again where it is. False: some of it is still damaged. */
static bool mend_in_place(struct arena_fault *fault, struct cell_ref cell)
{
    unsigned mended = mend_parked(cell);
    bool whole = !mend_find_damage(cell).index;

    if (mended) {
        arena_count(COUNTER_mends, mended);
        fault->action = FAULT_ACTION_MEND;
        fault_step(fault, FAULT_STEP_MEND, mended, cell);
    }
    log_warn("recovery: %s: %u sections mended in place, %s", arena_string(arena_cell(cell)->name), mended,
             whole ? "it is whole again" : "others are beyond that");
    return whole;
}

static bool reload_if_damaged(struct arena_fault *fault, struct cell_ref cell)
{
    const struct arena_cell *c = arena_cell(cell);
    struct section_ref damage = {};

    if (c->state == CELL_LIVE && c->object.index)
        damage = mend_find_damage(cell);
    if (!damage.index)
        return false;
    lines_later("recovery: %s of %s is damaged", arena_string(arena_section(damage)->name), arena_string(c->name));
    return reload_cell(fault, cell, 0) || mend_in_place(fault, cell);
}

/* Reloads damaged cells: of those that had frames on the stack, or of all. Returns how many. Those of the foundation on
 * the stack have been mended when the fault was logged. */
static unsigned repair_damage(struct arena_fault *fault, bool all)
{
    GUARD(loader) locked = loader_hold();
    struct cell_ref cells[FAULT_CELLS];
    unsigned known = fault_cells(fault->seq, cells), repaired = 0;
    uint32_t used = arena_header()->table[ARENA_CELLS].used;

    for (uint32_t i = 0; !all && i < known; i++)
        repaired += is_same_cell(cells[i], fault) && !mend_is_needed(cells[i]) && reload_if_damaged(fault, cells[i]);
    for (struct cell_ref cell = {1}; all && cell.index < used; cell.index++)
        repaired += reload_if_damaged(fault, cell);
    return repaired;
}

/* Reloads, with fresh data, the cells whose data are wrong: of `cell`, of those that had frames on the stack, and of
 * what they import. False: none. */
static bool reload_wrong(struct arena_fault *fault, struct cell_ref cell)
{
    GUARD(loader) locked = loader_hold();
    struct cell_ref wrong[BLAMED_MAX];
    size_t count = blame_data(fault, cell, wrong);
    bool reloaded = false;

    for (size_t i = 0; i < count; i++)
        reloaded |= reload_cell(fault, wrong[i], SWAP_FRESH_DATA);
    return reloaded;
}

/* Reloads, with fresh data, what the cell imports: the more steps away, the more often it has failed. */
static void reload_imports(struct arena_fault *fault, struct cell_ref cell)
{
    GUARD(loader) locked = loader_hold();
    struct cell_ref imports[IMPORTS_MAX];
    size_t count = imports_with_data(cell, recurrences(fault, true) / TRIES_IMPORTS, imports);

    for (size_t i = 0; i < count; i++)
        (void)reload_cell(fault, imports[i], SWAP_FRESH_DATA);
}

/* ---- applying remedies ---- */

/* The last faults after whose unwinding the cells on the stack were looked at. One that is missing here costs another
 * look. */
static uint64_t repaired[REPAIRS];

static bool was_repaired(uint64_t seq)
{
    return repaired[seq % REPAIRS] == seq;
}

/* Applies the remedy. False: nothing helps, and the task must not run again. */
static bool apply_remedy(struct arena_fault *fault, bool needed)
{
    struct cell_ref cell = suspect(fault);
    enum remedy remedy = choose_remedy(fault, cell, needed);
    bool keeps_data = remedy == REMEDY_RELOAD || mend_is_needed(cell);

    if (remedy == REMEDY_NONE && was_repaired(fault->seq))
        return true;
    if (repair_damage(fault, remedy != REMEDY_NONE) || remedy == REMEDY_NONE || reload_wrong(fault, cell))
        return true;
    if (remedy == REMEDY_GIVE_UP && cell.index && arena_cell(cell)->kind != CELL_APPLICATION) {
        lines_write();
        log_warn("recovery: %s faults again and again; rebooting", arena_string(arena_cell(cell)->name));
        fault_reboot(fault, "recovery has failed");
    }
    if (remedy == REMEDY_GIVE_UP)
        return false;
    if (remedy == REMEDY_RELOAD_IMPORTS)
        reload_imports(fault, cell);
    (void)reload_cell(fault, cell, keeps_data ? 0 : SWAP_FRESH_DATA);
    return true;
}

/* Runs in the failed task, before it needs the damaged cells again: to hand itself to the teardown task, for one. */
static void repair_after_unwinding(uint64_t seq)
{
    struct arena_fault *fault = fault_record(seq);

    audit_soon();
    if (fault) {
        fault_step(fault, FAULT_STEP_UNWOUND, 1, NO_CELL);
        (void)repair_damage(fault, false);
        repaired[seq % REPAIRS] = seq;
    }
}

/* The remedy has been applied: the record says what was done and how long it took. */
static void close_fault(struct arena_fault *fault, enum fault_action action, enum fault_outcome outcome)
{
    if (fault->action < (uint32_t)action)
        fault->action = action;
    fault->recovery_ns = cpu_ns() - fault->time_ns;
    fault->outcome = outcome;
    if (outcome == FAULT_OUTCOME_RECOVERED)
        arena_count(COUNTER_recoveries, 1);
}

/* ---- failed tasks ---- */

/* The newest open fault of the task, up to `seq`. NULL: none. The oldest is the cause; the others came while
 * unwinding. */
static struct arena_fault *open_fault_of(const struct task *task, uint64_t seq)
{
    for (unsigned i = 0; seq > 0 && i < LOGGED_FAULTS; i++, seq--) {
        struct arena_fault *fault = fault_record(seq);
        if (fault && same(fault->task, task->ref) && fault->task_id == task->id &&
            fault->outcome == FAULT_OUTCOME_OPEN && fault->action != FAULT_ACTION_UNWIND)
            return fault;
    }
    return NULL;
}

/* Restarts that were in vain are followed by ever longer waits, so that a task that cannot work leaves the CPUs to
 * others, and what it waits for may come to pass. */
static void back_off(struct task *task, struct arena_fault *fault)
{
    unsigned tries = recurrences(fault, true);

    if (tries < TRIES_AT_ONCE)
        return;
    unsigned doublings = tries - TRIES_AT_ONCE;
    uint32_t ms = doublings < DOUBLINGS_MAX ? 1u << doublings : 1u << DOUBLINGS_MAX;
    task_restart_after(task, ms * 1000000ul);
    fault_step(fault, FAULT_STEP_BACK_OFF, ms, NO_CELL);
}

/* Called by the teardown task for each failed task. True: restart it. */
static bool restart_failed_task(struct task *task)
{
    struct arena_fault *fault = open_fault_of(task, arena_header()->fault_seq);
    bool restart = task->record->restartable && !task->killed;

    for (struct arena_fault *earlier; fault; fault = earlier) {
        earlier = open_fault_of(task, fault->seq - 1);
        bool gives_up = !earlier && !apply_remedy(fault, restart);
        restart &= !gives_up;
        if (!earlier && restart)
            back_off(task, fault);
        if (!earlier)
            fault_step(fault,
                       restart    ? FAULT_STEP_RESTART
                       : gives_up ? FAULT_STEP_GIVE_UP
                                  : FAULT_STEP_END,
                       1, NO_CELL);
        close_fault(fault, restart ? FAULT_ACTION_RESTART : FAULT_ACTION_UNWIND, FAULT_OUTCOME_RECOVERED);
        if (restart)
            lines_restart_later(fault);
        else
            lines_fault(fault, "cleaned up");
    }
    return restart;
}

/* ---- faults without a failed task: in interrupt handlers, and in immortal tasks ---- */

struct restart_search {
    const struct arena_fault *fault;
    bool exists, immortal, works; /* its task */
};

static void find_restarted(struct task *task, void *context)
{
    struct restart_search *search = context;
    const struct arena_fault *fault = search->fault;

    uint32_t state = task->record->state;

    if (!same(task->ref, fault->task) || task->id != fault->task_id)
        return;
    search->exists = true;
    search->immortal = task->immortal;
    search->works = !unwind_is_active(task) && state != TASK_UNWINDING && state != TASK_FAILED;
}

/* Whether the fault's task is immortal and has been restarted; or works again or is gone for another reason, so that
 * nobody asks any more what is to be done about this fault. */
static bool is_over(const struct arena_fault *fault, bool *ret_immortal)
{
    struct restart_search search = {.fault = fault};

    task_each(find_restarted, &search);
    *ret_immortal = search.immortal;
    return search.immortal ? search.works
                           : (search.works || !search.exists) && cpu_ns() - fault->time_ns > FORGOTTEN_NS;
}

static void close_faults_without_task(void)
{
    uint64_t newest = arena_header()->fault_seq;

    for (uint64_t seq = newest; seq > 0 && newest - seq < RECENT_FAULTS; seq--) {
        struct arena_fault *fault = fault_record(seq);
        if (!fault || fault->outcome != FAULT_OUTCOME_OPEN)
            continue;
        bool handler = fault->action == FAULT_ACTION_UNWIND; /* the unwinder has left an interrupt handler */
        bool immortal = false;
        if (!handler && !is_over(fault, &immortal))
            continue;
        if (!apply_remedy(fault, handler || immortal) && immortal && !fault_blamed(seq).index)
            fault_reboot(fault, "a task without which nothing works fails again and again");
        fault_step(fault, handler ? FAULT_STEP_LEFT : FAULT_STEP_RESTART, 1, NO_CELL);
        close_fault(fault, handler ? FAULT_ACTION_UNWIND : FAULT_ACTION_RESTART, FAULT_OUTCOME_RECOVERED);
        lines_fault(fault, handler ? "handler left" : "restarted");
    }
}

/* Whether no fault came just now. */
static bool is_settled(void)
{
    const struct arena_fault *fault = fault_record(arena_header()->fault_seq);

    return !fault || cpu_ns() - fault->time_ns >= SETTLE_NS;
}

/* Called by the teardown task now and then. */
static void run_now_and_then(void)
{
    static unsigned postponed;

    close_faults_without_task();
    (void)kill_again();
    if (!is_settled() && ++postponed <= POSTPONED_MAX)
        return; /* queues have been audited after the unwinding, and are by CPUs that have nothing to do */
    postponed = 0;
    lines_write();
    audit_all();
    reap_in_background();
    namespace_reap_in_background();
}

static enum err recovery_init(void)
{
    enum err error = unwind_bind_end(repair_after_unwinding);

    if (!error)
        error = scheduler_bind_idle(audit_soon);
    if (!error)
        error = overdue_init();
    if (!error)
        error = task_bind_failed(restart_failed_task);
    return error ? error : task_bind_idle(run_now_and_then);
}
INIT(recovery_init);
