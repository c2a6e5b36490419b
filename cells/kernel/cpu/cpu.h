/* The CPU as C sees it: per-CPU data behind GS, time stamps, interrupt flag, ports. No scheduling, no APIC. */
#pragma once
#include "cells/cell.h"

#define CPU_MAX               16
#define CPU_FAULT_STACK_BYTES 0x8000
#define CPU_FAULT_STEP        0x4000 /* a fault within a fault handler gets the next such part of the stack */
#define CPU_AREA_BYTES        512    /* data and descriptor tables of a CPU */

struct task;
struct lock;

#define CPU_LOCKS 8 /* nested spin locks that are remembered */

enum cpu_parked {
    CPU_RUNS = 0,
    CPU_PARKED = 1, /* in cpu_park; forgets its whole TLB before it goes on */
    CPU_HALTED = 2, /* for ever */
};

/* Per-CPU data; GS base points to it. Assembly knows the first fields by offset. */
struct cpu {
    struct cpu *self;  /* gs:0 */
    struct task *task; /* gs:8, the running task, NULL before the scheduler runs */
    uint32_t index;    /* gs:16, 0 for the boot processor */
    uint32_t apic_id;
    uint32_t interrupt_depth; /* > 0 inside an interrupt or exception handler */
    uint32_t preempt_off;     /* > 0: the timer must not switch */
    uint32_t lock_depth;      /* spin locks held with interrupts off */
    uint32_t reschedule;      /* set by whoever wakes a task; looked at on the way out of an interrupt */
    void *scheduler_private;
    uint8_t *fault_stack_top; /* IST 1, highest address */
    uint8_t *fault_stack_low;
    uint64_t *fault_stack_ist;     /* where the CPU reads the start of IST 1 */
    uint64_t stack_low, stack_top; /* the stack it came up on, later that of its idle task */
    struct arena_cpu *record;      /* NULL before the smp cell has made it */
    uint32_t parked;               /* enum cpu_parked */
    uint64_t parked_rsp;           /* while it is: its stack is in use from here on */
    struct lock *held[CPU_LOCKS];  /* the first lock_depth of them, outermost first */
};

static inline struct cpu *cpu_this(void)
{
    struct cpu *cpu;
    __asm__ volatile("mov %%gs:0, %0" : "=r"(cpu));
    return cpu;
}

/* The running task, NULL before the scheduler runs. One instruction, so that the answer holds wherever the task goes on;
 * through cpu_this it would be another's as soon as the task has moved between the two reads. */
static inline struct task *cpu_task(void)
{
    struct task *task;
    __asm__ volatile("mov %%gs:8, %0" : "=r"(task));
    return task;
}

struct cpu *cpu_get(unsigned index); /* NULL when there is none */
unsigned cpu_count(void);            /* CPUs that came up */
/* A CPU's GDT, TSS, fault stacks and data behind GS. The boot processor has cpu_init_early with zeroed memory that the
 * caller lends it and with one stack for all exceptions, and cpu_settle as soon as pages can be mapped. For another one
 * somebody else calls cpu_new (NULL: memory is out), and then it, on itself, cpu_init. */
void cpu_init_early(void *memory, void *stack_top);
enum err cpu_settle(void);
struct cpu *cpu_new(unsigned index, uint32_t apic_id);
enum err cpu_init(struct cpu *cpu);

/* Interrupts off: stands still until cpu_unpark; then forgets its TLB and serializes. */
void cpu_park(void);
void cpu_unpark(void); /* lets all go on that stand in cpu_park now */

/* The rate of the TSC, once measured and before other CPUs run; until then it counts as 8 GHz, so that the clock is slow
 * and never has to go back. */
void cpu_set_tsc_hz(uint64_t hz);
uint64_t cpu_ns(void); /* monotonic, since boot, from the TSC */
static inline uint64_t cpu_tsc(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

static inline uint64_t cpu_interrupts_save(void) /* off; returns the flags from before */
{
    uint64_t rflags;
    __asm__ volatile("pushfq; popq %0; cli" : "=r"(rflags)::"memory");
    return rflags;
}
static inline void cpu_interrupts_restore(uint64_t rflags)
{
    if (rflags & 0x200)
        __asm__ volatile("sti" ::: "memory");
}
/* GUARD(interrupts) off = interrupts_off(): off until the end of the scope, then as before. */
struct interrupts_guard {
    uint64_t rflags;
};
static inline struct interrupts_guard interrupts_off(void)
{
    return (struct interrupts_guard){cpu_interrupts_save()};
}
static inline void interrupts_guard_end(struct interrupts_guard *guard)
{
    cpu_interrupts_restore(guard->rflags);
}
static inline void cpu_relax(void)
{
    __asm__ volatile("pause" ::: "memory");
}
static inline uint8_t cpu_in8(uint16_t port)
{
    uint8_t v;
    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}
static inline void cpu_out8(uint16_t port, uint8_t v)
{
    __asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port));
}
static inline uint64_t cpu_msr_read(uint32_t msr)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}
static inline void cpu_msr_write(uint32_t msr, uint64_t v)
{
    __asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}
