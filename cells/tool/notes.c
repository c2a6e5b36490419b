/* See notes.h. */
#include "cells/tool/notes.h"
#include <stdlib.h>
#include <string.h>

static enum err read_list(const struct object *o, const uint8_t *data, size_t bytes, struct note_symbol **ret_list,
                          size_t *ret_count)
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

static enum err read_data(const struct object *o, const uint8_t *data, size_t bytes, struct notes *notes)
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

static enum err read_note(struct notes *notes, const struct object *o, uint32_t type, const uint8_t *data, size_t bytes)
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
        return read_list(o, data, bytes, &notes->export, &notes->exports);
    case NOTE_IMPORT:
        return read_list(o, data, bytes, &notes->import, &notes->imports);
    case NOTE_DATA:
        return read_data(o, data, bytes, notes);
    default:
        return ERR_OK;
    }
}

static enum err read_section(struct notes *notes, const struct object *o, const struct section *s)
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

enum err notes_read(struct notes *ret_notes, const struct object *object)
{
    struct notes notes = {0};
    size_t index = object_section(object, NOTE_SECTION);
    enum err e = ERR_OK;

    if (index)
        e = read_section(&notes, object, &object->section[index]);
    if (e == ERR_OK && !notes.cell.abi)
        e = complain(ERR_NOT_CELL, object->path, "is not a cell: it has no %s; make it with `cell make`", NOTE_SECTION);
    if (e != ERR_OK) {
        notes_done(&notes);
        return e;
    }
    *ret_notes = notes;
    return ERR_OK;
}

void notes_done(struct notes *notes)
{
    free(notes->export);
    free(notes->import);
    free(notes->data);
    *notes = (struct notes){0};
}

const struct note_data *notes_data(const struct notes *notes, size_t section)
{
    for (size_t i = 0; i < notes->datas; i++)
        if (notes->data[i].section == section)
            return &notes->data[i];
    return NULL;
}
