/* Loads and links cells: object file -> sections in memory, relocations written, edges recorded in both directions
 * (thesis §5.1). A batch of cells is published first and relocated then, so that circular needs resolve.
 * Invariant: a batch that fails leaves nothing behind. Text is read-execute, the rest is never executable; the loader
 * writes both through the direct map. A report is filled in on failure; NULL: none is wanted. */
#pragma once
#include "cells/cell.h"
#include "cells/core/arena/arena.h"
#include "cells/core/report/report.h"

#define LOADER_BATCH_MAX 96 /* cells that are loaded together */

/* Makes the root namespace, the records of the cells of the image, and the index of the archive. Once, at boot, with
 * the archive open. After an error, which it prints, no cell can be loaded. */
enum err loader_init(void);

/* ---- the loader lock ---- */

/* Held by whoever loads, stages, unloads or initializes cells; a swap holds it from staging until its new cells are
 * initialized. The functions below take it themselves. Re-entrant for the same task. Interrupts stay on. */
extern struct role loader_lock;

struct loader_guard {
    bool held;
};
/* Takes the loader lock: GUARD(loader) locked = loader_hold(). Waits as long as another task holds it, so never from an
 * interrupt handler. Frees the batch of a holder that a fault has ended. */
struct loader_guard loader_hold(void) HOLDS(loader_lock);
void loader_guard_end(struct loader_guard *guard);
/* Releases the loader lock if the running task holds it: for a task whose stack could not be unwound to its end. */
void loader_abandon(void);
struct task;
bool loader_is_held_by(const struct task *task);
/* Called repeatedly while the loader lock is waited for. The scheduler binds its yield here; NULL: the wait spins. */
extern void (*loader_wait_hook)(void);

/* ---- loading ---- */

/* LOAD_UNFIT: the cell lacks something in the root namespace, or clashes with what is there; in a child it may be
 * loaded. LOAD_FAILED: any other error. The report says which. */
enum [[nodiscard]] load_err{LOAD_OK, LOAD_UNFIT, LOAD_FAILED};

/* Loads cell `name` from the archive into the root namespace, with all cells that it needs, and initializes them. Only
 * initializes a cell that is loaded. On failure ret_cell (may be NULL) is untouched, and what was loaded for it and is
 * not initialized is freed. */
enum load_err loader_load(const char *name, struct cell_ref *ret_cell, struct report *report);

/* Makes the record of a pristine object. With from_mailbox its frames are freed with the record. On failure ret_object
 * is untouched. */
enum err loader_add_object(const char *name, uint64_t phys, size_t bytes, bool from_mailbox,
                           struct object_ref *ret_object, struct report *report);
/* Frees a pristine object and its frames. Does nothing as long as a cell is made from it or it is marked as kept. */
void loader_drop_object(struct object_ref object);

/* Checks that the bytes are an object that can be loaded: ELF64 relocatable x86-64, sane tables, notes of our version.
 * Changes nothing. ret_name: the cell's name, untouched on failure. */
enum err loader_check_object(const void *data, size_t bytes, char ret_name[32], struct report *report);

/* Whether a note NOTE_POINTERS is whole: indexes, offsets and names are in range, and no type contains itself. */
bool loader_pointers_sound(const void *note, size_t bytes);

/* Whether a pristine object has the bytes with which it arrived. */
bool loader_is_intact(struct object_ref object);
/* Whether the cell in a pristine object has state that exists once in the system: static data, or an init or done
 * function, unless the cell is declared PER_NAMESPACE(). True also for an object that is damaged. */
bool loader_is_singleton(struct object_ref object);

/* What loader_stage loads: objects that become cells together, the live cells that those are to replace, and live cells
 * of ancestors that the namespace does not see yet, but is to inherit. Borrowed. */
struct loader_input {
    struct namespace_ref namespace_;
    const struct object_ref *object;
    const struct cell_ref *old, *inherited;
    size_t objects, olds, inheriteds;
};

/* Loads objects in isolation: state CELL_LOADING, symbols not published, relocated, edges recorded. Imports resolve to
 * the staged cells first, then to those that are to be inherited, then to what is loaded, but never to a cell that is
 * to be replaced; missing cells come from the archive. ret_cells: one cell for each object; lifecycle_unstage frees
 * them. On failure nothing stays loaded and ret_cells is untouched. ERR_CORRUPT: an object no longer has the bytes with
 * which it arrived. */
enum err loader_stage(const struct loader_input *input, struct cell_ref *ret_cells, struct report *report);
/* Runs the cell's init function, those of its dependencies first, each once. ERR_INIT_FAILED: one has failed; it and
 * those that depend on it count as not initialized. */
enum err loader_initialize(struct cell_ref cell, struct report *report);

/* Calls an init or done function. Cell deadline binds what limits its time to the hook; NULL: nothing does. */
extern enum err (*loader_call_hook)(struct cell_ref cell, enum err (*function)(void));
static inline enum err loader_call(struct cell_ref cell, enum err (*function)(void))
{
    return loader_call_hook ? loader_call_hook(cell, function) : function();
}

/* ---- for cells edge and lifecycle, which change what is loaded ---- */

/* As arena_symbol_find, but without symbols of cells that another cell of the same name hides from the namespace. */
struct symbol_ref loader_visible_symbol(struct namespace_ref namespace_, const char *name);
/* Adds a record to the lists of both of its sections. Returns it; none: the table is full, nothing changed. */
struct edge_ref loader_add_edge(const struct arena_edge *edge) NEEDS(arena_writer);
/* Writes the relocation that `edge` describes, through the direct map. False: it does not fit, nothing changed. */
bool loader_write_edge(const struct arena_edge *edge);
/* Whether `edge` is a pointer in data that code has overwritten. */
bool loader_is_stored_over(const struct arena_edge *edge);
/* Sets the section's hash to that of its bytes. Does nothing for data. */
void loader_hash_section(struct section_ref section) NEEDS(arena_writer);

/* Makes the cell's exported symbols visible in its namespace, or hides them. Symbols that are so already stay so. */
void loader_publish_symbols(struct cell_ref cell) NEEDS(arena_writer);
void loader_retract_symbols(struct cell_ref cell) NEEDS(arena_writer);
/* Sets state CELL_LIVE and records an event with that text. */
void loader_go_live(struct cell_ref cell, const char *text) NEEDS(arena_writer);

/* Moves cells that another cell's edge refers to to the end of `cells`, again and again, since those count as others
 * then. Returns how many are left before them. */
size_t loader_unheld(struct cell_ref *cells, size_t count);
/* Frees the cells: edges, symbols, sections, memory, objects. No edge from another cell may refer to them. Frees cells
 * too whose loading has failed half-way. */
void loader_discard(const struct cell_ref *cells, size_t count);
