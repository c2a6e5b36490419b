/* The scrubber finds single flipped bits in all that should not change, where nobody else uses it, and puts them right
 * within two of its passes; boot, swaps and reloads are no damage to it. With pace=N on the command line, for a machine
 * whose clock counts N ns for each instruction: beside a task that never waits it makes ten passes a second, in less
 * than 1% of the instructions of a CPU that executes one in each ns. */
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/tables.h"
#include "cells/core/exception/gate.h"
#include "cells/core/loader/loader.h"
#include "cells/core/page/page.h"
#include "cells/evolve/reap/reap.h"
#include "cells/evolve/swap/swap.h"
#include "cells/host/log/log.h"
#include "cells/lib/string/string.h"
#include "cells/recover/fault/fault.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "guest/abi/layout.h"
#include "guest/abi/paging.h"
#include "tests/guest/fixtures/fragile/fragile.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_scrub", KERNEL, 1);

#define SWAPS   200
#define PACE_NS 2000000000

static uint64_t counter(enum arena_counter which)
{
    return __atomic_load_n(&arena_header()->counter[which], __ATOMIC_RELAXED);
}

/* The pass that is under way may be past any place; the next one is not. */
static void await_pass(const struct testing *test)
{
    uint64_t passes = counter(COUNTER_scrubs) + 2;

    testing_need(test, testing_await(counter(COUNTER_scrubs) >= passes));
}

static const struct arena_fault *newest(void)
{
    return fault_record(arena_header()->fault_seq);
}

/* Whether the newest record is about a repair of `cell`, in the section, if it is not NULL, at the offset. */
static bool is_logged(const char *cell, const char *section, uint32_t offset)
{
    const struct arena_fault *fault = newest();

    return fault && fault->kind == FAULT_DAMAGE && fault->action == FAULT_ACTION_MEND &&
           fault->outcome == FAULT_OUTCOME_RECOVERED && string_equal(fault->cell_name, cell) &&
           (!section ||
            (string_equal(arena_string(arena_section(fault->section)->name), section) && fault->offset == offset));
}

/* Flips a bit in memory that nobody uses, and waits until it is as it was. What the CPU sets may differ. */
static void flip(struct testing *test, void *at, unsigned bit, uint64_t ignored)
{
    uint64_t *word = (uint64_t *)((uint64_t)at & ~7ul), before = *word & ~ignored;
    unsigned in_word = (unsigned)((uint64_t)at % 8 * 8) + bit;
    uint64_t mends = counter(COUNTER_scrub_mends);

    __atomic_fetch_xor(word, 1ull << in_word, __ATOMIC_SEQ_CST);
    await_pass(test);
    testing_need(test, (*(volatile uint64_t *)word & ~ignored) == before);
    testing_need(test, counter(COUNTER_scrub_mends) == mends + 1);
    test->scrub_mends++;
}

/* ---- cells ---- */

/* The first section of that kind with so many bytes. */
static const struct arena_section *section_of(struct cell_ref cell, uint32_t kind, uint32_t bytes)
{
    for_each_section_of (s, cell)
        if (arena_section(s)->kind == kind && arena_section(s)->bytes >= bytes)
            return arena_section(s);
    return NULL;
}

/* acpi has done its work at boot. */
static void in_sections(struct testing *test)
{
    static const uint32_t kinds[] = {SECTION_TEXT, SECTION_RODATA, SECTION_EH_FRAME, SECTION_EXCEPT};
    struct cell_ref cell = arena_cell_find(NAMESPACE_ROOT, "acpi");

    for (size_t i = 0; i < array_size(kinds); i++) {
        const struct arena_section *s = section_of(cell, kinds[i], 1);
        if (kinds[i] != SECTION_EXCEPT)
            testing_need(test, s);
        for (unsigned k = 0; s && k < 3; k++) {
            uint32_t offset = s->bytes / 3 * k;
            flip(test, (uint8_t *)page_direct(s->phys) + offset, k * 3, 0);
            testing_need(test, is_logged("acpi", arena_string(s->name), offset));
        }
    }
    const struct arena_section *text = section_of(cell, SECTION_TEXT, 64);
    uint64_t mends = counter(COUNTER_scrub_mends);
    testing_need(test, text);
    memset(page_direct(text->phys), 0, text->bytes);
    await_pass(test);
    testing_need(test, text->hash == arena_check(page_direct(text->phys), text->bytes));
    testing_need(test, counter(COUNTER_scrub_mends) == mends + 1 && is_logged("acpi", arena_string(text->name), 0));
    test->scrub_mends++;
}

