/* Loads and links cells: object file -> sections in memory, relocations written, edges recorded both ways
 * (thesis §5.1). A batch of cells is published first and relocated then, so that circular needs resolve; a batch that
 * fails leaves nothing behind. Text is read-execute, the rest never executable; patches go through the direct map. */
#pragma once
#include "cells/cell.h"

#define LOADER_BATCH_MAX 96 /* cells that are loaded together */

/* What went wrong, for people: names the symbol, section or cell. */
struct loader_detail {
    char text[128];
};

/* Makes the root namespace and the nano_core's own cell; the archive is open. Prints what is wrong. */
enum err loader_init(void);

/* One task at a time loads, stages, unloads or initializes; the functions below take turns on their own. Who plans and
 * commits a swap holds on over all of its steps. Re-entrant, interrupts stay on; never from an interrupt handler. */
extern struct role loader_turn;

struct loader_guard {
    bool held;
};
struct loader_guard loader_hold(void) HOLDS(loader_turn);
void loader_guard_end(struct loader_guard *guard);
/* Lets go of the turn if the running task still has it: for one whose stack could not be unwound to its end. */
void loader_abandon(void);
/* Called again and again by who waits for its turn; the scheduler binds its yield here. NULL spins. */
extern void (*loader_wait_hook)(void);

/* Makes sure that cell `name` is loaded, linked and initialized, with all it needs, from the archive. Idempotent. */
enum err loader_load(const char *name, uint32_t *ret_cell, struct loader_detail *detail);

/* Registers object bytes (copied into frames of their own, then checked) as a pristine object. */
enum err loader_keep_object(const void *data, size_t bytes, uint32_t *ret_object, struct loader_detail *detail);
/* Frees an object that no cell was made from, or no longer is, and that is not kept; else does nothing. */
void loader_drop_object(uint32_t object);

/* Checks only: ELF64 relocatable x86-64, sane tables, notes of our version. Copies the cell's name. */
enum err loader_check_object(const void *data, size_t bytes, char ret_name[32], struct loader_detail *detail);

/* Whether a note NOTE_POINTERS is whole: every index, offset and name in it is in range, and no type holds itself. */
bool loader_pointers_sound(const void *note, size_t bytes);

/* Whether a kept object still says what it did when it arrived. */
bool loader_is_intact(uint32_t object);
/* Whether the cell in a kept object has state that exists once in the system: static data, or an init or done function,
 * unless it says PER_NAMESPACE(). */
bool loader_is_singleton(uint32_t object);

/* Objects that become cells together, and the live cells that those are to replace. Borrowed. */
struct loader_order {
    uint32_t namespace_;
    const uint32_t *object, *old;
    size_t objects, olds;
};

/* Loads objects in isolation: state CELL_LOADING, symbols not published, relocated, edges recorded. Their imports are met
 * by each other first, then by what is loaded, but never by a cell that is to go; missing cells come from the archive.
 * ERR_CORRUPT: an object is not any more what it was when it arrived.
 * ret_cells has one cell for each object. loader_unstage takes them back, as long as they are not initialized, and
 * with them what was loaded for them and serves nobody else. */
enum err loader_stage(const struct loader_order *order, uint32_t *ret_cells, struct loader_detail *detail);
void loader_unstage(const uint32_t *staged, size_t count);
void loader_publish(uint32_t cell); /* symbols become visible, state CELL_LIVE */
void loader_retract(uint32_t cell); /* symbols vanish, state CELL_OLD */
void loader_conceal(uint32_t cell); /* takes loader_publish back */
void loader_restore(uint32_t cell); /* takes loader_retract back, also a half of it */
/* Runs init functions: those of its dependencies first, once each. */
enum err loader_initialize(uint32_t cell, struct loader_detail *detail);

/* Frees a cell: records, edges, memory, object. ERR_BUSY when a foreign edge still leads to it, or its done function
 * says so; that one runs only when no other version of the cell has taken over. Tasks in it are for the caller to see. */
enum err loader_unload(uint32_t cell);
/* The same for cells that may lead to each other: frees those that nothing else leads to, and returns how many these are;
 * the others stand behind them in `cells` then. */
size_t loader_unload_all(uint32_t *cells, size_t count);

/* Rewrites one edge so that it leads to section `to` + `target`; text is patched through the direct map. A pointer in
 * data that code has changed since stays as it is, only the edge moves. What is rewritten has no valid hash until
 * loader_settle makes it, which need not be while others stand still: once for each section, not for each edge.
 * ERR_BAD_RELOCATION: does not fit, nothing changed. Other CPUs must not run the patched code (see park). */
enum err loader_rebind(uint32_t edge, uint32_t to, uint32_t target, uint32_t symbol);

/* The same without what is written: the caller writes that. */
void loader_rebind_record(uint32_t edge, uint32_t to, uint32_t target, uint32_t symbol);
/* Remembers the bytes of all sections that lead to the cell as right, where they have been rewritten. */
void loader_settle(uint32_t cell);

/* Stores `function` in `*slot` (static data of some cell) and records the pointer as an edge, so that a swap of the
 * function's cell rewrites it like any relocation. NULL unbinds. */
enum err loader_bind(void *slot, const void *function);

/* Exported symbol by name in the root namespace, or as another one sees it: a cell there hides its parent's cell of the
 * same name altogether. ERR_NOT_FOUND. */
enum err loader_symbol(const char *name, uint64_t *ret_address);
enum err loader_symbol_in(uint32_t namespace_, const char *name, uint64_t *ret_address);
