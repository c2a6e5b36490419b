/* The loaded cells of a guest as what a debugger calls shared libraries: a list in the form of GDB's
 * "qXfer:libraries:read", for relocatable objects: an address for each section.
 *
 * GDB takes two libraries of one file name for the same one. So each cell that was ever loaded gets a name of its own,
 * in a private folder: a link to the file with DWARF, or, where no build has that, a copy of the guest's own object,
 * which has symbols only. Cells that are still part of the kernel's image are left out: its file has them. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "debugger/builds.h"
#include "introspect/view.h"

struct libraries;
void libraries_free(struct libraries *libraries); /* accepts NULL; removes its files from the folder */
OWNABLE(libraries, libraries_free)

/* Both are borrowed: the builds, and the folder, an absolute path. The caller's, until libraries_free. NULL: no memory.
 * The list is empty. */
struct libraries *libraries_new(const struct builds *builds, const char *folder);

/* Makes the list that of a view; NULL: of a guest that has no arena yet. Cells that are being loaded, and replaced ones
 * that are not freed yet, belong to it. Returns whether it is another list than before. */
bool libraries_look(struct libraries *libraries, const struct view *view);

/* The list; borrowed until the next look. */
const char *libraries_text(const struct libraries *libraries, size_t *ret_bytes);
size_t libraries_count(const struct libraries *libraries);