static uint64_t one(uint64_t n)
{
    return n + 1;
}

static void in_pointer(struct testing *test)
{
    testing_need(test, fragile_bind(one) == ERR_OK);
    for_each_section_of (s, arena_cell_find(NAMESPACE_ROOT, "fragile")) {
        const struct arena_section *bss = arena_section(s);
        if (bss->kind != SECTION_BSS || !bss->first_out.index)
            continue;
        flip(test, (uint8_t *)page_direct(bss->phys) + arena_edge(bss->first_out)->offset, 5, 0);
        testing_need(test, is_logged("fragile", arena_string(bss->name), arena_edge(bss->first_out)->offset));
    }
    testing_need(test, fragile_bind(NULL) == ERR_OK);
}

/* ---- what the CPUs read ---- */

static uint8_t *idt(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) table;

    __asm__ volatile("sidt %0" : "=m"(table));
    return (uint8_t *)table.base;
}

static void in_descriptors(struct testing *test)
{
    flip(test, idt() + 0xfe * sizeof(struct exception_gate), 3, 0);
    flip(test, idt() + 0xfe * sizeof(struct exception_gate) + 5, 7, 0);
    testing_need(test, is_logged("exception", NULL, 0));
    for (unsigned i = 0; i < cpu_count(); i++) {
        struct cpu_tables *tables = cpu_tables(cpu_get(i));
        flip(test, &tables->gdt.word[0], 7, 0);
        flip(test, &tables->gdt.word[3], 20, 0);
        flip(test, &tables->gdt.word[6], 3, 0);
        flip(test, &tables->ldt, 45, 0);
        flip(test, &tables->tss.ist[2], 40, 0);
        flip(test, &tables->tss.ist[1], 4, 0);
        flip(test, &tables->tss.io_map, 2, 0);
        testing_need(test, is_logged("cpu", NULL, 0));
        __atomic_store_n(&tables->tss.ist[0], 0, __ATOMIC_SEQ_CST);
        await_pass(test);
        testing_need(test, tables->tss.ist[0] == (uint64_t)cpu_get(i)->fault_stack_top);
        test->scrub_mends++;
    }
}

/* ---- page tables ---- */

static uint64_t *entry_of(uint64_t virt, int level)
{
    uint64_t *table = page_direct(page_root());

    for (int at = PAGING_TOP; at > level; at--)
        table = page_direct(table[PAGING_INDEX(virt, at)] & PAGING_ADDRESS);
    return &table[PAGING_INDEX(virt, level)];
}

/* Bits 9 to 11 mean nothing to the CPU. */
static void in_page_tables(struct testing *test)
{
    const struct arena_cell *cell = arena_cell(arena_cell_find(NAMESPACE_ROOT, "acpi"));
    const uint64_t by_cpu = 0x60;

    flip(test, entry_of(cell->text_virt, 0), 0, by_cpu);
    testing_need(test, is_logged("acpi", NULL, 0));
    flip(test, entry_of(cell->text_virt, 0), 20, by_cpu);
    flip(test, entry_of(cell->rodata_virt, 0), 1, by_cpu);
    flip(test, entry_of(cell->data_virt, 0), 63, by_cpu);
    for (int level = 1; level <= PAGING_TOP; level++) {
        flip(test, entry_of(cell->text_virt, level), 9, by_cpu);
        flip(test, entry_of(LAYOUT_DIRECT_VIRT, level), 10, by_cpu);
    }
    flip(test, entry_of(LAYOUT_DIRECT_VIRT, PAGING_TOP) + 10, 0, by_cpu);
    flip(test, entry_of(LAYOUT_DIRECT_VIRT, PAGING_TOP) + 10, 40, by_cpu);
}

