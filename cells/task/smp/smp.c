/* See smp.h. A CPU starts in real mode in a copy of trampoline.S in low memory, on page tables that map that page
 * where it is; from there it enters smp_high in 64-bit mode, and arrive(). One CPU starts at a time: `starting` and
 * `smp_entry` are its. */
#include "cells/task/smp/smp.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/frame/frame.h"
#include "cells/core/page/page.h"
#include "cells/core/panic/panic.h"
#include "cells/lib/string/string.h"
#include "cells/task/apic/apic.h"
#include "cells/task/ipi/ipi.h"
#include "cells/task/simd/simd.h"
#include "cells/task/timer/timer.h"
#include "guest/abi/layout.h"
#include "guest/abi/paging.h"

CELL("smp", KERNEL, 1);
EXPORT(smp_start, KERNEL);

#define STACK_BYTES 0x8000
#define INIT_US     10000
#define STARTUP_US  200
#define ANSWER_US   2000000
#define LOW_TABLES  3 /* pages: top, pointers, directory */

extern const uint8_t smp_trampoline[], smp_trampoline_end[];
extern const uint8_t smp_trampoline_root[], smp_trampoline_high[]; /* in it: 32 bits and 64 bits */
void smp_high(void);

/* What smp_high loads; assembly knows the offsets. */
struct smp_entry {
    uint64_t page_root;
    uint64_t stack_top;
    void (*enter)(void); /* never returns */
};
extern struct smp_entry smp_entry;
struct smp_entry smp_entry;

static struct {
    void (*entry)(unsigned index);
    struct mapped_pages *stack;
    struct cpu *cpu;
    uint32_t arrived;
} starting;

/* Makes the arena's record of a CPU. */
static enum err add_cpu_record(struct cpu *cpu)
{
    GUARD(arena) change = arena_change();
    uint32_t index = arena_new(ARENA_CPUS);

    if (!index)
        return ERR_FULL;
    struct arena_cpu *record = arena_cpu(index);
    record->id = cpu->index;
    record->apic_id = cpu->apic_id;
    record->online = 1;
    arena_record_seal(ARENA_CPUS, index);
    cpu->record = record;
    arena_event(EVENT_CPU_ONLINE, cpu->index, cpu->apic_id, "cpu online");
    return ERR_OK;
}

/* The first C function of an application processor. */
static _Noreturn void arrive(void)
{
    struct cpu *cpu = starting.cpu;
    void (*entry)(unsigned) = starting.entry;

    if (cpu_init(cpu) != ERR_OK)
        panic_halt("an application processor could not be set up");
    cpu->stack_low = (uint64_t)page_start(starting.stack);
    cpu->stack_top = cpu->stack_low + page_bytes(starting.stack);
    apic_start_cpu();
    simd_start_cpu();
    timer_start_cpu();
    if (add_cpu_record(cpu) != ERR_OK)
        panic_halt("no arena record for an application processor");
    __atomic_store_n(&starting.arrived, 1, __ATOMIC_SEQ_CST);
    entry(cpu->index);
    panic_halt("an application processor came back from its entry");
}

/* Where the symbol is in the page that is copied. By address, since for C the symbols are of three objects. */
static size_t trampoline_offset(const uint8_t *symbol)
{
    return (uint64_t)symbol - (uint64_t)smp_trampoline;
}

/* Makes page tables that map the first 2 MiB where they are, and everything that the final ones map. */
static enum err make_low_tables(const struct mapped_pages *tables)
{
    uint64_t phys = page_phys(tables), *top = page_start(tables);

    if (phys + LOW_TABLES * FRAME_BYTES > UINT32_MAX) /* they are loaded in a 32-bit mode */
        return ERR_NOMEM;
    memcpy(top, page_direct(page_root()), FRAME_BYTES);
    top[0] = (phys + FRAME_BYTES) | PAGING_TABLE;
    top[PAGING_ENTRIES] = (phys + 2 * FRAME_BYTES) | PAGING_TABLE;
    top[2 * PAGING_ENTRIES] = PAGING_PRESENT | PAGING_WRITE | PAGING_LARGE;
    return ERR_OK;
}

static void prepare_trampoline(const struct mapped_pages *tables)
{
    uint8_t *page = page_direct(LAYOUT_AP_PHYS);
    uint64_t root = page_phys(tables), high = (uint64_t)smp_high;

    memcpy(page, smp_trampoline, trampoline_offset(smp_trampoline_end));
    memcpy(page + trampoline_offset(smp_trampoline_root), &root, 4);
    memcpy(page + trampoline_offset(smp_trampoline_high), &high, 8);
}

static bool has_arrived_within(unsigned us)
{
    for (unsigned waited = 0; waited < us; waited += STARTUP_US) {
        timer_delay_us(STARTUP_US);
        if (__atomic_load_n(&starting.arrived, __ATOMIC_SEQ_CST))
            return true;
    }
    return false;
}

static enum err start_one(uint32_t apic_id)
{
    starting.stack = page_map(STACK_BYTES, PAGE_WRITE);
    if (!starting.stack)
        return ERR_NOMEM;
    starting.cpu = cpu_new(cpu_count(), apic_id);
    if (!starting.cpu)
        return ERR_NOMEM;
    starting.arrived = 0;
    smp_entry.page_root = page_root();
    smp_entry.stack_top = (uint64_t)page_start(starting.stack) + page_bytes(starting.stack);
    smp_entry.enter = arrive;
    ipi_send_init(apic_id);
    timer_delay_us(INIT_US);
    ipi_send_startup(apic_id, LAYOUT_AP_PHYS);
    if (has_arrived_within(STARTUP_US))
        return ERR_OK;
    ipi_send_startup(apic_id, LAYOUT_AP_PHYS); /* a CPU that has started ignores it */
    return has_arrived_within(ANSWER_US) ? ERR_OK : ERR_TIMEOUT;
}

enum err smp_start(void (*entry)(unsigned index))
{
    uint32_t ids[CPU_MAX];
    size_t count = apic_processors(ids, array_size(ids));
    OWN(mapped_pages) struct mapped_pages *tables = page_map(LOW_TABLES * FRAME_BYTES, PAGE_WRITE);
    enum err e = tables ? make_low_tables(tables) : ERR_NOMEM;

    if (e != ERR_OK)
        return e;
    prepare_trampoline(tables);
    starting.entry = entry;
    for (size_t i = 0; i < count && e == ERR_OK; i++)
        if (ids[i] != cpu_get(0)->apic_id)
            e = start_one(ids[i]);
    return e;
}

static enum err smp_init(void)
{
    return add_cpu_record(cpu_get(0));
}
INIT(smp_init);
