/* Repairs a damaged cell in place: text and read-only data from its pristine object and its edges, bound pointers
 * (edge_bind) from their edges, data that are set once from the copies of state_db. Soft data become zero. No other
 * writable data is repaired. For the foundation: the cells that recovery itself needs, which could not be reloaded
 * while they are damaged; and for any cell for whose reload there is no room. It allocates nothing, takes no lock, and
 * calls no other cell, since that may be the one that it mends. May be called in an exception handler. */
#pragma once
#include "cells/cell.h"
#include "guest/abi/arena.h"

/* Mends the cells that recovery needs (mend_cell), and the unwind tables of all others (mend_tables): of the `count`
 * cells at `cells`, or with 0 of all that are live. Returns how much it has mended. */
unsigned mend_all(const struct cell_ref *cells, unsigned count);
/* Whether the section's bytes differ from what the loader wrote, or, of data that are set once, from their copy. False
 * while its hash is not valid or a gate in it is closed, for other static data, and when its record is damaged. */
bool mend_is_damaged(struct section_ref section);
/* Whether text, read-only data and unwind tables of `cell` have the checksum that they had when mend_find_damage last
 * found all of them right: a seventh of the instructions that it takes to compare their hashes. False: they may be
 * right all the same. */
bool mend_is_whole(struct cell_ref cell);
/* The first damaged section of `cell`, or none, as far as its records are sound. Keeps a checksum of a cell in which
 * all is right and nothing is being changed, for mend_is_whole; of one that has such a checksum no hash is computed. */
struct section_ref mend_find_damage(struct cell_ref cell);
/* What of a section was put right. */
struct mend_found {
    uint32_t offset, count; /* of the first byte or pointer that differed, and of how many */
};
/* Puts a damaged section right, or the bound pointers in one. With other CPUs parked if it is text; interrupts off.
 * False: its object or its edges are damaged too, and it is as it was. */
bool mend_section(struct section_ref section, struct mend_found *ret_found);
/* Mends every section of `cell` that differs from what the loader wrote. Returns how many sections and pointers it
 * has mended. A section whose object or edges are damaged too is left as it is, and not counted. */
unsigned mend_cell(struct cell_ref cell);
/* The same for its unwind tables only, in which nothing is executed. */
unsigned mend_tables(struct cell_ref cell);
/* Whether the cell says CORE(). Also true when its record is damaged. */
bool mend_is_core(struct cell_ref cell);
/* Whether the cell says CORE() or FOUNDATION(), so that recovery needs it. Also true when its record is damaged. */
bool mend_is_needed(struct cell_ref cell);
