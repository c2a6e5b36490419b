/* See type.h. libdwfl applies the relocations of the debug sections of relocatable objects, for which it gives each
 * section an address of its own. */
#include "cells/tool/type.h"
#include "cells/tool/die.h"
#include "cells/tool/identity.h"
#include "cells/tool/location.h"
#include "cells/tool/list.h"
#include "cells/tool/elf_file.h"
#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "guest/abi/fnv.h"
#include "guest/abi/note.h"

#define DEPTH_MAX  64  /* of nested scopes */
#define NAME_BYTES 256 /* of a member's path */

enum { LANG_C17 = 0x2c }; /* not in every dwarf.h */

struct named {
    const char *name;
    bool declaration;
    Dwarf_Die die;
};

/* Where a function begins, or a part of one. */
struct start {
    size_t section;
    uint64_t offset;
    const char *function, *unit; /* that it is in; NULL: in no function */
    Dwarf_Die die;
};

/* Where what is read stands. */
struct scope {
    Dwarf_Die *die;
    const char *function; /* NULL: outside of functions */
    bool local;           /* what is in there belongs to its file: it is in no function that other files see */
    unsigned depth;
};

/* Code of a unit. */
struct range {
    size_t section;
    uint64_t start, end;
};

struct types {
    Dwfl *dwfl;
    Elf *elf; /* with the addresses of its sections */
    Dwarf_Addr elf_bias;
    Dwarf_Addr bias;     /* of the unit that is being read */
    const char *unit;    /* its name */
    size_t units;        /* in C */
    struct named *entry; /* sorted by name, definitions first */
    size_t entries, capacity;
    struct datum *datum; /* sorted by section and offset */
    size_t data, data_capacity;
    struct start *start; /* sorted by section */
    size_t starts, start_capacity;
    struct range *range;
    size_t ranges, range_capacity;
    struct names names; /* that are not in the file */
    struct tags tags;
};

static int compare_names_of_types(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    return order ? order : (int)x->declaration - (int)y->declaration;
}

