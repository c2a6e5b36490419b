/* See loader.h. This file has the loader lock and batches. object.c checks object files, pristine.c keeps them, index.c
 * finds them in the archive, place.c gives cells memory, relocate.c links, initialize.c runs init functions, discard.c
 * frees, nano_core.c describes the image. Invariant: whenever the loader lock is free, the batch is empty. */
#include "cells/core/archive/archive.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/loader/link.h"
#include "cells/core/page/page.h"
#include "cells/core/panic/panic.h"
#include "cells/lib/string/string.h"

CELL("loader", KERNEL, 1);
CORE();
EXPORT(loader_init, KERNEL);
EXPORT(loader_hold, KERNEL);
EXPORT(loader_guard_end, KERNEL);
EXPORT(loader_abandon, KERNEL);
EXPORT(loader_is_held_by, KERNEL);
EXPORT(loader_wait_hook, KERNEL);
EXPORT(loader_call_hook, KERNEL);
EXPORT(loader_load, KERNEL);
EXPORT(loader_add_object, KERNEL);
EXPORT(loader_drop_object, KERNEL);
EXPORT(loader_check_object, KERNEL);
EXPORT(loader_is_intact, KERNEL);
EXPORT(loader_is_singleton, KERNEL);
EXPORT(loader_stage, KERNEL);
EXPORT(loader_initialize, KERNEL);
EXPORT(loader_add_edge, KERNEL);
EXPORT(loader_write_edge, KERNEL);
EXPORT(loader_is_stored_over, KERNEL);
EXPORT(loader_hash_section, KERNEL);
EXPORT(loader_publish_symbols, KERNEL);
EXPORT(loader_retract_symbols, KERNEL);
EXPORT(loader_go_live, KERNEL);
EXPORT(loader_unheld, KERNEL);
EXPORT(loader_discard, KERNEL);
EXPORT(loader_visible_symbol, KERNEL);

#define BATCH_MAX LOADER_BATCH_MAX

void (*loader_wait_hook)(void);
enum err (*loader_call_hook)(struct cell_ref cell, enum err (*function)(void));

static const void *holder; /* of the loader lock: a task, or a CPU before there are tasks; NULL: free. Atomic */
static unsigned depth GUARDED_BY(loader_lock); /* how often the holder has taken it */

static struct namespace_ref root; /* constant after loader_init */
SET_ONCE(root);
static struct link batch[BATCH_MAX] GUARDED_BY(loader_lock);
static size_t batched GUARDED_BY(loader_lock);
static struct cell_ref staged_cells[BATCH_MAX] GUARDED_BY(loader_lock);
static struct link_scope scope GUARDED_BY(loader_lock); /* of the first scope.staged_count links of the batch */

/* ---- batches ---- */

static const char *name_of(struct cell_ref cell)
{
    return arena_string(arena_cell(cell)->name);
}

static struct cell_ref cell_of_symbol(struct symbol_ref symbol)
{
    return arena_section(arena_symbol(symbol)->section)->cell;
}

/* Tasks of a namespace without NAMESPACE_SIMD do not save SIMD registers: no cell there may use them. */
static enum err check_simd(const struct note_cell *cell, struct namespace_ref namespace_, struct report *report)
{
    const struct arena_namespace *n = arena_namespace(namespace_);

    if (!(cell->flags & NOTE_SIMD) || n->flags & NAMESPACE_SIMD)
        return ERR_OK;
    return report_refuse(report, ERR_REFUSED, "%s: uses SIMD registers, which tasks of namespace %s do not save",
                         cell->name, arena_string(n->name));
}

/* No two cells may export one name. Exceptions: a staged cell and those that it is to replace; a cell and the one of
 * the parent namespace that it hides. */
static enum err check_duplicates(const struct link *link, struct report *report)
{
    struct cell_ref cell = link->cell;

    for_each_symbol_of (i, cell) {
        const char *name = arena_string(arena_symbol(i)->name);
        struct symbol_ref there = {};
        if (arena_symbol(i)->access)
            there = link_find_symbol(link, name);
        if (there.index && !same(there, i))
            return report_refuse(report, ERR_DUPLICATE_SYMBOL, "%s: exports %s, as cell %s does", name_of(cell), name,
                                 name_of(cell_of_symbol(there)));
    }
    return ERR_OK;
}

/* Adds a cell to the batch and publishes its symbols; with a scope it is staged, which is without publishing. */
static enum err batch_add(struct object_ref object, struct namespace_ref namespace_, const struct link_scope *in,
                          struct report *report) NEEDS(loader_lock)
{
    const struct arena_object *record = arena_object(object);
    enum err err;

