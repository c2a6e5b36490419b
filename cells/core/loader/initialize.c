/* Runs init functions. Invariant: a cell counts as initialized exactly when its init function has returned without an
 * error. */
#include "cells/core/loader/link.h"

/* A cell that `cell` depends on and whose init function has not begun, or none. */
static struct cell_ref uninitialized_need(struct cell_ref cell)
{
    for_each_section_of (s, cell)
        for_each_edge_from (e, s) {
            struct cell_ref need = arena_section(arena_edge(e)->to)->cell;
            if (arena_cell(need)->initialized == CELL_INIT_NONE)
                return need;
        }
    return NO_CELL;
}

static enum err run_init(struct cell_ref cell) NEEDS(loader_lock)
{
    struct section_ref section = arena_cell(cell)->init_section;
    enum err err = ERR_OK;

    if (section.index) {
        enum err (*init)(void) = (enum err(*)(void))(uintptr_t)arena_section(section)->virt;
        err = loader_call(cell, init);
    }
    arena_cell(cell)->initialized = err ? CELL_INIT_NONE : CELL_INIT_DONE;
    return err;
}

/* The cells whose init functions have begun, innermost last. At the end of the scope, after an error or a fault, those
 * whose init functions have not returned count as not initialized. */
struct begun_guard {
    struct cell_ref cells[LOADER_BATCH_MAX];
    size_t count;
};

static void begun_guard_end(struct begun_guard *begun) NEEDS(loader_lock)
{
    while (begun->count > 0)
        arena_cell(begun->cells[--begun->count])->initialized = CELL_INIT_NONE;
}

static void begin(struct begun_guard *begun, struct cell_ref cell) NEEDS(loader_lock)
{
    begun->cells[begun->count++] = cell;
    arena_cell(cell)->initialized = CELL_INIT_RUNS;
}

/* Depth first along the edges. In a cycle, the cell that was met first is initialized last. */
enum err loader_initialize(struct cell_ref cell, struct report *report)
{
    GUARD(loader) locked = loader_hold();
    GUARD(begun) begun = {.count = 0};

    if (arena_cell(cell)->initialized != CELL_INIT_NONE)
        return ERR_OK;
    begin(&begun, cell);
    while (begun.count > 0) {
        struct cell_ref next = begun.cells[begun.count - 1], need = {};
        if (begun.count < LOADER_BATCH_MAX)
            need = uninitialized_need(next);
        if (need.index) {
            begin(&begun, need);
            continue;
        }
        enum err err = run_init(next);
        if (err)
            return report_refuse(report, ERR_INIT_FAILED, "cell %s: its init function says: %s",
                                 arena_string(arena_cell(next)->name), report_error_text(err));
        begun.count--;
    }
    return ERR_OK;
}
