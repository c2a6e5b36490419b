/* What a cell's static data, and what it refers to, must be, from DWARF and from what the source declares: NOTE_RULES
 * (guest/abi/note.h). A structure belongs to the cell if it is declared in the cell's folder, or in that of another
 * version; what belongs to others is known by its tag and size only, unless it is held by value. */
#pragma once
#include "cells/tool/declaration.h"
#include "cells/tool/type.h"
#include "introspect/base/own.h"

struct rules;

struct rules *rules_new(const struct types *types); /* NULL: no memory */
void rules_free(struct rules *rules);               /* accepts NULL */
OWNABLE(rules, rules_free)
/* Adds the static data of section `name`, number `section` of the cell object. */
void rules_add(struct rules *rules, const char *name, uint32_t section, uint64_t bytes, const struct datum *data,
               size_t count);
/* Adds the structures that an exported function takes or gives, which are opaque to other cells, perhaps. */
void rules_add_function(struct rules *rules, Dwarf_Die *function);
/* Adds what the source declares. Prints which structure or field there is not, or is of another kind. */
enum err rules_add_invariants(struct rules *rules, const struct declaration *declaration, const char *path);
/* Makes the contents of the note, owned by the caller; NULL and 0 bytes: there are no rules. False: no memory. */
bool rules_note(struct rules *rules, void **ret_note, size_t *ret_bytes);
