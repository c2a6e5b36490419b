/* See craft.h. */
#include "tests/hosted/craft.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "guest/abi/object.h"
#include "tests/hosted/stand_in.h"

#define FUNCTION_BYTES 16
#define STRINGS_MAX    2048

/* ---- parts ---- */

struct craft craft_cell(const char *name, uint32_t version)
{
    struct craft craft = {.cell = {.abi = NOTE_ABI, .version = version, .kind = CELL_KERNEL}};

    snprintf(craft.cell.name, sizeof craft.cell.name, "%s", name);
    return craft;
}

uint32_t craft_section(struct craft *craft, const char *name, uint32_t type, uint64_t flags, uint32_t bytes)
{
    craft->section[craft->sections++] =
        (struct craft_section){.name = name, .type = type, .flags = flags, .bytes = bytes, .align = 16};
    return (uint32_t)craft->sections;
}

static uint32_t add_symbol(struct craft *craft, struct craft_symbol symbol)
{
    craft->symbol[craft->symbols++] = symbol;
    return (uint32_t)craft->symbols;
}

uint32_t craft_function(struct craft *craft, const char *name, uint32_t access)
{
    uint32_t section = craft_section(craft, name, SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, FUNCTION_BYTES);

    return add_symbol(craft, (struct craft_symbol){.name = name,
                                                   .section = section,
                                                   .size = FUNCTION_BYTES,
                                                   .info = ELF64_ST_INFO(access ? STB_GLOBAL : STB_LOCAL, STT_FUNC),
                                                   .access = access,
                                                   .type_hash = 7,
                                                   .deep_hash = 9});
}

uint32_t craft_data(struct craft *craft, const char *name, uint32_t bytes, uint64_t type_hash)
{
    uint32_t section = craft_section(craft, name, SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, bytes);
    struct craft_section *s = &craft->section[section - 1];

    s->noted = true;
    s->type_hash = s->deep_hash = type_hash;
    return add_symbol(
        craft, (struct craft_symbol){
                   .name = name, .section = section, .size = bytes, .info = ELF64_ST_INFO(STB_LOCAL, STT_OBJECT)});
}

uint32_t craft_import(struct craft *craft, const char *name)
{
    return add_symbol(
        craft, (struct craft_symbol){
                   .name = name, .info = ELF64_ST_INFO(STB_GLOBAL, STT_NOTYPE), .imported = true, .type_hash = 7});
}

void craft_relocate(struct craft *craft, uint32_t section, uint64_t offset, uint32_t type, uint32_t symbol,
                    int64_t addend)
{
    craft->relocation[craft->relocations++] = (struct craft_relocation){
        .section = section, .symbol = symbol, .type = type, .offset = offset, .addend = addend};
}

void craft_call(struct craft *craft, uint32_t from, unsigned n, uint32_t symbol)
{
    craft_relocate(craft, craft->symbol[from - 1].section, 8 * n, R_X86_64_PLT32, symbol, -4);
}

/* ---- the file ---- */

/* What it is written to; what finds no room any more makes it too large. */
struct file {
    uint8_t *bytes;
    size_t used, most;
    bool full;
};

static size_t put(struct file *file, const void *data, size_t bytes, size_t align)
{
    size_t at = (file->used + align - 1) / align * align;

    file->full |= at > file->most || bytes > file->most - at;
    if (file->full)
        return 0;
    memset(file->bytes + file->used, 0, at - file->used);
    if (data)
        memcpy(file->bytes + at, data, bytes);
    else
        memset(file->bytes + at, 0x90, bytes);
    file->used = at + bytes;
    return at;
}

static Elf64_Word put_string(struct file *strings, const char *text)
{
    return (Elf64_Word)put(strings, text, strlen(text) + 1, 1);
}

static void put_note(struct file *file, unsigned type, const void *data, size_t bytes)
{
    const Elf64_Nhdr header = {.n_namesz = sizeof NOTE_OWNER, .n_descsz = (Elf64_Word)bytes, .n_type = type};

    put(file, &header, sizeof header, 4);
    put(file, NOTE_OWNER "\0\0\0", (sizeof NOTE_OWNER + 3) & ~3ul, 1);
    put(file, data, bytes, 4);
}

