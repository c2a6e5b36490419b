/* Which data of a cell are set once or soft, as its source says (cells/cell.h). */
#pragma once
#include "cells/tool/declaration.h"
#include "cells/tool/elf_file.h"

/* Writes enum note_datum into ret_datum[], by section of the file, for the data that are declared; only sections of
 * which kept[] is true count. Prints what is wrong: no such datum, or two; a soft one that is not zero at first. */
enum err datum_mark(const struct elf_file *in, const struct declaration *declaration, const bool *kept,
                    uint8_t *ret_datum);
