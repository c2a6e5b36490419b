/* The metadata arena: the guest's own tables of namespaces, cells, sections, symbols, edges, tasks, CPUs, faults,
 * events and counters, and the rings through which the host asks for something (thesis §5.1, figure 5.2).
 *
 * Its header is at LAYOUT_ARENA_PHYS of guest memory; the tables are behind it, or, when they are larger than what is
 * kept free there, at any higher address. How large they are follows from the RAM (guest/abi/capacity.h), and the
 * header says it. A reference to a record is its 32-bit index in a structure that says the
 * table (struct cell_ref and its like below); index 0 means none, and record 0 of every table is unused. The host maps
 * guest memory and reads without the guest's help; every byte is hostile to it.
 *
 * Consistency: the guest makes `generation` odd, changes namespaces, objects, cells, sections, symbols or edges, and
 * makes it even again, all under the arena's lock (arena_change). A reader copies between two equal even values.
 * Everything else changes without it; each field is written whole.
 *
 * Check words: `check` at the start of a record is arena_check() of its bytes from 4 up to the table's stable_bytes.
 * The fields after those are not checked. The stable part of a free record is all zero, the check word too.
 *
 * Who writes: "written by CELLS; LOCK" is true of the fields from there to the next such comment. LOCK is "arena lock"
 * (within arena_change), "loader lock", "atomic" (one instruction), or "no lock", and then why none is needed.
 * tests/tools/test_writers.sh compares cells and locks with the code; what it cannot see is a whole record, which the
 * arena cell clears. `check`, `next_free` and names that are strings are that cell's alone.
 *
 * The fault log is at LAYOUT_FAULTS_PHYS, where it outlives a reset that leaves RAM as it is: see struct arena_fault.
 *
 * The host writes `request_seq`, requests and the mailbox, one program at a time (machine_lock), and nothing else.
 *
 * A swap of cells that would have the arena laid out otherwise is refused (`union arena_contents` of the arena cell).
 * Whoever changes anything else that running cells rely on, as places in layout.h, raises ARENA_VERSION: it is refused
 * then, too. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "guest/abi/capacity.h"
#include "guest/abi/hash.h"
#include "guest/abi/layout.h"

#define ARENA_MAGIC   0x00415341494c4544 /* "DELIASA" */
#define ARENA_VERSION 12

enum arena_table {
    ARENA_NAMESPACES = 0,
    ARENA_OBJECTS,
    ARENA_CELLS,
    ARENA_SECTIONS,
    ARENA_SYMBOLS,
    ARENA_EDGES,
    ARENA_TASKS,
    ARENA_CPUS,
    ARENA_FAULTS,      /* ring, see arena_ring_index */
    ARENA_EVENTS,      /* ring */
    ARENA_REQUESTS,    /* ring */
    ARENA_COMPLETIONS, /* ring */
    ARENA_SWAPS,       /* ring */
    ARENA_CHANGES,     /* ring */
    ARENA_STRINGS,     /* bytes; offset 0 is the empty string */
    ARENA_MAILBOX,     /* bytes; the host writes object files here while it holds the machine's lock */
    ARENA_TABLES
};

/* References to records: one member, so that the compiler tells the tables apart, and no larger than the index itself.
 * Whether there is a record is asked of the index: `if (!cell.index)`. None is NO_CELL, and so on. Names and other
 * strings are plain offsets, CPUs plain numbers. */
struct namespace_ref {
    uint32_t index;
};
struct object_ref {
    uint32_t index;
};
struct cell_ref {
    uint32_t index;
};
struct section_ref {
    uint32_t index;
};
struct symbol_ref {
    uint32_t index;
};
struct edge_ref {
    uint32_t index;
};
struct task_ref {
    uint32_t index;
};
#define NO_NAMESPACE ((struct namespace_ref){0})
#define NO_OBJECT    ((struct object_ref){0})
#define NO_CELL      ((struct cell_ref){0})
#define NO_SECTION   ((struct section_ref){0})
#define NO_SYMBOL    ((struct symbol_ref){0})
#define NO_EDGE      ((struct edge_ref){0})
#define NO_TASK      ((struct task_ref){0})

/* Whether two references are to the same record. Refuses to compile for references to different tables. */
#define same(a, b)                                                                                                     \
    ({                                                                                                                 \
        __typeof__(a) same_a_ = (a), same_b_ = (b);                                                                    \
        same_a_.index == same_b_.index;                                                                                \
    })

