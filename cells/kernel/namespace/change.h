/* A change of what a child namespace has, and what it takes along. Internal to the namespace cell. */
#pragma once
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/loader/loader.h"
#include "cells/lib/format/format.h"

struct preview;

struct list {
    size_t count;
    uint32_t cell[ARENA_CELLS_MAX];
};

struct change {
    uint32_t namespace_;
    const uint32_t *object; /* what is asked for; the copies' objects are those of the cells in `stale` */
    size_t objects;
    enum { COPY_ALL, COPY_WANTED, COPY_NEEDED } copies; /* of all stale cells; of `wanted`; of what own cells lead to */
    uint32_t wanted;
    struct list hidden; /* inherited cells that the new ones take the place of */
    struct list stale;  /* inherited cells that are to be copied */
    struct list kept;   /* singletons that depend on hidden or stale cells, and stay as they are */
    struct list staged; /* new cells: of `object`, then of `stale` */
    struct list scratch;
    uint64_t rebound;
    bool published;
    struct preview *preview; /* of a dry run; NULL: nobody wants to see the plan */
    struct loader_detail detail;
};

#define SAY(change, ...) format_print((change)->detail.text, sizeof(change)->detail.text, __VA_ARGS__)

static inline const char *name_of(uint32_t cell)
{
    return arena_string(arena_cell(cell)->name);
}

static inline const char *space_name(uint32_t namespace_)
{
    return arena_string(arena_namespace(namespace_)->name);
}

/* Whether `inner` is `outer`, or comes from it. */
bool change_is_within(uint32_t inner, uint32_t outer);
/* Whether a namespace may have a cell from the object for itself alone: ERR_CORRUPT, ERR_REFUSED. */
enum err change_check_state(uint32_t namespace_, uint32_t object, struct loader_detail *detail);
/* Fills in what is hidden, is to be copied and stays. */
void change_find_stale(struct change *change);

/* Of nothing yet. NULL: no memory. */
struct change *change_new(uint32_t namespace_);
/* Takes back what is not published; also when a fault in an init function unwinds the change. */
void change_put(TAKES struct change *change);
OWNABLE(change)
/* `flags`: enum namespace_change_flags. Fills in all of the report but its seq, which was cleared. */
enum err change_run(struct change *change, unsigned flags, struct arena_completion *report);
/* namespace_change; a dry run shows its plan to `preview`, unless that is NULL. */
enum err change_objects(uint32_t namespace_, const uint32_t *objects, size_t count, unsigned flags,
                        struct preview *preview, struct arena_completion *report);

bool list_has(const struct list *list, uint32_t cell);
void list_add(struct list *list, uint32_t cell);
