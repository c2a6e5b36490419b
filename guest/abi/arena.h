/* The metadata arena: the guest's own tables of namespaces, cells, sections, symbols, edges, tasks, CPUs, faults,
 * events and counters, and the rings through which the host asks for something (thesis §5.1, figure 5.2).
 *
 * It lies at LAYOUT_ARENA_PHYS of guest memory. Every reference is a 32-bit index, 0 means none, and record 0 of every
 * table is unused. The host maps guest memory and reads without the guest's help; every byte is hostile to it.
 *
 * Consistency: the guest makes `generation` odd, changes namespaces, cells, sections, symbols or edges, and makes it
 * even again, all under one lock. A reader copies between two equal even values. Tasks, CPUs, counters, faults and
 * events change without it; each of their fields is written whole.
 *
 * Check words: `check` at the start of a record is arena_check() of its bytes from 4 up to the table's stable_bytes;
 * fields behind that change freely. A free record is all zero in its stable part and has check 0. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "guest/abi/capacity.h"

#define ARENA_MAGIC   0x00415341494c4544 /* "DELIASA" */
#define ARENA_VERSION 2

enum arena_table {
    ARENA_NAMESPACES = 0,
    ARENA_OBJECTS,
    ARENA_CELLS,
    ARENA_SECTIONS,
    ARENA_SYMBOLS,
    ARENA_EDGES,
    ARENA_TASKS,
    ARENA_CPUS,
    ARENA_FAULTS,      /* ring: record (seq % (capacity - 1)) + 1 */
    ARENA_EVENTS,      /* ring, likewise */
    ARENA_REQUESTS,    /* ring, likewise */
    ARENA_COMPLETIONS, /* ring, likewise */
    ARENA_SWAPS,       /* ring, likewise */
    ARENA_CHANGES,     /* ring, likewise */
    ARENA_STRINGS,     /* bytes; offset 0 is the empty string */
    ARENA_MAILBOX,     /* bytes; the host writes object files here while it holds the machine's lock */
    ARENA_TABLES
};

struct arena_table_desc {
    uint32_t offset; /* from the start of the arena, multiple of 64 */
    uint32_t record_bytes;
    uint32_t stable_bytes; /* how much of a record its check word covers */
    uint32_t capacity;     /* records, or bytes for strings and mailbox */
    uint32_t used;         /* highest index ever used plus one; bytes used for strings */
    uint32_t free_head;    /* guest only: free list, linked through the record's second word */
};

#define ARENA_COUNTERS(X)                                                                                              \
    X(rounds) /* workload rounds that ended */                                                                         \
    X(checksums_ok)                                                                                                    \
    X(checksums_bad)                                                                                                   \
    X(ticks)       /* timer interrupts, all CPUs */                                                                    \
    X(swaps)       /* cells replaced */                                                                                \
    X(faults)      /* exceptions and panics logged */                                                                  \
    X(recoveries)  /* faults after which the system went on */                                                         \
    X(frames_free) /* free physical frames */                                                                          \
    X(frames_total)                                                                                                    \
    X(switches)     /* context switches */                                                                             \
    X(spawns)       /* tasks made */                                                                                   \
    X(messages)     /* messages sent over channels */                                                                  \
    X(landing_pads) /* landing pads run by the unwinder */                                                             \
    X(nearest_pads) /* of those, found through the nearest call-site region */                                         \
    X(restarts)     /* tasks respawned by recovery */                                                                  \
    X(reloads)      /* cells reloaded by recovery */                                                                   \
    X(log_lines)                                                                                                       \
    X(heap_bytes) /* bytes allocated now */                                                                            \
    X(heap_blocks)                                                                                                     \
    X(locks_abandoned) /* spin locks let go for tasks that could not be unwound to the end */                          \
    X(strings)         /* names interned now */                                                                        \
    X(visits)          /* records looked at; CPUs that do so at once may lose a few */

