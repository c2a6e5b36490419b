/* Which new section takes the place of an old one, what becomes of the old one's bytes (data_treatment,
 * code_treatment), and the bytes of pairs whose data is carried. */
#include "guest/abi/elf.h"
#include "cells/evolve/plan/parts.h"
#include "cells/evolve/plan/recipe.h"
#include "cells/lib/string/string.h"

EXPORT(pair_move, KERNEL);
EXPORT(pair_move_changes, KERNEL);
EXPORT(pair_undo_changes, KERNEL);
EXPORT(pair_map_back, KERNEL);
EXPORT(pair_new_offset, KERNEL);
EXPORT(pair_old_offset, KERNEL);

static bool may_be_pair(struct section_ref old, struct section_ref new_)
{
    bool data = section_is_data(old);

    return data == section_is_data(new_) && (data || arena_section(old)->kind == arena_section(new_)->kind);
}

/* In the new cell of the same name the section of the same name and ordinal; where that cell lacks it, or there is
 * none, the only section of that name in the others: cells may be split, merged and renamed. */
static struct section_ref find_new(const struct plan *plan, const struct index_entry *old)
{
    struct section_ref section = {old->record}, elsewhere = {};
    uint32_t place = 0;
    const struct index_entry *e;
    size_t others = 0;

    while ((e = index_find(plan->sections, old->name, &place))) {
        struct section_ref found = {e->record};
        if (e->cell == old->cell && e->ordinal == old->ordinal)
            return may_be_pair(section, found) ? found : NO_SECTION;
        if (e->cell == old->cell)
            continue;
        elsewhere = found;
        others++;
    }
    return others == 1 && old->ordinal == 0 && may_be_pair(section, elsewhere) ? elsewhere : NO_SECTION;
}

/* ---- contents ---- */

/* The relocated field of `section` that holds byte `at`; NULL: none. */
static const struct arena_edge *field_at(struct section_ref section, uint32_t at)
{
    for_each_edge_from (e, section) {
        const struct arena_edge *edge = arena_edge(e);
        if (at - edge->offset < relocation_bytes(edge->type))
            return edge;
    }
    return NULL;
}

/* Whether the sections have the same bytes, relocated fields left out. */
static bool same_contents(struct section_ref a, struct section_ref b)
{
    const uint8_t *p = plan_bytes(a), *q = plan_bytes(b);
    uint32_t bytes = arena_section(a)->bytes;

    if (bytes != arena_section(b)->bytes)
        return false;
    for (uint32_t i = 0; i < bytes; i++) {
        if (p[i] == q[i])
            continue;
        const struct arena_edge *x = field_at(a, i), *y = field_at(b, i);
        if (!x || !y || x->offset != y->offset || x->type != y->type)
            return false;
        i = x->offset + relocation_bytes(x->type) - 1;
    }
    return true;
}

static bool is_same_code(struct section_ref old, struct section_ref new_)
{
    struct object_ref object = arena_cell(arena_section(old)->cell)->object;

    return (object.index && same(object, arena_cell(arena_section(new_)->cell)->object)) || same_contents(old, new_);
}

/* ---- constants ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Whether a constant of the source has this name. Not what the compiler merges (".rodata.str1.1", ".rodata.f.str1.8",
 * ".rodata.cst16"), nor what has no name of its own (".rodata", "#" and a hash). */
static bool names_constant(const char *name)
{
    static const char prefix[] = ".rodata.";

    if (!string_starts(name, prefix))
        return false;
    for (const char *c = name + sizeof prefix - 2; *c; c++)
        if (*c == '#' || ((string_starts(c, ".str") || string_starts(c, ".cst")) && is_digit(c[4])))
            return false;
    return true;
}

/* A table of a switch has the addresses of labels, and is its function's. */
static bool has_labels(struct section_ref section)
{
    for_each_edge_from (e, section) {
        const struct arena_edge *edge = arena_edge(e);
        const struct arena_section *to = arena_section(edge->to);
        if (to->kind == SECTION_TEXT && !plan_is_entry(arena_edge_target(edge, to)))
            return true;
    }
    return false;
}

static bool is_constant(const struct pair *pair)
{
    const struct arena_section *s = arena_section(pair->old);

    return s->kind == SECTION_RODATA && pair->treatment == PLAN_OTHER && s->bytes == arena_section(pair->new_)->bytes &&
           names_constant(section_name(pair->old)) && !has_labels(pair->old) && !has_labels(pair->new_);
}

static bool same_shape(struct section_ref a, struct section_ref b)
{
    const struct arena_section *s = arena_section(a), *t = arena_section(b);

    return s->bytes == t->bytes && types_agree(s->type_hash, t->type_hash);
}

