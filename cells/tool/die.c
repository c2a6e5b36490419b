/* See die.h. */
#include "cells/tool/die.h"
#include <dwarf.h>

uint64_t die_number(Dwarf_Die *die, unsigned attribute, uint64_t missing)
{
    Dwarf_Attribute a;
    Dwarf_Word value;

    return dwarf_formudata(dwarf_attr_integrate(die, attribute, &a), &value) == 0 ? value : missing;
}

bool die_flag(Dwarf_Die *die, unsigned attribute)
{
    Dwarf_Attribute a;
    bool value;

    return dwarf_formflag(dwarf_attr(die, attribute, &a), &value) == 0 && value;
}

bool die_has_prototype(Dwarf_Die *function)
{
    Dwarf_Attribute a;
    bool value;

    return dwarf_formflag(dwarf_attr_integrate(function, DW_AT_prototyped, &a), &value) == 0 && value;
}

bool die_type(Dwarf_Die *die, Dwarf_Die *ret_type)
{
    Dwarf_Attribute a;

    return dwarf_formref_die(dwarf_attr_integrate(die, DW_AT_type, &a), ret_type) != NULL;
}

bool die_is_void(Dwarf_Die *holder)
{
    Dwarf_Attribute a;

    if (dwarf_attr_integrate(holder, DW_AT_type, &a))
        return false;
    switch (dwarf_tag(holder)) {
    case DW_TAG_pointer_type:
    case DW_TAG_typedef:
    case DW_TAG_const_type:
    case DW_TAG_volatile_type:
    case DW_TAG_restrict_type:
    case DW_TAG_subroutine_type:
    case DW_TAG_subprogram:
    case DW_TAG_inlined_subroutine:
        return true;
    default:
        return false;
    }
}

static bool is_seen_through(const Dwarf_Die *type, bool qualifiers)
{
    switch (dwarf_tag((Dwarf_Die *)type)) {
    case DW_TAG_typedef:
    case DW_TAG_restrict_type:
        return true;
    case DW_TAG_const_type:
    case DW_TAG_volatile_type:
        return qualifiers;
    default:
        return false;
    }
}

bool die_peel(Dwarf_Die *type, bool qualifiers)
{
    for (int i = 0; i < PEEL_MAX && is_seen_through(type, qualifiers); i++) {
        Dwarf_Die inner;

        if (!die_type(type, &inner))
            return false;
        *type = inner;
    }
    return !is_seen_through(type, qualifiers);
}

Dwarf_Die die_abstract(Dwarf_Die die)
{
    Dwarf_Attribute a;
    Dwarf_Die origin;

    return dwarf_formref_die(dwarf_attr(&die, DW_AT_abstract_origin, &a), &origin) ? origin : die;
}

/* Until DWARF 3 the offset is an expression. */
static bool member_bytes(Dwarf_Die *member, uint64_t *ret_bytes)
{
    Dwarf_Attribute a;
    Dwarf_Word value;
    Dwarf_Op *op;
    size_t ops;

    *ret_bytes = 0;
    if (!dwarf_attr_integrate(member, DW_AT_data_member_location, &a))
        return true;
    if (dwarf_formudata(&a, &value) == 0) {
        *ret_bytes = value;
        return true;
    }
    if (dwarf_getlocation(&a, &op, &ops) != 0 || ops != 1 || op->atom != DW_OP_plus_uconst)
        return false;
    *ret_bytes = op->number;
    return true;
}

bool die_member_bit(Dwarf_Die *member, uint64_t *ret_bit, uint64_t *ret_bits)
{
    uint64_t bits = die_number(member, DW_AT_bit_size, 0), bytes;
    uint64_t below = die_number(member, DW_AT_data_bit_offset, 0), above = die_number(member, DW_AT_bit_offset, 0);
    Dwarf_Attribute a;
    Dwarf_Die type;
    Dwarf_Word unit = 0;

    if (!member_bytes(member, &bytes))
        return false;
    if (dwarf_attr_integrate(member, DW_AT_bit_offset, &a)) { /* counts from the other end of what holds the field */
        unit = die_number(member, DW_AT_byte_size, 0);
        if (!unit && (!die_type(member, &type) || dwarf_aggregate_size(&type, &unit) != 0))
            return false;
        below = 8 * unit - above - bits;
    }
    *ret_bit = 8 * bytes + below;
    *ret_bits = bits;
    return true;
}

uint64_t die_elements(Dwarf_Die *child)
{
    return die_number(child, DW_AT_count, die_number(child, DW_AT_upper_bound, UINT64_MAX) + 1);
}

/* The last child. */
static bool last_member(Dwarf_Die *type, Dwarf_Die *ret_member)
{
    Dwarf_Die child;
    bool found = false;

    if (dwarf_child(type, &child) != 0)
        return false;
    do
        if (dwarf_tag(&child) == DW_TAG_member) {
            *ret_member = child;
            found = true;
        }
    while (dwarf_siblingof(&child, &child) == 0);
    return found;
}

bool die_is_open(Dwarf_Die *holder)
{
    Dwarf_Die at = *holder, type, child;

    for (int i = 0; i < PEEL_MAX; i++) {
        if (!die_type(&at, &type) || !die_peel(&type, true))
            return false;
        if (dwarf_tag(&type) == DW_TAG_array_type)
            return i > 0 && dwarf_child(&type, &child) == 0 && die_elements(&child) == 0;
        if (dwarf_tag(&type) != DW_TAG_structure_type || !last_member(&type, &at))
            return false;
    }
    return false;
}
