/* See archive.h. Knows cpio headers and names only; the loader checks the members. Invariant: a header is checked each
 * time it is read, since memory may be corrupted after archive_open. */
#include "cells/core/archive/archive.h"
#include "cells/lib/string/string.h"

CELL("archive", KERNEL, 1);
CORE();
EXPORT(archive_open, KERNEL);
EXPORT(archive_find, KERNEL);
EXPORT(archive_next, KERNEL);

#define HEADER_BYTES   110 /* "070701" and 13 fields of 8 hexadecimal digits */
#define FIELD_FILESIZE 6
#define FIELD_NAMESIZE 11
#define NAME_BYTES     64
#define TRAILER        "TRAILER!!!"

static struct {
    const uint8_t *data;
    size_t bytes;
    uint64_t phys;
} archive;
SET_ONCE(archive);

struct entry {
    char name[NAME_BYTES];
    size_t data, bytes, next; /* offsets in the archive */
};

/* Field `index` of the header at `at`: eight hexadecimal digits. */
static bool read_field(const uint8_t *at, unsigned index, size_t *ret_value)
{
    size_t value = 0;

    for (int i = 0; i < 8; i++) {
        uint8_t c = at[6 + 8 * index + i];
        unsigned digit = c >= '0' && c <= '9'   ? c - '0'
                         : c >= 'a' && c <= 'f' ? c - 'a' + 10
                         : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                : 16;
        if (digit == 16)
            return false;
        value = value << 4 | digit;
    }
    *ret_value = value;
    return true;
}

static size_t align4(size_t n)
{
    return (n + 3) & ~(size_t)3;
}

static enum err read_entry(size_t offset, struct entry *ret_entry)
{
    size_t name_bytes, left = archive.bytes - offset;
    struct entry e;

    if (offset > archive.bytes || left < HEADER_BYTES)
        return ERR_TRUNCATED;
    const uint8_t *at = archive.data + offset;
    if (memcmp(at, "070701", 6) || !read_field(at, FIELD_FILESIZE, &e.bytes) ||
        !read_field(at, FIELD_NAMESIZE, &name_bytes) || name_bytes < 2 || name_bytes > NAME_BYTES)
        return ERR_CORRUPT;
    if (left < align4(HEADER_BYTES + name_bytes) || left - align4(HEADER_BYTES + name_bytes) < e.bytes)
        return ERR_TRUNCATED;
    memcpy(e.name, at + HEADER_BYTES, name_bytes);
    if (e.name[name_bytes - 1] != '\0')
        return ERR_CORRUPT;
    e.data = offset + align4(HEADER_BYTES + name_bytes);
    e.next = align4(e.data + e.bytes);
    *ret_entry = e;
    return ERR_OK;
}

/* "NAME.o", NAME of [a-z0-9_]: copies NAME. */
static enum err cell_name(const char *name, char ret_name[32])
{
    size_t length = string_length(name);

    if (length < 3 || length - 2 >= 32 || !string_equal(name + length - 2, ".o"))
        return ERR_CORRUPT;
    for (size_t i = 0; i < length - 2; i++) {
        char c = name[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
            return ERR_CORRUPT;
    }
    memset(ret_name, 0, 32);
    memcpy(ret_name, name, length - 2);
    return ERR_OK;
}

/* Of no archive, and at the end of one, *ret_end is true and *ret_member untouched. */
static enum err read_member(size_t *cursor, struct archive_member *ret_member, bool *ret_end)
{
    struct archive_member member;
    struct entry e;
    enum err err;

    *ret_end = !archive.data;
    if (*ret_end)
        return ERR_OK;
    if ((err = read_entry(*cursor, &e)))
        return err;
    *ret_end = string_equal(e.name, TRAILER);
    if (*ret_end)
        return ERR_OK;
    if ((err = cell_name(e.name, member.name)))
        return err;
    member.data = archive.data + e.data;
    member.bytes = e.bytes;
    member.phys = archive.phys + e.data;
    *cursor = e.next;
    *ret_member = member;
    return ERR_OK;
}

enum archive_next archive_next(size_t *cursor, struct archive_member *ret_member)
{
    bool end;

    if (read_member(cursor, ret_member, &end))
        return ARCHIVE_DAMAGED;
    return end ? ARCHIVE_END : ARCHIVE_MEMBER;
}

enum err archive_find(const char *name, struct archive_member *ret_member)
{
    struct archive_member member;
    size_t cursor = 0;
    enum err err;
    bool end;

    while (!(err = read_member(&cursor, &member, &end)) && !end)
        if (string_equal(member.name, name)) {
            *ret_member = member;
            return ERR_OK;
        }
    return err ? err : ERR_NOT_FOUND;
}

enum err archive_open(const void *data, size_t bytes, uint64_t phys)
{
    struct archive_member member, first;
    size_t cursor = 0;
    enum err err;
    bool end;

    archive.data = data;
    archive.bytes = bytes;
    archive.phys = phys;
    while (!(err = read_member(&cursor, &member, &end)) && !end)
        /* refuses a second member of the same name */
        if ((err = archive_find(member.name, &first)) || first.data != member.data) {
            err = err ? err : ERR_CORRUPT;
            break;
        }
    if (err)
        archive.data = NULL;
    return err;
}
