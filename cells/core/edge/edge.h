/* Single edges of loaded cells: redirects a relocation to another target, and records a pointer that code stores into
 * static data (thesis §5.3). Not part of the image: loading the first cell takes none of it. */
#pragma once
#include "cells/core/arena/arena.h"

/* The edge of `section` whose field is at `offset`, or none. */
struct edge_ref edge_at(struct section_ref section, uint32_t offset);

/* Stores `function` in `*slot`, static data of some cell, and records the pointer as an edge, so that a swap of the
 * function's cell redirects it like a relocation. NULL unbinds. From any task; takes the arena's lock.
 * ERR_NOT_FOUND: `slot` or `function` is in no cell. ERR_INVALID: `slot` is not in data. ERR_FULL: no free edge.
 * `*slot` is unchanged then. */
enum err edge_bind(void *slot, const void *function);

/* Redirects an edge to section `to` + `target`, resolved by exported symbol `symbol` or none, and writes the relocation
 * through the direct map. Where code has overwritten a pointer in data, only the record changes. The section that the
 * edge comes from has no valid hash until edge_rehash. Other CPUs must not run the patched code (cells/task/park).
 * ERR_BAD_RELOCATION: the value does not fit; nothing changed. */
enum err edge_redirect(struct edge_ref edge, struct section_ref to, uint32_t target, struct symbol_ref symbol);

/* Changes the record only: the caller writes the relocation. */
void edge_redirect_record(struct edge_ref edge, struct section_ref to, uint32_t target, struct symbol_ref symbol);

/* Recomputes the hashes of the sections that refer to `cell` and were changed by edge_redirect. Once per swap, not once
 * per edge; other CPUs may run. */
void edge_rehash(struct cell_ref cell);
