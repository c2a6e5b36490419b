/* See state_db.h. Copies lie one behind the other in granules of one piece of memory; a section's record says where its
 * own is, and has its hash, so that a mender needs nothing of this cell. */
#include "cells/memory/state_db/state_db.h"
#include "cells/core/arena/arena.h"
#include "cells/core/page/page.h"
#include "cells/lib/string/string.h"

CELL("state_db", KERNEL, 1);
FOUNDATION();
EXPORT(state_db_is_due, KERNEL);
EXPORT(state_db_keep, KERNEL);
EXPORT(state_db_is_copy_right, KERNEL);
EXPORT(state_db_restore, KERNEL);
EXPORT(state_db_sweep, KERNEL);

#define GRANULE_BYTES 32
#define GRANULES      1024

static struct mapped_pages *copies;
SET_ONCE(copies);
static struct section_ref owner[GRANULES] GUARDED_BY(loader_lock); /* of the copy that the granule is part of */

static size_t granules_for(uint32_t bytes)
{
    return (bytes + GRANULE_BYTES - 1) / GRANULE_BYTES;
}

static uint64_t granule_phys(size_t granule)
{
    return page_phys(copies) + granule * GRANULE_BYTES;
}

/* The first of so many free granules; GRANULES: there are none. */
static size_t find_granules(size_t count) NEEDS(loader_lock)
{
    size_t free = 0;

    for (size_t i = 0; i < GRANULES; i++) {
        free = owner[i].index ? 0 : free + 1;
        if (free == count)
            return i + 1 - count;
    }
    return GRANULES;
}

static bool is_zero(const struct arena_section *s)
{
    const uint8_t *bytes = page_direct(s->phys);
    uint32_t i = 0;

    while (i < s->bytes && !bytes[i])
        i++;
    return i == s->bytes;
}

bool state_db_is_due(struct section_ref section)
{
    const struct arena_section *s = arena_section(section);
    const struct arena_cell *c = arena_cell(s->cell);

    return s->datum == DATUM_SET_ONCE && !s->copy_phys && !s->first_out.index && c->state == CELL_LIVE &&
           c->initialized == CELL_INIT_DONE && __atomic_load_n(&arena_header()->ready, __ATOMIC_ACQUIRE) && !is_zero(s);
}

enum err state_db_keep(struct section_ref section)
{
    struct arena_section *s = arena_section(section);
    uint64_t phys = s->copy_phys;

    if (!copies)
        return ERR_NOMEM;
    if (!phys) {
        size_t count = granules_for(s->bytes), at = find_granules(count);
        if (at == GRANULES)
            return ERR_FULL;
        for (size_t i = 0; i < count; i++)
            owner[at + i] = section;
        phys = granule_phys(at);
    }
    memcpy(page_direct(phys), page_direct(s->phys), s->bytes);
    GUARD(arena) held = arena_change();
    s->copy_phys = phys;
    s->hash = arena_check(page_direct(phys), s->bytes);
    arena_seal(section);
    return ERR_OK;
}

bool state_db_is_copy_right(struct section_ref section)
{
    const struct arena_section *s = arena_section(section);

    return arena_check(page_direct(s->copy_phys), s->bytes) == s->hash;
}

static struct section_ref find_pair(struct cell_ref cell, const struct arena_section *like)
{
    for_each_section_of (i, cell) {
        const struct arena_section *s = arena_section(i);
        if (s->datum == DATUM_SET_ONCE && s->name == like->name && s->bytes == like->bytes &&
            s->type_hash == like->type_hash)
            return i;
    }
    return NO_SECTION;
}

void state_db_restore(struct cell_ref from, struct cell_ref to)
{
    for_each_section_of (i, from) {
        const struct arena_section *s = arena_section(i);
        struct section_ref pair = s->copy_phys && state_db_is_copy_right(i) ? find_pair(to, s) : NO_SECTION;
        if (pair.index)
            memcpy(page_direct(arena_section(pair)->phys), page_direct(s->copy_phys), s->bytes);
    }
}

static bool is_in_use(size_t granule) NEEDS(loader_lock)
{
    const struct arena_section *s = arena_section(owner[granule]);
    uint64_t from = s->copy_phys, end = from + granules_for(s->bytes) * GRANULE_BYTES;

    return from && granule_phys(granule) >= from && granule_phys(granule) < end;
}

void state_db_sweep(void)
{
    for (size_t i = 0; copies && i < GRANULES; i++)
        if (owner[i].index && !is_in_use(i))
            owner[i] = NO_SECTION;
}

static enum err state_db_init(void)
{
    if (!copies)
        copies = page_map(GRANULES * GRANULE_BYTES, PAGE_WRITE);
    return copies ? ERR_OK : ERR_NOMEM;
}
INIT(state_db_init);
