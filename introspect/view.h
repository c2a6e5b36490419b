/* A consistent, validated copy of the guest's metadata arena (guest/abi/arena.h), taken from a mapping of
 * guest memory without the guest's help. Leaves out live bytes of cells (read.h) and all writing (request.h).
 *
 * Every byte of guest memory is hostile. What a view hands out is a copy in which indices, string offsets and
 * lengths have been checked, text is printable ASCII, and records whose check word is wrong are listed as damage.
 * Addresses and the free-running fields of a record may still be any number.
 *
 * A view never changes; it borrows the mapping, which must outlive it. Indices are those of the arena; 0 is none. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "guest/abi/arena.h"
#include "guest/abi/err.h"
#include "introspect/own.h"

struct view;

void view_free(struct view *view); /* accepts NULL */

/* Copies the arena. NULL with the reason in *ret_err:
 *   ERR_RANGE      the memory is smaller than the arena needs
 *   ERR_NOT_FOUND  there is no arena yet: the guest has not come so far
 *   ERR_WRONG_ABI  another version of the arena
 *   ERR_CORRUPT    no arena, or a header beyond use
 *   ERR_BUSY       the guest has been in one change for 200 ms, or in change after change for a second
 *   ERR_NOMEM */
RELEASED_BY(view_free) struct view *view_take(const uint8_t *ram, size_t bytes, enum err *ret_err);

/* The same, but gives an inconsistent copy where view_take says ERR_BUSY; view_is_torn() tells. For looking at a guest
 * that died in the middle of a change. */
RELEASED_BY(view_free) struct view *view_take_anyway(const uint8_t *ram, size_t bytes, enum err *ret_err);
/* As view_take_anyway, after 20 ms: for a screen that must not wait, and looks again soon. */
RELEASED_BY(view_free) struct view *view_take_soon(const uint8_t *ram, size_t bytes, enum err *ret_err);

bool view_is_torn(const struct view *view);
const struct arena_header *view_header(const struct view *view);
const uint8_t *view_ram(const struct view *view, size_t *ret_bytes); /* live, shared with the guest */
uint64_t view_counter(const struct view *view, enum arena_counter counter);
/* True while nobody has changed cells, sections, symbols or edges since the view was taken. */
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

/* ---- records: NULL for a free, unusable or unknown index ---- */

/* The next used index after `index`, 0 at the end: for (uint32_t i = 0; (i = view_next(v, ARENA_CELLS, i));) */
uint32_t view_next(const struct view *view, enum arena_table table, uint32_t index);
size_t view_count(const struct view *view, enum arena_table table); /* used records */

const struct arena_namespace *view_namespace(const struct view *view, uint32_t index);
const struct arena_object *view_object(const struct view *view, uint32_t index);
const struct arena_cell *view_cell(const struct view *view, uint32_t index);
const struct arena_section *view_section(const struct view *view, uint32_t index);
const struct arena_symbol *view_symbol(const struct view *view, uint32_t index);
const struct arena_edge *view_edge(const struct view *view, uint32_t index);
const struct arena_task *view_task(const struct view *view, uint32_t index);
const struct arena_cpu *view_cpu(const struct view *view, uint32_t index);
/* False: the check word of this record does not fit. */
bool view_is_sound(const struct view *view, enum arena_table table, uint32_t index);

/* Rings, in order of seq: n = 0 is the oldest that is still there. NULL at the end. */
const struct arena_fault *view_fault(const struct view *view, size_t n);
const struct arena_event *view_event(const struct view *view, size_t n);
const struct arena_completion *view_completion(const struct view *view, size_t n);
const struct arena_swap *view_swap(const struct view *view, size_t n);
/* What the swap was to do to one of the cells that it was about; NULL: none, or overwritten since. */
const struct arena_change *view_change(const struct view *view, const struct arena_swap *swap, uint32_t i);

/* ---- relations: lists of indices, borrowed from the view ---- */

struct view_list {
    const uint32_t *item;
    size_t count;
};
struct view_list view_sections_of(const struct view *view, uint32_t cell); /* by address */
struct view_list view_symbols_of(const struct view *view, uint32_t cell);
struct view_list view_symbols_in(const struct view *view, uint32_t section); /* by offset */
struct view_list view_edges_out(const struct view *view, uint32_t section);  /* by offset */
struct view_list view_edges_in(const struct view *view, uint32_t section);

/* Cells that `cell` depends on (or that depend on it), each once, without itself. At most `max` are written to `ret`,
 * which may be NULL; the number of all is returned. */
size_t view_dependencies(const struct view *view, uint32_t cell, uint32_t *ret, size_t max);
size_t view_dependents(const struct view *view, uint32_t cell, uint32_t *ret, size_t max);
size_t view_tasks_in(const struct view *view, uint32_t cell); /* tasks whose entry function is in it */

/* ---- names ---- */

/* Never NULL; "" for a bad offset, "?" for a record that is not there. */
const char *view_string(const struct view *view, uint32_t offset);
const char *view_cell_name(const struct view *view, uint32_t cell);
const char *view_section_name(const struct view *view, uint32_t section);
const char *view_namespace_name(const struct view *view, uint32_t namespace_);

/* 0: none. A live cell is preferred over one that is loading or old, its own over one that the namespace inherits.
 * namespace_ 0: any, the lowest index first. */
uint32_t view_find_cell(const struct view *view, uint32_t namespace_, const char *name);
uint32_t view_find_namespace(const struct view *view, const char *name);
/* By full name (".text.channel_send"), or without its first part ("channel_send"). */
uint32_t view_find_section(const struct view *view, uint32_t cell, const char *name);
uint32_t view_find_symbol(const struct view *view, const char *name);
/* By name, or by decimal id. */
uint32_t view_find_task(const struct view *view, const char *name);

/* ---- addresses ---- */

uint32_t view_section_at(const struct view *view, uint64_t virt); /* 0: none */
/* "channel:channel_send+0x1c", "channel:.rodata+0x8", or "" when no cell is there. */
void view_describe(const struct view *view, uint64_t virt, char *ret_text, size_t bytes);
