/* Reading DWARF entries: attributes with a value for what is missing, and the types that entries name. */
#pragma once
#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stdint.h>

uint64_t die_number(Dwarf_Die *die, unsigned attribute, uint64_t missing);
bool die_flag(Dwarf_Die *die, unsigned attribute);
/* The type that `die` names; false: none, which is C's void. */
bool die_type(Dwarf_Die *die, Dwarf_Die *ret_type);
/* Sees through typedefs and `restrict`, and with `qualifiers` through const and volatile. False: it was void. */
bool die_peel(Dwarf_Die *type, bool qualifiers);
/* What a concrete instance of an inlined function, or of a variable in it, is an instance of; else itself. */
Dwarf_Die die_abstract(Dwarf_Die die);
/* Number of the array's elements in dimension `child`; 0: it is open. */
uint64_t die_elements(Dwarf_Die *child);
