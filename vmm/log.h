/* Messages of delias-vmm: one line on standard error where the cause is known. */
#pragma once
#include "guest/abi/err.h"

/* Prints "delias-vmm: ..." and returns `code`. */
enum err vmm_fail(enum err code, const char *format, ...) __attribute__((format(printf, 2, 3)));
