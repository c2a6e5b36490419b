/* Compares every loaded section that never changes (text, read-only data, unwind tables) with what the loader should
 * have written: the pristine object, its relocations applied again from the edges. The nano_core is compared with its
 * image file. Static data is left out. */
#pragma once
#include "introspect/qualified.h"

struct verify_scope {
    const char *kernel;  /* image of the nano_core; NULL: its sections are skipped */
    const char *archive; /* of cell objects, the truth where a pristine object in memory is damaged; NULL: none */
    const struct qualified *only; /* a cell by its name; NULL: all cells */
};

struct verify_difference {
    struct section_ref live; /* none: in the pristine object itself */
    char cell[64], namespace_[32];
    char section[128]; /* "object" for the pristine object, whose offsets are those of the file */
    uint64_t offset;
    uint8_t expected, found;
};

struct verify_skip {
    char cell[64], namespace_[32];
    char section[128];
    char why[96];
};

enum { VERIFY_MAX = 4096 }; /* differences kept, and skips; more are only counted */

struct verify_report {
    uint64_t sections, bytes; /* compared */
    struct verify_difference *differing;
    size_t differing_kept, differing_count;
    struct verify_skip *skipped; /* sections that could not be compared */
    size_t skipped_kept, skipped_count;
    bool changing; /* the guest kept changing its cells meanwhile: differences are those found each time */
};

/* Compares the live bytes of one view. ERR_NOMEM, ERR_NOT_FOUND (scope->only): *ret is untouched. */
enum err verify_view(const struct view *view, const struct verify_scope *scope, struct verify_report *ret);

/* The same with views of its own, up to five times, until the guest did not change its cells during the comparison;
 * twice where it does not end a change. A difference counts then if it was found each time. ERR_NOMEM, ERR_NOT_FOUND,
 * or why there is no view. */
enum err verify_run(const uint8_t *ram, size_t bytes, const struct verify_scope *scope, struct verify_report *ret);
void verify_done(struct verify_report *report);
