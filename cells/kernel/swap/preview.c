/* See preview.h. Sorts what the plan has found: it is not going to be committed. */
#include "cells/kernel/swap/preview.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/loader/elf.h"
#include "cells/kernel/swap/carry.h"
#include "cells/kernel/swap/plan.h"
#include "cells/kernel/swap/reach.h"
#include "cells/kernel/swap/record.h"
#include "cells/kernel/task/task.h"
#include "cells/lib/string/string.h"

EXPORT(preview_cell, KERNEL);
EXPORT(preview_edge, KERNEL);

static void name_from(struct plan_item *item, uint32_t section)
{
    const struct arena_section *s = arena_section(section);

    string_copy(item->cell, arena_string(arena_cell(s->cell)->name), sizeof item->cell);
    string_copy(item->name, arena_string(s->name), sizeof item->name);
}

static void name_to(struct plan_item *item, uint32_t section)
{
    const struct arena_section *s = arena_section(section);

    string_copy(item->to_cell, arena_string(arena_cell(s->cell)->name), sizeof item->to_cell);
    string_copy(item->to, arena_string(s->name), sizeof item->to);
}

static bool is_data(uint32_t section)
{
    uint32_t kind = arena_section(section)->kind;

    return kind == SECTION_DATA || kind == SECTION_BSS;
}

void preview_cells(struct preview *preview, const struct record *record)
{
    for (uint32_t i = 0; i < record->changes; i++) {
        const struct arena_change *change = &record->change[i];
        struct plan_item item = {.kind = PLAN_CELL,
                                 .way = PLAN_CELL_SWAP,
                                 .old_version = change->old_version,
                                 .new_version = change->new_version,
                                 .old_object = change->old_object,
                                 .new_object = change->new_object};
        string_copy(item.cell, change->cell, sizeof item.cell);
        preview_add(preview, &item);
    }
}

void preview_cell(struct preview *preview, uint32_t old, uint32_t object, uint32_t new_, enum plan_cell_way way)
{
    const struct arena_cell *was = old ? arena_cell(old) : NULL;
    struct plan_item item = {.kind = PLAN_CELL, .way = way};

    string_copy(item.cell, arena_string(was ? was->name : arena_object(object)->name), sizeof item.cell);
    if (was) {
        item.old_version = was->version;
        item.old_object = was->object ? arena_object(was->object)->hash : 0;
    }
    item.new_version = new_ ? arena_cell(new_)->version : 0;
    item.new_object = object ? arena_object(object)->hash : 0;
    preview_add(preview, &item);
}

/* ---- sections ---- */

static enum plan_section_way data_way(const struct plan *plan, const struct twin *twin)
{
    if (twin->recipe)
        return twin->new_ ? PLAN_BY_RECIPE : PLAN_DROPPED;
    if (twin->carried)
        return PLAN_CARRIED;
    if (!plan->fresh && plan_transfer(plan, twin->old))
        return PLAN_BY_FUNCTION;
    return twin->new_ ? PLAN_OTHER : PLAN_GONE;
}

static enum plan_section_way way_of(const struct plan *plan, const struct twin *twin)
{
    if (is_data(twin->old))
        return data_way(plan, twin);
    if (!twin->new_)
        return PLAN_GONE;
    return twin->same ? PLAN_SAME : PLAN_OTHER;
}

static void add_twin(struct preview *preview, const struct plan *plan, const struct twin *twin)
{
    struct plan_item item = {.kind = PLAN_SECTION, .way = way_of(plan, twin), .bytes = twin->bytes};

    name_from(&item, twin->old);
    if (twin->new_) {
        name_to(&item, twin->new_);
        item.new_bytes = arena_section(twin->new_)->bytes;
    }
    preview_add(preview, &item);
}

static void add_new_sections(struct preview *preview, const struct plan *plan, uint32_t cell)
{
    for (uint32_t s = arena_cell(cell)->first_section; s; s = arena_section(s)->next_in_cell) {
        struct plan_item item = {.kind = PLAN_SECTION, .way = PLAN_NEW, .new_bytes = arena_section(s)->bytes};
        if (plan_twin(plan, s, true))
            continue;
        name_to(&item, s);
        preview_add(preview, &item);
    }
}

