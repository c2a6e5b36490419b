/* See recovery.h. Decides by the arena's fault log alone, so that nothing is forgotten when this cell is swapped. */
#include "cells/kernel/recovery/recovery.h"
#include "cells/kernel/recovery/audit.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/boot/boot.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/fault/fault.h"
#include "cells/kernel/loader/loader.h"
#include "cells/kernel/log/log.h"
#include "cells/kernel/mend/mend.h"
#include "cells/kernel/namespace/namespace.h"
#include "cells/kernel/page/page.h"
#include "cells/kernel/panic/panic.h"
#include "cells/kernel/scheduler/scheduler.h"
#include "cells/kernel/swap/swap.h"
#include "cells/kernel/task/task.h"
#include "cells/kernel/unwind/unwind.h"
#include "cells/lib/string/string.h"
#include "guest/abi/note.h"

CELL("recovery", KERNEL, 1);

#define WINDOW_NS      60000000000 /* faults of one cell within this time are one story */
#define FAULTS_MAX     16          /* of one cell in the window, then it is given up */
#define FAULTS         (ARENA_FAULTS_MAX - 1)
#define RECENT         64
#define KEYBOARD_PORT  0x64
#define KEYBOARD_RESET 0xfe

enum stage { STAGE_NONE, STAGE_RELOAD, STAGE_RELOAD_FRESH, STAGE_GIVE_UP };

/* ---- damage ---- */

/* Whether the loaded bytes of a section that has a valid hash are still those that the loader wrote. */
static bool is_intact(uint32_t section)
{
    const struct arena_section *s = arena_section(section);

    return !s->hash || s->rewritten || s->hash == arena_check(page_direct(s->phys), s->bytes);
}

/* The first section of the cell that is not; 0: all are intact, as far as its records can be believed. */
static uint32_t damage_of(uint32_t cell)
{
    uint32_t left = arena_sound(ARENA_CELLS, cell) ? arena_cell(cell)->sections : 0;

    for (uint32_t s = arena_cell(cell)->first_section; left && arena_sound(ARENA_SECTIONS, s);
         s = arena_section(s)->next_in_cell, left--)
        if (!is_intact(s))
            return s;
    return 0;
}

/* ---- stages ---- */

/* Whether the cell that was there at the time of the fault is there still: no other one has taken over its record. */
static bool is_still_there(uint32_t cell, const struct arena_fault *fault)
{
    return arena_cell(cell)->state == CELL_LIVE && arena_cell(cell)->loaded_ns <= fault->time_ns;
}

/* The loadable cell that a fault is put down to: the innermost one on the stack; 0: none, or it has been replaced. */
static uint32_t blamed(const struct arena_fault *fault)
{
    uint32_t cell = fault_blamed(fault->seq);

    return cell && is_still_there(cell, fault) ? cell : 0;
}

/* Earlier faults that were put down to a cell of the same name in the window: of the same task, or of any but those
 * that came while the same task was being unwound. */
static unsigned recurrences(const struct arena_fault *fault, bool same_task)
{
    unsigned count = 0;

    for (uint64_t seq = fault->seq - 1; seq > 0 && fault->seq - seq < FAULTS; seq--) {
        const struct arena_fault *earlier = fault_record(seq);
        if (!earlier || fault->time_ns - earlier->time_ns > WINDOW_NS)
            break;
        bool same = earlier->task_id == fault->task_id;
        if ((same_task && !same) || (same && earlier->outcome == FAULT_OUTCOME_OPEN))
            continue;
        count += string_equal(earlier->blamed, fault->blamed);
    }
    return count;
}

static enum stage choose(const struct arena_fault *fault, uint32_t cell, bool goes_on)
{
    if (!cell || recurrences(fault, false) == 0)
        return STAGE_NONE;
    if (goes_on && recurrences(fault, true) >= FAULTS_MAX)
        return STAGE_GIVE_UP;
    if (!goes_on) /* nobody waits for it to work; and an application that fails is no sign of damage */
        return arena_cell(cell)->kind == CELL_APPLICATION || arena_cell(cell)->reloads ? STAGE_NONE : STAGE_RELOAD;
    /* Without the data of those that recovery stands on nothing would go on: run queues, the tick, what is bound. */
    return arena_cell(cell)->reloads == 0 || mend_is_needed(cell) ? STAGE_RELOAD : STAGE_RELOAD_FRESH;
}

