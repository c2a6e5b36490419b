/* The metadata arena (guest/abi/arena.h): allocates and links its records, keeps generation and check words. Knows
 * nothing of ELF; the loader and others fill the records in.
 * Invariant: the generation is odd exactly while records change; a record in use that is not being changed has the
 * check word of its stable fields.
 *
 * Locking: arena_change() takes the arena's lock; functions with NEEDS(arena_writer) are called within it. Lookups need
 * no lock, but then what they return may be stale. A reference that is returned may be to none (guest/abi/arena.h). */
#pragma once
#include "cells/cell.h"
#include "cells/core/report/report.h"
#include "guest/abi/arena.h"
#include "guest/abi/layout.h"

extern struct role arena_writer;

struct arena_guard {
    bool outermost;
    uint64_t rflags;
};
/* Takes the arena's lock until the end of the scope: GUARD(arena) held = arena_change(). Interrupts are off meanwhile.
 * Re-entrant on the same CPU. Rebuilds the indexes first if a fault has ended a writer, or a lookup suspects them. */
struct arena_guard arena_change(void) HOLDS(arena_writer);
void arena_guard_end(struct arena_guard *guard);

/* ---- where it is, and how large ---- */

#define ARENA_HEADER_ROOM 4096 /* bytes at LAYOUT_ARENA_PHYS, behind which the fault log begins */
#define ARENA_TABLES_ROOM (LAYOUT_ARENA_PHYS + (uint64_t)LAYOUT_ARENA_BYTES - LAYOUT_TABLES_PHYS) /* for the others */

/* Chooses the capacities for a machine with so many bytes of usable RAM (guest/abi/capacity.h). Returns how many bytes
 * the tables and the guest's indexes take, without the fault log, which has a place of its own. */
uint64_t arena_plan(uint64_t ram_bytes);
/* Says where these bytes are: above LAYOUT_ARENA_PHYS, on a multiple of 64. */
void arena_place(uint64_t phys);
/* Formats the arena. Once, at boot, as it was planned and placed. The fault log is left as it is: the fault cell looks
 * at what an earlier boot has left there. */
void arena_init(void);

/* The guest's indexes, which are behind the tables and grow with them. */
enum arena_area {
    AREA_CELL_SLOTS = ARENA_TABLES,
    AREA_SYMBOL_SLOTS,
    AREA_PAGE_SLOTS,
    AREA_STRING_SLOTS,
    AREA_ARCHIVE, /* of the loader, ARENA_ARCHIVE_SLOT_BYTES for each slot */
    AREAS
};
#define ARENA_ARCHIVE_SLOT_BYTES 16
/* The memory of an index, which whoever uses it clears. */
void *arena_area(enum arena_area area, uint32_t *ret_slots);

struct arena_header *arena_header(void);
/* ---- records, by table and index ---- */

/* The record, borrowed. Panics when `index` is 0 or beyond the table. */
void *arena_record(enum arena_table table, uint32_t index);
/* ---- reserves: the last records of a table, and the last frames, which are for recovery alone ---- */

/* The task that may take them now; NULL: none. Written by who holds the loader lock. Atomic. */
extern const void *arena_reserve_user;
/* Whether the running task may. */
bool arena_may_use_reserve(void);

/* Allocates a zeroed record. Returns its index; 0: the table is full, or all that is left is the reserve. */
uint32_t arena_new(enum arena_table table) NEEDS(arena_writer);
/* Allocates a zeroed record with a name: of a namespace, object, cell, section or symbol. 0: the table or the strings
 * are full, or the name is empty; nothing is allocated. */
uint32_t arena_new_named(enum arena_table table, const char *name) NEEDS(arena_writer);
/* After arena_new or arena_new_named has returned 0: says which table is full, and how full. Returns ERR_FULL. */
enum err arena_refuse_full(enum arena_table table, struct report *report) NEEDS(arena_writer);
/* Frees the record and its name, and removes it from the indexes. */
void arena_record_free(enum arena_table table, uint32_t index) NEEDS(arena_writer);
/* Recomputes the check word and updates the indexes. To be called after stable fields were changed. */
void arena_record_seal(enum arena_table table, uint32_t index) NEEDS(arena_writer);
/* Whether the check word is that of the stable fields. False when `index` is out of range. */
bool arena_record_sound(enum arena_table table, uint32_t index);