static int compare_places_of_data(const void *a, const void *b)
{
    const struct datum *x = a, *y = b;

    if (x->section != y->section)
        return x->section < y->section ? -1 : 1;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static int compare_starts(const void *a, const void *b)
{
    const struct start *x = a, *y = b;

    return (x->section > y->section) - (x->section < y->section);
}

static bool is_external(Dwarf_Die *die)
{
    Dwarf_Attribute a;

    return dwarf_attr_integrate(die, DW_AT_external, &a) != NULL;
}

/* Of what is in a block only declarations: that of a function of another file may stand there. */
static bool add_named(struct types *types, Dwarf_Die *die, bool in_block)
{
    int tag = dwarf_tag(die);
    bool declaration = die_flag(die, DW_AT_declaration);

    if ((tag != DW_TAG_subprogram && tag != DW_TAG_variable) || !dwarf_diename(die) || (in_block && !declaration) ||
        !is_external(die))
        return true;
    struct named *entry = list_room(types->entry, types->entries, &types->capacity, sizeof *entry);
    if (!entry)
        return false;
    types->entry = entry;
    entry[types->entries++] = (struct named){.name = dwarf_diename(die), .declaration = declaration, .die = *die};
    return true;
}

/* Empty sections share their addresses with what follows. */
static bool find_section_at(const struct types *types, Dwarf_Addr address, size_t *ret_section, uint64_t *ret_offset)
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

/* Completes what is known of a datum by the place where the variable, or a part of it, is. False: it has no type
 * there. */
static bool place_datum(struct types *types, const struct location *at, struct datum *datum)
{
    Dwarf_Die variable = datum->die, type;
    char path[NAME_BYTES];
    Dwarf_Word bytes;

    if (!find_section_at(types, at->address + types->bias, &datum->section, &datum->offset) ||
        !die_type(&variable, &type) || dwarf_aggregate_size(&type, &bytes) != 0)
        return false;
    datum->bytes = at->part ?: bytes;
    if (at->part && location_member(&variable, at->offset, at->part, &datum->die, path, sizeof path))
        datum->name = names_join(&types->names, datum->name, path, "");
    else if (at->part && location_is_bits(&variable, at->offset, at->part))
        datum->form = fnv_add(FNV_START, &at->offset, sizeof at->offset);
    else if (at->part)
        return false;
    if (at->form) {
        datum->form ^= at->form;
        datum->bytes = at->stored;
    }
    return datum->bytes != 0;
}

static bool add_datum(struct types *types, Dwarf_Die *die, const struct scope *scope)
{
    struct location at[LOCATIONS_MAX];

    if (dwarf_tag(die) != DW_TAG_variable || !dwarf_diename(die))
        return true;
    size_t count = location_read(die, at);
    for (size_t i = 0; i < count; i++) {
        struct datum datum = {.name = dwarf_diename(die),
                              .function = scope->function,
                              .unit = types->unit,
                              .local = scope->local && !is_external(die),
                              .die = *die};
        if (!place_datum(types, &at[i], &datum))
            continue;
        struct datum *room = list_room(types->datum, types->data, &types->data_capacity, sizeof *room);
        if (!room)
            return false;
        types->datum = room;
        room[types->data++] = datum;
    }
    return true;
}

static bool add_start(struct types *types, Dwarf_Die *die, Dwarf_Addr address, const char *function)
{
    struct start start = {.function = function, .unit = types->unit, .die = *die};

    if (!find_section_at(types, address + types->bias, &start.section, &start.offset))
        return true;
    struct start *room = list_room(types->start, types->starts, &types->start_capacity, sizeof *room);
    if (!room)
        return false;
    types->start = room;
    room[types->starts++] = start;
    return true;
}

/* One that the compiler has taken apart begins in several sections; symbols tell which is its entry. */
static bool add_function(struct types *types, Dwarf_Die *die, const char *function)
{
    Dwarf_Addr base, start, end;
    bool fits = true;

    if (dwarf_tag(die) != DW_TAG_subprogram)
        return true;
    for (ptrdiff_t at = 0; fits && (at = dwarf_ranges(die, at, &base, &start, &end)) > 0;)
        fits = add_start(types, die, start, function);
    return fits;
}

static bool is_scope(Dwarf_Die *die)
{
    int tag = dwarf_tag(die);

    return tag == DW_TAG_subprogram || tag == DW_TAG_lexical_block || tag == DW_TAG_inlined_subroutine;
}

static bool add_scope(struct types *types, struct scope scope)
{
    int tag = dwarf_tag(scope.die);
    Dwarf_Die child;

    if (tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine) {
        scope.function = dwarf_diename(scope.die);
        scope.local = !is_external(scope.die);
    }
    if (scope.depth == DEPTH_MAX || dwarf_child(scope.die, &child) != 0)
        return true;
    do
        if (!add_named(types, &child, scope.depth > 0) || !add_function(types, &child, scope.function) ||
            !add_datum(types, &child, &scope) || !tags_add(&types->tags, &child) ||
            (is_scope(&child) &&
             !add_scope(types, (struct scope){&child, scope.function, scope.local, scope.depth + 1})))
            return false;
    while (dwarf_siblingof(&child, &child) == 0);
    return true;
}

static bool add_ranges(struct types *types, Dwarf_Die *unit)
{
    Dwarf_Addr base, start, end;

    for (ptrdiff_t at = 0; (at = dwarf_ranges(unit, at, &base, &start, &end)) > 0;) {
        struct range range;
        if (start == end || !find_section_at(types, start + types->bias, &range.section, &range.start))
            continue;
        range.end = range.start + (end - start);
        struct range *room = list_room(types->range, types->ranges, &types->range_capacity, sizeof *room);
        if (!room)
            return false;
        types->range = room;
        room[types->ranges++] = range;
    }
    return true;
}

static bool is_c(uint64_t language)
{
    return language == DW_LANG_C89 || language == DW_LANG_C || language == DW_LANG_C99 || language == DW_LANG_C11 ||
           language == LANG_C17;
}

/* Returns what is wrong, or NULL. The assembler describes its functions without their types. */
static const char *add_unit(struct types *types, Dwarf_Die *unit)
{
    uint64_t language = die_number(unit, DW_AT_language, 0);

    types->unit = dwarf_diename(unit);
    if (dwarf_hasattr(unit, DW_AT_dwo_name) || dwarf_hasattr(unit, DW_AT_GNU_dwo_name))
        return "its types are in a file of their own; compile without -gsplit-dwarf";
    if (language != DW_LANG_Mips_Assembler && !is_c(language))
        return "has a unit in another language than C, whose types are not known";
    types->units += language != DW_LANG_Mips_Assembler;
    if (!add_ranges(types, unit) ||
        (language != DW_LANG_Mips_Assembler && !add_scope(types, (struct scope){.die = unit, .local = true})))
        return "out of memory";
    return NULL;
}

/* Returns why types may be where they are not looked for, or NULL. */
static const char *find_other_places(Elf *elf)
{
    Elf_Scn *section = NULL;
    size_t names, units = 0;
    GElf_Shdr header;

    if (elf_getshdrstrndx(elf, &names) != 0)
        return "has no readable section table";
    while ((section = elf_nextscn(elf, section)) != NULL) {
        const char *name = gelf_getshdr(section, &header) ? elf_strptr(elf, names, header.sh_name) : NULL;
        if (!name)
            continue;
        units += strcmp(name, ".debug_info") == 0 || strcmp(name, ".zdebug_info") == 0;
        if (strcmp(name, ".debug_types") == 0 || units > 1)
            return "has types in units of their own; compile without -fdebug-types-section";
        if (strcmp(name, ".gnu_debugaltlink") == 0)
            return "has types in another file; do not run dwz on it";
    }
    return NULL;
}

/* Where there is one file, it may be called otherwise in another version. */
static void forget_only_file(struct types *types)
{
    for (size_t i = 0; i < types->data && types->units == 1; i++)
        types->datum[i].local = false;
}

/* Each instance of an inlined function describes its static variables again. */
static void drop_doubles(struct types *types)
{
    size_t kept = 0;

    for (size_t i = 0; i < types->data; i++)
        if (kept == 0 || compare_places_of_data(&types->datum[kept - 1], &types->datum[i]) != 0)
            types->datum[kept++] = types->datum[i];
    types->data = kept;
}

static const char *sort_types(struct types *types, const struct elf_file *file)
{
    if (types->entries)
        qsort(types->entry, types->entries, sizeof *types->entry, compare_names_of_types);
    if (types->data)
        qsort(types->datum, types->data, sizeof *types->datum, compare_places_of_data);
    drop_doubles(types);
    forget_only_file(types);
    if (types->starts)
        qsort(types->start, types->starts, sizeof *types->start, compare_starts);
    tags_sort(&types->tags);
    return identify_data(types->datum, types->data, file, &types->names) && !types->names.failed ? NULL
                                                                                                 : "out of memory";
}

/* libdwfl reads files: it gets what has been read before, not what the path names by now. */
static Dwfl_Module *report_file(Dwfl *dwfl, const struct elf_file *file)
{
    OWN(descriptor) int copy = memfd_create("object", MFD_CLOEXEC);

    for (size_t done = 0; copy >= 0 && done < file->bytes;) {
        ssize_t n = write(copy, file->data + done, file->bytes - done);
        if (n < 0)
            return NULL;
        done += (size_t)n;
    }
    Dwfl_Module *module = copy < 0 ? NULL : dwfl_report_offline(dwfl, file->path, file->path, copy);
    if (module)
        copy = -1; /* it is the module's */
    return module;
}

/* Returns what is wrong, or NULL. */
static const char *read_types(struct types *types, const struct elf_file *file)
{
    static const Dwfl_Callbacks callbacks = {.find_elf = dwfl_build_id_find_elf,
                                             .find_debuginfo = dwfl_standard_find_debuginfo,
                                             .section_address = dwfl_offline_section_address};
    Dwarf_Die *unit = NULL;

    types->dwfl = dwfl_begin(&callbacks);
    Dwfl_Module *module = types->dwfl ? report_file(types->dwfl, file) : NULL;
    if (!module || dwfl_report_end(types->dwfl, NULL, NULL) != 0)
        return dwfl_errmsg(-1);
    if (!dwfl_module_getdwarf(module, &types->bias))
        return "no DWARF; compile with -g, and do not strip it";
    types->elf = dwfl_module_getelf(module, &types->elf_bias);
    if (!types->elf)
        return dwfl_errmsg(-1);
    const char *problem = find_other_places(types->elf);
    while (!problem && (unit = dwfl_module_nextcu(module, unit, &types->bias)) != NULL)
        problem = add_unit(types, unit);
    return problem ?: sort_types(types, file);
}

struct types *types_open(const struct elf_file *file)
{
    OWN(types) struct types *types = calloc(1, sizeof *types);
    const char *problem = types ? read_types(types, file) : "out of memory";

    if (!problem)
        return MOVE(types);
    (void)complain(ERR_CORRUPT, file->path, "%s", problem);
    return NULL;
}

void types_close(struct types *types)
{
    if (!types)
        return;
    if (types->dwfl)
        dwfl_end(types->dwfl);
    tags_done(&types->tags);
    names_done(&types->names);
    free(types->range);
    free(types->start);
    free(types->datum);
    free(types->entry);
    free(types);
}

/* The first entry of that name, or where it would be. */
static size_t first_named(const struct types *types, const char *symbol)
{
    size_t low = 0, high = types->entries;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (strcmp(types->entry[middle].name, symbol) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_named(const struct types *types, size_t entry, const char *symbol)
{
    return entry < types->entries && strcmp(types->entry[entry].name, symbol) == 0;
}

bool types_find(const struct types *types, const char *symbol, Dwarf_Die *ret_die)
{
    size_t i = first_named(types, symbol);

    if (!is_named(types, i, symbol))
        return false;
    *ret_die = die_abstract(types->entry[i].die);
    return true;
}

/* The description that TYPED(symbol) leaves: a pointer to the symbol's type. */
static bool find_typed(const struct types *types, const char *symbol, Dwarf_Die *ret_pointer)
{
    for (size_t i = 0; i < types->data; i++) {
        const char *name = types->datum[i].name;
        if (strncmp(name, NOTE_TYPED, sizeof NOTE_TYPED - 1) == 0 &&
            strcmp(name + sizeof NOTE_TYPED - 1, symbol) == 0 && die_type(&types->datum[i].die, ret_pointer) &&
            die_peel(ret_pointer, true))
            return true;
    }
    return false;
}

static struct types_of hash_typed(const struct types *types, Dwarf_Die *pointer)
{
    struct types_of of = {.known = TYPE_PARTIAL};
    Dwarf_Die type;

    if (!die_type(pointer, &type) || !die_peel(&type, true))
        return of;
    if (dwarf_tag(&type) != DW_TAG_subroutine_type)
        of = (struct types_of){hash_variable(pointer, &types->tags), 0, TYPE_KNOWN};
    else if (die_has_prototype(&type))
        of = (struct types_of){hash_function(&type, NULL), hash_function(&type, &types->tags), TYPE_KNOWN};
    return of.hash ? of : (struct types_of){.known = TYPE_PARTIAL};
}

static struct types_of hash_described(const struct types *types, Dwarf_Die *die)
{
    struct types_of of = {.known = TYPE_KNOWN};

    if (dwarf_tag(die) != DW_TAG_subprogram)
        of.hash = hash_variable(die, &types->tags);
    else if (die_has_prototype(die))
        of.hash = hash_function(die, NULL), of.deep = hash_function(die, &types->tags);
    return of.hash ? of : (struct types_of){.known = TYPE_PARTIAL};
}

/* Where units differ in what they say of a symbol, its type is not known. */
struct types_of types_hash(const struct types *types, const char *symbol)
{
    struct types_of of = {.known = TYPE_MISSING};
    uint64_t of_compiler = hash_of_compiler(symbol);
    Dwarf_Die pointer;

    for (size_t i = first_named(types, symbol); is_named(types, i, symbol); i++) {
        Dwarf_Die die = die_abstract(types->entry[i].die);
        struct types_of found = hash_described(types, &die);
        if (of_compiler && found.known == TYPE_PARTIAL)
            continue;
        if (of.known == TYPE_MISSING)
            of = found;
        else if (found.known == TYPE_PARTIAL || of.known == TYPE_PARTIAL)
            of.known = TYPE_PARTIAL;
        else if (found.hash != of.hash)
            of.known = TYPE_DIFFERS;
    }
    if (of.known == TYPE_MISSING && find_typed(types, symbol, &pointer))
        of = hash_typed(types, &pointer);
    if (of.known == TYPE_MISSING && of_compiler)
        of = (struct types_of){of_compiler, of_compiler, TYPE_KNOWN};
    return of.known == TYPE_KNOWN ? of : (struct types_of){.known = of.known};
}

/* Whether the symbol is called like the function, or "FUNCTION.SOMETHING" of one whose name is not enough: nested in
 * another, or there several times. What compilers make of a function for some of its callers has another type. */
static bool is_symbol_of(const char *function, const char *symbol)
{
    static const char *const made[] = {".constprop", ".isra", ".part", ".cold"};
    size_t n = strlen(function);

    if (strncmp(function, symbol, n) != 0 || (symbol[n] && symbol[n] != '.'))
        return false;
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        if (strstr(symbol + n, made[i]))
            return false;
    return true;
}

bool types_function(const struct types *types, size_t section, uint64_t offset, const char *symbol,
                    struct described *ret_function)
{
    size_t i = 0;

    while (i < types->starts && types->start[i].section < section)
        i++;
    for (; i < types->starts && types->start[i].section == section; i++) {
        const struct start *start = &types->start[i];
        struct described found = {start->unit, start->function, NULL, die_abstract(start->die)};
        found.name = dwarf_diename(&found.die);
        if (start->offset == offset && found.name && is_symbol_of(found.name, symbol)) {
            *ret_function = found;
            return true;
        }
    }
    return false;
}

bool types_describe_code(const struct types *types, size_t section, uint64_t offset)
{
    for (size_t i = 0; i < types->ranges; i++)
        if (types->range[i].section == section && offset >= types->range[i].start && offset < types->range[i].end)
            return true;
    return false;
}

const struct tags *types_tags(const struct types *types)
{
    return &types->tags;
}

/* An array without a length at the end of a datum has as many elements as there is room for. */
static bool covers_section(const struct datum *datum, size_t count, uint64_t bytes, uint64_t align)
{
    uint64_t end = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t next = i + 1 < count ? datum[i + 1].offset : bytes;
        Dwarf_Die die = datum[i].die;
        if (datum[i].offset < end || datum[i].offset - end >= align || datum[i].offset > bytes ||
            datum[i].bytes > bytes - datum[i].offset)
            return false;
        end = datum[i].offset + datum[i].bytes;
        if (!datum[i].form && end < next && die_is_open(&die))
            end = next;
    }
    return end == bytes || bytes - end < align;
}

const struct datum *types_listed(const struct types *types, size_t section, size_t *ret_count)
{
    size_t first = 0, count = 0;

    while (first < types->data && types->datum[first].section < section)
        first++;
    while (first + count < types->data && types->datum[first + count].section == section)
        count++;
    *ret_count = count;
    return count ? &types->datum[first] : NULL;
}

const struct datum *types_data(const struct types *types, size_t section, uint64_t bytes, uint64_t align,
                               size_t *ret_count)
{
    const struct datum *data = types_listed(types, section, ret_count);

    if (data && covers_section(data, *ret_count, bytes, align ?: 1))
        return data;
    *ret_count = 0;
    return NULL;
}
