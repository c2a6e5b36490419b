/* The nano_core is replaced under load by loaded copies of its cells, and nothing refers to the image afterwards: no
 * edge, no frame, no gate or descriptor, no word of memory, no page of it is mapped. Then the copies are broken and
 * replaced. */
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/exception/exception.h"
#include "cells/core/frame/frame.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include "cells/core/page/page.h"
#include "cells/core/panic/panic.h"
#include "cells/evolve/reap/reap.h"
#include "cells/evolve/renew/renew.h"
#include "cells/evolve/swap/swap.h"
#include "cells/lib/string/string.h"
#include "cells/memory/heap/heap.h"
#include "cells/recover/mend/mend.h"
#include "cells/recover/unwind/unwind.h"
#include "cells/task/apic/apic.h"
#include "cells/task/park/park.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "guest/abi/layout.h"
#include "guest/abi/paging.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_nano_core", KERNEL, 1);

#define WORKERS     6
#define WAIT_CYCLES 100000000000ull
#define IMAGE_START (LAYOUT_IMAGE_VIRT + LAYOUT_IMAGE_PHYS)
#define IMAGE_BYTES (LAYOUT_ARENA_PHYS - LAYOUT_IMAGE_PHYS)
#define PAGES_MAX   5
#define CORE_MIN    10 /* cells that the image has beside its entry point */
#define CORE_MAX    64

static struct report report;
static uint64_t image_end; /* end of what the boot loader filled */
static uint32_t stop;
static uint64_t rounds[WORKERS];

static bool in_image(uint64_t word)
{
    return word - IMAGE_START < image_end - IMAGE_START;
}

/* ---- load: allocations, mappings, locks, records, all of it in cells of the nano_core ---- */

static void work(uint64_t index)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        OWN(mapped_pages) struct mapped_pages *mp = page_map(4096 * (1 + rounds[index] % PAGES_MAX), PAGE_WRITE);
        volatile uint64_t *word = mp ? page_start(mp) : NULL;
        uint64_t address;
        if (!word || lifecycle_symbol("frame_alloc", &address) != ERR_OK)
            panic("no page or no symbol");
        *word = index;
        if (rounds[index] % 8)
            scheduler_sleep_ns(2000000);
        else
            scheduler_yield();
        if (*word != index)
            panic("a page is shared");
        rounds[index]++;
    }
}

static void all_work_on(const struct testing *test)
{
    uint64_t before[WORKERS];

    memcpy(before, rounds, sizeof before);
    for (int i = 0; i < WORKERS; i++)
        testing_need(test, testing_await(__atomic_load_n(&rounds[i], __ATOMIC_RELAXED) >= before[i] + 3));
}

/* ---- what refers to the image ---- */

static size_t cells_in_image(void)
{
    size_t count = 0;

    for_each_cell (i)
        if (arena_cell(i)->state != CELL_FREE && arena_in_image(arena_cell(i))) {
            const struct arena_cell *c = arena_cell(i);
            if (c->data_virt + c->data_bytes > image_end)
                image_end = c->data_virt + c->data_bytes;
            count++;
        }
    return count;
}

static size_t records_in_image(void)
{
    size_t count = 0;

    for_each_section (i)
        count += arena_section(i)->check && in_image(arena_section(i)->virt);
    for_each_edge (i)
        count += arena_edge(i)->check && (in_image(arena_section(arena_edge(i)->to)->virt) ||
                                          in_image(arena_section(arena_edge(i)->from)->virt));
    return count;
}

static size_t pages_of_image(void)
{
    size_t count = 0;
    uint64_t phys;

    for (uint64_t virt = IMAGE_START; virt < image_end; virt += FRAME_BYTES)
        count += page_translate(virt, &phys) == ERR_OK;
    return count;
}

