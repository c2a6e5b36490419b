/* A consistent, validated copy of the guest's metadata arena (guest/abi/arena.h), taken from a mapping of
 * guest memory without the guest's help. Leaves out live bytes of cells (read.h) and all writing (request.h).
 *
 * Every byte of guest memory is hostile. What a view hands out is a copy in which indices, string offsets and
 * lengths have been checked, text is printable ASCII, and records whose check word is wrong are listed as damage.
 * Addresses and the free-running fields of a record may still be any number.
 *
 * A view never changes; it borrows the mapping, which must outlive it. References are those of the arena. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "guest/abi/arena.h"
#include "guest/abi/err.h"
#include "introspect/base/own.h"

struct view;

void view_free(struct view *view); /* accepts NULL */
OWNABLE(view, view_free)

/* Copies the arena. NULL with the reason in *ret_err:
 *   ERR_RANGE      the memory is smaller than the arena needs
 *   ERR_NOT_FOUND  there is no arena yet: the guest is still booting
 *   ERR_WRONG_ABI  another version of the arena
 *   ERR_CORRUPT    no arena, or a header beyond use
 *   ERR_BUSY       the guest has been in one change for 200 ms, or in change after change for a second
 *   ERR_NOMEM */
RELEASED_BY(view_free) struct view *view_take(const uint8_t *ram, size_t bytes, enum err *ret_err);

/* The same, but returns an inconsistent copy where view_take fails with ERR_BUSY; view_is_torn() tells. For a guest
 * that died in the middle of a change. */
RELEASED_BY(view_free) struct view *view_take_anyway(const uint8_t *ram, size_t bytes, enum err *ret_err);
/* As view_take_anyway, but waits some seconds for the end of a change, or for a pause between changes: a busy host may
 * not run the guest for a while. */
RELEASED_BY(view_free) struct view *view_take_patiently(const uint8_t *ram, size_t bytes, enum err *ret_err);
/* As view_take_anyway, but waits only 20 ms: for a screen, which takes the next view soon. */
RELEASED_BY(view_free) struct view *view_take_soon(const uint8_t *ram, size_t bytes, enum err *ret_err);

/* Whether the copy is inconsistent: not of view_take. */
bool view_is_torn(const struct view *view);
const struct arena_header *view_header(const struct view *view);
const uint8_t *view_ram(const struct view *view, size_t *ret_bytes); /* live, shared with the guest */
/* Whether bytes of guest memory are part of the arena; and where its tables are, from the first to the last one. */
bool view_is_in_arena(const struct view *view, uint64_t phys, uint64_t bytes);
void view_arena_span(const struct view *view, uint64_t *ret_phys, uint64_t *ret_bytes);
uint64_t view_counter(const struct view *view, enum arena_counter counter);
/* True while nobody has changed namespaces, objects, cells, sections, symbols or edges since the view was taken. */
bool view_is_current(const struct view *view);

/* ---- damage ---- */

struct view_damage {
    enum arena_table table; /* ARENA_TABLES: the header */
    uint32_t index;
    char text[112];
};
enum { VIEW_DAMAGE_MAX = 256 }; /* kept; more are only counted */

size_t view_damage_count(const struct view *view);                        /* found */
const struct view_damage *view_damage(const struct view *view, size_t n); /* NULL at the end of those kept */

/* ---- records: NULL for a free, unusable or unknown one ---- */

/* The next used index after `index`, 0 at the end: for (uint32_t i = 0; (i = view_next(v, ARENA_CELLS, i));) */
uint32_t view_next(const struct view *view, enum arena_table table, uint32_t index);
/* view_each_cell(cell, view) and its like: all used records. The first name is that of the variable, a reference. */
#define view_each(type, ref, view, table) for (type ref = {}; (ref.index = view_next(view, table, ref.index));)
#define view_each_namespace(ref, view)    view_each (struct namespace_ref, ref, view, ARENA_NAMESPACES)
#define view_each_object(ref, view)       view_each (struct object_ref, ref, view, ARENA_OBJECTS)
#define view_each_cell(ref, view)         view_each (struct cell_ref, ref, view, ARENA_CELLS)
#define view_each_section(ref, view)      view_each (struct section_ref, ref, view, ARENA_SECTIONS)
#define view_each_symbol(ref, view)       view_each (struct symbol_ref, ref, view, ARENA_SYMBOLS)
#define view_each_edge(ref, view)         view_each (struct edge_ref, ref, view, ARENA_EDGES)
#define view_each_task(ref, view)         view_each (struct task_ref, ref, view, ARENA_TASKS)
size_t view_count(const struct view *view, enum arena_table table); /* used records */

