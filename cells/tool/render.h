/* Types as C text. */
#pragma once
#include <elfutils/libdw.h>

/* The declaration of `name` (or "") with the type that `holder` names: "const struct slot *slots[4]". Owned by the
 * caller; NULL: no memory. */
char *render_type(Dwarf_Die *holder, const char *name);
/* The declaration of a function, or of a variable with the members of its structure. Owned by the caller; NULL: no
 * memory. */
char *render_symbol(Dwarf_Die *die);
