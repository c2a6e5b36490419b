/* A change of what a child namespace has, and what it takes along. Internal to the namespace cell. */
#pragma once
#include "cells/core/arena/arena.h"
#include "cells/core/loader/loader.h"

struct preview;
struct swap_order;

struct list {
    size_t count, room;
    struct cell_ref *cell; /* in the memory of the change */
};

struct change {
    struct namespace_ref namespace_;
    const struct object_ref *object; /* what is asked for; the copies' objects are those of the cells in `stale` */
    size_t objects;
    enum { COPY_ALL, COPY_WANTED, COPY_NEEDED } copies; /* of all stale cells; of `wanted`; of what own cells use */
    struct cell_ref wanted;
    struct list hidden;    /* inherited cells that the new ones take the place of */
    struct list stale;     /* inherited cells that are to be copied */
    struct list inherited; /* cells of ancestors that the namespace is to see, though it does not yet */
    struct list kept;      /* singletons that depend on hidden or stale cells, and stay as they are */
    struct list staged;    /* new cells: of `object`, then of `stale` */
    struct list scratch;
    uint64_t rebound;
    bool published;
    struct preview *preview; /* of a dry run; NULL: nobody wants to see the plan */
    struct report report;
};

static inline const char *name_of_cell(struct cell_ref cell)
{
    return arena_string(arena_cell(cell)->name);
}

static inline const char *space_name(struct namespace_ref namespace_)
{
    return arena_string(arena_namespace(namespace_)->name);
}

/* Whether `inner` is `outer`, or descends from it. */
bool change_is_within(struct namespace_ref inner, struct namespace_ref outer);
/* Whether a namespace may have a cell from the object for itself alone: ERR_CORRUPT, ERR_REFUSED. */
enum err change_check_state(struct namespace_ref namespace_, struct object_ref object, struct report *report);
/* Refuses an object of a cell that the namespace holds itself, or that is a singleton, in the change's report; else
 * adds the inherited cell of its name to what is hidden. */
enum err change_check_object(struct change *change, struct object_ref object);
/* Says which cells were copied and which stay, as far as there is room. */
void change_report_cells(const struct change *change, struct report *report);
/* Fills in what is hidden, is to be copied and stays. */
void change_find_stale(struct change *change);

/* Of nothing yet. NULL: no memory. */
struct change *change_new(struct namespace_ref namespace_);
/* Takes back what is not published; also when a fault in an init function unwinds the change. */
void change_put(TAKES struct change *change);
OWNABLE(change)
/* `flags`: enum namespace_change_flags. Fills in all of the report but its seq, which was cleared. */
enum err change_run(struct change *change, unsigned flags, struct report *report);
/* namespace_change; a dry run shows its plan to `preview`, unless that is NULL. */
enum err change_objects(struct namespace_ref namespace_, const struct object_ref *objects, size_t count, unsigned flags,
                        struct preview *preview, struct report *report);

/* Any swap in a child. Fills in the report but its seq. */
enum err change_child(const struct swap_order *order, struct report *report);
/* The namespace's own absence of that name (CELL_ABSENT), or none. */
struct cell_ref change_absence(struct namespace_ref namespace_, const char *name);

/* Whether the cell is in the list. To add one that is there already does nothing. */
bool list_has(const struct list *list, struct cell_ref cell);
void list_add(struct list *list, struct cell_ref cell);
