/* See loader.h. This part takes turns, gathers batches and runs init functions; object.c checks files, place.c gives
 * them memory, relocate.c links, discard.c takes back, keep.c holds objects, bind.c changes single edges. */
#include "cells/kernel/archive/archive.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/loader/link.h"
#include "cells/kernel/page/page.h"
#include "cells/kernel/panic/panic.h"
#include "cells/lib/string/string.h"

CELL("loader", KERNEL, 1);
EXPORT(loader_init, KERNEL);
EXPORT(loader_hold, KERNEL);
EXPORT(loader_guard_end, KERNEL);
EXPORT(loader_abandon, KERNEL);
EXPORT(loader_wait_hook, KERNEL);
EXPORT(loader_load, KERNEL);
EXPORT(loader_keep_object, KERNEL);
EXPORT(loader_drop_object, KERNEL);
EXPORT(loader_check_object, KERNEL);
EXPORT(loader_is_intact, KERNEL);
EXPORT(loader_is_singleton, KERNEL);
EXPORT(loader_stage, KERNEL);
EXPORT(loader_unstage, KERNEL);
EXPORT(loader_publish, KERNEL);
EXPORT(loader_retract, KERNEL);
EXPORT(loader_conceal, KERNEL);
EXPORT(loader_restore, KERNEL);
EXPORT(loader_initialize, KERNEL);
EXPORT(loader_unload, KERNEL);
EXPORT(loader_unload_all, KERNEL);
EXPORT(loader_rebind, KERNEL);
EXPORT(loader_rebind_record, KERNEL);
EXPORT(loader_settle, KERNEL);
EXPORT(loader_bind, DRIVER);
EXPORT(loader_symbol, APPLICATION);
EXPORT(loader_symbol_in, APPLICATION);

#define BATCH_MAX LOADER_BATCH_MAX

void (*loader_wait_hook)(void);

static const void *holder; /* the task, or the CPU before there are tasks */
static unsigned depth;

static uint32_t root; /* namespace */
static struct link batch[BATCH_MAX] GUARDED_BY(loader_turn);
static size_t batched GUARDED_BY(loader_turn);
static uint32_t staged_cells[BATCH_MAX] GUARDED_BY(loader_turn);
static struct link_scope scope GUARDED_BY(loader_turn); /* of the first scope.staged_count links of the batch */

/* ---- batches ---- */

static const char *name_of(uint32_t cell)
{
    return arena_string(arena_cell(cell)->name);
}

static uint32_t cell_of_symbol(uint32_t symbol)
{
    return arena_section(arena_symbol(symbol)->section)->cell;
}

/* Tasks that do not save SIMD registers must not come upon code that uses them. */
static enum err check_simd(const struct note_cell *cell, uint32_t namespace_, struct loader_detail *detail)
{
    const struct arena_namespace *n = arena_namespace(namespace_);

    if (!(cell->flags & NOTE_SIMD) || n->flags & NAMESPACE_SIMD)
        return ERR_OK;
    return REFUSE(ERR_REFUSED, cell->name, ": uses SIMD registers, which tasks of namespace ", arena_string(n->name),
                  " do not save");
}

/* No symbol of the cell may be another's; a staged cell may repeat those of the cells that it is to replace, any cell
 * those of its parent's cell that it hides. */
static enum err check_duplicates(const struct link *link, struct loader_detail *detail)
{
    uint32_t cell = link->cell;

    for (uint32_t i = arena_cell(cell)->first_symbol; i; i = arena_symbol(i)->next_in_cell) {
        const char *name = arena_string(arena_symbol(i)->name);
        uint32_t there = arena_symbol(i)->access ? link_find_symbol(link, name) : 0;
        if (there && there != i)
            return REFUSE(ERR_DUPLICATE_SYMBOL, name_of(cell), ": exports ", name, ", as cell ",
                          name_of(cell_of_symbol(there)), " does");
    }
    return ERR_OK;
}

