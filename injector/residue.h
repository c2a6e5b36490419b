/* What a recovery has left behind: what the guest has in use once it is over, against a guest into which nothing was
 * injected (docs/campaigns.md, "Residue"). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESIDUES(X)                                                                                                    \
    X(FRAMES, "frames")                                                                                                \
    X(BLOCKS, "heap blocks")                                                                                           \
    X(BYTES, "heap bytes")                                                                                             \
    X(NAMESPACES, "namespaces")                                                                                        \
    X(OBJECTS, "objects")                                                                                              \
    X(CELLS, "cells")                                                                                                  \
    X(SECTIONS, "sections")                                                                                            \
    X(SYMBOLS, "symbols")                                                                                              \
    X(EDGES, "edges")                                                                                                  \
    X(TASKS, "tasks")                                                                                                  \
    X(STRINGS, "strings")

enum residue {
#define X(name, word) RESIDUE_##name,
    RESIDUES(X)
#undef X
        RESIDUE_COUNT
};

/* In use, by kind. */
struct residue_counts {
    int64_t n[RESIDUE_COUNT];
};

/* The least and the most of each that was ever in use where a guest counted a round. */
struct residue_range {
    bool known;
    struct residue_counts low, high;
};

/* False: the memory has no arena. */
bool residue_count(const uint8_t *ram, size_t bytes, struct residue_counts *ret_counts);
void residue_widen(struct residue_range *range, const struct residue_counts *counts);
/* How many more than the most, or fewer (below 0) than the least. True: there are none. */
bool residue_is_clean(const struct residue_range *range, const struct residue_counts *counts,
                      struct residue_counts *ret_left);
/* "" or "frames 3, cells -1". */
void residue_print(const struct residue_counts *left, char *ret_text, size_t bytes);