struct arena_table_desc {
    /* written by arena; arena lock */
    uint32_t offset; /* from LAYOUT_ARENA_PHYS, multiple of 64 */
    uint32_t record_bytes;
    uint32_t stable_bytes; /* how much of a record its check word covers */
    uint32_t capacity;     /* records, or bytes for strings and mailbox */
    uint32_t used;         /* highest index ever used plus one; bytes used for strings */
    uint32_t free_head;    /* guest only: free list, linked through the record's second word */
    uint32_t in_use;       /* records, record 0 included; of strings bytes, those of free ones not counted */
    uint32_t reserve;      /* of the capacity: the last ones, which only recovery may take */
};

#define ARENA_COUNTERS(X)                                                                                              \
    X(rounds) /* workload rounds that ended */                                                                         \
    X(checksums_ok)                                                                                                    \
    X(checksums_bad)                                                                                                   \
    X(ticks)       /* timer interrupts, all CPUs */                                                                    \
    X(swaps)       /* cells replaced */                                                                                \
    X(faults)      /* exceptions and panics logged */                                                                  \
    X(recoveries)  /* faults from which the system recovered */                                                        \
    X(frames_free) /* free physical frames */                                                                          \
    X(frames_total)                                                                                                    \
    X(switches)     /* context switches */                                                                             \
    X(spawns)       /* tasks made */                                                                                   \
    X(messages)     /* messages sent over channels */                                                                  \
    X(landing_pads) /* landing pads run by the unwinder */                                                             \
    X(nearest_pads) /* of those, found through the nearest call-site region */                                         \
    X(restarts)     /* tasks respawned by recovery */                                                                  \
    X(reloads)      /* cells reloaded by recovery */                                                                   \
    X(mends)        /* sections and pointers mended in place by recovery, for want of a reload */                      \
    X(log_lines)                                                                                                       \
    X(heap_bytes) /* bytes allocated now */                                                                            \
    X(heap_blocks)                                                                                                     \
    X(locks_abandoned) /* spin locks released for tasks that could not be unwound to the end */                        \
    X(strings)         /* names interned now */                                                                        \
    X(visits)          /* records read; when CPUs read at once, some are missed */                                     \
    X(scrubs)          /* times that the scrubber has compared all that should not change */                           \
    X(scrub_mends)     /* of what it compared, put right */                                                            \
    X(audits)          /* of tasks and queues, at a tick that has found something overdue */

enum arena_counter {
#define X(name) COUNTER_##name,
    ARENA_COUNTERS(X)
#undef X
        COUNTERS
};

struct arena_header {
    /* written by arena; no lock: at boot */
    uint64_t magic;
    uint32_t version;
    uint32_t header_bytes;
    uint64_t arena_bytes; /* from LAYOUT_ARENA_PHYS to the end of the last table, or index of the guest */
    /* written by arena; atomic, while it takes and releases the arena lock */
    uint64_t generation; /* even: consistent */
    /* written by guest (guest/main.c), timer, loader; no lock: at boot */
    uint64_t page_root; /* physical address of the top page table (CR3) */
    uint64_t tsc_hz;
    uint64_t boot_tsc;       /* TSC at entry */
    uint64_t first_cell_tsc; /* TSC when the first cell had been loaded */
    uint64_t ram_bytes;
    uint8_t build_id[20]; /* of the nano_core image */
    /* written by start; atomic */
    uint32_t ready; /* 1: the start cell has finished its work */
    /* written by fault; atomic */
    uint64_t fault_seq; /* number of faults logged, earlier boots included; the newest has seq fault_seq */
    /* written by arena; atomic */
    uint64_t event_seq; /* number of events logged */
    /* written by the host, with the machine's lock; the guest only reads it */
    uint64_t request_seq; /* number of requests posted */
    /* written by host_link; atomic, by its one task */
    uint64_t completion_seq; /* number of completions posted */
    /* written by swap; loader lock */
    uint64_t swap_seq;   /* number of swaps logged */
    uint64_t change_seq; /* number of changes logged */
    /* written by cpu; atomic */
    uint32_t park_round; /* guest only: grows each time that parked CPUs may continue */
    /* written by loader; arena lock */
    uint32_t cells_made; /* guest only: number of the cell that was made last */
    /* written by swap; loader lock */
    uint32_t swap_number; /* guest only: of the swap whose commit was begun last; see arena_cell.came */
    /* written by quiescence; loader lock */
    uint32_t search; /* guest only: number of the last search; see arena_section.search */
    /* written by fault; no lock: at boot */
    uint32_t boot; /* number of this boot since memory was cleared; 0: the fault log has not been looked at yet */
    uint32_t pad;
    /* written by arena; arena lock */
    struct arena_table_desc table[ARENA_TABLES];
    /* written by arena, frame; atomic (arena_count), or under the lock of what is counted: frames, strings */
    uint64_t counter[32]; /* by enum arena_counter */
};
_Static_assert(COUNTERS <= 32);

