/* See fault.h. Runs on the CPU's fault stack with interrupts off; a fault in here leaves the record as far as it got. */
#include "cells/kernel/fault/fault.h"
#include "cells/kernel/apic/apic.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/exception/exception.h"
#include "cells/kernel/mend/mend.h"
#include "cells/kernel/panic/panic.h"
#include "cells/kernel/task/task.h"
#include "cells/kernel/unwind/unwind.h"
#include "cells/lib/string/string.h"

CELL("fault", KERNEL, 1);
EXPORT(fault_record, KERNEL);
EXPORT(fault_cells, KERNEL);
EXPORT(fault_blamed, KERNEL);

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

/* Who had frames on the stack, beside each record of the log. */
static struct stack_cells {
    uint64_t seq;
    unsigned count;
    uint32_t cell[FAULT_CELLS];
} stack_cells[SLOTS];

/* The fault that a CPU is writing down: should that fail, unwinding goes on from here. */
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

unsigned fault_cells(uint64_t seq, uint32_t ret_cells[FAULT_CELLS])
{
    const struct stack_cells *cells = &stack_cells[seq % SLOTS];

    if (cells->seq != seq || cells->count > FAULT_CELLS)
        return 0;
    for (unsigned i = 0; i < cells->count; i++)
        ret_cells[i] = cells->cell[i];
    return cells->count;
}

/* The cells that the nano_core consists of are called by everybody, and fail of what they are told. */
uint32_t fault_blamed(uint64_t seq)
{
    uint32_t cells[FAULT_CELLS];
    unsigned count = fault_cells(seq, cells);

    for (unsigned i = 0; i < count; i++)
        if (!mend_is_core(cells[i]))
            return cells[i];
    return 0;
}

/* ---- what was running ---- */

struct culprit {
    struct stack_cells *cells;
    bool panic; /* the first frame is panic()'s own: its caller counts */
    unsigned frames;
    uint64_t ip;
};

static bool visit_frame(const struct unwind_frame *frame, void *context)
{
    struct culprit *culprit = context;
    struct stack_cells *cells = culprit->cells;

    if (culprit->frames++ == culprit->panic && culprit->panic)
        culprit->ip = frame->rip - 1;
    if (!frame->cell || !arena_cell(frame->cell)->object)
        return true;
    for (unsigned i = 0; i < cells->count; i++)
        if (cells->cell[i] == frame->cell)
            return true;
    cells->cell[cells->count++] = frame->cell;
    return cells->count < FAULT_CELLS;
}

static void look_at_stack(struct arena_fault *fault, const struct trap_frame *frame, const struct task *task,
                          uint64_t seq)
{
    struct stack_cells *cells = &stack_cells[seq % SLOTS];
    struct culprit culprit = {.cells = cells, .panic = fault->kind == FAULT_PANIC, .ip = frame->rip};
    uint64_t low, high;

    cells->count = 0;
    cells->seq = seq;
    if (unwind_stack(task, &low, &high))
        unwind_walk(frame, low, high, visit_frame, &culprit);
    uint32_t blamed = fault_blamed(seq);
    if (blamed)
        string_copy(fault->blamed, arena_string(arena_cell(blamed)->name), sizeof fault->blamed);
    fault->ip = culprit.ip;
}

static void name_place(struct arena_fault *fault)
{
    uint32_t section = arena_section_at(fault->ip);

    fault->cell = arena_cell_at(fault->ip);
    fault->section = section;
    if (fault->cell)
        string_copy(fault->cell_name, arena_string(arena_cell(fault->cell)->name), sizeof fault->cell_name);
    if (section)
        fault->offset = (uint32_t)(fault->ip - arena_section(section)->virt);
    arena_name_at(fault->ip, fault->symbol, sizeof fault->symbol);
}

/* The text at `from`, if it is a string of some cell or on the task's stack. */
static void copy_message(struct arena_fault *fault, const struct task *task, uint64_t from)
{
    uint32_t section = arena_section_at(from);
    uint64_t low, high = 0;
    size_t i = 0;

    if (section)
        high = arena_section(section)->virt + arena_section(section)->bytes;
    else if (!unwind_stack(task, &low, &high) || from < low || from >= high)
        return;
    for (; i + 1 < sizeof fault->message && from + i < high && ((const char *)from)[i]; i++)
        fault->message[i] = ((const char *)from)[i];
}

