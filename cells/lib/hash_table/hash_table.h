/* Hash tables with open addressing: what they have in common. A table is an array of slots in a form of its user's
 * own, each of them empty or with one entry. An entry has a 32-bit hash; the slot of that number, modulo the number of
 * slots, is its home. Invariant: from an entry's home to the entry, around the end of the table, all slots are used.
 * So whoever searches begins at the home, and may end at an empty slot: what is not before it is in no slot.
 *
 * To search, and to add (`key` and `entry` are the user's):
 *
 *     for_each_probe (at, hash, slots) {
 *         if (slot[at] is empty)
 *             ...                       there is none; this is the slot for a new one
 *         if (slot[at] has the key)     hashes may be equal, so the user compares keys
 *             ...                       found
 *     }
 *                                       here only when all slots are used
 *
 * Entries are removed with hash_close_gap: there are no tombstones. No operation takes more steps than there are
 * slots, whatever is in them. Locks are the user's: the table is not changed while somebody searches, unless the user
 * can tell. */
#pragma once
#include "cells/cell.h"

/* A hash of a number: of numbers close to each other, which are many, the hashes are not. */
static inline __attribute__((always_inline)) uint32_t hash_number(uint32_t number)
{
    return number * 0x9e3779b1u;
}

/* The slot after slot `at`, around the end. */
static inline __attribute__((always_inline)) uint32_t hash_next(uint32_t at, uint32_t slots)
{
    return (at + 1) % slots;
}

/* A loop over the slots that a search for this hash looks at. Declares `at`. */
#define for_each_probe(at, hash, slots)                                                                                \
    for (uint32_t at = (hash) % (slots), left_ = (slots); left_ > 0; left_--, (at) = hash_next(at, slots))

/* The same loop behind the first `steps` slots; `steps`, a variable of the user's, counts on. So a search can be left
 * and continued, while the table is not changed. */
#define for_each_probe_behind(steps, at, hash, slots)                                                                  \
    for (uint32_t at = ((hash) % (slots) + (steps)) % (slots); (steps) < (slots) && ++(steps);                         \
         (at) = hash_next(at, slots))

/* Whether slot `at` has an entry. If so, writes its hash. */
typedef bool hash_read(const void *table, uint32_t at, uint32_t *ret_hash);
/* Copies the entry in slot `from` to slot `to`. */
typedef void hash_move(void *table, uint32_t to, uint32_t from);

/* Prepares the removal of the entry in slot `gap`, for a search ends at an empty slot: moves later entries into the
 * gap, which so moves on, until no entry has it between its home and itself. Returns the slot that the user has to
 * empty. */
static inline __attribute__((always_inline)) uint32_t hash_close_gap(uint32_t gap, uint32_t slots, void *table,
                                                                     hash_read *read, hash_move *move)
{
    for_each_probe (at, gap + 1, slots) {
        uint32_t hash;
        if (!read(table, at, &hash))
            break;
        uint32_t from_home = (at + slots - hash % slots) % slots, from_gap = (at + slots - gap) % slots;
        if (from_home < from_gap)
            continue;
        move(table, gap, at);
        gap = at;
    }
    return gap;
}