#define NAMESPACE_ROOT  ((struct namespace_ref){1})
#define NAMESPACE_SIMD  1 /* flag: its tasks save SIMD state, so that its cells may use SIMD registers */
#define NAMESPACE_FLAGS NAMESPACE_SIMD

enum arena_namespace_state {
    NAMESPACE_LIVE = 0,
    NAMESPACE_REMOVED = 1, /* kept until the last of its cells is freed */
};

struct arena_namespace {
    /* written by namespace; arena lock */
    uint32_t check;
    uint32_t next_free;
    uint32_t name;               /* string */
    struct namespace_ref parent; /* that is searched after this one */
    uint32_t flags;              /* of NAMESPACE_*; those of the parent too */
    uint32_t cpu;                /* its tasks run on this CPU only, index + 1; 0: on any */
    uint64_t since;              /* number of swaps logged before it was made: its own are later */
    uint64_t since_ns;
    /* not checked; written by namespace; arena lock and loader lock */
    uint32_t state; /* enum arena_namespace_state */
    uint32_t pad;
};

/* A pristine object file kept in guest memory: from the archive or from the mailbox. */
struct arena_object {
    /* written by loader; arena lock */
    uint32_t check;
    uint32_t next_free;
    uint32_t name; /* string: name of the cell in it */
    uint32_t bytes;
    uint64_t phys;
    uint64_t hash;         /* object_hash() of its bytes when it arrived */
    uint32_t from_mailbox; /* 1: its frames are freed with the record */
    uint32_t cells;        /* made from it; the record is freed with the last one, unless it is kept */
    /* written by history; arena lock */
    uint32_t kept; /* 1: a commit of a namespace needs it (cells/evolve/history) */
    uint32_t pad;
    /* not checked; written by history; loader lock */
    uint32_t live; /* guest only: 1: a cell that is not on its way out is made from it */
    uint32_t pad2;
    uint64_t newest; /* guest only: number of the last change that names it; 0: it is not to be kept */
};

enum arena_cell_state {
    CELL_FREE = 0,
    CELL_LOADING = 1, /* not yet visible to others */
    CELL_LIVE = 2,
    CELL_OLD = 3,    /* replaced; kept while a frame, task or edge refers to it */
    CELL_ABSENT = 4, /* no cell but an absence: its namespace lacks what its parent has of that name */
};

enum arena_cell_init {
    CELL_INIT_NONE = 0,
    CELL_INIT_DONE = 1, /* its init function has run, or it has none */
    CELL_INIT_RUNS = 2,
};

struct arena_cell {
    /* written by loader, lifecycle (an absence); arena lock */
    uint32_t check;
    uint32_t next_free;
    uint32_t name; /* string */
    uint32_t version;
    uint32_t kind; /* enum cell_kind */
    struct namespace_ref namespace_;
    struct object_ref object;         /* none for the nano_core */
    struct section_ref first_section; /* list through arena_section.next_in_cell */
    uint32_t sections;                /* how many */
    struct symbol_ref first_symbol;   /* list through arena_symbol.next_in_cell */
    struct section_ref init_section, main_section, transfer_section, done_section; /* functions of note_cell, or none */
    uint64_t text_virt, text_phys; /* three contiguous regions: read-execute, read-only, read-write */
    uint64_t rodata_virt, rodata_phys;
    uint64_t data_virt, data_phys;
    uint32_t text_bytes, rodata_bytes, data_bytes; /* sizes in use, in bytes */
    struct section_ref eh_frame_section;
    uint32_t flags;    /* of its note */
    uint32_t pointers; /* offset of its struct note_pointers in the object; 0: it has none */
    /* not checked; written by loader, lifecycle; arena lock */
    uint32_t state; /* enum arena_cell_state */
    /* written by fault; atomic */
    uint32_t faults; /* faults attributed to it since it was loaded */
    /* written by recovery, swap (for a successor); loader lock */
    uint32_t reloads; /* how often recovery has replaced it */
    /* written by loader, swap (for a successor); loader lock */
    uint32_t initialized; /* enum arena_cell_init */
    /* written by loader; arena lock */
    uint64_t loaded_ns;
    /* written by arena; arena lock */
    uint32_t holders; /* edges to it from other cells */
    uint32_t indexed; /* guest only: key under which it is found by name, 0: not yet */
    /* written by loader; arena lock */
    uint32_t group;  /* guest only: a number that cells which are freed together have in common */
    uint32_t number; /* guest only: of all cells ever made */
    /* written by swap; loader lock */
    uint32_t came, went; /* guest only: the swap that made it live, and the one that replaced it */
    /* written by mender, mend_second; no lock: it is believed only when it fits the bytes that it is of */
    uint64_t sum; /* guest only: checksums of text and read-only data when they were last found right; 0: none */
};