/* ---- records ---- */

static void in_record(struct testing *test, enum arena_table table, uint32_t index, size_t offset, unsigned bit)
{
    uint8_t *record = arena_record(table, index);
    uint64_t mends = counter(COUNTER_scrub_mends);

    testing_need(test, arena_record_sound(table, index));
    record[offset] ^= (uint8_t)(1 << bit);
    testing_need(test, testing_await(arena_record_sound(table, index)));
    testing_need(test, testing_await(counter(COUNTER_scrub_mends) == mends + 1));
    test->scrub_mends++;
}

static void in_records(struct testing *test)
{
    struct cell_ref cell = arena_cell_find(NAMESPACE_ROOT, "acpi");
    struct section_ref section = arena_cell(cell)->first_section;
    struct edge_ref edge = NO_EDGE;

    for_each_section_of (s, cell)
        if (arena_section(s)->first_out.index)
            edge = arena_section(s)->first_out;
    testing_need(test, edge.index);
    struct arena_edge was = *arena_edge(edge);
    in_record(test, ARENA_EDGES, edge.index, offsetof(struct arena_edge, addend), 3);
    testing_need(test, arena_edge(edge)->addend == was.addend);
    in_record(test, ARENA_EDGES, edge.index, 1, 6); /* the check word */
    testing_need(test, arena_edge(edge)->check == was.check);
    uint64_t phys = arena_section(section)->phys;
    in_record(test, ARENA_SECTIONS, section.index, offsetof(struct arena_section, phys) + 2, 1);
    testing_need(test, arena_section(section)->phys == phys);
    uint32_t version = arena_cell(cell)->version;
    in_record(test, ARENA_CELLS, cell.index, offsetof(struct arena_cell, version), 7);
    testing_need(test, arena_cell(cell)->version == version);
    testing_need(test, same(arena_cell_find(NAMESPACE_ROOT, "acpi"), cell));
}

/* Damage that is no single word, as long as `bytes`, somewhere in an object. */
static void in_much_of_object(struct testing *test, size_t bytes)
{
    struct object_ref object = arena_cell(arena_cell_find(NAMESPACE_ROOT, "swap"))->object;
    uint8_t *at = (uint8_t *)page_direct(arena_object(object)->phys) + arena_object(object)->bytes / 2 - bytes / 2;
    uint64_t mends = counter(COUNTER_scrub_mends);

    testing_need(test, loader_is_intact(object) && arena_object(object)->bytes > bytes);
    {
        GUARD(loader) locked = loader_hold(); /* the scrubber finds all of it, or nothing */
        for (size_t i = 0; i < bytes; i++)
            at[i] = (uint8_t)(at[i] ^ (0x5a + i));
    }
    testing_need(test, testing_await(loader_is_intact(object)));
    testing_need(test, testing_await(counter(COUNTER_scrub_mends) == mends + 1));
    test->scrub_mends++;
}

/* With its object damaged too, a section is put right once that is. */
static void in_object(struct testing *test)
{
    struct cell_ref cell = arena_cell_find(NAMESPACE_ROOT, "acpi");
    struct object_ref object = arena_cell(cell)->object;
    const struct arena_section *text = section_of(cell, SECTION_TEXT, 8);
    const uint8_t *in_object = (uint8_t *)page_direct(arena_object(object)->phys);
    uint64_t mends = counter(COUNTER_scrub_mends);

    testing_need(test, text && loader_is_intact(object));
    for (; memcmp(in_object, page_direct(text->phys), 8); in_object++)
        testing_need(test,
                     in_object < (uint8_t *)page_direct(arena_object(object)->phys) + arena_object(object)->bytes);
    *(uint8_t *)in_object ^= 0x21;
    *(uint8_t *)page_direct(text->phys) ^= 4;
    testing_need(test, testing_await(loader_is_intact(object)));
    testing_need(test, testing_await(text->hash == arena_check(page_direct(text->phys), text->bytes)));
    testing_need(test, testing_await(counter(COUNTER_scrub_mends) == mends + 2));
    test->scrub_mends += 2;
}

