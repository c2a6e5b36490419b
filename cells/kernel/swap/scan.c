/* See scan.h; stacks are looked at in stack.c. Memory is found through the page tables and read through the direct map, so that nothing faults while
 * other CPUs go on mapping and unmapping. */
#include "cells/kernel/swap/scan.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/task/task.h"
#include "cells/kernel/unwind/unwind.h"
#include "guest/abi/layout.h"

#define PAGE_BYTES    4096ul
#define ENTRIES       512
#define ENTRY_PRESENT 1ull
#define ENTRY_WRITE   2ull
#define ENTRY_NOCACHE 0x18ull
#define ENTRY_LARGE   0x80ull
#define ENTRY_ADDRESS 0x000ffffffffff000ull
#define CPU_STACKS    (CPU_FAULT_STACK_BYTES + 0x4000) /* fault, NMI and machine check, as cpu.c lays them out */

struct hold {
    const struct plan *plan;
    bool found;
};

static bool is_entry(uint64_t address)
{
    uint32_t section = arena_section_at(address);

    return section && arena_section(section)->virt == address;
}

/* ---- memory ---- */

typedef void visit_words(uint64_t *word, size_t words, uint64_t phys, void *context);

struct visit {
    visit_words *words;
    void *context;
    struct {
        uint64_t low, high;
    } skip[ARENA_TASKS_MAX + CPU_MAX + 4];
    size_t skips;
};

static void add_skip(struct visit *visit, uint64_t low, uint64_t high)
{
    if (visit->skips < array_size(visit->skip)) {
        visit->skip[visit->skips].low = low;
        visit->skip[visit->skips++].high = high;
    }
}

static void skip_stack(struct task *task, void *context)
{
    uint64_t low, high;

    if (unwind_stack(task, &low, &high))
        add_skip(context, low, high);
}

static bool is_skipped(const struct visit *visit, uint64_t virt)
{
    for (size_t i = 0; i < visit->skips; i++)
        if (virt - visit->skip[i].low < visit->skip[i].high - visit->skip[i].low)
            return true;
    return false;
}

static void visit_pages(const struct visit *visit, uint64_t table_phys, unsigned level, uint64_t virt)
{
    const uint64_t *table = page_direct(table_phys);
    uint64_t bytes = PAGE_BYTES << (9 * level);

    for (unsigned i = 0; i < ENTRIES; i++, virt += bytes) {
        uint64_t entry = table[i];
        if (!(entry & ENTRY_PRESENT) || virt >= LAYOUT_PAGES_END)
            continue;
        if (level > 0 && !(entry & ENTRY_LARGE)) {
            visit_pages(visit, entry & ENTRY_ADDRESS, level - 1, virt);
            continue;
        }
        if (!(entry & ENTRY_WRITE) || entry & ENTRY_NOCACHE || is_skipped(visit, virt))
            continue;
        uint64_t phys = entry & ENTRY_ADDRESS & ~(bytes - 1);
        visit->words(page_direct(phys), bytes / 8, phys, visit->context);
    }
}

static void visit_mapped(const struct visit *visit)
{
    const uint64_t *root = page_direct(arena_header()->page_root & ENTRY_ADDRESS);
    uint64_t slot = 1ull << 39;

    for (uint64_t virt = LAYOUT_PAGES_VIRT; virt < LAYOUT_PAGES_END; virt += slot) {
        uint64_t entry = root[virt >> 39 & (ENTRIES - 1)];
        if (entry & ENTRY_PRESENT)
            visit_pages(visit, entry & ENTRY_ADDRESS, 2, virt);
    }
}

/* Static data of all cells but the old ones, and but the image's way in, whose stack has been left for good. */
static void visit_data(const struct visit *visit, const struct plan *plan)
{
    uint32_t used = arena_header()->table[ARENA_CELLS].used;

    for (uint32_t i = 1; i < used; i++) {
        const struct arena_cell *cell = arena_cell(i);
        if (plan_is_old(plan, i) || cell->state == CELL_FREE || !cell->object)
            continue;
        for (uint32_t s = cell->first_section; s; s = arena_section(s)->next_in_cell) {
            const struct arena_section *section = arena_section(s);
            uint64_t phys = (section->phys + 7) & ~7ul;
            if ((section->kind == SECTION_DATA || section->kind == SECTION_BSS) && section->bytes >= 8 &&
                !is_skipped(visit, section->virt))
                visit->words(page_direct(phys), section->bytes / 8 - (phys != section->phys), phys, visit->context);
        }
    }
}

