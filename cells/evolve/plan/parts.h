/* What the files of the plan cell share. Internal to it. */
#pragma once
#include "cells/core/arena/arena.h"
#include "cells/evolve/plan/index.h"
#include "cells/evolve/plan/plan.h"

static inline const char *section_name(struct section_ref section)
{
    return arena_string(arena_section(section)->name);
}

static inline const char *section_cell_name(struct section_ref section)
{
    return arena_string(arena_cell(arena_section(section)->cell)->name);
}

static inline bool section_is_data(struct section_ref section)
{
    return section_kind_is_data(arena_section(section)->kind);
}

/* Whether a swap leaves out what the section has: fresh data is asked for, or its cell makes it again. */
static inline bool section_is_reset(const struct plan *plan, struct section_ref section)
{
    return plan->fresh || arena_section(section)->datum == DATUM_SOFT;
}

/* The hash of the object that the section's cell is made from; 0: it has none. */
static inline uint64_t section_object_hash(struct section_ref section)
{
    struct object_ref object = arena_cell(arena_section(section)->cell)->object;

    return object.index ? arena_object(object)->hash : 0;
}

/* Types that are not known count as the same. */
static inline bool types_agree(uint64_t a, uint64_t b)
{
    return !a || !b || a == b;
}

/* pair.c: the pair of an old section, by the index of the new cells' sections. */
struct pair pair_make(const struct plan *plan, const struct index_entry *old);

/* edges.c: appends to plan->redirection, which `redirection` is, those of the edges to the old cells: of other cells'
 * edges, or of the old cells' `own`. Writes plan->redirections also on error. */
enum err edges_add_redirections(struct plan *plan, struct redirection *redirection, bool own, struct report *report);
/* The same for edges of the namespace's cells that stay to the cells that the new ones hide. */
enum err edges_add_hidden(struct plan *plan, struct redirection *redirection, struct report *report);

/* data.c */
/* Refuses the plan when static data would be lost, or carried to another type. */
enum err data_verify(const struct plan *plan, struct report *report);
/* Bytes of static data that the new cells take over. */
uint64_t data_count_bytes(const struct plan *plan);
/* Why no task may be inside of the old cells when this datum, or this exported symbol of an old cell, changes. */
enum plan_quiescence data_quiescence(const struct plan *plan, const struct pair *pair);
enum plan_quiescence data_symbol_quiescence(const struct plan *plan, struct symbol_ref symbol);

/* transfer.c: the new cell whose transfer function carries the data of an old section's cell: the one of the same name,
 * or where there is none, any. None: none has a transfer function. */
struct cell_ref transfer_cell_for(const struct plan *plan, struct section_ref section);

enum [[nodiscard]] call_fit{CALL_FITS, CALL_LOST, CALL_RETYPED};
/* address.c: for a pointer to a function of an old cell, by which that is called as type `hash` says.
 * CALL_LOST: nothing takes its place. CALL_RETYPED: what does cannot be called so. */
enum call_fit plan_check_call(const struct plan *plan, uint64_t function, uint64_t hash);
/* Whether there is a function for which plan_check_call does not always return CALL_FITS. */
bool plan_loses_functions(const struct plan *plan);
/* Whether a section's bytes are still used after the swap: those of an old cell only if they are carried, those of
 * other cells always. And whether the pointer at `offset` is. */
bool plan_is_kept(const struct plan *plan, struct section_ref section);
bool plan_is_pointer_kept(const struct plan *plan, struct section_ref section, uint32_t offset);
