/* How a swap of cells of the core takes effect. Memory, arena, loader and locks would have to carry out its steps, and
 * are themselves replaced. So all records are changed first, by the old code on the old data. Then one function, which
 * calls nothing of the core, copies the data that has changed since, writes every relocated field and redirects every
 * word; the next call runs in the new cells. Internal to the swap cell. */
#pragma once
#include "cells/evolve/plan/plan.h"
#include "cells/evolve/swap/words.h"

struct switchover; /* copies of the core's data, and the fields to be written */

/* Memory for the switchover of a plan; before the other CPUs are parked. NULL: there is none. */
void switchover_put(TAKES struct switchover *switchover);
OWNABLE(switchover)
RELEASED_BY(switchover_put) struct switchover *switchover_new(const struct plan *plan);
/* Its pages, which scans leave out. */
const struct mapped_pages *switchover_pages(const struct switchover *switchover);

/* Copies the old data, before it is carried. */
void switchover_snapshot(struct switchover *switchover);
/* Makes the new core cells effective, once the edges' records and the words are those that are to be. `hook`, unless
 * NULL, is called at some of the steps, which are counted; a fault in it, or in what happens here, is undone before
 * anything else of the unwinding. */
void switchover_apply(struct switchover *switchover, const struct words *words, unsigned *steps,
                      void (*hook)(unsigned step));
/* Makes the old cells effective again, with the data as the new ones have it; does nothing if the switchover has not
 * taken effect. The records are left as they are. Needs parked CPUs; no pointer to the new cells may have been stored
 * since, except on the caller's stack. */
void switchover_undo(struct switchover *switchover);
