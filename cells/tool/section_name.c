/* See section_name.h. */
#include "cells/tool/section_name.h"
#include <stdlib.h>
#include <string.h>

const char *section_function(const struct elf_file *in, size_t section)
{
    const char *found = NULL;

    for (size_t i = 1; i < in->symbols; i++) {
        const GElf_Sym *sym = &in->symbol[i].sym;
        if (sym->st_shndx != section || GELF_ST_TYPE(sym->st_info) != STT_FUNC)
            continue;
        if (found || sym->st_value != 0)
            return NULL;
        found = in->symbol[i].name;
    }
    return found;
}

static const char *name_section(struct names *made, const struct elf_file *in, const struct types *types, size_t i)
{
    const struct section *s = &in->section[i];
    const char *function = s->header.sh_flags & SHF_EXECINSTR ? section_function(in, i) : NULL;
    size_t count;
    const struct datum *data = types_data(types, i, s->header.sh_size, s->header.sh_addralign, &count);
    const char *better = identity_of_section(made, s->name, data, count, function);

    return better != s->name && elf_file_section(in, better) ? s->name : better;
}

enum err section_names_make(struct section_names *ret_names, const struct elf_file *in, const struct types *types)
{
    CLOSED_BY(section_names_done)
    struct section_names names = {.name = calloc(in->sections + 1, sizeof *names.name)};

    for (size_t i = 0; names.name && i < in->sections; i++)
        names.name[i] =
            in->section[i].header.sh_flags & SHF_ALLOC ? name_section(&names.made, in, types, i) : in->section[i].name;
    if (!names.name || names.made.failed)
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