static bool reload(struct arena_fault *fault, uint32_t cell, unsigned flags)
{
    struct arena_completion done = {};
    char name[32];

    string_copy(name, arena_string(arena_cell(cell)->name), sizeof name);
    enum err error = swap_reload(arena_cell(cell)->namespace_, name, flags, &done);
    if (error) {
        log_warn("recovery: %s is not reloaded: %s: %s", name, err_text(error), done.detail);
        return false;
    }
    arena_cell(done.result)->reloads++;
    arena_count(COUNTER_reloads, 1);
    fault->action = FAULT_ACTION_RELOAD;
    log_warn("recovery: %s reloaded at %lx%s, paused for %lu ns", name, arena_cell(done.result)->text_virt,
             flags & SWAP_FRESH_DATA ? " with fresh data" : "", done.pause_ns);
    return true;
}

static bool reload_if_damaged(struct arena_fault *fault, uint32_t cell)
{
    uint32_t damage = arena_cell(cell)->state == CELL_LIVE && arena_cell(cell)->object ? damage_of(cell) : 0;
    char section[64];

    if (!damage)
        return false;
    string_copy(section, arena_string(arena_section(damage)->name), sizeof section);
    bool done = reload(fault, cell, 0);
    log_warn("recovery: %s was damaged", section);
    return done;
}

/* Replaces what no longer is as it was loaded: of the cells that had frames on the stack, or of all. */
static unsigned repair_damage(struct arena_fault *fault, bool all)
{
    GUARD(loader) turn = loader_hold();
    uint32_t cells[FAULT_CELLS];
    unsigned known = fault_cells(fault->seq, cells), repaired = 0;
    uint32_t used = arena_header()->table[ARENA_CELLS].used;

    for (uint32_t i = 0; !all && i < known; i++)
        repaired += is_still_there(cells[i], fault) && reload_if_damaged(fault, cells[i]);
    for (uint32_t cell = 1; all && cell < used; cell++)
        repaired += reload_if_damaged(fault, cell);
    return repaired;
}

static _Noreturn void reboot(struct arena_fault *fault, const char *cell)
{
    static const struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) nothing = {};
    char option[8];

    fault->action = FAULT_ACTION_HALT;
    fault->outcome = FAULT_OUTCOME_FAILED;
    log_warn("recovery: %s faults again and again; rebooting", cell);
    if (boot_option("on_panic", option, sizeof option))
        panic_halt("recovery has failed");
    cpu_out8(KEYBOARD_PORT, KEYBOARD_RESET);
    __asm__ volatile("lidt %0; ud2" ::"m"(nothing)); /* a triple fault, where there is no such controller */
    __builtin_unreachable();
}

/* What is done about a fault beside restarting its task. False: the task must not run again. */
static bool repair(struct arena_fault *fault, bool goes_on)
{
    uint32_t cell = blamed(fault);
    enum stage stage = choose(fault, cell, goes_on);

    if (repair_damage(fault, stage != STAGE_NONE) || stage == STAGE_NONE)
        return true;
    if (stage == STAGE_GIVE_UP && arena_cell(cell)->kind != CELL_APPLICATION)
        reboot(fault, arena_string(arena_cell(cell)->name));
    if (stage == STAGE_GIVE_UP)
        return false;
    (void)reload(fault, cell, stage == STAGE_RELOAD_FRESH ? SWAP_FRESH_DATA : 0);
    return true;
}

/* In the failed task itself, before anything else needs the damaged cells: the way to the reaper, for one. */
static void repair_at_once(uint64_t seq)
{
    struct arena_fault *fault = fault_record(seq);

    if (fault)
        (void)repair_damage(fault, false);
    audit_tasks();
}