enum arena_counter {
#define X(name) COUNTER_##name,
    ARENA_COUNTERS(X)
#undef X
        COUNTERS
};

struct arena_header {
    uint64_t magic;
    uint32_t version;
    uint32_t header_bytes;
    uint64_t arena_bytes;
    uint64_t generation; /* even: consistent */
    uint64_t page_root;  /* physical address of the top page table (CR3) */
    uint64_t tsc_hz;
    uint64_t boot_tsc;       /* TSC at entry */
    uint64_t first_cell_tsc; /* TSC when the first cell had been loaded */
    uint64_t ram_bytes;
    uint8_t build_id[20]; /* of the nano_core image */
    uint32_t ready;       /* 1: the start cell has finished its work */
    uint64_t fault_seq;   /* number of faults logged; the newest has seq fault_seq */
    uint64_t event_seq;
    uint64_t request_seq;    /* written by the host: number of requests posted */
    uint64_t completion_seq; /* written by the guest: number of completions posted */
    uint64_t swap_seq;       /* number of swaps logged */
    uint64_t change_seq;
    uint32_t park_turn; /* guest only: grows each time that parked CPUs may go on */
    uint32_t pad;
    struct arena_table_desc table[ARENA_TABLES];
    uint64_t counter[32]; /* by enum arena_counter */
};
_Static_assert(COUNTERS <= 32);

#define NAMESPACE_ROOT  1
#define NAMESPACE_SIMD  1 /* flag: its tasks save SIMD state, so that its cells may use SIMD registers */
#define NAMESPACE_FLAGS NAMESPACE_SIMD

enum arena_namespace_state {
    NAMESPACE_LIVE = 0,
    NAMESPACE_REMOVED = 1, /* kept until the last of its cells is freed */
};

struct arena_namespace {
    uint32_t check;
    uint32_t next_free;
    uint32_t name;   /* string */
    uint32_t parent; /* namespace that is searched after this one */
    uint32_t flags;  /* of NAMESPACE_*; those of the parent too */
    uint32_t cpu;    /* its tasks run on this CPU only, index + 1; 0: on any */
    uint64_t since;  /* number of swaps logged before it came: its own are later */
    uint64_t since_ns;
    /* changes freely from here */
    uint32_t state; /* enum arena_namespace_state */
    uint32_t pad;
};

/* A pristine object file kept in guest memory: from the archive or from the mailbox. */
struct arena_object {
    uint32_t check;
    uint32_t next_free;
    uint32_t name; /* string: name of the cell in it */
    uint32_t bytes;
    uint64_t phys;
    uint64_t hash;         /* FNV-1a 64 of its bytes when it arrived */
    uint32_t from_mailbox; /* 1: its frames are freed with the record */
    uint32_t cells;        /* made from it; the record is freed with the last one, unless it is kept */
    uint32_t kept;         /* 1: a commit of a namespace needs it (cells/kernel/history) */
    uint32_t pad;
};

enum arena_cell_state {
    CELL_FREE = 0,
    CELL_LOADING = 1, /* not yet visible to others */
    CELL_LIVE = 2,
    CELL_OLD = 3, /* replaced; kept while a frame, task or edge refers to it */
};

