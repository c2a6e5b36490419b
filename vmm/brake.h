/* Slows down a guest that resets itself again and again, so that it takes no whole CPU of the host and can be seen to
 * do so. */
#pragma once
#include <stdint.h>

/* All zero: no reset yet. */
struct brake {
    uint64_t reset_ms; /* when the last reset was, or is to be */
    unsigned quick;    /* resets in a row, each within a second of the one before */
};

/* The guest wants a reset at `now_ms`. Returns for how many ms that has to wait: 0 for the first few, at most 1000. */
unsigned brake_reset(struct brake *brake, uint64_t now_ms);
