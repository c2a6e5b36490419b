/* For our own mistakes: raises a fault, which recovery handles like an exception. Without recovery, or with no task to
 * unwind, the machine halts with the message on the serial line. */
#pragma once
#include "cells/cell.h"

/* Raises a fault by `ud2`, with `message` in rdi; the fault handler knows it by its address. Unwinds the task. */
_Noreturn void panic(const char *message);
/* Whether `rip` is the trapping instruction of panic(). */
bool panic_at(uint64_t rip);
/* Prints "PANIC: ..." on the serial line and halts this CPU for ever; with `on_panic=exit` on the command line, ends
 * the machine through the debug port. For faults from which there is no recovery. */
_Noreturn void panic_halt(const char *message);

/* Sets the first serial port up. Once, before anything is printed. */
void panic_init(void);
/* Print to the first serial port, polling. From any context. */
void panic_print(const char *text);
void panic_print_hex(uint64_t value);

/* Panics unless `condition` is true, in every build. */
#define assert(condition) ((condition) ? (void)0 : panic("assertion failed: " #condition))
