/* Which cells change between two builds, and which of them come along when some are chosen. */
#pragma once
#include "cells/tool/build.h"
#include "cells/tool/side.h"

/* A cell that differs, is new (no old one) or is gone (no new one). */
struct change {
    const struct member *old, *new_; /* borrowed */
    struct side before, after;       /* zeros where there is none */
    bool selected;
    char *why; /* owned: it was not asked for, but has to come; NULL: it was */
};
struct changes {
    struct change *change; /* owned */
    size_t changes;
};

void changes_close(struct changes *changes); /* accepts zeros */
/* Finds all changes, and selects them all. Prints what is wrong; close it in any case. */
enum err changes_find(struct changes *changes, const struct build *old, const struct build *new_);
/* Selects the cells that `only` names, separated by commas, and those that have to come with them: they need what
 * others have only in the new build, or use what is no longer as they know it, or share a structure whose layout
 * changes, or take over their data. ERR_NOT_FOUND: one of them does not differ. */
enum err changes_select(struct changes *changes, const char *only);

const char *change_cell(const struct change *change);
