/* See fault.h. Runs on the CPU's fault stack, interrupts off. A record's seq is 0 while it is being written. A fault
 * in here ends the writing: the record stays as far as it has been written, and the first fault is unwound. What
 * recovery needs to find the record again is written first, by this cell's own text. */
#include "cells/recover/fault/fault.h"
#include "cells/recover/fault/inside.h"
#include "cells/recover/fault/vectors.h"
#include "cells/core/arena/arena.h"
#include "cells/core/boot/boot.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/edge/edge.h"
#include "cells/core/exception/exception.h"
#include "cells/core/panic/panic.h"
#include "cells/core/vector/vector.h"
#include "cells/recover/mend/mend.h"
#include "cells/recover/mend_second/mend_second.h"
#include "cells/recover/unwind/unwind.h"
#include "cells/task/apic/apic.h"
#include "cells/task/deadline/deadline.h"
#include "cells/task/promise/promise.h"
#include "cells/task/task/task.h"
#include "cells/task/watchdog/watchdog.h"

CELL("fault", KERNEL, 1);
FOUNDATION();
EXPORT(fault_record, KERNEL);
EXPORT(fault_cells, KERNEL);
EXPORT(fault_blamed, KERNEL);
EXPORT(fault_of_task, KERNEL);
EXPORT(fault_report, KERNEL);
EXPORT(fault_reboot, KERNEL);
EXPORT(fault_log_damage, KERNEL);
EXPORT(fault_step, KERNEL);
EXPORT(fault_mend_cpu, KERNEL);

#define EXCEPTIONS 32

#define RECENT_NS      1000000000 /* after a fault within this time before, all of the foundation is mended */
#define STORM_NS       10000000000
#define STORM_MAX      200 /* faults in a row within that time that are open: more than tasks that fail at once */
#define RESORT_NS      10000000000
#define RESORTS_MAX    8 /* of a CPU within that time */
#define KEYBOARD_PORT  0x64
#define KEYBOARD_RESET 0xfe

struct stack_cells fault_stack_cells[FAULT_SLOTS];

/* The fault that a CPU is logging, and mending for. frame NULL: none; seq 0: its record is not begun. A fault meanwhile
 * unwinds this one. */
static struct pending {
    struct trap_frame *frame;
    uint64_t seq;
    uint64_t ended_by; /* enum ended_by: what has ended what the CPU ran */
} pending[CPU_MAX];

struct arena_fault *fault_record(uint64_t seq)
{
    struct arena_fault *fault = fault_slot(seq);

    return seq && fault->seq == seq && fault->boot == header_direct()->boot ? fault : NULL;
}

unsigned fault_cells(uint64_t seq, struct cell_ref ret_cells[FAULT_CELLS])
{
    const struct stack_cells *cells = &fault_stack_cells[seq % FAULT_SLOTS];

    if (cells->seq != seq || cells->count > FAULT_CELLS)
        return 0;
    for (unsigned i = 0; i < cells->count; i++)
        ret_cells[i] = cells->cell[i];
    return cells->count;
}

/* Not a cell of the core: those are called by everybody, and fail because of what they are given. */
struct cell_ref fault_blamed(uint64_t seq)
{
    struct cell_ref cells[FAULT_CELLS];
    unsigned count = fault_cells(seq, cells);

    for (unsigned i = 0; i < count; i++)
        if (!mend_is_core(cells[i]))
            return cells[i];
    return NO_CELL;
}

const struct arena_fault *fault_of_task(const struct task *task, uint64_t since)
{
    for (uint64_t seq = since + 1; seq <= arena_header()->fault_seq; seq++) {
        const struct arena_fault *fault = fault_record(seq);
        if (fault && fault->task_id == task->id)
            return fault;
    }
    return NULL;
}

enum err fault_report(const struct arena_fault *fault, const char *what, struct report *report)
{
    if (!fault)
        return report_refuse(report, ERR_INIT_FAILED, "the %s ended in a fault", what);
    const char *cell = *fault->blamed ? fault->blamed : *fault->cell_name ? fault->cell_name : "no cell";
    if (fault->kind == FAULT_HANG)
        return report_refuse(report, ERR_TIMEOUT, "%s: %s, in %s", cell, fault->message, fault->symbol);
    return report_refuse(report, ERR_INIT_FAILED, "the %s ended in a fault: %s: %s, in %s", what, cell, fault->message,
                         fault->symbol);
}

/* ---- the log ---- */

