/* See datum.h. */
#include "cells/tool/datum.h"
#include <string.h>

/* The section of static data that the symbol is all of; 0: there is none. */
static size_t section_of(const struct elf_file *in, const bool *kept, const struct symbol *s)
{
    size_t section = s->sym.st_shndx;

    if (section == SHN_UNDEF || section >= in->sections || !kept[section])
        return 0;
    const GElf_Shdr *h = &in->section[section].header;
    bool is_all = GELF_ST_TYPE(s->sym.st_info) == STT_OBJECT && s->sym.st_value == 0 && s->sym.st_size == h->sh_size;
    return is_all && h->sh_flags & SHF_WRITE ? section : 0;
}

static enum err mark(const struct elf_file *in, const struct declared_datum *datum, const bool *kept,
                     uint8_t *ret_datum)
{
    const char *what = declaration_datum(datum->what);
    size_t found = 0;

    for (size_t i = 1; i < in->symbols; i++) {
        size_t section = strcmp(in->symbol[i].name, datum->name) == 0 ? section_of(in, kept, &in->symbol[i]) : 0;
        if (section && found)
            return complain(ERR_EXISTS, in->path, "%s %s: two data of that name", what, datum->name);
        if (section)
            found = section;
    }
    if (!found)
        return complain(ERR_NOT_FOUND, in->path, "%s %s: no static datum that is a section by itself (-fdata-sections)",
                        what, datum->name);
    if (datum->what == DATUM_SOFT && in->section[found].header.sh_type != SHT_NOBITS)
        return complain(ERR_INVALID, in->path, "%s %s: it is not zero at first", what, datum->name);
    ret_datum[found] = (uint8_t)datum->what;
    return ERR_OK;
}

enum err datum_mark(const struct elf_file *in, const struct declaration *declaration, const bool *kept,
                    uint8_t *ret_datum)
{
    enum err e = ERR_OK;

    for (size_t i = 0; i < declaration->data && e == ERR_OK; i++)
        e = mark(in, &declaration->datum[i], kept, ret_datum);
    return e;
}
