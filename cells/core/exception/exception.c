/* See exception.h. Fault stacks are handed out in steps, so that a fault within a handler does not write over the frame
 * of the fault that is being handled. */
#include "cells/core/exception/exception.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/exception/gate.h"
#include "cells/core/panic/panic.h"
#include "guest/abi/layout.h"

CELL("exception", KERNEL, 1);
CORE();
EXPORT(exception_init, KERNEL);
EXPORT(exception_load_table, KERNEL);
EXPORT(exception_point_gates, KERNEL);
EXPORT(exception_handlers, KERNEL);
EXPORT(exception_exit, KERNEL);
EXPORT(exception_last_resort, KERNEL);
EXPORT(exception_last, KERNEL);
TYPED(exception_last);
EXPORT(exception_resume, KERNEL);
EXPORT(exception_unwind_resume, KERNEL);
EXPORT(exception_dispatch, KERNEL);

#define EXCEPTIONS 32

_Static_assert(offsetof(struct cpu, exception_entries) == EXCEPTION_CPU_ENTRIES);
_Static_assert(offsetof(struct cpu, fault_stack_top) == EXCEPTION_CPU_TOP);

extern const uint8_t exception_stubs[];
_Noreturn void exception_load(const struct trap_frame *frame);

static struct exception_gate *idt; /* EXCEPTION_VECTORS of them, in a page that stays where it is */
static uint64_t dropped;           /* interrupts without a handler */
SET_ONCE(idt);

exception_handler *exception_handlers[EXCEPTION_VECTORS];
void (*exception_exit)(void);
void (*exception_last_resort)(uint64_t vector, uint64_t rip);
void (*exception_unwind_resume)(void);

static void print_register(const char *name, uint64_t value)
{
    panic_print(name);
    panic_print(" ");
    panic_print_hex(value);
}

static _Noreturn void unhandled(const struct trap_frame *frame)
{
    static const char *const names[] = {"  r15", "  r14",   "  r13", "\n  r12", "  r11",   "  r10", "\n  r9 ", "  r8 ",
                                        "  rbp", "\n  rdi", "  rsi", "  rdx",   "\n  rcx", "  rbx", "  rax"};
    const uint64_t *registers = &frame->r15;
    uint64_t cr2;
    char symbol[64] = "";

    __asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
    print_register("\nexception", frame->vector);
    print_register(", error", frame->error_code);
    print_register(", cpu", cpu_this()->index);
    print_register("\n  rip", frame->rip);
    print_register("  rsp", frame->rsp);
    print_register("  cr2", cr2);
    panic_print("\n");
    for (size_t i = 0; i < array_size(names); i++)
        print_register(names[i], registers[i]);
    if (arena_header()->magic == ARENA_MAGIC)
        arena_name_at(frame->rip, symbol, sizeof symbol);
    panic_print("\n  in ");
    panic_print(*symbol ? symbol : "no cell");
    panic_print("\n");
    panic_halt(panic_at(frame->rip) ? (const char *)frame->rdi : "exception without a handler");
}

static _Noreturn void give_up(const struct trap_frame *frame)
{
    if (exception_last_resort)
        exception_last(frame->vector, frame->rip);
    unhandled(frame);
}

void exception_dispatch(struct trap_frame *frame)
{
    cpu_mend_self();
    struct cpu *cpu = cpu_this();
    unsigned vector = (uint8_t)frame->vector;
    exception_handler *handler = exception_handlers[vector];

    cpu->interrupt_depth++;
    if (vector < EXCEPTIONS) {
        uint64_t step = vector == EXCEPTION_NMI ? 0 : CPU_FAULT_STEP; /* that has another stack */
        *cpu->fault_stack_ist -= step;
        if (!handler || *cpu->fault_stack_ist <= (uint64_t)cpu->fault_stack_low)
            give_up(frame);
        cpu->exception_entries = 0;
        handler(frame);
        *cpu->fault_stack_ist += step;
        cpu->interrupt_depth--;
        return;
    }
    if (cpu->record)
        cpu->record->current_rsp = frame->rsp;
    if (handler)
        handler(frame);
    else
        __atomic_fetch_add(&dropped, 1, __ATOMIC_RELAXED);
    cpu->interrupt_depth--;
    if (!cpu->interrupt_depth && exception_exit)
        exception_exit();
}

static bool on_fault_stack(const struct cpu *cpu, uint64_t rsp)
{
    return rsp >= (uint64_t)cpu->fault_stack_low && rsp < (uint64_t)cpu->fault_stack_top;
}

void exception_resume(const struct trap_frame *frame)
{
    struct trap_frame copy = *frame;
    struct cpu *cpu;
    uint64_t here = (uint64_t)&copy;

    __asm__ volatile("cli");
    cpu = cpu_this();
    if (on_fault_stack(cpu, here) || here >= LAYOUT_LAST_STACK_VIRT) {
        uint64_t top = (uint64_t)cpu->fault_stack_top, used = on_fault_stack(cpu, copy.rsp) ? top - copy.rsp : 0;
        *cpu->fault_stack_ist = top - (used + CPU_FAULT_STEP - 1) / CPU_FAULT_STEP * CPU_FAULT_STEP;
        if (cpu->interrupt_depth)
            cpu->interrupt_depth--;
    }
    exception_load(&copy);
}

void exception_point_gates(void)
{
    for (unsigned vector = 0; vector < EXCEPTION_VECTORS; vector++)
        idt[vector] = exception_gate((uint64_t)exception_stubs, vector);
}

void exception_load_table(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) pointer = {EXCEPTION_VECTORS * sizeof *idt - 1, (uint64_t)idt};

    __asm__ volatile("lidt %0" ::"m"(pointer));
}

void exception_init(void *page)
{
    idt = page;
    exception_point_gates();
    exception_load_table();
}
