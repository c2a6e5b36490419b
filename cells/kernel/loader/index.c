/* Which member of the archive exports which symbol: built once from the export notes, by hash of the name. */
#include "cells/kernel/archive/archive.h"
#include "cells/kernel/loader/link.h"
#include "cells/lib/string/string.h"

static struct {
    uint32_t hash;   /* of the name */
    uint32_t cursor; /* of the member */
} entry[4096];
static size_t entries;

/* Member NAME_vN holds another version of cell NAME: for swaps, nobody's provider. */
static bool is_other_version(const char *member, const char *cell)
{
    size_t length = string_length(cell);

    if (!string_starts(member, cell) || !string_starts(member + length, "_v"))
        return false;
    for (member += length + 2; *member >= '0' && *member <= '9'; member++)
        ;
    return !*member;
}

static enum err add_member(const struct archive_member *member, size_t cursor, struct loader_detail *detail)
{
    struct object object;
    enum err err = object_open(member->data, member->bytes, &object, detail);

    if (err)
        return err;
    if (is_other_version(member->name, object.cell.name))
        return ERR_OK;
    if (!string_equal(object.cell.name, member->name))
        return REFUSE(ERR_CORRUPT, "its note says that it is cell ", object.cell.name);
    for (uint32_t i = 0; i < object.export_count; i++) {
        struct note_symbol note;
        struct elf_symbol symbol;
        object_export(&object, i, &note);
        object_symbol(&object, note.symbol, &symbol);
        const char *name = object_symbol_name(&object, &symbol);
        if (entries == array_size(entry))
            return REFUSE(ERR_FULL, "the archive exports too many symbols");
        entry[entries].hash = arena_check(name, string_length(name));
        entry[entries++].cursor = (uint32_t)cursor;
    }
    return ERR_OK;
}

enum err index_build(struct loader_detail *detail)
{
    struct archive_member member;
    struct loader_detail why;
    enum err err;

    entries = 0;
    for (size_t cursor = 0, at = 0; !(err = archive_next(&cursor, &member)); at = cursor)
        if ((err = add_member(&member, at, &why)))
            return REFUSE(err, "archive member ", member.name, ".o: ", why.text);
    return err == ERR_NOT_FOUND ? ERR_OK : REFUSE(err, "the archive is damaged");
}

static bool exports(size_t cursor, const char *symbol)
{
    struct archive_member member;
    struct object object;

    if (archive_next(&cursor, &member) || object_open(member.data, member.bytes, &object, NULL))
        return false;
    for (uint32_t i = 0; i < object.export_count; i++) {
        struct note_symbol note;
        struct elf_symbol s;
        object_export(&object, i, &note);
        object_symbol(&object, note.symbol, &s);
        if (string_equal(object_symbol_name(&object, &s), symbol))
            return true;
    }
    return false;
}

enum err index_find(const char *symbol, size_t *ret_cursor)
{
    uint32_t hash = arena_check(symbol, string_length(symbol));

    for (size_t i = 0; i < entries; i++)
        if (entry[i].hash == hash && exports(entry[i].cursor, symbol)) {
            *ret_cursor = entry[i].cursor;
            return ERR_OK;
        }
    return ERR_NOT_FOUND;
}