/* With a scope, the cell is staged: linked apart, and not seen. */
static enum err batch_add(uint32_t object, uint32_t namespace_, const struct link_scope *in,
                          struct loader_detail *detail) NEEDS(loader_turn)
{
    const struct arena_object *record = arena_object(object);
    enum err err;

    if (batched == BATCH_MAX)
        return REFUSE(ERR_FULL, "too many cells in one batch");
    struct link *link = &batch[batched];
    *link = (struct link){.scope = in};
    if ((err = object_open(page_direct(record->phys), record->bytes, &link->object, detail)))
        return err;
    if ((err = check_simd(&link->object.cell, namespace_, detail)))
        return err;
    batched++;
    if ((err = link_place(link, object, namespace_, detail)) || (err = check_duplicates(link, detail)))
        return err;
    if (in) {
        staged_cells[scope.staged_count++] = link->cell;
    } else {
        GUARD(arena) held = arena_change();
        link_publish_symbols(link->cell);
    }
    return ERR_OK;
}

static enum err batch_add_member(const struct archive_member *member, uint32_t *hint, struct loader_detail *detail)
    NEEDS(loader_turn)
{
    uint32_t object;
    enum err err = keep_member(member, hint, &object, detail);

    if (err)
        return err;
    const char *name = arena_string(arena_object(object)->name);
    err = string_equal(name, member->name) ? batch_add(object, root, NULL, detail)
                                           : REFUSE(ERR_INVALID, member->name, " is another version of cell ", name);
    if (err)
        loader_drop_object(object);
    return err;
}

/* Takes the cell that exports `symbol` from the archive into the batch. */
static enum err provide(const struct link *user, const char *symbol, struct loader_detail *detail) NEEDS(loader_turn)
{
    const char *name = user->object.cell.name;
    struct archive_member member;
    uint32_t *hint;

    if (index_provider(symbol, &member, &hint))
        return REFUSE(ERR_UNRESOLVED, name, ": needs ", symbol, ", which no cell exports");
    if (arena_cell_find(root, member.name))
        return REFUSE(ERR_UNRESOLVED, name, ": needs ", symbol, ", which the loaded version of ", member.name,
                      " does not export");
    return batch_add_member(&member, hint, detail);
}

static enum err check_import(const struct link *link, uint32_t index, const char *name, uint32_t found,
                             struct loader_detail *detail)
{
    const struct arena_symbol *symbol = arena_symbol(found);
    const struct note_cell *cell = &link->object.cell;
    uint64_t hash = object_import_of(&link->object, index).type_hash;
    const char *provider = name_of(cell_of_symbol(found));

    if (symbol->access < cell->kind)
        return REFUSE(ERR_NO_ACCESS, cell->name, ": ", name, " of cell ", provider, " is not for cells of its kind");
    if (hash && symbol->type_hash && hash != symbol->type_hash)
        return REFUSE(ERR_WRONG_TYPE, cell->name, ": ", name, " has another type in cell ", provider);
    return ERR_OK;
}

/* May move the batch's end: cells that are needed and not loaded come behind. */
static enum err require(struct link *link, struct loader_detail *detail) NEEDS(loader_turn)
{
    uint32_t namespace_ = arena_cell(link->cell)->namespace_;
    struct elf_symbol s;
    enum err err;

    link_find_needs(link);
    for (uint32_t i = 1; i < link->object.symbols; i++) {
        object_symbol(&link->object, i, &s);
        if (s.section != ELF_UNDEFINED || !link->found[i])
            continue;
        const char *name = object_symbol_name(&link->object, &s);
        uint32_t found = link_find_symbol(link, name), hidden = found ? 0 : arena_symbol_find(namespace_, name);
        if (hidden)
            return REFUSE(ERR_UNRESOLVED, link->object.cell.name, ": needs ", name, ", which only cell ",
                          name_of(cell_of_symbol(hidden)), " exports, and that is to go");
        if (!found && link->image)
            continue; /* something of the way in, or of the linker */
        if (!found) {
            if ((err = provide(link, name, detail)))
                return err;
            found = link_find_symbol(link, name);
        }
        if (!found)
            return REFUSE(ERR_UNRESOLVED, link->object.cell.name, ": needs ", name, ", which no cell exports");
        if ((err = check_import(link, i, name, found, detail)))
            return err;
        link->found[i] = found;
    }
    return ERR_OK;
}

