/* The plan of a dry run, item by item (guest/abi/plan.h), for who has asked for it. */
#pragma once
#include "cells/cell.h"
#include "guest/abi/plan.h"

/* Where the items go. The memory may be the host's, so it is written and never read. */
struct preview {
    struct plan_item *item; /* borrowed */
    size_t room;
    uint32_t count; /* there were so many; those beyond `room` are not kept */
};

/* `preview` NULL: nobody has asked. */
static inline void preview_add(struct preview *preview, const struct plan_item *item)
{
    if (!preview)
        return;
    if (preview->count < preview->room)
        preview->item[preview->count] = *item;
    preview->count++;
}

/* A cell that goes, the object of the one that comes and, when it has been staged, that one; each 0: there is none. */
void preview_cell(struct preview *preview, uint32_t old, uint32_t object, uint32_t new_, enum plan_cell_way way);
/* An edge that is to be rewritten. */
void preview_edge(struct preview *preview, uint32_t edge);

struct plan;
struct reach;
struct record;

/* For the swap cell itself. What goes and comes. */
void preview_cells(struct preview *preview, const struct record *record);
/* Sections, transfer functions, dependents and what waits for quiet, of a plan that may have been refused half way. It is
 * good for addresses afterwards, not for a commit: its steps are in another order. */
void preview_plan(struct preview *preview, struct plan *plan);
/* Tasks and words of a plan that has been scanned; the words are used up. */
void preview_scan(struct preview *preview, struct plan *plan, const struct reach *reach);