/* The tables of the CPU that runs it: whatever of them points into the image. */
static size_t tables_in_image(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) idt, gdt;
    struct {
        uint16_t low, selector, flags, middle;
        uint32_t high, reserved;
    } const *gate;
    struct cell_ref exception = arena_cell_find(NAMESPACE_ROOT, "exception");
    size_t count = 0;
    uint64_t cr3;
    uint16_t tr;

    GUARD(interrupts) off = interrupts_off();
    __asm__ volatile("sidt %0; sgdt %1; str %2; mov %%cr3, %3" : "=m"(idt), "=m"(gdt), "=r"(tr), "=r"(cr3));
    gate = (const void *)idt.base;
    for (unsigned i = 0; i < 256; i++) {
        uint64_t stub = gate[i].low | (uint64_t)gate[i].middle << 16 | (uint64_t)gate[i].high << 32;
        count += !same(arena_cell_at(stub), exception);
    }
    const uint64_t *descriptor = (const uint64_t *)(gdt.base + tr);
    uint64_t tss = (descriptor[0] >> 16 & 0xffffff) | (descriptor[0] >> 56) << 24 | descriptor[1] << 32;
    count += in_image(idt.base) + in_image(gdt.base) + in_image(tss) +
             in_image((cr3 & PAGING_ADDRESS) + LAYOUT_IMAGE_VIRT) + in_image(cpu_msr_read(0xc0000101)) +
             in_image((uint64_t)cpu_this());
    for (unsigned i = 0; i < 7; i++)
        count += in_image(*(const uint64_t *)(tss + 36 + 8 * i));
    return count;
}

static void look_at_tables(uint64_t ret_count)
{
    __atomic_fetch_add((size_t *)ret_count, tables_in_image(), __ATOMIC_SEQ_CST);
}

static bool on_a_stack(uint64_t virt);

static size_t words_in(const uint64_t *word, size_t words)
{
    size_t count = 0;

    for (size_t i = 0; i < words; i++)
        count += in_image(word[i]);
    return count;
}

static size_t words_of_table(uint64_t phys, unsigned level, uint64_t virt)
{
    const uint64_t *table = page_direct(phys);
    uint64_t bytes = 1ull << PAGING_SHIFT(level);
    size_t count = 0;

    for (unsigned i = 0; i < PAGING_ENTRIES; i++, virt += bytes) {
        if (!(table[i] & PAGING_PRESENT) || virt >= LAYOUT_PAGES_END)
            continue;
        if (level > 0 && !(table[i] & PAGING_LARGE))
            count += words_of_table(table[i] & PAGING_ADDRESS, level - 1, virt);
        else if (table[i] & PAGING_WRITE && !(table[i] & PAGING_UNCACHED) && !on_a_stack(virt))
            count += words_in(page_direct(table[i] & PAGING_ADDRESS & ~(bytes - 1)), bytes / 8);
    }
    return count;
}

static size_t words_of_memory(void)
{
    const uint64_t *root = page_direct(page_root());
    size_t count = 0;

    for (uint64_t virt = LAYOUT_PAGES_VIRT; virt < LAYOUT_PAGES_END; virt += 1ull << PAGING_SHIFT(PAGING_TOP))
        if (root[PAGING_INDEX(virt, PAGING_TOP)] & PAGING_PRESENT)
            count += words_of_table(root[PAGING_INDEX(virt, PAGING_TOP)] & PAGING_ADDRESS, PAGING_TOP - 1, virt);
    return count;
}

static size_t words_of_data(void)
{
    size_t count = 0;

    for_each_cell (i)
        if (arena_cell(i)->state != CELL_FREE)
            count += words_in(page_direct(arena_cell(i)->data_phys), arena_cell(i)->data_bytes / 8);
    return count;
}

static size_t words_of_arena(void)
{
    return words_in((const uint64_t *)arena_header(), LAYOUT_ARENA_BYTES / 8);
}

/* ---- stacks ---- */

struct stacks {
    uint64_t virt; /* asked for */
    bool found;
    size_t words, stacks;
};

static void find_stack(struct task *task, void *context)
{
    struct stacks *s = context;
    uint64_t low, high;

    s->found |= unwind_stack(task, &low, &high) && s->virt - low < high - low;
}

