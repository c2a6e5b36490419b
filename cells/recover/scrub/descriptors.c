/* What the CPUs read without being told to: the IDT, which they share, and each one's GDT and TSS. What each must be
 * follows from where the entry stubs and the CPU's own data are. */
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/tables.h"
#include "cells/core/exception/gate.h"
#include "cells/core/loader/loader.h"
#include "cells/lib/format/format.h"
#include "cells/lib/string/string.h"
#include "cells/recover/scrub/inside.h"
#include "cells/task/park/park.h"

#define STEP_WORK 4096

/* What was put right. */
struct repair {
    uint64_t address; /* of the first word that differed */
    uint32_t count;
};

typedef uint32_t __attribute__((may_alias)) word; /* of whatever a table consists of */

/* Writes the word where another one is. Without `write` it only counts. */
static void put_word(word *at, uint32_t right, bool write, struct repair *repair)
{
    if (*at == right)
        return;
    if (write)
        *at = right;
    if (repair->count++ == 0)
        repair->address = (uint64_t)at;
}

static void put_words(void *at, const void *right, size_t bytes, bool write, struct repair *repair)
{
    for (size_t i = 0; i < bytes / 4; i++)
        put_word((word *)at + i, ((const word *)right)[i], write, repair);
}

/* ---- the IDT ---- */

static struct exception_gate *idt(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) pointer;

    __asm__ volatile("sidt %0" : "=m"(pointer));
    return (struct exception_gate *)pointer.base;
}

static struct repair compare_gates(bool write)
{
    struct section_ref stubs = scrub_section("exception", EXCEPTION_STUBS_SECTION);
    struct exception_gate *gates = idt();
    struct repair repair = {0};

    if (!arena_sound(stubs) || arena_section(stubs)->bytes != EXCEPTION_STUBS_BYTES)
        return repair;
    uint64_t start = arena_section(stubs)->virt;
    for (unsigned vector = 0; vector < EXCEPTION_VECTORS; vector++) {
        struct exception_gate right = exception_gate(start, vector);
        put_words(&gates[vector], &right, sizeof right, write, &repair);
    }
    return repair;
}

/* ---- the GDT and the TSS of a CPU ---- */

/* The stack of a CPU must say itself where it is: two of its fields depend on each other. */
static struct repair compare_cpu(struct cpu *cpu, bool write)
{
    struct cpu_tables *tables = cpu_tables(cpu);
    const struct cpu_gdt gdt = cpu_right_gdt(tables);
    const uint64_t ldt = CPU_CODE_DESCRIPTOR;
    struct repair repair = {0};

    put_words(&tables->gdt, &gdt, sizeof gdt, write, &repair);
    put_words(&tables->ldt, &ldt, sizeof ldt, write, &repair);
    if (cpu->fault_stack_top - cpu->fault_stack_low == CPU_FAULT_STACK_BYTES) {
        const struct cpu_tss tss = cpu_right_tss(cpu, &tables->tss, (uint64_t)cpu->fault_stack_top);
        put_words(&tables->tss, &tss, sizeof tss, write, &repair);
    }
    return repair;
}

/* ---- */

static void report(const char *cell, const char *place, const struct repair *repair)
{
    if (repair->count)
        scrub_report((struct fault_damage){.cell = arena_cell_find(NAMESPACE_ROOT, cell),
                                           .address = repair->address,
                                           .place = place},
                     repair->count, "words");
}

static struct repair repair_gates(void)
{
    GUARD(loader) locked = loader_hold(); /* a swap of exception points the gates to other stubs */
    GUARD(park) parked = park_all();

    return compare_gates(true);
}

static struct repair repair_cpu(struct cpu *cpu)
{
    GUARD(park) parked = park_all();

    return compare_cpu(cpu, true);
}

static unsigned cpu_at; /* number of the next CPU; behind the last one: the pass has ended */

uint32_t scrub_descriptors(void)
{
    unsigned now = cpu_at++;
    char place[32];

    if (now == 0 && compare_gates(false).count) {
        struct repair repair = repair_gates();
        report("exception", "IDT", &repair);
    }
    struct cpu *cpu = cpu_get(now);
    if (!cpu || now >= cpu_count()) {
        cpu_at = 0;
        return 0;
    }
    if (compare_cpu(cpu, false).count) {
        struct repair repair = repair_cpu(cpu);
        format_print(place, sizeof place, "GDT and TSS of CPU %u", now);
        report("cpu", place, &repair);
    }
    return now == 0 ? STEP_WORK : STEP_WORK / 16;
}
