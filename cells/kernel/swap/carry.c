/* See carry.h. */
#include "cells/kernel/swap/carry.h"
#include "cells/kernel/arena/arena.h"
#include "cells/lib/string/string.h"

#define R_X86_64_64 1

static uint32_t edge_at(uint32_t section, uint32_t offset)
{
    uint32_t e = arena_section(section)->first_out;

    while (e && arena_edge(e)->offset != offset)
        e = arena_edge(e)->next_out;
    return e;
}

/* A copied pointer that the arena knows of: it leads where the old one leads now, into the new cell for the old. */
static enum err carry_pointer(const struct plan *plan, const struct twin *twin, const struct arena_edge *edge)
{
    uint64_t *slot = (uint64_t *)(arena_section(twin->new_)->virt + edge->offset), value = *slot;

    if (edge->type != R_X86_64_64)
        return ERR_BAD_RELOCATION;
    if (plan_in_cell(plan->old, value))
        value = plan_map(plan, value);
    if (value && !arena_section_at(value))
        return ERR_OK; /* changed at run time, to something in the heap */
    return loader_bind(slot, (const void *)value);
}

/* A pointer that only the new cell has: copying has overwritten it. */
static enum err restore_pointers(const struct twin *twin)
{
    const struct arena_section *section = arena_section(twin->new_);

    for (uint32_t e = section->first_out; e; e = arena_edge(e)->next_out) {
        const struct arena_edge *edge = arena_edge(e);
        if (edge_at(twin->old, edge->offset))
            continue;
        if (edge->type != R_X86_64_64)
            return ERR_BAD_RELOCATION;
        uint64_t value = arena_section(edge->to)->virt + edge->target + (uint64_t)edge->addend;
        memcpy((void *)(section->virt + edge->offset), &value, sizeof value);
    }
    return ERR_OK;
}

/* Pointers to the old cell's own data that code has stored: heads of lists, and the like. */
static void carry_own_pointers(const struct plan *plan, const struct twin *twin)
{
    const struct arena_section *s = arena_section(twin->new_);
    uint64_t *word = (uint64_t *)((s->virt + 7) & ~7ul), *end = (uint64_t *)((s->virt + s->bytes) & ~7ul);

    for (; word < end; word++)
        if (plan_in_cell(plan->old, *word) && plan_map(plan, *word))
            *word = plan_map(plan, *word);
}

static enum err carry_section(const struct plan *plan, const struct twin *twin)
{
    const struct arena_section *from = arena_section(twin->old), *to = arena_section(twin->new_);
    enum err error;

    memcpy((void *)to->virt, (const void *)from->virt, to->bytes);
    error = restore_pointers(twin);
    for (uint32_t e = from->first_out; e && !error; e = arena_edge(e)->next_out)
        error = carry_pointer(plan, twin, arena_edge(e));
    carry_own_pointers(plan, twin);
    return error;
}

/* ---- the transfer function ---- */

static const void *find_data(const struct cell_transfer *transfer, const char *section, size_t *ret_bytes)
{
    uint32_t i = arena_cell(transfer->old_cell)->first_section;

    for (; i; i = arena_section(i)->next_in_cell) {
        const struct arena_section *s = arena_section(i);
        if (!string_equal(arena_string(s->name), section))
            continue;
        if (ret_bytes)
            *ret_bytes = s->bytes;
        return (const void *)s->virt;
    }
    return NULL;
}

/* Bytes of the old data that only a transfer function can take over. */
static uint64_t left_to_transfer(const struct plan *plan)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < plan->twins; i++) {
        const struct arena_section *s = arena_section(plan->twin[i].old);
        if ((s->kind == SECTION_DATA || s->kind == SECTION_BSS) && !plan->twin[i].carried)
            bytes += s->bytes;
    }
    return bytes;
}

/* A reload of the same object has carried everything. */
static bool needs_transfer(const struct plan *plan)
{
    const struct arena_cell *old = arena_cell(plan->old), *new_ = arena_cell(plan->new_);

    return !plan->fresh && new_->transfer_section && old->object != new_->object;
}

static enum err run_transfer(const struct plan *plan)
{
    uint32_t section = arena_cell(plan->new_)->transfer_section;
    struct cell_transfer transfer = {
        .from_version = arena_cell(plan->old)->version, .find = find_data, .old_cell = plan->old};
    enum err (*function)(const struct cell_transfer *) = (void *)arena_section(section)->virt;

    return function(&transfer);
}

enum err carry_data(const struct plan *plan, uint64_t *ret_bytes, struct loader_detail *detail)
{
    uint64_t bytes = 0;
    enum err error = ERR_OK;

    for (size_t i = 0; i < plan->twins && !error; i++)
        if (plan->twin[i].carried) {
            error = carry_section(plan, &plan->twin[i]);
            bytes += arena_section(plan->twin[i].old)->bytes;
        }
    if (!error && needs_transfer(plan)) {
        error = run_transfer(plan);
        bytes += left_to_transfer(plan);
    }
    if (error)
        plan_say(detail, arena_string(arena_cell(plan->new_)->name),
                 ": its data cannot be taken over: ", err_text(error), "");
    else
        *ret_bytes = bytes;
    return error;
}
