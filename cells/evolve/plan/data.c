/* Verifies that no static data of the old cells is lost, and says which data and symbols make the swap wait for
 * quiescence. What becomes of each datum is decided in pair.c. */
#include "guest/abi/elf.h"
#include "cells/evolve/plan/parts.h"
#include "cells/evolve/plan/recipe.h"
#include "cells/lib/string/string.h"

EXPORT(plan_refuse_values, KERNEL);

/* ---- what a value says, which the code changes until the others are parked ---- */

/* Pointers that the arena knows of, and that are carried. */
static enum err verify_pointers(const struct plan *plan, const struct pair *pair, struct report *report)
{
    for_each_edge_from (e, pair->old) {
        const struct arena_edge *edge = arena_edge(e);
        uint64_t value;
        uint32_t moved;
        if (edge->type != R_X86_64_64 || !pair_new_offset(plan, pair, edge->offset, &moved))
            continue;
        memcpy(&value, plan_bytes(pair->old) + edge->offset, sizeof value);
        if (plan_in_old(plan, value) && !plan_map(plan, value))
            return report_refuse(report, ERR_MISSING_SYMBOL,
                                 "%s: %s points to what the new version lacks, or has with another type",
                                 section_cell_name(pair->old), section_name(pair->old));
    }
    return ERR_OK;
}

/* Whether the word is the address of a label within `code`, a function of the datum's own cell, as a computed goto has
 * it. The new function would go on where the old one has another instruction, and in its frame. */
static bool is_label(const struct pair *datum, const struct pair *code, uint64_t word)
{
    return code->text && same(arena_section(code->old)->cell, arena_section(datum->old)->cell) && !plan_is_entry(word);
}

/* Whether the word points to the end of data that a recipe moves. */
static bool is_end(const struct pair *moved, uint64_t word)
{
    return moved->treatment == PLAN_BY_RECIPE && word - moved->virt == moved->bytes;
}

/* Words that would point elsewhere, or into the old cell for ever. */
static enum err verify_word(const struct plan *plan, const struct pair *pair, uint64_t word, struct report *report)
{
    const struct pair *there = plan_in_old(plan, word) && !plan_map(plan, word) ? plan_pair_at(plan, word) : NULL;

    if (there && is_label(pair, there, word))
        return report_refuse(report, ERR_MISSING_SYMBOL, "%s: %s points into the middle of %s, which differs",
                             section_cell_name(pair->old), section_name(pair->old), section_name(there->old));
    if (there && is_end(there, word))
        return report_refuse(report, ERR_MISSING_SYMBOL, "%s: %s points to the end of %s, which has another size",
                             section_cell_name(pair->old), section_name(pair->old), section_name(there->old));
    return ERR_OK;
}

static enum err verify_words(const struct plan *plan, const struct pair *pair, struct report *report)
{
    const uint8_t *bytes = plan_bytes(pair->old);
    enum err e = ERR_OK;
    uint64_t word;
    uint32_t moved;

    for (uint32_t at = -pair->virt & 7; !e && at + sizeof word <= pair->bytes; at += sizeof word) {
        memcpy(&word, bytes + at, sizeof word);
        if (word - plan->low < plan->high - plan->low && pair_new_offset(plan, pair, at, &moved))
            e = verify_word(plan, pair, word, report);
    }
    return e;
}

static enum err refuse_values_of(const struct plan *plan, const struct pair *pair, struct report *report)
{
    enum err e = ERR_OK;

    if (pair->recipe)
        e = recipe_refuse_values(plan->recipes, pair->recipe, section_cell_name(pair->old), plan_bytes(pair->old),
                                 report);
    if (!e && pair_moves(pair))
        e = verify_pointers(plan, pair, report);
    if (!e && pair_moves(pair))
        e = verify_words(plan, pair, report);
    return e;
}

enum err plan_refuse_values(const struct plan *plan, struct report *report)
{
    enum err e = ERR_OK;

    for (size_t i = 0; !e && i < plan->pairs; i++)
        e = refuse_values_of(plan, &plan->pair[i], report);
    return e;
}

uint64_t data_count_bytes(const struct plan *plan)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < plan->pairs; i++) {
        const struct pair *pair = &plan->pair[i];
        if (pair_moves(pair) ||
            (pair->treatment == PLAN_BY_FUNCTION && plan_runs_transfer(plan, transfer_cell_for(plan, pair->old))))
            bytes += pair->bytes;
    }
    return bytes;
}

/* ---- what may be lost ---- */

/* The image's entry point has no object, and is not needed after the boot. */
static bool is_used_up(struct section_ref section)
{
    return !arena_cell(arena_section(section)->cell)->object.index;
}

static struct recipe_side side_of(struct section_ref section)
{
    const struct arena_section *s = arena_section(section);

    return (struct recipe_side){section_object_hash(section), s->object_index, s->bytes, s->type_hash, s->deep_hash};
}