/* ---- no damage ---- */

static const char *const names[] = {"channel", "exception", "timer", "scheduler", "keyboard", "scrub", "page"};

static void load_all(void)
{
    for (size_t i = 0; i < array_size(names); i++)
        if (loader_load(names[i], NULL, NULL))
            log_warn("%s is not loaded", names[i]);
}

static void swaps(const struct testing *test)
{
    static struct report report;
    uint64_t mends = counter(COUNTER_scrub_mends), faults = arena_header()->fault_seq;

    for (unsigned i = 0; i < SWAPS; i++) {
        const char *name = names[i % array_size(names)];
        enum err e = swap_reload(NAMESPACE_ROOT, name, 0, &report);
        if (e)
            log_warn("%s: %s: %s", name, err_text(e), report.text);
        testing_need(test, !e && testing_await(!reap_replaced()));
    }
    await_pass(test);
    testing_need(test, counter(COUNTER_scrub_mends) == mends && arena_header()->fault_seq == faults);
}

/* ---- pace ---- */

static uint32_t stop;

static void spin(uint64_t)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        cpu_relax();
}

static const struct arena_task *scrub_task(void)
{
    for_each_task (i)
        if (arena_task(i)->state != TASK_FREE && string_equal(arena_task(i)->name, "scrub"))
            return arena_task(i);
    return NULL;
}

static void pace(const struct testing *test, unsigned instruction_ns)
{
    const struct arena_task *scrub = scrub_task();
    OWN(task) struct task *spinner = task_spawn("spinner", spin, 0, NULL);

    testing_need(test, scrub && spinner);
    scheduler_sleep_ns(PACE_NS / 4);
    uint64_t passes = counter(COUNTER_scrubs), ran = scrub->run_ns, start = cpu_ns();
    scheduler_sleep_ns(PACE_NS);
    passes = counter(COUNTER_scrubs) - passes, ran = (scrub->run_ns - ran) / instruction_ns;
    uint64_t ns = cpu_ns() - start;
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    testing_need(test, task_join(MOVE(spinner), NULL) == JOIN_ENDED);
    log_info("scrub: %lu passes and %lu instructions in %lu ms: %lu a pass, %lu of a million", passes, ran,
             ns / 1000000, ran / (passes + 1), ran / (ns / 1000000));
    testing_need(test, passes * 100000000 >= ns && ran * 100 < ns);
}

static int test_scrub_main(int, char **)
{
    load_all();
    struct testing test = testing_begin("test_scrub");

    await_pass(&test);
    testing_need(&test, test.scrub_mends == 0);
    if (testing_times("pace", 0)) {
        pace(&test, testing_times("pace", 0));
        testing_ok(&test, "ten passes a second, less than 1% of a busy CPU");
        testing_end(&test);
    }
    in_sections(&test);
    testing_ok(&test, "text, read-only data and unwind tables");
    in_pointer(&test);
    testing_ok(&test, "bound pointers");
    in_descriptors(&test);
    testing_ok(&test, "IDT, GDT and TSS");
    in_page_tables(&test);
    testing_ok(&test, "page tables");
    in_records(&test);
    testing_ok(&test, "records of the arena");
    in_object(&test);
    testing_ok(&test, "a pristine object");
    in_much_of_object(&test, 64);
    in_much_of_object(&test, 4096);
    testing_ok(&test, "much of a pristine object");
    swaps(&test);
    testing_ok(&test, "swaps are no damage");
    testing_end(&test);
}
MAIN(test_scrub_main);
