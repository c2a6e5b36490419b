/* Hash tables from a key, which is its own hash, to the number of a record. An entry may be corrupt: one whose bytes
 * are not 0 together is ignored. */
#include "cells/core/arena/inside.h"
#include "cells/lib/hash_table/hash_table.h"
#include "cells/lib/string/string.h"

/* Bits 0 to 31: key; 32 to 55: record; 56 to 63: such that the exclusive or of all bytes is 0. An empty slot is 0.
 * Written within arena_change() only; read without it while a fault is handled. */
struct index_table index_table[INDEXES];
SET_ONCE(index_table);
_Static_assert(sizeof *index_table->slot == INDEX_SLOT_BYTES);
static uint32_t used[INDEXES] GUARDED_BY(arena_writer);
static bool suspect; /* atomic */

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
        index_table[t].slot = arena_area(AREA_CELL_SLOTS + t, &index_table[t].slots);
        memset(index_table[t].slot, 0, index_table[t].slots * sizeof *index_table[t].slot);
        used[t] = 0;
    }
    suspect = false;
}

static uint64_t read(const uint64_t *slot, uint32_t at)
{
    uint64_t entry = __atomic_load_n(&slot[at], __ATOMIC_RELAXED);

    arena_visit();
    if (fold(entry))
        index_suspect();
    return entry;
}

static void write(uint64_t *slot, uint32_t at, uint64_t entry)
{
    __atomic_store_n(&slot[at], entry, __ATOMIC_RELAXED);
}

uint32_t index_next(enum index index, uint32_t key, uint32_t *place)
{
    const struct index_table *table = &index_table[index];

    for_each_probe_behind (*place, at, key, table->slots) {
        uint64_t entry = read(table->slot, at);
        if (!entry)
            break;
        if ((uint32_t)entry == key && !fold(entry))
            return (uint32_t)(entry >> 32) & 0xffffff;
    }
    return 0;
}

bool index_put(enum index index, uint32_t key, uint32_t record)
{
    const struct index_table table = index_table[index];
    uint64_t added = make(key, record), entry = added;

    if (used[index] >= table.slots - table.slots / 4)
        return false;
    for_each_probe (at, key, table.slots) {
        uint64_t there = read(table.slot, at);
        if (there && entry == added && (uint32_t)there != key)
            continue;
        write(table.slot, at, entry); /* displaces the first of the key, which displaces the next entry, and so on */
        entry = there;
        if (!entry) {
            used[index]++;
            return true;
        }
    }
    return false;
}

static bool read_key(const void *slot, uint32_t at, uint32_t *ret_key)
{
    uint64_t entry = read(slot, at);

    *ret_key = (uint32_t)entry;
    return entry;
}

static void move_slot(void *slot, uint32_t to, uint32_t from)
{
    write(slot, to, ((uint64_t *)slot)[from]);
}

void index_remove(enum index index, uint32_t key, uint32_t record)
{
    const struct index_table table = index_table[index];
    uint64_t removed = make(key, record);

    for_each_probe (at, key, table.slots) {
        uint64_t entry = read(table.slot, at);
        if (!entry)
            break;
        if (entry == removed) {
            write(table.slot, hash_close_gap(at, table.slots, table.slot, read_key, move_slot), 0);
            used[index]--;
            return;
        }
    }
    index_suspect();
}
