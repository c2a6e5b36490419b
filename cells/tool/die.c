/* See die.h. */
#include "cells/tool/die.h"
#include <dwarf.h>

#define PEEL_MAX 256 /* typedefs of typedefs; a circle is damage */

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

bool die_type(Dwarf_Die *die, Dwarf_Die *ret_type)
{
    Dwarf_Attribute a;

    return dwarf_formref_die(dwarf_attr_integrate(die, DW_AT_type, &a), ret_type) != NULL;
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

uint64_t die_elements(Dwarf_Die *child)
{
    return die_number(child, DW_AT_count, die_number(child, DW_AT_upper_bound, UINT64_MAX) + 1);
}
