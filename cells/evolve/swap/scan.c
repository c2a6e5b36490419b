/* See scan.h. Memory is found through the page tables and read through the direct map, so that nothing faults while
 * other CPUs map and unmap. */
#include "cells/evolve/swap/scan.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/recover/unwind/unwind.h"
#include "cells/task/task/task.h"
#include "guest/abi/layout.h"
#include "guest/abi/paging.h"

#define CPU_STACKS (CPU_FAULT_STACK_BYTES + 0x4000) /* fault, NMI and machine check, as cpu.c lays them out */

struct referrer {
    const struct plan *plan;
    bool found;
};

/* ---- memory ---- */

typedef void visit_words(uint64_t *word, size_t words, uint64_t phys, void *context);

struct visit {
    visit_words *words;
    void *context;
    struct skip {
        uint64_t low, high;
    } skip[ARENA_TASKS_MAX + CPU_MAX + 4];
    size_t skips;
    size_t passed; /* of the skips, in their order: lie below the page that was visited last */
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

/* What is skipped does not overlap. */
static void sort_skips(struct visit *visit)
{
    for (size_t i = 1; i < visit->skips; i++) {
        const struct skip this = visit->skip[i];
        size_t at = i;
        for (; at > 0 && visit->skip[at - 1].low > this.low; at--)
            visit->skip[at] = visit->skip[at - 1];
        visit->skip[at] = this;
    }
}

/* Of pages that are asked about in the order of their addresses. */
static bool is_page_skipped(struct visit *visit, uint64_t virt)
{
    while (visit->passed < visit->skips && visit->skip[visit->passed].high <= virt)
        visit->passed++;
    return visit->passed < visit->skips && visit->skip[visit->passed].low <= virt;
}

static bool is_skipped(const struct visit *visit, uint64_t virt)
{
    for (size_t i = 0; i < visit->skips; i++)
        if (virt - visit->skip[i].low < visit->skip[i].high - visit->skip[i].low)
            return true;
    return false;
}

/* What was never written by its mapping holds zeros, as it was mapped, or what lies outside of all cells. */
static void visit_pages(struct visit *visit, uint64_t table_phys, unsigned level, uint64_t virt)
{
    const uint64_t *table = page_direct(table_phys);
    uint64_t bytes = 1ull << PAGING_SHIFT(level);

    for (unsigned i = 0; i < PAGING_ENTRIES; i++, virt += bytes) {
        uint64_t entry = table[i];
        if (!(entry & PAGING_PRESENT) || virt >= LAYOUT_PAGES_END)
            continue;
        if (level > 0 && !(entry & PAGING_LARGE)) {
            visit_pages(visit, entry & PAGING_ADDRESS, level - 1, virt);
            continue;
        }
        if (!(entry & PAGING_WRITE) || !(entry & PAGING_DIRTY) || entry & (PAGING_UNCACHED | PAGING_OPAQUE) ||
            is_page_skipped(visit, virt))
            continue;
        uint64_t phys = entry & PAGING_ADDRESS & ~(bytes - 1);
        visit->words(page_direct(phys), bytes / 8, phys, visit->context);
    }
}

static void visit_mapped(struct visit *visit)
{
    const uint64_t *root = page_direct(arena_header()->page_root & PAGING_ADDRESS);
    uint64_t slot = 1ull << PAGING_SHIFT(PAGING_TOP);

    for (uint64_t virt = LAYOUT_PAGES_VIRT; virt < LAYOUT_PAGES_END; virt += slot) {
        uint64_t entry = root[PAGING_INDEX(virt, PAGING_TOP)];
        if (entry & PAGING_PRESENT)
            visit_pages(visit, entry & PAGING_ADDRESS, PAGING_TOP - 1, virt);
    }
}

static bool is_any_skipped(const struct visit *visit, uint64_t virt, uint64_t bytes)
{
    for (size_t i = 0; i < visit->skips; i++)
        if (visit->skip[i].low < virt + bytes && virt < visit->skip[i].high)
            return true;
    return false;
}

static void visit_sections(const struct visit *visit, struct cell_ref cell)
{
    for_each_section_of (s, cell) {
        const struct arena_section *section = arena_section(s);
        uint64_t phys = (section->phys + 7) & ~7ul;
        if (section_kind_is_data(section->kind) && section->bytes >= 8 && !is_skipped(visit, section->virt))
            visit->words(page_direct(phys), section->bytes / 8 - (phys != section->phys), phys, visit->context);
    }
}

/* Static data of all cells but the old ones, and but the image's entry point, whose stack is not used again. A cell's
 * data are in one region; in the image it may hold those of others too. */
static void visit_data(const struct visit *visit, const struct plan *plan)
{
    for_each_cell (i) {
        const struct arena_cell *cell = arena_cell(i);
        if (plan_is_old(plan, i) || cell->state == CELL_FREE || !cell->object.index)
            continue;
        if (arena_in_image(cell) || is_any_skipped(visit, cell->data_virt, cell->data_bytes))
            visit_sections(visit, i);
        else if (cell->data_bytes >= 8)
            visit->words(page_direct(cell->data_phys), cell->data_bytes / 8, cell->data_phys, visit->context);
    }
}

static void skip_pages(struct visit *visit, const struct mapped_pages *mp)
{
    if (mp)
        add_skip(visit, (uint64_t)page_start(mp), (uint64_t)page_start(mp) + page_bytes(mp));
}

/* Visits the heap and static data, but not stacks, nor what the swap itself has made: the plan, `words` and `apart`
 * (NULL: none). */
static void visit_memory(const struct plan *plan, const struct mapped_pages *words, const struct mapped_pages *apart,
                         visit_words *visitor, void *context) NEEDS(loader_lock)
{
    static struct visit visit GUARDED_BY(loader_lock); /* too large for the stack */

    visit.words = visitor;
    visit.context = context;
    visit.skips = 0;
    skip_pages(&visit, plan->memory);
    skip_pages(&visit, words);
    skip_pages(&visit, apart);
    for (unsigned i = 0; i < cpu_count(); i++)
        add_skip(&visit, (uint64_t)cpu_get(i)->fault_stack_low, (uint64_t)cpu_get(i)->fault_stack_low + CPU_STACKS);
    task_each(skip_stack, &visit);
    sort_skips(&visit);
    visit.passed = 0;
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

struct collection {
    const struct plan *plan;
    struct words *words;
};

#define GROUP 32 /* words */

/* In as few instructions as it takes: all of memory goes through this, and most of it is zeros, text and small numbers.
 * True: no word of a group is an address in the upper half, as those of cells are but on the host; nor, if `zeros`, any
 * other. */
static inline __attribute__((always_inline)) bool are_small(const uint64_t *word, bool zeros)
{
    uint64_t all;
    bool negative;

    __asm__("mov (%2), %0; or 8(%2), %0; or 16(%2), %0; or 24(%2), %0; or 32(%2), %0; or 40(%2), %0; or 48(%2), %0;"
            "or 56(%2), %0; or 64(%2), %0; or 72(%2), %0; or 80(%2), %0; or 88(%2), %0; or 96(%2), %0; or 104(%2), %0;"
            "or 112(%2), %0; or 120(%2), %0; or 128(%2), %0; or 136(%2), %0; or 144(%2), %0; or 152(%2), %0;"
            "or 160(%2), %0; or 168(%2), %0; or 176(%2), %0; or 184(%2), %0; or 192(%2), %0; or 200(%2), %0;"
            "or 208(%2), %0; or 216(%2), %0; or 224(%2), %0; or 232(%2), %0; or 240(%2), %0; or 248(%2), %0"
            : "=&r"(all), "=@ccs"(negative)
            : "r"(word), "m"(*(const uint64_t(*)[GROUP])word));
    return !negative && (!zeros || !all);
}

/* Whether one of the words of a group has the high half `high`. */
static inline __attribute__((always_inline)) bool has_high(const uint64_t *word, uint32_t high)
{
    const uint32_t __attribute__((may_alias)) *half = (const uint32_t __attribute__((may_alias)) *)word;

    for (size_t i = 0; i < GROUP; i += 4)
        if (half[2 * i + 1] == high || half[2 * i + 3] == high || half[2 * i + 5] == high || half[2 * i + 7] == high)
            return true;
    return false;
}

/* The first of the words from `at` on that may be an address in an old cell; `words`: none. Where the old cells lie
 * within 4 GiB, as all cells do but on the host, the high half of a word says of most that they are none. */
static size_t next_candidate(const struct plan *plan, const uint64_t *word, size_t at, size_t words)
{
    const uint64_t low = plan->low, bytes = plan->high - low;
    const uint32_t high = (uint32_t)(low >> 32);
    const bool near = low >> 32 == (plan->high - 1) >> 32, zeros = (int64_t)low >= 0;
    const uint64_t *const end = word + words, *w = word + at;

    while (w < end) {
        for (; w + GROUP <= end && (are_small(w, zeros) || (near && !has_high(w, high))); w += GROUP)
            ;
        for (const uint64_t *stop = w + GROUP < end ? w + GROUP : end; w < stop; w++)
            if (*w - low < bytes)
                return (size_t)(w - word);
    }
    return words;
}

static void collect_words(uint64_t *word, size_t words, uint64_t phys, void *context)
{
    const struct collection *to = context;
    const struct plan *plan = to->plan;
    uint64_t after;

    for (size_t i = 0; (i = next_candidate(plan, word, i, words)) < words; i++)
        if (plan_in_old(plan, word[i]) && !is_handle(phys + 8 * i, word[i]) && (after = plan_map(plan, word[i])))
            words_add(to->words, &word[i], word[i], after);
}

void scan_memory(const struct plan *plan, struct words *words, const struct mapped_pages *apart)
{
    struct collection collection = {plan, words};

    visit_memory(plan, words->memory, apart, collect_words, &collection);
}

static void find_reference(uint64_t *word, size_t words, uint64_t phys, void *context)
{
    struct referrer *referrer = context;

    for (size_t i = 0; !referrer->found && (i = next_candidate(referrer->plan, word, i, words)) < words; i++)
        if (plan_in_old(referrer->plan, word[i]) && !is_handle(phys + 8 * i, word[i]))
            referrer->found = !plan_in_old_text(referrer->plan, word[i]) || plan_is_entry(word[i]);
}

bool scan_memory_refers(const struct plan *plan)
{
    struct referrer referrer = {.plan = plan};

    visit_memory(plan, NULL, NULL, find_reference, &referrer);
    return referrer.found;
}

/* ---- tasks' functions ---- */

struct tasks_redirection {
    const struct plan *plan;
    bool back;
};

/* On the way back: whether the task is another namespace's, and has long been in a cell that was to be inherited. */
static bool has_been_there(const struct plan *plan, const struct task *task, struct section_ref from)
{
    return !same(arena_cell(arena_section(from)->cell)->namespace_, plan->namespace_) &&
           !plan_concerns(plan, task->record->namespace_);
}

static void redirect_function(struct task_function *function, const struct task *task,
                              const struct tasks_redirection *redirection)
{
    struct section_ref from = function->section, to = {};

    if (from.index && !(redirection->back && has_been_there(redirection->plan, task, from)))
        to = redirection->back ? plan_old_section(redirection->plan, from) : plan_new_section(redirection->plan, from);
    if (!to.index || (!redirection->back && !plan_map(redirection->plan, arena_section(from)->virt)))
        return; /* of another type: the task ends in the old function */
    function->section = to;
    function->address = arena_section(to)->virt + function->offset;
}

static void redirect_task(struct task *task, void *context) NEEDS(arena_writer)
{
    const struct tasks_redirection *redirection = context;

    redirect_function(&task->functions.entry, task, redirection);
    redirect_function(&task->functions.ended, task, redirection);
    redirect_function(&task->functions.main, task, redirection);
    if (same(task->record->entry_section, task->functions.entry.section))
        return;
    task->record->entry_section = task->functions.entry.section;
    arena_seal(task->ref);
}

void scan_tasks_redirect(const struct plan *plan, bool back)
{
    struct tasks_redirection redirection = {plan, back};

    task_each(redirect_task, &redirection);
}

static bool is_in_old(const struct plan *plan, const struct task_function *function)
{
    return function->section.index && plan_is_old(plan, arena_section(function->section)->cell);
}

static void find_task(struct task *task, void *context)
{
    struct referrer *referrer = context;

    referrer->found |= is_in_old(referrer->plan, &task->functions.entry) ||
                       is_in_old(referrer->plan, &task->functions.ended) ||
                       is_in_old(referrer->plan, &task->functions.main);
}

bool scan_tasks_refer(const struct plan *plan)
{
    struct referrer referrer = {.plan = plan};

    task_each(find_task, &referrer);
    return referrer.found;
}
