/* See smp.h. The page in low memory only leads to 32-bit mode; from there on a processor takes the image's own way in. */
#include "cells/kernel/smp/smp.h"
#include "cells/kernel/apic/apic.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/boot/image.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/page/page.h"
#include "cells/kernel/panic/panic.h"
#include "cells/kernel/timer/timer.h"
#include "cells/lib/string/string.h"
#include "guest/abi/layout.h"

CELL("smp", KERNEL, 1);
EXPORT(smp_start, KERNEL);

#define STACK_BYTES 0x8000
#define INIT_US     10000
#define STARTUP_US  200
#define ANSWER_US   2000000

extern const uint8_t smp_trampoline[], smp_trampoline_end[];
extern const uint8_t smp_trampoline_target[]; /* in it: 32 bits, where to go on */

static struct {
    void (*entry)(unsigned index);
    struct mapped_pages *stack;
    uint32_t apic_id;
    unsigned index;
    uint32_t arrived;
} starting;

/* Makes the arena's record of a CPU. */
static enum err add_record(struct cpu *cpu)
{
    GUARD(arena) change = arena_change();
    uint32_t index = arena_new(ARENA_CPUS);

    if (!index)
        return ERR_FULL;
    struct arena_cpu *record = arena_cpu(index);
    record->id = cpu->index;
    record->apic_id = cpu->apic_id;
    record->online = 1;
    arena_seal(ARENA_CPUS, index);
    cpu->record = record;
    arena_event(EVENT_CPU_ONLINE, cpu->index, cpu->apic_id, "cpu online");
    return ERR_OK;
}

/* First C of an application processor. */
static _Noreturn void arrive(void)
{
    unsigned index = starting.index;
    void (*entry)(unsigned) = starting.entry;

    if (cpu_init(index, starting.apic_id) != ERR_OK)
        panic_halt("an application processor could not be set up");
    struct cpu *cpu = cpu_this();
    cpu->stack_low = (uint64_t)page_start(starting.stack);
    cpu->stack_top = cpu->stack_low + page_bytes(starting.stack);
    apic_start_cpu();
    timer_start_cpu();
    if (add_record(cpu) != ERR_OK)
        panic_halt("no arena record for an application processor");
    __atomic_store_n(&starting.arrived, 1, __ATOMIC_SEQ_CST);
    entry(index);
    panic_halt("an application processor came back from its entry");
}

/* By address: in trampoline.S the symbols are of one object, here of three. */
static size_t trampoline_offset(const uint8_t *symbol)
{
    return (uint64_t)symbol - (uint64_t)smp_trampoline;
}

static enum err prepare_trampoline(void)
{
    uint8_t *page = page_direct(LAYOUT_AP_PHYS);
    uint64_t target;
    enum err e = page_translate((uint64_t)image_processor_entry, &target);

    if (e != ERR_OK)
        return e;
    memcpy(page, smp_trampoline, trampoline_offset(smp_trampoline_end));
    memcpy(page + trampoline_offset(smp_trampoline_target), &target, 4);
    return ERR_OK;
}

static bool answers_within(unsigned us)
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
    starting.apic_id = apic_id;
    starting.index = cpu_count();
    starting.arrived = 0;
    image_processor.page_root = page_root();
    image_processor.stack_top = (uint64_t)page_start(starting.stack) + page_bytes(starting.stack);
    image_processor.enter = arrive;
    apic_send_init(apic_id);
    timer_delay_us(INIT_US);
    apic_send_startup(apic_id, LAYOUT_AP_PHYS);
    if (answers_within(STARTUP_US))
        return ERR_OK;
    apic_send_startup(apic_id, LAYOUT_AP_PHYS); /* ignored by one that has started */
    return answers_within(ANSWER_US) ? ERR_OK : ERR_TIMEOUT;
}

enum err smp_start(void (*entry)(unsigned index))
{
    uint32_t ids[CPU_MAX];
    size_t count = apic_processors(ids, array_size(ids));
    enum err e = prepare_trampoline();

    starting.entry = entry;
    for (size_t i = 0; i < count && e == ERR_OK; i++)
        if (ids[i] != cpu_get(0)->apic_id)
            e = start_one(ids[i]);
    return e;
}

static enum err smp_init(void)
{
    return add_record(cpu_get(0));
}
INIT(smp_init);
