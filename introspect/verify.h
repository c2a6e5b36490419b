/* Compares every loaded section that never changes (text, read-only data, unwind tables) with what the loader should
 * have written: the pristine object, its relocations applied again from the edges. The nano_core is compared with its
 * image file. Static data that changes by right is left out. */
#pragma once
#include "introspect/view.h"

struct verify_files {
    const char *kernel;  /* image of the nano_core; NULL: its sections are skipped */
    const char *archive; /* of cell objects, the truth where a pristine object in memory is damaged; NULL: none */
};

struct verify_difference {
    uint32_t section_index; /* 0: in the pristine object itself */
    char cell[64];
    char section[128]; /* "object" for the pristine object, whose offsets are those of the file */
    uint64_t offset;
    uint8_t expected, found;
};

struct verify_skip {
    char cell[64];
    char section[128];
    char why[96];
};

enum { VERIFY_MAX = 4096 }; /* differences kept, and skips; more are only counted */

struct verify_report {
    uint64_t sections, bytes; /* compared */
    struct verify_difference *differing;
    size_t differing_kept, differing_count;
    struct verify_skip *skipped; /* sections that nothing can be said about */
    size_t skipped_kept, skipped_count;
    bool unsettled; /* the guest kept changing its cells meanwhile: differences may be its doing */
};

/* One view, live bytes. ERR_NOMEM. */
enum err verify_view(const struct view *view, const struct verify_files *files, struct verify_report *ret);

/* Takes views of its own until the guest left its cells alone for as long as comparing took, a few times at most.
 * ERR_NOMEM, or why there is no view. */
enum err verify_run(const uint8_t *ram, size_t bytes, const struct verify_files *files, struct verify_report *ret);
void verify_done(struct verify_report *report);
