/* Copies of static data that no task can own and nobody could work out again: what hardware has the system keep, and
 * what interrupt handlers need (thesis §7.2). A cell says SET_ONCE of them (cells/cell.h); their key is the cell's name
 * and the section's. With the copy damage is put right (mend.h), and a cell that gets fresh data has them again before
 * its init function runs. A datum has a copy once it is not zero and the system has started; it is made at
 * the start, by a swap, and by the scrubber. */
#pragma once
#include "cells/core/loader/loader.h"

/* Whether the datum, which is set once, lacks a copy and may have one now: it is not zero, its cell is initialized, no
 * bound pointer is in it, and it is not larger than all room for copies. */
bool state_db_is_due(struct section_ref section);
/* Copies the datum. ERR_INVALID: it is not due. ERR_NOMEM: there is no room. ERR_FULL: in the copies' memory. */
enum err state_db_keep(struct section_ref section) NEEDS(loader_lock);
/* Copies all data that are due, as far as there is room. From a task. */
void state_db_keep_all(void);
/* Whether the datum is right, and its copy, which exists, is not. */
bool state_db_needs_renewal(struct section_ref section);
/* Copies the datum again if its copy needs that. */
void state_db_renew(struct section_ref section) NEEDS(loader_lock);
/* Whether the memory of the datum's copy, which exists, is noted as in use by it. */
bool state_db_is_noted(struct section_ref section);
/* Notes that. If others use the memory, the datum loses its copy, and is due again. */
void state_db_note(struct section_ref section) NEEDS(loader_lock);
/* The datum at this address is going to change: from here on it has no copy, until it is due again. For functions that
 * end a cell, which hold the loader lock. */
void state_db_forget(const void *datum);
/* Writes into the data of `to` that are set once what the live cell `from` has under the same keys, if of each of them
 * the copy or the datum is right and of the same type; else nothing, since they belong together. `to` is not
 * initialized yet. */
void state_db_restore(struct cell_ref from, struct cell_ref to) NEEDS(loader_lock);
/* Frees copies of data that are gone. */
void state_db_sweep(void) NEEDS(loader_lock);
