/* Packs what a cell object keeps of a file: sections, relocations, the symbols they need, and the cell's notes. */
#pragma once
#include "cells/tool/elf_file.h"
#include "cells/tool/declaration.h"
#include "cells/tool/type.h"

/* What differs between a cell's object and that of the image's entry point. */
struct packing {
    /* Decides whether a section other than symbol tables and relocations is kept. Prints why one is refused. */
    enum err (*section)(const struct elf_file *in, size_t index, bool *ret_keep);
    enum err (*relocation)(const struct elf_file *in, size_t rela, const GElf_Rela *relocation);
    bool untyped;       /* what has no type is taken all the same */
    const void *places; /* contents of section NOTE_IMAGE; NULL: none */
    size_t places_bytes;
};

/* Writes to file `out` what is kept of `in`, and the notes that the declaration and the types give. Prints what is
 * wrong; there is no file then. */
enum err pack_object(const struct elf_file *in, const struct packing *packing, const struct declaration *declaration,
                     const struct types *types, const char *out);
