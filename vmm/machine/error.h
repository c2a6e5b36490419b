/* The message line of the last failure, for the files of this library. */
#pragma once
#include "guest/abi/err.h"

/* Keeps the line for machine_last_error() and returns `code`. Control characters become blanks. */
enum err machine_fail(enum err code, const char *format, ...) __attribute__((format(printf, 2, 3)));
