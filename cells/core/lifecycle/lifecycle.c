/* See lifecycle.h. Records and memory are the loader's. */
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/frame/frame.h"
#include "cells/core/page/page.h"
#include "cells/core/panic/panic.h"
#include "cells/lib/string/string.h"

CELL("lifecycle", KERNEL, 1);
FOUNDATION();
EXPORT(lifecycle_keep_object, KERNEL);
EXPORT(lifecycle_label, KERNEL);
EXPORT(lifecycle_event, KERNEL);
EXPORT(lifecycle_publish, KERNEL);
EXPORT(lifecycle_conceal, KERNEL);
EXPORT(lifecycle_retract, KERNEL);
EXPORT(lifecycle_restore, KERNEL);
EXPORT(lifecycle_new_absence, KERNEL);
EXPORT(lifecycle_turn_absence, KERNEL);
EXPORT(lifecycle_free_absence, KERNEL);
EXPORT(lifecycle_unstage, KERNEL);
EXPORT(lifecycle_unload, KERNEL);
EXPORT(lifecycle_unload_all, KERNEL);
EXPORT(lifecycle_symbol, APPLICATION);
EXPORT(lifecycle_symbol_in, APPLICATION);

static size_t frames_of(size_t bytes)
{
    return (bytes + FRAME_BYTES - 1) / FRAME_BYTES;
}

enum err lifecycle_keep_object(const void *data, size_t bytes, struct object_ref *ret_object, struct report *report)
{
    char name[32];
    uint64_t phys;
    enum err err;

    if (bytes == 0 || bytes > UINT32_MAX)
        return report_refuse(report, bytes ? ERR_RANGE : ERR_TRUNCATED, "the object file is %s",
                             bytes ? "too large" : "empty");
    if (frame_alloc(frames_of(bytes), &phys))
        return report_refuse(report, ERR_NOMEM, "no memory to keep the object file");
    memcpy(page_direct(phys), data, bytes); /* the original may change while it is checked: check the copy */
    err = loader_check_object(page_direct(phys), bytes, name, report);
    if (!err)
        err = loader_add_object(name, phys, bytes, true, ret_object, report);
    if (err)
        frame_free(phys, frames_of(bytes));
    return err;
}

/* ---- names for people ---- */

void lifecycle_label(struct namespace_ref namespace_, const char *cell, char ret_label[LIFECYCLE_LABEL_BYTES])
{
    size_t at = 0;

    if (!same(namespace_, NAMESPACE_ROOT)) {
        string_copy(ret_label, arena_string(arena_namespace(namespace_)->name), LIFECYCLE_LABEL_BYTES - 1);
        at = string_length(ret_label);
        ret_label[at++] = '/';
    }
    string_copy(ret_label + at, cell, LIFECYCLE_LABEL_BYTES - at);
}

static void label(struct cell_ref cell, char ret_label[LIFECYCLE_LABEL_BYTES])
{
    lifecycle_label(arena_cell(cell)->namespace_, arena_string(arena_cell(cell)->name), ret_label);
}

void lifecycle_event(enum event_kind kind, struct cell_ref cell)
{
    char text[LIFECYCLE_LABEL_BYTES];

    label(cell, text);
    arena_event(kind, cell.index, arena_cell(cell)->version, text);
}

/* ---- states ---- */

void lifecycle_publish(struct cell_ref cell)
{
    GUARD(arena) held = arena_change();
    char text[LIFECYCLE_LABEL_BYTES];

    label(cell, text);
    loader_publish_symbols(cell);
    loader_go_live(cell, text);
}

void lifecycle_conceal(struct cell_ref cell)
{
    GUARD(arena) held = arena_change();

    loader_retract_symbols(cell);
    arena_cell(cell)->state = CELL_LOADING;
}

void lifecycle_retract(struct cell_ref cell)
{
    GUARD(arena) held = arena_change();

    loader_retract_symbols(cell);
    arena_cell(cell)->state = CELL_OLD;
}

void lifecycle_restore(struct cell_ref cell)
{
    GUARD(arena) held = arena_change();

    loader_retract_symbols(cell); /* a symbol that is published twice makes its list a circle */
    loader_publish_symbols(cell);
    arena_cell(cell)->state = CELL_LIVE;
}

/* ---- absences ---- */

enum err lifecycle_new_absence(struct namespace_ref namespace_, const char *name, struct cell_ref *ret_absence,
                               struct report *report)
{
    GUARD(arena) held = arena_change();
    struct cell_ref absence = {arena_new_named(ARENA_CELLS, name)};

