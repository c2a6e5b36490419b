/* See apic.h, local.h. Uses the registers in memory, or the MSRs where firmware has switched to x2APIC. What is found
 * at init does not change. */
#include "cells/task/apic/local.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/page/page.h"
#include "cells/task/acpi/madt.h"
#include "cells/task/apic/apic.h"

EXPORT(apic_start_cpu, KERNEL);
EXPORT(apic_eoi, DRIVER);
EXPORT(apic_end_interrupts, KERNEL);
EXPORT(apic_in_service, KERNEL);
EXPORT(apic_id, KERNEL);
EXPORT(apic_command, KERNEL);
EXPORT(apic_timer_left, KERNEL);
EXPORT(apic_processors, KERNEL);

#define MSR_BASE        0x1b
#define BASE_ENABLE     (1ull << 11)
#define BASE_X2APIC     (1ull << 10)
#define BASE_ADDRESS    0x000ffffffffff000ull
#define MSR_X2APIC      0x800
#define LOCAL_DEFAULT   0xfee00000ul
#define SPURIOUS        0xff
#define SPURIOUS_ENABLE 0x100
#define COMMAND_BUSY    0x1000

#define IN_SERVICE_WORDS 8

static struct mapped_pages *local_pages;
static volatile uint32_t *local; /* NULL: x2APIC */
static uint32_t processor[CPU_MAX];
static size_t processors;
SET_ONCE(local_pages);
SET_ONCE(local);
SET_ONCE(processor);
SET_ONCE(processors);

uint32_t local_read(enum local_register reg)
{
    return local ? local[reg * 4] : (uint32_t)cpu_msr_read(MSR_X2APIC + reg);
}

void local_write(enum local_register reg, uint32_t value)
{
    if (local)
        local[reg * 4] = value;
    else
        cpu_msr_write(MSR_X2APIC + reg, value);
}

void apic_command(uint32_t id, uint32_t word)
{
    if (!local) {
        cpu_msr_write(MSR_X2APIC + REG_COMMAND, (uint64_t)id << 32 | word);
        return;
    }
    uint64_t rflags = cpu_interrupts_save(); /* two writes: no interrupt handler's in between */
    uint32_t before = word == APIC_NMI ? local[REG_COMMAND_HIGH * 4] : 0; /* this may be in an NMI between the two */
    while (local[REG_COMMAND * 4] & COMMAND_BUSY)
        cpu_relax();
    local[REG_COMMAND_HIGH * 4] = id << 24;
    local[REG_COMMAND * 4] = word;
    if (word == APIC_NMI)
        local[REG_COMMAND_HIGH * 4] = before;
    cpu_interrupts_restore(rflags);
}

void apic_start_cpu(void)
{
    cpu_msr_write(MSR_BASE, cpu_msr_read(MSR_BASE) | BASE_ENABLE);
    local_write(REG_PRIORITY, 0);
    local_write(REG_LINT0, LOCAL_MASKED);
    local_write(REG_LINT1, LOCAL_NMI);
    local_write(REG_TIMER, LOCAL_MASKED);
    local_write(REG_SPURIOUS, SPURIOUS_ENABLE | SPURIOUS);
}

void apic_eoi(void)
{
    local_write(REG_EOI, 0);
}

unsigned apic_in_service(void)
{
    for (unsigned i = IN_SERVICE_WORDS; i-- > 0;) {
        uint32_t bits = local_read((enum local_register)(REG_IN_SERVICE + i));
        if (bits)
            return i * 32 + 31 - (unsigned)__builtin_clz(bits);
    }
    return 0;
}

/* Each end of interrupt is that of the highest vector; handlers do not nest, so that one is enough as a rule. */
void apic_end_interrupts(void)
{
    for (unsigned i = 0; i < IN_SERVICE_WORDS * 32 && apic_in_service(); i++)
        apic_eoi();
}

uint32_t apic_id(void)
{
    return local ? local_read(REG_ID) >> 24 : local_read(REG_ID);
}

uint32_t apic_timer_left(void)
{
    return local_read(REG_TIMER_NOW);
}

size_t apic_processors(uint32_t *ret_ids, size_t max)
{
    size_t count = processors < max ? processors : max;

    for (size_t i = 0; i < count; i++)
        ret_ids[i] = processor[i];
    return count;
}

/* ---- start ---- */

static void mask_pic(void)
{
    static const struct {
        uint16_t port;
        uint8_t value;
    } steps[] = {
        {0x20, 0x11}, {0xa0, 0x11}, {0x21, 0x20}, {0xa1, 0x28}, {0x21, 0x04},
        {0xa1, 0x02}, {0x21, 0x01}, {0xa1, 0x01}, {0x21, 0xff}, {0xa1, 0xff},
    };

    for (size_t i = 0; i < array_size(steps); i++)
        cpu_out8(steps[i].port, steps[i].value);
}

static void add_processor(uint32_t id, uint32_t flags)
{
    for (size_t i = 0; i < processors; i++)
        if (processor[i] == id)
            return;
    if (flags & MADT_USABLE && processors < CPU_MAX && (id < 0xff || !local))
        processor[processors++] = id;
}

static void find_processors(void)
{
    const struct madt *madt = madt_find();
    struct madt_entry entry;

    add_processor(apic_id(), MADT_USABLE);
    for (size_t at = 0; madt_next(madt, &at, &entry);) {
        if (entry.type == MADT_LOCAL)
            add_processor(entry.local.id, entry.local.flags);
        else if (entry.type == MADT_X2APIC)
            add_processor(entry.x2apic.id, entry.x2apic.flags);
    }
}

enum err local_init(void)
{
    uint64_t base = cpu_msr_read(MSR_BASE);

    if (!(base & BASE_X2APIC)) {
        uint64_t phys = base & BASE_ADDRESS ?: LOCAL_DEFAULT;
        local_pages = page_map_device(phys, 4096, PAGE_WRITE | PAGE_UNCACHED);
        if (!local_pages)
            return ERR_NOMEM;
        local = page_start(local_pages);
    }
    mask_pic();
    apic_start_cpu();
    cpu_this()->apic_id = apic_id();
    find_processors();
    return ERR_OK;
}
