/* See fault.h. Runs on the CPU's fault stack, interrupts off. A record's seq is 0 while it is being written. A fault
 * in here ends the writing: the record stays as far as it has been written, and the first fault is unwound. */
#include "cells/recover/fault/fault.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/exception/exception.h"
#include "cells/core/panic/panic.h"
#include "cells/core/vector/vector.h"
#include "cells/lib/string/string.h"
#include "cells/recover/mend/mend.h"
#include "cells/recover/unwind/unwind.h"
#include "cells/task/apic/apic.h"
#include "cells/task/deadline/deadline.h"
#include "cells/task/task/task.h"

CELL("fault", KERNEL, 1);
FOUNDATION();
EXPORT(fault_record, KERNEL);
EXPORT(fault_cells, KERNEL);
EXPORT(fault_blamed, KERNEL);
EXPORT(fault_of_task, KERNEL);
EXPORT(fault_report, KERNEL);

#define EXCEPTIONS 32
#define SLOTS      (ARENA_FAULTS_MAX - 1)

static const char *const vector_names[EXCEPTIONS] = {
    [0] = "divide error",          [4] = "overflow",
    [5] = "bound range exceeded",  [EXCEPTION_UD] = "invalid opcode",
    [7] = "SIMD in a plain task",  [EXCEPTION_DF] = "double fault",
    [10] = "invalid task state",   [11] = "segment not present",
    [12] = "stack segment fault",  [EXCEPTION_GP] = "general protection fault",
    [EXCEPTION_PF] = "page fault", [16] = "x87 fault",
    [17] = "alignment check",      [EXCEPTION_MC] = "machine check",
    [19] = "SIMD fault",
};

/* The cells that had frames on the stack, for each record of the log. */
static struct stack_cells {
    uint64_t seq;
    unsigned count;
    struct cell_ref cell[FAULT_CELLS];
} stack_cells[SLOTS];

/* The fault that a CPU is logging. frame NULL: none. A fault while logging unwinds this one. */
static struct pending {
    struct trap_frame *frame;
    uint64_t seq;
} pending[CPU_MAX];

static const char *vector_name(uint32_t vector)
{
    return vector < EXCEPTIONS && vector_names[vector] ? vector_names[vector] : "exception";
}

static struct arena_fault *fault_slot(uint64_t seq)
{
    return arena_record(ARENA_FAULTS, (uint32_t)(seq % SLOTS) + 1);
}

struct arena_fault *fault_record(uint64_t seq)
{
    struct arena_fault *fault = fault_slot(seq);

    return seq && fault->seq == seq ? fault : NULL;
}