enum arena_section_kind {
    SECTION_TEXT = 1,
    SECTION_RODATA = 2,
    SECTION_DATA = 3,
    SECTION_BSS = 4,
    SECTION_EH_FRAME = 5, /* unwind tables; in the read-only region */
    SECTION_EXCEPT = 6,   /* .gcc_except_table*, in the read-only region */
};

/* Whether sections of this kind are static data: writable, so that only those that are set once have a hash. */
static inline bool section_kind_is_data(uint32_t kind)
{
    return kind == SECTION_DATA || kind == SECTION_BSS;
}

/* A closed gate: a call that is written over the entry of a function while a swap waits for quiescence. */
#define ARENA_GATE_BYTES 5
#define ARENA_GATE_CALL  0xe8

struct arena_section {
    /* written by loader; arena lock */
    uint32_t check;
    uint32_t next_free;
    uint32_t name; /* string: as in the object, ".text.channel_send" */
    struct cell_ref cell;
    uint8_t kind;  /* enum arena_section_kind */
    uint8_t datum; /* enum note_datum */
    uint16_t align;
    uint32_t object_index; /* section header index in the object; 0 in the nano_core */
    uint64_t virt;
    uint64_t phys;
    uint32_t bytes;
    uint32_t
        unwind_entry; /* of text: offset + 1 of its first function's entry in the cell's unwind table; 0: not known */
    struct section_ref next_in_cell;
    /* written by loader, state_db (copies and their hashes); arena lock */
    uint32_t hash; /* arena_check() of text, rodata and tables as they were relocated, and of a copy's bytes; else 0 */
    uint64_t type_hash, deep_hash; /* of data and functions, as struct note_data has them; 0: not known */
    uint64_t copy_phys; /* guest only: of a datum that is set once, a copy that has the hash; 0: there is none */
    /* not checked; written by arena; arena lock */
    struct edge_ref first_out; /* edges from here, through next_out */
    struct edge_ref first_in;  /* edges to here, through next_in */
    uint32_t outgoing;         /* lengths of the two lists */
    uint32_t incoming;
    uint16_t indexed; /* guest only: 1: its pages are in the index */
    /* written by edge (sets it), loader (clears it); arena lock */
    uint16_t rewritten; /* 1: its edges have been rewritten, and `hash` is not valid until it is rehashed */
    /* written by quiescence; arena lock and loader lock */
    uint32_t gate; /* offset + 1 of a closed gate, ARENA_GATE_BYTES bytes; 0: none is closed */
    /* written by quiescence; loader lock */
    uint32_t search;                 /* guest only: number of the search that has reached it */
    struct section_ref next_reached; /* guest only: where that goes on */
};

struct arena_symbol {
    /* written by loader; arena lock */
    uint32_t check;
    uint32_t next_free;
    uint32_t name; /* string */
    struct section_ref section;
    uint32_t offset; /* in the section */
    uint32_t bytes;
    uint64_t type_hash, deep_hash; /* as struct note_symbol has them */
    uint32_t access;               /* enum access_level; 0: not exported */
    struct symbol_ref next_in_cell;
    struct namespace_ref namespace_;
    /* not checked; written by arena; arena lock */
    uint32_t published; /* guest only: 1: its name is in the index */
};

/* One relocation: at `from` + `offset` is the address of `to` + `target`, plus `addend`, encoded as `type`. */
struct arena_edge {
    /* written by loader, edge; arena lock */
    uint32_t check;
    uint32_t next_free;
    struct section_ref from, to;
    uint32_t offset; /* in `from` */
    uint32_t type;   /* R_X86_64_64, _PC32, _PLT32, _32S, _32, _PC64 */
    int64_t addend;
    uint32_t target;          /* offset in `to` */
    struct symbol_ref symbol; /* exported, that it was resolved by; none within a cell */
    /* not checked; written by arena; arena lock */
    struct edge_ref next_out, prev_out, next_in, prev_in;
};

/* Whether the record says that a gate is closed, and there is one in the section's bytes: its offset then. */
static inline bool arena_section_gate(const struct arena_section *section, const uint8_t *bytes, uint32_t *ret_offset)
{
    uint32_t offset = section->gate - 1;

    if (!section->gate || offset > section->bytes || section->bytes - offset < ARENA_GATE_BYTES ||
        bytes[offset] != ARENA_GATE_CALL)
        return false;
    *ret_offset = offset;
    return true;
}

