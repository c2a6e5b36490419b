/* Open addressing from a key to the number of a record. Any entry may have been hit: one whose bytes do not add up is
 * not believed, and no search goes on for longer than there are entries. */
#include "cells/kernel/arena/inside.h"
#include "cells/lib/string/string.h"

/* Bits 0 to 31: key; 32 to 55: record; 56 to 63: so that all bytes together, exclusive or, are 0. An empty one is 0. */
static uint64_t cell_slot[ARENA_CELLS_MAX * 2], symbol_slot[ARENA_SYMBOLS_MAX * 3 / 2], page_slot[ARENA_PAGE_SLOTS];
const struct index_table index_table[INDEXES] = {
    [INDEX_CELLS] = {cell_slot, array_size(cell_slot)},
    [INDEX_SYMBOLS] = {symbol_slot, array_size(symbol_slot)},
    [INDEX_PAGES] = {page_slot, array_size(page_slot)},
};
static uint32_t used[INDEXES] GUARDED_BY(arena_writer);
static bool suspect;

static uint64_t fold(uint64_t entry)
{
    entry ^= entry >> 32;
    entry ^= entry >> 16;
    return (entry ^ entry >> 8) & 0xff;
}

static uint64_t make(uint32_t key, uint32_t record)
{
    uint64_t entry = (uint64_t)record << 32 | key;

    return entry | fold(entry) << 56;
}

void index_suspect(void)
{
    __atomic_store_n(&suspect, true, __ATOMIC_RELAXED);
}

bool index_is_suspect(void)
{
    return __atomic_load_n(&suspect, __ATOMIC_RELAXED);
}

void index_init(void)
{
    for (enum index t = 0; t < INDEXES; t++) {
        memset(index_table[t].slot, 0, index_table[t].slots * sizeof *index_table[t].slot);
        used[t] = 0;
    }
    suspect = false;
}

static uint64_t read(enum index index, uint32_t at)
{
    uint64_t entry = __atomic_load_n(&index_table[index].slot[at], __ATOMIC_RELAXED);

    arena_visit();
    if (fold(entry))
        index_suspect();
    return entry;
}

static void write(enum index index, uint32_t at, uint64_t entry)
{
    __atomic_store_n(&index_table[index].slot[at], entry, __ATOMIC_RELAXED);
}

uint32_t index_next(enum index index, uint32_t key, uint32_t *place)
{
    uint32_t slots = index_table[index].slots;

    while (*place < slots) {
        uint64_t entry = read(index, (key % slots + (*place)++) % slots);
        if (!entry)
            break;
        if ((uint32_t)entry == key && !fold(entry))
            return (uint32_t)(entry >> 32) & 0xffffff;
    }
    return 0;
}

bool index_put(enum index index, uint32_t key, uint32_t record)
{
    uint32_t slots = index_table[index].slots, at = key % slots;
    uint64_t entry = make(key, record), there;

    if (used[index] >= slots - slots / 4)
        return false;
    for (uint32_t steps = 0; steps < slots && (there = read(index, at)); steps++, at = (at + 1) % slots)
        if (entry != make(key, record) || (uint32_t)there == key) {
            write(index, at, entry); /* it takes the place of the first, and each of those behind that of the next */
            entry = there;
        }
    write(index, at, entry);
    used[index]++;
    return true;
}

/* Empties a slot; later ones of its run move up, as a search ends at the first empty slot. */
static void empty(enum index index, uint32_t at) NEEDS(arena_writer)
{
    uint32_t slots = index_table[index].slots, next = at;
    uint64_t entry;

    for (uint32_t steps = 0; steps < slots; steps++) {
        next = (next + 1) % slots;
        entry = read(index, next);
        if (!entry)
            break;
        if ((next + slots - (uint32_t)entry % slots) % slots < (next + slots - at) % slots)
            continue;
        write(index, at, entry);
        at = next;
    }
    write(index, at, 0);
    used[index]--;
}

void index_remove(enum index index, uint32_t key, uint32_t record)
{
    uint32_t slots = index_table[index].slots;
    uint64_t entry;

    for (uint32_t n = 0, at = key % slots; n < slots && (entry = read(index, at)); n++, at = (at + 1) % slots)
        if (entry == make(key, record)) {
            empty(index, at);
            return;
        }
    index_suspect(); /* it was put there: its entry, or the way to it, has been hit */
}
