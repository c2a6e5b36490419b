/* A spin lock that turns interrupts off while held. It is released when its scope ends, also by a fault. Invariant: at
 * most one CPU holds it; the first CPU_LOCKS locks of a CPU are in the list of its struct cpu.
 *
 * Order: each of these may be taken while those to its left are held, never the other way round.
 *   the loader lock (a task sleeps for it), parked CPUs, the arena's lock, the list of all tasks, a run queue
 *   the arena's lock, that of the frames
 *   that of the pages, that of the frames
 *   that of a channel, of a task's end or of the teardown list, a wait queue, a run queue
 *   that of the sleepers, a run queue
 * Nothing is taken while a run queue, the frames or a pool of the heap is locked. */
#pragma once
#include "cells/cell.h"

struct CAPABILITY lock {
    uint32_t holder; /* index of the CPU plus one; 0: free */
};

struct lock_guard {
    struct lock *lock;
    uint64_t rflags;
};

/* Takes the lock until the end of the scope: GUARD(lock) held = lock_take(&l). Panics when this CPU holds it already
 * (but see lock_unwinding_hook), or when another CPU has not released it for seconds. */
struct lock_guard lock_take(struct lock *lock) HOLDS(lock);
void lock_guard_end(struct lock_guard *guard);
/* Releases every lock that this CPU holds: for a task whose stack could not be unwound to its end. Does not change the
 * interrupt flag. Returns how many locks there were. */
unsigned lock_abandon(void);
/* Whether this CPU holds the lock. */
bool lock_held(const struct lock *lock);

/* Called repeatedly while a CPU waits for a lock, interrupts off. Serves requests of other CPUs (TLB shootdown), so
 * that the holder of the lock can wait for this CPU. Set through edge_bind. */
extern void (*lock_wait_hook)(void);
/* Whether the running task is being unwound. It may then take a lock that its CPU holds: a landing pad that does so is
 * that of a frame outside of the one that took it first, which has been left without releasing it. NULL: it is not. Set
 * through edge_bind. */
extern bool (*lock_unwinding_hook)(void);
/* How many locks were taken whose word was corrupt, each after a wait of 20 ms: damaged text may do that to all. */
extern uint32_t lock_corrupt; /* atomic */
