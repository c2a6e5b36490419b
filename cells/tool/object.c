/* See object.h. Everything that indexes into the file is checked here once; later code relies on it. */
#include "cells/tool/object.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum err complain(enum err e, const char *path, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "%s: %s: ", program_invocation_short_name, path);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return e;
}

static enum err read_sections(struct object *o)
{
    size_t names;

    if (elf_getshdrnum(o->elf, &o->sections) != 0 || elf_getshdrstrndx(o->elf, &names) != 0 || o->sections == 0)
        return complain(ERR_CORRUPT, o->path, "has no readable section table");
    if (o->sections >= SHN_LORESERVE)
        return complain(ERR_RANGE, o->path, "has %zu sections; the tool handles fewer than %d", o->sections,
                        SHN_LORESERVE);
    o->section = calloc(o->sections, sizeof *o->section);
    if (!o->section)
        return complain(ERR_NOMEM, o->path, "out of memory");
    for (size_t i = 0; i < o->sections; i++) {
        struct section *s = &o->section[i];
        Elf_Scn *scn = elf_getscn(o->elf, i);

        if (!scn || !gelf_getshdr(scn, &s->header))
            return complain(ERR_CORRUPT, o->path, "section %zu: %s", i, elf_errmsg(-1));
        s->name = elf_strptr(o->elf, names, s->header.sh_name);
        if (!s->name)
            return complain(ERR_CORRUPT, o->path, "section %zu has no readable name", i);
        if (i == 0 || s->header.sh_type == SHT_NOBITS)
            continue;
        Elf_Data *data = elf_rawdata(scn, NULL);
        if (!data)
            return complain(ERR_CORRUPT, o->path, "section %s: %s", s->name, elf_errmsg(-1));
        s->data = data->d_buf;
        s->bytes = data->d_buf ? data->d_size : 0;
    }
    return ERR_OK;
}

static enum err read_symbols(struct object *o)
{
    size_t table = 0;

    for (size_t i = 1; i < o->sections && !table; i++)
        if (o->section[i].header.sh_type == SHT_SYMTAB)
            table = i;
    if (!table)
        return complain(ERR_CORRUPT, o->path, "has no symbol table; do not strip it");
    Elf_Data *data = elf_getdata(elf_getscn(o->elf, table), NULL);
    if (!data || o->section[table].header.sh_entsize != sizeof(Elf64_Sym))
        return complain(ERR_CORRUPT, o->path, "its symbol table cannot be read");
    o->symbols = data->d_size / sizeof(Elf64_Sym);
    o->symbol = calloc(o->symbols + 1, sizeof *o->symbol);
    if (!o->symbol)
        return complain(ERR_NOMEM, o->path, "out of memory");
    for (size_t i = 0; i < o->symbols; i++) {
        struct symbol *s = &o->symbol[i];

        if (!gelf_getsym(data, (int)i, &s->sym))
            return complain(ERR_CORRUPT, o->path, "symbol %zu: %s", i, elf_errmsg(-1));
        s->name = elf_strptr(o->elf, o->section[table].header.sh_link, s->sym.st_name);
        if (!s->name)
            return complain(ERR_CORRUPT, o->path, "symbol %zu has no readable name", i);
        if (s->sym.st_shndx == SHN_XINDEX || (s->sym.st_shndx < SHN_LORESERVE && s->sym.st_shndx >= o->sections))
            return complain(ERR_CORRUPT, o->path, "symbol %s is in section %u, which does not exist", s->name,
                            s->sym.st_shndx);
    }
    return ERR_OK;
}

static enum err check_header(struct object *o)
{
    if (elf_kind(o->elf) != ELF_K_ELF || !gelf_getehdr(o->elf, &o->header))
        return complain(ERR_NOT_ELF, o->path, "is not an ELF file");
    if (gelf_getclass(o->elf) != ELFCLASS64 || o->header.e_machine != EM_X86_64 ||
        o->header.e_ident[EI_DATA] != ELFDATA2LSB)
        return complain(ERR_WRONG_MACHINE, o->path, "is not for x86-64");
    return ERR_OK;
}

static enum err read_tables(struct object *o)
{
    enum err e = check_header(o);

    if (e == ERR_OK)
        e = read_sections(o);
    if (e == ERR_OK)
        e = read_symbols(o);
    return e;
}

enum err object_open(struct object *ret_object, const char *path)
{
    struct object o = {.path = path, .fd = open(path, O_RDONLY | O_CLOEXEC)};

    if (o.fd < 0)
        return complain(ERR_IO, path, "%s", strerror(errno));
    elf_version(EV_CURRENT);
    o.elf = elf_begin(o.fd, ELF_C_READ, NULL);
    enum err e = o.elf ? read_tables(&o) : complain(ERR_NOT_ELF, path, "%s", elf_errmsg(-1));
    if (e != ERR_OK) {
        object_close(&o);
        return e;
    }
    *ret_object = o;
    return ERR_OK;
}

void object_close(struct object *object)
{
    free(object->section);
    free(object->symbol);
    elf_end(object->elf);
    if (object->fd >= 0)
        close(object->fd);
    *object = (struct object){.fd = -1};
}

size_t object_section(const struct object *object, const char *name)
{
    for (size_t i = 1; i < object->sections; i++)
        if (strcmp(object->section[i].name, name) == 0)
            return i;
    return 0;
}

bool object_relocations(const struct object *object, size_t rela,
                        bool (*visit)(void *context, const GElf_Rela *relocation), void *context)
{
    const struct section *s = &object->section[rela];

    for (size_t at = 0; at + sizeof(Elf64_Rela) <= s->bytes; at += sizeof(Elf64_Rela)) {
        Elf64_Rela relocation;

        memcpy(&relocation, s->data + at, sizeof relocation);
        if (!visit(context, &relocation))
            return false;
    }
    return true;
}

enum err object_hash(const struct object *object, uint64_t *ret_hash)
{
    uint64_t hash = 0xcbf29ce484222325;
    uint8_t part[4096];
    ssize_t n;

    for (off_t at = 0; (n = pread(object->fd, part, sizeof part, at)) > 0; at += n)
        for (ssize_t i = 0; i < n; i++)
            hash = (hash ^ part[i]) * 0x100000001b3;
    *ret_hash = hash;
    return n == 0 ? ERR_OK : complain(ERR_IO, object->path, "%s", strerror(errno));
}
