/* Where a variable is in memory, from its DWARF location. Understood are an address, also one that the unit lists by
 * index, with an offset; several of them, each with a part of the variable; and a value that is computed from what one
 * address holds. */
#pragma once
#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOCATIONS_MAX 64 /* parts of a variable */

struct location {
    Dwarf_Addr address;
    uint64_t offset, part; /* which bytes of the variable are there; part 0: all */
    uint64_t form;         /* hash of how the value is computed from so many `stored` bytes; 0: it is what is there */
    uint64_t stored;
};

/* Finds the places of a variable. Returns their number; 0: it is not in memory, or in a way that is not understood. */
size_t location_read(Dwarf_Die *variable, struct location ret_location[LOCATIONS_MAX]);

/* Finds the member or element of `variable` that is its bytes `offset` to `offset` + `bytes`: what holds its type, and
 * its path behind the variable's name. False: there is none. */
bool location_member(Dwarf_Die *variable, uint64_t offset, uint64_t bytes, Dwarf_Die *ret_holder, char *ret_path,
                     size_t room);
/* Whether these bytes hold nothing but bit fields. */
bool location_is_bits(Dwarf_Die *variable, uint64_t offset, uint64_t bytes);
