/* See objects.h. libelf checks what it reads; offsets in notes are checked here. */
#include "introspect/objects.h"
#include "guest/abi/note.h"
#include "guest/abi/object.h"
#include "introspect/pristine.h"
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OBJECT_BYTES_MAX (64 << 20)

struct object {
    char name[NOTE_NAME_BYTES];
    Elf *elf; /* owned */
};

struct objects {
    struct pristine archive; /* what the objects borrow */
    struct object *object;   /* owned */
    size_t count;
};

void objects_free(struct objects *o)
{
    if (!o)
        return;
    for (size_t i = 0; i < o->count; i++)
        elf_end(o->object[i].elf);
    free(o->object);
    pristine_done(&o->archive);
    free(o);
}

/* ---- reading ---- */

static const char *section_name(Elf *elf, const GElf_Shdr *header)
{
    size_t names;

    return (elf_getshdrstrndx(elf, &names) == 0 ? elf_strptr(elf, names, header->sh_name) : NULL) ?: "";
}

/* The note of a cell, which lies in the object; NULL: it has none. */
static const struct note_cell *read_note(Elf_Data *notes)
{
    size_t at = 0, name, text;
    GElf_Nhdr header;

    while (notes && (at = gelf_getnote(notes, at, &header, &name, &text)) > 0) {
        const struct note_cell *cell = (const void *)((const char *)notes->d_buf + text);

        if (header.n_type != NOTE_CELL || header.n_descsz != sizeof *cell || cell->abi != NOTE_ABI ||
            !memchr(cell->name, '\0', sizeof cell->name))
            continue;
        return cell;
    }
    return NULL;
}

static const struct note_cell *find_note(Elf *elf)
{
    Elf_Scn *section = NULL;
    GElf_Shdr header;

    while ((section = elf_nextscn(elf, section)) != NULL)
        if (gelf_getshdr(section, &header) && strcmp(section_name(elf, &header), NOTE_SECTION) == 0) {
            const struct note_cell *note = read_note(elf_getdata(section, NULL));
            if (note)
                return note;
        }
    return NULL;
}

static bool find_name(Elf *elf, char ret_name[NOTE_NAME_BYTES])
{
    const struct note_cell *note = find_note(elf);

    if (note)
        memcpy(ret_name, note->name, sizeof note->name);
    return note;
}

/* Adds a member NAME.o that is cell NAME. */
static enum err add_member(struct objects *o, const struct pristine_entry *member)
{
    struct object object = {.elf = elf_memory((char *)member->data, member->bytes)};
    char file[NOTE_NAME_BYTES + sizeof ".o"];

    if (object.elf && elf_kind(object.elf) == ELF_K_ELF && gelf_getclass(object.elf) == ELFCLASS64 &&
        find_name(object.elf, object.name)) {
        snprintf(file, sizeof file, "%s.o", object.name);
        if (member->name_bytes > strlen(file) && strcmp(file, member->name) == 0) {
            struct object *grown = reallocarray(o->object, o->count + 1, sizeof *grown);
            if (grown) {
                o->object = grown;
                grown[o->count++] = object;
                return ERR_OK;
            }
            elf_end(object.elf);
            return ERR_NOMEM;
        }
    }
    elf_end(object.elf);
    return ERR_OK;
}

enum err objects_read(const char *path, struct objects **ret_objects)
{
    OWN(objects) struct objects *o = calloc(1, sizeof *o);
    struct pristine_entry member;
    size_t at = 0;

    if (!o)
        return ERR_NOMEM;
    elf_version(EV_CURRENT);
    enum err e = pristine_read(path, &o->archive);
    while (e == ERR_OK && pristine_next(&o->archive, &at, &member))
        e = add_member(o, &member);
    if (e == ERR_OK && !o->count)
        e = ERR_CORRUPT;
    if (e == ERR_OK)
        *ret_objects = MOVE(o);
    return e;
}

/* ---- asking ---- */

const char *objects_cell(const struct objects *o, size_t index)
{
    return index < o->count ? o->object[index].name : NULL;
}

int objects_find(const struct objects *o, const char *name)
{
    for (size_t i = 0; i < o->count; i++)
        if (strcmp(o->object[i].name, name) == 0)
            return (int)i;
    return -1;
}

/* As the loader has it. */
static enum arena_section_kind kind_of(const char *name, const GElf_Shdr *header)
{
    if (header->sh_flags & SHF_EXECINSTR)
        return SECTION_TEXT;
    if (header->sh_flags & SHF_WRITE)
        return header->sh_type == SHT_NOBITS ? SECTION_BSS : SECTION_DATA;
    if (strcmp(name, ".eh_frame") == 0)
        return SECTION_EH_FRAME;
    return strncmp(name, ".gcc_except_table", 17) == 0 ? SECTION_EXCEPT : SECTION_RODATA;
}

