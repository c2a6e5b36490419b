/* Reads DWARF entries: attributes, with a value for those that are missing, and the types that entries name. */
#pragma once
#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stdint.h>

#define PEEL_MAX 256 /* typedefs of typedefs, arrays of arrays; a circle is damage */

/* An attribute as a number, or `missing`. */
uint64_t die_number(Dwarf_Die *die, unsigned attribute, uint64_t missing);
bool die_flag(Dwarf_Die *die, unsigned attribute);
/* Whether a function, or type of functions, says which arguments it takes. */
bool die_has_prototype(Dwarf_Die *function);
/* Whether `holder` refers to void, by naming no type where that means void. */
bool die_is_void(Dwarf_Die *holder);
/* Finds the type that `die` names. False: none, which is C's void. */
bool die_type(Dwarf_Die *die, Dwarf_Die *ret_type);
/* Replaces a typedef or `restrict` type by the type behind it, with `qualifiers` also const and volatile. False:
 * void. */
bool die_peel(Dwarf_Die *type, bool qualifiers);
/* Returns the abstract entry of an instance of an inlined function, or of a variable in one; else `die` itself. */
Dwarf_Die die_abstract(Dwarf_Die die);
/* Finds where in its structure a member begins, in bits, and the width of a bit field, else 0. False: in a way that is
 * not understood. */
bool die_member_bit(Dwarf_Die *member, uint64_t *ret_bit, uint64_t *ret_bits);
/* Returns the number of elements in dimension `child` of an array; 0: it is open. */
uint64_t die_elements(Dwarf_Die *child);
/* Whether the type that `holder` names is a structure that ends in an array without a length. */
bool die_is_open(Dwarf_Die *holder);
