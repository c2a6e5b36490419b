/* Capacities of the arena's tables and of the guest's indexes: those of a machine of 64 MiB, and the rule by which they
 * grow with its RAM. A build for another size puts a header of its own before this one on the include path. Plain
 * numbers, since assembly includes this too. */
#pragma once

/* Kept free for the arena by the program headers of the image: all of it where the tables of 64 MiB are enough, else
 * only its header and the fault log, and the tables are elsewhere. */
#define LAYOUT_ARENA_BYTES 0x5c0000

/* The rule: for each MiB of usable RAM beyond 64, up to so many, a table that grows gets one part in so many of the
 * capacity that it has at 64 MiB: 1 GiB has room for 12,500 cells and 780 namespaces. */
#define ARENA_RAM_BASE           0x4000000
#define ARENA_RAM_STEP           0x100000
#define ARENA_STEPS_MAX          2048
#define ARENA_STEP_PART          20
#define ARENA_GROWN(base, steps) ((base) + (base) / 4 * (steps) / (ARENA_STEP_PART / 4))
#define ARENA_MOST(base)         ARENA_GROWN(base, ARENA_STEPS_MAX)

/* capacity of each table in records, record 0 included; below 2^24 also when grown. These grow: */
#define ARENA_NAMESPACES_BASE 16
#define ARENA_OBJECTS_BASE    256
#define ARENA_CELLS_BASE      256
#define ARENA_SECTIONS_BASE   7168
#define ARENA_SYMBOLS_BASE    5120
#define ARENA_EDGES_BASE      28672
#define ARENA_STRINGS_BASE    (384 * 1024) /* bytes */
/* and these do not: */
#define ARENA_TASKS_MAX       256
#define ARENA_CPUS_MAX        17
#define ARENA_FAULTS_MAX      513
#define ARENA_EVENTS_MAX      1729
#define ARENA_REQUESTS_MAX    17
#define ARENA_COMPLETIONS_MAX 17
#define ARENA_SWAPS_MAX       129
#define ARENA_CHANGES_MAX     513
#define ARENA_MAILBOX_BYTES   (1504 * 1024) /* all cells at once fit */

/* What of a table is for recovery alone: one record in so many. So a damaged cell can be reloaded when ordinary loads
 * and tasks have taken the rest. Tables from which recovery takes nothing have no reserve. */
#define ARENA_RESERVE_PART 16

/* slots of the guest's indexes, behind the tables; three quarters of them are used at most. All grow. */
#define ARENA_CELL_SLOTS   512
#define ARENA_SYMBOL_SLOTS 7680
#define ARENA_PAGE_SLOTS   16384 /* pages of cells; others are found by walking the table */
#define ARENA_STRING_SLOTS 32768
#define ARCHIVE_SLOTS      5464 /* exported symbols, and members, in the archive */