static void add_transfer(struct preview *preview, const struct plan *plan, uint32_t cell)
{
    struct plan_item item = {.kind = PLAN_TRANSFER};

    if (!carry_needs_transfer(plan, cell))
        return;
    name_from(&item, arena_cell(cell)->transfer_section);
    for (size_t i = 0; i < plan->twins; i++)
        if (way_of(plan, &plan->twin[i]) == PLAN_BY_FUNCTION && plan_transfer(plan, plan->twin[i].old) == cell)
            item.bytes += plan->twin[i].bytes;
    preview_add(preview, &item);
}

/* ---- dependents ---- */

/* Where a step comes from and what for: steps that agree in this are one item. */
static uint64_t group_of(const struct step *step)
{
    uint32_t to = step->from.symbol ? step->from.symbol : step->from.section;

    return (uint64_t)arena_edge(step->edge)->from << 32 | (step->from.symbol ? 1u << 31 : 0) | to;
}

static uint64_t word_at(const struct word *word)
{
    return (uint64_t)word->at;
}

static uint64_t word_before(const struct word *word)
{
    return word->before;
}

/* Shell sort: in place, no recursion. */
#define SORT(array, count, key)                                                                                        \
    for (size_t gap_ = (count) / 2; gap_ > 0; gap_ /= 2)                                                               \
        for (size_t i_ = gap_; i_ < (count); i_++) {                                                                   \
            typeof(*(array)) moving_ = (array)[i_];                                                                    \
            size_t k_ = i_;                                                                                            \
            for (; k_ >= gap_ && key(&moving_) < key(&(array)[k_ - gap_]); k_ -= gap_)                                 \
                (array)[k_] = (array)[k_ - gap_];                                                                      \
            (array)[k_] = moving_;                                                                                     \
        }

static uint32_t field_bytes(uint32_t edge)
{
    return (uint32_t)relocation_bytes(arena_edge(edge)->type);
}

/* So many edges from one section to one symbol, or section. */
static void add_dependent(struct preview *preview, uint32_t edge, size_t count, uint32_t bytes)
{
    const struct arena_edge *first = arena_edge(edge);
    struct plan_item item = {.kind = PLAN_DEPENDENT, .count = (uint32_t)count, .bytes = bytes};

    name_from(&item, first->from);
    name_to(&item, first->to);
    if (first->symbol)
        string_copy(item.to, arena_string(arena_symbol(first->symbol)->name), sizeof item.to);
    preview_add(preview, &item);
}

void preview_edge(struct preview *preview, uint32_t edge)
{
    add_dependent(preview, edge, 1, field_bytes(edge));
}

static void add_dependents(struct preview *preview, struct plan *plan)
{
    SORT(plan->step, plan->foreign_steps, group_of)
    for (size_t i = 0, end; i < plan->foreign_steps; i = end) {
        uint32_t bytes = 0;
        for (end = i; end < plan->foreign_steps && group_of(&plan->step[end]) == group_of(&plan->step[i]); end++)
            bytes += field_bytes(plan->step[end].edge);
        add_dependent(preview, plan->step[i].edge, end - i, bytes);
    }
}

/* ---- what waits ---- */

static void add_quiet(struct preview *preview, uint32_t section, const char *symbol, enum plan_quiet_way way)
{
    struct plan_item item = {.kind = PLAN_QUIET, .way = way};

    if (way == PLAN_QUIET_NOT)
        return;
    name_from(&item, section);
    if (symbol)
        string_copy(item.name, symbol, sizeof item.name);
    preview_add(preview, &item);
}