/* Begins the record of a new fault: what recovery finds it by. Calls no other cell. Returns its number. */
static uint64_t begin_record(const struct trap_frame *frame, const struct cpu *cpu, enum fault_kind kind)
{
    uint64_t seq = __atomic_add_fetch(&header_direct()->fault_seq, 1, __ATOMIC_SEQ_CST);
    struct arena_fault *fault = fault_slot(seq);
    uint64_t address = 0;

    pending[cpu->index].seq = seq;
    __atomic_store_n(&fault->seq, 0, __ATOMIC_SEQ_CST);
    clear_bytes(fault, sizeof *fault);
    fault_stack_cells[seq % FAULT_SLOTS].count = 0;
    fault_stack_cells[seq % FAULT_SLOTS].seq = seq;
    fault->boot = header_direct()->boot;
    fault->kind = kind;
    fault->vector = (uint32_t)frame->vector;
    fault->cpu = cpu->index;
    fault->error_code = frame->error_code;
    fault->ip = frame->rip;
    fault->rsp = frame->rsp;
    if (frame->vector == EXCEPTION_PF)
        __asm__ volatile("mov %%cr2, %0" : "=r"(address));
    fault->address = address;
    if (cpu->record)
        fault->time_ns = cpu->record->heartbeat_ns; /* until the clock is read */
    copy_text(fault->message, vector_name(fault->vector), sizeof fault->message);
    return seq;
}

static void describe_hang(struct arena_fault *fault)
{
    uint64_t by = pending[fault->cpu].ended_by;

    if (by == BY_WATCHDOG)
        watchdog_describe(fault->message, sizeof fault->message);
    else if (by == BY_PROMISE)
        promise_describe(fault->message, sizeof fault->message);
    else
        deadline_describe(fault->message, sizeof fault->message);
}

/* The task is one that is known (task_mend_this), or NULL. */
static void note_task(struct arena_fault *fault, const struct task *task)
{
    if (!task)
        return;
    fault->task = task->ref;
    fault->task_id = task->id;
    if (task->record)
        copy_text(fault->task_name, task->record->name, sizeof fault->task_name);
}

/* Adds what is found out by calling other cells. */
static void complete_record(struct arena_fault *fault, const struct trap_frame *frame, const struct task *task,
                            uint64_t seq)
{
    fault->time_ns = cpu_ns();
    arena_count(COUNTER_faults, 1);
    if (panic_at(frame->rip))
        fault->kind = FAULT_PANIC;
    fault_log_stack(fault, frame, task, seq, (enum ended_by)pending[fault->cpu].ended_by);
    fault_log_place(fault);
    if (fault->kind == FAULT_PANIC)
        fault_log_message(fault, task, frame->rdi);
    else if (fault->kind == FAULT_HANG)
        describe_hang(fault);
    if (fault->cell.index)
        __atomic_add_fetch(&arena_cell(fault->cell)->faults, 1, __ATOMIC_RELAXED);
    fault_publish(fault, seq);
    arena_event(EVENT_FAULT, fault->cell.index, fault->vector, fault->symbol);
}

/* Nobody is blamed: it is no sign that the cell fails. */
void fault_log_damage(const struct fault_damage *damage)
{
    uint64_t seq = __atomic_add_fetch(&arena_header()->fault_seq, 1, __ATOMIC_SEQ_CST);
    struct arena_fault *fault = fault_slot(seq);

    __atomic_store_n(&fault->seq, 0, __ATOMIC_SEQ_CST);
    clear_bytes(fault, sizeof *fault);
    fault->boot = arena_header()->boot;
    fault->kind = FAULT_DAMAGE;
    fault->time_ns = cpu_ns();
    fault->cpu = cpu_this()->index;
    fault->address = damage->address;
    fault->cell = damage->cell;
    fault->section = damage->section;
    fault->offset = damage->offset;
    fault->action = damage->action;
    fault->outcome = FAULT_OUTCOME_RECOVERED;
    if (damage->cell.index)
        fault_copy_names(damage->cell, fault->cell_name, fault->namespace_);
    if (damage->section.index)
        arena_name_at(damage->address, fault->symbol, sizeof fault->symbol);
    else
        copy_text(fault->symbol, damage->place, sizeof fault->symbol);
    copy_text(fault->message, damage->message, sizeof fault->message);
    fault_publish(fault, seq);
    arena_event(EVENT_MENDED, damage->cell.index, damage->section.index, fault->symbol);
}

static void print_fault(const struct arena_fault *fault)
{
    panic_print(fault->message);
    panic_print(" in ");
    panic_print(fault->namespace_);
    panic_print(*fault->namespace_ ? "/" : "");
    panic_print(*fault->cell_name ? fault->cell_name : "no cell");
    panic_print(":");
    panic_print(fault->symbol);
    panic_print(", rip ");
    panic_print_hex(fault->ip);
    panic_print(", address ");
    panic_print_hex(fault->address);
    panic_print(", task ");
    panic_print(*fault->task_name ? fault->task_name : "none");
    panic_print("\n");
}

/* Mends foundation cells before they are needed, and the unwind tables of other cells: of those on the stack; or of
 * all, also when the fault is in no cell. Calls the mender only. */
