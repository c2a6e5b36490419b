/* How types differ between two builds of a cell, for people: by the DWARF that `cell make` leaves beside them. */
#pragma once
#include "cells/tool/side.h"
#include <stdbool.h>
#include <stdio.h>

/* Prints exported functions and variables, static data, and structures by tag whose types differ, field by field, each
 * line after two spaces. Nothing where the DWARF of one is not there. Prints why an object cannot be read. */
void difference_print(FILE *to, const char *old_path, const char *new_path);

/* A member or an enumerator of `what`, a tag, or its size: what it was and what it is; NULL: it is new, or gone. */
typedef void difference_line(void *context, const char *what, const char *was, const char *is);
/* Calls `line` for each structure, union and enumeration that both builds have with another layout. */
void difference_structures(const struct side *old, const struct side *new_, difference_line *line, void *context);
/* Finds a tag whose layout changes in the same way in both cells: data of that type may be passed between them. False:
 * none does. */
bool difference_shares(const struct side *old, const struct side *new_, const struct side *other_old,
                       const struct side *other_new, char *ret_tag, size_t room);

/* The name of the cell that an object is of, owned by the caller; NULL: it cannot be read, or memory is out. */
char *difference_cell(const char *path);
