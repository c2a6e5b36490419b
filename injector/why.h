/* The line that says what is wrong and what to do, filled where the cause is known, printed by whoever asked. */
#pragma once
#include "guest/abi/err.h"

struct why {
    char text[512];
};

/* Prints the line into `why`, cut if it is too long. */
void why_fill(struct why *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Fills `why` and is `e`, so that the place that knows the cause can say `return why_set(...)`. A macro, for the
 * analyzer to see that it is. */
#define why_set(why, e, ...) (why_fill(why, __VA_ARGS__), (e))