    if (batched == BATCH_MAX)
        return report_refuse(report, ERR_FULL, "too many cells in one batch");
    struct link *link = &batch[batched];
    *link = (struct link){.scope = in};
    if ((err = object_open(page_direct(record->phys), record->bytes, &link->object, report)))
        return err;
    if ((err = check_simd(&link->object.cell, namespace_, report)))
        return err;
    batched++;
    if ((err = link_place(link, object, namespace_, report)) || (err = check_duplicates(link, report)))
        return err;
    if (in) {
        staged_cells[scope.staged_count++] = link->cell;
    } else {
        GUARD(arena) held = arena_change();
        loader_publish_symbols(link->cell);
    }
    return ERR_OK;
}

static enum err batch_add_member(const struct archive_member *member, struct object_ref *hint, struct report *report)
    NEEDS(loader_lock)
{
    struct object_ref object;
    enum err err = pristine_of_member(member, hint, &object, report);

    if (err)
        return err;
    const char *name = arena_string(arena_object(object)->name);
    if (string_equal(name, member->name))
        err = batch_add(object, root, NULL, report);
    else
        err = report_refuse(report, ERR_INVALID, "%s is another version of cell %s", member->name, name);
    if (err)
        loader_drop_object(object);
    return err;
}

/* Adds the cell that exports `symbol` to the batch, from the archive. */
static enum err provide(const struct link *user, const char *symbol, struct report *report) NEEDS(loader_lock)
{
    const char *name = user->object.cell.name;
    struct archive_member member;
    struct object_ref *hint;

    if (index_provider(symbol, &member, &hint))
        return report_refuse(report, ERR_UNRESOLVED, "%s: needs %s, which no cell exports", name, symbol);
    if (arena_cell_find(root, member.name).index)
        return report_refuse(report, ERR_UNRESOLVED, "%s: needs %s, which the loaded version of %s does not export",
                             name, symbol, member.name);
    return batch_add_member(&member, hint, report);
}

static enum err check_import(const struct link *link, uint32_t index, const char *name, struct symbol_ref found,
                             struct report *report)
{
    const struct arena_symbol *symbol = arena_symbol(found);
    const struct note_cell *cell = &link->object.cell;
    uint64_t hash = object_import_of(&link->object, index).type_hash;
    const char *provider = name_of(cell_of_symbol(found));

    if (symbol->access < cell->kind)
        return report_refuse(report, ERR_NO_ACCESS, "%s: %s of cell %s is not for cells of its kind", cell->name, name,
                             provider);
    if (hash && symbol->type_hash && hash != symbol->type_hash)
        return report_refuse(report, ERR_WRONG_TYPE, "%s: %s has another type in cell %s", cell->name, name, provider);
    return ERR_OK;
}

/* The exported symbol to which `name` resolves for the cell, from a cell that is added to the batch if need be; none
 * is for cells of the image only: a symbol of the entry point, or of the linker. */
static enum err resolve_import(const struct link *link, const char *name, struct symbol_ref *ret_found,
                               struct report *report) NEEDS(loader_lock)
{
    struct symbol_ref found = link_find_symbol(link, name), hidden = {};
    enum err err;

    if (!found.index)
        hidden = arena_symbol_find(arena_cell(link->cell)->namespace_, name);
    if (hidden.index)
        return report_refuse(report, ERR_UNRESOLVED,
                             "%s: needs %s, which only cell %s exports, and that is hidden or to go",
                             link->object.cell.name, name, name_of(cell_of_symbol(hidden)));
    if (!found.index && !link->image) {
        if ((err = provide(link, name, report)))
            return err;
        if (!(found = link_find_symbol(link, name)).index)
            return report_refuse(report, ERR_UNRESOLVED, "%s: needs %s, which no cell exports", link->object.cell.name,
                                 name);
    }
    *ret_found = found;
    return ERR_OK;
}

/* Resolves and checks what the cell imports. May append cells to the batch. */
static enum err require(struct link *link, struct report *report) NEEDS(loader_lock)
{
    struct elf_symbol s;
    enum err err;

    link_find_needs(link);
    for (uint32_t i = 1; i < link->object.symbols; i++) {
        object_symbol(&link->object, i, &s);
        if (s.section != ELF_UNDEFINED || !link->found[i].index)
            continue;
        const char *name = object_symbol_name(&link->object, &s);
        struct symbol_ref found = {};
        if ((err = resolve_import(link, name, &found, report)))
            return err;
        if (!found.index)
            continue;
        if ((err = check_import(link, i, name, found, report)))
            return err;
        link->found[i] = found;
    }
    return ERR_OK;
}

void loader_go_live(struct cell_ref cell, const char *text)
{
    struct arena_cell *c = arena_cell(cell);

    c->state = CELL_LIVE;
    c->loaded_ns = cpu_ns();
    if (!arena_header()->first_cell_tsc)
        arena_header()->first_cell_tsc = cpu_tsc();
    arena_event(EVENT_CELL_LOADED, cell.index, c->version, text);
}

