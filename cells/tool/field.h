/* The parts of a type that are compared one by one: numbers, elements of arrays, members of structures. */
#pragma once
#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIMENSIONS_MAX 8

/* Finds the type that `holder` names, behind typedefs and qualifiers. False: void. */
bool field_type(Dwarf_Die *holder, Dwarf_Die *ret_type);
uint64_t field_type_bytes(Dwarf_Die *type); /* 0: not known */

enum number { NUMBER_NONE, NUMBER_SIGNED, NUMBER_UNSIGNED, NUMBER_BOOL };
/* What the values of a base type or an enumeration are. */
enum number field_number(Dwarf_Die *type);

struct array {
    Dwarf_Die holder; /* of the element's type */
    uint64_t dimension[DIMENSIONS_MAX], element_bytes;
    size_t dimensions;
};
/* An array of arrays has the dimensions of both. False: they are not known, or too many. */
bool array_read(struct array *ret_array, Dwarf_Die *type);
/* How many bytes are between two elements of a dimension. */
uint64_t array_stride(const struct array *array, size_t dimension);

struct field {
    const char *name;
    Dwarf_Die die;
    uint64_t bit;  /* offset in the structure */
    uint64_t bits; /* width of a bit field; else 0 */
    bool paired;
};
struct fields {
    struct field *field; /* owned */
    size_t fields, capacity;
};
/* Lists the fields of a structure. Members of an anonymous structure belong to the outer one; an anonymous union has
 * the name of its first member. False: no memory. */
bool fields_read(Dwarf_Die *type, struct fields *fields);
void fields_done(struct fields *fields); /* accepts zeros */
/* The width of a field, whether or not it is a bit field. */
uint64_t field_bits(struct field *field);