static void go_live(uint32_t cell) NEEDS(arena_writer)
{
    struct arena_cell *c = arena_cell(cell);

    c->state = CELL_LIVE;
    c->loaded_ns = cpu_ns();
    if (!arena_header()->first_cell_tsc)
        arena_header()->first_cell_tsc = cpu_tsc();
    arena_event(EVENT_CELL_LOADED, cell, c->version, arena_string(c->name));
}

static size_t batch_cells(uint32_t ret_cells[BATCH_MAX]) NEEDS(loader_turn)
{
    size_t count = 0;

    for (size_t i = 0; i < batched; i++)
        if (batch[i].cell)
            ret_cells[count++] = batch[i].cell;
    return count;
}

static void batch_end(bool failed) NEEDS(loader_turn)
{
    uint32_t cells[BATCH_MAX];
    size_t count = batch_cells(cells), links = batched;

    batched = 0; /* first: a fault in here does not come again with the next turn */
    scope = (struct link_scope){0};
    for (size_t i = 0; i < links; i++)
        link_forget_sections(&batch[i]);
    if (failed)
        link_discard(cells, count);
}

/* Links what batch_add has put into the batch, and all that it needs. Staged cells stay unseen. */
static enum err batch_link(struct loader_detail *detail) NEEDS(loader_turn)
{
    enum err err;

    for (size_t i = 0; i < batched; i++)
        if ((err = require(&batch[i], detail)))
            return err;
    for (size_t i = 0; i < batched; i++)
        if ((err = link_relocate(&batch[i], detail)))
            return err;
    GUARD(arena) held = arena_change();
    for (size_t i = scope.staged_count; i < batched; i++)
        go_live(batch[i].cell);
    return ERR_OK;
}

/* ---- turns ---- */

/* What is left of a batch when a fault has ended whoever had the turn before; the turn is ours already. */
UNCHECKED static void take_back_batch(void)
{
    if (batched)
        batch_end(true);
}

struct loader_guard loader_hold(void)
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
    if (depth == 1)
        take_back_batch();
    return (struct loader_guard){.held = true};
}

void loader_guard_end(struct loader_guard *guard)
{
    if (guard->held && --depth == 0)
        __atomic_store_n(&holder, NULL, __ATOMIC_RELEASE);
    guard->held = false;
}

void loader_abandon(void)
{
    if (__atomic_load_n(&holder, __ATOMIC_RELAXED) != cpu_task())
        return;
    depth = 0;
    __atomic_store_n(&holder, NULL, __ATOMIC_RELEASE);
}

/* ---- initialization ---- */

enum { INIT_NONE = 0, INIT_DONE = 1, INIT_RUNS = 2 }; /* arena_cell.initialized */

/* A cell that `cell` depends on and whose init has not begun; 0: none. */
static uint32_t uninitialized_need(uint32_t cell)
{
    for (uint32_t s = arena_cell(cell)->first_section; s; s = arena_section(s)->next_in_cell)
        for (uint32_t e = arena_section(s)->first_out; e; e = arena_edge(e)->next_out) {
            uint32_t need = arena_section(arena_edge(e)->to)->cell;
            if (arena_cell(need)->initialized == INIT_NONE)
                return need;
        }
    return 0;
}

static enum err run_init(uint32_t cell) NEEDS(loader_turn)
{
    uint32_t section = arena_cell(cell)->init_section;
    enum err err = ERR_OK;

    if (section) {
        enum err (*init)(void) = (enum err(*)(void))(uintptr_t)arena_section(section)->virt;
        err = init();
    }
    arena_cell(cell)->initialized = err ? INIT_NONE : INIT_DONE;
    return err;
}