/* arena_check(), once for all of the nano_core, which is small. */
uint32_t arena_hash(const void *data, size_t bytes);

/* The text of a record's name, valid as long as the record is; "": `offset` is out of range. */
const char *arena_string(uint32_t offset);

/* ---- records, by reference: the reference says the table ---- */

/* clang-format off */
#define ARENA_TABLE_OF(ref)                                                                                            \
    _Generic((ref),                                                                                                    \
        struct namespace_ref: ARENA_NAMESPACES,                                                                        \
        struct object_ref: ARENA_OBJECTS,                                                                              \
        struct cell_ref: ARENA_CELLS,                                                                                  \
        struct section_ref: ARENA_SECTIONS,                                                                            \
        struct symbol_ref: ARENA_SYMBOLS,                                                                              \
        struct edge_ref: ARENA_EDGES,                                                                                  \
        struct task_ref: ARENA_TASKS)
/* clang-format on */
#define arena_free(ref)  arena_record_free(ARENA_TABLE_OF(ref), (ref).index)
#define arena_seal(ref)  arena_record_seal(ARENA_TABLE_OF(ref), (ref).index)
#define arena_sound(ref) arena_record_sound(ARENA_TABLE_OF(ref), (ref).index)

#define ARENA_INLINE static inline __attribute__((always_inline))
ARENA_INLINE struct arena_namespace *arena_namespace(struct namespace_ref namespace_)
{
    return arena_record(ARENA_NAMESPACES, namespace_.index);
}
ARENA_INLINE struct arena_object *arena_object(struct object_ref object)
{
    return arena_record(ARENA_OBJECTS, object.index);
}
ARENA_INLINE struct arena_cell *arena_cell(struct cell_ref cell)
{
    return arena_record(ARENA_CELLS, cell.index);
}
ARENA_INLINE struct arena_section *arena_section(struct section_ref section)
{
    return arena_record(ARENA_SECTIONS, section.index);
}
ARENA_INLINE struct arena_symbol *arena_symbol(struct symbol_ref symbol)
{
    return arena_record(ARENA_SYMBOLS, symbol.index);
}
ARENA_INLINE struct arena_edge *arena_edge(struct edge_ref edge)
{
    return arena_record(ARENA_EDGES, edge.index);
}
ARENA_INLINE struct arena_task *arena_task(struct task_ref task)
{
    return arena_record(ARENA_TASKS, task.index);
}
ARENA_INLINE struct arena_cpu *arena_cpu(uint32_t index)
{
    return arena_record(ARENA_CPUS, index);
}

/* ---- iteration ---- */

/* for_each_section_of(section, cell): the first name is that of the variable, a reference. The body must not free the
 * record or unlink it from the list that is walked. */
#define for_each_section_of(section, cell)                                                                             \
    for (struct section_ref section = arena_cell(cell)->first_section; section.index;                                  \
         section = arena_section(section)->next_in_cell)
#define for_each_symbol_of(symbol, cell)                                                                               \
    for (struct symbol_ref symbol = arena_cell(cell)->first_symbol; symbol.index;                                      \
         symbol = arena_symbol(symbol)->next_in_cell)
#define for_each_edge_from(edge, section)                                                                              \
    for (struct edge_ref edge = arena_section(section)->first_out; edge.index; edge = arena_edge(edge)->next_out)
#define for_each_edge_to(edge, section)                                                                                \
    for (struct edge_ref edge = arena_section(section)->first_in; edge.index; edge = arena_edge(edge)->next_in)