/* The address that an edge into section `to` refers to, addend included: S + A of the relocation formulas. */
static inline uint64_t arena_edge_target(const struct arena_edge *edge, const struct arena_section *to)
{
    return to->virt + edge->target + (uint64_t)edge->addend;
}

enum task_state {
    TASK_FREE = 0,
    TASK_RUNNABLE = 1,
    TASK_RUNNING = 2,
    TASK_BLOCKED = 3,
    TASK_EXITED = 4, /* ended, not yet joined */
    TASK_UNWINDING = 5,
    TASK_FAILED = 6, /* unwound after a fault, or since it was killed; not yet taken down */
    TASK_NEW = 7,    /* made, not yet ready: whoever makes it is about to call scheduler_ready */
};

enum task_end {
    TASK_END_OWN = 0,    /* it ends by itself, or not at all */
    TASK_END_ASKED = 1,  /* somebody has asked for its end, or unloads its application */
    TASK_END_MEMORY = 2, /* memory was out */
};

struct arena_task {
    /* written by task; arena lock */
    uint32_t check;
    uint32_t next_free;
    uint32_t id;          /* grows, never reused */
    uint32_t restartable; /* 1: recovery restarts it with the same entry and argument */
    char name[32];
    /* written by task, swap; arena lock */
    struct section_ref entry_section; /* where its code starts */
    /* written by task; arena lock */
    uint32_t entry_offset;
    uint64_t argument;
    uint64_t stack_virt, stack_phys; /* lowest address */
    uint32_t stack_bytes;
    struct namespace_ref namespace_;
    /* not checked; written by task, scheduler, unwind; no lock: by the CPU that runs, wakes or makes the task */
    uint32_t state; /* enum task_state */
    /* written by scheduler; no lock: by the CPU that switches to the task */
    uint32_t cpu; /* where it runs or ran last */
    /* written by task; no lock: by the task itself, or by the teardown task when it no longer runs */
    uint32_t restarts;
    int32_t exit_code;
    /* written by task (switch.S), unwind; no lock: by the CPU that switches from the task, or while CPUs are parked */
    uint64_t saved_rsp; /* valid while it does not run */
    /* written by scheduler; no lock: by the CPU that switches to or from the task */
    uint64_t switches;
    uint64_t run_ns;
    /* written by heap; atomic */
    uint64_t heap_bytes; /* in blocks of the heap that it had made and that are not freed */
    /* written by run_queue; atomic */
    int32_t priority; /* above (less than 0: below) what is usual; 0 where the scheduler has none */
    /* written by kill; atomic */
    uint32_t end_reason; /* enum task_end */
};

struct arena_cpu {
    /* written by smp; arena lock */
    uint32_t check;
    uint32_t next_free;
    uint32_t id; /* 0 .. */
    uint32_t apic_id;
    /* not checked; written by smp; arena lock */
    uint32_t online;
    /* written by scheduler, task, timer, exception; no lock: by the CPU itself */
    struct task_ref current_task;
    uint64_t ticks;
    uint64_t idle_ticks;
    uint64_t switches;
    uint64_t heartbeat_ns; /* time of its last tick */
    uint64_t current_rsp;  /* last interrupted stack pointer */
};

enum fault_kind {
    FAULT_EXCEPTION = 1, /* number in `vector` */
    FAULT_PANIC = 2,     /* an assertion or panic(); text in `message` */
    FAULT_HANG = 3,      /* a function that exceeds its deadline, a CPU without ticks, a task without the progress that
                            it has promised; text in `message` */
    FAULT_DAMAGE = 4,    /* found before anything failed; which: text in `message` */
    FAULT_RESET = 5,     /* of the machine in that boot, and nothing that it has logged says why */
};

enum fault_action {
    FAULT_ACTION_NONE = 0,
    FAULT_ACTION_UNWIND = 1,
    FAULT_ACTION_RESTART = 2,
    FAULT_ACTION_RELOAD = 3,
    FAULT_ACTION_HALT = 4,
    FAULT_ACTION_MEND = 5, /* what was damaged was put right in place */
};
enum fault_outcome {
    FAULT_OUTCOME_OPEN = 0,
    FAULT_OUTCOME_RECOVERED = 1,
    FAULT_OUTCOME_FAILED = 2,
    FAULT_OUTCOME_LOST = 3, /* it was open when the machine was reset */
};

