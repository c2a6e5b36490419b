/* Packs what a cell object keeps of a file: sections, relocations, the symbols they need, and the cell's notes. */
#pragma once
#include "cells/tool/object.h"
#include "cells/tool/say.h"
#include "cells/tool/type.h"

enum keep { KEEP_NOTHING = 0, KEEP_CONTENTS, KEEP_SIZE };

/* What differs between a cell's object and the nano_core's description. */
struct packing {
    /* Whether a section other than symbol tables and relocations is kept; ERR_OK or complains. */
    enum err (*section)(const struct object *in, size_t index, enum keep *ret_keep);
    enum err (*relocation)(const struct object *in, size_t rela, const GElf_Rela *relocation);
};

enum err pack(const struct object *in, const struct packing *packing, const struct say *say, const struct types *types,
              const char *out);