/* ---- the log ---- */

static void write_down(struct arena_fault *fault, const struct trap_frame *frame, const struct cpu *cpu,
                       const struct task *task, uint64_t seq)
{
    fault->kind = panic_at(frame->rip) ? FAULT_PANIC : FAULT_EXCEPTION;
    fault->vector = (uint32_t)frame->vector;
    fault->cpu = cpu->index;
    fault->error_code = frame->error_code;
    fault->ip = frame->rip;
    fault->rsp = frame->rsp;
    if (task) {
        fault->task = task->index;
        fault->task_id = task->id;
        if (task->record)
            string_copy(fault->task_name, task->record->name, sizeof fault->task_name);
    }
    look_at_stack(fault, frame, task, seq);
    name_place(fault);
    if (fault->kind == FAULT_PANIC)
        copy_message(fault, task, frame->rdi);
    else
        string_copy(fault->message, vector_name(fault->vector), sizeof fault->message);
    if (fault->cell)
        __atomic_add_fetch(&arena_cell(fault->cell)->faults, 1, __ATOMIC_RELAXED);
}

static uint64_t record(struct trap_frame *frame, struct cpu *cpu)
{
    uint64_t seq = __atomic_add_fetch(&arena_header()->fault_seq, 1, __ATOMIC_SEQ_CST);
    struct arena_fault *fault = fault_slot(seq);
    uint64_t address = 0;

    pending[cpu->index] = (struct pending){frame, seq};
    if (frame->vector == EXCEPTION_PF)
        __asm__ volatile("mov %%cr2, %0" : "=r"(address));
    __atomic_store_n(&fault->seq, 0, __ATOMIC_SEQ_CST);
    memset(fault, 0, sizeof *fault);
    fault->time_ns = cpu_ns();
    fault->address = address;
    arena_count(COUNTER_faults, 1);
    write_down(fault, frame, cpu, cpu->task, seq);
    __atomic_store_n(&fault->seq, seq, __ATOMIC_RELEASE);
    arena_event(EVENT_FAULT, fault->cell, fault->vector, fault->symbol);
    pending[cpu->index] = (struct pending){};
    return seq;
}

static void print_fault(const struct arena_fault *fault)
{
    panic_print(fault->message);
    panic_print(" in ");
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

/* What recovery stands on is put right before it is needed: of the cells on the stack, or of all when the fault is
 * outside of every cell. */
static void mend_foundations(const struct arena_fault *fault)
{
    uint32_t cells[FAULT_CELLS];
    unsigned known = fault->cell ? fault_cells(fault->seq, cells) : 0;
    uint32_t count = known ? known : arena_header()->table[ARENA_CELLS].used - 1;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t cell = known ? cells[i] : i + 1;
        if (arena_cell(cell)->state == CELL_LIVE && mend_is_needed(cell))
            (void)mend_cell(cell);
    }
}

static void handle(struct trap_frame *frame)
{
    struct cpu *cpu = cpu_this();
    struct pending failed = pending[cpu->index];
    uint64_t seq = failed.seq;

    if (failed.frame) { /* this is a fault in writing down that one */
        pending[cpu->index] = (struct pending){};
        frame = failed.frame;
        __atomic_store_n(&fault_slot(seq)->seq, seq, __ATOMIC_RELEASE);
    } else {
        seq = record(frame, cpu);
    }
    struct arena_fault *fault = fault_slot(seq);
    if (!cpu->task || frame->vector == EXCEPTION_DF || frame->vector == EXCEPTION_MC) {
        fault->action = FAULT_ACTION_HALT;
        fault->outcome = FAULT_OUTCOME_FAILED;
        print_fault(fault);
        panic_halt("a fault that nothing can be unwound for");
    }
    mend_foundations(fault);
    if (cpu->interrupt_depth > 1)
        apic_eoi(); /* the handler that failed may not have come to it, and once more does no harm */
    unwind_task(cpu->task, frame, seq);
}

static enum err fault_init(void)
{
    for (unsigned vector = 0; vector < EXCEPTIONS; vector++) {
        if (vector == EXCEPTION_DEBUG || vector == EXCEPTION_NMI || vector == EXCEPTION_BREAKPOINT)
            continue;
        enum err e = exception_bind(vector, handle);
        if (e)
            return e;
    }
    return ERR_OK;
}
INIT(fault_init);
