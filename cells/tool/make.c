/* `cell make` and `cell describe`: which sections a loadable cell may have, and which ones the object of the image's
 * entry point has. */
#include "cells/tool/verbs.h"
#include "cells/tool/pack.h"
#include "cells/tool/places.h"
#include "cells/tool/simd.h"
#include "guest/abi/elf.h"
#include "introspect/base/output.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool begins_with(const char *name, const char *prefix)
{
    size_t n = strlen(prefix);

    return strncmp(name, prefix, n) == 0 && (name[n] == '\0' || name[n] == '.');
}

/* ld -r leaves empty .text, .data and .bss sections; an empty section is kept only when a symbol is defined in it. */
static bool has_symbol(const struct elf_file *in, size_t index)
{
    for (size_t i = 1; i < in->symbols; i++)
        if (in->symbol[i].sym.st_shndx == index && GELF_ST_TYPE(in->symbol[i].sym.st_info) != STT_SECTION)
            return true;
    return false;
}

static enum err keep_in_cell(const struct elf_file *in, size_t index, bool *ret_keep)
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

    if (!(s->header.sh_flags & SHF_ALLOC) || s->header.sh_type == SHT_NOTE || strcmp(s->name, NOTE_TYPES) == 0)
        return ERR_OK;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (begins_with(s->name, refused[i].name))
            return complain(ERR_UNSUPPORTED, in->path, "section %s: %s", s->name, refused[i].why);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (begins_with(s->name, kept[i])) {
            *ret_keep = s->header.sh_size || has_symbol(in, index);
            return ERR_OK;
        }
    if (s->header.sh_size == 0)
        return ERR_OK;
    return complain(ERR_UNSUPPORTED, in->path,
                    "section %s: a cell has only .text, .rodata, .data, .bss, .eh_frame and .gcc_except_table",
                    s->name);
}

static enum err check_relocation_type(const struct elf_file *in, size_t rela, const GElf_Rela *relocation)
{
    uint32_t type = (uint32_t)GELF_R_TYPE(relocation->r_info);

    if (type == R_X86_64_NONE || relocation_bytes(type))
        return ERR_OK;
    return complain(
        ERR_BAD_RELOCATION, in->path,
        "section %s: relocation type %u, which the loader does not know; compile with -mcmodel=kernel -fno-pic",
        in->section[rela].name, type);
}

/* All cells are in the top 2 GiB, and no address there is an unsigned number of 32 bits. */
static enum err check_relocation_of_cell(const struct elf_file *in, size_t rela, const GElf_Rela *relocation)
{
    if (GELF_R_TYPE(relocation->r_info) == R_X86_64_32 && relocation->r_addend == (int32_t)relocation->r_addend)
        return complain(ERR_BAD_RELOCATION, in->path,
                        "section %s: an address of 32 bits without a sign, which reaches no cell; compile with "
                        "-mcmodel=kernel",
                        in->section[rela].name);
    return check_relocation_type(in, rela, relocation);
}

/* Keeps all that the linker has put into the image. */
static enum err keep_in_image(const struct elf_file *in, size_t index, bool *ret_keep)
{
    const GElf_Shdr *header = &in->section[index].header;

    *ret_keep = header->sh_flags & SHF_ALLOC && header->sh_type != SHT_NOTE && header->sh_size &&
                strcmp(in->section[index].name, NOTE_TYPES) != 0;
    return ERR_OK;
}

/* The init, transfer and done functions of a cell run in the task of whoever loads or swaps it, which may not save SIMD
 * registers. */
static enum err find_simd(const struct elf_file *in, struct declaration *declaration)
{
    size_t section = 0;
    enum err e = simd_find(in, &section);

    if (e != ERR_OK || !section)
        return e;
    for (enum declared_role r = 0; r < ROLES; r++)
        if (declaration->role[r] && r != ROLE_MAIN)
            return complain(
                ERR_UNSUPPORTED, in->path,
                "section %s uses SIMD registers: such a cell has no %s function, which may run in a task that "
                "does not save them",
                in->section[section].name, declaration_role[r]);
    declaration->flags |= NOTE_SIMD;
    return ERR_OK;
}

static const struct packing cell_packing = {.section = keep_in_cell, .relocation = check_relocation_of_cell};

static enum err write_copy(const struct elf_file *of, const char *to)
{
    OWN(output) struct output *output = output_new(to);

    if (!output)
        return complain(ERR_IO, to, "%s", strerror(errno));
    fwrite(of->data, 1, of->bytes, output_stream(output));
    if (!output_commit(output))
        return complain(ERR_IO, to, "could not be written: %s", strerror(errno));
    return ERR_OK;
}

/* What a compiler leaves for the linker to compile: nothing of it is machine code. Such an object may be linked with
 * others, so that its mark is looked for, not what is missing. */
static enum err check_compiled(const struct elf_file *in)
{
    for (size_t i = 1; i < in->symbols; i++)
        if (strcmp(in->symbol[i].name, "__gnu_lto_slim") == 0)
            return complain(ERR_UNSUPPORTED, in->path,
                            "is made with -flto and has no machine code; compile without -flto, or with "
                            "-ffat-lto-objects");
    return ERR_OK;
}

static enum err convert_object(const struct elf_file *in, const char *out, const struct packing *packing)
{
    CLOSED_BY(declaration_done) struct declaration declaration = {0};

    if (in->header.e_type != ET_REL)
        return complain(ERR_NOT_OBJECT, in->path, "is not a relocatable object");
    enum err e = check_compiled(in);
    if (e == ERR_OK)
        e = declaration_read(&declaration, in);
    if (e == ERR_OK)
        e = find_simd(in, &declaration);
    if (e != ERR_OK)
        return e;
    OWN(types) struct types *types = types_open(in);
    return types ? pack_object(in, packing, &declaration, types, out) : ERR_CORRUPT;
}

enum err make_cell(const char *raw, const char *out, const char *debug)
{
    CLOSED_BY(elf_file_close) struct elf_file in = {0};
    enum err e = elf_file_open(&in, raw);

    if (e == ERR_OK)
        e = convert_object(&in, out, &cell_packing);
    return e == ERR_OK && debug ? write_copy(&in, debug) : e;
}

enum err describe_image(const char *kernel, const char *map, const char *raw, const char *out)
{
    struct packing packing = {.section = keep_in_image, .relocation = check_relocation_type, .untyped = true};
    CLOSED_BY(elf_file_close) struct elf_file in = {0};
    OWN(memory) void *places = NULL;
    enum err e = places_read(kernel, map, &places, &packing.places_bytes);

    if (e != ERR_OK)
        return e;
    packing.places = places;
    e = elf_file_open(&in, raw);
    return e == ERR_OK ? convert_object(&in, out, &packing) : e;
}
