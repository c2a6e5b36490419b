/* Single edges: rewriting one, and recording a pointer that code stores into static data. */
#include "cells/kernel/loader/link.h"
#include "cells/kernel/page/page.h"

static void lead_to(uint32_t edge, uint32_t to, uint32_t target, uint32_t symbol) NEEDS(arena_writer)
{
    struct arena_edge *e = arena_edge(edge);

    arena_edge_unlink(edge);
    e->to = to;
    e->target = target;
    e->symbol = symbol;
    arena_seal(ARENA_EDGES, edge);
    arena_edge_link(edge);
    if (arena_section(e->from)->hash)
        arena_section(e->from)->rewritten = 1;
}

void loader_rebind_record(uint32_t edge, uint32_t to, uint32_t target, uint32_t symbol)
{
    GUARD(arena) held = arena_change();

    lead_to(edge, to, target, symbol);
}

void loader_settle(uint32_t cell)
{
    for (uint32_t s = arena_cell(cell)->first_section; s; s = arena_section(s)->next_in_cell) {
        GUARD(arena) held = arena_change();
        for (uint32_t e = arena_section(s)->first_in; e; e = arena_edge(e)->next_in)
            if (arena_section(arena_edge(e)->from)->rewritten)
                link_hash_section(arena_edge(e)->from);
    }
}

enum err loader_rebind(uint32_t edge, uint32_t to, uint32_t target, uint32_t symbol)
{
    GUARD(arena) held = arena_change();
    struct arena_edge *e = arena_edge(edge), changed = *e;

    changed.to = to;
    changed.target = target;
    changed.symbol = symbol;
    if (!link_is_stored_over(e) && !link_write(&changed))
        return ERR_BAD_RELOCATION;
    lead_to(edge, to, target, symbol);
    return ERR_OK;
}

/* The edge of `section` at `offset`; 0: none. */
static uint32_t edge_at(uint32_t section, uint64_t offset)
{
    uint32_t e = arena_section(section)->first_out;

    while (e && arena_edge(e)->offset != offset)
        e = arena_edge(e)->next_out;
    return e;
}

/* The exported symbol that starts at `section` + `offset`; 0: none. */
static uint32_t export_at(uint32_t section, uint32_t offset)
{
    uint32_t i = arena_cell(arena_section(section)->cell)->first_symbol;

    for (; i; i = arena_symbol(i)->next_in_cell)
        if (arena_symbol(i)->section == section && arena_symbol(i)->offset == offset && arena_symbol(i)->access)
            return i;
    return 0;
}

enum err loader_bind(void *slot, const void *function)
{
    GUARD(arena) held = arena_change();
    uint64_t at = (uint64_t)(uintptr_t)slot, value = (uint64_t)(uintptr_t)function;
    uint32_t from = arena_section_at(at), to = arena_section_at(value);

    if (!from || (function && !to))
        return ERR_NOT_FOUND;
    const struct arena_section *s = arena_section(from);
    if ((s->kind != SECTION_DATA && s->kind != SECTION_BSS) || at - s->virt > s->bytes - sizeof value ||
        s->bytes < sizeof value)
        return ERR_INVALID;
    uint32_t before = edge_at(from, at - s->virt);
    if (function) {
        uint32_t target = (uint32_t)(value - arena_section(to)->virt);
        struct arena_edge edge = {.from = from,
                                  .to = to,
                                  .offset = (uint32_t)(at - s->virt),
                                  .type = R_X86_64_64,
                                  .target = target,
                                  .symbol = export_at(to, target)};
        if (!link_add_edge(&edge))
            return ERR_FULL;
    }
    if (before) {
        arena_edge_unlink(before);
        arena_free(ARENA_EDGES, before);
    }
    __atomic_store_n((uint64_t *)((uint8_t *)page_direct(s->phys) + (at - s->virt)), value, __ATOMIC_RELEASE);
    return ERR_OK;
}
