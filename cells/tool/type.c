/* See type.h. libdwfl applies the relocations of the debug sections of relocatable objects. */
#include "cells/tool/type.h"
#include "cells/tool/object.h"
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 64 /* of nested types; deeper is cut off on both sides alike */

struct named {
    const char *name;
    bool declaration;
    Dwarf_Die die;
};

struct types {
    Dwfl *dwfl;
    struct named *entry; /* sorted by name, definitions first */
    size_t entries, capacity;
};

struct text {
    uint64_t hash;
    unsigned depth;
    bool open_array; /* the next array is that of a variable */
};

static void put(struct text *t, const char *words)
{
    for (const char *p = words; *p; p++)
        t->hash = (t->hash ^ (uint8_t)*p) * 0x100000001b3;
    t->hash = (t->hash ^ 0xff) * 0x100000001b3; /* ends a word: "ab" "c" is not "a" "bc" */
}

static void put_number(struct text *t, uint64_t value)
{
    char digits[24];

    snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    put(t, digits);
}

static uint64_t number(Dwarf_Die *die, unsigned attribute, uint64_t missing)
{
    Dwarf_Attribute a;
    Dwarf_Word value;

    return dwarf_formudata(dwarf_attr_integrate(die, attribute, &a), &value) == 0 ? value : missing;
}

static bool flag(Dwarf_Die *die, unsigned attribute)
{
    Dwarf_Attribute a;
    bool value;

    return dwarf_formflag(dwarf_attr(die, attribute, &a), &value) == 0 && value;
}

/* The type of `die`; false for void. */
static bool type_of(Dwarf_Die *die, Dwarf_Die *ret_type)
{
    Dwarf_Attribute a;

    return dwarf_formref_die(dwarf_attr_integrate(die, DW_AT_type, &a), ret_type) != NULL;
}

/* Sees through typedefs and, with `qualifiers`, through const, volatile and the like. False: it was void. */
static bool peel(Dwarf_Die *type, bool qualifiers)
{
    for (;;) {
        switch (dwarf_tag(type)) {
        case DW_TAG_typedef:
        case DW_TAG_restrict_type:
            break;
        case DW_TAG_const_type:
        case DW_TAG_volatile_type:
            if (qualifiers)
                break;
            return true;
        default:
            return true;
        }
        Dwarf_Die inner;
        if (!type_of(type, &inner))
            return false;
        *type = inner;
    }
}

static void put_type(struct text *t, Dwarf_Die *holder, bool strip, bool behind);

static void put_members(struct text *t, Dwarf_Die *type, bool behind)
{
    Dwarf_Die child;

    put_number(t, number(type, DW_AT_byte_size, 0));
    if (dwarf_child(type, &child) != 0)
        return;
    do {
        switch (dwarf_tag(&child)) {
        case DW_TAG_member:
            put(t, dwarf_diename(&child) ?: "-");
            put_number(t, number(&child, DW_AT_data_member_location, 0));
            put_number(t, number(&child, DW_AT_data_bit_offset, 0));
            put_number(t, number(&child, DW_AT_bit_size, 0));
            put_type(t, &child, false, behind);
            break;
        case DW_TAG_enumerator:
            put(t, dwarf_diename(&child) ?: "-");
            put_number(t, number(&child, DW_AT_const_value, 0));
            break;
        default:
            break;
        }
    } while (dwarf_siblingof(&child, &child) == 0);
}

/* `extern int table[]` is the same variable as `int table[8]`: the first dimension of a variable does not count. */
static void put_array(struct text *t, Dwarf_Die *type, bool behind)
{
    Dwarf_Die child;
    bool counts = !t->open_array;

    t->open_array = false;
    put(t, "array");
    if (dwarf_child(type, &child) == 0)
        do {
            if (counts)
                put_number(t, number(&child, DW_AT_count, number(&child, DW_AT_upper_bound, UINT64_MAX) + 1));
            counts = true;
        } while (dwarf_siblingof(&child, &child) == 0);
    put_type(t, type, false, behind);
}

static void put_function(struct text *t, Dwarf_Die *function, bool behind)
{
    Dwarf_Die child;

    put(t, "function");
    put_type(t, function, true, behind);
    if (dwarf_child(function, &child) == 0)
        do {
            if (dwarf_tag(&child) == DW_TAG_formal_parameter)
                put_type(t, &child, true, behind);
            else if (dwarf_tag(&child) == DW_TAG_unspecified_parameters)
                put(t, "...");
        } while (dwarf_siblingof(&child, &child) == 0);
    put(t, "end");
}

/* Structures, unions, enumerations. `behind` a pointer the tag alone, but for those without one. */
static void put_tagged(struct text *t, Dwarf_Die *type, const char *what, bool behind)
{
    const char *tag = dwarf_diename(type);

    t->open_array = false;
    put(t, what);
    put(t, tag ?: "-");
    if (!tag || (!behind && !flag(type, DW_AT_declaration)))
        put_members(t, type, behind);
}

static void put_base(struct text *t, Dwarf_Die *type)
{
    put(t, "base");
    put_number(t, number(type, DW_AT_encoding, 0));
    put_number(t, number(type, DW_AT_byte_size, 0));
}

