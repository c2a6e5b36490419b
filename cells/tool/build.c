/* See build.h. */
#include "cells/tool/build.h"
#include "cells/tool/list.h"
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define CPIO_BYTES 110 /* of a member's header */

static void close_member(struct member *m)
{
    notes_done(&m->notes);
    elf_file_close(&m->object);
    free(m->path);
}

void build_close(struct build *build)
{
    for (size_t i = 0; i < build->members; i++)
        close_member(&build->member[i]);
    close_member(&build->image);
    free(build->member);
}

static enum err read_build_member(struct build *build, const char *path, const char *file)
{
    CLOSED_BY(close_member) struct member m = {.path = strdup(path)};
    struct member *room = list_room(build->member, build->members, &build->capacity, sizeof *room);

    if (room)
        build->member = room;
    if (!room || !m.path)
        return complain(ERR_NOMEM, path, "out of memory");
    enum err e = elf_file_open(&m.object, m.path);
    if (e == ERR_OK)
        e = notes_read(&m.notes, &m.object);
    if (e != ERR_OK)
        return e;
    m.hash = elf_file_hash(&m.object);
    size_t n = strlen(m.notes.cell.name);
    if (strcmp(m.notes.cell.name, "nano_core") == 0) {
        close_member(&build->image);
        build->image = m;
        m = (struct member){0};
    } else if (strncmp(file, m.notes.cell.name, n) == 0 && strcmp(file + n, ".o") == 0) {
        room[build->members++] = m;
        m = (struct member){0};
    } /* else NAME_v2.o, which is for swaps by hand */
    return ERR_OK;
}

static int is_object(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);

    return n > 2 && strcmp(entry->d_name + n - 2, ".o") == 0;
}

struct listing {
    struct dirent **entry;
    int count;
};

static void free_listing(struct listing *listing)
{
    for (int i = 0; i < listing->count; i++)
        free(listing->entry[i]);
    free(listing->entry);
}

static enum err read_members(struct build *build, const char *folder)
{
    CLOSED_BY(free_listing) struct listing objects = {0};
    char cells[PATH_MAX], path[PATH_MAX + NAME_MAX + 2];

    if ((size_t)snprintf(cells, sizeof cells, "%s/cells", folder) >= sizeof cells)
        return complain(ERR_RANGE, folder, "has too long a name");
    objects.count = scandir(cells, &objects.entry, is_object, alphasort);
    if (objects.count < 0)
        return complain(ERR_IO, cells, "%s", strerror(errno));
    for (int i = 0; i < objects.count; i++) {
        snprintf(path, sizeof path, "%s/%s", cells, objects.entry[i]->d_name);
        enum err e = read_build_member(build, path, objects.entry[i]->d_name);
        if (e != ERR_OK)
            return e;
    }
    return build->members ? ERR_OK : complain(ERR_NOT_FOUND, cells, "has no cells");
}

/* ---- the archive ---- */

static bool read_hex(const uint8_t *digits, size_t *ret_value)
{
    char text[9] = {0}, *end;

    memcpy(text, digits, 8);
    *ret_value = strtoul(text, &end, 16);
    return end == text + 8;
}

static void mark_member(struct build *build, const char *file)
{
    for (size_t i = 0; i < build->members; i++) {
        size_t n = strlen(build->member[i].notes.cell.name);
        if (strncmp(file, build->member[i].notes.cell.name, n) == 0 && strcmp(file + n, ".o") == 0)
            build->member[i].ships = true;
    }
}

/* Marks the members whose names are in a cpio archive (cells/tool/archive.c), as far as it is sound. */
static void mark_archived(struct build *build, const uint8_t *data, size_t bytes)
{
    size_t at = 0, file, name;

    while (bytes - at > CPIO_BYTES && memcmp(data + at, "070701", 6) == 0 && read_hex(data + at + 54, &file) &&
           read_hex(data + at + 94, &name)) {
        size_t left = bytes - at - CPIO_BYTES;
        if (name == 0 || name > left || data[at + CPIO_BYTES + name - 1] != 0)
            return;
        mark_member(build, (const char *)data + at + CPIO_BYTES);
        size_t front = (CPIO_BYTES + name + 3) & ~(size_t)3, whole = front + ((file + 3) & ~(size_t)3);
        if (whole < front || whole > bytes - at)
            return;
        at += whole;
    }
}

static enum err read_archive(struct build *build, const char *folder)
{
    char path[PATH_MAX + 16];
    OWN(memory) uint8_t *data = NULL;
    struct stat stat;

    snprintf(path, sizeof path, "%s/cells.archive", folder);
    OWN(file) FILE *f = fopen(path, "rb");
    for (size_t i = 0; i < build->members; i++)
        build->member[i].ships = !f;
    if (!f)
        return ERR_OK;
    if (fstat(fileno(f), &stat) != 0 || !(data = malloc((size_t)stat.st_size + 1)))
        return complain(ERR_IO, path, "cannot be read");
    mark_archived(build, data, fread(data, 1, (size_t)stat.st_size, f));
    return ERR_OK;
}

enum err build_read(struct build *build, const char *folder)
{
    enum err e = read_members(build, folder);

    return e == ERR_OK ? read_archive(build, folder) : e;
}

const struct member *build_find(const struct build *build, const char *cell)
{
    for (size_t i = 0; i < build->members; i++)
        if (strcmp(build->member[i].notes.cell.name, cell) == 0)
            return &build->member[i];
    return NULL;
}
