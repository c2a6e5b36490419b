/* See notes.h. */
#include "cells/tool/notes.h"
#include <stdlib.h>
#include <string.h>

static enum err read_symbol_list(const struct elf_file *o, const uint8_t *data, size_t bytes,
                                 struct note_symbol **ret_list, size_t *ret_count)
{
    size_t count = bytes / sizeof **ret_list;

    if (bytes % sizeof **ret_list || *ret_list)
        return complain(ERR_CORRUPT, o->path, "%s: a list of symbols is malformed", NOTE_SECTION);
    struct note_symbol *list = calloc(count + 1, sizeof *list);
    if (!list)
        return complain(ERR_NOMEM, o->path, "out of memory");
    if (bytes)
        memcpy(list, data, bytes);
    *ret_list = list;
    for (size_t i = 0; i < count; i++)
        if (list[i].symbol >= o->symbols)
            return complain(ERR_CORRUPT, o->path, "%s: symbol %u does not exist", NOTE_SECTION, list[i].symbol);
    *ret_count = count;
    return ERR_OK;
}

static enum err read_data(const struct elf_file *o, const uint8_t *data, size_t bytes, struct notes *notes)
{
    size_t count = bytes / sizeof *notes->data;

    if (bytes % sizeof *notes->data || notes->data)
        return complain(ERR_CORRUPT, o->path, "%s: the list of data is malformed", NOTE_SECTION);
    notes->data = calloc(count + 1, sizeof *notes->data);
    if (!notes->data)
        return complain(ERR_NOMEM, o->path, "out of memory");
    if (bytes)
        memcpy(notes->data, data, bytes);
    for (size_t i = 0; i < count; i++)
        if (notes->data[i].section >= o->sections || (i && notes->data[i].section <= notes->data[i - 1].section))
            return complain(ERR_CORRUPT, o->path, "%s: data in section %u, which does not exist or is out of order",
                            NOTE_SECTION, notes->data[i].section);
    notes->datas = count;
    return ERR_OK;
}

/* Finds the parts of the note. False: their lengths do not add up to that of the note. */
static bool find_parts(struct notes *notes, size_t bytes)
{
    const struct note_pointers *head = notes->pointers;
    size_t parts = sizeof *head + (size_t)head->types * sizeof *notes->shape +
                   (size_t)head->fields * sizeof *notes->field + (size_t)head->roots * sizeof *notes->root;

    if (!head->name_bytes || parts + head->name_bytes != bytes)
        return false;
    notes->shape = (const struct note_shape *)(head + 1);
    notes->field = (const struct note_field *)(notes->shape + head->types);
    notes->root = (const struct note_root *)(notes->field + head->fields);
    notes->names = (const char *)(notes->root + head->roots);
    return notes->names[head->name_bytes - 1] == '\0';
}

static bool pointers_exist(const struct notes *notes, const struct elf_file *o)
{
    const struct note_pointers *head = notes->pointers;
    bool exist = true;

    for (uint32_t i = 0; i < head->types; i++) {
        const struct note_shape *shape = &notes->shape[i];
        exist &= shape->first <= head->fields && shape->fields <= head->fields - shape->first &&
                 shape->name < head->name_bytes;
    }
    for (uint32_t i = 0; i < head->fields; i++)
        exist &= notes->field[i].name < head->name_bytes && notes->field[i].target < head->types;
    for (uint32_t i = 0; i < head->roots; i++)
        exist &= notes->root[i].type < head->types && notes->root[i].section < o->sections;
    return exist;
}

static enum err read_pointers(const struct elf_file *o, const uint8_t *data, size_t bytes, struct notes *notes)
{
    if (notes->pointers || bytes < sizeof *notes->pointers)
        return complain(ERR_CORRUPT, o->path, "%s: the note of pointers is malformed", NOTE_SECTION);
    notes->pointers = malloc(bytes);
    if (!notes->pointers)
        return complain(ERR_NOMEM, o->path, "out of memory");
    memcpy(notes->pointers, data, bytes);
    if (!find_parts(notes, bytes) || !pointers_exist(notes, o))
        return complain(ERR_CORRUPT, o->path, "%s: the note of pointers is malformed", NOTE_SECTION);
    return ERR_OK;
}

static enum err read_note(struct notes *notes, const struct elf_file *o, uint32_t type, const uint8_t *data,
                          size_t bytes)
{
    switch (type) {
    case NOTE_CELL:
        if (bytes != sizeof notes->cell)
            return complain(ERR_WRONG_ABI, o->path, "%s: made for another interface version", NOTE_SECTION);
        memcpy(&notes->cell, data, bytes);
        if (notes->cell.abi != NOTE_ABI)
            return complain(ERR_WRONG_ABI, o->path, "is made for interface version %u, not %d", notes->cell.abi,
                            NOTE_ABI);
        if (!memchr(notes->cell.name, '\0', sizeof notes->cell.name) || !notes->cell.name[0])
            return complain(ERR_CORRUPT, o->path, "%s: the cell's name is malformed", NOTE_SECTION);
        return ERR_OK;
    case NOTE_EXPORT:
        return read_symbol_list(o, data, bytes, &notes->export, &notes->exports);
    case NOTE_IMPORT:
        return read_symbol_list(o, data, bytes, &notes->import, &notes->imports);
    case NOTE_DATA:
        return read_data(o, data, bytes, notes);
    case NOTE_POINTERS:
        return read_pointers(o, data, bytes, notes);
    default:
        return ERR_OK;
    }
}

static enum err read_section(struct notes *notes, const struct elf_file *o, const struct section *s)
{
    size_t at = 0;

    while (at + sizeof(Elf64_Nhdr) <= s->bytes) {
        Elf64_Nhdr header;

        memcpy(&header, s->data + at, sizeof header);
        size_t name = at + sizeof header, room = s->bytes - name;
        size_t name_bytes = ((size_t)header.n_namesz + 3) & ~(size_t)3;
        if (name_bytes > room || header.n_descsz > room - name_bytes)
            return complain(ERR_TRUNCATED, o->path, "%s is truncated", NOTE_SECTION);
        if (header.n_namesz == sizeof NOTE_OWNER && memcmp(s->data + name, NOTE_OWNER, sizeof NOTE_OWNER) == 0) {
            enum err e = read_note(notes, o, header.n_type, s->data + name + name_bytes, header.n_descsz);
            if (e != ERR_OK)
                return e;
        }
        at = name + name_bytes + (((size_t)header.n_descsz + 3) & ~(size_t)3);
    }
    return ERR_OK;
}

enum err notes_read(struct notes *ret_notes, const struct elf_file *object)
{
    CLOSED_BY(notes_done) struct notes notes = {0};
    size_t index = elf_file_section(object, NOTE_SECTION);
    enum err e = ERR_OK;

    if (index)
        e = read_section(&notes, object, &object->section[index]);
    if (e == ERR_OK && !notes.cell.abi)
        e = complain(ERR_NOT_CELL, object->path, "is not a cell: it has no %s; make it with `cell make`", NOTE_SECTION);
    if (e == ERR_OK) {
        *ret_notes = notes;
        notes = (struct notes){0};
    }
    return e;
}

void notes_done(struct notes *notes)
{
    free(notes->export);
    free(notes->import);
    free(notes->data);
    free(notes->pointers);
    *notes = (struct notes){0};
}

const struct note_data *notes_data(const struct notes *notes, size_t section)
{
    for (size_t i = 0; i < notes->datas; i++)
        if (notes->data[i].section == section)
            return &notes->data[i];
    return NULL;
}