static void mend_foundation(struct arena_fault *fault, bool all)
{
    struct cell_ref cells[FAULT_CELLS];
    unsigned mended = mend_second_first();

    mended += mend_all(cells, fault->cell.index && !all ? fault_cells(fault->seq, cells) : 0);
    if (!mended)
        return;
    unwind_forget();
    fault_step(fault, FAULT_STEP_MENDED, mended, NO_CELL);
}

/* ---- faults that follow each other ---- */

/* The record of that fault, if it came at most so long before. */
static const struct arena_fault *earlier_fault(const struct arena_fault *fault, uint64_t seq, uint64_t within_ns)
{
    const struct arena_fault *earlier = fault_record(seq);

    return earlier && fault->time_ns - earlier->time_ns < within_ns ? earlier : NULL;
}

static bool is_recurring(const struct arena_fault *fault)
{
    return earlier_fault(fault, fault->seq - 1, RECENT_NS);
}

/* Whether so many faults in a row are open that whoever closes them does not get to it. */
static bool is_storm(const struct arena_fault *fault)
{
    for (uint64_t back = 1; back < STORM_MAX; back++) {
        const struct arena_fault *earlier = earlier_fault(fault, fault->seq - back, STORM_NS);
        if (!earlier || earlier->outcome != FAULT_OUTCOME_OPEN)
            return false;
    }
    return true;
}

void fault_reboot(struct arena_fault *fault, const char *why)
{
    static const struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) nothing = {};
    char option[8];

    fault->action = FAULT_ACTION_HALT;
    fault->outcome = FAULT_OUTCOME_FAILED;
    fault_step(fault, FAULT_STEP_RESET, 1, NO_CELL);
    print_fault(fault);
    if (boot_option("on_panic", option, sizeof option))
        panic_halt(why);
    panic_print(why);
    panic_print("; rebooting\n");
    cpu_out8(KEYBOARD_PORT, KEYBOARD_RESET);
    __asm__ volatile("lidt %0; ud2" ::"m"(nothing)); /* without such a controller: a triple fault */
    __builtin_unreachable();
}

/* Whether there is a task, with a stack, and the CPU's state can be trusted. */
static bool can_unwind(const struct task *task, uint64_t vector)
{
    uint64_t low, high;

    return vector != EXCEPTION_DF && vector != EXCEPTION_MC && unwind_stack(task, &low, &high);
}

static bool find_interrupt(const struct unwind_frame *frame, void *context)
{
    *(bool *)context = same(frame->cell, arena_cell_at((uint64_t)exception_dispatch));
    return !*(bool *)context;
}

/* Whether a task that exceeds its deadline is in an interrupt handler: then it is not the one to be ended. */
static bool is_in_interrupt(const struct trap_frame *frame, const struct task *task)
{
    uint64_t low, high;
    bool found = false;

    if (unwind_stack(task, &low, &high))
        unwind_walk(frame, low, high, find_interrupt, &found);
    return found;
}

/* Makes a CPU that gets no interrupts hear them again, and logs it: what runs there has not failed. */
static void hear(void)
{
    char text[64];
    unsigned vector = watchdog_hear(text, sizeof text);
    uint64_t handler = vector ? (uint64_t)exception_handlers[vector] : 0;
    const struct fault_damage damage = {.cell = arena_cell_at(handler),
                                        .section = arena_section_at(handler),
                                        .address = handler,
                                        .place = "local APIC",
                                        .action = FAULT_ACTION_MEND,
                                        .message = text};

    fault_log_damage(&damage);
}

/* Whether the exception stands for something that is dealt with here: a CPU that is deaf, or a function that exceeds
 * its deadline, which is put off, since an interrupt handler runs. */
static bool is_done(struct trap_frame *frame, const struct cpu *cpu, enum fault_kind *ret_kind)
{
    enum watchdog_found found = watchdog_take(frame);
    bool broken = found == WATCHDOG_NOTHING && promise_take(frame);
    bool late = found == WATCHDOG_NOTHING && !broken && deadline_take(frame);

    if (found == WATCHDOG_DEAF)
        hear();
    pending[cpu->index].ended_by = found == WATCHDOG_HANG ? BY_WATCHDOG : broken ? BY_PROMISE : BY_NOBODY;
    *ret_kind = late || pending[cpu->index].ended_by ? FAULT_HANG : FAULT_EXCEPTION;
    bool put_off = late && is_in_interrupt(frame, cpu->task);
    if (put_off)
        deadline_put_off();
    return put_off || found == WATCHDOG_DEAF;
}

/* Logs the fault. `again`: it is the one whose logging has failed, and all that this stands on has been mended since.
 * Returns its number. 0: nothing is to be done. */
