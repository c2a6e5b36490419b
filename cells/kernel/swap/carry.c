/* See carry.h. */
#include "cells/kernel/swap/carry.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/loader/elf.h"
#include "cells/lib/string/string.h"

static uint32_t edge_at(uint32_t section, uint32_t offset)
{
    uint32_t e = arena_section(section)->first_out;

    while (e && arena_edge(e)->offset != offset)
        e = arena_edge(e)->next_out;
    return e;
}

/* A copied pointer that the arena knows of, at `offset` of the new section: it leads where the old one leads now, into the
 * new cell for the old. */
static enum err carry_pointer(const struct plan *plan, const struct twin *twin, const struct arena_edge *edge,
                              uint32_t offset)
{
    uint64_t value;

    if (edge->type != R_X86_64_64)
        return ERR_BAD_RELOCATION;
    memcpy(&value, plan_bytes(twin->new_) + offset, sizeof value);
    if (plan_in_old(plan, value))
        value = plan_map(plan, value);
    if (value && !arena_section_at(value))
        return ERR_OK; /* changed at run time, to something in the heap */
    return loader_bind((void *)(arena_section(twin->new_)->virt + offset), (const void *)value);
}

/* Where the 8 bytes at `offset` of the new section come from; false: they are the new version's own. */
static bool origin_of(const struct plan *plan, const struct twin *twin, uint32_t offset, uint32_t *ret_offset)
{
    *ret_offset = offset;
    return !twin->recipe || recipe_origin(&plan->recipes, twin->recipe, offset, 8, ret_offset);
}

/* A pointer that only the new cell has: copying has overwritten it. */
static enum err restore_pointers(const struct plan *plan, const struct twin *twin)
{
    const struct arena_section *section = arena_section(twin->new_);

    for (uint32_t e = section->first_out; e; e = arena_edge(e)->next_out) {
        const struct arena_edge *edge = arena_edge(e);
        uint32_t offset;
        if (origin_of(plan, twin, edge->offset, &offset) && edge_at(twin->old, offset))
            continue;
        if (edge->type != R_X86_64_64)
            return ERR_BAD_RELOCATION;
        uint64_t value = arena_section(edge->to)->virt + edge->target + (uint64_t)edge->addend;
        memcpy(plan_bytes(twin->new_) + edge->offset, &value, sizeof value);
    }
    return ERR_OK;
}

/* Pointers to the old cell's own data that code has stored: heads of lists, and the like. */
static void carry_own_pointers(const struct plan *plan, const struct twin *twin)
{
    const struct arena_section *s = arena_section(twin->new_);
    uint64_t start = (uint64_t)plan_bytes(twin->new_);
    uint64_t *word = (uint64_t *)((start + 7) & ~7ul), *end = (uint64_t *)((start + s->bytes) & ~7ul);

    for (; word < end; word++)
        if (plan_in_old(plan, *word) && plan_map(plan, *word))
            *word = plan_map(plan, *word);
}

static enum err carry_section(const struct plan *plan, const struct twin *twin)
{
    const struct arena_section *from = arena_section(twin->old);
    enum err error;

    if (twin->recipe)
        recipe_apply(&plan->recipes, twin->recipe, plan_bytes(twin->old), plan_bytes(twin->new_));
    else
        memcpy(plan_bytes(twin->new_), plan_bytes(twin->old), twin->bytes);
    error = restore_pointers(plan, twin);
    for (uint32_t e = from->first_out; e && !error; e = arena_edge(e)->next_out) {
        uint32_t offset = arena_edge(e)->offset;
        if (!twin->recipe || recipe_map(&plan->recipes, twin->recipe, offset, 8, &offset))
            error = carry_pointer(plan, twin, arena_edge(e), offset);
    }
    carry_own_pointers(plan, twin);
    return error;
}

/* ---- transfer functions ---- */

struct transferring {
    const struct plan *plan;
    uint32_t first; /* the old cell that is asked first; 0: none */
};

static const struct arena_section *find_section(uint32_t cell, const char *name)
{
    uint32_t i = cell ? arena_cell(cell)->first_section : 0;

    while (i && !string_equal(arena_string(arena_section(i)->name), name))
        i = arena_section(i)->next_in_cell;
    return i ? arena_section(i) : NULL;
}

static const void *find_data(const struct cell_transfer *transfer, const char *section, size_t *ret_bytes)
{
    const struct transferring *t = transfer->context;
    const struct arena_section *found = find_section(t->first, section);

    for (size_t i = 0; i < t->plan->olds && !found; i++)
        found = find_section(t->plan->old[i], section);
    if (found && ret_bytes)
        *ret_bytes = found->bytes;
    return found ? (const void *)found->virt : NULL;
}

/* The old cell of the same name; where there is none, the first. */
static uint32_t predecessor(const struct plan *plan, uint32_t new_)
{
    for (size_t i = 0; i < plan->olds; i++)
        if (arena_cell(plan->old[i])->name == arena_cell(new_)->name)
            return plan->old[i];
    return plan->olds ? plan->old[0] : 0;
}

/* Bytes of the old data that only transfer functions can take over. */
static uint64_t left_to_transfer(const struct plan *plan)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < plan->twins; i++) {
        const struct arena_section *s = arena_section(plan->twin[i].old);
        if ((s->kind == SECTION_DATA || s->kind == SECTION_BSS) && !plan->twin[i].carried && !plan->twin[i].recipe)
            bytes += s->bytes;
    }
    return bytes;
}

static enum err run_transfer(const struct plan *plan, uint32_t new_)
{
    const struct transferring context = {plan, predecessor(plan, new_)};
    const struct arena_cell *first = arena_cell(context.first);
    const struct cell_transfer transfer = {.from_version = first->version, .find = find_data, .context = &context};
    enum err (*function)(const struct cell_transfer *) =
        (void *)arena_section(arena_cell(new_)->transfer_section)->virt;

    return function(&transfer);
}

bool carry_needs_transfer(const struct plan *plan, uint32_t new_)
{
    const struct arena_cell *c = arena_cell(new_);
    uint32_t old = predecessor(plan, new_);

    return !plan->fresh && c->transfer_section && old && arena_cell(old)->object != c->object;
}

static enum err transfer_all(const struct plan *plan, uint64_t *bytes, struct loader_detail *detail)
{
    bool any = false;

    for (size_t i = 0; i < plan->news; i++) {
        if (!carry_needs_transfer(plan, plan->new_[i]))
            continue;
        enum err error = run_transfer(plan, plan->new_[i]);
        if (error) {
            plan_say(detail, arena_string(arena_cell(plan->new_[i])->name),
                     ": its data cannot be taken over: ", err_text(error), "");
            return error;
        }
        any = true;
    }
    *bytes += any ? left_to_transfer(plan) : 0;
    return ERR_OK;
}

enum err carry_data(const struct plan *plan, uint64_t *ret_bytes, struct loader_detail *detail)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < plan->twins; i++) {
        const struct twin *twin = &plan->twin[i];
        bool moves = twin->carried || (twin->recipe && twin->new_);
        enum err error = moves ? carry_section(plan, twin) : ERR_OK;
        if (error) {
            plan_say(detail, arena_string(arena_section(twin->old)->name), ": cannot be taken over: ", err_text(error),
                     "");
            return error;
        }
        bytes += moves ? twin->bytes : 0;
    }
    enum err error = transfer_all(plan, &bytes, detail);
    if (!error)
        *ret_bytes = bytes;
    return error;
}