static void skip_pages(struct visit *visit, const struct mapped_pages *mp)
{
    if (mp)
        add_skip(visit, (uint64_t)page_start(mp), (uint64_t)page_start(mp) + page_bytes(mp));
}

static void visit_memory(const struct plan *plan, visit_words *words, void *context)
{
    static struct visit visit; /* under the loader's turn */

    visit.words = words;
    visit.context = context;
    visit.skips = 0;
    skip_pages(&visit, plan->memory);
    skip_pages(&visit, plan->word_memory);
    skip_pages(&visit, plan->switch_memory);
    for (unsigned i = 0; i < cpu_count(); i++)
        add_skip(&visit, (uint64_t)cpu_get(i)->fault_stack_low, (uint64_t)cpu_get(i)->fault_stack_low + CPU_STACKS);
    task_each(skip_stack, &visit);
    visit_mapped(&visit);
    visit_data(&visit, plan);
    visit.words = NULL; /* no pointer to a function stays behind */
    visit.context = NULL;
}

/* The page cell's handle of a region of the cell says where the region is; it points to nothing in there. */
static bool is_handle(uint64_t phys, uint64_t word)
{
    uint64_t handle = (uint64_t)page_find(word);

    return handle && (handle == LAYOUT_IMAGE_VIRT + phys || handle == LAYOUT_DIRECT_VIRT + phys);
}

static void collect_words(uint64_t *word, size_t words, uint64_t phys, void *context)
{
    struct plan *plan = context;
    uint64_t to;

    for (size_t i = 0; i < words; i++)
        if (plan_in_old(plan, word[i]) && !is_handle(phys + 8 * i, word[i]) && (to = plan_map(plan, word[i])))
            plan_add_word(plan, &word[i], word[i], to);
}

void scan_memory(struct plan *plan)
{
    visit_memory(plan, collect_words, plan);
}

static void hold_words(uint64_t *word, size_t words, uint64_t phys, void *context)
{
    struct hold *hold = context;

    for (size_t i = 0; i < words && !hold->found; i++)
        if (plan_in_old(hold->plan, word[i]) && !is_handle(phys + 8 * i, word[i]))
            hold->found = !plan_in_old_text(hold->plan, word[i]) || is_entry(word[i]);
}

bool scan_memory_holds(const struct plan *plan)
{
    struct hold hold = {.plan = plan};

    visit_memory(plan, hold_words, &hold);
    return hold.found;
}

/* ---- tasks' functions ---- */

struct move {
    const struct plan *plan;
    bool back;
};

static void move_function(struct task_function *function, const struct move *move)
{
    uint32_t to = function->section ? plan_twin(move->plan, function->section, move->back) : 0;

    if (!to || (!move->back && !plan_map(move->plan, arena_section(function->section)->virt)))
        return; /* of another type: it ends where it has begun */
    function->section = to;
    function->address = arena_section(to)->virt + function->offset;
}

static void move_task(struct task *task, void *context) NEEDS(arena_writer)
{
    const struct move *move = context;

    move_function(&task->entry, move);
    move_function(&task->ended, move);
    move_function(&task->main, move);
    if (task->record->entry_section == task->entry.section)
        return;
    task->record->entry_section = task->entry.section;
    arena_seal(ARENA_TASKS, task->index);
}

void scan_tasks_move(const struct plan *plan, bool back)
{
    struct move move = {plan, back};

    task_each(move_task, &move);
}

static bool is_in_old(const struct plan *plan, const struct task_function *function)
{
    return function->section && plan_is_old(plan, arena_section(function->section)->cell);
}

static void hold_task(struct task *task, void *context)
{
    struct hold *hold = context;

    hold->found |= is_in_old(hold->plan, &task->entry) || is_in_old(hold->plan, &task->ended) ||
                   is_in_old(hold->plan, &task->main);
}

bool scan_tasks_hold(const struct plan *plan)
{
    struct hold hold = {.plan = plan};

    task_each(hold_task, &hold);
    return hold.found;
}