struct arena_cell {
    uint32_t check;
    uint32_t next_free;
    uint32_t name; /* string */
    uint32_t version;
    uint32_t kind; /* enum cell_kind */
    uint32_t namespace_;
    uint32_t object;                                                     /* 0 for the nano_core */
    uint32_t first_section;                                              /* list through arena_section.next_in_cell */
    uint32_t sections;                                                   /* how many */
    uint32_t first_symbol;                                               /* list through arena_symbol.next_in_cell */
    uint32_t init_section, main_section, transfer_section, done_section; /* functions of note_cell, or 0 */
    uint64_t text_virt, text_phys; /* three contiguous regions: read-execute, read-only, read-write */
    uint64_t rodata_virt, rodata_phys;
    uint64_t data_virt, data_phys;
    uint32_t text_bytes, rodata_bytes, data_bytes; /* sizes in use, in bytes */
    uint32_t eh_frame_section;
    uint32_t flags;    /* of its note */
    uint32_t pointers; /* offset of its struct note_pointers in the object; 0: it has none */
    /* changes freely from here */
    uint32_t state;       /* enum arena_cell_state */
    uint32_t faults;      /* faults attributed to it since it was loaded */
    uint32_t reloads;     /* how often recovery has replaced it */
    uint32_t initialized; /* 1: init has run */
    uint64_t loaded_ns;
    uint32_t holders; /* edges to it from other cells */
    /* guest only */
    uint32_t indexed;       /* key under which it is found by name, 0: not yet */
    uint32_t next_in_group; /* of cells that are loaded or freed together */
    uint32_t group;
};

enum arena_section_kind {
    SECTION_TEXT = 1,
    SECTION_RODATA = 2,
    SECTION_DATA = 3,
    SECTION_BSS = 4,
    SECTION_EH_FRAME = 5, /* unwind tables; in the read-only region */
    SECTION_EXCEPT = 6,   /* .gcc_except_table*, in the read-only region */
};

struct arena_section {
    uint32_t check;
    uint32_t next_free;
    uint32_t name; /* string: as in the object, ".text.channel_send" */
    uint32_t cell;
    uint32_t kind;         /* enum arena_section_kind */
    uint32_t object_index; /* section header index in the object; 0 in the nano_core */
    uint64_t virt;
    uint64_t phys;
    uint32_t bytes;
    uint32_t align;
    uint32_t next_in_cell;
    uint32_t hash; /* arena_check() of the loaded bytes of text, rodata and tables after relocation; else 0 */
    uint64_t type_hash, deep_hash; /* of data and functions, as struct note_data has them; 0: not known */
    /* changes freely from here */
    uint32_t first_out; /* edges from here, through next_out */
    uint32_t first_in;  /* edges to here, through next_in */
    uint32_t outgoing;  /* lengths of the two lists */
    uint32_t incoming;
    uint32_t indexed;   /* guest only: 1: found by its pages */
    uint32_t rewritten; /* 1: its edges have been led elsewhere since, and `hash` says nothing for the moment */
};

struct arena_symbol {
    uint32_t check;
    uint32_t next_free;
    uint32_t name; /* string */
    uint32_t section;
    uint32_t offset; /* in the section */
    uint32_t bytes;
    uint64_t type_hash, deep_hash; /* as struct note_symbol has them */
    uint32_t access;               /* enum access_level; 0: not exported, known for people only */
    uint32_t next_in_cell;
    uint32_t namespace_;
    /* changes freely from here */
    uint32_t published; /* guest only: 1: found by its name */
};

/* One relocation: at `from` + `offset` stands the address of `to` + `target`, encoded as `type`, plus `addend`.
 * Value S of the relocation formulas: virt(to) + target. */
struct arena_edge {
    uint32_t check;
    uint32_t next_free;
    uint32_t from;   /* section */
    uint32_t to;     /* section */
    uint32_t offset; /* in `from` */
    uint32_t type;   /* R_X86_64_64, _PC32, _PLT32, _32S, _32, _PC64 */
    int64_t addend;
    uint32_t target; /* offset in `to` */
    uint32_t symbol; /* exported symbol that it was resolved by, 0 within a cell */
    /* changes freely from here */
    uint32_t next_out, prev_out, next_in, prev_in;
};

enum task_state {
    TASK_FREE = 0,
    TASK_RUNNABLE = 1,
    TASK_RUNNING = 2,
    TASK_BLOCKED = 3,
    TASK_EXITED = 4, /* ended, not yet joined */
    TASK_UNWINDING = 5,
    TASK_FAILED = 6, /* unwound after a fault, not yet reaped */
};

