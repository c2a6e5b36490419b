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

/* Runs with interrupts off. May change the frame: the CPU resumes with what it says. */
typedef void exception_handler(struct trap_frame *frame);

/* Binds a handler through loader_bind, so that it follows a swap of its cell. NULL unbinds. */
enum err exception_bind(unsigned vector, exception_handler *handler);

/* Called on the way out of every interrupt (vector >= 32), still on the interrupted stack, interrupts off: the
 * scheduler switches here. */
enum err exception_bind_exit(void (*handler)(void));

/* Lowest interrupt vector that nobody has, reserved for the caller; 0 when all are taken. */
unsigned exception_vector_new(void);

/* Loads `frame` into the CPU and runs on from there, for the unwinder. On the fault stack it also ends the exception:
 * what lies below frame->rsp on that stack is free again and interrupt_depth one less. Never returns. */
_Noreturn void exception_resume(const struct trap_frame *frame);

/* Where the image's own _Unwind_Resume jumps to, all registers untouched: the unwind cell's, set by loader_bind. */
extern void (*exception_unwind_resume)(void);

/* What every exception and interrupt comes through, called by assembly alone; exported so that its place is known. */
void exception_dispatch(struct trap_frame *frame);

#define EXCEPTION_TABLE_BYTES 4096

/* Makes the IDT in a page of the caller's, which is not moved while it is in use, and the running CPU use it. */
void exception_init(void *page);
/* Makes the running CPU use the one IDT. */
void exception_load_table(void);
/* Leads all gates of the IDT to this cell's entry stubs: when another copy of it has taken over. Interrupts off, others
 * parked. */
void exception_point_gates(void);