bool objects_each_section(const struct objects *o, size_t cell,
                          bool (*visit)(void *context, const char *name, enum arena_section_kind kind), void *context)
{
    Elf *elf = o->object[cell].elf;
    Elf_Scn *section = NULL;
    GElf_Shdr header;

    while ((section = elf_nextscn(elf, section)) != NULL) {
        if (!gelf_getshdr(section, &header) || !(header.sh_flags & SHF_ALLOC) || header.sh_type == SHT_NOTE ||
            !header.sh_size)
            continue;
        const char *name = section_name(elf, &header);
        if (visit(context, name, kind_of(name, &header)))
            return true;
    }
    return false;
}

/* The guest knows functions, and what is global. */
static uint64_t bytes_in_table(Elf *elf, Elf_Scn *table, const GElf_Shdr *header, const char *name)
{
    Elf_Data *data = elf_getdata(table, NULL);
    GElf_Shdr section;
    GElf_Sym symbol;

    for (int i = 1; data && gelf_getsym(data, i, &symbol); i++) {
        const char *found = elf_strptr(elf, header->sh_link, symbol.st_name);

        if (!found || strcmp(found, name) != 0 || symbol.st_shndx == SHN_UNDEF ||
            (GELF_ST_TYPE(symbol.st_info) != STT_FUNC && GELF_ST_BIND(symbol.st_info) != STB_GLOBAL))
            continue;
        if (gelf_getshdr(elf_getscn(elf, symbol.st_shndx), &section) && symbol.st_value < section.sh_size) {
            uint64_t left = section.sh_size - symbol.st_value;
            return symbol.st_size && symbol.st_size < left ? symbol.st_size : left;
        }
    }
    return 0;
}

uint64_t objects_symbol_bytes(const struct objects *o, int cell, const char *name)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < o->count && !bytes; i++) {
        Elf_Scn *section = NULL;
        GElf_Shdr header;

        while ((cell < 0 || i == (size_t)cell) && !bytes && (section = elf_nextscn(o->object[i].elf, section)) != NULL)
            if (gelf_getshdr(section, &header) && header.sh_type == SHT_SYMTAB)
                bytes = bytes_in_table(o->object[i].elf, section, &header, name);
    }
    return bytes;
}

static bool block_has_text(const char *block, size_t bytes, const char *text, size_t length)
{
    for (const char *at = block; (at = memmem(at, bytes - (size_t)(at - block), text, length)) != NULL; at++) {
        const char *end = at + length;

        if (end < block + bytes && (*end == '\0' || *end == '%'))
            return true;
    }
    return false;
}

bool objects_have_text(const struct objects *o, const char *text, size_t length)
{
    for (size_t i = 0; i < o->count; i++) {
        Elf_Scn *section = NULL;
        GElf_Shdr header;

        while ((section = elf_nextscn(o->object[i].elf, section)) != NULL) {
            Elf_Data *data =
                gelf_getshdr(section, &header) && header.sh_flags & SHF_ALLOC && header.sh_type == SHT_PROGBITS
                    ? elf_getdata(section, NULL)
                    : NULL;
            if (data && data->d_buf && block_has_text(data->d_buf, data->d_size, text, length))
                return true;
        }
    }
    return false;
}

/* ---- one file ---- */

static void elf_free(Elf *elf)
{
    elf_end(elf);
}
OWNABLE(Elf, elf_free)

static void count_sections(Elf *elf, struct object_facts *facts)
{
    Elf_Scn *section = NULL;
    GElf_Shdr header;

    while ((section = elf_nextscn(elf, section)) != NULL) {
        if (!gelf_getshdr(section, &header) || !(header.sh_flags & SHF_ALLOC))
            continue;
        if (header.sh_flags & SHF_EXECINSTR) {
            facts->text_bytes += header.sh_size;
            facts->functions++;
        } else if (header.sh_flags & SHF_WRITE) {
            facts->data_bytes += header.sh_size;
        } else {
            facts->rodata_bytes += header.sh_size;
        }
    }
}

static bool describe_elf(Elf *elf, const void *data, size_t bytes, struct object_facts *ret_facts)
{
    const struct note_cell *note =
        elf && elf_kind(elf) == ELF_K_ELF && gelf_getclass(elf) == ELFCLASS64 ? find_note(elf) : NULL;

    if (!note)
        return false;
    *ret_facts = (struct object_facts){.version = note->version, .bytes = bytes, .hash = object_hash(data, bytes)};
    memcpy(ret_facts->name, note->name, sizeof ret_facts->name);
    count_sections(elf, ret_facts);
    return true;
}

bool objects_describe(const char *path, struct object_facts *ret_facts)
{
    OWN(descriptor) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat s;

    if (fd < 0 || fstat(fd, &s) != 0 || !S_ISREG(s.st_mode) || s.st_size <= 0 || s.st_size > OBJECT_BYTES_MAX)
        return false;
    size_t bytes = (size_t)s.st_size;
    OWN(memory) char *data = malloc(bytes);
    if (!data || pread(fd, data, bytes, 0) != (ssize_t)bytes)
        return false;
    elf_version(EV_CURRENT);
    OWN(Elf) Elf *elf = elf_memory(data, bytes);
    return describe_elf(elf, data, bytes, ret_facts);
}
