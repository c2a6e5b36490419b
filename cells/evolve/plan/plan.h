/* What a swap is going to do, worked out and verified before anything changes (thesis §8.1): which new section takes
 * the place of which old one, which edges are redirected, what becomes of static data, and whether the swap has to wait
 * for quiescence.
 *
 * A plan reads records and memory and changes nothing. Once it is verified it is read-only; what later stages find is
 * theirs. All functions need the loader lock. */
#pragma once
#include "cells/cell.h"
#include "cells/core/loader/loader.h"
#include "cells/core/page/page.h"
#include "cells/core/report/report.h"
#include "guest/abi/plan.h"
#include "guest/abi/swap_set.h"

struct index;
struct recipe;
struct recipes;

/* An old section, and the new one that takes its place. */
struct pair {
    uint64_t virt;                /* of the old section */
    uint64_t to;                  /* of the new section; 0: there is none */
    uint32_t bytes;               /* of the old section */
    struct section_ref old, new_; /* new_ none: nothing takes its place */
    uint8_t treatment;            /* enum plan_section_treatment: what becomes of the old section's bytes */
    bool text, retyped;           /* a function; one that has to be called differently */
    bool constant;                /* has other contents, but the same name and size: pointers to it go along */
    const struct recipe *recipe;  /* of PLAN_BY_RECIPE, PLAN_DROPPED and functions of another name; else NULL */
};

/* What an edge refers to: `target` bytes into a section; there is no symbol for what is not exported. */
struct place {
    struct section_ref section;
    uint32_t target;
    struct symbol_ref symbol;
};

/* An edge that is to be redirected. */
struct redirection {
    struct edge_ref edge;
    struct place from, to;
};

/* A plan is in pages of its own. Scans of memory skip them, since they hold many addresses in the old cells. */
struct plan {
    struct mapped_pages *memory;
    struct cell_ref old[SWAP_SET_MAX], new_[SWAP_SET_MAX];
    size_t olds, news;
    size_t besides;                /* the last so many new cells replace no old ones, but hide cells of ancestors */
    const struct cell_ref *hidden; /* those; borrowed */
    size_t hiddens;
    const struct cell_ref *inherited; /* live cells that take the place of old ones of their names; borrowed */
    size_t inheriteds;
    struct namespace_ref namespace_; /* of the new cells */
    struct span {
        uint64_t start, bytes;
    } span[3 * SWAP_SET_MAX]; /* regions of the old cells: their text first */
    size_t spans, texts;
    uint64_t low, high;      /* all of them are between */
    bool fresh;              /* static data is not carried */
    bool core;               /* a cell of the core is among the old ones */
    bool quiescent;          /* types change: no task may return into code of an old cell that changed */
    const struct pair *pair; /* by address of the old section */
    size_t pairs;
    const struct redirection *redirection; /* first of other cells' edges, then of own ones to data that is carried */
    size_t redirections, foreign_redirections;
    uint64_t data_bytes; /* of static data that the new cells take over, in whatever way */
    const struct recipes *recipes;
    struct index *sections, *symbols; /* of the new cells, by name */
};

/* What plan_new makes a plan from. All is borrowed until the plan is put. */
struct plan_input {
    const struct cell_ref *old, *new_; /* up to SWAP_SET_MAX of each */
    size_t olds, news;
    const struct cell_ref *hidden, *inherited; /* as in struct swap_order */
    size_t hiddens, inheriteds, besides;
    struct namespace_ref namespace_;
    bool fresh;          /* do not carry static data */
    const void *recipes; /* passed by plan_check_recipes; NULL: none */
    size_t recipe_bytes;
};

/* Checks that the bytes are a set of recipes (guest/abi/recipe.h), but not yet what the recipes say. ERR_CORRUPT. */
enum err plan_check_recipes(const void *recipes, size_t bytes, struct report *report);

