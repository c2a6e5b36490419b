/* A spin lock that turns interrupts off while held, released on every way out of the scope, faults included. */
#pragma once
#include "cells/cell.h"

struct CAPABILITY lock {
    uint32_t holder; /* index of the CPU plus one; 0: free */
};

struct lock_guard {
    struct lock *lock;
    uint64_t rflags;
};

struct lock_guard lock_take(struct lock *lock) HOLDS(lock);
void lock_guard_end(struct lock_guard *guard); /* GUARD(lock) held = lock_take(&l) calls it at scope end */
/* Lets go of every lock that this CPU still holds: for a task whose stack could not be unwound to its end. Interrupts
 * stay as they are. Returns how many there were. */
unsigned lock_abandon(void);
bool lock_held(const struct lock *lock); /* by this CPU */

/* Called again and again by a CPU that waits for a lock, interrupts off: what other CPUs may wait for in the meantime
 * is done here, so that a holder can wait for a waiter (TLB shootdown). Set through loader_bind. */
extern void (*lock_wait_hook)(void);
