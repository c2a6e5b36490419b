/* See elf_file.h. Everything that indexes into the file is checked here once; later code relies on it. */
#include "cells/tool/elf_file.h"
#include "guest/abi/object.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES     (1 << 16)
#define FILE_MIB_MAX   256 /* with DWARF; what a guest loads is at most a mailbox */
#define FILE_BYTES_MAX ((size_t)FILE_MIB_MAX << 20)

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

static enum err read_sections(struct elf_file *o)
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

static enum err read_symbols(struct elf_file *o)
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

static enum err check_file_header(struct elf_file *o)
{
    size_t bytes;
    const char *start = elf_rawfile(o->elf, &bytes);

    if (start && bytes >= 4 && memcmp(start, "BC\xc0\xde", 4) == 0)
        return complain(ERR_NOT_ELF, o->path, "is bitcode of LLVM, made with -flto; compile without it");
    if (elf_kind(o->elf) != ELF_K_ELF || !gelf_getehdr(o->elf, &o->header))
        return complain(ERR_NOT_ELF, o->path, "is not an ELF file");
    if (gelf_getclass(o->elf) != ELFCLASS64 || o->header.e_machine != EM_X86_64 ||
        o->header.e_ident[EI_DATA] != ELFDATA2LSB)
        return complain(ERR_WRONG_MACHINE, o->path, "is not for x86-64");
    return ERR_OK;
}

static enum err read_tables(struct elf_file *o)
{
    enum err e = check_file_header(o);

    if (e == ERR_OK)
        e = read_sections(o);
    if (e == ERR_OK)
        e = read_symbols(o);
    return e;
}

/* Until the end of the file, which may grow or shrink meanwhile, or until it is too large. False: errno says why. */
static bool read_contents(struct elf_file *o, int fd)
{
    struct stat stat;
    size_t room = 0;
    ssize_t n;

    if (fstat(fd, &stat) != 0)
        return false;
    if (stat.st_size > (off_t)FILE_BYTES_MAX)
        return errno = EFBIG, false;
    do {
        if (o->bytes == room) {
            room = 2 * room + READ_BYTES;
            uint8_t *data = realloc(o->data, room);
            if (!data)
                return false;
            o->data = data;
        }
        n = read(fd, o->data + o->bytes, room - o->bytes);
        o->bytes += n > 0 ? (size_t)n : 0;
    } while (n > 0 && o->bytes <= FILE_BYTES_MAX);
    if (n > 0)
        errno = EFBIG;
    return n == 0;
}

enum err elf_file_open(struct elf_file *ret_object, const char *path)
{
    OWN(descriptor) int fd = open(path, O_RDONLY | O_CLOEXEC);
    CLOSED_BY(elf_file_close) struct elf_file o = {.path = path};

    if (fd < 0 || !read_contents(&o, fd))
        return errno == EFBIG ? complain(ERR_RANGE, path, "is larger than %d MiB, which no object is", FILE_MIB_MAX)
                              : complain(ERR_IO, path, "%s", strerror(errno));
    elf_version(EV_CURRENT);
    if (!o.bytes)
        return complain(ERR_NOT_ELF, path, "is not an ELF file");
    o.elf = elf_memory((char *)o.data, o.bytes);
    if (!o.elf)
        return complain(ERR_NOT_ELF, path, "%s", elf_errmsg(-1));
    enum err e = read_tables(&o);
    if (e == ERR_OK) {
        *ret_object = o;
        o = (struct elf_file){0};
    }
    return e;
}

void elf_file_close(struct elf_file *object)
{
    free(object->section);
    free(object->symbol);
    if (object->elf)
        elf_end(object->elf);
    free(object->data);
    *object = (struct elf_file){0};
}

size_t elf_file_section(const struct elf_file *object, const char *name)
{
    for (size_t i = 1; i < object->sections; i++)
        if (strcmp(object->section[i].name, name) == 0)
            return i;
    return 0;
}

bool elf_file_relocations(const struct elf_file *object, size_t rela,
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

uint64_t elf_file_hash(const struct elf_file *object)
{
    return object_hash(object->data, object->bytes);
}
