/* Memory that is short (thesis §11.5): before an allocation fails, what can be done without is freed; then, if need be,
 * tasks of applications are ended (cells/recover/kill).
 *
 * Whoever keeps memory that can be made again, or done without, binds a function that frees it. What this cell knows is
 * those functions, and not what they free. */
#pragma once
#include "cells/cell.h"
#include "cells/core/page/page.h"

#define RECLAIM_NOT_TRIED   SIZE_MAX
#define RECLAIM_SYSTEM_PART 32 /* one frame in so many is left by applications to the system, the reserve included */

/* Like page_map. When fewer frames than asked for would be left above the system's part, what is bound is called first.
 * Frees and waits only with interrupts on, in a task, and never for who may use the reserve (arena_may_use_reserve);
 * elsewhere it is page_map. Does not return if the running task is the one to be ended. */
RELEASED_BY(mapped_pages_put) struct mapped_pages *reclaim_map(size_t bytes, unsigned flags);

/* Calls what is bound with reclaim_bind, one after the other, until so many frames are free above the system's part.
 * Returns whether they are. From a task, interrupts on, no lock held. */
bool reclaim_caches(size_t frames);

/* Binds a function that frees what its cell can do without, in frames that may be used again when it returns. It is
 * called from any task, interrupts on, no lock held; by several tasks at once. It neither allocates, nor waits for a
 * task. It is called in the order in which they were bound. ERR_FULL: eight are bound already. */
enum err reclaim_bind(void (*give)(void));
/* Binds what makes room when they have not: it may wait. It returns whether so many frames are free above the system's
 * part; false: it can do no more, and the allocation succeeds or fails as it is. `tried` is how many frames were free
 * when the allocation was tried and failed, or RECLAIM_NOT_TRIED; true then says that it may be tried again. */
enum err reclaim_bind_last(bool (*make_room)(size_t frames, size_t tried));