    if (!absence.index)
        return arena_refuse_full(ARENA_CELLS, report);
    struct arena_cell *c = arena_cell(absence);
    c->kind = CELL_KERNEL;
    c->namespace_ = namespace_;
    c->state = CELL_OLD;
    arena_seal(absence);
    *ret_absence = absence;
    return ERR_OK;
}

void lifecycle_turn_absence(struct cell_ref absence)
{
    GUARD(arena) held = arena_change();
    struct arena_cell *c = arena_cell(absence);

    c->state = c->state == CELL_ABSENT ? CELL_OLD : CELL_ABSENT;
}

void lifecycle_free_absence(struct cell_ref absence)
{
    GUARD(arena) held = arena_change();

    if (arena_cell(absence)->state == CELL_OLD)
        arena_free(absence);
}

/* ---- what was staged ---- */

static bool is_among(struct cell_ref cell, const struct cell_ref *cells, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (same(cells[i], cell))
            return true;
    return false;
}

/* Appends to the first `count` of `cells` those that they depend on, directly or not, and that were loaded from objects
 * and are not initialized. Returns the new count. */
static size_t gather_needs(struct cell_ref cells[LOADER_BATCH_MAX], size_t count) NEEDS(loader_lock)
{
    for (size_t i = 0; i < count; i++)
        for_each_section_of (s, cells[i])
            for_each_edge_from (e, s) {
                struct cell_ref need = arena_section(arena_edge(e)->to)->cell;
                if (count < LOADER_BATCH_MAX && arena_cell(need)->object.index &&
                    arena_cell(need)->initialized == CELL_INIT_NONE && !is_among(need, cells, count))
                    cells[count++] = need;
            }
    return count;
}

void lifecycle_unstage(const struct cell_ref *staged, size_t count)
{
    GUARD(loader) locked = loader_hold();
    struct cell_ref cells[LOADER_BATCH_MAX];

    assert(count <= array_size(cells));
    memcpy(cells, staged, count * sizeof *cells);
    loader_discard(cells, loader_unheld(cells, gather_needs(cells, count)));
}

/* ---- what was initialized ---- */

static enum err run_done(struct cell_ref cell) NEEDS(loader_lock)
{
    const struct arena_cell *c = arena_cell(cell);
    struct cell_ref heir = arena_cell_find(c->namespace_, arena_string(c->name));

    if (!c->done_section.index || c->initialized != CELL_INIT_DONE ||
        (heir.index && !same(heir, cell) && same(arena_cell(heir)->namespace_, c->namespace_)))
        return ERR_OK;
    enum err (*done)(void) = (enum err(*)(void))(uintptr_t)arena_section(c->done_section)->virt;
    return loader_call(cell, done);
}

/* Runs the done functions, moves the cells that refuse behind the others, and returns how many the others are. */
static size_t run_all_done(struct cell_ref *cells, size_t count) NEEDS(loader_lock)
{
    for (size_t i = 0; i < count;) {
        struct cell_ref cell = cells[i];
        if (!run_done(cell)) {
            i++;
            continue;
        }
        cells[i] = cells[--count];
        cells[count] = cell;
    }
    return count;
}

size_t lifecycle_unload_all(struct cell_ref *cells, size_t count)
{
    GUARD(loader) locked = loader_hold();

    count = loader_unheld(cells, run_all_done(cells, loader_unheld(cells, count)));
    for (size_t i = 0; i < count; i++)
        lifecycle_event(EVENT_CELL_FREED, cells[i]);
    loader_discard(cells, count);
    return count;
}

enum err lifecycle_unload(struct cell_ref cell)
{
    GUARD(loader) locked = loader_hold();
    const struct arena_cell *c = arena_cell(cell);

    if (c->state == CELL_FREE)
        return ERR_NOT_FOUND;
    if (arena_in_image(c))
        return ERR_NOT_SWAPPABLE;
    return lifecycle_unload_all(&cell, 1) ? ERR_OK : ERR_BUSY;
}

enum err lifecycle_symbol(const char *name, uint64_t *ret_address)
{
    return lifecycle_symbol_in(NAMESPACE_ROOT, name, ret_address);
}

enum err lifecycle_symbol_in(struct namespace_ref namespace_, const char *name, uint64_t *ret_address)
{
    GUARD(arena) held = arena_change();
    struct symbol_ref symbol = loader_visible_symbol(namespace_, name);

    if (!symbol.index || arena_cell(arena_section(arena_symbol(symbol)->section)->cell)->state != CELL_LIVE)
        return ERR_NOT_FOUND;
    *ret_address = arena_section(arena_symbol(symbol)->section)->virt + arena_symbol(symbol)->offset;
    return ERR_OK;
}
