/* The archive of cell objects beside the kernel image: a cpio "newc" file from `cell archive`, one member "NAME.o" per
 * cell. Invariant: an archive is open only if every header in it is sound and no name is there twice. Members stay
 * where the boot loader has put them. */
#pragma once
#include "cells/cell.h"

struct archive_member {
    char name[32];       /* of the cell, without ".o" */
    const uint8_t *data; /* in the direct map, borrowed for ever */
    size_t bytes;
    uint64_t phys;
};

/* Checks the whole archive and opens it; the bytes are borrowed for ever. After an error no archive is open. */
enum err archive_open(const void *data, size_t bytes, uint64_t phys);
/* Finds the member of that name. ERR_NOT_FOUND: ret_member is untouched. */
enum err archive_find(const char *name, struct archive_member *ret_member);
enum [[nodiscard]] archive_next{ARCHIVE_MEMBER, ARCHIVE_END, ARCHIVE_DAMAGED};
/* The member at *cursor, which then is that of the next one; start with 0. END: there are no more. DAMAGED: memory was
 * corrupted. In both cases the arguments are untouched. */
enum archive_next archive_next(size_t *cursor, struct archive_member *ret_member);
