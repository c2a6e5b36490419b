/* Code with SIMD registers, for tests: built for AVX2 alone, and so refused where tasks do not save them. */
#pragma once
#include "cells/cell.h"

/* What a task's SIMD registers hold. Assembly knows the offsets. */
struct ymm_state {
    uint64_t ymm[16][4];
    uint32_t mxcsr; /* at 512 */
    uint16_t fcw;   /* at 516 */
    uint16_t pad;
    int64_t x87; /* at 520: on top of the x87 stack, as an integer */
};

/* Loads `state` into the registers; `turns` times: calls `between`, and compares them. In how many turns they differed.
 * Whoever looks at nothing but general registers may be `between`. */
uint64_t ymm_hold(const struct ymm_state *state, void (*between)(void), uint64_t turns);
/* The registers as they are; x87: the tags of the registers in use, 0: none. */
void ymm_look(struct ymm_state *ret_state);
/* Divides by 0 with that exception unmasked; where no exception comes, an instruction raises it. */
void ymm_divide(void);
/* Writes to address 0. */
void ymm_crash(void);
/* Keeps `word` ^ `key` in a SIMD register, and nowhere else, while `between` runs. Gives back what is in there, ^ `key`. */
uint64_t ymm_hide(uint64_t word, uint64_t key, void (*between)(void));

/* A copy of `words`, each times 3 plus 1, is summed up. A heap block and vectors are on the stack meanwhile, so that a fault in
 * `words` leaves something to unwind. */
uint64_t ymm_sum(const uint32_t *words, size_t count);
