/* See fault.h. What a CPU knows of itself is in one place, which all that deals with a fault uses. Here is a second.
 * Calls no other cell. */
#include "cells/core/cpu/tables.h"
#include "cells/recover/fault/fault.h"

/* What stays as it is once the CPU has its record. */
struct self {
    struct cpu *cpu; /* NULL: not known */
    uint32_t index, apic_id;
    uint8_t *fault_stack_top, *fault_stack_low;
    uint64_t *fault_stack_ist;
    struct arena_cpu *record;
};

#define SELF_WORDS (sizeof(struct self) / sizeof(uint64_t))
_Static_assert(sizeof(struct self) % sizeof(uint64_t) == 0);

static struct copy {
    union {
        struct self self;
        uint64_t word[SELF_WORDS];
    };
    uint64_t check;
} copies[CPU_MAX];

static uint64_t check_of(const struct copy *copy)
{
    uint64_t check = 1;

    for (size_t i = 0; i < SELF_WORDS; i++)
        check = (check ^ copy->word[i]) * 0x100000001b3;
    return check;
}

static struct copy read_self(struct cpu *cpu)
{
    return (struct copy){.self = {cpu, cpu->index, cpu->apic_id, cpu->fault_stack_top, cpu->fault_stack_low,
                                  cpu->fault_stack_ist, cpu->record}};
}

static void write_self(struct cpu *cpu, const struct self *self)
{
    cpu->index = self->index;
    cpu->apic_id = self->apic_id;
    cpu->fault_stack_top = self->fault_stack_top;
    cpu->fault_stack_low = self->fault_stack_low;
    cpu->fault_stack_ist = self->fault_stack_ist;
    cpu->record = self->record;
}

static struct copy *find_copy(const struct cpu *cpu)
{
    for (size_t i = 0; i < CPU_MAX; i++)
        if (copies[i].self.cpu == cpu && copies[i].check == check_of(&copies[i]))
            return &copies[i];
    return NULL;
}

/* Another CPU's copy stays. */
static void make_copy(struct copy now)
{
    struct copy *copy = &copies[now.self.index % CPU_MAX];

    if (!now.self.record || now.self.index >= CPU_MAX || (copy->self.cpu && copy->check == check_of(copy)))
        return;
    now.check = check_of(&now);
    *copy = now;
}

bool fault_mend_cpu(void)
{
    struct cpu *cpu = cpu_this();
    const struct copy now = read_self(cpu), *copy = find_copy(cpu);
    bool wrong = false;

    if (!copy) {
        make_copy(now);
        return false;
    }
    for (size_t i = 0; i < SELF_WORDS; i++)
        wrong |= now.word[i] != copy->word[i];
    if (wrong)
        write_self(cpu, &copy->self);
    return wrong;
}

void fault_mend_tables(void)
{
    struct cpu *cpu = cpu_this();
    struct cpu_tables *tables = cpu_tables(cpu);

    tables->gdt = cpu_right_gdt(tables);
    tables->ldt = CPU_CODE_DESCRIPTOR;
    tables->tss = cpu_right_tss(cpu, &tables->tss, (uint64_t)cpu->fault_stack_top - CPU_FAULT_STEP);
}
