/* The loader on the real image and the real archive, as suites begin with it: what must hold after each of their tests,
 * and what is loaded in the root, by name. */
#pragma once
#include "cells/core/report/report.h"
#include "tests/hosted/stand_in.h"

/* A fresh machine with nothing loaded but the image. */
void loaded_boot(void);

/* Asserts that nothing is in use that was not: frames, mappings, records, strings. */
void loaded_assert_same(const struct stand_in_use *a, const struct stand_in_use *b);

/* Asserts that the records are sound, and that each section and each edge is in memory as its record says. */
void loaded_check(void);

/* What there must be in the root: a cell; its section of that name, the bytes of that section, and their first word;
 * the address of an exported symbol. */
struct cell_ref loaded_cell(const char *name);
struct section_ref loaded_section(const char *cell, const char *name);
uint8_t *loaded_bytes(const char *cell, const char *section);
uint64_t loaded_word(const char *cell, const char *section);
uint64_t loaded_address(const char *symbol);

/* Stages the kept object `kept` in the root, in place of the cell of its name if there is one. */
enum err loaded_stage(struct object_ref kept, struct cell_ref *ret_cell, struct report *ret_report);
