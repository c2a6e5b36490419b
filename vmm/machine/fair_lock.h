/* A lock among processes, in a file that all of them map: they get it in the order in which they have come. Whoever
 * dies has left the line, since the kernel releases his file lock. Whoever is stopped (SIGSTOP), or holds the lock for
 * longer than he said, is passed over: he has lost it, and finds out by fair_lock_is_held. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "guest/abi/err.h"
#include "introspect/base/fence.h"

struct fair_lock_file;

/* A place in the line. All zero: none. */
struct fair_lock {
    int fd;
    struct fair_lock_file *file; /* mapped; NULL: no place */
    uint64_t ticket;             /* its number, from 1 on */
};

/* Waits for the lock. It can be held for `keep_ms`, and for longer if nobody else wants it. ERR_BUSY: others held it
 * for all of `timeout_ms`. ERR_IO, ERR_CORRUPT: what is wrong with the file at `path`, which is made if there is none.
 * On failure `ret_lock` is zeros. */
enum err fair_lock_take(const char *path, int timeout_ms, int keep_ms, struct fair_lock *ret_lock);
/* Whether nobody else has taken it since. */
bool fair_lock_is_held(const struct fair_lock *lock);
/* For writes that are to end with the loss of the lock. Good until the lock is released. */
struct fence fair_lock_fence(const struct fair_lock *lock);
/* Releases it, and leaves the line. Accepts zeros. */
void fair_lock_release(struct fair_lock *lock);
