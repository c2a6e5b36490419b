/* A system of more than 10,000 cells with 100,000 edges: see guest/abi/capacity.h, before which this one is found. */
#pragma once

#define LAYOUT_ARENA_BYTES 0x2000000

#define ARENA_NAMESPACES_MAX  16
#define ARENA_OBJECTS_MAX     12288
#define ARENA_CELLS_MAX       12288
#define ARENA_SECTIONS_MAX    49152
#define ARENA_SYMBOLS_MAX     49152
#define ARENA_EDGES_MAX       163840
#define ARENA_TASKS_MAX       256
#define ARENA_CPUS_MAX        17
#define ARENA_FAULTS_MAX      513
#define ARENA_EVENTS_MAX      2049
#define ARENA_REQUESTS_MAX    17
#define ARENA_COMPLETIONS_MAX 17
#define ARENA_SWAPS_MAX       129
#define ARENA_CHANGES_MAX     513
#define ARENA_STRINGS_BYTES   (4096 * 1024)
#define ARENA_MAILBOX_BYTES   (64 * 1024)

#define ARENA_STRING_SLOTS  131072
#define ARENA_PAGE_SLOTS    65536
#define ARCHIVE_EXPORTS_MAX 4096