static bool on_a_stack(uint64_t virt)
{
    struct stacks s = {.virt = virt};

    task_each(find_stack, &s);
    for (unsigned i = 0; i < cpu_count(); i++) {
        const struct cpu *cpu = cpu_get(i);
        s.found |= virt - (uint64_t)cpu->fault_stack_low < CPU_FAULT_STACK_BYTES + 0x4000;
    }
    return s.found;
}

/* The part of the stack in use. Of a task whose CPU is in cpu_park, and of this task: all above its stack pointer. */
static void count_stack(struct task *task, void *context)
{
    struct stacks *s = context;
    uint64_t low, high, rsp = task->rsp;

    if (!unwind_stack(task, &low, &high))
        return;
    for (unsigned i = 0; i < cpu_count(); i++)
        if (cpu_get(i)->task == task)
            rsp = cpu_get(i) == cpu_this() ? (uint64_t)__builtin_frame_address(0) : cpu_get(i)->parked_rsp;
    rsp = rsp >= low && rsp < high ? rsp & ~7ull : low;
    s->words += words_in((const uint64_t *)rsp, (high - rsp) / 8);
    s->stacks++;
}

static void nothing_refers(const struct testing *test)
{
    struct stacks stacks = {0};
    size_t tables = 0, memory, data, arena;

    testing_need(test, cells_in_image() == 0 && records_in_image() == 0);
    testing_ok(test, "no cell, section or edge of the image is left");
    testing_need(test, pages_of_image() == 0 && !page_find(IMAGE_START));
    testing_ok(test, "no page of the image is mapped");
    for (unsigned i = 0; i < cpu_count(); i++) {
        OWN(task)
        struct task *task =
            task_spawn("tables", look_at_tables, (uint64_t)&tables, &(struct task_options){.pinned = i + 1});
        testing_need(test, task && task_join(MOVE(task), NULL) == JOIN_ENDED);
    }
    testing_need(test, tables == 0);
    testing_ok(test, "IDT, GDT, TSS, interrupt stacks, GS and CR3 of each CPU point elsewhere");
    {
        GUARD(park) parked = park_all();
        task_each(count_stack, &stacks);
        memory = words_of_memory();
        data = words_of_data();
        arena = words_of_arena();
    }
    testing_need(test, stacks.words == 0 && stacks.stacks > WORKERS);
    testing_ok(test, "no word of any stack points there");
    testing_need(test, memory == 0 && data == 0 && arena == 0);
    testing_ok(test, "no word of heap, static data or arena points there");
}

/* ---- the copies are cells like others ---- */

static const struct arena_section *text_of(const char *cell, const char *name)
{
    struct cell_ref c = arena_cell_find(NAMESPACE_ROOT, cell);

    if (!c.index)
        return NULL;
    for_each_section_of (s, c)
        if (string_equal(arena_string(arena_section(s)->name), name))
            return arena_section(s);
    return NULL;
}

/* Parks the other CPUs first: an emulator that translates the text while it is written may keep executing the old
 * bytes. */
static void flip_byte(volatile uint8_t *byte, uint8_t flip)
{
    GUARD(park) parked = park_all();

    *byte ^= flip;
}

/* The first task that executes it faults. This task waits without calling any function. */
static void damage(const struct testing *test, const char *cell, const char *name, uint32_t offset, uint8_t flip)
{
    const struct arena_section *s = text_of(cell, name);
    uint64_t before = arena_header()->counter[COUNTER_faults], until = cpu_tsc() + WAIT_CYCLES;

    testing_need(test, s && s->bytes > offset);
    volatile uint8_t *text = page_direct(s->phys);
    uint32_t bytes = s->bytes, hash = s->hash;
    testing_need(test, hash == arena_check((const void *)text, bytes));
    flip_byte(&text[offset], flip);
    while (arena_check((const void *)text, bytes) != hash && cpu_tsc() < until)
        cpu_relax();
    testing_need(test, cpu_tsc() < until && arena_header()->counter[COUNTER_faults] > before);
}

static bool is_core(struct cell_ref cell)
{
    return arena_cell(cell)->state == CELL_LIVE && mend_is_core(cell);
}