/* What was done about a fault, one after the other. */
enum fault_step_kind {
    FAULT_STEP_NONE = 0,
    FAULT_STEP_MENDED,       /* foundation cells, before the task was unwound */
    FAULT_STEP_UNWOUND,      /* what the task held is released */
    FAULT_STEP_LEFT,         /* the interrupt handler has been left */
    FAULT_STEP_MEND,         /* a damaged cell, in place: for want of a reload, or each time before one */
    FAULT_STEP_RELOAD,       /* a cell, with the data that it had */
    FAULT_STEP_RELOAD_FRESH, /* a cell, with fresh static data */
    FAULT_STEP_REFUSED,      /* a reload; the log has the reason */
    FAULT_STEP_BACK_OFF,     /* the restart waits, since others were in vain */
    FAULT_STEP_RESTART,      /* of the task */
    FAULT_STEP_END,          /* of the task, which is not restarted */
    FAULT_STEP_GIVE_UP,      /* of the task, which would have been restarted */
    FAULT_STEP_RESET,        /* of the machine, or it halts */
    FAULT_STEPS
};

#define FAULT_STEPS_KEPT 8
struct arena_fault_step {
    /* written by fault; no lock: by who takes the step */
    uint32_t kind;  /* enum fault_step_kind */
    uint32_t count; /* in a row: cells mended; ms to wait; else 1 */
    uint64_t after_ns;
    char cell[32]; /* empty: of no cell */
};

/* A record outlives a reset: what an earlier boot has left is looked at by the fault cell before it logs anything.
 * `check` is arena_fault_check() of all before `action`, for nothing else says what is in such memory. Record 0 of the
 * table is no fault: kind 0, seq 0, and in `boot` the number of the boot that wrote it. References in a record are to
 * those of its own boot, and times are since that began. */
struct arena_fault {
    /* written by fault; no lock: by the CPU that took the sequence number */
    uint32_t check;
    uint32_t kind; /* enum fault_kind */
    uint64_t seq;  /* 1 for the first; written last */
    uint32_t boot; /* arena_header.boot at that time */
    uint32_t vector;
    uint64_t time_ns;
    uint32_t cpu;
    uint32_t task_id;
    uint64_t error_code;
    uint64_t ip, address, rsp; /* address: CR2 of a page fault */
    struct task_ref task;
    struct cell_ref cell; /* none: outside every cell */
    struct section_ref section;
    uint32_t offset; /* ip - start of the section */
    char task_name[32];
    char cell_name[32];                        /* copied: the cell may be freed when this is read */
    char blamed[32];                           /* copied too: the innermost loaded cell that had a frame on the stack */
    char namespace_[32], blamed_namespace[32]; /* that hold these cells; empty: the root */
    char symbol[64];
    char message[64];
    char caller_cell[32];   /* that has the function which called the one that failed; empty: not known */
    char caller_symbol[64]; /* that function */
    uint32_t caller_offset; /* of the call's return address in its section */
    uint32_t pad;
    /* not checked; written by fault, unwind, recovery; no lock: one after the other */
    uint32_t action;       /* enum fault_action: the last one taken */
    uint32_t outcome;      /* enum fault_outcome */
    uint64_t recovery_ns;  /* from the fault to the end of its last action */
    uint32_t landing_pads; /* run for this fault */
    /* written by fault; no lock: as above */
    uint32_t steps; /* taken; the first FAULT_STEPS_KEPT - 1 and the last are kept */
    struct arena_fault_step step[FAULT_STEPS_KEPT];
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
    EVENT_MENDED,
    EVENT_TASK_KILLED,
    EVENT_OUT_OF_MEMORY, /* a: the task that is to end; b: bytes that it has in heap and stack */
};

struct arena_event {
    /* written by arena; no lock: by the CPU that took the sequence number */
    uint64_t seq; /* 1 for the first; written last */
    uint64_t time_ns;
    uint32_t kind; /* enum event_kind */
    uint32_t cpu;
    uint64_t a, b; /* by kind: cell or task index, version, code */
    char text[64]; /* NUL-terminated */
};

enum request_kind {
    REQUEST_PING = 1,
    REQUEST_SWAP = 2,   /* target: cell name; object in the mailbox; argument: see REQUEST_TRANSFER_MS_MAX */
    REQUEST_RELOAD = 3, /* target: cell name; from its pristine object; argument as of a swap */
    REQUEST_LOAD = 4,   /* object in the mailbox */
    REQUEST_SPAWN = 5,  /* target: application cell, argv[0]; what follows as NUL-terminated strings in the mailbox */
    REQUEST_UNLOAD = 6,
    REQUEST_SWAP_SET = 7, /* struct swap_set in the mailbox; argument as of a swap */
    REQUEST_BRANCH = 8,   /* target: name of the new namespace; argument: CPU index + 1 that it is bound to, or 0 */
    REQUEST_REMOVE = 9,   /* target: namespace */
    REQUEST_KILL = 10,    /* argument: id of a task of an application */
};
/* Argument of a swap: how many milliseconds each TRANSFER function may take, at most so many; 0: as usual. */
#define REQUEST_TRANSFER_MS_MAX 60000

