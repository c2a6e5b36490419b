/* The metadata arena (guest/abi/arena.h): allocates and links its records, keeps generation and check words.
 * Holds no knowledge of ELF; the loader fills in what the records say.
 *
 * Locking: arena_change() opens the one writer section, re-entrant on the same CPU, interrupts off; functions that say
 * NEEDS(arena_writer) are for inside. Reading without it is allowed to tasks that tolerate a stale list. */
#pragma once
#include "cells/cell.h"
#include "guest/abi/arena.h"
#include "guest/abi/layout.h"

extern struct role arena_writer;

struct arena_guard {
    bool outermost;
    uint64_t rflags;
};
struct arena_guard arena_change(void) HOLDS(arena_writer);
void arena_guard_end(struct arena_guard *guard);

void arena_init(void); /* formats the arena at its address */
struct arena_header *arena_header(void);
void *arena_record(enum arena_table table, uint32_t index); /* panics when out of range */

/* A zeroed record; 0 when the table is full. */
uint32_t arena_new(enum arena_table table) NEEDS(arena_writer);
/* The same with its name, which arena_free gives back; 0 also when there is no room for the string, or it is empty.
 * For namespaces, objects, cells, sections and symbols. */
uint32_t arena_new_named(enum arena_table table, const char *name) NEEDS(arena_writer);
void arena_free(enum arena_table table, uint32_t index) NEEDS(arena_writer);
/* Recomputes the check word after its stable fields were filled in. */
void arena_seal(enum arena_table table, uint32_t index) NEEDS(arena_writer);
/* True when the check word fits the stable fields. */
bool arena_sound(enum arena_table table, uint32_t index);

const char *arena_string(uint32_t offset); /* of a record's name, as long as the record is there; "" for a bad offset */

#define arena_cell(i)      ((struct arena_cell *)arena_record(ARENA_CELLS, i))
#define arena_section(i)   ((struct arena_section *)arena_record(ARENA_SECTIONS, i))
#define arena_symbol(i)    ((struct arena_symbol *)arena_record(ARENA_SYMBOLS, i))
#define arena_edge(i)      ((struct arena_edge *)arena_record(ARENA_EDGES, i))
#define arena_task(i)      ((struct arena_task *)arena_record(ARENA_TASKS, i))
#define arena_cpu(i)       ((struct arena_cpu *)arena_record(ARENA_CPUS, i))
#define arena_object(i)    ((struct arena_object *)arena_record(ARENA_OBJECTS, i))
#define arena_namespace(i) ((struct arena_namespace *)arena_record(ARENA_NAMESPACES, i))

/* Whether a cell runs where the boot loader has put the image. */
static inline bool arena_in_image(const struct arena_cell *cell)
{
    return cell->text_virt - (LAYOUT_IMAGE_VIRT + LAYOUT_IMAGE_PHYS) < LAYOUT_ARENA_PHYS - LAYOUT_IMAGE_PHYS;
}

/* Puts an edge into both lists, takes it out of both. */
void arena_edge_link(uint32_t edge) NEEDS(arena_writer);
void arena_edge_unlink(uint32_t edge) NEEDS(arena_writer);

/* The map from exported name to symbol of a namespace. */
void arena_symbol_publish(uint32_t symbol) NEEDS(arena_writer);
void arena_symbol_retract(uint32_t symbol) NEEDS(arena_writer);
/* Parents too; 0: none. While others load or unload, within arena_change. */
uint32_t arena_symbol_find(uint32_t namespace_, const char *name);

uint32_t arena_cell_find(uint32_t namespace_, const char *name); /* the LIVE or LOADING one; 0: none */
uint32_t arena_cell_at(uint64_t virt);                           /* whose region holds the address; any state */
uint32_t arena_section_at(uint64_t virt);                        /* 0: none */
/* Name of the symbol or section that holds `virt`, copied; "" when none. */
void arena_name_at(uint64_t virt, char *ret_name, size_t bytes);

void arena_count(enum arena_counter counter, int64_t change);                     /* atomic */
void arena_event(enum event_kind kind, uint64_t a, uint64_t b, const char *text); /* any context, lock-free */
