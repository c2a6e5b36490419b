/* How much the arena holds, and how much memory it takes: all that depends on the size of a system. A build for another
 * size puts a header of its own before this one on the include path. Plain numbers: assembly reads this too. */
#pragma once

#define LAYOUT_ARENA_BYTES 0x500000

/* capacity of each table in records, record 0 included; below 2^24 */
#define ARENA_NAMESPACES_MAX  16
#define ARENA_OBJECTS_MAX     256
#define ARENA_CELLS_MAX       256
#define ARENA_SECTIONS_MAX    7168
#define ARENA_SYMBOLS_MAX     5120
#define ARENA_EDGES_MAX       28672
#define ARENA_TASKS_MAX       256
#define ARENA_CPUS_MAX        17
#define ARENA_FAULTS_MAX      513
#define ARENA_EVENTS_MAX      2049
#define ARENA_REQUESTS_MAX    17
#define ARENA_COMPLETIONS_MAX 17
#define ARENA_SWAPS_MAX       129
#define ARENA_CHANGES_MAX     513
#define ARENA_STRINGS_BYTES   (384 * 1024)
#define ARENA_MAILBOX_BYTES   (1024 * 1024)

/* what the guest keeps beside the arena to find records by */
#define ARENA_STRING_SLOTS  32768 /* a power of two; three quarters of them are used at most */
#define ARENA_PAGE_SLOTS    16384 /* likewise: pages of cells; those that find no room are found by a walk */
#define ARCHIVE_EXPORTS_MAX 4096  /* exported symbols, and members, in the archive */
