/* The archive of cell objects beside the kernel image: a cpio "newc" file written by `cell archive`, one member per
 * cell, "NAME.o". Checks every header before use; members stay where the boot loader put them. */
#pragma once
#include "cells/cell.h"

struct archive_member {
    char name[32];       /* of the cell, without ".o" */
    const uint8_t *data; /* in the direct map, borrowed for ever */
    size_t bytes;
    uint64_t phys;
};

enum err archive_open(const void *data, size_t bytes, uint64_t phys); /* validates the whole archive */
enum err archive_find(const char *name, struct archive_member *ret_member);
/* Iterates: start with *cursor = 0; ERR_NOT_FOUND at the end. */
enum err archive_next(size_t *cursor, struct archive_member *ret_member);
