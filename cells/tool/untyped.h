/* Refuses what has no type that is known in full: a swap would take it for the same as anything. */
#pragma once
#include "cells/tool/elf_file.h"
#include "cells/tool/type.h"

/* Prints what is wrong with a symbol's type and how to mend it. ERR_OK: it is known. */
enum err untyped_export(const struct elf_file *in, const char *symbol, enum type_known known);
enum err untyped_import(const struct elf_file *in, const char *symbol, enum type_known known);
/* The same of a section of static data, of which `data` is described, but not all, or not in full. */
enum err untyped_data(const struct elf_file *in, size_t section, const struct datum *data, size_t count);
/* The same of functions in a section, exported or not. Those that are assembled with -g need no type. */
enum err untyped_functions(const struct elf_file *in, const struct types *types, size_t section);
