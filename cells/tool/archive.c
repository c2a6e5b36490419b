/* `cell archive`: cpio "newc", readable by cpio(1). Names are padded with NULs so that contents start at multiples of
 * 16; times and owners are zero, so that equal cells make equal archives. */
#include "cells/tool/verbs.h"
#include "cells/tool/notes.h"
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "introspect/base/output.h"

#define HEADER_BYTES 110
#define ALIGN        16

struct member {
    char name[NOTE_NAME_BYTES + sizeof ".o"];
    const char *path;
    uint8_t *data; /* owned */
    size_t bytes;
};

static void put_padding(FILE *f, size_t bytes)
{
    while (bytes--)
        fputc('\0', f);
}

/* Writes a member whose header is at offset `at`, a multiple of 4. Returns the offset behind it. */
static size_t put_member(FILE *f, size_t at, unsigned number, unsigned mode, const struct member *m)
{
    size_t name = strlen(m->name) + 1;

    while (m->bytes && (at + HEADER_BYTES + name) % ALIGN)
        name++;
    fprintf(f, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", number, mode, 0, 0, 1, 0,
            (unsigned)m->bytes, 0, 0, 0, 0, (unsigned)name, 0);
    fwrite(m->name, 1, strlen(m->name), f);
    size_t end = at + HEADER_BYTES + name;
    put_padding(f, name - strlen(m->name) + (-end & 3));
    end += -end & 3;
    if (m->bytes)
        fwrite(m->data, 1, m->bytes, f);
    put_padding(f, -m->bytes & 3);
    return end + m->bytes + (-m->bytes & 3);
}

/* A file NAME_vN.o with version N of cell NAME, or NAME_avx2.o with a build of it that uses SIMD registers, keeps
 * the name of its file, since NAME.o is loaded by name; every other member is named after its cell. */
static void name_member(struct member *m, const char *path, const struct note_cell *cell)
{
    const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
    char version[sizeof m->name + 16], simd[sizeof m->name + 16];

    snprintf(version, sizeof version, "%s_v%u.o", cell->name, cell->version);
    snprintf(simd, sizeof simd, "%s_avx2.o", cell->name);
    bool is_other = strlen(file) < sizeof m->name &&
                    (strcmp(file, version) == 0 || (cell->flags & NOTE_SIMD && strcmp(file, simd) == 0));
    snprintf(m->name, sizeof m->name, "%.*s%s", (int)sizeof m->name - 3, is_other ? file : cell->name,
             is_other ? "" : ".o");
}

static enum err read_archive_member(struct member *m, const char *path)
{
    CLOSED_BY(elf_file_close) struct elf_file o = {0};
    CLOSED_BY(notes_done) struct notes notes = {0};
    enum err e = elf_file_open(&o, path);

    if (e == ERR_OK)
        e = notes_read(&notes, &o);
    if (e != ERR_OK)
        return e;
    name_member(m, path, &notes.cell);
    m->path = path;
    m->data = o.bytes <= INT32_MAX ? malloc(o.bytes) : NULL;
    if (!m->data)
        return complain(ERR_NOMEM, path, "out of memory");
    m->bytes = o.bytes;
    memcpy(m->data, o.data, o.bytes);
    return ERR_OK;
}

static enum err read_members(struct member *member, char *const objects[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        enum err e = read_archive_member(&member[i], objects[i]);

        if (e != ERR_OK)
            return e;
        for (size_t j = 0; j < i; j++)
            if (strcmp(member[j].name, member[i].name) == 0)
                return complain(ERR_EXISTS, objects[i], "is cell %.*s, and so is %s", (int)strlen(member[i].name) - 2,
                                member[i].name, objects[j]);
    }
    return ERR_OK;
}

static enum err write_archive(const char *path, const struct member *member, size_t count)
{
    static const struct member trailer = {.name = "TRAILER!!!"};
    OWN(output) struct output *output = output_new(path);
    size_t at = 0;

    if (!output)
        return complain(ERR_IO, path, "%s", strerror(errno));
    FILE *f = output_stream(output);
    for (size_t i = 0; i < count; i++)
        at = put_member(f, at, (unsigned)i + 1, 0100644, &member[i]);
    put_member(f, at, 0, 0, &trailer);
    return output_commit(output) ? ERR_OK : complain(ERR_IO, path, "could not be written: %s", strerror(errno));
}

/* An array of members, ended by one without a path. */
static void free_members(struct member **members)
{
    for (struct member *m = *members; m && m->path; m++)
        free(m->data);
    free(*members);
}

enum err make_archive(const char *out, char *const objects[], size_t count)
{
    CLOSED_BY(free_members) struct member *members = calloc(count + 1, sizeof *members);

    if (!members)
        return complain(ERR_NOMEM, out, "out of memory");
    enum err e = read_members(members, objects, count);
    return e == ERR_OK ? write_archive(out, members, count) : e;
}
