/* See plan.h: a plan, item by item, for people. */
#include "cells/evolve/plan/parts.h"
#include "guest/abi/elf.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/lib/sort/sort.h"
#include "cells/lib/string/string.h"

EXPORT(preview_cell, KERNEL);
EXPORT(preview_edge, KERNEL);
EXPORT(preview_plan, KERNEL);
EXPORT(preview_name_from, KERNEL);
EXPORT(preview_name_to, KERNEL);

static void label_cell_of(struct section_ref section, char ret_label[LIFECYCLE_LABEL_BYTES])
{
    const struct arena_cell *c = arena_cell(arena_section(section)->cell);

    lifecycle_label(c->namespace_, arena_string(c->name), ret_label);
}

void preview_name_from(struct plan_item *item, struct section_ref section)
{
    label_cell_of(section, item->cell);
    string_copy(item->name, section_name(section), sizeof item->name);
}

void preview_name_to(struct plan_item *item, struct section_ref section)
{
    label_cell_of(section, item->to_cell);
    string_copy(item->to, section_name(section), sizeof item->to);
}

void preview_cell(struct preview *preview, struct namespace_ref namespace_, struct cell_ref old,
                  struct object_ref object, struct cell_ref new_, enum plan_cell_treatment treatment)
{
    const struct arena_cell *was = old.index ? arena_cell(old) : NULL;
    struct plan_item item = {.kind = PLAN_CELL, .treatment = treatment};

    lifecycle_label(namespace_, arena_string(was ? was->name : arena_object(object)->name), item.cell);
    if (was) {
        item.old_version = was->version;
        item.old_object = was->object.index ? arena_object(was->object)->hash : 0;
    }
    item.new_version = new_.index ? arena_cell(new_)->version : 0;
    item.new_object = object.index ? arena_object(object)->hash : 0;
    preview_add(preview, &item);
}

/* ---- sections ---- */

static void add_pair(struct preview *preview, const struct pair *pair)
{
    struct plan_item item = {.kind = PLAN_SECTION, .treatment = pair->treatment, .bytes = pair->bytes};

    preview_name_from(&item, pair->old);
    if (pair->new_.index) {
        preview_name_to(&item, pair->new_);
        item.new_bytes = arena_section(pair->new_)->bytes;
    }
    preview_add(preview, &item);
}

static void add_new_sections(struct preview *preview, const struct plan *plan, struct cell_ref cell)
{
    for_each_section_of (s, cell) {
        struct plan_item item = {.kind = PLAN_SECTION, .treatment = PLAN_NEW, .new_bytes = arena_section(s)->bytes};
        if (plan_old_section(plan, s).index)
            continue;
        preview_name_to(&item, s);
        preview_add(preview, &item);
    }
}

static void add_transfer(struct preview *preview, const struct plan *plan, struct cell_ref cell)
{
    struct plan_item item = {.kind = PLAN_TRANSFER};

    if (!plan_runs_transfer(plan, cell))
        return;
    preview_name_from(&item, arena_cell(cell)->transfer_section);
    for (size_t i = 0; i < plan->pairs; i++)
        if (plan->pair[i].treatment == PLAN_BY_FUNCTION && same(transfer_cell_for(plan, plan->pair[i].old), cell))
            item.bytes += plan->pair[i].bytes;
    preview_add(preview, &item);
}

static void add_sections(struct preview *preview, const struct plan *plan)
{
    for (size_t i = 0; i < plan->pairs; i++)
        add_pair(preview, &plan->pair[i]);
    for (size_t i = 0; i < plan->news; i++)
        add_new_sections(preview, plan, plan->new_[i]);
    for (size_t i = 0; i < plan->news; i++)
        add_transfer(preview, plan, plan->new_[i]);
}

/* ---- dependents ---- */

static uint32_t field_bytes(struct edge_ref edge)
{
    return (uint32_t)relocation_bytes(arena_edge(edge)->type);
}

/* `count` edges from one section to one symbol, or section. */
static void add_dependent(struct preview *preview, struct edge_ref edge, size_t count, uint32_t bytes)
{
    const struct arena_edge *first = arena_edge(edge);
    struct plan_item item = {.kind = PLAN_DEPENDENT, .count = (uint32_t)count, .bytes = bytes};

    preview_name_from(&item, first->from);
    preview_name_to(&item, first->to);
    if (first->symbol.index)
        string_copy(item.to, arena_string(arena_symbol(first->symbol)->name), sizeof item.to);
    preview_add(preview, &item);
}

void preview_edge(struct preview *preview, struct edge_ref edge)
{
    add_dependent(preview, edge, 1, field_bytes(edge));
}

/* The section that a redirection's edge is in and what it refers to: redirections that agree in this are one item. */
static uint64_t group_of(const struct redirection *redirection)
{
    bool exported = redirection->from.symbol.index;
    uint32_t to = exported ? redirection->from.symbol.index : redirection->from.section.index;

    return (uint64_t)arena_edge(redirection->edge)->from.index << 32 | (exported ? 1u << 31 : 0) | to;
}

static enum err add_dependents(struct preview *preview, const struct plan *plan)
{
    size_t redirections = plan->foreign_redirections;

    if (!redirections)
        return ERR_OK;
    OWN(mapped_pages) struct mapped_pages *memory = page_map(redirections * sizeof *plan->redirection, PAGE_WRITE);
    if (!memory)
        return ERR_NOMEM;
    struct redirection *redirection = page_start(memory);
    memcpy(redirection, plan->redirection, redirections * sizeof *redirection);
    SORT(redirection, redirections, group_of)
    for (size_t i = 0, end; i < redirections; i = end) {
        uint32_t bytes = 0;
        for (end = i; end < redirections && group_of(&redirection[end]) == group_of(&redirection[i]); end++)
            bytes += field_bytes(redirection[end].edge);
        add_dependent(preview, redirection[i].edge, end - i, bytes);
    }
    return ERR_OK;
}

/* ---- what waits for quiescence ---- */

static void add_quiescence(struct preview *preview, struct section_ref section, const char *symbol,
                           enum plan_quiescence reason)
{
    struct plan_item item = {.kind = PLAN_QUIESCENCE, .reason = reason};

    if (reason == PLAN_QUIESCENCE_NONE)
        return;
    preview_name_from(&item, section);
    if (symbol)
        string_copy(item.name, symbol, sizeof item.name);
    preview_add(preview, &item);
}

static void add_quiescences(struct preview *preview, const struct plan *plan)
{
    for (size_t i = 0; i < plan->pairs; i++)
        add_quiescence(preview, plan->pair[i].old, NULL, data_quiescence(plan, &plan->pair[i]));
    for (size_t i = 0; i < plan->olds; i++)
        for_each_symbol_of (s, plan->old[i])
            add_quiescence(preview, arena_symbol(s)->section, arena_string(arena_symbol(s)->name),
                           data_symbol_quiescence(plan, s));
}

enum err preview_plan(struct preview *preview, const struct plan *plan)
{
    if (!preview)
        return ERR_OK;
    add_sections(preview, plan);
    enum err e = add_dependents(preview, plan);
    if (!e)
        add_quiescences(preview, plan);
    return e;
}
