/* What the sections of a cell object are called: by the datum or function that each consists of, so that a swap finds
 * its pair whatever the compiler called the section. */
#pragma once
#include "cells/tool/elf_file.h"
#include "cells/tool/identity.h"
#include "cells/tool/type.h"

struct section_names {
    const char **name; /* by section of the file; borrowed from it, or from `made` */
    struct names made;
};

/* Chooses the names. Prints that memory is out. */
enum err section_names_make(struct section_names *ret_names, const struct elf_file *in, const struct types *types);
void section_names_done(struct section_names *names); /* accepts zeros */

/* The function that the section consists of; NULL: it is none, or several. */
const char *section_function(const struct elf_file *in, size_t section);
