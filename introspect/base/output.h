/* A file that a program writes as its result: whole, or not at all. What is written goes to a temporary file first, and
 * output_commit puts it in place:
 *
 *     a regular file, or one that is not there yet    by renaming, so that at any time it is the old or the new one. A
 *                                                     symbolic link stays, and the file that it names is replaced
 *     the same in a folder that we may not write to,  by copying, from its start on
 *     or by a name of an open file (/dev/stdout)
 *     a device, a pipe                                by copying; such a thing is never removed or replaced
 *
 * Files that grow while others read them, such as logs, are none of these. */
#pragma once
#include <stdbool.h>
#include <stdio.h>
#include "introspect/base/own.h"

struct output;

/* Gives up what was not committed; the target is as it was. Accepts NULL. */
void output_drop(struct output *output);
OWNABLE(output, output_drop)
/* Begins to write `path`. NULL: it cannot be written, or memory is out, as errno says; nothing has changed. */
RELEASED_BY(output_drop) struct output *output_new(const char *path);

/* The temporary file, open for reading and writing; borrowed. Use one of the two. */
int output_descriptor(const struct output *output);
FILE *output_stream(const struct output *output);

/* Puts what was written in place. False: it could not be, as errno says; a target that is copied to may have part of
 * it, any other is as it was. Drop the output in either case. */
[[nodiscard]] bool output_commit(struct output *output);
