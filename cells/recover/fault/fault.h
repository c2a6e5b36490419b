/* The exception handler: logs each exception and panic in the arena's fault log, mends damaged foundation cells, and
 * unwinds what was running. It takes no lock and allocates nothing, since the faulting code may hold any lock. The
 * recovery cell does the rest, and writes the log that people read (cells/recover/recovery/recovery.h tells the
 * whole story). */
#pragma once
#include "cells/cell.h"
#include "cells/core/report/report.h"
#include "guest/abi/arena.h"

struct task;

#define FAULT_CELLS 16 /* of one fault, at most */

/* The record of fault `seq` of this boot. NULL: there was no such fault, or a newer one has the record. */
struct arena_fault *fault_record(uint64_t seq);

/* Writes the loadable cells that had a frame on the stack, the innermost first, each once. Returns how many. */
unsigned fault_cells(uint64_t seq, struct cell_ref ret_cells[FAULT_CELLS]);
/* The one of them that the fault is blamed on, or none. */
struct cell_ref fault_blamed(uint64_t seq);

/* Notes in the record that this has been done now, to `cell` or none. `count`: see struct arena_fault_step. A step of
 * the kind and cell of the last one adds to its count. From any context; one at a time. */
void fault_step(struct arena_fault *fault, enum fault_step_kind kind, uint32_t count, struct cell_ref cell);
/* Has the running CPU know again what it knew of itself when this was called first: which one it is, where its fault
 * stacks and its record are. Interrupts off. False: nothing was wrong. */
bool fault_mend_cpu(void);
/* Makes the descriptor tables of the running CPU what they must be, in a handler of exceptions. */
void fault_mend_tables(void);

/* The task's first fault after number `since`: it is the cause of the others, which came while it was unwound. NULL: it
 * is not known any more. */
const struct arena_fault *fault_of_task(const struct task *task, uint64_t since);
/* Sets the report's error and text: `what`, a "request" or "swap", has ended by this fault (NULL: by some fault).
 * Returns the error: ERR_TIMEOUT where a function was ended by its deadline, else ERR_INIT_FAILED. */
enum err fault_report(const struct arena_fault *fault, const char *what, struct report *report);
/* Nothing more can be done about this fault: prints it, and `why`, on the serial line and resets the machine. With
 * on_panic= on the command line, halts as that says. */
_Noreturn void fault_reboot(struct arena_fault *fault, const char *why);

/* Damage that was found before anything failed, or that is what made something fail, and is right again. */
struct fault_damage {
    struct cell_ref cell;       /* that was damaged, or whose data it was; none: of no cell */
    struct section_ref section; /* none: a table that the CPU reads, or a record of the arena */
    uint32_t offset;            /* in the section */
    uint64_t address;           /* virtual */
    const char *place;          /* where, if it is no section */
    const char *message;        /* what */
    enum fault_action action;   /* how it was put right */
};
/* Logs it as a fault that was recovered from, of kind FAULT_DAMAGE, and as an event. From any context. */
void fault_log_damage(const struct fault_damage *damage);