static void put_peeled(struct text *t, Dwarf_Die *type, bool behind)
{
    switch (dwarf_tag(type)) {
    case DW_TAG_base_type:
        put_base(t, type);
        break;
    case DW_TAG_pointer_type:
        t->open_array = false;
        put(t, "*");
        put_type(t, type, false, true);
        break;
    case DW_TAG_const_type:
        put(t, "const");
        put_type(t, type, false, behind);
        break;
    case DW_TAG_volatile_type:
        put(t, "volatile");
        put_type(t, type, false, behind);
        break;
    case DW_TAG_atomic_type:
        put(t, "atomic");
        put_type(t, type, false, behind);
        break;
    case DW_TAG_structure_type:
        put_tagged(t, type, "struct", behind);
        break;
    case DW_TAG_union_type:
        put_tagged(t, type, "union", behind);
        break;
    case DW_TAG_enumeration_type:
        put_tagged(t, type, "enum", behind);
        break;
    case DW_TAG_array_type:
        put_array(t, type, behind);
        break;
    case DW_TAG_subroutine_type:
        put_function(t, type, behind);
        break;
    default:
        put_number(t, (uint64_t)dwarf_tag(type));
        break;
    }
}

/* The type that `holder` (a variable, member, parameter, pointer, function result) names. */
static void put_type(struct text *t, Dwarf_Die *holder, bool strip, bool behind)
{
    Dwarf_Die type;

    if (!type_of(holder, &type) || !peel(&type, strip)) {
        put(t, "void");
        return;
    }
    if (t->depth == DEPTH_MAX) {
        put(t, "deep");
        return;
    }
    t->depth++;
    put_peeled(t, &type, behind);
    t->depth--;
}

/* A concrete instance of an inlined function leaves parameters out that its abstract one has. */
static Dwarf_Die abstract(Dwarf_Die die)
{
    Dwarf_Attribute a;
    Dwarf_Die origin;

    return dwarf_formref_die(dwarf_attr(&die, DW_AT_abstract_origin, &a), &origin) ? origin : die;
}

static int by_name(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    return order ? order : (int)x->declaration - (int)y->declaration;
}

static bool add(struct types *types, Dwarf_Die *die)
{
    int tag = dwarf_tag(die);
    Dwarf_Attribute a;

    if ((tag != DW_TAG_subprogram && tag != DW_TAG_variable) || !dwarf_diename(die) ||
        !dwarf_attr_integrate(die, DW_AT_external, &a))
        return true;
    if (types->entries == types->capacity) {
        size_t capacity = types->capacity ? 2 * types->capacity : 256;
        struct named *grown = reallocarray(types->entry, capacity, sizeof *grown);
        if (!grown)
            return false;
        types->entry = grown;
        types->capacity = capacity;
    }
    types->entry[types->entries++] =
        (struct named){.name = dwarf_diename(die), .declaration = flag(die, DW_AT_declaration), .die = *die};
    return true;
}

/* The assembler describes its functions without their types: those stay unknown. */
static bool add_unit(struct types *types, Dwarf_Die *unit)
{
    Dwarf_Die child;

    if (number(unit, DW_AT_language, 0) == DW_LANG_Mips_Assembler || dwarf_child(unit, &child) != 0)
        return true;
    do
        if (!add(types, &child))
            return false;
    while (dwarf_siblingof(&child, &child) == 0);
    return true;
}

static const char *fill(struct types *types, const char *path)
{
    static const Dwfl_Callbacks callbacks = {.find_elf = dwfl_build_id_find_elf,
                                             .find_debuginfo = dwfl_standard_find_debuginfo,
                                             .section_address = dwfl_offline_section_address};
    Dwarf_Addr bias;
    Dwarf_Die *unit = NULL;

    types->dwfl = dwfl_begin(&callbacks);
    Dwfl_Module *module = types->dwfl ? dwfl_report_offline(types->dwfl, path, path, -1) : NULL;
    if (!module || dwfl_report_end(types->dwfl, NULL, NULL) != 0)
        return dwfl_errmsg(-1);
    if (!dwfl_module_getdwarf(module, &bias))
        return "no DWARF; compile with -g";
    while ((unit = dwfl_module_nextcu(module, unit, &bias)) != NULL)
        if (!add_unit(types, unit))
            return "out of memory";
    if (types->entries)
        qsort(types->entry, types->entries, sizeof *types->entry, by_name);
    return NULL;
}

struct types *types_open(const char *path)
{
    struct types *types = calloc(1, sizeof *types);
    const char *problem = types ? fill(types, path) : "out of memory";

    if (!problem)
        return types;
    (void)complain(ERR_CORRUPT, path, "%s", problem);
    types_close(types);
    return NULL;
}

void types_close(struct types *types)
{
    if (!types)
        return;
    if (types->dwfl)
        dwfl_end(types->dwfl);
    free(types->entry);
    free(types);
}

uint64_t types_hash(const struct types *types, const char *symbol)
{
    size_t low = 0, high = types->entries;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (strcmp(types->entry[middle].name, symbol) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == types->entries || strcmp(types->entry[low].name, symbol) != 0)
        return 0;

    Dwarf_Die die = abstract(types->entry[low].die);
    struct text t = {.hash = 0xcbf29ce484222325};

    if (dwarf_tag(&die) == DW_TAG_subprogram) {
        put_function(&t, &die, false);
    } else {
        put(&t, "variable");
        t.open_array = true;
        put_type(&t, &die, false, false);
    }
    return t.hash ? t.hash : 1;
}