static bool is_target_of_others(const struct plan *plan, const struct pair *pair)
{
    for (size_t i = 0; i < plan->pairs; i++)
        if (&plan->pair[i] != pair && same(plan->pair[i].new_, pair->new_))
            return true;
    return false;
}

/* A function that has another name: its recipe moves nothing, and pairs the two. */
static enum err verify_rename(const struct plan *plan, const struct pair *pair, struct report *report)
{
    struct recipe_side old = side_of(pair->old), new_;

    if (!pair->new_.index || pair->recipe->moves)
        return report_refuse(report, ERR_CORRUPT, "%s: the recipe for function %s is for no function",
                             section_cell_name(pair->old), section_name(pair->old));
    if (is_target_of_others(plan, pair))
        return report_refuse(report, ERR_CORRUPT, "%s: %s would take the place of two functions",
                             section_cell_name(pair->new_), section_name(pair->new_));
    new_ = side_of(pair->new_);
    return recipe_check(plan->recipes, pair->recipe, &old, &new_, NULL, report);
}

static enum err verify_recipe(const struct plan *plan, const struct pair *pair, struct report *report)
{
    struct recipe_side old = side_of(pair->old), new_;

    if (!pair->new_.index) {
        enum err e = recipe_check(plan->recipes, pair->recipe, &old, NULL, NULL, report);
        return e ? e : refuse_values_of(plan, pair, report);
    }
    if (is_target_of_others(plan, pair))
        return report_refuse(report, ERR_CORRUPT, "%s: %s is filled from two old sections",
                             section_cell_name(pair->new_), section_name(pair->new_));
    new_ = side_of(pair->new_);
    OWN(mapped_pages) struct mapped_pages *written = page_map(new_.bytes, PAGE_WRITE);
    if (!written)
        return report_refuse(report, ERR_NOMEM, "no memory to check the recipe for %s", section_name(pair->new_));
    enum err e = recipe_check(plan->recipes, pair->recipe, &old, &new_, page_start(written), report);
    return e ? e : refuse_values_of(plan, pair, report);
}

/* Data that is neither carried nor taken over by a transfer function must not be lost silently. */
static enum err verify_datum(const struct plan *plan, const struct pair *pair, struct report *report)
{
    if (pair->recipe)
        return pair->text ? verify_rename(plan, pair, report) : verify_recipe(plan, pair, report);
    if (!section_is_data(pair->old) || section_is_reset(plan, pair->old) || is_used_up(pair->old) ||
        transfer_cell_for(plan, pair->old).index)
        return ERR_OK;
    if (!pair->new_.index)
        return report_refuse(report, ERR_MISSING_SYMBOL,
                             "%s: %s would be lost: the new version lacks it, and has no transfer function",
                             section_cell_name(pair->old), section_name(pair->old));
    if (pair->treatment != PLAN_CARRIED)
        return report_refuse(report, ERR_WRONG_TYPE,
                             "%s: %s has another size or type, and there is no transfer function",
                             section_cell_name(pair->old), section_name(pair->old));
    if (!types_agree(arena_section(pair->old)->deep_hash, arena_section(pair->new_)->deep_hash))
        return report_refuse(report, ERR_WRONG_TYPE,
                             "%s: %s refers to what has another type, and there is no transfer function",
                             section_cell_name(pair->old), section_name(pair->old));
    return refuse_values_of(plan, pair, report);
}

enum err data_verify(const struct plan *plan, struct report *report)
{
    enum err e = ERR_OK;

    for (size_t i = 0; !e && i < plan->pairs; i++)
        e = verify_datum(plan, &plan->pair[i], report);
    return e;
}

/* ---- quiescence ---- */

enum plan_quiescence data_quiescence(const struct plan *plan, const struct pair *pair)
{
    if (!section_is_data(pair->old) || section_is_reset(plan, pair->old) || is_used_up(pair->old))
        return PLAN_QUIESCENCE_NONE;
    if (pair->treatment != PLAN_CARRIED)
        return PLAN_QUIESCENCE_DATA;
    return types_agree(arena_section(pair->old)->deep_hash, arena_section(pair->new_)->deep_hash)
               ? PLAN_QUIESCENCE_NONE
               : PLAN_QUIESCENCE_BEHIND;
}

enum plan_quiescence data_symbol_quiescence(const struct plan *plan, struct symbol_ref symbol)
{
    const struct arena_symbol *old = arena_symbol(symbol);
    uint32_t place = 0;
    const struct index_entry *found = old->access ? index_find(plan->symbols, old->name, &place) : NULL;

    return found && !types_agree(old->deep_hash, arena_symbol((struct symbol_ref){found->record})->deep_hash)
               ? PLAN_QUIESCENCE_CALL
               : PLAN_QUIESCENCE_NONE;
}
