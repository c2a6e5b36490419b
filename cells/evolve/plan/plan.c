/* See plan.h. Makes a plan. The other files: pair.c pairs sections, and says what becomes of each; edges.c, data.c and
 * pointers.c verify edges, static data and pointers to functions; transfer.c chooses transfer functions; address.c maps
 * addresses; preview.c lists the plan for a dry run. */
#include "cells/evolve/plan/plan.h"
#include "cells/evolve/plan/parts.h"
#include "cells/evolve/plan/pointers.h"
#include "cells/evolve/plan/recipe.h"
#include "cells/lib/sort/sort.h"
#include "cells/recover/mend/mend.h"

CELL("plan", KERNEL, 1);
FOUNDATION();
EXPORT(plan_bytes, KERNEL);
EXPORT(plan_check_recipes, KERNEL);
EXPORT(plan_new, KERNEL);
EXPORT(plan_put, KERNEL);
EXPORT(plan_verify, KERNEL);

uint8_t *plan_bytes(struct section_ref section)
{
    return page_direct(arena_section(section)->phys);
}

enum err plan_check_recipes(const void *recipes, size_t bytes, struct report *report)
{
    struct recipes opened;

    return recipes_open(recipes, bytes, &opened, report);
}

/* ---- room ---- */

struct sizes {
    size_t sections, symbols, incoming;
};

static struct sizes sizes_of(const struct cell_ref *cells, size_t count)
{
    struct sizes sizes = {0};

    for (size_t i = 0; i < count; i++) {
        sizes.sections += arena_cell(cells[i])->sections;
        for_each_symbol_of (k, cells[i])
            sizes.symbols += arena_symbol(k)->access != 0;
        for_each_section_of (s, cells[i])
            sizes.incoming += arena_section(s)->incoming;
    }
    return sizes;
}

/* The next `bytes` bytes behind the plan. */
static void *take(uint8_t **rest, size_t bytes)
{
    void *at = *rest;

    *rest += bytes;
    return at;
}

/* ---- regions ---- */

static void add_span(struct plan *plan, uint64_t virt, uint32_t bytes)
{
    if (!bytes)
        return;
    plan->span[plan->spans++] = (struct span){virt, bytes};
    if (virt < plan->low)
        plan->low = virt;
    if (virt + bytes > plan->high)
        plan->high = virt + bytes;
}

static void find_spans(struct plan *plan)
{
    plan->low = UINT64_MAX;
    for (size_t i = 0; i < plan->olds; i++)
        add_span(plan, arena_cell(plan->old[i])->text_virt, arena_cell(plan->old[i])->text_bytes);
    plan->texts = plan->spans;
    for (size_t i = 0; i < plan->olds; i++) {
        const struct arena_cell *c = arena_cell(plan->old[i]);
        add_span(plan, c->rodata_virt, c->rodata_bytes);
        add_span(plan, c->data_virt, c->data_bytes);
    }
}

/* ---- pairs ---- */

static void fill_cells(struct plan *plan, const struct plan_input *input)
{
    *plan = (struct plan){.olds = input->olds,
                          .news = input->news,
                          .besides = input->besides,
                          .hidden = input->hidden,
                          .hiddens = input->hiddens,
                          .inherited = input->inherited,
                          .inheriteds = input->inheriteds,
                          .namespace_ = input->namespace_,
                          .fresh = input->fresh};
    for (size_t i = 0; i < input->olds; i++) {
        plan->old[i] = input->old[i];
        plan->core |= mend_is_core(input->old[i]);
    }
    for (size_t i = 0; i < input->news; i++)
        plan->new_[i] = input->new_[i];
}

static void index_symbols(struct plan *plan, struct cell_ref cell)
{
    for_each_symbol_of (i, cell)
        if (arena_symbol(i)->access)
            index_add(plan->symbols, arena_symbol(i)->name, arena_cell(cell)->name, i.index);
}

static void index_section(struct plan *plan, struct section_ref section)
{
    index_add(plan->sections, arena_section(section)->name, arena_cell(arena_section(section)->cell)->name,
              section.index);
}

static void index_new(struct plan *plan, struct cell_ref cell)
{
    for_each_section_of (s, cell)
        if (!plan_is_beside(plan, cell))
            index_section(plan, s);
    index_symbols(plan, cell);
}

/* Static data is left out: that of the inherited cell is in use, and none is carried over to it. */
static void index_inherited(struct plan *plan, struct cell_ref cell)
{
    for_each_section_of (s, cell)
        if (!section_is_data(s))
            index_section(plan, s);
    index_symbols(plan, cell);
}

static void index_old(const struct plan *plan, struct index *index)
{
    for (size_t i = 0; i < plan->olds; i++)
        for_each_section_of (s, plan->old[i])
            index_add(index, arena_section(s)->name, arena_cell(plan->old[i])->name, s.index);
}