static void add_quiets(struct preview *preview, const struct plan *plan)
{
    for (size_t i = 0; i < plan->twins; i++)
        add_quiet(preview, plan->twin[i].old, NULL, plan_data_quiet(plan, &plan->twin[i]));
    for (size_t i = 0; i < plan->olds; i++)
        for (uint32_t s = arena_cell(plan->old[i])->first_symbol; s; s = arena_symbol(s)->next_in_cell)
            add_quiet(preview, arena_symbol(s)->section, arena_string(arena_symbol(s)->name),
                      plan_symbol_quiet(plan, s));
}

void preview_plan(struct preview *preview, struct plan *plan)
{
    if (!preview)
        return;
    for (size_t i = 0; i < plan->twins; i++)
        add_twin(preview, plan, &plan->twin[i]);
    for (size_t i = 0; i < plan->news; i++)
        add_new_sections(preview, plan, plan->new_[i]);
    for (size_t i = 0; i < plan->news; i++)
        add_transfer(preview, plan, plan->new_[i]);
    add_dependents(preview, plan);
    add_quiets(preview, plan);
}

/* ---- tasks ---- */

struct look {
    struct preview *preview;
    struct plan *plan;
    const struct reach *reach;
};

static void add_task(struct task *task, void *context)
{
    const struct look *look = context;
    struct plan_item item = {.kind = PLAN_TASK, .count = task->id};

    if (!reach_task(look->reach, task))
        return;
    look->plan->tasks++;
    string_copy(item.name, task->record->name, sizeof item.name);
    if (task->entry.section)
        name_to(&item, task->entry.section);
    preview_add(look->preview, &item);
}

/* ---- words ---- */

static uint64_t phys_of(const struct word *word)
{
    return (uint64_t)word->at - (uint64_t)page_direct(0);
}

/* `section` 0: in pages without a name. */
static void add_words(struct preview *preview, const struct word *word, uint32_t count, uint32_t section)
{
    struct plan_item item = {.kind = PLAN_WORDS, .offset = phys_of(word), .count = count};
    uint32_t to = arena_section_at(word->before);

    if (section) {
        name_from(&item, section);
        item.offset -= arena_section(section)->phys;
    }
    if (to) {
        name_to(&item, to);
        item.to_offset = (uint32_t)(word->before - arena_section(to)->virt);
    }
    preview_add(preview, &item);
}

/* The first word that lies at `address` or behind it. */
static size_t first_word(const struct plan *plan, uint64_t address)
{
    size_t low = 0, high = plan->words;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (word_at(&plan->word[middle]) < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Those in static data, one by one; `before` 0 marks them. */
static void add_words_of(struct preview *preview, struct plan *plan, uint32_t section)
{
    uint64_t low = (uint64_t)page_direct(arena_section(section)->phys), high = low + arena_section(section)->bytes;

    for (size_t i = first_word(plan, low); i < plan->words && word_at(&plan->word[i]) < high; i++) {
        if (!plan->word[i].before)
            continue;
        add_words(preview, &plan->word[i], 1, section);
        plan->word[i].before = 0;
    }
}

static void add_static_words(struct preview *preview, struct plan *plan)
{
    uint32_t used = arena_header()->table[ARENA_CELLS].used;

    SORT(plan->word, plan->words, word_at)
    for (uint32_t i = 1; i < used; i++) {
        const struct arena_cell *c = arena_cell(i);
        for (uint32_t s = c->state == CELL_FREE ? 0 : c->first_section; s; s = arena_section(s)->next_in_cell)
            if (is_data(s))
                add_words_of(preview, plan, s);
    }
}

/* The others by where they lead to. */
static void add_other_words(struct preview *preview, struct plan *plan)
{
    SORT(plan->word, plan->words, word_before)
    for (size_t i = 0, end; i < plan->words; i = end) {
        for (end = i + 1; end < plan->words && plan->word[end].before == plan->word[i].before;)
            end++;
        if (plan->word[i].before)
            add_words(preview, &plan->word[i], (uint32_t)(end - i), 0);
    }
}

void preview_scan(struct preview *preview, struct plan *plan, const struct reach *reach)
{
    struct look look = {preview, plan, reach};

    task_each(add_task, &look);
    add_static_words(preview, plan);
    add_other_words(preview, plan);
}
