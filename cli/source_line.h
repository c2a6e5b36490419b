/* Where in the source an instruction comes from, by the DWARF of the build's cells (build/cells.debug). */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "introspect/view.h"

/* Writes "FILE:LINE" of the instruction at `offset` of the section that has `symbol`, in `cell`. "": it is not known:
 * the build has no such object, or it is not the one that the guest has; or the symbol is none of its functions. */
void source_line(const struct view *view, const char *cell, const char *symbol, uint32_t offset, char *ret_line,
                 size_t bytes);