/* A plan that has pairs, for addresses, but neither redirections nor a verdict. NULL: no memory. */
void plan_put(TAKES struct plan *plan);
OWNABLE(plan)
RELEASED_BY(plan_put) struct plan *plan_new(const struct plan_input *input);
/* Verifies the swap and adds the redirections. On error nothing may be committed; what there is of the plan can be
 * previewed. */
enum err plan_verify(struct plan *plan, struct report *report);
/* Whether each edge of a redirection refers to what it did when the plan was made. New edges are not looked for. */
bool plan_is_current(const struct plan *plan);

/* ---- cells and sections ---- */

/* Whether the cell is one of those that are to be replaced. */
bool plan_is_old(const struct plan *plan, struct cell_ref cell);
/* Whether the namespace is that of the new cells, or descends from it. */
bool plan_concerns(const struct plan *plan, struct namespace_ref namespace_);
/* Whether a new cell takes the place of a hidden one, so that nothing is carried over to it. */
bool plan_is_beside(const struct plan *plan, struct cell_ref new_);
/* The section that takes the place of an old one, and the old one whose place a new one takes, or none. */
struct section_ref plan_new_section(const struct plan *plan, struct section_ref old);
struct section_ref plan_old_section(const struct plan *plan, struct section_ref new_);
/* A section's bytes in the direct map. */
uint8_t *plan_bytes(struct section_ref section);

/* ---- addresses ---- */

/* What plan_in_old does for addresses that its comparison does not reject. */
bool plan_in_regions(const struct plan *plan, uint64_t address);
/* Whether `address` is in a region of an old cell. One comparison of ranges rejects most words of memory. */
static inline bool plan_in_old(const struct plan *plan, uint64_t address)
{
    return address - plan->low < plan->high - plan->low && plan_in_regions(plan, address);
}
/* Whether `address` is in the text of an old cell. */
bool plan_in_old_text(const struct plan *plan, uint64_t address);
/* Whether `address` is the first one of a section of an old cell. */
bool plan_is_start(const struct plan *plan, uint64_t address);
/* Whether a function of any cell, or something else that has a name, begins there: a section may have several. */
bool plan_is_entry(uint64_t address);
/* What takes the place of an address in an old cell; 0: nothing does. */
uint64_t plan_map(const struct plan *plan, uint64_t address);

/* The next four are inlined so that the switchover of the core can use them, which can call nothing. */
#define PLAN_INLINE static inline __attribute__((always_inline))

/* Whether static data of the old section is taken over without a transfer function. */
PLAN_INLINE bool pair_moves(const struct pair *pair)
{
    return pair->treatment == PLAN_CARRIED || pair->treatment == PLAN_BY_RECIPE;
}

/* The pair whose old section holds `address`, or is data or a constant that ends there, as a pointer to the end of an
 * array does: the loader has nothing begin there. NULL: none. */
PLAN_INLINE const struct pair *plan_pair_at(const struct plan *plan, uint64_t address)
{
    size_t low = 0, high = plan->pairs;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (plan->pair[middle].virt <= address)
            low = middle + 1;
        else
            high = middle;
    }
    const struct pair *pair = low ? &plan->pair[low - 1] : NULL;
    return pair && address - pair->virt < pair->bytes + !pair->text ? pair : NULL;
}

/* What takes the place of an address in the pair's old section, when no recipe moves it; 0: nothing does. The start of
 * a function has a counterpart also when the code differs, unless its type does. */
PLAN_INLINE uint64_t pair_map(const struct pair *pair, uint64_t address)
{
    uint64_t offset = address - pair->virt;
    bool entry = pair->text && offset == 0;
    bool whole = pair->treatment == PLAN_SAME || pair->treatment == PLAN_CARRIED || pair->constant;

    return pair->to && (entry ? !pair->retyped : whole) ? pair->to + offset : 0;
}

/* Of a pair that a recipe moves: the address in the old section from which the byte at `address` of the new one is
 * copied unchanged; 0: none is, or `address` is elsewhere. */