static size_t batch_cells(struct cell_ref ret_cells[BATCH_MAX]) NEEDS(loader_lock)
{
    size_t count = 0;

    for (size_t i = 0; i < batched; i++)
        if (batch[i].cell.index)
            ret_cells[count++] = batch[i].cell;
    return count;
}

/* Empties the batch, and frees its cells if it has failed. */
static void batch_end(bool failed) NEEDS(loader_lock)
{
    struct cell_ref cells[BATCH_MAX];
    size_t count = batch_cells(cells), links = batched;

    batched = 0; /* first: after a fault below, the next holder of the lock does not repeat it */
    scope = (struct link_scope){0};
    for (size_t i = 0; i < links; i++)
        link_forget_sections(&batch[i]);
    if (failed)
        loader_discard(cells, count);
}

/* Links the cells that batch_add has added, and all that they need. All become live but the staged ones. */
static enum err batch_link(struct report *report) NEEDS(loader_lock)
{
    enum err err;

    for (size_t i = 0; i < batched; i++)
        if ((err = require(&batch[i], report)))
            return err;
    for (size_t i = 0; i < batched; i++)
        if ((err = link_relocate(&batch[i], report)))
            return err;
    GUARD(arena) held = arena_change();
    for (size_t i = scope.staged_count; i < batched; i++)
        loader_go_live(batch[i].cell, name_of(batch[i].cell)); /* in the root */
    return ERR_OK;
}

/* ---- the loader lock; its own functions are UNCHECKED ---- */

