/* Copies of static data that no task can own and nobody could work out again: what hardware has the system keep, and
 * what interrupt handlers need (thesis §7.2). A cell says SET_ONCE of them (cells/cell.h); their key is the cell's name
 * and the section's. With the copy damage is put right (mend.h), and a cell that gets fresh data has them again before
 * its init function runs. A datum has a copy once it is not zero and the system has started; the scrubber makes it. */
#pragma once
#include "cells/core/loader/loader.h"

/* Whether the datum, which is set once, lacks a copy and may have one now: it is not zero, its cell is initialized, and
 * no bound pointer is in it. */
bool state_db_is_due(struct section_ref section);
/* Copies the datum as it is now, for the first time or again. ERR_NOMEM: there is no room. ERR_FULL: in the copies'
 * memory. */
enum err state_db_keep(struct section_ref section) NEEDS(loader_lock);
/* Whether the copy, which exists, is as it was made. */
bool state_db_is_copy_right(struct section_ref section);
/* Writes into the data of `to` that are set once what the live cell `from` has copies of under the same keys, if they
 * are right and of the same type. `to` is not initialized yet. */
void state_db_restore(struct cell_ref from, struct cell_ref to) NEEDS(loader_lock);
/* Frees copies of data that are gone. */
void state_db_sweep(void) NEEDS(loader_lock);
