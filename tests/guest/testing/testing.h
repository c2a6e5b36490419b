/* What test cells share: the lines by which they pass, and the count of what a test must give back. */
#pragma once
#include "cells/cell.h"

/* What was in use when the test began. */
struct testing {
    const char *name;
    uint64_t frames_free, heap_blocks;
    size_t tasks;
};

/* Begins to count. Do once before what is then counted: page tables and handles stay for ever. */
struct testing testing_begin(const char *name);
void testing_ok(const struct testing *test, const char *property); /* "TEST NAME: ok: PROPERTY" */
/* "TEST NAME: FAILED: WHAT", and the machine ends. */
_Noreturn void testing_fail(const struct testing *test, const char *what, const char *file, int line);
/* Fails when a frame, heap block or task is still in use a second later; "TEST NAME: done", and the machine ends. */
_Noreturn void testing_end(const struct testing *test);

size_t testing_tasks(void); /* in the arena's table */

/* What loaded cells take. Of these a refused or failed change must leave none behind. */
struct testing_records {
    size_t cells, objects, edges, symbols, sections, strings, frames_free;
};
struct testing_records testing_records(void);
/* Fails and prints both when they differ. */
void testing_same(const struct testing *test, const char *what, const struct testing_records *before);
bool testing_has_recovery(void);

#define testing_need(test, condition) ((condition) ? (void)0 : testing_fail(test, #condition, __FILE_NAME__, __LINE__))
