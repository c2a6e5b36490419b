/* What a swap is going to do, worked out and verified before anything changes. Internal to the swap cell. */
#pragma once
#include "cells/cell.h"
#include "cells/kernel/loader/loader.h"
#include "cells/kernel/page/page.h"
#include "guest/abi/layout.h"

/* A section of the old cell and the one of the new cell that takes its place. */
struct twin {
    uint32_t old, new_; /* 0: there is none */
    bool same;          /* same contents but for relocations: an address within it can be carried over */
    bool carried;       /* data whose bytes are copied */
};

struct place {
    uint32_t section, target, symbol;
};

/* An edge that is to lead elsewhere. */
struct step {
    uint32_t edge;
    struct place from, to;
};

/* A word somewhere in memory that points into the old cell. */
struct word {
    uint64_t phys, before, after;
};

struct plan {
    uint32_t old, new_;
    bool fresh; /* static data starts anew */
    struct twin *twin;
    size_t twins;
    struct step *step; /* those of other cells first, then the old cell's own ways to data that moves */
    size_t steps, foreign_steps, applied;
    struct word *word;
    size_t words;
    struct mapped_pages *memory;
};

void plan_end(struct plan *plan);

/* Twins only, for addresses: plan_end afterwards. */
enum err plan_pair(struct plan *plan, uint32_t old, uint32_t new_, bool fresh, struct loader_detail *detail);
/* Verifies and fills in all steps. */
enum err plan_make(struct plan *plan, struct loader_detail *detail);
/* True while each edge of a step leads where it did then. Whether there are more of them now is for others to see. */
bool plan_is_current(const struct plan *plan);

bool plan_in_regions(uint32_t cell, uint64_t address);
/* True when `address` lies in a region of the cell. Most words of memory are told apart by one comparison. */
static inline bool plan_in_cell(uint32_t cell, uint64_t address)
{
    return address - LAYOUT_CELL_VIRT < LAYOUT_CELL_END - LAYOUT_CELL_VIRT && plan_in_regions(cell, address);
}
/* What takes the place of an address in the old cell; 0: nothing does. */
uint64_t plan_map(const struct plan *plan, uint64_t address);

void plan_say(struct loader_detail *detail, const char *a, const char *b, const char *c, const char *d);
