/* See dry_run.h. Sorts the words: they are not going to be rewritten. */
#include "cells/evolve/swap/dry_run.h"
#include "cells/core/arena/arena.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/page/page.h"
#include "cells/lib/sort/sort.h"
#include "cells/lib/string/string.h"
#include "cells/task/task/task.h"

static enum plan_cell_treatment treatment_of(const struct arena_change *change)
{
    if (change->new_side == CHANGE_INHERITED)
        return PLAN_CELL_INHERIT;
    bool copied = change->old_side == CHANGE_INHERITED && change->old_object == change->new_object;
    return copied ? PLAN_CELL_COPY : PLAN_CELL_SWAP;
}

void dry_run_cells(struct preview *preview, const struct record *record)
{
    for (uint32_t i = 0; i < record->changes; i++) {
        const struct arena_change *change = &record->change[i];
        struct plan_item item = {.kind = PLAN_CELL,
                                 .treatment = treatment_of(change),
                                 .old_version = change->old_version,
                                 .new_version = change->new_version,
                                 .old_object = change->old_object,
                                 .new_object = change->new_object};
        lifecycle_label(record->namespace_, change->cell, item.cell);
        preview_add(preview, &item);
    }
}

/* ---- tasks ---- */

struct task_preview {
    struct preview *preview;
    const struct reach *reach;
    uint32_t tasks;
};

static void preview_task(struct task *task, void *context)
{
    struct task_preview *to = context;
    struct plan_item item = {.kind = PLAN_TASK, .count = task->id};

    if (!reach_has_task(to->reach, task))
        return;
    to->tasks++;
    string_copy(item.name, task->record->name, sizeof item.name);
    if (task->functions.entry.section.index)
        preview_name_to(&item, task->functions.entry.section);
    preview_add(to->preview, &item);
}

uint32_t dry_run_tasks(struct preview *preview, const struct reach *reach)
{
    struct task_preview to = {preview, reach, 0};

    task_each(preview_task, &to);
    return to.tasks;
}

/* ---- words ---- */

static uint64_t word_at(const struct word *word)
{
    return (uint64_t)word->at;
}

static uint64_t word_before(const struct word *word)
{
    return word->before;
}

static uint64_t phys_of(const struct word *word)
{
    return (uint64_t)word->at - (uint64_t)page_direct(0);
}

/* `section` none: in pages without a name. */
static void add_words(struct preview *preview, const struct word *word, uint32_t count, struct section_ref section)
{
    struct plan_item item = {.kind = PLAN_WORDS, .offset = phys_of(word), .count = count};
    struct section_ref to = arena_section_at(word->before);

    if (section.index) {
        preview_name_from(&item, section);
        item.offset -= arena_section(section)->phys;
    }
    if (to.index) {
        preview_name_to(&item, to);
        item.to_offset = (uint32_t)(word->before - arena_section(to)->virt);
    }
    preview_add(preview, &item);
}

/* The first word at `address` or above. */
static size_t first_word(const struct words *words, uint64_t address)
{
    size_t low = 0, high = words->count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (word_at(&words->word[middle]) < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Those in static data, one by one; `before` 0 marks them. */
static void add_words_of(struct preview *preview, struct words *words, struct section_ref section)
{
    uint64_t low = (uint64_t)page_direct(arena_section(section)->phys), high = low + arena_section(section)->bytes;

    for (size_t i = first_word(words, low); i < words->count && word_at(&words->word[i]) < high; i++) {
        if (!words->word[i].before)
            continue;
        add_words(preview, &words->word[i], 1, section);
        words->word[i].before = 0;
    }
}

static void add_static_words(struct preview *preview, struct words *words)
{
    SORT(words->word, words->count, word_at)
    for_each_cell (i) {
        if (arena_cell(i)->state == CELL_FREE)
            continue;
        for_each_section_of (s, i)
            if (section_kind_is_data(arena_section(s)->kind))
                add_words_of(preview, words, s);
    }
}

/* The others by what they refer to. */
static void add_other_words(struct preview *preview, struct words *words)
{
    SORT(words->word, words->count, word_before)
    for (size_t i = 0, end; i < words->count; i = end) {
        for (end = i + 1; end < words->count && words->word[end].before == words->word[i].before;)
            end++;
        if (words->word[i].before)
            add_words(preview, &words->word[i], (uint32_t)(end - i), NO_SECTION);
    }
}

void dry_run_words(struct preview *preview, struct words *words)
{
    add_static_words(preview, words);
    add_other_words(preview, words);
}
