/* See residue.h. */
#include "injector/residue.h"
#include "guest/abi/arena.h"
#include "guest/abi/layout.h"
#include <inttypes.h>
#include <stdio.h>

static const char *const words[] = {
#define X(name, word) [RESIDUE_##name] = word,
    RESIDUES(X)
#undef X
};

bool residue_count(const uint8_t *ram, size_t bytes, struct residue_counts *ret_counts)
{
    static const struct {
        enum residue kind;
        enum arena_table table;
    } tables[] = {{RESIDUE_NAMESPACES, ARENA_NAMESPACES},
                  {RESIDUE_OBJECTS, ARENA_OBJECTS},
                  {RESIDUE_CELLS, ARENA_CELLS},
                  {RESIDUE_SECTIONS, ARENA_SECTIONS},
                  {RESIDUE_SYMBOLS, ARENA_SYMBOLS},
                  {RESIDUE_EDGES, ARENA_EDGES},
                  {RESIDUE_TASKS, ARENA_TASKS}};
    const struct arena_header *h = (const void *)(ram + LAYOUT_ARENA_PHYS);

    if (bytes < LAYOUT_ARENA_PHYS + sizeof *h || h->magic != ARENA_MAGIC || h->version != ARENA_VERSION)
        return false;
    const uint64_t *counter = h->counter;
    int64_t *n = ret_counts->n;
    n[RESIDUE_FRAMES] = (int64_t)(counter[COUNTER_frames_total] - counter[COUNTER_frames_free]);
    n[RESIDUE_BLOCKS] = (int64_t)counter[COUNTER_heap_blocks];
    n[RESIDUE_BYTES] = (int64_t)counter[COUNTER_heap_bytes];
    n[RESIDUE_STRINGS] = (int64_t)counter[COUNTER_strings];
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        n[tables[i].kind] = h->table[tables[i].table].in_use;
    return true;
}

void residue_widen(struct residue_range *r, const struct residue_counts *counts)
{
    for (size_t i = 0; i < RESIDUE_COUNT; i++) {
        if (!r->known || counts->n[i] < r->low.n[i])
            r->low.n[i] = counts->n[i];
        if (!r->known || counts->n[i] > r->high.n[i])
            r->high.n[i] = counts->n[i];
    }
    r->known = true;
}

bool residue_is_clean(const struct residue_range *r, const struct residue_counts *counts,
                      struct residue_counts *ret_left)
{
    bool clean = true;

    for (size_t i = 0; i < RESIDUE_COUNT; i++) {
        int64_t n = counts->n[i], low = r->low.n[i], high = r->high.n[i];
        ret_left->n[i] = n > high ? n - high : n < low ? n - low : 0;
        clean &= ret_left->n[i] == 0;
    }
    return clean;
}

void residue_print(const struct residue_counts *left, char *ret_text, size_t bytes)
{
    size_t used = 0;

    *ret_text = '\0';
    for (size_t i = 0; i < RESIDUE_COUNT && used < bytes; i++)
        if (left->n[i])
            used += (size_t)snprintf(ret_text + used, bytes - used, "%s%s %" PRId64, used ? ", " : "", words[i],
                                     left->n[i]);
}
