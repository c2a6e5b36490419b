/* `cell make` and `cell describe`: which sections a loadable cell may have, and what is kept of the image's way in. */
#include "cells/tool/verbs.h"
#include "cells/tool/pack.h"
#include "cells/tool/places.h"
#include "cells/tool/simd.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

static bool begins(const char *name, const char *prefix)
{
    size_t n = strlen(prefix);

    return strncmp(name, prefix, n) == 0 && (name[n] == '\0' || name[n] == '.');
}

/* Empty sections stay when a symbol marks them; ld -r leaves .text, .data and .bss of every input behind. */
static bool has_symbol(const struct object *in, size_t index)
{
    for (size_t i = 1; i < in->symbols; i++)
        if (in->symbol[i].sym.st_shndx == index && GELF_ST_TYPE(in->symbol[i].sym.st_info) != STT_SECTION)
            return true;
    return false;
}

static enum err keep_in_cell(const struct object *in, size_t index, bool *ret_keep)
{
    static const char *const kept[] = {".text", ".rodata", ".data", ".bss", ".eh_frame", ".gcc_except_table"};
    static const struct {
        const char *name, *why;
    } refused[] = {
        {".init_array", "constructors do not run in a cell; use INIT()"},
        {".fini_array", "destructors do not run in a cell; use DONE()"},
        {".ctors", "constructors do not run in a cell; use INIT()"},
        {".tdata", "thread-local data is not supported"},
        {".tbss", "thread-local data is not supported"},
    };
    const struct section *s = &in->section[index];

    if (!(s->header.sh_flags & SHF_ALLOC) || s->header.sh_type == SHT_NOTE)
        return ERR_OK;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (begins(s->name, refused[i].name))
            return complain(ERR_UNSUPPORTED, in->path, "section %s: %s", s->name, refused[i].why);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (begins(s->name, kept[i])) {
            *ret_keep = s->header.sh_size || has_symbol(in, index);
            return ERR_OK;
        }
    if (s->header.sh_size == 0)
        return ERR_OK;
    return complain(ERR_UNSUPPORTED, in->path,
                    "section %s: a cell has only .text, .rodata, .data, .bss, .eh_frame and .gcc_except_table",
                    s->name);
}

static enum err check_relocation(const struct object *in, size_t rela, const GElf_Rela *relocation)
{
    switch (GELF_R_TYPE(relocation->r_info)) {
    case R_X86_64_NONE:
    case R_X86_64_64:
    case R_X86_64_PC32:
    case R_X86_64_PLT32:
    case R_X86_64_32:
    case R_X86_64_32S:
    case R_X86_64_PC64:
        return ERR_OK;
    default:
        return complain(ERR_BAD_RELOCATION, in->path,
                        "section %s: relocation type %u, which the loader does not know; compile with -mcmodel=kernel "
                        "-fno-pic",
                        in->section[rela].name, (unsigned)GELF_R_TYPE(relocation->r_info));
    }
}

/* What the linker has put into the image, whatever it is called. */
static enum err keep_in_image(const struct object *in, size_t index, bool *ret_keep)
{
    const GElf_Shdr *header = &in->section[index].header;

    *ret_keep = header->sh_flags & SHF_ALLOC && header->sh_type != SHT_NOTE && header->sh_size;
    return ERR_OK;
}

/* What runs in a task of whoever loads or swaps the cell must not need what that task does not save. */
static enum err find_simd(const struct object *in, struct say *say)
{
    size_t section = 0;
    enum err e = simd_find(in, &section);

    if (e != ERR_OK || !section)
        return e;
    for (enum say_role r = 0; r < SAY_ROLES; r++)
        if (say->role[r] && r != SAY_MAIN)
            return complain(
                ERR_UNSUPPORTED, in->path,
                "section %s uses SIMD registers: such a cell has no %s function, which may run in a task that "
                "does not save them",
                in->section[section].name, say_role_name[r]);
    say->flags |= NOTE_SIMD;
    return ERR_OK;
}

static const struct packing cell_packing = {.section = keep_in_cell, .relocation = check_relocation};

static enum err copy_file(const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    ssize_t n = -1;

    if (in >= 0 && out >= 0)
        while ((n = sendfile(out, in, NULL, 1 << 20)) > 0)
            ;
    enum err e = n == 0 ? ERR_OK : complain(ERR_IO, to, "%s", strerror(errno));
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    return e;
}

static enum err convert(const char *path, const char *out, const struct packing *packing)
{
    struct object in;
    struct say say = {0};
    struct types *types = NULL;
    enum err e = object_open(&in, path);

    if (e != ERR_OK)
        return e;
    if (in.header.e_type != ET_REL)
        e = complain(ERR_NOT_OBJECT, path, "is not a relocatable object");
    if (e == ERR_OK)
        e = say_read(&say, &in);
    if (e == ERR_OK)
        e = find_simd(&in, &say);
    if (e == ERR_OK && !(types = types_open(path)))
        e = ERR_CORRUPT;
    if (e == ERR_OK)
        e = pack(&in, packing, &say, types, out);
    types_close(types);
    say_done(&say);
    object_close(&in);
    return e;
}

enum err make_cell(const char *raw, const char *out, const char *debug)
{
    enum err e = convert(raw, out, &cell_packing);

    return e == ERR_OK && debug ? copy_file(raw, debug) : e;
}

enum err describe_image(const char *kernel, const char *map, const char *raw, const char *out)
{
    struct packing packing = {.section = keep_in_image, .relocation = check_relocation};
    void *places;
    enum err e = places_read(kernel, map, &places, &packing.places_bytes);

    if (e != ERR_OK)
        return e;
    packing.places = places;
    e = convert(raw, out, &packing);
    free(places);
    return e;
}