struct arena_task {
    uint32_t check;
    uint32_t next_free;
    uint32_t id;          /* grows, never reused */
    uint32_t restartable; /* 1: recovery makes it anew with the same entry and argument */
    char name[32];
    uint32_t entry_section; /* where its code starts */
    uint32_t entry_offset;
    uint64_t argument;
    uint64_t stack_virt, stack_phys; /* lowest address */
    uint32_t stack_bytes;
    uint32_t namespace_;
    /* changes freely from here */
    uint32_t state; /* enum task_state */
    uint32_t cpu;   /* where it runs or ran last */
    uint32_t restarts;
    int32_t exit_code;
    uint64_t saved_rsp; /* valid while it does not run */
    uint64_t switches;
    uint64_t run_ns;
};

struct arena_cpu {
    uint32_t check;
    uint32_t next_free;
    uint32_t id; /* 0 .. */
    uint32_t apic_id;
    /* changes freely from here */
    uint32_t online;
    uint32_t current_task; /* index in the task table */
    uint64_t ticks;
    uint64_t idle_ticks;
    uint64_t switches;
    uint64_t heartbeat_ns; /* time of its last tick */
    uint64_t current_rsp;  /* kept by nobody but the exception entry: last interrupted stack pointer */
};

enum fault_kind {
    FAULT_EXCEPTION = 1, /* `vector` says which */
    FAULT_PANIC = 2,     /* an assertion or panic(); text in `message` */
    FAULT_HANG = 3,      /* for a watchdog; nobody writes it yet */
};

enum fault_action {
    FAULT_ACTION_NONE = 0,
    FAULT_ACTION_UNWIND = 1,
    FAULT_ACTION_RESTART = 2,
    FAULT_ACTION_RELOAD = 3,
    FAULT_ACTION_HALT = 4
};
enum fault_outcome { FAULT_OUTCOME_OPEN = 0, FAULT_OUTCOME_RECOVERED = 1, FAULT_OUTCOME_FAILED = 2 };

struct arena_fault {
    uint32_t check; /* 0 here: written in pieces */
    uint32_t kind;  /* enum fault_kind */
    uint64_t seq;   /* 1 for the first; written last */
    uint64_t time_ns;
    uint32_t vector;
    uint32_t cpu;
    uint64_t error_code;
    uint64_t ip, address, rsp; /* address: CR2 of a page fault */
    uint32_t task;             /* index in the task table */
    uint32_t task_id;
    uint32_t cell; /* 0: outside every cell */
    uint32_t section;
    uint32_t offset;       /* ip - start of the section */
    uint32_t action;       /* enum fault_action: the last one taken */
    uint32_t outcome;      /* enum fault_outcome */
    uint32_t landing_pads; /* run for this fault */
    uint64_t recovery_ns;  /* from the fault to the end of its last action */
    char task_name[32];
    char cell_name[32]; /* copied: the cell may be gone when anybody looks */
    char blamed[32];    /* likewise: the innermost loaded cell that had a frame on the stack */
    char symbol[64];
    char message[64];
};

enum event_kind {
    EVENT_NONE = 0,
    EVENT_CELL_LOADED,
    EVENT_CELL_SWAPPED,
    EVENT_CELL_FREED,
    EVENT_TASK_SPAWNED,
    EVENT_TASK_EXITED,
    EVENT_TASK_FAILED,
    EVENT_TASK_RESTARTED,
    EVENT_FAULT,
    EVENT_CPU_ONLINE,
    EVENT_REQUEST,
    EVENT_LOG,
    EVENT_ROUND,
};

struct arena_event {
    uint64_t seq; /* 1 for the first; written last */
    uint64_t time_ns;
    uint32_t kind; /* enum event_kind */
    uint32_t cpu;
    uint64_t a, b; /* by kind: cell or task index, version, code */
    char text[64]; /* NUL-terminated */
};

