/* See cpu.h. Invariant: what a CPU's own registers point to (tables, per-CPU data, fault stacks) is in mapped pages, so
 * that it is not moved when this cell is replaced. Until pages can be mapped, the boot processor uses the image. */
#include "cells/core/cpu/cpu.h"
#include "cells/core/boot/boot.h"
#include "cells/core/cpu/tables.h"
#include "cells/core/exception/exception.h"
#include "cells/core/page/page.h"
#include "cells/core/panic/panic.h"
#include "guest/abi/arena.h"
#include "guest/abi/layout.h"

CELL("cpu", KERNEL, 1);
CORE();
EXPORT(cpu_get, LIBRARY);
EXPORT(cpu_count, LIBRARY);
EXPORT(cpu_new, KERNEL);
EXPORT(cpu_init, KERNEL);
EXPORT(cpu_init_early, KERNEL);
EXPORT(cpu_move_tables, KERNEL);
EXPORT(cpu_ns, APPLICATION);
EXPORT(cpu_set_tsc_hz, KERNEL);
EXPORT(cpu_park, KERNEL);
EXPORT(cpu_park_hook, KERNEL);
EXPORT(cpu_park_round, KERNEL);
EXPORT(cpu_unpark, KERNEL);

struct area {
    struct cpu cpu;
    struct cpu_tables tables;
};
_Static_assert(sizeof(struct area) <= CPU_AREA_BYTES && offsetof(struct area, cpu) == 0);
_Static_assert((offsetof(struct area, tables.tss) + offsetof(struct cpu_tss, ist)) % 8 == 0);

struct stacks {
    uint8_t fault[CPU_FAULT_STACK_BYTES], nmi[CPU_IST_BYTES], machine_check[CPU_IST_BYTES];
};

static struct area *areas[CPU_MAX];
static unsigned count;
SET_ONCE(areas); /* before the machine is ready */
SET_ONCE(count);

static struct {
    uint64_t tsc, ns;                  /* the same moment on both clocks */
    uint64_t scale;                    /* ns per cycle, 32 fraction bits */
} clock = {.scale = (1ull << 32) / 8}; /* of 8 GHz, until the TSC is measured */

struct cpu *cpu_get(unsigned index)
{
    struct area *area = index < CPU_MAX ? areas[index] : NULL;

    return area ? &area->cpu : NULL;
}

unsigned cpu_count(void)
{
    return __atomic_load_n(&count, __ATOMIC_ACQUIRE);
}

static void load_tables(struct area *area)
{
    struct cpu_tables *tables = &area->tables;
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) pointer = {sizeof tables->gdt - 1, (uint64_t)&tables->gdt};

    tables->gdt = cpu_right_gdt(tables);
    tables->gdt.word[CPU_TSS_SELECTOR / 8] &= ~CPU_BUSY;
    tables->ldt = CPU_CODE_DESCRIPTOR;
    tables->tss.io_map = sizeof tables->tss;
    __asm__ volatile("lgdt %0\n\t"
                     "pushq %1\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1:\tmovl %2, %%eax\n\t"
                     "movl %%eax, %%ss\n\t"
                     "ltr %w3\n\t"
                     "lldt %w4" ::"m"(pointer),
                     "i"(CPU_CODE_SELECTOR), "i"(CPU_DATA_SELECTOR), "r"(CPU_TSS_SELECTOR), "r"(CPU_LDT_SELECTOR)
                     : "rax", "memory");
}

static void flush_tlb(void)
{
    uint64_t cr3;

    __asm__ volatile("mov %%cr3, %0; mov %0, %%cr3" : "=r"(cr3)::"memory");
}

static void use_area(struct area *area)
{
    area->cpu.self = &area->cpu;
    areas[area->cpu.index] = area;
    cpu_msr_write(MSR_GS_BASE, (uint64_t)area); /* from here on locks work */
}

static void use_stacks(struct area *area, uint8_t *fault_low, uint8_t *fault_top, uint8_t *nmi_top,
                       uint8_t *machine_check_top)
{
    area->cpu.fault_stack_low = fault_low;
    area->cpu.fault_stack_top = fault_top;
    area->cpu.fault_stack_ist = (void *)((uint8_t *)&area->tables.tss + offsetof(struct cpu_tss, ist));
    area->tables.tss.ist[0] = (uint64_t)fault_top;
    area->tables.tss.ist[1] = (uint64_t)nmi_top;
    area->tables.tss.ist[2] = (uint64_t)machine_check_top;
}