static void report(const struct arena_fault *fault, const char *then)
{
    log_warn("fault %lu: task %s: %s in %s:%s at %lx, address %lx, %u landing pads, %s after %lu ns", fault->seq,
             *fault->task_name ? fault->task_name : "none", fault->message,
             *fault->cell_name ? fault->cell_name : "no cell", fault->symbol, fault->ip, fault->address,
             fault->landing_pads, then, fault->recovery_ns);
}

static void settle(struct arena_fault *fault, enum fault_action action, enum fault_outcome outcome)
{
    if (fault->action < (uint32_t)action)
        fault->action = action;
    fault->recovery_ns = cpu_ns() - fault->time_ns;
    fault->outcome = outcome;
    if (outcome == FAULT_OUTCOME_RECOVERED)
        arena_count(COUNTER_recoveries, 1);
}

/* ---- failed tasks ---- */

/* The newest fault up to `seq` of a task that nothing has been done about; later ones came while unwinding. */
static struct arena_fault *fault_of(const struct task *task, uint64_t seq)
{
    for (unsigned i = 0; seq > 0 && i < FAULTS; i++, seq--) {
        struct arena_fault *fault = fault_record(seq);
        if (fault && fault->task == task->index && fault->task_id == task->id && fault->outcome == FAULT_OUTCOME_OPEN &&
            fault->action != FAULT_ACTION_UNWIND)
            return fault;
    }
    return NULL;
}

/* Called by the reaper for each failed task. True: make it anew. */
static bool again(struct task *task)
{
    struct arena_fault *fault = fault_of(task, arena_header()->fault_seq);
    bool restart = task->record->restartable;

    for (struct arena_fault *earlier; fault; fault = earlier) {
        earlier = fault_of(task, fault->seq - 1);
        if (!earlier && !repair(fault, restart)) /* the first is the cause of the others */
            restart = false;
        settle(fault, restart ? FAULT_ACTION_RESTART : FAULT_ACTION_UNWIND, FAULT_OUTCOME_RECOVERED);
        report(fault, fault->action == FAULT_ACTION_RELOAD ? "reloaded" : restart ? "restarted" : "cleaned up");
    }
    return restart;
}

/* ---- faults that no task failed of: in interrupt handlers, and in tasks that begin anew at once ---- */

struct question {
    const struct arena_fault *fault;
    bool began_anew;
};

static void ask_task(struct task *task, void *context)
{
    struct question *question = context;
    const struct arena_fault *fault = question->fault;

    if (task->index == fault->task && task->id == fault->task_id)
        question->began_anew = task->immortal && !task->unwind.active;
}

static bool began_anew(const struct arena_fault *fault)
{
    struct question question = {.fault = fault};

    task_each(ask_task, &question);
    return question.began_anew;
}

static void look_at_faults(void)
{
    uint64_t newest = arena_header()->fault_seq;

    for (uint64_t seq = newest; seq > 0 && newest - seq < RECENT; seq--) {
        struct arena_fault *fault = fault_record(seq);
        if (!fault || fault->outcome != FAULT_OUTCOME_OPEN)
            continue;
        bool handler = fault->action == FAULT_ACTION_UNWIND; /* the unwinder has said so */
        if (!handler && !began_anew(fault))
            continue;
        (void)repair(fault, true);
        settle(fault, handler ? FAULT_ACTION_UNWIND : FAULT_ACTION_RESTART, FAULT_OUTCOME_RECOVERED);
        report(fault, handler ? "handler left" : "begun anew");
    }
}

static void idle(void)
{
    audit_tasks();
    look_at_faults();
    (void)swap_reap();
    (void)namespace_reap();
}

static enum err recovery_init(void)
{
    enum err error = unwind_bind_end(repair_at_once);

    if (!error)
        error = scheduler_bind_idle(audit_tasks);
    if (!error)
        error = task_bind_failed(again);
    return error ? error : task_bind_idle(idle);
}
INIT(recovery_init);
