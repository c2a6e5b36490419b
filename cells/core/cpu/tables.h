/* What the descriptor tables of a CPU must be, for whoever writes or compares them. */
#pragma once
#include "cells/core/cpu/cpu.h"

#define CPU_CODE_SELECTOR 0x08
#define CPU_DATA_SELECTOR 0x10
#define CPU_TSS_SELECTOR  0x18
#define CPU_LDT_SELECTOR  0x28
/* Of the LDT, which the CPU finds though the GDT is damaged: code for the handler of general protection faults, which
 * is what each interrupt turns into then. */
#define CPU_SPARE_CODE_SELECTOR 0x04

/* The task state segment (AMD64 manual, volume 2, section 12.2.5). */
struct cpu_tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3, io_map;
} __attribute__((packed));

/* None, code, data, and the TSS and the LDT in two words each. */
struct cpu_gdt {
    uint64_t word[7];
};

/* The descriptor tables of a CPU, behind its struct cpu. But for ist[0] (exception.h) and what the CPU itself sets they
 * do not change once they are in use. */
struct cpu_tables {
    struct cpu_gdt gdt;
    uint64_t ldt; /* code */
    uint32_t pad; /* so that the stack pointers in the TSS are aligned */
    struct cpu_tss tss;
};

static inline struct cpu_tables *cpu_tables(struct cpu *cpu)
{
    return (struct cpu_tables *)(cpu + 1);
}

#define CPU_BUSY            (1ull << 41)          /* of the TSS: set by ltr, which refuses one that is */
#define CPU_CODE_DESCRIPTOR 0x00af9b000000ffffull /* accessed, as the CPU would set it */
#define CPU_DATA_DESCRIPTOR 0x00cf93000000ffffull

/* Of a system segment (AMD64 manual, volume 2, section 4.8.3), the first of its two words; the other is the high half
 * of the address. */
static inline uint64_t cpu_system_descriptor(const void *start, size_t bytes, uint64_t type)
{
    uint64_t at = (uint64_t)start;

    return (bytes - 1) | (at & 0xffffff) << 16 | (0x80 | type) << 40 | (at >> 24 & 0xff) << 56;
}

/* What the GDT must be while it is in use: the TSS is busy. */
static inline struct cpu_gdt cpu_right_gdt(const struct cpu_tables *tables)
{
    return (struct cpu_gdt){{
        0,
        CPU_CODE_DESCRIPTOR,
        CPU_DATA_DESCRIPTOR,
        cpu_system_descriptor(&tables->tss, sizeof tables->tss, 11),
        (uint64_t)&tables->tss >> 32,
        cpu_system_descriptor(&tables->ldt, sizeof tables->ldt, 2),
        (uint64_t)&tables->ldt >> 32,
    }};
}

/* Whether `top` is one of the steps of the CPU's fault stack (exception.h). */
static inline bool cpu_is_step(const struct cpu *cpu, uint64_t top)
{
    uint64_t used = (uint64_t)cpu->fault_stack_top - top;

    return used <= CPU_FAULT_STACK_BYTES && used % CPU_FAULT_STEP == 0;
}

/* What the TSS must be, whose first stack of exceptions stays as it is if it can be that, and else becomes `step`. */
static inline struct cpu_tss cpu_right_tss(const struct cpu *cpu, const struct cpu_tss *tss, uint64_t step)
{
    uint64_t top = (uint64_t)cpu->fault_stack_top;

    return (struct cpu_tss){
        .ist = {cpu_is_step(cpu, tss->ist[0]) ? tss->ist[0] : step, top + CPU_IST_BYTES, top + 2 * CPU_IST_BYTES},
        .io_map = sizeof *tss};
}
