/* What the parts of the fault cell share: fault.c handles exceptions and has the log, place.c says where a fault came,
 * kept.c has the log outlive a reset. Private to the cell. */
#pragma once
#include "cells/recover/fault/fault.h"
#include "guest/abi/layout.h"

struct trap_frame;

enum ended_by { BY_NOBODY, BY_WATCHDOG, BY_PROMISE }; /* by nobody: or by its deadline */

#define FAULT_SLOTS (ARENA_FAULTS_MAX - 1)

/* The cells that had frames on the stack, for each record of the log. */
struct stack_cells {
    uint64_t seq;
    unsigned count;
    struct cell_ref cell[FAULT_CELLS];
};
extern struct stack_cells fault_stack_cells[FAULT_SLOTS];

/* ---- what other cells have functions for, which may be damaged ---- */

static inline struct arena_header *header_direct(void)
{
    return (struct arena_header *)(LAYOUT_DIRECT_VIRT + LAYOUT_ARENA_PHYS);
}

/* Record `index` of the log, 0 included. */
static inline struct arena_fault *fault_at(uint32_t index)
{
    return (struct arena_fault *)(LAYOUT_DIRECT_VIRT + LAYOUT_FAULTS_PHYS) + index;
}

static inline struct arena_fault *fault_slot(uint64_t seq)
{
    return fault_at(arena_ring_index(seq, ARENA_FAULTS_MAX));
}

static inline void clear_bytes(void *bytes, size_t count)
{
    __asm__ volatile("rep stosb" : "+D"(bytes), "+c"(count) : "a"(0) : "memory");
}

/* `to` has `bytes` zeros. */
static inline void copy_text(char *to, const char *from, size_t bytes)
{
    for (size_t i = 0; i + 1 < bytes && from[i]; i++)
        to[i] = from[i];
}

/* ---- kept.c ---- */

/* Looks at what an earlier boot has left in the memory of the fault log, any bytes at all: keeps the records that are
 * sound, closes those that were open, and clears the rest. Numbers go on from there, of faults and of boots. Once,
 * before anything is logged; does nothing when it is called again. */
void kept_take_over(void);
/* Writes the check word and the number of a record that has been written: it can be read from now on. */
void fault_publish(struct arena_fault *fault, uint64_t seq);

/* ---- place.c ---- */

/* Notes the cells on the stack, who is blamed, the instruction that failed, and the caller of its function. */
void fault_log_stack(struct arena_fault *fault, const struct trap_frame *frame, const struct task *task, uint64_t seq,
                     enum ended_by by);
/* Names cell, section and function of the instruction that failed. */
void fault_log_place(struct arena_fault *fault);
/* Copies the panic's message, if it is in a section or on the task's stack. */
void fault_log_message(struct arena_fault *fault, const struct task *task, uint64_t from);
/* Copies the names of a cell and of the namespace that holds it: both may be gone when the log is read. */
void fault_copy_names(struct cell_ref cell, char ret_cell[32], char ret_namespace[32]);
