/* See section_name.h. */
#include "cells/tool/section_name.h"
#include "cells/tool/list.h"
#include "guest/abi/fnv.h"
#include <stdlib.h>
#include <string.h>

/* A function of the file, as a datum without a type: its identity is found in the same way. */
struct code {
    struct datum *function; /* sorted by section and offset */
    const char **symbol;    /* of each, as the file has it */
    size_t functions, capacity, symbols;
};

static void code_done(struct code *code)
{
    free(code->function);
    free(code->symbol);
}

static bool is_function_in(const struct elf_file *in, size_t symbol, size_t section)
{
    const GElf_Sym *sym = &in->symbol[symbol].sym;

    return sym->st_shndx == section && GELF_ST_TYPE(sym->st_info) == STT_FUNC;
}

/* Whether the section is called like that function; of several names of one, that is its own. */
static bool is_called(const char *section, const char *function)
{
    size_t a = strlen(section), b = strlen(function);

    return a > b && section[a - b - 1] == '.' && strcmp(section + a - b, function) == 0;
}

const char *section_function(const struct elf_file *in, size_t section)
{
    const char *found = NULL;

    for (size_t i = 1; i < in->symbols; i++) {
        const char *name = in->symbol[i].name;
        if (!is_function_in(in, i, section))
            continue;
        if (in->symbol[i].sym.st_value != 0)
            return NULL;
        if (!found || is_called(in->section[section].name, name))
            found = name;
    }
    return found;
}

/* ---- functions ---- */

static bool add_code(struct code *code, const struct types *types, size_t section, const struct symbol *s)
{
    struct datum function = {.name = s->name, .section = section, .offset = s->sym.st_value};
    struct described described;

    if (types_function(types, section, s->sym.st_value, s->name, &described)) {
        function.name = described.name;
        function.function = described.function;
        function.unit = described.unit;
        function.die = described.die;
    }
    struct datum *room = list_room(code->function, code->functions, &code->capacity, sizeof *room);
    if (!room)
        return false;
    code->function = room;
    const char **symbol = list_room(code->symbol, code->functions, &code->symbols, sizeof *symbol);
    if (!symbol)
        return false;
    code->symbol = symbol;
    symbol[code->functions] = s->name;
    room[code->functions++] = function;
    return true;
}

/* The next function behind offset `from` of the section; of several names the one that the section has. NULL: none. */
static const struct symbol *next_function(const struct elf_file *in, size_t section, uint64_t from)
{
    const struct symbol *next = NULL;

    for (size_t i = 1; i < in->symbols; i++) {
        const struct symbol *s = &in->symbol[i];
        if (!is_function_in(in, i, section) || s->sym.st_value < from)
            continue;
        bool own = next && s->sym.st_value == next->sym.st_value && is_called(in->section[section].name, s->name);
        if (!next || s->sym.st_value < next->sym.st_value || own)
            next = s;
    }
    return next;
}

static bool list_code(struct code *code, const struct elf_file *in, const struct types *types)
{
    for (size_t i = 1; i < in->sections; i++) {
        const struct symbol *s;
        uint64_t from = 0;
        if (!(in->section[i].header.sh_flags & SHF_EXECINSTR))
            continue;
        while ((s = next_function(in, i, from))) {
            if (!add_code(code, types, i, s))
                return false;
            from = s->sym.st_value + 1;
        }
    }
    return true;
}

static uint64_t add_text(uint64_t hash, const char *text)
{
    return fnv_add(hash, text, strlen(text) + 1);
}

static uint64_t add_number(uint64_t hash, uint64_t number)
{
    return fnv_add(hash, &number, sizeof number);
}

/* Functions that are in one section are found there by their order. */
static const char *name_code(struct names *made, const struct elf_file *in, const struct code *code, size_t section)
{
    const char *name = in->section[section].name;
    size_t first = 0, count = 0;
    uint64_t hash = FNV_START;

    while (first < code->functions && code->function[first].section < section)
        first++;
    for (; first + count < code->functions && code->function[first + count].section == section; count++) {
        struct datum *f = &code->function[first + count];
        hash = add_number(add_text(hash, f->identity), f->salt);
        hash = add_number(hash, f->die.addr ? hash_function(&f->die, NULL) : 0);
    }
    if (count == 1 && code->function[first].offset == 0 && !code->function[first].salt)
        return identity_of_function(made, name, code->symbol[first], &code->function[first]);
    return count ? identity_of_several(made, name, hash) : name;
}

/* ---- data ---- */

