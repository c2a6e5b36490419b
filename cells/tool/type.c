/* See type.h. libdwfl applies the relocations of the debug sections of relocatable objects, for which it gives each section
 * an address of its own. */
#include "cells/tool/type.h"
#include "cells/tool/die.h"
#include "cells/tool/list.h"
#include "cells/tool/object.h"
#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 64 /* of nested scopes */

struct named {
    const char *name;
    bool declaration;
    Dwarf_Die die;
};

/* A function at the start of a section of its own. */
struct begun {
    size_t section;
    Dwarf_Die die;
};

struct types {
    Dwfl *dwfl;
    Elf *elf; /* with the addresses of its sections */
    Dwarf_Addr elf_bias;
    Dwarf_Addr bias;     /* of the unit that is being read */
    const char *unit;    /* its name */
    struct named *entry; /* sorted by name, definitions first */
    size_t entries, capacity;
    struct datum *datum; /* sorted by section and offset */
    size_t data, data_capacity;
    struct begun *begun; /* sorted by section */
    size_t begins, begun_capacity;
    struct tags tags;
};

static int by_name(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    return order ? order : (int)x->declaration - (int)y->declaration;
}

static int by_place(const void *a, const void *b)
{
    const struct datum *x = a, *y = b;

    if (x->section != y->section)
        return x->section < y->section ? -1 : 1;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static int by_section(const void *a, const void *b)
{
    const struct begun *x = a, *y = b;

    return (x->section > y->section) - (x->section < y->section);
}

static bool add_named(struct types *types, Dwarf_Die *die)
{
    int tag = dwarf_tag(die);
    Dwarf_Attribute a;

    if ((tag != DW_TAG_subprogram && tag != DW_TAG_variable) || !dwarf_diename(die) ||
        !dwarf_attr_integrate(die, DW_AT_external, &a))
        return true;
    struct named *entry = list_room(types->entry, types->entries, &types->capacity, sizeof *entry);
    if (!entry)
        return false;
    types->entry = entry;
    entry[types->entries++] =
        (struct named){.name = dwarf_diename(die), .declaration = die_flag(die, DW_AT_declaration), .die = *die};
    return true;
}

/* Empty sections share their addresses with what follows. */
static bool find_section(const struct types *types, Dwarf_Addr address, size_t *ret_section, uint64_t *ret_offset)
{
    Elf_Scn *section = NULL;
    GElf_Shdr header;

    while ((section = elf_nextscn(types->elf, section)) != NULL)
        if (gelf_getshdr(section, &header) && header.sh_flags & SHF_ALLOC &&
            address - header.sh_addr - types->elf_bias < header.sh_size) {
            *ret_section = elf_ndxscn(section);
            *ret_offset = address - header.sh_addr - types->elf_bias;
            return true;
        }
    return false;
}

/* Where the variable lies; false: in no section. */
static bool is_placed(const struct types *types, Dwarf_Die *die, size_t *ret_section, uint64_t *ret_offset)
{
    Dwarf_Attribute a;
    Dwarf_Op *op;
    size_t ops;

    return dwarf_getlocation(dwarf_attr(die, DW_AT_location, &a), &op, &ops) == 0 && ops == 1 &&
           op->atom == DW_OP_addr && find_section(types, op->number + types->bias, ret_section, ret_offset);
}

static bool add_datum(struct types *types, Dwarf_Die *die, const char *function)
{
    struct datum datum = {.name = dwarf_diename(die), .function = function, .unit = types->unit, .die = *die};
    Dwarf_Die type;
    Dwarf_Word bytes;

    if (dwarf_tag(die) != DW_TAG_variable || !is_placed(types, die, &datum.section, &datum.offset) || !datum.name ||
        !die_type(die, &type) || dwarf_aggregate_size(&type, &bytes) != 0)
        return true;
    datum.bytes = bytes;
    struct datum *room = list_room(types->datum, types->data, &types->data_capacity, sizeof *room);
    if (!room)
        return false;
    types->datum = room;
    room[types->data++] = datum;
    return true;
}

static bool add_function(struct types *types, Dwarf_Die *die)
{
    Dwarf_Addr start;
    uint64_t offset;
    struct begun begun = {.die = *die};

    if (dwarf_tag(die) != DW_TAG_subprogram || dwarf_lowpc(die, &start) != 0 ||
        !find_section(types, start + types->bias, &begun.section, &offset) || offset != 0)
        return true;
    struct begun *room = list_room(types->begun, types->begins, &types->begun_capacity, sizeof *room);
    if (!room)
        return false;
    types->begun = room;
    room[types->begins++] = begun;
    return true;
}

static bool is_scope(Dwarf_Die *die)
{
    int tag = dwarf_tag(die);

    return tag == DW_TAG_subprogram || tag == DW_TAG_lexical_block || tag == DW_TAG_inlined_subroutine;
}

static bool add_scope(struct types *types, Dwarf_Die *scope, const char *function, unsigned depth)
{
    Dwarf_Die child;

    if (dwarf_tag(scope) == DW_TAG_subprogram || dwarf_tag(scope) == DW_TAG_inlined_subroutine)
        function = dwarf_diename(scope);

    if (depth == DEPTH_MAX || dwarf_child(scope, &child) != 0)
        return true;
    do
        if ((depth == 0 && (!add_named(types, &child) || !add_function(types, &child))) ||
            !add_datum(types, &child, function) || !tags_add(&types->tags, &child) ||
            (is_scope(&child) && !add_scope(types, &child, function, depth + 1)))
            return false;
    while (dwarf_siblingof(&child, &child) == 0);
    return true;
}

/* The assembler describes its functions without their types: those stay unknown. */
static bool add_unit(struct types *types, Dwarf_Die *unit)
{
    types->unit = dwarf_diename(unit);
    return die_number(unit, DW_AT_language, 0) == DW_LANG_Mips_Assembler || add_scope(types, unit, NULL, 0);
}

/* A function that is inlined has its variables once more in each instance. */
static void drop_doubles(struct types *types)
{
    size_t kept = 0;

    for (size_t i = 0; i < types->data; i++)
        if (kept == 0 || by_place(&types->datum[kept - 1], &types->datum[i]) != 0)
            types->datum[kept++] = types->datum[i];
    types->data = kept;
}

static const char *fill(struct types *types, const char *path)
{
    static const Dwfl_Callbacks callbacks = {.find_elf = dwfl_build_id_find_elf,
                                             .find_debuginfo = dwfl_standard_find_debuginfo,
                                             .section_address = dwfl_offline_section_address};
    Dwarf_Die *unit = NULL;

    types->dwfl = dwfl_begin(&callbacks);
    Dwfl_Module *module = types->dwfl ? dwfl_report_offline(types->dwfl, path, path, -1) : NULL;
    if (!module || dwfl_report_end(types->dwfl, NULL, NULL) != 0)
        return dwfl_errmsg(-1);
    if (!dwfl_module_getdwarf(module, &types->bias))
        return "no DWARF; compile with -g";
    types->elf = dwfl_module_getelf(module, &types->elf_bias);
    if (!types->elf)
        return dwfl_errmsg(-1);
    while ((unit = dwfl_module_nextcu(module, unit, &types->bias)) != NULL)
        if (!add_unit(types, unit))
            return "out of memory";
    if (types->entries)
        qsort(types->entry, types->entries, sizeof *types->entry, by_name);
    if (types->data)
        qsort(types->datum, types->data, sizeof *types->datum, by_place);
    drop_doubles(types);
    if (types->begins)
        qsort(types->begun, types->begins, sizeof *types->begun, by_section);
    tags_sort(&types->tags);
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
    tags_done(&types->tags);
    free(types->begun);
    free(types->datum);
    free(types->entry);
    free(types);
}

bool types_find(const struct types *types, const char *symbol, Dwarf_Die *ret_die)
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
        return false;
    *ret_die = die_abstract(types->entry[low].die);
    return true;
}