/* The cells whose init has begun, innermost last. Those that do not come to its end, for an error or a fault, count as
 * not begun. */
struct begun_guard {
    uint32_t cells[BATCH_MAX];
    size_t count;
};

static void begun_guard_end(struct begun_guard *begun)
{
    while (begun->count > 0)
        arena_cell(begun->cells[--begun->count])->initialized = INIT_NONE;
}

static void begin(struct begun_guard *begun, uint32_t cell)
{
    begun->cells[begun->count++] = cell;
    arena_cell(cell)->initialized = INIT_RUNS;
}

/* Depth first along the edges; a cycle is entered where it was met. */
static enum err initialize(uint32_t cell, struct loader_detail *detail) NEEDS(loader_turn)
{
    GUARD(begun) begun = {.count = 0};

    if (arena_cell(cell)->initialized != INIT_NONE)
        return ERR_OK;
    begin(&begun, cell);
    while (begun.count > 0) {
        uint32_t next = begun.cells[begun.count - 1];
        uint32_t need = begun.count < BATCH_MAX ? uninitialized_need(next) : 0;
        if (need) {
            begin(&begun, need);
            continue;
        }
        enum err err = run_init(next);
        if (err)
            return REFUSE(ERR_INIT_FAILED, "cell ", name_of(next), ": its init function says: ", err_text(err));
        begun.count--;
    }
    return ERR_OK;
}

enum err loader_initialize(uint32_t cell, struct loader_detail *detail)
{
    GUARD(loader) turn = loader_hold();

    return initialize(cell, detail);
}

/* Cells that were loaded together. Those that are not initialized at the end of the scope are freed, unless one that is
 * leads to them; also when a fault in an init function ends it. */
struct loaded_guard {
    uint32_t cells[BATCH_MAX];
    size_t count;
};

static void loaded_guard_end(struct loaded_guard *loaded) NEEDS(loader_turn)
{
    size_t kept = 0;

    for (size_t i = 0; i < loaded->count; i++)
        if (arena_cell(loaded->cells[i])->initialized == INIT_NONE)
            loaded->cells[kept++] = loaded->cells[i];
    link_discard(loaded->cells, link_unheld(loaded->cells, kept));
}

static bool is_among(uint32_t cell, const uint32_t *cells, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (cells[i] == cell)
            return true;
    return false;
}

/* Behind the first `count` of `cells`: what they need, and those need, that was loaded for them and has not begun to
 * work. How many it are then. */
static size_t gather_needs(uint32_t cells[BATCH_MAX], size_t count) NEEDS(loader_turn)
{
    for (size_t i = 0; i < count; i++)
        for (uint32_t s = arena_cell(cells[i])->first_section; s; s = arena_section(s)->next_in_cell)
            for (uint32_t e = arena_section(s)->first_out; e && count < BATCH_MAX; e = arena_edge(e)->next_out) {
                uint32_t need = arena_section(arena_edge(e)->to)->cell;
                if (arena_cell(need)->object && arena_cell(need)->initialized == INIT_NONE &&
                    !is_among(need, cells, count))
                    cells[count++] = need;
            }
    return count;
}

/* ---- the interface ---- */

static enum err load(const char *name, uint32_t *ret_cell, struct loader_detail *detail) NEEDS(loader_turn)
{
    struct archive_member member;
    uint32_t cell = arena_cell_find(root, name), *hint;
    GUARD(loaded) loaded = {.count = 0};
    enum err err;

    if (cell && arena_cell(cell)->state == CELL_LIVE) {
        *ret_cell = cell;
        return initialize(cell, detail);
    }
    if (index_member(name, &member, &hint))
        return REFUSE(ERR_NOT_FOUND, "there is no cell ", name, " in the archive");
    err = batch_add_member(&member, hint, detail);
    if (!err)
        err = batch_link(detail);
    loaded.count = err ? 0 : batch_cells(loaded.cells);
    batch_end(err);
    if (err || (err = initialize(loaded.cells[0], detail)))
        return err;
    *ret_cell = loaded.cells[0];
    loaded.count = 0;
    return ERR_OK;
}

