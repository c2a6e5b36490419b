/* A cell to be damaged and swapped in tests: a little code, static data of each sort, a user's function. */
#pragma once
#include "cells/cell.h"

#define FRAGILE_TOO_MUCH (1ul << 40) /* version 2 panics when it is to take over such a total */

uint64_t fragile_add(uint64_t n); /* to a total in static data; the total. Counts calls */
uint64_t fragile_calls(void);
const char *fragile_word(unsigned i); /* "one", "two", "three"; NULL beyond */
/* Calls `function` and counts. */
void fragile_call(void (*function)(uint64_t), uint64_t argument);
enum err fragile_bind(uint64_t (*function)(uint64_t)); /* fragile_add then asks it for what to add */