/* ---- recipes ---- */

static const struct recipe *recipe_for(const struct plan *plan, struct section_ref section)
{
    uint64_t hash = section_object_hash(section);

    if (!hash || plan->fresh || !plan->recipes)
        return NULL;
    return recipes_find(plan->recipes, hash, arena_section(section)->object_index);
}

/* The section that the recipe is for, if it is of the old one's kind; else none. */
static struct section_ref recipe_target(const struct plan *plan, struct section_ref old, const struct recipe *recipe)
{
    for (size_t i = 0; i < plan->news; i++)
        for_each_section_of (s, plan->new_[i])
            if (arena_section(s)->object_index == recipe->new_section && section_object_hash(s) == recipe->new_object)
                return may_be_pair(old, s) ? s : NO_SECTION;
    return NO_SECTION;
}

/* ---- the pair ---- */

static enum plan_section_treatment data_treatment(const struct plan *plan, const struct pair *pair)
{
    if (pair->recipe)
        return pair->new_.index ? PLAN_BY_RECIPE : PLAN_DROPPED;
    if (pair->new_.index && !section_is_reset(plan, pair->old) && same_shape(pair->old, pair->new_))
        return PLAN_CARRIED;
    if (!section_is_reset(plan, pair->old) && transfer_cell_for(plan, pair->old).index)
        return PLAN_BY_FUNCTION;
    return pair->new_.index ? PLAN_OTHER : PLAN_GONE;
}

static enum plan_section_treatment code_treatment(const struct pair *pair)
{
    if (!pair->new_.index)
        return PLAN_GONE;
    return is_same_code(pair->old, pair->new_) ? PLAN_SAME : PLAN_OTHER;
}

struct pair pair_make(const struct plan *plan, const struct index_entry *old)
{
    struct section_ref section = {old->record};
    const struct arena_section *s = arena_section(section);
    bool data = section_is_data(section);
    struct pair pair = {.virt = s->virt, .bytes = s->bytes, .old = section, .text = s->kind == SECTION_TEXT};

    pair.recipe = data || pair.text ? recipe_for(plan, pair.old) : NULL;
    pair.new_ = pair.recipe ? recipe_target(plan, pair.old, pair.recipe) : find_new(plan, old);
    pair.to = pair.new_.index ? arena_section(pair.new_)->virt : 0;
    pair.retyped = pair.text && pair.new_.index && !types_agree(s->type_hash, arena_section(pair.new_)->type_hash);
    pair.treatment = (uint8_t)(data ? data_treatment(plan, &pair) : code_treatment(&pair));
    pair.constant = is_constant(&pair);
    return pair;
}

/* ---- data that is carried ---- */

void pair_move(const struct plan *plan, const struct pair *pair)
{
    if (pair->recipe)
        recipe_apply(plan->recipes, pair->recipe, plan_bytes(pair->old), plan_bytes(pair->new_));
    else
        memcpy(plan_bytes(pair->new_), plan_bytes(pair->old), pair->bytes);
}

void pair_move_changes(const struct plan *plan, const struct pair *pair, const void *was)
{
    recipe_apply_changes(plan->recipes, pair->recipe, plan_bytes(pair->old), was, plan_bytes(pair->new_), plan_map,
                         plan);
}

static uint64_t redirect_back(const struct plan *plan, uint64_t word)
{
    return plan_map_back(plan, word);
}

void pair_undo_changes(const struct plan *plan, const struct pair *pair, const void *was)
{
    recipe_undo_changes(plan->recipes, pair->recipe, plan_bytes(pair->old), plan_bytes(pair->new_), was, redirect_back,
                        plan);
}

uint64_t pair_map_back(const struct plan *plan, const struct pair *pair, uint64_t address)
{
    uint64_t offset = address - pair->to;
    uint32_t old;

    if (offset >= arena_section(pair->new_)->bytes ||
        !recipe_old_offset(plan->recipes, pair->recipe, (uint32_t)offset, 1, &old))
        return 0;
    return pair->virt + old;
}

bool pair_new_offset(const struct plan *plan, const struct pair *pair, uint32_t offset, uint32_t *ret_offset)
{
    if (pair->recipe)
        return recipe_new_offset(plan->recipes, pair->recipe, offset, 8, ret_offset);
    *ret_offset = offset;
    return true;
}

bool pair_old_offset(const struct plan *plan, const struct pair *pair, uint32_t offset, uint32_t *ret_offset)
{
    if (pair->recipe)
        return recipe_old_offset(plan->recipes, pair->recipe, offset, 8, ret_offset);
    *ret_offset = offset;
    return true;
}