enum err loader_load(const char *name, uint32_t *ret_cell, struct loader_detail *detail)
{
    GUARD(loader) turn = loader_hold();
    uint32_t cell;
    enum err err = load(name, &cell, detail);

    if (!err && ret_cell)
        *ret_cell = cell;
    return err;
}

static enum err stage_one(const struct loader_order *order, uint32_t object, struct loader_detail *detail)
    NEEDS(loader_turn)
{
    if (!loader_is_intact(object))
        return REFUSE(ERR_CORRUPT, "the pristine object of ", arena_string(arena_object(object)->name), " is damaged");
    return batch_add(object, order->namespace_, &scope, detail);
}

enum err loader_stage(const struct loader_order *order, uint32_t *ret_cells, struct loader_detail *detail)
{
    GUARD(loader) turn = loader_hold();
    enum err err = ERR_OK;

    scope = (struct link_scope){.staged = staged_cells, .hidden = order->old, .hidden_count = order->olds};
    for (size_t i = 0; i < order->objects && !err; i++)
        err = stage_one(order, order->object[i], detail);
    if (!err)
        err = batch_link(detail);
    if (!err)
        memcpy(ret_cells, staged_cells, order->objects * sizeof *ret_cells);
    batch_end(err);
    return err;
}

void loader_unstage(const uint32_t *staged, size_t count)
{
    GUARD(loader) turn = loader_hold();
    uint32_t cells[BATCH_MAX];

    assert(count <= array_size(cells));
    memcpy(cells, staged, count * sizeof *cells);
    link_discard(cells, link_unheld(cells, gather_needs(cells, count)));
}

void loader_publish(uint32_t cell)
{
    GUARD(arena) held = arena_change();

    link_publish_symbols(cell);
    go_live(cell);
}

void loader_conceal(uint32_t cell)
{
    GUARD(arena) held = arena_change();

    link_retract_symbols(cell);
    arena_cell(cell)->state = CELL_LOADING;
}

void loader_restore(uint32_t cell)
{
    GUARD(arena) held = arena_change();

    link_retract_symbols(cell); /* those that are still there: twice in the map is a circle */
    link_publish_symbols(cell);
    arena_cell(cell)->state = CELL_LIVE;
}

void loader_retract(uint32_t cell)
{
    GUARD(arena) held = arena_change();

    link_retract_symbols(cell);
    arena_cell(cell)->state = CELL_OLD;
}

static enum err run_done(uint32_t cell) NEEDS(loader_turn)
{
    const struct arena_cell *c = arena_cell(cell);
    uint32_t heir = arena_cell_find(c->namespace_, arena_string(c->name));

    if (!c->done_section || c->initialized != INIT_DONE ||
        (heir && heir != cell && arena_cell(heir)->namespace_ == c->namespace_))
        return ERR_OK;
    enum err (*done)(void) = (enum err(*)(void))(uintptr_t)arena_section(c->done_section)->virt;
    return done();
}

enum err loader_unload(uint32_t cell)
{
    GUARD(loader) turn = loader_hold();
    const struct arena_cell *c = arena_cell(cell);
    uint32_t version = c->version;
    char name[NOTE_NAME_BYTES];

    string_copy(name, arena_string(c->name), sizeof name);
    if (c->state == CELL_FREE)
        return ERR_NOT_FOUND;
    if (arena_in_image(c))
        return ERR_NOT_SWAPPABLE;
    if (link_is_held(cell) || run_done(cell) || link_is_held(cell))
        return ERR_BUSY;
    link_discard(&cell, 1);
    arena_event(EVENT_CELL_FREED, cell, version, name);
    return ERR_OK;
}

