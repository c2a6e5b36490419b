/* See untyped.h. */
#include "cells/tool/untyped.h"
#include <string.h>
#include "cells/tool/die.h"

static enum err untyped_symbol(const struct elf_file *in, const char *role, const char *symbol, enum type_known known,
                               const char *remedy)
{
    switch (known) {
    case TYPE_MISSING:
        return complain(ERR_WRONG_TYPE, in->path, "%s %s: nothing describes its type; %s", role, symbol, remedy);
    case TYPE_PARTIAL:
        return complain(ERR_WRONG_TYPE, in->path,
                        "%s %s: its type is not described in full; compile with -g (not -g1) and declare a function "
                        "with its arguments, or (void)",
                        role, symbol);
    case TYPE_DIFFERS:
        return complain(ERR_WRONG_TYPE, in->path,
                        "%s %s: files of this cell declare it with different types; declare it in one header", role,
                        symbol);
    default:
        return ERR_OK;
    }
}

enum err untyped_export(const struct elf_file *in, const char *symbol, enum type_known known)
{
    return untyped_symbol(in, "export", symbol, known,
                          "compile with -g, and say TYPED(...) of what is written in assembly");
}

enum err untyped_import(const struct elf_file *in, const char *symbol, enum type_known known)
{
    return untyped_symbol(in, "import", symbol, known,
                          "compile with -g, and say TYPED(...) of what only assembly uses, or what clang leaves out: "
                          "variables of other cells, and functions that are not called");
}

static bool is_described(const struct datum *data, size_t count, const GElf_Sym *sym)
{
    for (size_t i = 0; i < count; i++)
        if (data[i].offset == sym->st_value)
            return true;
    return false;
}

enum err untyped_data(const struct elf_file *in, size_t section, const struct datum *data, size_t count)
{
    const char *name = in->section[section].name;

    for (size_t i = 1; i < in->symbols; i++) {
        const struct symbol *s = &in->symbol[i];
        if (s->sym.st_shndx == section && GELF_ST_TYPE(s->sym.st_info) == STT_OBJECT && s->sym.st_size &&
            !is_described(data, count, &s->sym))
            return complain(ERR_WRONG_TYPE, in->path,
                            "%s in section %s: nothing describes its type in full; define it in C and compile with -g",
                            s->name, name);
    }
    return complain(ERR_WRONG_TYPE, in->path,
                    "section %s: not all of its data has a type that is described in full; define it in C and compile "
                    "with -g",
                    name);
}

enum err untyped_functions(const struct elf_file *in, const struct types *types, size_t section)
{
    for (size_t i = 1; i < in->symbols; i++) {
        const struct symbol *s = &in->symbol[i];
        struct described function;
        if (s->sym.st_shndx != section || GELF_ST_TYPE(s->sym.st_info) != STT_FUNC || !s->sym.st_size)
            continue;
        bool described = types_function(types, section, s->sym.st_value, s->name, &function);
        if (described ? !die_has_prototype(&function.die) || !hash_function(&function.die, NULL)
                      : !types_describe_code(types, section, s->sym.st_value))
            return untyped_symbol(in, "function", s->name, described ? TYPE_PARTIAL : TYPE_MISSING,
                                  "compile or assemble its file with -g");
    }
    return ERR_OK;
}
