/* Messages of delias-vmm: one line on standard error, of a failure where the cause is known. */
#pragma once
#include "guest/abi/err.h"

/* Prints "delias-vmm: ..." and returns `code`. */
enum err vmm_fail(enum err code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The line of this thread's last failure, without the program's name. */
const char *vmm_last_failure(void);
/* Prints the same of what is no failure of its own. */
void vmm_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