static void put_symbol_notes(struct file *file, const struct craft *craft, bool exports)
{
    struct note_symbol note[CRAFT_SYMBOLS];
    size_t count = 0;

    for (size_t i = 0; i < craft->symbols; i++) {
        const struct craft_symbol *s = &craft->symbol[i];
        if (exports ? s->access != 0 : s->imported)
            note[count++] = (struct note_symbol){(uint32_t)i + 1, s->access, s->type_hash, s->deep_hash};
    }
    if (count)
        put_note(file, exports ? NOTE_EXPORT : NOTE_IMPORT, note, count * sizeof *note);
}

static void put_notes(struct file *file, const struct craft *craft)
{
    struct note_data note[CRAFT_SECTIONS];
    size_t count = 0;

    put_note(file, NOTE_CELL, &craft->cell, sizeof craft->cell);
    put_symbol_notes(file, craft, true);
    put_symbol_notes(file, craft, false);
    for (size_t i = 0; i < craft->sections; i++)
        if (craft->section[i].noted)
            note[count++] =
                (struct note_data){(uint32_t)i + 1, 0, craft->section[i].type_hash, craft->section[i].deep_hash};
    if (count)
        put_note(file, NOTE_DATA, note, count * sizeof *note);
    if (craft->pointers)
        put_note(file, NOTE_POINTERS, craft->pointers, craft->pointer_bytes);
}

/* Headers: none, the craft's sections, relocations of each, notes, symbols, strings. */
enum { NOTES = 2 * CRAFT_SECTIONS + 1, SYMBOLS, STRINGS, HEADERS };

static void put_relocations(struct file *file, const struct craft *craft, uint32_t section, Elf64_Shdr *ret_header)
{
    size_t start = put(file, "", 0, 8), count = 0;

    for (size_t i = 0; i < craft->relocations; i++) {
        const struct craft_relocation *r = &craft->relocation[i];
        const Elf64_Rela rela = {r->offset, ELF64_R_INFO((uint64_t)r->symbol, r->type), r->addend};
        if (r->section == section && ++count)
            put(file, &rela, sizeof rela, 8);
    }
    if (count)
        *ret_header = (Elf64_Shdr){.sh_type = SHT_RELA,
                                   .sh_offset = start,
                                   .sh_size = count * sizeof(Elf64_Rela),
                                   .sh_link = SYMBOLS,
                                   .sh_info = section,
                                   .sh_entsize = sizeof(Elf64_Rela)};
}

static void put_symbols(struct file *file, struct file *strings, const struct craft *craft, Elf64_Shdr *ret_header)
{
    Elf64_Sym symbol[CRAFT_SYMBOLS + 1] = {0};

    for (size_t i = 0; i < craft->symbols; i++) {
        const struct craft_symbol *s = &craft->symbol[i];
        symbol[i + 1] = (Elf64_Sym){.st_name = put_string(strings, s->name),
                                    .st_info = s->info,
                                    .st_shndx = (Elf64_Half)s->section,
                                    .st_value = s->value,
                                    .st_size = s->size};
    }
    size_t bytes = (craft->symbols + 1) * sizeof *symbol;
    *ret_header = (Elf64_Shdr){.sh_type = SHT_SYMTAB,
                               .sh_offset = put(file, symbol, bytes, 8),
                               .sh_size = bytes,
                               .sh_link = STRINGS,
                               .sh_info = 1,
                               .sh_entsize = sizeof *symbol};
}

static void put_sections(struct file *file, struct file *strings, const struct craft *craft, Elf64_Shdr *header)
{
    for (size_t i = 0; i < craft->sections; i++) {
        const struct craft_section *s = &craft->section[i];
        header[i + 1] = (Elf64_Shdr){.sh_name = put_string(strings, s->name),
                                     .sh_type = s->type,
                                     .sh_flags = s->flags,
                                     .sh_size = s->bytes,
                                     .sh_addralign = s->align};
        if (s->type != SHT_NOBITS)
            header[i + 1].sh_offset = put(file, s->contents, s->bytes, 16);
        put_relocations(file, craft, (uint32_t)i + 1, &header[CRAFT_SECTIONS + i + 1]);
    }
    header[NOTES] = (Elf64_Shdr){.sh_name = put_string(strings, NOTE_SECTION), .sh_type = SHT_NOTE, .sh_addralign = 4};
    header[NOTES].sh_offset = put(file, "", 0, 4);
    put_notes(file, craft);
    header[NOTES].sh_size = file->used - header[NOTES].sh_offset;
}

void craft_seal(uint8_t *file, size_t bytes)
{
    Elf64_Ehdr header;

    if (bytes < sizeof header)
        return;
    uint32_t seal = object_seal(file, bytes);
    memcpy(file + offsetof(Elf64_Ehdr, e_flags), &seal, sizeof seal);
}