static bool is_listed(const struct datum *data, size_t count, uint64_t offset)
{
    for (size_t i = 0; i < count; i++)
        if (data[i].offset == offset)
            return true;
    return false;
}

/* Whether the section has data that no variable is: what the compiler has made has the name of its number. */
static bool has_unlisted(const struct elf_file *in, size_t section, const struct datum *data, size_t count)
{
    for (size_t i = 1; i < in->symbols; i++) {
        const GElf_Sym *sym = &in->symbol[i].sym;
        if (sym->st_shndx == section && GELF_ST_TYPE(sym->st_info) == STT_OBJECT && sym->st_size &&
            !is_listed(data, count, sym->st_value))
            return true;
    }
    return false;
}

struct contents {
    const struct elf_file *in;
    uint64_t hash;
};

static bool add_relocation(void *context, const GElf_Rela *r)
{
    struct contents *c = context;
    size_t s = GELF_R_SYM(r->r_info);
    const struct symbol *symbol = s < c->in->symbols ? &c->in->symbol[s] : NULL;

    c->hash = add_number(add_number(c->hash, r->r_offset), (uint64_t)r->r_addend);
    if (!symbol)
        return true;
    bool named = GELF_ST_TYPE(symbol->sym.st_info) != STT_SECTION || symbol->sym.st_shndx >= c->in->sections;
    c->hash = add_text(c->hash, named ? symbol->name : c->in->section[symbol->sym.st_shndx].name);
    return true;
}

static uint64_t hash_contents(const struct elf_file *in, size_t section, uint64_t hash)
{
    const struct section *s = &in->section[section];
    struct contents c = {in, s->bytes ? fnv_add(hash, s->data, s->bytes) : hash};

    for (size_t i = 1; i < in->sections; i++)
        if (in->section[i].header.sh_type == SHT_RELA && in->section[i].header.sh_info == section)
            (void)elf_file_relocations(in, i, add_relocation, &c);
    return c.hash;
}

/* Constants have no type that a swap compares. */
static const char *name_constants(struct names *made, const struct elf_file *in, const struct types *types, size_t i)
{
    const char *name = in->section[i].name;
    size_t count;
    const struct datum *data = types_listed(types, i, &count);
    bool unlisted = has_unlisted(in, i, data, count);
    uint64_t hash = FNV_START;

    if (!unlisted && count == 1 && data->offset == 0 && !data->salt)
        return identity_of_data(made, name, data);
    for (size_t k = 0; k < count; k++) {
        hash = add_number(add_text(hash, data[k].identity), data[k].salt);
        hash = add_number(hash, data[k].offset);
    }
    if (unlisted)
        hash = hash_contents(in, i, hash);
    return count || unlisted ? identity_of_several(made, name, hash) : name;
}

static const char *name_data(struct names *made, const struct elf_file *in, const struct types *types, size_t i)
{
    const struct section *s = &in->section[i];
    size_t count;
    const struct datum *data = types_data(types, i, s->header.sh_size, s->header.sh_addralign, &count);

    return count == 1 ? identity_of_data(made, s->name, data) : s->name;
}

/* ---- all ---- */

static const char *name_section(struct names *made, const struct elf_file *in, const struct types *types,
                                const struct code *code, size_t i)
{
    const struct section *s = &in->section[i];
    const char *better;

    if (!(s->header.sh_flags & SHF_ALLOC))
        return s->name;
    if (s->header.sh_flags & SHF_EXECINSTR)
        better = name_code(made, in, code, i);
    else if (s->header.sh_flags & SHF_WRITE)
        better = name_data(made, in, types, i);
    else
        better = name_constants(made, in, types, i);
    return better != s->name && elf_file_section(in, better) ? s->name : better;
}

enum err section_names_make(struct section_names *ret_names, const struct elf_file *in, const struct types *types)
{
    CLOSED_BY(code_done) struct code code = {0};
    CLOSED_BY(section_names_done)
    struct section_names names = {.name = calloc(in->sections + 1, sizeof *names.name)};

    if (!names.name || !list_code(&code, in, types) || !identify_data(code.function, code.functions, in, &names.made))
        return complain(ERR_NOMEM, in->path, "out of memory");
    for (size_t i = 0; i < in->sections; i++)
        names.name[i] = name_section(&names.made, in, types, &code, i);
    if (names.made.failed)
        return complain(ERR_NOMEM, in->path, "out of memory");
    *ret_names = names;
    names = (struct section_names){0};
    return ERR_OK;
}

void section_names_done(struct section_names *names)
{
    free(names->name);
    names_done(&names->made);
    *names = (struct section_names){0};
}
