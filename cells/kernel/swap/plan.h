/* What a swap is going to do, worked out and verified before anything changes. Internal to the swap cell. */
#pragma once
#include "cells/cell.h"
#include "cells/kernel/loader/loader.h"
#include "cells/kernel/page/page.h"
#include "cells/kernel/swap/recipe.h"
#include "guest/abi/plan.h"
#include "guest/abi/swap_set.h"

/* Where something of the old cells has its counterpart in the new ones. */
struct twin {
    uint64_t virt; /* of the old section */
    uint64_t to;   /* of the new one; 0: there is none */
    uint32_t bytes;
    uint32_t old, new_; /* sections; new_ 0: there is none */
    bool same;          /* same contents but for relocations: an address within it can be carried over */
    bool carried;       /* data whose bytes are copied */
    bool text;
    bool retyped;                /* a function whose callers would have to call it otherwise */
    const struct recipe *recipe; /* data that a recipe moves, or gives up; NULL: none */
};

struct place {
    uint32_t section, target, symbol;
};

/* An edge that is to lead elsewhere. */
struct step {
    uint32_t edge;
    struct place from, to;
};

/* A word somewhere in memory that points into an old cell. */
struct word {
    uint64_t *at; /* in the direct map, or on a stack */
    uint64_t before, after;
};

/* A word on a stack that points into an old cell. */
struct hit {
    uint64_t *at;
    struct task *task; /* NULL: the stack is one for faults */
};

/* Lies in pages of its own, which scans leave out, since it is full of addresses in the old cells. */
struct plan {
    struct mapped_pages *memory, *word_memory, *switch_memory;
    uint32_t old[SWAP_SET_MAX], new_[SWAP_SET_MAX];
    size_t olds, news;
    struct span {
        uint64_t start, bytes;
    } span[3 * SWAP_SET_MAX]; /* regions of the old cells: their text first */
    size_t spans, texts;
    uint64_t low, high; /* all of them lie between */
    bool fresh;         /* static data starts anew */
    bool quiet;         /* types change: no frame may end in an old cell */
    bool core;          /* cells of the nano_core are among the old ones: see switch.h */
    struct twin *twin;  /* by address */
    size_t twins;
    struct step *step; /* those of other cells first, then the old cells' own ways to data that moves */
    size_t steps, foreign_steps;
    struct word *word;
    size_t words, words_max;
    bool words_lost;                  /* there were more */
    struct hit *hit;                  /* room for words_max */
    size_t hits;                      /* of the last stack_look */
    uint64_t own_rsp;                 /* likewise */
    size_t tasks;                     /* whose stacks were looked at then */
    struct index *sections, *symbols; /* of the new cells, by name */
    struct recipes recipes;
};

/* Twins only, for addresses. Recipes are opened, not yet checked; NULL: none. NULL: no memory. */
void plan_put(TAKES struct plan *plan);
OWNABLE(plan)
RELEASED_BY(plan_put)
struct plan *plan_pair(const uint32_t *old, size_t olds, const uint32_t *new_, size_t news, bool fresh,
                       const struct recipes *recipes);
/* Verifies and fills in all steps. */
enum err plan_make(struct plan *plan, struct loader_detail *detail);
/* True while each edge of a step leads where it did then. Whether there are more of them now is for others to see. */
bool plan_is_current(const struct plan *plan);
/* Room for so many words, none of them filled in. */
enum err plan_reserve_words(struct plan *plan, size_t words);
void plan_forget_words(struct plan *plan);
void plan_add_word(struct plan *plan, uint64_t *at, uint64_t before, uint64_t after);

bool plan_is_old(const struct plan *plan, uint32_t cell);
bool plan_in_regions(const struct plan *plan, uint64_t address);
/* True when `address` lies in a region of an old cell. Most words of memory are told apart by one comparison. */
static inline bool plan_in_old(const struct plan *plan, uint64_t address)
{
    return address - plan->low < plan->high - plan->low && plan_in_regions(plan, address);
}
bool plan_in_old_text(const struct plan *plan, uint64_t address);
/* Whether a section of an old cell starts there. */
bool plan_is_start(const struct plan *plan, uint64_t address);
/* What takes the place of an address in an old cell; 0: nothing does. */
uint64_t plan_map(const struct plan *plan, uint64_t address);
/* The section that takes the place of an old one, or with `back` the other way round; 0: none. */
uint32_t plan_twin(const struct plan *plan, uint32_t section, bool back);

/* For a pointer to the start of a function of an old cell, by which that is called as type `hash` says: ERR_OK, or
 * ERR_MISSING_SYMBOL: nothing takes its place; ERR_WRONG_TYPE: what does cannot be called so. */
enum err plan_calls(const struct plan *plan, uint64_t function, uint64_t hash);
/* Whether for some pointer to a function the answer would not be ERR_OK. */
bool plan_loses_functions(const struct plan *plan);
/* Whether static data of an old cell is carried over, or moved by a recipe; and with it the pointer at `offset`. Of other
 * cells always. */
bool plan_keeps(const struct plan *plan, uint32_t section);
bool plan_moves(const struct plan *plan, uint32_t section, uint32_t offset);

/* A section's bytes, through the direct map. */
uint8_t *plan_bytes(uint32_t section);
/* Why nobody may be inside of the old cells when this is to change. */
enum plan_quiet_way plan_data_quiet(const struct plan *plan, const struct twin *twin);
enum plan_quiet_way plan_symbol_quiet(const struct plan *plan, uint32_t symbol); /* one of an old cell */
/* The new cell whose transfer function looks after the data of an old section's cell: the one of the same name, or where
 * there is none, any. 0: none does. */
uint32_t plan_transfer(const struct plan *plan, uint32_t section);

void plan_say(struct loader_detail *detail, const char *a, const char *b, const char *c, const char *d);