static uint64_t start_of(const struct pair *pair)
{
    return pair->virt;
}

static void make_pairs(struct plan *plan, struct pair *pair, const struct index *old)
{
    for (size_t i = 0; i < old->entries; i++)
        pair[i] = pair_make(plan, &old->entry[i]);
    SORT(pair, old->entries, start_of)
    plan->pair = pair;
    plan->pairs = old->entries;
}

struct plan *plan_new(const struct plan_input *input)
{
    struct sizes old = sizes_of(input->old, input->olds), new_ = sizes_of(input->new_, input->news);
    struct sizes inherited = sizes_of(input->inherited, input->inheriteds);
    size_t incoming = old.incoming + sizes_of(input->hidden, input->hiddens).incoming;
    size_t redirections = (incoming * sizeof(struct redirection) + 7) & ~7ul,
           pairs = old.sections * sizeof(struct pair);
    size_t new_sections = new_.sections + inherited.sections, new_symbols = new_.symbols + inherited.symbols;
    size_t sections = index_bytes(new_sections), symbols = index_bytes(new_symbols);
    OWN(mapped_pages)
    struct mapped_pages *memory = page_map(sizeof(struct plan) + sizeof(struct recipes) + redirections + pairs +
                                               sections + symbols + index_bytes(old.sections),
                                           PAGE_WRITE);

    if (!memory)
        return NULL;
    struct plan *plan = page_start(memory);
    uint8_t *rest = (uint8_t *)(plan + 1);
    fill_cells(plan, input);
    struct recipes *recipes = take(&rest, sizeof *recipes);
    if (input->recipes && recipes_open(input->recipes, input->recipe_bytes, recipes, NULL) == ERR_OK)
        plan->recipes = recipes;
    plan->redirection = take(&rest, redirections);
    struct pair *pair = take(&rest, pairs);
    plan->sections = index_make(take(&rest, sections), new_sections);
    plan->symbols = index_make(take(&rest, symbols), new_symbols);
    for (size_t i = 0; i < plan->news; i++)
        index_new(plan, plan->new_[i]);
    for (size_t i = 0; i < plan->inheriteds; i++)
        index_inherited(plan, plan->inherited[i]);
    struct index *index = index_make(rest, old.sections);
    index_old(plan, index);
    make_pairs(plan, pair, index);
    find_spans(plan);
    plan->memory = MOVE(memory);
    return plan;
}

void plan_put(TAKES struct plan *plan)
{
    if (plan)
        mapped_pages_put(MOVE(plan->memory));
}

/* ---- the verdict ---- */

/* Old code must not continue on data whose type changes: static data, or what arguments of its functions point to. */
static bool needs_quiescence(const struct plan *plan)
{
    for (size_t i = 0; i < plan->pairs; i++)
        if (data_quiescence(plan, &plan->pair[i]))
            return true;
    for (size_t i = 0; i < plan->olds; i++)
        for_each_symbol_of (s, plan->old[i])
            if (data_symbol_quiescence(plan, s))
                return true;
    return false;
}

/* A version that lacks the mark would be replaced as if the swap, and recovery, did without it. */
static bool loses_mark(struct cell_ref old, struct cell_ref new_)
{
    return arena_sound(old) &&
           ((mend_is_core(old) && !mend_is_core(new_)) || (mend_is_needed(old) && !mend_is_needed(new_)));
}

static enum err check_marks(const struct plan *plan, struct report *report)
{
    for (size_t i = 0; i < plan->news; i++) {
        struct cell_ref old = plan_predecessor(plan, plan->new_[i]);
        uint32_t name = arena_cell(plan->new_[i])->name;
        if (old.index && arena_cell(old)->name == name && loses_mark(old, plan->new_[i]))
            return report_refuse(report, ERR_NOT_SWAPPABLE, "%s: the new version lacks CORE() or FOUNDATION()",
                                 arena_string(name));
    }
    return ERR_OK;
}

enum err plan_verify(struct plan *plan, struct report *report)
{
    struct redirection *redirection = (struct redirection *)plan->redirection; /* read-only from here on */
    enum err e = check_marks(plan, report);

    if (!e)
        e = edges_add_redirections(plan, redirection, false, report);
    if (!e)
        e = edges_add_hidden(plan, redirection, report);
    plan->foreign_redirections = plan->redirections;
    if (!e)
        e = edges_add_redirections(plan, redirection, true, report);
    if (!e)
        e = data_verify(plan, report);
    if (!e)
        e = pointers_check(plan, report);
    plan->quiescent = needs_quiescence(plan);
    plan->data_bytes = data_count_bytes(plan);
    return e;
}