/* The names first: each reload adds a record. */
static size_t core_names(uint32_t ret_names[CORE_MAX])
{
    size_t count = 0;

    for_each_cell (i)
        if (count < CORE_MAX && is_core(i))
            ret_names[count++] = arena_cell(i)->name;
    return count;
}

static void reload_all(const struct testing *test)
{
    uint32_t name[CORE_MAX];
    size_t count = core_names(name);

    testing_need(test, count >= CORE_MIN && count < CORE_MAX);
    for (size_t i = 0; i < count; i++) {
        struct cell_ref before = arena_cell_find(NAMESPACE_ROOT, arena_string(name[i]));
        enum err e = swap_reload(NAMESPACE_ROOT, arena_string(name[i]), 0, &report);
        testing_need(test, e == ERR_OK && !same(arena_cell_find(NAMESPACE_ROOT, arena_string(name[i])), before));
        all_work_on(test);
    }
}

static size_t frames_of(uint32_t bytes)
{
    return (bytes + FRAME_BYTES - 1) / FRAME_BYTES;
}

/* What the cells that were part of the image take now. */
static size_t frames_of_copies(void)
{
    size_t frames = 0;

    for_each_cell (i)
        if (is_core(i))
            frames += frames_of(arena_cell(i)->text_bytes) + frames_of(arena_cell(i)->rodata_bytes) +
                      frames_of(arena_cell(i)->data_bytes);
    return frames;
}

static void wait_for_image(const struct testing *test)
{
    testing_need(test, testing_await(((void)reap_replaced(), !cells_in_image())));
}

static void start_workers(const struct testing *test, struct task **worker)
{
    for (uint64_t i = 0; i < WORKERS; i++) {
        worker[i] = task_spawn("worker", work, i, &(struct task_options){.restartable = true});
        testing_need(test, worker[i]);
    }
    all_work_on(test);
}

static void end_workers(const struct testing *test, struct task **worker)
{
    __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < WORKERS; i++)
        task_put(worker[i]);
    testing_need(test, testing_await(!reap_replaced())); /* a word left on a stack may point to a replaced copy */
}

static int test_nano_core_main(int argc, char **argv)
{
    struct testing test = testing_begin("test_nano_core");
    struct task *worker[WORKERS];

    (void)argc;
    (void)argv;
    testing_need(&test, cells_in_image() > CORE_MIN && pages_of_image() > 30);
    start_workers(&test, worker);
    uint64_t pages = pages_of_image();
    testing_need(&test, swap_reload(NAMESPACE_ROOT, "nano_core", 0, &report) == ERR_NOT_SWAPPABLE);
    testing_need(&test, renew_nano_core(&report) == ERR_OK);
    testing_need(&test, report.relocations > 500 && report.transferred_bytes > 10000);
    testing_need(&test, renew_nano_core(&report) == ERR_NOT_FOUND);
    all_work_on(&test);
    testing_ok(&test, "its cells are replaced under load by loaded ones, in one swap");
    wait_for_image(&test);
    all_work_on(&test);
    testing_ok(&test, "and its memory is overwritten and freed");
    nothing_refers(&test);
    testing_need(&test, arena_header()->counter[COUNTER_faults] == 0);
    reload_all(&test);
    testing_need(&test, arena_header()->counter[COUNTER_faults] == 0);
    testing_ok(&test, "each of the loaded ones is replaced by a fresh copy, loader, arena and locks among them");
    damage(&test, "frame", ".text.frame_alloc", 0, 0x55 ^ 0x06); /* push %es: no such instruction */
    all_work_on(&test);
    damage(&test, "lock", ".text.lock_take", 0, 0x55 ^ 0x06);
    all_work_on(&test);
    testing_ok(&test, "and recovered when its code is damaged");
    end_workers(&test, worker);
    test.frames_free += pages - frames_of_copies();
    test.frames_free -= PAGES_MAX; /* where a worker met the damage amid giving back its pages, those are lost */
    testing_end(&test);
}
MAIN(test_nano_core_main);
