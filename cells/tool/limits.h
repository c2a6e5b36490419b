/* What the loader does not take, for other reasons than types: refused here with the name of what is wrong. */
#pragma once
#include "cells/tool/declaration.h"
#include "cells/tool/elf_file.h"

/* What is kept of a file, by section and by symbol, and the symbols of its exports and roles; 0: no such role. */
struct kept {
    const struct elf_file *in;
    const bool *section, *symbol;
    const size_t *export, *role;
    size_t exports;
};

/* Prints what is wrong. */
enum err limits_check(const struct kept *kept);