uint64_t types_hash(const struct types *types, const char *symbol)
{
    Dwarf_Die die;

    if (!types_find(types, symbol, &die))
        return 0;
    return dwarf_tag(&die) == DW_TAG_subprogram ? hash_function(&die, NULL) : hash_variable(&die);
}

uint64_t types_deep_hash(const struct types *types, const char *function)
{
    Dwarf_Die die;

    return types_find(types, function, &die) && dwarf_tag(&die) == DW_TAG_subprogram ? hash_function(&die, &types->tags)
                                                                                     : 0;
}

bool types_function(const struct types *types, size_t section, const char *name, Dwarf_Die *ret_die)
{
    size_t i = 0;

    while (i < types->begins && types->begun[i].section < section)
        i++;
    for (; i < types->begins && types->begun[i].section == section; i++) {
        Dwarf_Die die = die_abstract(types->begun[i].die);
        const char *found = dwarf_diename(&die);
        if (found && strcmp(found, name) == 0) {
            *ret_die = die;
            return true;
        }
    }
    return false;
}

const struct tags *types_tags(const struct types *types)
{
    return &types->tags;
}

static bool covers(const struct datum *datum, size_t count, uint64_t bytes, uint64_t align)
{
    uint64_t end = 0;

    for (size_t i = 0; i < count; i++) {
        if (datum[i].offset < end || datum[i].offset - end >= align || datum[i].offset > bytes ||
            datum[i].bytes > bytes - datum[i].offset)
            return false;
        end = datum[i].offset + datum[i].bytes;
    }
    return end == bytes || bytes - end < align;
}

const struct datum *types_data(const struct types *types, size_t section, uint64_t bytes, uint64_t align,
                               size_t *ret_count)
{
    size_t first = 0, count = 0;

    while (first < types->data && types->datum[first].section < section)
        first++;
    while (first + count < types->data && types->datum[first + count].section == section)
        count++;
    if (!count || !covers(&types->datum[first], count, bytes, align ?: 1)) {
        *ret_count = 0;
        return NULL;
    }
    *ret_count = count;
    return &types->datum[first];
}
