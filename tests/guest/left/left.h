/* Two cells that test_exchange merges into one and takes apart again: left counts its calls and asks right, which adds up. */
#pragma once
#include "cells/cell.h"

uint64_t left_call(void);                         /* the number of this call, doubled by right */
void left_bind(uint64_t (*function)(uint64_t n)); /* what right is asked by, in place of right_twice */

uint64_t right_twice(uint64_t n);
uint64_t right_sum(void); /* of all n so far */