/* As for_each_edge_to, for bodies that unlink or free the edge: its successor is looked up before. */
#define for_each_edge_to_safely(edge, section)                                                                         \
    for (struct edge_ref edge = arena_section(section)->first_in, edge##_next;                                         \
         edge.index && (edge##_next = arena_edge(edge)->next_in, true); edge = edge##_next)

/* for_each_cell(cell) and its like: all records of the table that were ever in use when the loop begins, so also those
 * that are free. */
#define for_each_record(type, ref, table_)                                                                             \
    for (type ref = {1}, ref##_end = {arena_header()->table[table_].used}; ref.index < ref##_end.index; ref.index++)
#define for_each_cell(cell)            for_each_record (struct cell_ref, cell, ARENA_CELLS)
#define for_each_object(object)        for_each_record (struct object_ref, object, ARENA_OBJECTS)
#define for_each_symbol(symbol)        for_each_record (struct symbol_ref, symbol, ARENA_SYMBOLS)
#define for_each_section(section)      for_each_record (struct section_ref, section, ARENA_SECTIONS)
#define for_each_edge(edge)            for_each_record (struct edge_ref, edge, ARENA_EDGES)
#define for_each_task(task)            for_each_record (struct task_ref, task, ARENA_TASKS)
#define for_each_namespace(namespace_) for_each_record (struct namespace_ref, namespace_, ARENA_NAMESPACES)

/* Whether the cell's text is part of the image, as the boot loader has put it there. */
static inline bool arena_in_image(const struct arena_cell *cell)
{
    return cell->text_virt - (LAYOUT_IMAGE_VIRT + LAYOUT_IMAGE_PHYS) < LAYOUT_ARENA_PHYS - LAYOUT_IMAGE_PHYS;
}

/* Adds an edge to the lists of both of its sections, or removes it from both. */
void arena_edge_link(struct edge_ref edge) NEEDS(arena_writer);
void arena_edge_unlink(struct edge_ref edge) NEEDS(arena_writer);

/* Makes a symbol visible in its namespace, or hides it. A symbol that is so already stays so. */
void arena_symbol_publish(struct symbol_ref symbol) NEEDS(arena_writer);
void arena_symbol_retract(struct symbol_ref symbol) NEEDS(arena_writer);
/* The published symbol of that name in the namespace, else in its parents, or none. */
struct symbol_ref arena_symbol_find(struct namespace_ref namespace_, const char *name);
/* The cell of that name in the namespace, else in its parents, that is live, else loading; or none, also where
 * there is an absence of that name. */
struct cell_ref arena_cell_find(struct namespace_ref namespace_, const char *name);

/* The cell, of any state, in whose memory `virt` is, or none. */
struct cell_ref arena_cell_at(uint64_t virt);
/* The section in which `virt` is, or none. */
struct section_ref arena_section_at(uint64_t virt);
/* Copies the name of the symbol, else of the section, in which `virt` is, cut to `bytes`; "": there is none. */
void arena_name_at(uint64_t virt, char *ret_name, size_t bytes);

/* Adds `change` to the counter, atomically. From any context. */
void arena_count(enum arena_counter counter, int64_t change);
/* Writes an event to the ring, over the oldest. From any context; takes no lock. `text` may be NULL; it is cut. */
void arena_event(enum event_kind kind, uint64_t a, uint64_t b, const char *text);
/* The two steps of arena_event, for who compares in between what was written with what he wanted: writes the record,
 * which nobody reads yet; publishes it by one store. The first returns its number; an event that is not published is
 * one that readers wait for a while, and leave out. */
[[nodiscard]] uint64_t arena_event_write(enum event_kind kind, uint64_t a, uint64_t b, const char *text);
static inline struct arena_event *arena_event_slot(uint64_t seq)
{
    return arena_record(ARENA_EVENTS, arena_ring_index(seq, ARENA_EVENTS_MAX));
}
static inline void arena_event_publish(uint64_t seq)
{
    __atomic_store_n(&arena_event_slot(seq)->seq, seq, __ATOMIC_RELEASE);
}