static uint64_t log_fault(struct trap_frame *frame, const struct cpu *cpu, bool again)
{
    struct pending *mine = &pending[cpu->index];
    enum fault_kind kind = FAULT_EXCEPTION;

    if (!again && is_done(frame, cpu, &kind))
        return 0;
    uint64_t seq = mine->seq ? mine->seq : begin_record(frame, cpu, kind);
    note_task(fault_slot(seq), cpu->task);
    complete_record(fault_slot(seq), frame, cpu->task, seq);
    fault_publish(fault_slot(seq), seq);
    return seq;
}

/* ---- the last resort ---- */

/* How often the path of exceptions has failed on each CPU, and since when. */
static struct resort {
    uint64_t since_ns;
    unsigned count;
} resorts[CPU_MAX];

static bool is_too_often(const struct arena_fault *fault)
{
    struct resort *resort = &resorts[fault->cpu];

    if (fault->time_ns - resort->since_ns > RESORT_NS)
        *resort = (struct resort){.since_ns = fault->time_ns};
    return ++resort->count > RESORTS_MAX;
}

/* The path of exceptions has failed: mends all that it stands on, and ends the task, whose registers are lost. */
static void take_last_resort(uint64_t vector, uint64_t rip)
{
    cpu_mend_self(); /* exception_dispatch does so too, and may be what fails */
    (void)fault_mend_cpu();
    fault_mend_tables();
    struct cpu *cpu = cpu_this();
    const struct trap_frame frame = {.vector = vector, .rip = rip};

    *cpu->fault_stack_ist = (uint64_t)cpu->fault_stack_top - CPU_FAULT_STEP;
    cpu->interrupt_depth = 1;
    uint64_t seq = begin_record(&frame, cpu, FAULT_EXCEPTION);
    struct arena_fault *fault = fault_slot(seq);
    fault_publish(fault, seq);
    pending[cpu->index] = (struct pending){};
    if (is_too_often(fault))
        fault_reboot(fault, "the path of exceptions fails again and again");
    if (resorts[cpu->index].count > 1)
        (void)mend_second_all(NULL, 0); /* the first mender may be what fails */
    mend_foundation(fault, true);
    task_mend_this(0);
    note_task(fault, cpu->task);
    exception_point_gates();
    apic_end_interrupts();
    fault->time_ns = cpu_ns();
    arena_count(COUNTER_faults, 1);
    fault_log_place(fault);
    fault_publish(fault, seq);
    arena_event(EVENT_FAULT, fault->cell.index, fault->vector, fault->symbol);
    unwind_give_up(cpu->task, seq);
}

/* ---- */

/* Faults that nothing can be done about end here. */
static void refuse_hopeless(struct arena_fault *fault, const struct trap_frame *frame, const struct cpu *cpu)
{
    if (frame->vector == EXCEPTION_DF && can_unwind(cpu->task, 0))
        exception_last(frame->vector, frame->rip); /* the tables by which a handler is found are wrong */
    if (!can_unwind(cpu->task, frame->vector)) {
        fault->action = FAULT_ACTION_HALT;
        fault->outcome = FAULT_OUTCOME_FAILED;
        print_fault(fault);
        panic_halt("a fault that cannot be recovered from");
    }
    if (is_storm(fault))
        fault_reboot(fault, "faults follow each other, and none is recovered from");
}

/* `again`: an exception on the way from another one to its unwinding. That may be of anything that is called here, the
 * mender too, so that the other one puts all right before anything else is called. */
static void handle_exception(struct trap_frame *frame)
{
    (void)fault_mend_cpu();
    fault_mend_tables();
    struct cpu *cpu = cpu_this();
    struct pending *mine = &pending[cpu->index];
    bool again = mine->frame;

    if (again) {
        frame = mine->frame;
        if (mend_second_all(NULL, 0))
            unwind_forget();
    }
    if (!again && frame->vector == EXCEPTION_BREAKPOINT)
        frame->rip--; /* where it stands: nobody sets any, it is a byte of damaged text */
    mine->frame = frame;
    task_mend_this(frame->rsp);
    uint64_t seq = log_fault(frame, cpu, again);
    struct arena_fault *fault = fault_slot(seq);

    if (seq) {
        refuse_hopeless(fault, frame, cpu);
        if (!again)
            mend_foundation(fault, is_recurring(fault));
        apic_end_interrupts(); /* the handler that failed, or its entry, may not have reached that */
    }
    *mine = (struct pending){};
    if (seq)
        unwind_task(cpu->task, frame, seq);
}

static enum err fault_init(void)
{
    enum err last = edge_bind(&exception_last_resort, take_last_resort);

    kept_take_over();
    for (unsigned vector = 0; vector < EXCEPTIONS; vector++) {
        if (vector == EXCEPTION_DEBUG || vector == EXCEPTION_NMI)
            continue;
        enum err e = vector_bind(vector, handle_exception);
        if (e)
            return e;
    }
    return last;
}
INIT(fault_init);