/* The copied record, borrowed from the view. NULL: it is free, unusable or not in the table. */
const struct arena_namespace *view_namespace(const struct view *view, struct namespace_ref namespace_);
const struct arena_object *view_object(const struct view *view, struct object_ref object);
const struct arena_cell *view_cell(const struct view *view, struct cell_ref cell);
const struct arena_section *view_section(const struct view *view, struct section_ref section);
const struct arena_symbol *view_symbol(const struct view *view, struct symbol_ref symbol);
const struct arena_edge *view_edge(const struct view *view, struct edge_ref edge);
const struct arena_task *view_task(const struct view *view, struct task_ref task);
const struct arena_cpu *view_cpu(const struct view *view, uint32_t index);
/* False: the check word of this record is wrong. */
bool view_is_sound(const struct view *view, enum arena_table table, uint32_t index);

/* Records of rings, in order of seq: n = 0 is the oldest that is left. NULL at the end. */
const struct arena_fault *view_fault(const struct view *view, size_t n);
const struct arena_event *view_event(const struct view *view, size_t n);
const struct arena_completion *view_completion(const struct view *view, size_t n);
const struct arena_swap *view_swap(const struct view *view, size_t n);
/* The i-th change of a cell in a swap. NULL: there is none, or it was overwritten since. */
const struct arena_change *view_change(const struct view *view, const struct arena_swap *swap, uint32_t i);

/* ---- relations: lists of references, borrowed from the view ---- */

struct view_sections {
    const struct section_ref *item;
    size_t count;
};
struct view_symbols {
    const struct symbol_ref *item;
    size_t count;
};
struct view_edges {
    const struct edge_ref *item;
    size_t count;
};
struct view_sections view_sections_of(const struct view *view, struct cell_ref cell); /* by address */
struct view_symbols view_symbols_of(const struct view *view, struct cell_ref cell);
struct view_symbols view_symbols_in(const struct view *view, struct section_ref section); /* by offset */
struct view_edges view_edges_out(const struct view *view, struct section_ref section);    /* by offset */
struct view_edges view_edges_in(const struct view *view, struct section_ref section);

/* A walk over the edges between a cell and others, those from it or those to it: by section, in that by offset. */
struct edge_walk {
    const struct view *view;
    struct cell_ref cell;
    bool outgoing;
    size_t section, edge; /* the next one: of the cell's sections, of that section's edges */
};
struct edge_walk view_walk_edges(const struct view *view, struct cell_ref cell, bool outgoing);
/* False at the end. Else the edge, and the section of the other cell that it ends or begins in. */
bool edge_walk_next(struct edge_walk *walk, struct edge_ref *ret_edge, struct section_ref *ret_there);

/* List the cells that `cell` depends on (or that depend on it), each once, without itself. Write at most `max` to
 * `ret`, which may be NULL; return the number of all. */
size_t view_dependencies(const struct view *view, struct cell_ref cell, struct cell_ref *ret, size_t max);
size_t view_dependents(const struct view *view, struct cell_ref cell, struct cell_ref *ret, size_t max);
size_t view_tasks_in(const struct view *view, struct cell_ref cell); /* tasks whose entry function is in it */

/* ---- names ---- */

/* Never NULL; "" for a bad offset, "?" for a record that is not there. */
const char *view_string(const struct view *view, uint32_t offset);
const char *view_cell_name(const struct view *view, struct cell_ref cell);
const char *view_section_name(const struct view *view, struct section_ref section);
/* "channel:.text.channel_send"; of a cell that is not the root's, "NAMESPACE/channel:.text.channel_send". */
void view_section_label(const struct view *view, struct section_ref section, char *ret_label, size_t bytes);
const char *view_namespace_name(const struct view *view, struct namespace_ref namespace_);

/* Find a record by name, or none. Of cells, a live one is preferred over one that is loading or old, one of
 * the namespace over an inherited one; none also where there is an absence of that name (CELL_ABSENT). Names
 * as people write them: introspect/qualified.h. */
struct cell_ref view_find_cell(const struct view *view, struct namespace_ref namespace_, const char *name);
/* The same without what is inherited; or the absence. */
struct cell_ref view_find_held(const struct view *view, struct namespace_ref namespace_, const char *name);
struct namespace_ref view_find_namespace(const struct view *view, const char *name);
/* By full name (".text.channel_send"), or without its first part ("channel_send"). */
struct section_ref view_find_section(const struct view *view, struct cell_ref cell, const char *name);
/* By name, or by decimal id. */
struct task_ref view_find_task(const struct view *view, const char *name);

/* ---- addresses ---- */

struct section_ref view_section_at(const struct view *view, uint64_t virt); /* or none */
/* Writes what is at an address: "channel:channel_send+0x1c", "channel:.rodata+0x8"; "" when no cell is. */
void view_describe(const struct view *view, uint64_t virt, char *ret_text, size_t bytes);
