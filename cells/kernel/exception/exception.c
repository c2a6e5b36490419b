/* See exception.h. Fault stacks are handed out in steps, so that a fault within a handler does not write over the frame
 * of the fault that is being handled. */
#include "cells/kernel/exception/exception.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/loader/loader.h"
#include "cells/kernel/panic/panic.h"

CELL("exception", KERNEL, 1);
EXPORT(exception_init, KERNEL);
EXPORT(exception_load_table, KERNEL);
EXPORT(exception_point_gates, KERNEL);
EXPORT(exception_bind, DRIVER);
EXPORT(exception_bind_exit, KERNEL);
EXPORT(exception_vector_new, DRIVER);
EXPORT(exception_resume, KERNEL);
EXPORT(exception_unwind_resume, KERNEL);
EXPORT(exception_dispatch, KERNEL);

#define EXCEPTIONS    32
#define VECTORS       256
#define FIRST_VECTOR  0x30 /* below: exceptions, and where a PIC may still send what is spurious */
#define LAST_VECTOR   0xef
#define STUB_BYTES    8
#define CODE_SELECTOR 8
#define GATE_PRESENT  0x8e00 /* interrupt gate */

struct gate {
    uint16_t offset_low, selector, flags, offset_middle;
    uint32_t offset_high, reserved;
};

_Static_assert(VECTORS * sizeof(struct gate) == EXCEPTION_TABLE_BYTES);

extern const uint8_t exception_stubs[];
_Noreturn void exception_load(const struct trap_frame *frame);

static struct gate *idt; /* VECTORS of them, in a page that stays where it is */
static exception_handler *handlers[VECTORS];
static void (*exit_handler)(void);
static uint32_t reserved[VECTORS];
static uint64_t dropped; /* interrupts without a handler */

void (*exception_unwind_resume)(void);

enum err exception_bind(unsigned vector, exception_handler *handler)
{
    if (vector >= VECTORS)
        return ERR_RANGE;
    return loader_bind(&handlers[vector], handler);
}

enum err exception_bind_exit(void (*handler)(void))
{
    return loader_bind(&exit_handler, handler);
}

unsigned exception_vector_new(void)
{
    for (unsigned vector = FIRST_VECTOR; vector <= LAST_VECTOR; vector++)
        if (!__atomic_exchange_n(&reserved[vector], 1, __ATOMIC_ACQ_REL))
            return vector;
    return 0;
}

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

void exception_dispatch(struct trap_frame *frame)
{
    struct cpu *cpu = cpu_this();
    unsigned vector = (uint8_t)frame->vector;
    exception_handler *handler = handlers[vector];

    cpu->interrupt_depth++;
    if (vector < EXCEPTIONS) {
        *cpu->fault_stack_ist -= CPU_FAULT_STEP;
        if (!handler || *cpu->fault_stack_ist < (uint64_t)cpu->fault_stack_low)
            unhandled(frame);
        handler(frame);
        *cpu->fault_stack_ist += CPU_FAULT_STEP;
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
    if (!cpu->interrupt_depth && exit_handler)
        exit_handler();
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
    if (on_fault_stack(cpu, here)) {
        uint64_t top = (uint64_t)cpu->fault_stack_top, used = on_fault_stack(cpu, copy.rsp) ? top - copy.rsp : 0;
        *cpu->fault_stack_ist = top - (used + CPU_FAULT_STEP - 1) / CPU_FAULT_STEP * CPU_FAULT_STEP;
        if (cpu->interrupt_depth)
            cpu->interrupt_depth--;
    }
    exception_load(&copy);
}

static void set_gate(unsigned vector, unsigned ist)
{
    uint64_t stub = (uint64_t)exception_stubs + vector * STUB_BYTES;

    idt[vector] = (struct gate){
        .offset_low = (uint16_t)stub,
        .selector = CODE_SELECTOR,
        .flags = (uint16_t)(GATE_PRESENT | ist),
        .offset_middle = (uint16_t)(stub >> 16),
        .offset_high = (uint32_t)(stub >> 32),
    };
}

void exception_point_gates(void)
{
    for (unsigned vector = 0; vector < VECTORS; vector++)
        set_gate(vector, vector < EXCEPTIONS ? 1 : 0);
    set_gate(EXCEPTION_NMI, 2);
    set_gate(EXCEPTION_DF, 3);
    set_gate(EXCEPTION_MC, 3);
}

void exception_load_table(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) pointer = {VECTORS * sizeof *idt - 1, (uint64_t)idt};

    __asm__ volatile("lidt %0" ::"m"(pointer));
}

void exception_init(void *page)
{
    idt = page;
    exception_point_gates();
    exception_load_table();
}
