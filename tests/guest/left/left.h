/* Two cells that test_exchange merges into one and takes apart again: left counts its calls and asks right, which adds up. */
#pragma once
#include "cells/cell.h"

uint64_t left_call(void);                         /* the number of this call, doubled by right */
void left_bind(uint64_t (*function)(uint64_t n)); /* what right is asked by, in place of right_twice */

uint64_t right_twice(uint64_t n);
uint64_t right_sum(void); /* of all n so far */

/* Functions of right's own, for whoever wants to call them back: one that all versions have, one that the second lacks, and
 * one that is to be called otherwise there. */
enum right_own { RIGHT_KEPT, RIGHT_GONE, RIGHT_RETYPED };
typedef uint64_t right_call(uint64_t n);
right_call *right_pointer(enum right_own which);