#define REQUEST_DRY_RUN 1 /* flag: plan and verify, change nothing */
#define REQUEST_SIMD    2 /* flag of REQUEST_BRANCH: tasks of the new namespace save SIMD state */

struct arena_request {
    /* written by the host, with the machine's lock */
    uint64_t seq; /* 1 for the first; written last */
    uint32_t kind;
    uint32_t flags;
    uint32_t mailbox_bytes; /* object or argument bytes at the start of the mailbox */
    uint32_t argument;      /* by kind */
    char target[32];
    char namespace_[32]; /* that it is about; empty: the root */
};

#define ARENA_PHASES       8
#define ARENA_DETAIL_BYTES 128
struct arena_phase {
    /* written by report, swap; no lock: in the caller's report, of which a completion is a copy */
    char name[16];
    uint64_t ns;
};

struct arena_completion {
    /* written by host_link; no lock: by its one task. That in a record of a swap: as the rest of the record */
    uint64_t seq;   /* of the request; written last */
    uint32_t error; /* enum err */
    uint32_t phases;
    struct arena_phase phase[ARENA_PHASES];
    uint64_t pause_ns;    /* how long the other CPUs were parked */
    uint64_t relocations; /* rewritten */
    uint64_t words;       /* of stacks, heap and static data that were redirected to the new cells */
    uint64_t frames;      /* of tasks, found on stacks in the old cells */
    uint64_t transferred_bytes;
    uint32_t tasks;                  /* whose stacks were scanned */
    uint32_t result;                 /* task id of a spawn or kill, cell index of a load */
    uint32_t items;                  /* of a dry run: struct plan_item (guest/abi/plan.h) in the mailbox */
    uint32_t items_lost;             /* there was no room for so many more */
    char detail[ARENA_DETAIL_BYTES]; /* names the symbol, section or cell that the error is about */
};

/* A swap that was tried. `done` has its result; `done.result` is the first new cell. */
struct arena_swap {
    /* written by swap; loader lock */
    uint64_t seq; /* 1 for the first; written last */
    uint64_t time_ns;
    struct namespace_ref namespace_;
    uint32_t changes;      /* how many cells it was to change */
    uint64_t first_change; /* their records: so many from this sequence number on */
    uint32_t took_effect;  /* 1: also with an error in `done`, of an init function that ran afterwards */
    uint32_t pad;
    struct arena_completion done;
};

/* Whose a cell of a namespace is, before or after a change. */
enum arena_change_side {
    CHANGE_OWN = 0,       /* the namespace's own; or there is none, and nothing says so */
    CHANGE_INHERITED = 1, /* that of a namespace that it comes from, where it stays */
    CHANGE_LACKED = 2,    /* nobody's: an absence hides what is inherited */
};

/* One cell of a swap: what it was and what it became; version and object 0: it was not there. */
struct arena_change {
    /* written by swap; loader lock */
    uint64_t seq;                    /* 1 for the first; written last */
    uint64_t swap;                   /* its number */
    uint64_t old_object, new_object; /* arena_object.hash */
    uint32_t old_version, new_version;
    uint32_t old_side, new_side; /* enum arena_change_side */
    char cell[32];
};

/* The record of sequence number `seq`, which is not 0, in a ring of `capacity` records, of which record 0 is unused. */
static inline uint32_t arena_ring_index(uint64_t seq, uint32_t capacity)
{
    return (uint32_t)(seq % (capacity - 1)) + 1;
}

/* The check word of bytes: never 0, which means "free". It can be made of pieces: begin with the number of all bytes,
 * add whole words (hash_words), end with the rest. */
static inline uint64_t arena_check_begin(size_t bytes)
{
    return 0xcbf29ce484222325 ^ bytes;
}

static inline uint32_t arena_check_end(uint64_t hash, const uint8_t *p, size_t bytes)
{
    uint32_t check = (uint32_t)hash_rest(hash, p, bytes);

    return check ? check : 1;
}

static inline uint32_t arena_check(const void *data, size_t bytes)
{
    size_t words = bytes & ~(size_t)7;
    const uint8_t *p = data;

    return arena_check_end(hash_words(arena_check_begin(bytes), p, words), p + words, bytes - words);
}

/* The check word of a fault's record. `seq` is what the record's will be: it is written last. Records of another
 * version or size have other words. */
