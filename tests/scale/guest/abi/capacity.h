/* A system of more than 10,000 cells with 100,000 edges: see guest/abi/capacity.h, before which this one is found, and
 * which has the rest. */
#pragma once
#include_next "guest/abi/capacity.h"

#undef LAYOUT_ARENA_BYTES
#define LAYOUT_ARENA_BYTES 0x2000000

#undef ARENA_OBJECTS_BASE
#undef ARENA_CELLS_BASE
#undef ARENA_SECTIONS_BASE
#undef ARENA_SYMBOLS_BASE
#undef ARENA_EDGES_BASE
#undef ARENA_STRINGS_BASE
#undef ARENA_MAILBOX_BYTES
#define ARENA_OBJECTS_BASE  12288
#define ARENA_CELLS_BASE    12288
#define ARENA_SECTIONS_BASE 49152
#define ARENA_SYMBOLS_BASE  49152
#define ARENA_EDGES_BASE    163840
#define ARENA_STRINGS_BASE  (4096 * 1024)
#define ARENA_MAILBOX_BYTES (64 * 1024)
/* a machine of this size does not grow further: offsets of strings and numbers of records would not fit */
#undef ARENA_STEPS_MAX
#define ARENA_STEPS_MAX 0

#undef ARENA_CELL_SLOTS
#undef ARENA_SYMBOL_SLOTS
#undef ARENA_PAGE_SLOTS
#undef ARENA_STRING_SLOTS
#define ARENA_CELL_SLOTS   24576
#define ARENA_SYMBOL_SLOTS 73728
#define ARENA_PAGE_SLOTS   65536
#define ARENA_STRING_SLOTS 131072
