/* Access to the CPU from C: per-CPU data behind GS, the clock, interrupt flag, ports, parking. No scheduling, no APIC.
 * Invariant: GS base of a CPU always points to its struct cpu, once cpu_init_early or cpu_init has returned. */
#pragma once
#include "cells/cell.h"

#define CPU_MAX               16
#define CPU_FAULT_STACK_BYTES 0xc000
#define CPU_FAULT_STEP        0x4000 /* a fault within a fault handler gets the next; nobody handles the last */
#define CPU_IST_BYTES         0x2000 /* the stack of NMIs, which follows that of faults, and that of machine checks */
#define CPU_AREA_BYTES        512    /* data and descriptor tables of a CPU */
#define CPU_HANG_MS           4000   /* without a tick: longer than anything keeps interrupts off, on a busy host too */

struct task;
struct lock;

#define CPU_LOCKS 8 /* nested spin locks that are remembered */

enum cpu_parked {
    CPU_RUNS = 0,
    CPU_PARKED = 1, /* in cpu_park */
    CPU_HALTED = 2, /* for ever */
};

/* Per-CPU data; GS base points to it. Assembly knows the first fields by offset. */
struct cpu {
    struct cpu *self;  /* gs:0 */
    struct task *task; /* gs:8, the running task, NULL before the scheduler runs */
    uint32_t index;    /* gs:16, 0 for the boot processor */
    uint32_t apic_id;
    uint32_t interrupt_depth;   /* > 0 inside an interrupt or exception handler */
    uint32_t preempt_off;       /* > 0: the timer must not switch */
    uint32_t lock_depth;        /* spin locks held with interrupts off */
    uint32_t reschedule;        /* 1: a task was woken; read at the end of an interrupt */
    uint64_t exception_entries; /* in a row, without a handler reached */
    uint8_t *fault_stack_top;   /* IST 1, highest address */
    uint8_t *fault_stack_low;
    uint64_t *fault_stack_ist;     /* the field of the TSS from which the CPU reads the top of IST 1 */
    uint64_t stack_low, stack_top; /* the stack it started on, later that of its idle task */
    struct arena_cpu *record;      /* NULL before the smp cell has made it */
    uint32_t parked;               /* enum cpu_parked */
    uint32_t parked_round;         /* that it is or was parked for last */
    uint64_t parked_rsp;           /* while it is parked: its stack is in use from here up */
    struct lock *held[CPU_LOCKS];  /* the first lock_depth of them, outermost first */
    uint64_t lock_looks;           /* changes while it waits for a lock */
    uint64_t waits;                /* for other CPUs, that have taken a while */
    uint32_t waits_for;            /* index of the CPU that it waits for now, plus one; its own: for any of them */
};

/* The running CPU. Valid as long as the task cannot move: with interrupts or preemption off. */
static inline struct cpu *cpu_this(void)
{
    struct cpu *cpu;
    __asm__ volatile("mov %%gs:0, %0" : "=r"(cpu));
    return cpu;
}

/* The running task; NULL before the scheduler runs. One instruction, so that the answer is right even when the task
 * moves to another CPU; cpu_this()->task reads twice, and may return another CPU's task. */
static inline struct task *cpu_task(void)
{
    struct task *task;
    __asm__ volatile("mov %%gs:8, %0" : "=r"(task));
    return task;
}

struct cpu *cpu_get(unsigned index); /* NULL: there is none */
unsigned cpu_count(void);            /* CPUs that are initialized */
/* The CPU that runs the task, or NULL. Good for as long as CPUs are parked. */
static inline const struct cpu *cpu_running(const struct task *task)
{
    for (unsigned i = 0; i < cpu_count(); i++)
        if (cpu_get(i) && cpu_get(i)->task == task)
            return cpu_get(i);
    return NULL;
}

/* ---- GDT, TSS, fault stacks and data behind GS ---- */

/* Initializes the boot processor with memory that the caller keeps: CPU_AREA_BYTES zeroed bytes, and one stack for all
 * exceptions. Once, before any lock is taken. */
void cpu_init_early(void *memory, void *stack_top);
/* Moves the boot processor's tables and fault stacks to pages of their own. Once pages can be mapped. ERR_NOMEM:
 * nothing changed. */
enum err cpu_move_tables(void);
/* Allocates the data of another processor; it is never freed. NULL: memory is out, or `index` is out of range. */
struct cpu *cpu_new(unsigned index, uint32_t apic_id);
/* Initializes the running processor with what cpu_new has returned for it. ERR_INVALID: its index is in use. */
enum err cpu_init(struct cpu *cpu);

/* ---- parking ---- */

/* The number of the round of parking that cpu_unpark will end next. */
uint32_t cpu_park_round(void);
/* Waits until cpu_unpark ends this round; then flushes the TLB and serializes. Returns at once when it has ended.
 * Interrupts off. */
void cpu_park(uint32_t round);
/* Called by CPUs again and again while they wait there. What it runs may be rewritten meanwhile, so that its function
 * calls nothing, and refers to nothing but data of its own cell, unless it knows that nothing is rewritten just then.
 * Set through edge_bind. */
extern void (*cpu_park_hook)(void);
/* Ends the round, and with it the wait of all CPUs that are in cpu_park now. */
void cpu_unpark(void);

/* ---- clock ---- */

/* Sets the rate of the TSC. Once, after it was measured, before other CPUs run. Until then it counts as 8 GHz, so that
 * the clock is slow and never has to be set back. */
void cpu_set_tsc_hz(uint64_t hz);
/* Nanoseconds since boot, from the TSC; never decreases. */
uint64_t cpu_ns(void);
static inline uint64_t cpu_tsc(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

/* ---- interrupts, ports, model-specific registers ---- */

/* Turns interrupts off. Returns RFLAGS from before, for cpu_interrupts_restore. */
static inline uint64_t cpu_interrupts_save(void)
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
/* Turns interrupts off until the end of the scope: GUARD(interrupts) off = interrupts_off(). */
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
/* What CPUID says for leaf `number`, subleaf 0. */
struct cpu_leaf {
    uint32_t a, b, c, d;
};
#define CPU_HAS_CRC32 (1u << 20) /* leaf 1, c: SSE4.2 */
static inline struct cpu_leaf cpu_leaf(uint32_t number)
{
    struct cpu_leaf leaf = {.a = number};
    __asm__ volatile("cpuid" : "+a"(leaf.a), "=b"(leaf.b), "+c"(leaf.c), "=d"(leaf.d));
    return leaf;
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

#define MSR_GS_BASE 0xc0000101

/* Has what GS points to say again where it is: whatever was written over it, cpu_this() is right from now on. */
static inline void cpu_mend_self(void)
{
    __asm__ volatile("mov %0, %%gs:0" ::"r"(cpu_msr_read(MSR_GS_BASE)) : "memory");
}
