/* See limits.h. What it refuses, cells/core/loader/object.c refuses too. */
#include "cells/tool/limits.h"
#include <inttypes.h>
#include <string.h>
#include "guest/abi/note.h"
#include "guest/abi/object.h"

#define STACK ".note.GNU-stack"

static bool is_printable(const char *name)
{
    for (; *name; name++)
        if (*name < ' ' || *name > '~')
            return false;
    return true;
}

static enum err check_name(const struct elf_file *in, const char *what, size_t index, const char *name, int most)
{
    if (!is_printable(name))
        return complain(ERR_INVALID, in->path, "%s %zu: its name has characters that cannot be printed", what, index);
    if (strlen(name) > (size_t)most)
        return complain(ERR_RANGE, in->path, "%s %s: its name is longer than %d characters", what, name, most);
    return ERR_OK;
}

static enum err check_section(const struct elf_file *in, size_t index)
{
    const struct section *s = &in->section[index];
    const GElf_Shdr *h = &s->header;

    if (h->sh_addralign > OBJECT_ALIGN_MAX || h->sh_addralign & (h->sh_addralign - 1))
        return complain(ERR_UNSUPPORTED, in->path,
                        "section %s: alignment %" PRIu64 "; a cell's pages are aligned to %d bytes", s->name,
                        h->sh_addralign, OBJECT_ALIGN_MAX);
    if (h->sh_flags & SHF_WRITE && h->sh_flags & SHF_EXECINSTR)
        return complain(ERR_UNSUPPORTED, in->path, "section %s: writable and executable at once", s->name);
    if (h->sh_flags & SHF_TLS)
        return complain(ERR_UNSUPPORTED, in->path, "section %s: thread-local data is not supported", s->name);
    if (h->sh_type == SHT_NOBITS && !(h->sh_flags & SHF_WRITE))
        return complain(ERR_UNSUPPORTED, in->path, "section %s: read-only but without contents", s->name);
    if (h->sh_addr)
        return complain(ERR_UNSUPPORTED, in->path, "section %s: placed already; link with ld -r only", s->name);
    return check_name(in, "section", index, s->name, OBJECT_OWN_MAX);
}

static enum err check_sections(const struct kept *kept)
{
    const struct elf_file *in = kept->in;
    uint64_t bytes = 0;
    size_t tables = 0;
    enum err e = ERR_OK;

    for (size_t i = 1; i < in->sections && e == ERR_OK; i++) {
        const struct section *s = &in->section[i];
        if (strcmp(s->name, STACK) == 0 && s->header.sh_flags & SHF_EXECINSTR)
            return complain(ERR_UNSUPPORTED, in->path,
                            "asks for an executable stack: the address of a nested function is taken, or assembly says "
                            "so in section %s",
                            STACK);
        if (!kept->section[i])
            continue;
        e = check_section(in, i);
        bytes += s->header.sh_size;
        tables += strcmp(s->name, ".eh_frame") == 0 && s->header.sh_size;
        if (e == ERR_OK && (s->header.sh_size > OBJECT_REGION_MAX || bytes > OBJECT_REGION_MAX))
            e = complain(ERR_RANGE, in->path, "section %s: the cell is larger than %d bytes", s->name,
                         OBJECT_REGION_MAX);
    }
    if (e == ERR_OK && tables > 1)
        e = complain(ERR_UNSUPPORTED, in->path, "two sections .eh_frame; compile all files with the same compiler");
    return e;
}

static enum err check_type(const struct elf_file *in, const struct symbol *s)
{
    switch (GELF_ST_TYPE(s->sym.st_info)) {
    case STT_NOTYPE:
    case STT_OBJECT:
    case STT_FUNC:
    case STT_SECTION:
        return ERR_OK;
    case STT_GNU_IFUNC:
        return complain(ERR_UNSUPPORTED, in->path,
                        "%s is an indirect function (ifunc), whose resolver nobody runs; choose at run time with a "
                        "pointer",
                        s->name);
    case STT_TLS:
        return complain(ERR_UNSUPPORTED, in->path, "%s: thread-local data is not supported", s->name);
    default:
        return complain(ERR_UNSUPPORTED, in->path, "%s is a symbol of a type that the loader does not know", s->name);
    }
}

static enum err check_symbol(const struct elf_file *in, size_t index)
{
    const struct symbol *s = &in->symbol[index];
    enum err e = check_type(in, s);

    if (e == ERR_OK)
        e = check_name(in, "symbol", index, s->name, OBJECT_NAME_MAX);
    if (e != ERR_OK)
        return e;
    if (s->sym.st_shndx == SHN_UNDEF && GELF_ST_BIND(s->sym.st_info) == STB_WEAK)
        return complain(
            ERR_UNSUPPORTED, in->path,
            "import %s is weak, which the loader does not take: nobody would fill it in when a cell that has it comes "
            "later; declare it without the attribute",
            s->name);
    if (s->sym.st_shndx == SHN_ABS)
        return complain(ERR_BAD_RELOCATION, in->path, "%s is an absolute symbol, which the loader does not take",
                        s->name);
    if (s->sym.st_shndx < SHN_LORESERVE && s->sym.st_shndx != SHN_UNDEF) {
        uint64_t bytes = in->section[s->sym.st_shndx].header.sh_size;
        if (s->sym.st_value > bytes || s->sym.st_size > bytes - s->sym.st_value)
            return complain(ERR_CORRUPT, in->path, "%s reaches out of its section %s", s->name,
                            in->section[s->sym.st_shndx].name);
    }
    return ERR_OK;
}

static enum err check_declared(const struct kept *kept)
{
    const struct elf_file *in = kept->in;

    for (size_t i = 0; i < kept->exports; i++)
        if (strlen(in->symbol[kept->export[i]].name) >= NOTE_SYMBOL_BYTES)
            return complain(ERR_RANGE, in->path, "exported symbol %s: longer than %d characters",
                            in->symbol[kept->export[i]].name, NOTE_SYMBOL_BYTES - 1);
    for (enum declared_role r = 0; r < ROLES; r++) {
        const struct symbol *s = kept->role[r] ? &in->symbol[kept->role[r]] : NULL;
        if (s && (s->sym.st_value || !(in->section[s->sym.st_shndx].header.sh_flags & SHF_EXECINSTR)))
            return complain(ERR_UNSUPPORTED, in->path,
                            "%s %s: no function in a section of its own; compile with -ffunction-sections",
                            declaration_role[r], s->name);
    }
    return ERR_OK;
}

enum err limits_check(const struct kept *kept)
{
    enum err e = check_sections(kept);

    for (size_t i = 1; i < kept->in->symbols && e == ERR_OK; i++)
        if (kept->symbol[i])
            e = check_symbol(kept->in, i);
    return e == ERR_OK ? check_declared(kept) : e;
}