uint64_t pair_map_back(const struct plan *plan, const struct pair *pair, uint64_t address);

/* The inverse of plan_map: the address in an old cell that corresponds to `address` in a new one; 0: none. */
PLAN_INLINE uint64_t plan_map_back(const struct plan *plan, uint64_t address)
{
    for (size_t i = 0; i < plan->pairs; i++) {
        const struct pair *pair = &plan->pair[i];
        uint64_t moved = pair->treatment == PLAN_BY_RECIPE ? pair_map_back(plan, pair, address) : 0;
        if (moved)
            return moved;
        if (pair->treatment != PLAN_BY_RECIPE && pair->to && address - pair->to < pair->bytes + !pair->text)
            return pair->virt + (address - pair->to);
    }
    return 0;
}

/* ---- static data ---- */

/* Refuses what the old sections hold and the new ones cannot. As recipes say, values that do not fit, and what would be
 * lost: ERR_RANGE, and the report names the field and its value. Pointers that the arena knows of to what has no
 * counterpart, and addresses within functions of their own cell that differ (labels): ERR_MISSING_SYMBOL. */
enum err plan_refuse_values(const struct plan *plan, struct report *report);
/* Copies the old section's bytes to the new one, as they are or by the recipe. Only for pairs whose data is carried, as
 * are the next two. */
void pair_move(const struct plan *plan, const struct pair *pair);
/* Of a pair that a recipe moves: moves again what has changed since the old section's bytes were `was`; and, after a
 * fault, back what has changed since the new one's were. Addresses are redirected. */
void pair_move_changes(const struct plan *plan, const struct pair *pair, const void *was);
void pair_undo_changes(const struct plan *plan, const struct pair *pair, const void *was);
/* The offset to which the 8 bytes at `offset` of the old section are copied, and the one from which those of the new
 * section are. False: they are not copied, or not all of them, or not as they are. */
bool pair_new_offset(const struct plan *plan, const struct pair *pair, uint32_t offset, uint32_t *ret_offset);
bool pair_old_offset(const struct plan *plan, const struct pair *pair, uint32_t offset, uint32_t *ret_offset);
/* The old cell of the same name as the new one, else the first of all; none: nothing is replaced, or the new cell is
 * beside the old ones. */
struct cell_ref plan_predecessor(const struct plan *plan, struct cell_ref new_);
/* Whether the new cell's transfer function is to run. A reload from the same object has carried everything. */
bool plan_runs_transfer(const struct plan *plan, struct cell_ref new_);

/* ---- the plan of a dry run, item by item (guest/abi/plan.h) ---- */

/* The items. Their memory may be the host's, so it is written and never read. */
struct preview {
    struct plan_item *item; /* borrowed */
    size_t room;
    uint32_t count; /* of all items; those beyond `room` are not kept */
};

/* Adds an item. `preview` may be NULL. */
static inline void preview_add(struct preview *preview, const struct plan_item *item)
{
    if (!preview)
        return;
    if (preview->count < preview->room)
        preview->item[preview->count] = *item;
    preview->count++;
}

/* An old cell, the object of its new one and, when that has been staged, the new cell; each may be none. `namespace_`:
 * the one whose cell it is, or is to be. */
void preview_cell(struct preview *preview, struct namespace_ref namespace_, struct cell_ref old,
                  struct object_ref object, struct cell_ref new_, enum plan_cell_treatment treatment);
/* An edge that is to be rewritten. */
void preview_edge(struct preview *preview, struct edge_ref edge);
/* Sections, transfer functions, dependents and what waits for quiescence. ERR_NOMEM: dependents and the rest are
 * missing. */
enum err preview_plan(struct preview *preview, const struct plan *plan);

/* Fills in the names of a section and of its cell, as what the item is of, or as what it refers to. */
void preview_name_from(struct plan_item *item, struct section_ref section);
void preview_name_to(struct plan_item *item, struct section_ref section);