enum request_kind {
    REQUEST_PING = 1,
    REQUEST_SWAP = 2,   /* target: cell name; object in the mailbox */
    REQUEST_RELOAD = 3, /* target: cell name; from its pristine object */
    REQUEST_LOAD = 4,   /* object in the mailbox */
    REQUEST_SPAWN = 5,  /* target: application cell; argv as NUL-separated strings in the mailbox */
    REQUEST_UNLOAD = 6,
    REQUEST_SWAP_SET = 7, /* struct swap_set in the mailbox */
    REQUEST_BRANCH = 8,   /* target: name of the new namespace; argument: CPU index + 1 that it is bound to, or 0 */
    REQUEST_REMOVE = 9,   /* target: namespace */
};
#define REQUEST_DRY_RUN 1 /* flag: plan and verify, change nothing */
#define REQUEST_SIMD    2 /* flag of REQUEST_BRANCH: tasks of the new namespace save SIMD state */

struct arena_request {
    uint64_t seq; /* 1 for the first; written last */
    uint32_t kind;
    uint32_t flags;
    uint32_t mailbox_bytes; /* object or argument bytes at the start of the mailbox */
    uint32_t argument;      /* by kind */
    char target[32];
    char namespace_[32]; /* that it is about; empty: the root */
};

#define ARENA_PHASES 8
struct arena_phase {
    char name[16];
    uint64_t ns;
};

struct arena_completion {
    uint64_t seq;   /* of the request; written last */
    uint32_t error; /* enum err */
    uint32_t phases;
    struct arena_phase phase[ARENA_PHASES];
    uint64_t pause_ns;    /* how long the other CPUs were parked */
    uint64_t relocations; /* rewritten */
    uint64_t words;       /* of stacks, heap and static data that were led to the new cells */
    uint64_t frames;      /* of tasks, found on stacks in the old cells */
    uint64_t transferred_bytes;
    uint32_t tasks;      /* whose stacks were scanned */
    uint32_t result;     /* task id of a spawn, cell index of a load */
    uint32_t items;      /* of a dry run: struct plan_item (guest/abi/plan.h) in the mailbox */
    uint32_t items_lost; /* there was no room for so many more */
    char detail[128];    /* names the symbol, section or cell that the error is about */
};

/* A swap that was tried: how it went is in `done`, whose `result` is the first new cell. */
struct arena_swap {
    uint64_t seq; /* 1 for the first; written last */
    uint64_t time_ns;
    uint32_t namespace_;
    uint32_t changes;      /* how many cells it was to change */
    uint64_t first_change; /* their records: so many from this sequence number on */
    uint32_t took_effect;  /* 1: also with an error in `done`, of an init function that ran afterwards */
    uint32_t pad;
    struct arena_completion done;
};

/* One cell of a swap: what it was and what it became; version and object 0: it was not there. */
struct arena_change {
    uint64_t seq;                    /* 1 for the first; written last */
    uint64_t swap;                   /* its number */
    uint64_t old_object, new_object; /* arena_object.hash */
    uint32_t old_version, new_version;
    char cell[32];
};

/* A word at a time, since whoever swaps cells checks much while others stand still. Each step can be undone, so that bytes
 * that differ in one word never come to the same 64 bits. Never 0, so that 0 can mean "free". */
static inline uint32_t arena_check(const void *data, size_t bytes)
{
    const uint8_t *p = data;
    uint64_t h = 0xcbf29ce484222325 ^ bytes, word, rest = 0;

    for (; bytes >= 8; bytes -= 8, p += 8) {
        __builtin_memcpy(&word, p, 8);
        h = (h ^ word) * 0x9e3779b97f4a7c15;
        h ^= h >> 32;
    }
    while (bytes > 0)
        rest = rest << 8 | p[--bytes];
    h = (h ^ rest) * 0x9e3779b97f4a7c15;
    h ^= h >> 32;
    return (uint32_t)h ? (uint32_t)h : 1;
}