/* Moves those that say that they cannot go behind the others, and counts these. */
static size_t run_all_done(uint32_t *cells, size_t count) NEEDS(loader_turn)
{
    for (size_t i = 0; i < count;) {
        uint32_t cell = cells[i];
        if (!run_done(cell)) {
            i++;
            continue;
        }
        cells[i] = cells[--count];
        cells[count] = cell;
    }
    return count;
}

size_t loader_unload_all(uint32_t *cells, size_t count)
{
    GUARD(loader) turn = loader_hold();

    count = link_unheld(cells, run_all_done(cells, link_unheld(cells, count)));
    for (size_t i = 0; i < count; i++)
        arena_event(EVENT_CELL_FREED, cells[i], arena_cell(cells[i])->version, name_of(cells[i]));
    link_discard(cells, count);
    return count;
}

enum err loader_symbol(const char *name, uint64_t *ret_address)
{
    return loader_symbol_in(root, name, ret_address);
}

enum err loader_symbol_in(uint32_t namespace_, const char *name, uint64_t *ret_address)
{
    GUARD(arena) held = arena_change();
    uint32_t symbol = link_visible_symbol(namespace_, name);

    if (!symbol || arena_cell(cell_of_symbol(symbol))->state != CELL_LIVE)
        return ERR_NOT_FOUND;
    *ret_address = arena_section(arena_symbol(symbol)->section)->virt + arena_symbol(symbol)->offset;
    return ERR_OK;
}

/* ---- the image ---- */

static enum err adopt_cell(struct image *image, const char *name, struct loader_detail *detail) NEEDS(loader_turn)
{
    bool way_in = !image->way_in;
    struct archive_member member;
    uint32_t object = 0, hint = 0;
    enum err err;

    if (batched == BATCH_MAX)
        return REFUSE(ERR_FULL, "too many cells in the image");
    if (archive_find(name, &member))
        return REFUSE(ERR_NOT_FOUND, "the archive lacks ", name, ".o, which is part of the image");
    if (!way_in && (err = keep_member(&member, &hint, &object, detail)))
        return err;
    struct link *link = &batch[batched];
    *link = (struct link){.image = image};
    if ((err = object_open(member.data, member.bytes, &link->object, detail)))
        return err;
    batched++;
    if ((err = link_place(link, object, root, detail)))
        return err;
    if (way_in)
        image->way_in = link->cell;
    GUARD(arena) held = arena_change();
    link_publish_symbols(link->cell);
    return ERR_OK;
}

static enum err adopt_cells(struct image *image, struct loader_detail *detail) NEEDS(loader_turn)
{
    const char *name;
    enum err err;

    for (uint32_t at = 0; (name = image_cell(image, at, &at));)
        if ((err = adopt_cell(image, name, detail)))
            return err;
    for (size_t i = 0; i < batched; i++)
        if ((err = require(&batch[i], detail)) || (err = link_relocate(&batch[i], detail)))
            return err;
    for (size_t i = 0; i < batched; i++) {
        arena_cell(batch[i].cell)->state = CELL_LIVE;
        arena_cell(batch[i].cell)->initialized = INIT_DONE;
    }
    return ERR_OK;
}

/* The cells that the running image consists of, as if they had been loaded to where they are. */
static enum err adopt_image(struct loader_detail *detail)
{
    GUARD(loader) turn = loader_hold();
    struct image image;
    enum err err = image_open(&image, detail);

    if (err)
        return err;
    err = adopt_cells(&image, detail);
    batch_end(false); /* after an error too: what it would discard is what runs */
    return err;
}

static enum err describe(struct loader_detail *detail)
{
    enum err err;

    {
        GUARD(arena) held = arena_change();
        root = arena_new_named(ARENA_NAMESPACES, "root");
        arena_seal(ARENA_NAMESPACES, root);
    }
    if ((err = adopt_image(detail)))
        return err;
    return index_build(detail);
}

enum err loader_init(void)
{
    struct loader_detail detail;
    enum err err = describe(&detail);

    if (err) {
        panic_print("loader: ");
        panic_print(detail.text);
        panic_print("\n");
    }
    return err;
}
