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
EXPORT(state_db_keep_all, KERNEL);
EXPORT(state_db_needs_renewal, KERNEL);
EXPORT(state_db_renew, KERNEL);
EXPORT(state_db_is_noted, KERNEL);
EXPORT(state_db_note, KERNEL);
EXPORT(state_db_forget, KERNEL);
EXPORT(state_db_restore, KERNEL);
EXPORT(state_db_sweep, KERNEL);

#define GRANULE_BYTES 32u
#define GRANULES      1024

static uint64_t copies_phys; /* 0: there is no room for copies */
SET_ONCE(copies_phys);
/* Of the copy that the granule is part of. Records say where copies are: what is wrong here follows from them. */
static struct section_ref owner[GRANULES] GUARDED_BY(loader_lock);

static size_t granules_for(uint32_t bytes)
{
    return bytes / GRANULE_BYTES + (bytes % GRANULE_BYTES != 0);
}

static uint64_t granule_phys(size_t granule)
{
    return copies_phys + granule * GRANULE_BYTES;
}

/* The first granule of the section's copy; GRANULES: it has none there. */
static size_t first_granule(const struct arena_section *s)
{
    uint64_t offset = s->copy_phys - copies_phys;

    return s->copy_phys && offset < GRANULES * GRANULE_BYTES &&
                   granules_for(s->bytes) <= GRANULES - offset / GRANULE_BYTES
               ? offset / GRANULE_BYTES
               : GRANULES;
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

/* What was set, and is constant now: no bound pointer is in it, since edges say what that must be. */
static bool is_set(const struct arena_section *s)
{
    return s->datum == DATUM_SET_ONCE && section_kind_is_data(s->kind) && !s->first_out.index &&
           s->bytes <= GRANULES * GRANULE_BYTES && !is_zero(s);
}

bool state_db_is_due(struct section_ref section)
{
    const struct arena_section *s = arena_section(section);

    if (s->datum != DATUM_SET_ONCE || s->copy_phys || !arena_sound(section))
        return false;
    const struct arena_cell *c = arena_cell(s->cell);
    return c->state == CELL_LIVE && c->initialized == CELL_INIT_DONE &&
           __atomic_load_n(&arena_header()->ready, __ATOMIC_ACQUIRE) && is_set(s);
}

/* 0: there is no copy from here on. */
static void set_copy(struct section_ref section, uint64_t phys)
{
    struct arena_section *s = arena_section(section);
    GUARD(arena) held = arena_change();

    s->copy_phys = phys;
    s->hash = phys ? arena_check(page_direct(phys), s->bytes) : 0;
    arena_seal(section);
}

enum err state_db_keep(struct section_ref section)
{
    const struct arena_section *s = arena_section(section);
    size_t count = granules_for(s->bytes), at;

    if (!state_db_is_due(section))
        return ERR_INVALID;
    if (!copies_phys)
        return ERR_NOMEM;
    if ((at = find_granules(count)) == GRANULES)
        return ERR_FULL;
    for (size_t i = 0; i < count; i++)
        owner[at + i] = section;
    memcpy(page_direct(granule_phys(at)), page_direct(s->phys), s->bytes);
    set_copy(section, granule_phys(at));
    return ERR_OK;
}

void state_db_keep_all(void)
{
    uint32_t used = arena_header()->table[ARENA_SECTIONS].used;

    for (struct section_ref i = {1}; i.index < used; i.index++)
        if (state_db_is_due(i)) {
            GUARD(loader) locked = loader_hold();
            (void)state_db_keep(i); /* without room there is none */
        }
}

static bool is_right(const struct arena_section *s, uint64_t phys)
{
    return arena_check(page_direct(phys), s->bytes) == s->hash;
}

bool state_db_needs_renewal(struct section_ref section)
{
    const struct arena_section *s = arena_section(section);
    uint64_t copy = s->copy_phys;

    return copy && !is_right(s, copy) && is_right(s, s->phys) && arena_sound(section);
}

void state_db_renew(struct section_ref section)
{
    const struct arena_section *s = arena_section(section);

    if (state_db_needs_renewal(section))
        memcpy(page_direct(s->copy_phys), page_direct(s->phys), s->bytes);
}

/* Without the lock: who then does something about it looks again. */
UNCHECKED bool state_db_is_noted(struct section_ref section)
{
    const struct arena_section *s = arena_section(section);
    size_t first = first_granule(s), count = granules_for(s->bytes), i = 0;

    while (first < GRANULES && i < count && same(owner[first + i], section))
        i++;
    return first < GRANULES && i == count;
}

static bool is_in_use(size_t granule) NEEDS(loader_lock)
{
    uint32_t index = owner[granule].index;

    if (!index || index >= arena_header()->table[ARENA_SECTIONS].used)
        return false;
    const struct arena_section *s = arena_section(owner[granule]);
    return granule - first_granule(s) < granules_for(s->bytes);
}

void state_db_note(struct section_ref section)
{
    const struct arena_section *s = arena_section(section);
    size_t first = first_granule(s), count = first < GRANULES ? granules_for(s->bytes) : 0;
    bool free = count;

    if (!s->copy_phys || !arena_sound(section))
        return;
    for (size_t i = 0; i < count; i++)
        free &= !owner[first + i].index || same(owner[first + i], section) || !is_in_use(first + i);
    if (!free) /* of two copies in one place one is overwritten: the datum gets another one */
        set_copy(section, 0);
    for (size_t i = 0; i < count && free; i++)
        owner[first + i] = section;
}

void state_db_forget(const void *datum)
{
    struct section_ref section = arena_section_at((uint64_t)datum);

    if (section.index && arena_section(section)->copy_phys)
        set_copy(section, 0);
}

/* ---- fresh data ---- */

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

/* Where the value is that the hash says is right; 0: nobody knows one. */
static uint64_t right_phys(const struct arena_section *s)
{
    if (!s->copy_phys)
        return 0;
    return is_right(s, s->copy_phys) ? s->copy_phys : is_right(s, s->phys) ? s->phys : 0;
}

static bool is_all_known(struct cell_ref from, struct cell_ref to)
{
    for_each_section_of (i, from) {
        const struct arena_section *s = arena_section(i);
        if ((s->copy_phys || is_set(s)) && (!right_phys(s) || !find_pair(to, s).index))
            return false;
    }
    return true;
}

void state_db_restore(struct cell_ref from, struct cell_ref to)
{
    if (!is_all_known(from, to))
        return;
    for_each_section_of (i, from) {
        const struct arena_section *s = arena_section(i);
        if (s->copy_phys)
            memcpy(page_direct(arena_section(find_pair(to, s))->phys), page_direct(right_phys(s)), s->bytes);
    }
}

/* ---- */

void state_db_sweep(void)
{
    for (size_t i = 0; i < GRANULES; i++)
        if (owner[i].index && !is_in_use(i))
            owner[i] = NO_SECTION;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak" /* kept for ever */
static enum err state_db_init(void)
{
    if (copies_phys)
        return ERR_OK;
    struct mapped_pages *pages = page_map(GRANULES * GRANULE_BYTES, PAGE_WRITE | PAGE_OPAQUE);
    if (!pages)
        return ERR_NOMEM;
    copies_phys = page_phys(pages);
    return ERR_OK;
}
#pragma GCC diagnostic pop
INIT(state_db_init);