_Static_assert(sizeof(struct arena_header) <= 4096);

/* How much of a record its check word covers. */
#define ARENA_STABLE_NAMESPACE offsetof(struct arena_namespace, state)
#define ARENA_STABLE_CELL      offsetof(struct arena_cell, state)
#define ARENA_STABLE_SECTION   offsetof(struct arena_section, first_out)
#define ARENA_STABLE_SYMBOL    offsetof(struct arena_symbol, published)
#define ARENA_STABLE_EDGE      offsetof(struct arena_edge, next_out)
#define ARENA_STABLE_TASK      offsetof(struct arena_task, state)
#define ARENA_STABLE_CPU       offsetof(struct arena_cpu, online)

/* What each table is made of: its name, bytes of a record, how much of it the check word covers (0: none), capacity. */
#define ARENA_SHAPES(X)                                                                                                \
    X(NAMESPACES, sizeof(struct arena_namespace), ARENA_STABLE_NAMESPACE, ARENA_NAMESPACES_MAX)                        \
    X(OBJECTS, sizeof(struct arena_object), sizeof(struct arena_object), ARENA_OBJECTS_MAX)                            \
    X(CELLS, sizeof(struct arena_cell), ARENA_STABLE_CELL, ARENA_CELLS_MAX)                                            \
    X(SECTIONS, sizeof(struct arena_section), ARENA_STABLE_SECTION, ARENA_SECTIONS_MAX)                                \
    X(SYMBOLS, sizeof(struct arena_symbol), ARENA_STABLE_SYMBOL, ARENA_SYMBOLS_MAX)                                    \
    X(EDGES, sizeof(struct arena_edge), ARENA_STABLE_EDGE, ARENA_EDGES_MAX)                                            \
    X(TASKS, sizeof(struct arena_task), ARENA_STABLE_TASK, ARENA_TASKS_MAX)                                            \
    X(CPUS, sizeof(struct arena_cpu), ARENA_STABLE_CPU, ARENA_CPUS_MAX)                                                \
    X(FAULTS, sizeof(struct arena_fault), 0, ARENA_FAULTS_MAX)                                                         \
    X(EVENTS, sizeof(struct arena_event), 0, ARENA_EVENTS_MAX)                                                         \
    X(REQUESTS, sizeof(struct arena_request), 0, ARENA_REQUESTS_MAX)                                                   \
    X(COMPLETIONS, sizeof(struct arena_completion), 0, ARENA_COMPLETIONS_MAX)                                          \
    X(SWAPS, sizeof(struct arena_swap), 0, ARENA_SWAPS_MAX)                                                            \
    X(CHANGES, sizeof(struct arena_change), 0, ARENA_CHANGES_MAX)                                                      \
    X(STRINGS, 1, 0, ARENA_STRINGS_BYTES)                                                                              \
    X(MAILBOX, 1, 0, ARENA_MAILBOX_BYTES)

_Static_assert(sizeof(struct arena_namespace) == 48);
_Static_assert(sizeof(struct arena_object) == 48);
_Static_assert(sizeof(struct arena_cell) == 168);
_Static_assert(sizeof(struct arena_section) == 96);
_Static_assert(sizeof(struct arena_symbol) == 56);
_Static_assert(sizeof(struct arena_edge) == 56);
_Static_assert(sizeof(struct arena_task) == 128);
_Static_assert(sizeof(struct arena_cpu) == 64);
_Static_assert(sizeof(struct arena_fault) == 328);
_Static_assert(sizeof(struct arena_event) == 104);
_Static_assert(sizeof(struct arena_request) == 88);
_Static_assert(sizeof(struct arena_completion) == 392);
_Static_assert(sizeof(struct arena_swap) == 432);
_Static_assert(sizeof(struct arena_change) == 72);
