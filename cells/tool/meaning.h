/* What it means, in plain words, that a cell differs between two builds. */
#pragma once
#include "cells/tool/side.h"
#include <jansson.h>

/* { cell, functions: [{ function, what }], structures: [{ structure, what }], constants: [{ constant, what }] } of a
 * cell that both builds have: what has changed, in words. */
json_t *meaning_of(const struct side *old, const struct side *new_);

/* Whether functions or constants differ, beside notes and unwind tables; for an object without types. */
bool meaning_has_changes(const struct elf_file *old, const struct elf_file *new_);