static inline uint32_t arena_fault_check(const struct arena_fault *fault, uint64_t seq)
{
    size_t from = offsetof(struct arena_fault, boot), bytes = offsetof(struct arena_fault, action) - from;
    uint64_t h = arena_check_begin(bytes + ARENA_VERSION);
    const uint64_t head[2] = {seq, fault->kind};

    h = hash_words(h, (const uint8_t *)head, sizeof head);
    h = hash_words(h, (const uint8_t *)fault + from, bytes);
    return arena_check_end(h, NULL, 0);
}

_Static_assert(sizeof(struct arena_header) <= 4096);

/* How much of a record its check word covers. */
#define ARENA_STABLE_NAMESPACE offsetof(struct arena_namespace, state)
#define ARENA_STABLE_OBJECT    offsetof(struct arena_object, live)
#define ARENA_STABLE_CELL      offsetof(struct arena_cell, state)
#define ARENA_STABLE_SECTION   offsetof(struct arena_section, first_out)
#define ARENA_STABLE_SYMBOL    offsetof(struct arena_symbol, published)
#define ARENA_STABLE_EDGE      offsetof(struct arena_edge, next_out)
#define ARENA_STABLE_TASK      offsetof(struct arena_task, state)
#define ARENA_STABLE_CPU       offsetof(struct arena_cpu, online)

/* The tables: name, type of a record, how much of it the check word covers (0: none), capacity at 64 MiB, and the
 * largest capacity that a machine may have. */
#define ARENA_SHAPES(X)                                                                                                \
    X(NAMESPACES, struct arena_namespace, ARENA_STABLE_NAMESPACE, ARENA_NAMESPACES_BASE, ARENA_MOST)                   \
    X(OBJECTS, struct arena_object, ARENA_STABLE_OBJECT, ARENA_OBJECTS_BASE, ARENA_MOST)                               \
    X(CELLS, struct arena_cell, ARENA_STABLE_CELL, ARENA_CELLS_BASE, ARENA_MOST)                                       \
    X(SECTIONS, struct arena_section, ARENA_STABLE_SECTION, ARENA_SECTIONS_BASE, ARENA_MOST)                           \
    X(SYMBOLS, struct arena_symbol, ARENA_STABLE_SYMBOL, ARENA_SYMBOLS_BASE, ARENA_MOST)                               \
    X(EDGES, struct arena_edge, ARENA_STABLE_EDGE, ARENA_EDGES_BASE, ARENA_MOST)                                       \
    X(TASKS, struct arena_task, ARENA_STABLE_TASK, ARENA_TASKS_MAX, ARENA_SAME)                                        \
    X(CPUS, struct arena_cpu, ARENA_STABLE_CPU, ARENA_CPUS_MAX, ARENA_SAME)                                            \
    X(FAULTS, struct arena_fault, 0, ARENA_FAULTS_MAX, ARENA_SAME)                                                     \
    X(EVENTS, struct arena_event, 0, ARENA_EVENTS_MAX, ARENA_SAME)                                                     \
    X(REQUESTS, struct arena_request, 0, ARENA_REQUESTS_MAX, ARENA_SAME)                                               \
    X(COMPLETIONS, struct arena_completion, 0, ARENA_COMPLETIONS_MAX, ARENA_SAME)                                      \
    X(SWAPS, struct arena_swap, 0, ARENA_SWAPS_MAX, ARENA_SAME)                                                        \
    X(CHANGES, struct arena_change, 0, ARENA_CHANGES_MAX, ARENA_SAME)                                                  \
    X(STRINGS, char, 0, ARENA_STRINGS_BASE, ARENA_MOST)                                                                \
    X(MAILBOX, uint8_t, 0, ARENA_MAILBOX_BYTES, ARENA_SAME)
#define ARENA_SAME(base) (base)

_Static_assert(sizeof(struct arena_namespace) == 48);
_Static_assert(sizeof(struct arena_object) == 64);
_Static_assert(sizeof(struct arena_cell) == 184);
_Static_assert(sizeof(struct arena_section) == 112);
_Static_assert(sizeof(struct arena_symbol) == 56);
_Static_assert(sizeof(struct arena_edge) == 56);
_Static_assert(sizeof(struct arena_task) == 144);
_Static_assert(sizeof(struct arena_cpu) == 64);
_Static_assert(sizeof(struct arena_fault) == 888);
_Static_assert(sizeof(struct arena_fault) * ARENA_FAULTS_MAX <= LAYOUT_TABLES_PHYS - LAYOUT_FAULTS_PHYS);
_Static_assert(sizeof(struct arena_event) == 104);
_Static_assert(sizeof(struct arena_request) == 88);
_Static_assert(sizeof(struct arena_completion) == 392);
_Static_assert(sizeof(struct arena_swap) == 432);
_Static_assert(sizeof(struct arena_change) == 80);
