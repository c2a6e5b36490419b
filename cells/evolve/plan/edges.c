/* What each edge to an old cell is to refer to in the new ones, and whether its user may have that. */
#include "cells/evolve/plan/parts.h"

EXPORT(plan_is_current, KERNEL);
EXPORT(plan_concerns, KERNEL);

static bool is_new(const struct plan *plan, struct cell_ref cell)
{
    for (size_t i = 0; i < plan->news; i++)
        if (same(plan->new_[i], cell))
            return true;
    return false;
}

/* What is exported is found by its name. Names for people are looked up only when there is something to refuse: for
 * each edge that would be three records of the arena. */
static enum err resolve_symbol(const struct plan *plan, const struct arena_edge *edge, struct place *ret_place,
                               struct report *report)
{
    const struct arena_symbol *old = arena_symbol(edge->symbol);
    const struct arena_cell *user = arena_cell(arena_section(edge->from)->cell);
    uint32_t place = 0;
    const struct index_entry *found = index_find(plan->symbols, old->name, &place);

    if (!found)
        return report_refuse(report, ERR_MISSING_SYMBOL, "%s: %s is used by others, and the new version lacks it",
                             section_cell_name(edge->to), arena_string(old->name));
    struct symbol_ref ref = {found->record};
    const struct arena_symbol *symbol = arena_symbol(ref);
    if (!types_agree(old->type_hash, symbol->type_hash))
        return report_refuse(report, ERR_WRONG_TYPE, "%s: %s has another type in the new version",
                             section_cell_name(edge->to), arena_string(old->name));
    if (symbol->access < user->kind)
        return report_refuse(report, ERR_NO_ACCESS, "%s: %s is no longer for all of the cells that use it",
                             section_cell_name(edge->to), arena_string(old->name));
    *ret_place = (struct place){symbol->section, symbol->offset + edge->target - old->offset, ref};
    return ERR_OK;
}

/* What is bound without being exported, a function or datum, is found by its section's name. */
static enum err resolve_section(const struct plan *plan, const struct arena_edge *edge, struct place *ret_place,
                                struct report *report)
{
    uint64_t address = arena_section(edge->to)->virt + edge->target, to = plan_map(plan, address);
    const struct pair *pair = plan_pair_at(plan, address);

    if (pair && pair->retyped && !to)
        return report_refuse(report, ERR_WRONG_TYPE,
                             "%s: %s is bound by others, and has another type in the new version",
                             section_cell_name(edge->to), section_name(edge->to));
    if (!pair || !to)
        return report_refuse(report, ERR_MISSING_SYMBOL, "%s: %s is bound by others, and the new version lacks it",
                             section_cell_name(edge->to), section_name(edge->to));
    *ret_place = (struct place){pair->new_, (uint32_t)(to - pair->to), {}};
    return ERR_OK;
}

/* ---- redirections ---- */

static void add_redirection(struct plan *plan, struct redirection *redirection, struct edge_ref ref, struct place to)
{
    const struct arena_edge *edge = arena_edge(ref);

    redirection[plan->redirections++] = (struct redirection){ref, {edge->to, edge->target, edge->symbol}, to};
}

static enum err add_foreign(struct plan *plan, struct redirection *redirection, struct edge_ref ref,
                            struct report *report)
{
    const struct arena_edge *edge = arena_edge(ref);
    struct cell_ref user = arena_section(edge->from)->cell;
    struct place to = {};

    if (is_new(plan, user))
        return report_refuse(report, ERR_UNRESOLVED,
                             "%s: %s of the old version is needed by the new one, which does not have it",
                             section_cell_name(edge->to), section_name(edge->to));
    enum err e =
        edge->symbol.index ? resolve_symbol(plan, edge, &to, report) : resolve_section(plan, edge, &to, report);
    if (e && arena_cell(user)->state == CELL_OLD)
        return ERR_OK; /* it keeps the old version alive until it is freed itself */
    if (!e)
        add_redirection(plan, redirection, ref, to);
    return e;
}

/* Code of the old cells that runs on uses the new cells' data. */
static void add_own(struct plan *plan, struct redirection *redirection, struct edge_ref ref, const struct pair *pair)
{
    const struct arena_edge *edge = arena_edge(ref);

    if (pair->treatment == PLAN_CARRIED && arena_section(edge->from)->kind == SECTION_TEXT)
        add_redirection(plan, redirection, ref, (struct place){pair->new_, edge->target, {}});
}

/* ---- cells that are hidden ---- */

bool plan_concerns(const struct plan *plan, struct namespace_ref namespace_)
{
    uint32_t used = arena_header()->table[ARENA_NAMESPACES].used;

    for (uint32_t depth = 0; namespace_.index && !same(namespace_, plan->namespace_) && depth < used; depth++)
        namespace_ = arena_namespace(namespace_)->parent;
    return same(namespace_, plan->namespace_);
}

/* The edge is one of the namespace's own cells, or of a descendant's, that stay: they are to use the new ones. */
static bool leaves_hidden(const struct plan *plan, struct edge_ref edge)
{
    struct cell_ref user = arena_section(arena_edge(edge)->from)->cell;

    return arena_cell(user)->state == CELL_LIVE && plan_concerns(plan, arena_cell(user)->namespace_) &&
           !plan_is_old(plan, user);
}

static enum err add_hidden(struct plan *plan, struct redirection *redirection, struct edge_ref ref,
                           struct report *report)
{
    const struct arena_edge *edge = arena_edge(ref);
    struct place to = {};

    if (!edge->symbol.index)
        return report_refuse(report, ERR_MISSING_SYMBOL,
                             "%s holds a pointer into %s, which the new one has nothing for",
                             section_cell_name(edge->from), section_cell_name(edge->to));
    enum err e = resolve_symbol(plan, edge, &to, report);
    if (!e)
        add_redirection(plan, redirection, ref, to);
    return e;
}

enum err edges_add_hidden(struct plan *plan, struct redirection *redirection, struct report *report)
{
    enum err e = ERR_OK;

    for (size_t i = 0; i < plan->hiddens; i++)
        for_each_section_of (s, plan->hidden[i])
            for_each_edge_to (edge, s)
                if (!e && leaves_hidden(plan, edge))
                    e = add_hidden(plan, redirection, edge, report);
    return e;
}

enum err edges_add_redirections(struct plan *plan, struct redirection *redirection, bool own, struct report *report)
{
    enum err error;

    for (size_t i = 0; i < plan->pairs; i++) {
        const struct pair *pair = &plan->pair[i];
        for_each_edge_to (e, pair->old) {
            if (plan_is_old(plan, arena_section(arena_edge(e)->from)->cell) != own)
                continue;
            if (own)
                add_own(plan, redirection, e, pair);
            else if ((error = add_foreign(plan, redirection, e, report)))
                return error;
        }
    }
    return ERR_OK;
}

bool plan_is_current(const struct plan *plan)
{
    for (size_t i = 0; i < plan->redirections; i++) {
        const struct redirection *redirection = &plan->redirection[i];
        const struct arena_edge *edge = arena_edge(redirection->edge);
        if (!same(edge->to, redirection->from.section) || edge->target != redirection->from.target ||
            !same(edge->symbol, redirection->from.symbol))
            return false;
    }
    return true;
}
