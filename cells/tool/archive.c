/* `cell archive`: cpio "newc", readable by cpio(1). Names are padded with NULs so that contents start at multiples of
 * 16; times and owners are zero, so that equal cells make equal archives. */
#include "cells/tool/verbs.h"
#include "cells/tool/notes.h"
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* `at`: offset of the header, a multiple of 4. */
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

static uint8_t *read_whole(const char *path, size_t *ret_bytes)
{
    FILE *f = fopen(path, "rb");
    long bytes = f && fseek(f, 0, SEEK_END) == 0 ? ftell(f) : -1;
    uint8_t *data = bytes >= 0 && bytes <= INT32_MAX ? malloc((size_t)bytes + 1) : NULL;

    if (data) {
        rewind(f);
        if (fread(data, 1, (size_t)bytes, f) != (size_t)bytes) {
            free(data);
            data = NULL;
        }
        *ret_bytes = (size_t)bytes;
    }
    if (f)
        fclose(f);
    return data;
}

/* A file NAME_vN.o with version N of cell NAME, or NAME_avx2.o with a build of it that uses SIMD registers, lies beside the
 * one that is loaded by name, and keeps its file's name; every other member is named like its cell. */
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

static enum err read_member(struct member *m, const char *path)
{
    struct object o;
    struct notes notes;
    enum err e = object_open(&o, path);

    if (e != ERR_OK)
        return e;
    e = notes_read(&notes, &o);
    if (e == ERR_OK) {
        name_member(m, path, &notes.cell);
        notes_done(&notes);
        m->path = path;
        m->data = read_whole(path, &m->bytes);
        if (!m->data)
            e = complain(ERR_IO, path, "cannot be read: %s", strerror(errno));
    }
    object_close(&o);
    return e;
}

static enum err read_members(struct member *member, char *const objects[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        enum err e = read_member(&member[i], objects[i]);

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
    FILE *f = fopen(path, "wb");
    size_t at = 0;

    if (!f)
        return complain(ERR_IO, path, "%s", strerror(errno));
    for (size_t i = 0; i < count; i++)
        at = put_member(f, at, (unsigned)i + 1, 0100644, &member[i]);
    put_member(f, at, 0, 0, &trailer);
    if (ferror(f) | fclose(f)) {
        unlink(path);
        return complain(ERR_IO, path, "could not be written: %s", strerror(errno));
    }
    return ERR_OK;
}

enum err make_archive(const char *out, char *const objects[], size_t count)
{
    struct member *member = calloc(count + 1, sizeof *member);
    enum err e = member ? read_members(member, objects, count) : complain(ERR_NOMEM, out, "out of memory");

    if (e == ERR_OK)
        e = write_archive(out, member, count);
    for (size_t i = 0; member && i < count; i++)
        free(member[i].data);
    free(member);
    return e;
}