UNCHECKED struct loader_guard loader_hold(void)
{
    const void *task = cpu_task(), *me = task ? task : cpu_this(), *nobody = NULL;

    if (__atomic_load_n(&holder, __ATOMIC_RELAXED) != me)
        while (!__atomic_compare_exchange_n(&holder, &nobody, me, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
            nobody = NULL;
            if (loader_wait_hook)
                loader_wait_hook();
            cpu_relax();
        }
    depth++;
    if (depth == 1 && batched)
        batch_end(true); /* a fault has ended the holder before */
    return (struct loader_guard){.held = true};
}

UNCHECKED void loader_guard_end(struct loader_guard *guard)
{
    if (guard->held && --depth == 0)
        __atomic_store_n(&holder, NULL, __ATOMIC_RELEASE);
    guard->held = false;
}

UNCHECKED void loader_abandon(void)
{
    if (__atomic_load_n(&holder, __ATOMIC_RELAXED) != cpu_task())
        return;
    depth = 0;
    __atomic_store_n(&arena_reserve_user, NULL, __ATOMIC_RELAXED);
    __atomic_store_n(&holder, NULL, __ATOMIC_RELEASE);
}

UNCHECKED bool loader_is_held_by(const struct task *task)
{
    return __atomic_load_n(&holder, __ATOMIC_RELAXED) == (const void *)task;
}

/* ---- what a load leaves behind ---- */

/* Cells that were loaded together. At the end of the scope, also after a fault in an init function, those that are not
 * initialized are freed, unless an initialized one refers to them. */
struct loaded_guard {
    struct cell_ref cells[BATCH_MAX];
    size_t count;
};

static void loaded_guard_end(struct loaded_guard *loaded) NEEDS(loader_lock)
{
    size_t kept = 0;

    for (size_t i = 0; i < loaded->count; i++)
        if (arena_cell(loaded->cells[i])->initialized == CELL_INIT_NONE)
            loaded->cells[kept++] = loaded->cells[i];
    loader_discard(loaded->cells, loader_unheld(loaded->cells, kept));
}

/* ---- the interface ---- */

/* Whether an error of a batch is about what the namespace has. */
static bool is_unfit(enum err err)
{
    switch (err) {
    case ERR_UNRESOLVED:
    case ERR_WRONG_TYPE:
    case ERR_NO_ACCESS:
    case ERR_DUPLICATE_SYMBOL:
    case ERR_REFUSED: /* check_simd */
        return true;
    default:
        return false;
    }
}

static enum load_err load(const char *name, struct cell_ref *ret_cell, struct report *report) NEEDS(loader_lock)
{
    struct archive_member member;
    struct cell_ref cell = arena_cell_find(root, name);
    struct object_ref *hint;
    GUARD(loaded) loaded = {.count = 0};
    enum err err;

    if (cell.index && arena_cell(cell)->state == CELL_LIVE) {
        *ret_cell = cell;
        return loader_initialize(cell, report) ? LOAD_FAILED : LOAD_OK;
    }
    if (index_member(name, &member, &hint)) {
        (void)report_refuse(report, ERR_NOT_FOUND, "there is no cell %s in the archive", name);
        return LOAD_FAILED;
    }
    err = batch_add_member(&member, hint, report);
    if (!err)
        err = batch_link(report);
    loaded.count = err ? 0 : batch_cells(loaded.cells);
    batch_end(err);
    if (err)
        return is_unfit(err) ? LOAD_UNFIT : LOAD_FAILED;
    if (loader_initialize(loaded.cells[0], report))
        return LOAD_FAILED;
    *ret_cell = loaded.cells[0];
    loaded.count = 0;
    return LOAD_OK;
}

enum load_err loader_load(const char *name, struct cell_ref *ret_cell, struct report *report)
{
    GUARD(loader) locked = loader_hold();
    struct cell_ref cell;
    enum load_err err = load(name, &cell, report);

    if (!err && ret_cell)
        *ret_cell = cell;
    return err;
}

static enum err stage_one(const struct loader_input *input, struct object_ref object, struct report *report)
    NEEDS(loader_lock)
{
    if (!loader_is_intact(object))
        return report_refuse(report, ERR_CORRUPT, "the pristine object of %s is damaged",
                             arena_string(arena_object(object)->name));
    return batch_add(object, input->namespace_, &scope, report);
}

enum err loader_stage(const struct loader_input *input, struct cell_ref *ret_cells, struct report *report)
{
    GUARD(loader) locked = loader_hold();
    enum err err = ERR_OK;

    scope = (struct link_scope){.staged = staged_cells,
                                .hidden = input->old,
                                .inherited = input->inherited,
                                .hidden_count = input->olds,
                                .inherited_count = input->inheriteds};
    for (size_t i = 0; i < input->objects && !err; i++)
        err = stage_one(input, input->object[i], report);
    if (!err)
        err = batch_link(report);
    if (!err)
        memcpy(ret_cells, staged_cells, input->objects * sizeof *ret_cells);
    batch_end(err);
    return err;
}

/* ---- the image ---- */

/* Describes a cell of the image as if it had been loaded to where it is. The first one is the entry point, which has no
 * pristine object. */
static enum err adopt_cell(struct image *image, const char *name, struct report *report) NEEDS(loader_lock)
{
    bool is_entry = !image->entry_cell.index;
    struct archive_member member;
    struct object_ref object = {}, hint = {};
    enum err err;

    if (batched == BATCH_MAX)
        return report_refuse(report, ERR_FULL, "too many cells in the image");
    if (archive_find(name, &member))
        return report_refuse(report, ERR_NOT_FOUND, "the archive lacks %s.o, which is part of the image", name);
    if (!is_entry && (err = pristine_of_member(&member, &hint, &object, report)))
        return err;
    struct link *link = &batch[batched];
    *link = (struct link){.image = image};
    if ((err = object_open(member.data, member.bytes, &link->object, report)))
        return err;
    batched++;
    if ((err = link_place(link, object, root, report)))
        return err;
    if (is_entry)
        image->entry_cell = link->cell;
    GUARD(arena) held = arena_change();
    loader_publish_symbols(link->cell);
    return ERR_OK;
}

static enum err adopt_cells(struct image *image, struct report *report) NEEDS(loader_lock)
{
    const char *name;
    enum err err;

    for (uint32_t at = 0; (name = image_cell(image, at, &at));)
        if ((err = adopt_cell(image, name, report)))
            return err;
    for (size_t i = 0; i < batched; i++)
        if ((err = require(&batch[i], report)) || (err = link_relocate(&batch[i], report)))
            return err;
    GUARD(arena) change = arena_change();
    for (size_t i = 0; i < batched; i++) {
        arena_cell(batch[i].cell)->state = CELL_LIVE;
        arena_cell(batch[i].cell)->initialized = CELL_INIT_DONE;
    }
    return ERR_OK;
}

static enum err adopt_image(struct report *report) NEEDS(loader_lock)
{
    struct image image;
    enum err err = image_open(&image, report);

    if (err)
        return err;
    err = adopt_cells(&image, report);
    batch_end(false); /* after an error too: the cells of the image run, they must not be freed */
    return err;
}

static enum err describe(struct report *report)
{
    GUARD(loader) locked = loader_hold();
    enum err err;

    {
        GUARD(arena) held = arena_change();
        root = (struct namespace_ref){arena_new_named(ARENA_NAMESPACES, "root")};
        arena_seal(root);
    }
    if ((err = adopt_image(report)))
        return err;
    return index_build(report);
}

enum err loader_init(void)
{
    struct report report;
    enum err err = describe(&report);

    if (err) {
        panic_print("loader: ");
        panic_print(report.text);
        panic_print("\n");
    }
    return err;
}
