/* Attacks exception entry: every register is restored, faults nest, the counts of depth end where they began, and an
 * interrupt without a handler does no harm. */
#include "cells/core/edge/edge.h"
#include "cells/core/exception/exception.h"
#include "cells/core/vector/vector.h"
#include "tests/guest/check.h"

CELL("test_exception", KERNEL, 1);

#define SKIP_UD 2

static volatile unsigned undefined, interrupts, exits, deepest;
static struct trap_frame seen;

static void on_undefined(struct trap_frame *frame)
{
    undefined++;
    seen = *frame;
    if (cpu_this()->interrupt_depth > deepest)
        deepest = cpu_this()->interrupt_depth;
    if (frame->rax == 0x77) /* fault once more, inside of the handler */
        __asm__ volatile("movl $0, %%eax; ud2" ::: "rax", "memory");
    frame->rip += SKIP_UD;
}

static void on_interrupt(struct trap_frame *frame)
{
    interrupts++;
    seen = *frame;
}

static void on_exit(void)
{
    exits++;
    CHECK(cpu_this()->interrupt_depth == 0);
}

/* Runs `ud2` with known registers and counts those that differ afterwards. */
static uint64_t registers_after_fault(void)
{
    uint64_t wrong;

    __asm__ volatile(
        "xorl %%eax, %%eax\n\t"
        "movl $2, %%ebx; movl $3, %%ecx; movl $4, %%edx; movl $5, %%esi; movl $6, %%edi; movl $8, %%r8d\n\t"
        "movl $9, %%r9d; movl $10, %%r10d; movl $11, %%r11d; movl $12, %%r12d; movl $13, %%r13d\n\t"
        "movl $14, %%r14d; movl $15, %%r15d\n\t"
        "stc; ud2; adcq $0, %%rax; decq %%rax\n\t" /* 0 when the carry was restored too */
        "subq $2, %%rbx; orq %%rbx, %%rax; subq $3, %%rcx; orq %%rcx, %%rax; subq $4, %%rdx\n\t"
        "orq %%rdx, %%rax; subq $5, %%rsi; orq %%rsi, %%rax; subq $6, %%rdi; orq %%rdi, %%rax\n\t"
        "subq $8, %%r8; orq %%r8, %%rax; subq $9, %%r9; orq %%r9, %%rax; subq $10, %%r10\n\t"
        "orq %%r10, %%rax; subq $11, %%r11; orq %%r11, %%rax; subq $12, %%r12; orq %%r12, %%rax\n\t"
        "subq $13, %%r13; orq %%r13, %%rax; subq $14, %%r14; orq %%r14, %%rax; subq $15, %%r15\n\t"
        "orq %%r15, %%rax"
        : "=a"(wrong)::"rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cc",
          "memory");
    return wrong;
}

static void test_faults(void)
{
    struct cpu *cpu = cpu_this();

    CHECK(registers_after_fault() == 0 && undefined == 1);
    CHECK(seen.vector == EXCEPTION_UD && seen.error_code == 0 && seen.r15 == 15 && seen.rbx == 2);
    __asm__ volatile("movl $0x77, %%eax; ud2" ::: "rax", "memory");
    CHECK(undefined == 3 && deepest == 2);
    CHECK(cpu->interrupt_depth == 0 && *cpu->fault_stack_ist == (uint64_t)cpu->fault_stack_top);
}

static void test_interrupts(void)
{
    unsigned vector = vector_new(), second = vector_new();

    CHECK(vector >= 32 && second > vector);
    CHECK(vector_bind(0xe8, on_interrupt) == ERR_OK && edge_bind(&exception_exit, on_exit) == ERR_OK);
    __asm__ volatile("int $0xe8" ::: "memory");
    CHECK(interrupts == 1 && exits == 1 && seen.vector == 0xe8);
    CHECK(vector_bind(0xe8, NULL) == ERR_OK);
    __asm__ volatile("int $0xe8; int $0x20; int $0xff" ::: "memory");
    CHECK(interrupts == 1 && exits == 4);
    CHECK(edge_bind(&exception_exit, NULL) == ERR_OK);
    CHECK(vector_bind(256, on_interrupt) == ERR_RANGE);
    while (vector_new())
        ;
    CHECK(vector_new() == 0);
}

static volatile unsigned resumed;

static __attribute__((noinline)) void after_resume(void)
{
    resumed++;
}

/* The handler never returns: it resumes elsewhere, on the stack of the fault. */
static void on_breakpoint(struct trap_frame *frame)
{
    frame->rbx = frame->rip;
    frame->rip = frame->rdi;
    frame->rsp -= 8;
    *(uint64_t *)frame->rsp = frame->rbx; /* so that it looks like a call */
    exception_resume(frame);
}

static void test_resume(void)
{
    struct cpu *cpu = cpu_this();

    CHECK(vector_bind(3, on_breakpoint) == ERR_OK);
    for (unsigned i = 0; i < 100; i++)
        __asm__ volatile("movq %%rsp, %%r12; andq $-16, %%rsp; int3; movq %%r12, %%rsp" ::"D"(after_resume)
                         : "rax", "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "memory");
    CHECK(resumed == 100 && cpu->interrupt_depth == 0);
    CHECK(*cpu->fault_stack_ist == (uint64_t)cpu->fault_stack_top);
}

static int test_exception(int argc, char **argv)
{
    (void)argc, (void)argv;
    CHECK(vector_bind(EXCEPTION_UD, on_undefined) == ERR_OK);
    test_faults();
    test_interrupts();
    test_resume();
    CHECK(panic_at((uint64_t)panic) == false);
    check_end("test_exception");
}
MAIN(test_exception);
