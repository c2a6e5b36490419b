/* The names of records: each text once, with a count of references, found by a hash table. Invariant: a string whose
 * count is not 0 stays at its offset. */
#include "cells/core/arena/inside.h"
#include "cells/lib/hash_table/hash_table.h"
#include "cells/lib/string/string.h"

#define CODE 61 /* offsets are stored times this: after a flipped bit they are not a multiple */
_Static_assert(ARENA_MOST(ARENA_STRINGS_BASE) <= UINT32_MAX / CODE);

/* Written within arena_change() only; read without it while a fault is handled. */
struct slot {
    uint32_t coded; /* offset in the string table times CODE; 0: empty */
    uint32_t references;
};
static struct slot *slot;
static uint32_t slots;
SET_ONCE(slot);
SET_ONCE(slots);
_Static_assert(sizeof *slot == STRING_SLOT_BYTES);
static uint32_t strings GUARDED_BY(arena_writer); /* slots in use */
static uint32_t gap GUARDED_BY(arena_writer);     /* where the next search for room begins */

void strings_init(void)
{
    slot = arena_area(AREA_STRING_SLOTS, &slots);
    memset(slot, 0, slots * sizeof *slot);
    arena_header()->table[ARENA_STRINGS].in_use = 1;
    strings = 0;
    gap = 1;
}

const char *arena_string(uint32_t offset)
{
    const struct area *area = &arena_areas[ARENA_STRINGS];

    return (const char *)area->start + (offset < area->capacity ? offset : 0);
}

static uint32_t room_for_strings(void)
{
    return arena_areas[ARENA_STRINGS].capacity;
}

static uint32_t offset_in(uint32_t i)
{
    uint32_t coded = __atomic_load_n(&slot[i].coded, __ATOMIC_RELAXED);

    arena_visit();
    if (coded % CODE || coded / CODE >= room_for_strings()) {
        index_suspect();
        return 0;
    }
    return coded / CODE;
}

static uint32_t hash_of(const char *text)
{
    return arena_hash(text, string_length(text));
}

/* The slot of `text`, or the empty slot for it; where memory was corrupted, so that no slot is empty, any. */
static uint32_t find_slot(const char *text)
{
    for_each_probe (at, hash_of(text), slots) {
        if (!slot[at].coded)
            return at;
        uint32_t offset = offset_in(at);
        if (offset && string_equal(arena_string(offset), text))
            return at;
    }
    return 0;
}

uint32_t string_find(const char *text)
{
    return *text ? offset_in(find_slot(text)) : 0;
}

/* The offset of `bytes` zeros between strings, where others were released; searched once around from `gap`. 0: none. */
static uint32_t find_gap(size_t bytes) NEEDS(arena_writer)
{
    const char *text = arena_string(0);
    uint32_t used = arena_header()->table[ARENA_STRINGS].used;
    size_t run = 0;

    for (uint32_t steps = 0, i = gap; steps < room_for_strings() + bytes; steps++, i++) {
        if (i == 0 || i >= used || i >= room_for_strings())
            i = 1, run = 0;
        run = text[i] || text[i - 1] ? 0 : run + 1;
        if (run == bytes) {
            gap = i + 1;
            return i + 1 - (uint32_t)bytes;
        }
    }
    return 0;
}

/* The offset for a new string of so many bytes, its NUL included; 0: there is no room. */
static uint32_t find_room(size_t bytes) NEEDS(arena_writer)
{
    struct arena_table_desc *desc = &arena_header()->table[ARENA_STRINGS];
    uint32_t at = desc->used;

    if (strings >= slots / 4 * 3 - (arena_may_use_reserve() ? 0 : slots / ARENA_RESERVE_PART) ||
        !arena_has_room(ARENA_STRINGS, (uint32_t)bytes))
        return 0;
    /* one byte is left over, so that the last string ends even when its NUL is corrupted */
    if (at + bytes + 1 > room_for_strings())
        return find_gap(bytes);
    desc->used += (uint32_t)bytes;
    return at;
}

static void fill_slot(uint32_t i, uint32_t offset, size_t bytes) NEEDS(arena_writer)
{
    arena_header()->table[ARENA_STRINGS].in_use += (uint32_t)bytes;
    slot[i].references = 0;
    slot[i].coded = offset * CODE;
    arena_header()->counter[COUNTER_strings] = ++strings;
}

uint32_t string_intern(const char *text)
{
    size_t bytes = string_length(text) + 1;

    if (bytes == 1)
        return 0;
    uint32_t i = find_slot(text);
    if (!slot[i].coded) {
        uint32_t at = find_room(bytes);
        if (!at)
            return 0;
        memcpy((char *)arena_string(0) + at, text, bytes);
        fill_slot(i, at, bytes);
    }
    slot[i].references++;
    return offset_in(i);
}

static bool read_hash(const void *table, uint32_t at, uint32_t *ret_hash)
{
    const struct slot *all = table;

    if (!all[at].coded)
        return false;
    *ret_hash = hash_of(arena_string(offset_in(at)));
    return true;
}

static void move_slot(void *table, uint32_t to, uint32_t from)
{
    struct slot *all = table;

    all[to] = all[from];
}

void string_release(uint32_t offset)
{
    const char *text = arena_string(offset);
    uint32_t i = find_slot(text);

    if (!offset || offset_in(i) != offset || --slot[i].references)
        return; /* other references are left, or the string is corrupt: it stays */
    slot[hash_close_gap(i, slots, slot, read_hash, move_slot)].coded = 0;
    size_t length = string_length(text);
    arena_header()->table[ARENA_STRINGS].in_use -= (uint32_t)length + 1;
    memset((char *)text, 0, length);
    arena_header()->counter[COUNTER_strings] = --strings;
}

static void count_name(uint32_t offset) NEEDS(arena_writer)
{
    if (!offset || offset >= room_for_strings() || !*arena_string(offset))
        return;
    uint32_t i = find_slot(arena_string(offset));
    if (!slot[i].coded)
        fill_slot(i, offset, string_length(arena_string(offset)) + 1);
    slot[i].references++;
}

void strings_rebuild(void)
{
    strings_init();
    arena_header()->counter[COUNTER_strings] = 0;
    for (enum arena_table t = 0; t < NAMED_TABLES; t++) {
        uint32_t used = arena_header()->table[t].used;
        const uint32_t *record;
        for (uint32_t i = 1; i < used && (record = arena_peek(t, i)); i++)
            count_name(record[NAME_WORD]);
    }
}
