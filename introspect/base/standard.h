/* The standard streams of a program: what is printed counts as printed only once it is written. */
#pragma once
#include <stdbool.h>

/* Call first in main. Opens a standard stream that the caller has closed in a way that fails when it is used, so
 * that no file of the program gets its number. */
void standard_open(void);

/* Writes what is left of standard output and closes it: nothing can be printed after this. False: not everything
 * could be written, and a line on standard error says so, in the name of `program`. */
[[nodiscard]] bool standard_finish(const char *program);
