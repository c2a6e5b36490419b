/* The names of records: each text once, counted, found by open addressing. */
#include "cells/kernel/arena/inside.h"
#include "cells/lib/string/string.h"

#define SLOTS ARENA_STRING_SLOTS
#define CODE  251 /* a flipped bit makes of a multiple no other multiple */
_Static_assert((SLOTS & (SLOTS - 1)) == 0 && ARENA_STRINGS_BYTES <= UINT32_MAX / CODE);

static struct {
    uint32_t coded; /* offset in the string table times CODE; 0: empty */
    uint32_t references;
} slot[SLOTS];
static uint32_t strings GUARDED_BY(arena_writer); /* slots in use */
static uint32_t gap GUARDED_BY(arena_writer);     /* where the next search for room begins */

void strings_init(void)
{
    memset(slot, 0, sizeof slot);
    strings = 0;
    gap = 1;
}

const char *arena_string(uint32_t offset)
{
    const struct arena_table_desc *desc = &arena_header()->table[ARENA_STRINGS];
    const char *text = (const char *)arena_header() + desc->offset;

    return offset < ARENA_STRINGS_BYTES ? text + offset : text;
}

static uint32_t offset_in(uint32_t i)
{
    uint32_t coded = __atomic_load_n(&slot[i].coded, __ATOMIC_RELAXED);

    arena_visit();
    if (coded % CODE || coded / CODE >= ARENA_STRINGS_BYTES) {
        index_suspect();
        return 0;
    }
    return coded / CODE;
}

static uint32_t home_of(const char *text)
{
    return arena_check(text, string_length(text)) % SLOTS;
}

/* The slot that holds `text`, or the empty one where it would go. */
static uint32_t find_slot(const char *text)
{
    uint32_t i = home_of(text);

    for (uint32_t steps = 0; steps < SLOTS && slot[i].coded; steps++, i = (i + 1) % SLOTS) {
        uint32_t offset = offset_in(i);
        if (offset && string_equal(arena_string(offset), text))
            break;
    }
    return i;
}

uint32_t string_find(const char *text)
{
    return *text ? offset_in(find_slot(text)) : 0;
}

/* Between strings that were released and those that were not there are runs of zeros. Room for `bytes` in one of them,
 * from `gap` on and around once; 0: none. */
static uint32_t find_gap(size_t bytes) NEEDS(arena_writer)
{
    const char *text = arena_string(0);
    uint32_t used = arena_header()->table[ARENA_STRINGS].used;
    size_t run = 0;

    for (uint32_t steps = 0, i = gap; steps < ARENA_STRINGS_BYTES + bytes; steps++, i++) {
        if (i == 0 || i >= used || i >= ARENA_STRINGS_BYTES)
            i = 1, run = 0;
        run = text[i] || text[i - 1] ? 0 : run + 1;
        if (run == bytes) {
            gap = i + 1;
            return i + 1 - (uint32_t)bytes;
        }
    }
    return 0;
}

/* Where a string of so many bytes, its NUL included, goes; 0: nowhere. */
static uint32_t find_room(size_t bytes) NEEDS(arena_writer)
{
    struct arena_table_desc *desc = &arena_header()->table[ARENA_STRINGS];
    uint32_t at = desc->used;

    /* one byte is left over, so that the last string ends even when its NUL is hit */
    if (at + bytes + 1 > ARENA_STRINGS_BYTES)
        return find_gap(bytes);
    desc->used += (uint32_t)bytes;
    return at;
}

static void fill_slot(uint32_t i, uint32_t offset) NEEDS(arena_writer)
{
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
        uint32_t at = strings < SLOTS / 4 * 3 ? find_room(bytes) : 0;
        if (!at)
            return 0;
        memcpy((char *)arena_string(0) + at, text, bytes);
        fill_slot(i, at);
    }
    slot[i].references++;
    return offset_in(i);
}

/* Empties a slot; later ones of its run move up, as a search ends at the first empty slot. */
static void empty_slot(uint32_t i)
{
    for (uint32_t k = (i + 1) % SLOTS; slot[k].coded; k = (k + 1) % SLOTS) {
        uint32_t home = home_of(arena_string(offset_in(k)));
        if ((k - home) % SLOTS < (k - i) % SLOTS)
            continue;
        slot[i] = slot[k];
        i = k;
    }
    slot[i].coded = 0;
}

void string_release(uint32_t offset)
{
    const char *text = arena_string(offset);
    uint32_t i = find_slot(text);

    if (!offset || offset_in(i) != offset || --slot[i].references)
        return; /* not the last one, or a string that has been hit: it stays */
    empty_slot(i);
    memset((char *)text, 0, string_length(text));
    arena_header()->counter[COUNTER_strings] = --strings;
}

static void count_name(uint32_t offset) NEEDS(arena_writer)
{
    if (!offset || offset >= ARENA_STRINGS_BYTES || !*arena_string(offset))
        return;
    uint32_t i = find_slot(arena_string(offset));
    if (!slot[i].coded)
        fill_slot(i, offset);
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
