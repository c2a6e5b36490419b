/* Packs what a cell object keeps of a file: sections, relocations, the symbols they need, and the cell's notes. */
#pragma once
#include "cells/tool/object.h"
#include "cells/tool/say.h"
#include "cells/tool/type.h"

/* What differs between a cell's object and the one of the image's way in. */
struct packing {
    /* Whether a section other than symbol tables and relocations is kept; ERR_OK or complains. */
    enum err (*section)(const struct object *in, size_t index, bool *ret_keep);
    enum err (*relocation)(const struct object *in, size_t rela, const GElf_Rela *relocation);
    const void *places; /* contents of section NOTE_IMAGE; NULL: none */
    size_t places_bytes;
};

enum err pack(const struct object *in, const struct packing *packing, const struct say *say, const struct types *types,
              const char *out);
