/* Frees cells that were replaced, or that nobody needs, once nothing refers to them (thesis §8.1). Takes the loader
 * lock. */
#pragma once
#include "cells/cell.h"
#include "guest/abi/arena.h"

/* Redirects what it can to the cells that took over, then frees replaced cells that nothing refers to (no edge, task,
 * frame or word of memory), and groups of replaced cells that only each other's edges refer to. Call from a task.
 * Returns how many replaced cells there still are. */
size_t reap_replaced(void);
/* As reap_replaced, but after a cell that cannot be freed yet it returns, and tries only what was replaced since in the
 * next calls, so that such cells cost everybody a small share of the time. What a swap has replaced is first tried
 * together: memory is searched for it once. Does nothing while another task holds the loader lock. For the teardown
 * task, which calls it again and again. */
void reap_in_background(void);
/* Frees `count` cells that may refer to each other, unless something else refers to them. Returns how many it has
 * freed; these are the first ones of `cells` then. */
size_t reap_cells(struct cell_ref *cells, size_t count);

/* What attempts in the background to free something may take of the time, if they free nothing: a small share, since
 * what lingers may linger for ever. For those who call again and again: each of them has one, of zeros at first. */
struct reap_share {
    uint64_t next_ns; /* when the next attempt may begin */
};
/* Whether it is time for the next attempt, and nobody else holds the loader lock. */
bool reap_may_try(const struct reap_share *share);
/* An attempt that began at `began_ns` has freed nothing. */
void reap_failed(struct reap_share *share, uint64_t began_ns);
