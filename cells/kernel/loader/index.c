/* Which members the archive has, and which of them exports which symbol: built once, by hash of the names. */
#include "cells/kernel/archive/archive.h"
#include "cells/kernel/loader/link.h"
#include "cells/lib/string/string.h"

#define SLOTS (ARCHIVE_EXPORTS_MAX * 4 / 3)

/* A name, and the member that it leads to: its own, or that of a symbol which it exports. */
struct entry {
    uint32_t hash;   /* of the name; 0: empty */
    uint32_t cursor; /* of the member */
    uint32_t name;   /* of the symbol: where it is in the member; 0: the member's own */
};
static struct entry entry[SLOTS];
static uint32_t object[SLOTS]; /* by slot of the member's own name: made from it the last time */
static size_t entries;
static uint32_t sum; /* of all entries, once they are there */

/* Members NAME_vN and NAME_avx2 hold another version or build of cell NAME: loaded when asked for, nobody's provider. */
static bool is_other_version(const char *member, const char *cell)
{
    size_t length = string_length(cell);

    if (string_starts(member, cell) && string_equal(member + length, "_avx2"))
        return true;
    if (!string_starts(member, cell) || !string_starts(member + length, "_v"))
        return false;
    for (member += length + 2; *member >= '0' && *member <= '9'; member++)
        ;
    return !*member;
}

static const char *name_in(const struct archive_member *member, const struct entry *e)
{
    return !e->name ? member->name : e->name < member->bytes ? (const char *)member->data + e->name : "";
}

/* The entry of `name`, of a member or of a symbol, with that member; NULL: none. */
static struct entry *find(const char *name, bool symbol, struct archive_member *ret_member)
{
    uint32_t hash = arena_check(name, string_length(name));

    for (size_t steps = 0, i = hash % SLOTS; steps < SLOTS && entry[i].hash; steps++, i = (i + 1) % SLOTS) {
        size_t cursor = entry[i].cursor;
        if (entry[i].hash == hash && !entry[i].name == !symbol && !archive_next(&cursor, ret_member) &&
            string_equal(name_in(ret_member, &entry[i]), name))
            return &entry[i];
    }
    return NULL;
}

static enum err add(const char *name, uint32_t at, size_t cursor, struct loader_detail *detail)
{
    uint32_t hash = arena_check(name, string_length(name));
    size_t i = hash % SLOTS;

    if (entries == ARCHIVE_EXPORTS_MAX)
        return REFUSE(ERR_FULL, "the archive exports too many symbols");
    while (entry[i].hash)
        i = (i + 1) % SLOTS;
    entry[i] = (struct entry){.hash = hash, .cursor = (uint32_t)cursor, .name = at};
    entries++;
    return ERR_OK;
}

static enum err add_member(const struct archive_member *member, size_t cursor, struct loader_detail *detail)
{
    struct object o;
    enum err err = object_open(member->data, member->bytes, &o, detail);

    if (err || (err = add(member->name, 0, cursor, detail)))
        return err;
    if (is_other_version(member->name, o.cell.name))
        return ERR_OK;
    if (!string_equal(o.cell.name, member->name))
        return REFUSE(ERR_CORRUPT, "its note says that it is cell ", o.cell.name);
    for (uint32_t i = 0; i < o.export_count; i++) {
        struct note_symbol note;
        struct elf_symbol symbol;
        object_export(&o, i, &note);
        object_symbol(&o, note.symbol, &symbol);
        const char *name = object_symbol_name(&o, &symbol);
        if ((err = add(name, (uint32_t)((const uint8_t *)name - member->data), cursor, detail)))
            return err;
    }
    return ERR_OK;
}

enum err index_build(struct loader_detail *detail)
{
    struct archive_member member;
    struct loader_detail why;
    enum err err;

    memset(entry, 0, sizeof entry);
    memset(object, 0, sizeof object);
    entries = 0;
    for (size_t cursor = 0, at = 0; !(err = archive_next(&cursor, &member)); at = cursor)
        if ((err = add_member(&member, at, &why)))
            return REFUSE(err, "archive member ", member.name, ".o: ", why.text);
    sum = arena_check(entry, sizeof entry);
    return err == ERR_NOT_FOUND ? ERR_OK : REFUSE(err, "the archive is damaged");
}

/* What is not there may have been hit: then the index is made anew. */
static struct entry *find_surely(const char *name, bool symbol, struct archive_member *ret_member)
{
    struct entry *e = find(name, symbol, ret_member);

    if (!e && arena_check(entry, sizeof entry) != sum && !index_build(NULL))
        e = find(name, symbol, ret_member);
    return e;
}

enum err index_member(const char *name, struct archive_member *ret_member, uint32_t **ret_object)
{
    const struct entry *e = find_surely(name, false, ret_member);

    if (!e)
        return ERR_NOT_FOUND;
    *ret_object = &object[e - entry];
    return ERR_OK;
}

enum err index_provider(const char *symbol, struct archive_member *ret_member, uint32_t **ret_object)
{
    struct archive_member member;

    if (!find_surely(symbol, true, &member))
        return ERR_NOT_FOUND;
    return index_member(member.name, ret_member, ret_object);
}
