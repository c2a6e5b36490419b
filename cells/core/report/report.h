/* The result of an operation: its error and what that is about, how long its phases took, and what it changed. All
 * parts of the system pass on the same struct; report_publish fills struct arena_completion (guest/abi/arena.h) from
 * it. The caller of an operation owns the report and clears it first. */
#pragma once
#include "cells/cell.h"
#include "guest/abi/arena.h"

struct report {
    enum err error;
    uint32_t phases; /* how many of `phase` are filled in */
    struct arena_phase phase[ARENA_PHASES];
    char text[ARENA_DETAIL_BYTES]; /* names the symbol, section or cell that the error is about; NUL-terminated */
    /* as in struct arena_completion */
    uint64_t pause_ns, relocations, words, frames, transferred_bytes;
    uint32_t tasks, result, items, items_lost;
};

/* Sets the report's error and text, and returns `err`. Knows %s, %u, %x, %lu, %lx and %%, and zeros in front (%016lx).
 * A text that is too long is cut. The arguments must not be part of the report. NULL: no report is wanted. */
__attribute__((format(printf, 3, 4))) enum err report_refuse(struct report *report, enum err err, const char *format,
                                                             ...);

/* The words for an error, never NULL: those of err_text, which each object that calls it has a copy of. */
const char *report_error_text(uint32_t error);

/* Adds a phase that began at `*since_ns` and ends now, and sets `*since_ns` to now. At most ARENA_PHASES are kept. */
void report_phase(struct report *report, const char *name, uint64_t *since_ns);

/* Copies everything but `seq`, which the caller writes last. */
static inline void report_publish(const struct report *report, struct arena_completion *ret_completion)
{
    ret_completion->error = report->error;
    ret_completion->phases = report->phases;
    __builtin_memcpy(ret_completion->phase, report->phase, sizeof report->phase);
    ret_completion->pause_ns = report->pause_ns;
    ret_completion->relocations = report->relocations;
    ret_completion->words = report->words;
    ret_completion->frames = report->frames;
    ret_completion->transferred_bytes = report->transferred_bytes;
    ret_completion->tasks = report->tasks;
    ret_completion->result = report->result;
    ret_completion->items = report->items;
    ret_completion->items_lost = report->items_lost;
    __builtin_memcpy(ret_completion->detail, report->text, sizeof report->text);
}