uint8_t *craft_write(const struct craft *craft, size_t *ret_bytes)
{
    static uint8_t bytes[CRAFT_BYTES_MAX], text[STRINGS_MAX];
    struct file file = {.bytes = bytes, .used = sizeof(Elf64_Ehdr), .most = CRAFT_BYTES_MAX};
    struct file strings = {.bytes = text, .most = sizeof text};
    Elf64_Shdr header[HEADERS] = {0};

    put_string(&strings, "");
    put_sections(&file, &strings, craft, header);
    put_symbols(&file, &strings, craft, &header[SYMBOLS]);
    header[STRINGS] =
        (Elf64_Shdr){.sh_type = SHT_STRTAB, .sh_offset = put(&file, text, strings.used, 1), .sh_size = strings.used};
    Elf64_Ehdr h = {.e_ident = ELFMAG,
                    .e_type = ET_REL,
                    .e_machine = EM_X86_64,
                    .e_version = EV_CURRENT,
                    .e_ehsize = sizeof h,
                    .e_shentsize = sizeof *header,
                    .e_shnum = HEADERS,
                    .e_shstrndx = STRINGS,
                    .e_shoff = put(&file, header, sizeof header, 8)};
    h.e_ident[EI_CLASS] = ELFCLASS64, h.e_ident[EI_DATA] = ELFDATA2LSB, h.e_ident[EI_VERSION] = EV_CURRENT;
    memcpy(bytes, &h, sizeof h);
    craft_seal(bytes, file.used);
    uint8_t *copy = file.full || strings.full ? NULL : malloc(file.used);
    if (copy)
        memcpy(copy, bytes, file.used);
    *ret_bytes = file.used;
    return copy;
}

struct object_ref craft_keep(const struct craft *craft)
{
    size_t bytes;
    uint8_t *data = craft_write(craft, &bytes);
    struct object_ref object = {};

    if (data)
        (void)lifecycle_keep_object(data, bytes, &object, NULL);
    free(data);
    return object;
}

/* ---- the archive ---- */

#define ARCHIVE_HEADER_BYTES 110
#define TRAILER              "TRAILER!!!"

static uint8_t *put_member(uint8_t *at, const char *name, const uint8_t *data, size_t bytes)
{
    size_t name_bytes = strlen(name) + 1, start = (ARCHIVE_HEADER_BYTES + name_bytes + 3) & ~3ul;

    memset(at, 0, start + ((bytes + 3) & ~3ul));
    sprintf((char *)at, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", 0, 0100644, 0, 0, 1, 0,
            (unsigned)bytes, 0, 0, 0, 0, (unsigned)name_bytes, 0);
    memcpy(at + ARCHIVE_HEADER_BYTES, name, name_bytes);
    if (bytes)
        memcpy(at + start, data, bytes);
    return at + start + ((bytes + 3) & ~3ul);
}

/* The last one: the cell that reads archives has the word in its constants. */
static uint8_t *find_trailer(uint8_t *archive, size_t bytes)
{
    uint8_t *found = NULL;

    for (uint8_t *at = archive; (at = memmem(at, bytes - (size_t)(at - archive), TRAILER, sizeof TRAILER)); at++)
        found = at;
    return found;
}

uint8_t *craft_archive(const char *path, const struct craft *craft, size_t crafts, size_t *ret_bytes)
{
    size_t bytes, object_bytes;
    uint8_t *archive = stand_in_file(path, &bytes);
    uint8_t *trailer = archive ? find_trailer(archive, bytes) : NULL;
    uint8_t *longer = trailer ? malloc(bytes + crafts * (CRAFT_BYTES_MAX + 256)) : NULL;
    uint8_t *end = longer;

    if (longer) {
        size_t members = (size_t)(trailer - archive) - ARCHIVE_HEADER_BYTES;
        memcpy(longer, archive, members);
        end = longer + members;
    }
    for (size_t i = 0; longer && i < crafts; i++) {
        uint8_t *object = craft_write(&craft[i], &object_bytes);
        char name[NOTE_NAME_BYTES + 3];
        snprintf(name, sizeof name, "%s.o", craft[i].cell.name);
        if (object)
            end = put_member(end, name, object, object_bytes);
        free(object);
    }
    if (longer)
        *ret_bytes = (size_t)(put_member(end, TRAILER, NULL, 0) - longer);
    free(archive);
    return longer;
}
