/* Our own mistakes: prints where, and raises a fault that unwinds the task like an exception; before recovery is
 * loaded, or with none to unwind, the machine halts with the message on the serial line. */
#pragma once
#include "cells/cell.h"

/* Raises through `ud2` with `message` in rdi, found by the fault handler because rip is in panic(). May unwind. */
_Noreturn void panic(const char *message);
/* True when `rip` is the trapping instruction of panic(). */
bool panic_at(uint64_t rip);
/* Prints "PANIC: ..." on the serial line and halts this CPU for ever, or exits through the debug port when the
 * command line says `on_panic=exit`. For faults that nothing can recover. */
_Noreturn void panic_halt(const char *message);
/* Straight to the first serial port, polling; usable anywhere. The serial cell takes over when it is loaded. */
void panic_init(void); /* sets the port up; once, before anything is printed */
void panic_print(const char *text);
void panic_print_hex(uint64_t value);

#define assert(condition) ((condition) ? (void)0 : panic("assertion failed: " #condition))
