/* The index of the archive: from the name of a member, or of an exported symbol, to the member. A hash table.
 * Invariant: `sum` is the check word of all entries; where it is not, memory was corrupted, and the index is rebuilt
 * before a name counts as missing. */
#include "cells/core/archive/archive.h"
#include "cells/core/loader/link.h"
#include "cells/lib/hash_table/hash_table.h"
#include "cells/lib/string/string.h"

struct entry {
    uint32_t hash;   /* of the name; 0: the slot is empty */
    uint32_t cursor; /* of the member in the archive */
    uint32_t name;   /* offset of the symbol's name in the member; 0: the name is the member's own */
};
static struct entry *entry GUARDED_BY(loader_lock);
static struct object_ref *object GUARDED_BY(loader_lock); /* by slot of a member's name: the last object record of it */
static uint32_t slots GUARDED_BY(loader_lock);
SET_ONCE(entry);
SET_ONCE(object);
SET_ONCE(slots);
_Static_assert(sizeof *entry + sizeof *object == ARENA_ARCHIVE_SLOT_BYTES);
static size_t entries GUARDED_BY(loader_lock);
static uint32_t sum GUARDED_BY(loader_lock); /* check word of `entry`, once it is complete */

/* Members NAME_vN and NAME_avx2 have another version or build of cell NAME: they are loaded by name only, never for a
 * symbol that they export. */
static bool is_other_version(const char *member, const char *cell)
{
    size_t length = string_length(member), its = object_cell_name(member, length);

    return its < length && its == string_length(cell) && string_starts(member, cell);
}

static const char *name_in(const struct archive_member *member, const struct entry *e)
{
    return !e->name ? member->name : e->name < member->bytes ? (const char *)member->data + e->name : "";
}

/* The entry of `name`, of a member or of a symbol, with that member; NULL: none. */
static struct entry *find(const char *name, bool symbol, struct archive_member *ret_member) NEEDS(loader_lock)
{
    uint32_t hash = arena_hash(name, string_length(name));

    for_each_probe (at, hash, slots) {
        struct entry *e = &entry[at];
        size_t cursor = e->cursor;
        if (!e->hash)
            break;
        if (e->hash == hash && !e->name == !symbol && !archive_next(&cursor, ret_member) &&
            string_equal(name_in(ret_member, e), name))
            return e;
    }
    return NULL;
}

static enum err add(const char *name, uint32_t at, size_t cursor, struct report *report) NEEDS(loader_lock)
{
    uint32_t hash = arena_hash(name, string_length(name));

    for_each_probe (i, hash, slots) {
        if (entry[i].hash || entries == slots / 4 * 3)
            continue;
        entry[i] = (struct entry){.hash = hash, .cursor = (uint32_t)cursor, .name = at};
        entries++;
        return ERR_OK;
    }
    return report_refuse(report, ERR_FULL, "the archive exports too many symbols");
}

static enum err add_member(const struct archive_member *member, size_t cursor, struct report *report) NEEDS(loader_lock)
{
    struct object o;
    enum err err = object_open(member->data, member->bytes, &o, report);

    if (err || (err = add(member->name, 0, cursor, report)))
        return err;
    if (is_other_version(member->name, o.cell.name))
        return ERR_OK;
    if (!string_equal(o.cell.name, member->name))
        return report_refuse(report, ERR_CORRUPT, "its note says that it is cell %s", o.cell.name);
    for (uint32_t i = 0; i < o.export_count; i++) {
        struct note_symbol note;
        struct elf_symbol symbol;
        object_export(&o, i, &note);
        object_symbol(&o, note.symbol, &symbol);
        const char *name = object_symbol_name(&o, &symbol);
        if ((err = add(name, (uint32_t)((const uint8_t *)name - member->data), cursor, report)))
            return err;
    }
    return ERR_OK;
}

enum err index_build(struct report *report)
{
    struct archive_member member;
    struct report why;
    enum archive_next next;
    enum err err;

    entry = arena_area(AREA_ARCHIVE, &slots);
    object = (struct object_ref *)(entry + slots);
    memset(entry, 0, (size_t)slots * ARENA_ARCHIVE_SLOT_BYTES);
    entries = 0;
    for (size_t cursor = 0, at = 0; (next = archive_next(&cursor, &member)) == ARCHIVE_MEMBER; at = cursor)
        if ((err = add_member(&member, at, &why)))
            return report_refuse(report, err, "archive member %s.o: %s", member.name, why.text);
    sum = arena_hash(entry, slots * sizeof *entry);
    return next == ARCHIVE_END ? ERR_OK : report_refuse(report, ERR_CORRUPT, "the archive is damaged");
}

/* As find, but rebuilds an index that is corrupt before it answers that there is nothing. */
static struct entry *find_surely(const char *name, bool symbol, struct archive_member *ret_member) NEEDS(loader_lock)
{
    struct entry *e = find(name, symbol, ret_member);

    if (!e && arena_hash(entry, slots * sizeof *entry) != sum && !index_build(NULL))
        e = find(name, symbol, ret_member);
    return e;
}

enum err index_member(const char *name, struct archive_member *ret_member, struct object_ref **ret_object)
{
    const struct entry *e = find_surely(name, false, ret_member);

    if (!e)
        return ERR_NOT_FOUND;
    *ret_object = &object[e - entry];
    return ERR_OK;
}

enum err index_provider(const char *symbol, struct archive_member *ret_member, struct object_ref **ret_object)
{
    struct archive_member member;

    if (!find_surely(symbol, true, &member))
        return ERR_NOT_FOUND;
    return index_member(member.name, ret_member, ret_object);
}