unsigned fault_cells(uint64_t seq, struct cell_ref ret_cells[FAULT_CELLS])
{
    const struct stack_cells *cells = &stack_cells[seq % SLOTS];

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

/* ---- what has failed ---- */

struct culprit {
    struct stack_cells *cells;
    struct cell_ref caller; /* if not none: of this cell the innermost function has failed, by what it has called */
    bool panic;             /* the first frame is that of panic(): its caller has failed */
    unsigned frames;
    uint64_t ip;
};

static bool note_cell_of_frame(const struct unwind_frame *frame, void *context)
{
    struct culprit *culprit = context;
    struct stack_cells *cells = culprit->cells;

    if (culprit->frames++ == culprit->panic && culprit->panic)
        culprit->ip = frame->rip - 1;
    if (culprit->caller.index && same(frame->cell, culprit->caller)) {
        culprit->ip = frame->rip - 1;
        culprit->caller = NO_CELL;
    }
    if (!frame->cell.index || !arena_cell(frame->cell)->object.index)
        return true;
    for (unsigned i = 0; i < cells->count; i++)
        if (same(cells->cell[i], frame->cell))
            return true;
    cells->cell[cells->count++] = frame->cell;
    return cells->count < FAULT_CELLS;
}

/* Copies the names of a cell and of the namespace that holds it: both may be gone when the log is read. */
static void copy_names(struct cell_ref cell, char ret_cell[32], char ret_namespace[32])
{
    const struct arena_cell *c = arena_cell(cell);

    string_copy(ret_cell, arena_string(c->name), 32);
    if (!same(c->namespace_, NAMESPACE_ROOT) && c->namespace_.index < arena_header()->table[ARENA_NAMESPACES].capacity)
        string_copy(ret_namespace, arena_string(arena_namespace(c->namespace_)->name), 32);
}

/* Notes the cells on the stack, who is blamed, and the instruction that failed. */
static void log_stack(struct arena_fault *fault, const struct trap_frame *frame, const struct task *task, uint64_t seq)
{
    struct stack_cells *cells = &stack_cells[seq % SLOTS];
    struct culprit culprit = {.cells = cells, .panic = fault->kind == FAULT_PANIC, .ip = frame->rip};
    uint64_t low, high;

    cells->count = 0;
    cells->seq = seq;
    struct cell_ref tried = deadline_cell(task);
    if (fault->kind == FAULT_PANIC || deadline_is_asleep())
        culprit.caller = tried;
    if (tried.index && arena_cell(tried)->object.index)
        cells->cell[cells->count++] = tried; /* whatever it has called */
    if (unwind_stack(task, &low, &high))
        unwind_walk(frame, low, high, note_cell_of_frame, &culprit);
    struct cell_ref blamed = fault_blamed(seq);
    if (blamed.index)
        copy_names(blamed, fault->blamed, fault->blamed_namespace);
    fault->ip = culprit.ip;
}

/* Names cell, section and function of the instruction that failed. */
static void log_place(struct arena_fault *fault)
{
    struct section_ref section = arena_section_at(fault->ip);

    fault->cell = arena_cell_at(fault->ip);
    fault->section = section;
    if (fault->cell.index)
        copy_names(fault->cell, fault->cell_name, fault->namespace_);
    if (section.index)
        fault->offset = (uint32_t)(fault->ip - arena_section(section)->virt);
    arena_name_at(fault->ip, fault->symbol, sizeof fault->symbol);
}

/* Copies the panic's message, if it is in a section or on the task's stack. */
static void log_message(struct arena_fault *fault, const struct task *task, uint64_t from)
{
    struct section_ref section = arena_section_at(from);
    uint64_t low, high = 0;
    size_t i = 0;

    if (section.index)
        high = arena_section(section)->virt + arena_section(section)->bytes;
    else if (!unwind_stack(task, &low, &high) || from < low || from >= high)
        return;
    for (; i + 1 < sizeof fault->message && from + i < high && ((const char *)from)[i]; i++)
        fault->message[i] = ((const char *)from)[i];
}

/* ---- the log ---- */

/* `fault` has its kind. */
static void fill_fault(struct arena_fault *fault, const struct trap_frame *frame, const struct cpu *cpu,
                       const struct task *task, uint64_t seq)
{
    fault->vector = (uint32_t)frame->vector;
    fault->cpu = cpu->index;
    fault->error_code = frame->error_code;
    fault->ip = frame->rip;
    fault->rsp = frame->rsp;
    if (task) {
        fault->task = task->ref;
        fault->task_id = task->id;
        if (task->record)
            string_copy(fault->task_name, task->record->name, sizeof fault->task_name);
    }
    log_stack(fault, frame, task, seq);
    log_place(fault);
    if (fault->kind == FAULT_PANIC)
        log_message(fault, task, frame->rdi);
    else if (fault->kind == FAULT_HANG)
        deadline_describe(fault->message, sizeof fault->message);
    else
        string_copy(fault->message, vector_name(fault->vector), sizeof fault->message);
    if (fault->cell.index)
        __atomic_add_fetch(&arena_cell(fault->cell)->faults, 1, __ATOMIC_RELAXED);
}

/* Returns the number of the new record. */
static uint64_t log_new_fault(struct trap_frame *frame, struct cpu *cpu, enum fault_kind kind)
{
    uint64_t seq = __atomic_add_fetch(&arena_header()->fault_seq, 1, __ATOMIC_SEQ_CST);
    struct arena_fault *fault = fault_slot(seq);
    uint64_t address = 0;

    pending[cpu->index] = (struct pending){frame, seq};
    if (frame->vector == EXCEPTION_PF)
        __asm__ volatile("mov %%cr2, %0" : "=r"(address));
    __atomic_store_n(&fault->seq, 0, __ATOMIC_SEQ_CST);
    memset(fault, 0, sizeof *fault);
    fault->kind = kind;
    fault->time_ns = cpu_ns();
    fault->address = address;
    arena_count(COUNTER_faults, 1);
    fill_fault(fault, frame, cpu, cpu->task, seq);
    __atomic_store_n(&fault->seq, seq, __ATOMIC_RELEASE);
    arena_event(EVENT_FAULT, fault->cell.index, fault->vector, fault->symbol);
    pending[cpu->index] = (struct pending){};
    return seq;
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

/* Mends foundation cells before they are needed: those on the stack, or all when the fault is in no cell. */
static void mend_foundation(const struct arena_fault *fault)
{
    struct cell_ref cells[FAULT_CELLS];
    unsigned known = fault->cell.index ? fault_cells(fault->seq, cells) : 0;
    uint32_t count = known ? known : arena_header()->table[ARENA_CELLS].used - 1;

    for (uint32_t i = 0; i < count; i++) {
        struct cell_ref cell = {known ? cells[i].index : i + 1};
        if (arena_cell(cell)->state == CELL_LIVE && mend_is_needed(cell))
            (void)mend_cell(cell);
    }
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

static enum fault_kind kind_of(const struct trap_frame *frame)
{
    return panic_at(frame->rip) ? FAULT_PANIC : FAULT_EXCEPTION;
}

static void handle_exception(struct trap_frame *frame)
{
    struct cpu *cpu = cpu_this();
    struct pending failed = pending[cpu->index];
    uint64_t seq = failed.seq;
    enum fault_kind kind = deadline_take(frame) ? FAULT_HANG : kind_of(frame);

    if (kind == FAULT_HANG && is_in_interrupt(frame, cpu->task)) {
        deadline_put_off();
        return;
    }
    if (failed.frame) { /* logging the earlier fault has faulted */
        pending[cpu->index] = (struct pending){};
        frame = failed.frame;
        __atomic_store_n(&fault_slot(seq)->seq, seq, __ATOMIC_RELEASE);
    } else {
        seq = log_new_fault(frame, cpu, kind);
    }
    struct arena_fault *fault = fault_slot(seq);
    if (!can_unwind(cpu->task, frame->vector)) {
        fault->action = FAULT_ACTION_HALT;
        fault->outcome = FAULT_OUTCOME_FAILED;
        print_fault(fault);
        panic_halt("a fault that cannot be recovered from");
    }
    mend_foundation(fault);
    if (cpu->interrupt_depth > 1)
        apic_eoi(); /* the handler that failed may not have reached it; a second one does no harm */
    unwind_task(cpu->task, frame, seq);
}

static enum err fault_init(void)
{
    for (unsigned vector = 0; vector < EXCEPTIONS; vector++) {
        if (vector == EXCEPTION_DEBUG || vector == EXCEPTION_NMI || vector == EXCEPTION_BREAKPOINT)
            continue;
        enum err e = vector_bind(vector, handle_exception);
        if (e)
            return e;
    }
    return ERR_OK;
}
INIT(fault_init);
