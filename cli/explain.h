/* Why a swap was refused, when types are the reason: by the DWARF of objects that the host has. */
#pragma once
#include "cli/asking.h"

/* Copies the operands "OLD=NEW.o" of a call, before they are taken apart, into one block of memory, which the caller
 * owns; NULL ends them. NULL: no memory. */
char **explain_operands(const struct call *call);
/* After a refusal over types prints, on standard error, how the types of each new object differ from those of
 * the loaded cell, if that was made from CELL.o beside NEW.o or in build/cells. Nothing where that is not so. Cuts the
 * operands in pieces. */
void explain_types(const struct asking *asking, char *const *operands);
/* The same of one cell, if it was made from the object at `old_path`. False: it was not. */
bool explain_difference(const struct asking *asking, const char *cell, const char *old_path, const char *new_path);
