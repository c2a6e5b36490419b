/* Entry of all 256 vectors: saves a full register frame, calls what is bound, restores it. Exceptions (0..31) run on
 * the CPU's fault stack (IST 1; NMI on IST 2, double fault and machine check on IST 3), interrupts on the stack of the
 * interrupted task. Without a handler an exception panics to serial and halts; an interrupt is counted and dropped. */
#pragma once
#include "cells/cell.h"

struct trap_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error_code;
    uint64_t rip, cs, rflags, rsp, ss;
};

enum {
    EXCEPTION_DEBUG = 1,
    EXCEPTION_NMI = 2,
    EXCEPTION_BREAKPOINT = 3,
    EXCEPTION_UD = 6,
    EXCEPTION_DF = 8,
    EXCEPTION_GP = 13,
    EXCEPTION_PF = 14,
    EXCEPTION_MC = 18
};

/* Runs with interrupts off. May change the frame, with which the CPU resumes. */
typedef void exception_handler(struct trap_frame *frame);

/* The handler of each vector; vector_bind (cells/core/vector) sets one. */
#define EXCEPTION_VECTORS 256
extern exception_handler *exception_handlers[EXCEPTION_VECTORS];

/* Called at the end of every interrupt (vector >= 32), on the interrupted stack, interrupts off. The scheduler binds
 * the function that switches tasks. */
extern void (*exception_exit)(void);

/* Loads `frame` into the CPU and continues there, for the unwinder. On the fault stack it also ends the exception: the
 * stack below frame->rsp is free again and interrupt_depth is one less. */
_Noreturn void exception_resume(const struct trap_frame *frame);

/* Called when the path of exceptions itself fails: it is damaged, there is no handler, or the fault stack is used up.
 * What was interrupted is lost. On the fault stack, from its top, interrupts off. NULL before it is bound. */
extern void (*exception_last_resort)(uint64_t vector, uint64_t rip);
/* Calls exception_last_resort on that stack, whatever is there. */
_Noreturn void exception_last(uint64_t vector, uint64_t rip);

/* Where the image's own _Unwind_Resume jumps to, all registers untouched: bound to that of cell unwind. */
extern void (*exception_unwind_resume)(void);

/* Handles every exception and interrupt. Called by assembly only; exported so that its address can be found. */
void exception_dispatch(struct trap_frame *frame);

#define EXCEPTION_TABLE_BYTES 4096

/* Makes the IDT in `page`, which the caller keeps, and loads it on the running CPU. */
void exception_init(void *page);
/* Loads the IDT on the running CPU. */
void exception_load_table(void);
/* Points all gates of the IDT to this cell's entry stubs, after its swap. Interrupts off, other CPUs parked. */
void exception_point_gates(void);
