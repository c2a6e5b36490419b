/* See field.h. */
#include "cells/tool/field.h"
#include "cells/tool/die.h"
#include "cells/tool/list.h"
#include <dwarf.h>
#include <string.h>

#define DEPTH_MAX 32

/* ---- types ---- */

bool field_type(Dwarf_Die *holder, Dwarf_Die *ret_type)
{
    if (!die_type(holder, ret_type))
        return false;
    while (die_peel(ret_type, true) && dwarf_tag(ret_type) == DW_TAG_atomic_type) {
        Dwarf_Die inner;
        if (!die_type(ret_type, &inner))
            return false;
        *ret_type = inner;
    }
    return true;
}

uint64_t field_type_bytes(Dwarf_Die *type)
{
    Dwarf_Word bytes;

    return dwarf_aggregate_size(type, &bytes) == 0 ? bytes : 0;
}

enum number field_number(Dwarf_Die *type)
{
    Dwarf_Die under;
    uint64_t encoding = die_number(type, DW_AT_encoding, 0);

    if (!encoding && dwarf_tag(type) == DW_TAG_enumeration_type && field_type(type, &under))
        encoding = die_number(&under, DW_AT_encoding, 0);
    switch (encoding) {
    case DW_ATE_signed:
    case DW_ATE_signed_char:
        return NUMBER_SIGNED;
    case DW_ATE_unsigned:
    case DW_ATE_unsigned_char:
    case DW_ATE_UTF:
        return NUMBER_UNSIGNED;
    case DW_ATE_boolean:
        return NUMBER_BOOL;
    default:
        return NUMBER_NONE;
    }
}

/* ---- arrays ---- */

static bool read_dimensions(struct array *array, Dwarf_Die *type)
{
    Dwarf_Die child;

    if (dwarf_child(type, &child) != 0)
        return false;
    do {
        if (dwarf_tag(&child) != DW_TAG_subrange_type)
            continue;
        if (array->dimensions == DIMENSIONS_MAX)
            return false;
        array->dimension[array->dimensions++] = die_elements(&child);
    } while (dwarf_siblingof(&child, &child) == 0);
    return true;
}

bool array_read(struct array *ret_array, Dwarf_Die *type)
{
    struct array array = {.holder = *type};
    Dwarf_Die element;

    do {
        if (!read_dimensions(&array, &array.holder) || !field_type(&array.holder, &element))
            return false;
        if (dwarf_tag(&element) == DW_TAG_array_type)
            array.holder = element;
    } while (dwarf_tag(&element) == DW_TAG_array_type);
    array.element_bytes = field_type_bytes(&element);
    *ret_array = array;
    return true;
}

uint64_t array_stride(const struct array *array, size_t dimension)
{
    uint64_t bytes = array->element_bytes;

    while (++dimension < array->dimensions)
        bytes *= array->dimension[dimension];
    return bytes;
}

/* ---- structures ---- */

void fields_done(struct fields *fields)
{
    free(fields->field);
}

static const char *first_name(Dwarf_Die *type)
{
    Dwarf_Die child;

    if (dwarf_child(type, &child) != 0)
        return "";
    return dwarf_diename(&child) ?: "";
}

static bool read_nested(Dwarf_Die *type, uint64_t base, struct fields *fields, unsigned depth)
{
    Dwarf_Die child, inner;

    if (depth == DEPTH_MAX || dwarf_child(type, &child) != 0)
        return true;
    do {
        if (dwarf_tag(&child) != DW_TAG_member)
            continue;
        const char *name = dwarf_diename(&child);
        uint64_t bit = 0, bits = 0;
        (void)die_member_bit(&child, &bit, &bits); /* it has been hashed, so it is understood */
        bit += base;
        if (!name && field_type(&child, &inner)) {
            if (dwarf_tag(&inner) == DW_TAG_structure_type) {
                if (!read_nested(&inner, bit, fields, depth + 1))
                    return false;
                continue;
            }
            name = first_name(&inner);
        }
        struct field *room = list_room(fields->field, fields->fields, &fields->capacity, sizeof *room);
        if (!room)
            return false;
        fields->field = room;
        room[fields->fields++] = (struct field){.name = name ?: "", .die = child, .bit = bit, .bits = bits};
    } while (dwarf_siblingof(&child, &child) == 0);
    return true;
}

bool fields_read(Dwarf_Die *type, struct fields *fields)
{
    return read_nested(type, 0, fields, 0);
}

uint64_t field_bits(struct field *field)
{
    Dwarf_Die type;

    return field->bits ?: field_type(&field->die, &type) ? 8 * field_type_bytes(&type) : 0;
}
