/* See state_db.h. Copies lie one behind the other in slots of one piece of memory; a section's record says where its
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

#define SLOT_BYTES 32
#define SLOTS      1024

static struct mapped_pages *slot_memory;
SET_ONCE(slot_memory);
static struct section_ref owner[SLOTS] GUARDED_BY(loader_lock); /* of the copy that the slot is part of */

static size_t slots_for(uint32_t bytes)
{
    return (bytes + SLOT_BYTES - 1) / SLOT_BYTES;
}

static uint64_t slot_phys(size_t slot)
{
    return page_phys(slot_memory) + slot * SLOT_BYTES;
}

/* The first of so many free slots; SLOTS: there are none. */
static size_t find_slots(size_t count) NEEDS(loader_lock)
{
    size_t free = 0;

    for (size_t i = 0; i < SLOTS; i++) {
        free = owner[i].index ? 0 : free + 1;
        if (free == count)
            return i + 1 - count;
    }
    return SLOTS;
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

    if (!slot_memory)
        return ERR_NOMEM;
    if (!phys) {
        size_t count = slots_for(s->bytes), at = find_slots(count);
        if (at == SLOTS)
            return ERR_FULL;
        for (size_t i = 0; i < count; i++)
            owner[at + i] = section;
        phys = slot_phys(at);
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

static bool is_in_use(size_t slot) NEEDS(loader_lock)
{
    const struct arena_section *s = arena_section(owner[slot]);
    uint64_t from = s->copy_phys, end = from + slots_for(s->bytes) * SLOT_BYTES;

    return from && slot_phys(slot) >= from && slot_phys(slot) < end;
}

void state_db_sweep(void)
{
    for (size_t i = 0; slot_memory && i < SLOTS; i++)
        if (owner[i].index && !is_in_use(i))
            owner[i] = NO_SECTION;
}

static enum err state_db_init(void)
{
    if (!slot_memory)
        slot_memory = page_map(SLOTS * SLOT_BYTES, PAGE_WRITE);
    return slot_memory ? ERR_OK : ERR_NOMEM;
}
INIT(state_db_init);
