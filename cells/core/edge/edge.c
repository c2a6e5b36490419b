/* See edge.h. How a relocation is written, and what a hash covers, is the loader's. */
#include "cells/core/edge/edge.h"
#include "cells/core/loader/loader.h"
#include "cells/core/page/page.h"
#include "guest/abi/elf.h"

CELL("edge", KERNEL, 1);
FOUNDATION();
EXPORT(edge_at, KERNEL);
EXPORT(edge_bind, DRIVER);
EXPORT(edge_redirect, KERNEL);
EXPORT(edge_redirect_record, KERNEL);
EXPORT(edge_rehash, KERNEL);

struct edge_ref edge_at(struct section_ref section, uint32_t offset)
{
    for_each_edge_from (edge, section)
        if (arena_edge(edge)->offset == offset)
            return edge;
    return NO_EDGE;
}

static void change_target(struct edge_ref edge, struct section_ref to, uint32_t target, struct symbol_ref symbol)
    NEEDS(arena_writer)
{
    struct arena_edge *e = arena_edge(edge);

    arena_edge_unlink(edge);
    e->to = to;
    e->target = target;
    e->symbol = symbol;
    arena_seal(edge);
    arena_edge_link(edge);
    if (arena_section(e->from)->hash)
        arena_section(e->from)->rewritten = 1;
}

void edge_redirect_record(struct edge_ref edge, struct section_ref to, uint32_t target, struct symbol_ref symbol)
{
    GUARD(arena) held = arena_change();

    change_target(edge, to, target, symbol);
}

void edge_rehash(struct cell_ref cell)
{
    for_each_section_of (s, cell) {
        GUARD(arena) held = arena_change();
        for_each_edge_to (e, s)
            if (arena_section(arena_edge(e)->from)->rewritten)
                loader_hash_section(arena_edge(e)->from);
    }
}

enum err edge_redirect(struct edge_ref edge, struct section_ref to, uint32_t target, struct symbol_ref symbol)
{
    GUARD(arena) held = arena_change();
    struct arena_edge *e = arena_edge(edge), changed = *e;

    changed.to = to;
    changed.target = target;
    changed.symbol = symbol;
    if (!loader_is_stored_over(e) && !loader_write_edge(&changed))
        return ERR_BAD_RELOCATION;
    change_target(edge, to, target, symbol);
    return ERR_OK;
}

/* The exported symbol that starts at `section` + `offset`, or none. */
static struct symbol_ref export_at(struct section_ref section, uint32_t offset)
{
    for_each_symbol_of (i, arena_section(section)->cell)
        if (same(arena_symbol(i)->section, section) && arena_symbol(i)->offset == offset && arena_symbol(i)->access)
            return i;
    return NO_SYMBOL;
}

enum err edge_bind(void *slot, const void *function)
{
    GUARD(arena) held = arena_change();
    uint64_t at = (uint64_t)(uintptr_t)slot, value = (uint64_t)(uintptr_t)function;
    struct section_ref from = arena_section_at(at), to = arena_section_at(value);

    if (!from.index || (function && !to.index))
        return ERR_NOT_FOUND;
    const struct arena_section *s = arena_section(from);
    if (!section_kind_is_data(s->kind) || at - s->virt > s->bytes - sizeof value || s->bytes < sizeof value)
        return ERR_INVALID;
    struct edge_ref before = edge_at(from, (uint32_t)(at - s->virt));
    if (function) {
        uint32_t target = (uint32_t)(value - arena_section(to)->virt);
        struct arena_edge edge = {.from = from,
                                  .to = to,
                                  .offset = (uint32_t)(at - s->virt),
                                  .type = R_X86_64_64,
                                  .target = target,
                                  .symbol = export_at(to, target)};
        if (!loader_add_edge(&edge).index)
            return ERR_FULL;
    }
    if (before.index) {
        arena_edge_unlink(before);
        arena_free(before);
    }
    __atomic_store_n((uint64_t *)((uint8_t *)page_direct(s->phys) + (at - s->virt)), value, __ATOMIC_RELEASE);
    return ERR_OK;
}
