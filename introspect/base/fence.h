/* Writes to memory that processes share, by whoever holds a lock among them, as long as he holds it. A process may be
 * stopped (SIGSTOP) at any instruction and lose the lock meanwhile: what it has not written by then is not written when
 * it goes on, not a byte. For that the check and the write are a restartable sequence of the kernel's (rseq(2)):
 * whoever was not on his CPU in the middle of one begins it again. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a holder tells those who wait for the lock. */
enum fence_state {
    FENCE_IDLE,
    FENCE_WRITES,     /* he may be in the middle of a write, and if he is stopped there, he finishes it later */
    FENCE_WRITES_OFF, /* the same, but if he is stopped he checks again that he has the lock before he writes */
};

/* Whoever takes the lock from another one changes *holder first, and then waits until that one is in state FENCE_IDLE,
 * has ended, or is stopped in state FENCE_WRITES_OFF. */
struct fence {
    const uint64_t *holder; /* NULL: there is no lock, and everything is written */
    uint64_t me;            /* what *holder is while the lock is held */
    uint32_t *state;        /* enum fence_state */
};

/* Copies `bytes`. False: the lock is lost, and nothing was written, or bytes that the next holder writes over. */
bool fence_copy(const struct fence *fence, void *to, const void *from, size_t bytes);
/* Changes `*to` from `before` to `after` by one store. False: it was not `before`, or the lock is lost. */
bool fence_exchange(const struct fence *fence, uint64_t *to, uint64_t before, uint64_t after);