void cpu_init_early(void *memory, void *stack_top)
{
    struct area *area = memory;

    use_area(area);
    use_stacks(area, stack_top, stack_top, stack_top, stack_top);
    clock.tsc = boot_get()->entry_tsc;
    load_tables(area);
    count = 1;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak" /* both are kept for ever: a CPU never leaves */
struct cpu *cpu_new(unsigned index, uint32_t apic_id)
{
    OWN(mapped_pages) struct mapped_pages *area_pages = page_map(sizeof(struct area), PAGE_WRITE);
    OWN(mapped_pages) struct mapped_pages *stack_pages = page_map(sizeof(struct stacks), PAGE_WRITE);

    if (index >= CPU_MAX || !area_pages || !stack_pages)
        return NULL;
    struct area *area = page_start(MOVE(area_pages));
    struct stacks *stacks = page_start(MOVE(stack_pages));
    area->cpu.index = index;
    area->cpu.apic_id = apic_id;
    use_stacks(area, stacks->fault, stacks->fault + sizeof stacks->fault, stacks->nmi + sizeof stacks->nmi,
               stacks->machine_check + sizeof stacks->machine_check);
    return &area->cpu;
}
#pragma GCC diagnostic pop

enum err cpu_move_tables(void)
{
    struct cpu *cpu = cpu_new(0, 0);

    if (!cpu)
        return ERR_NOMEM;
    use_area((struct area *)cpu);
    load_tables((struct area *)cpu);
    return ERR_OK;
}

enum err cpu_init(struct cpu *cpu)
{
    struct area *area = (struct area *)cpu;

    if (areas[cpu->index])
        return ERR_INVALID;
    use_area(area);
    load_tables(area);
    exception_load_table();
    __atomic_fetch_add(&count, 1, __ATOMIC_SEQ_CST);
    flush_tlb(); /* no shootdown has reached this CPU before it was counted */
    return ERR_OK;
}

uint64_t cpu_ns(void)
{
    return clock.ns + (uint64_t)((unsigned __int128)(cpu_tsc() - clock.tsc) * clock.scale >> 32);
}

void cpu_set_tsc_hz(uint64_t hz)
{
    uint64_t rflags = cpu_interrupts_save(), now = cpu_tsc();

    assert(hz >= 1000000);
    clock.ns = (now - boot_get()->entry_tsc) / (hz / 1000000) * 1000;
    clock.tsc = now;
    clock.scale = (1000000000ull << 32) / hz;
    cpu_interrupts_restore(rflags);
}

/* The word for which parked CPUs wait. It is in the arena, which no swap moves: this cell may be replaced meanwhile. */
static uint32_t *park_round(void)
{
    return &((struct arena_header *)(LAYOUT_IMAGE_VIRT + LAYOUT_ARENA_PHYS))->park_round;
}

void (*cpu_park_hook)(void);

uint32_t cpu_park_round(void)
{
    return __atomic_load_n(park_round(), __ATOMIC_ACQUIRE);
}

/* Ends the wait also when a fault does. */
struct wait_guard {
    struct cpu *cpu;
};

static void wait_guard_end(struct wait_guard *wait)
{
    __atomic_store_n(&wait->cpu->parked, CPU_RUNS, __ATOMIC_SEQ_CST);
    flush_tlb();
}

/* Pushes the callers' registers, so that a scan of the stacks finds what they hold. */
void cpu_park(uint32_t round)
{
    struct cpu *cpu = cpu_this();
    void (**hook)(void) = &cpu_park_hook;
    uint32_t a = 0, c = 0;

    __asm__("" : "+r"(hook)); /* not by a relocation of the loop below: a swap of this cell writes those meanwhile */
    if (cpu_park_round() != round)
        return;
    cpu->parked_round = round;
    GUARD(wait) wait = {cpu};
    __asm__ volatile("mov %%rsp, %0" : "=m"(cpu->parked_rsp)::"rbx", "r12", "r13", "r14", "r15", "memory");
    __atomic_store_n(&cpu->parked, CPU_PARKED, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(park_round(), __ATOMIC_ACQUIRE) == round) {
        void (*call)(void) = __atomic_load_n(hook, __ATOMIC_RELAXED);
        if (call)
            call();
        cpu_relax();
    }
    __asm__ volatile("cpuid" : "+a"(a), "+c"(c)::"rbx", "rdx", "memory");
}

void cpu_unpark(void)
{
    __atomic_fetch_add(park_round(), 1, __ATOMIC_SEQ_CST);
}
