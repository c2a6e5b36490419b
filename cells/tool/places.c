/* See places.h. Of ld's map, reads the lines that place a section of an input file, and the one of the unwind
 * tables, which the linker merges: they belong to the image's entry point. A long name is on a line of its own. */
#include "cells/tool/places.h"
#include "cells/tool/elf_file.h"
#include "cells/tool/elf_out.h"
#include "cells/tool/list.h"
#include "cells/tool/section_name.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "guest/abi/layout.h"
#include "guest/abi/note.h"

#define IMAGE_START   (LAYOUT_IMAGE_VIRT + LAYOUT_IMAGE_PHYS)
#define IMAGE_END     (LAYOUT_IMAGE_VIRT + LAYOUT_ARENA_PHYS)
#define ENTRY_POINT   "nano_core"
#define UNWIND_TABLES ".eh_frame"
#define BUILD_ID      ".note.gnu.build-id"
#define BUILD_ID_SKIP 16 /* the header of the ELF note */

struct place {
    char cell[NOTE_NAME_BYTES], section[128];
    uint64_t virt, bytes;
};

/* The analyzer takes every variable for changed where an element is added to a list. */
#pragma GCC diagnostic ignored "-Wanalyzer-use-of-uninitialized-value"

/* An object that is linked, and what `cell make` calls its sections. */
struct linked {
    char *path; /* owned */
    struct elf_file file;
    struct types *types;
    struct section_names names;
};

struct places {
    struct place *place;
    size_t count;
    struct linked *linked;
    size_t links, capacity;
    bool failed;
    enum err error; /* an object could not be read, which was reported */
};

/* Cell by cell, the entry point first, since the unwind tables of all are in it; within a cell by address. */
static int compare_places(const void *a, const void *b)
{
    const struct place *p = a, *q = b;
    int entry = (strcmp(q->cell, ENTRY_POINT) == 0) - (strcmp(p->cell, ENTRY_POINT) == 0);
    int cell = entry ? entry : strcmp(p->cell, q->cell);

    return cell ? cell : p->virt < q->virt ? -1 : p->virt > q->virt;
}

static void add_place(struct places *places, const char *cell, const char *section, uint64_t virt, uint64_t bytes)
{
    struct place *grown = realloc(places->place, (places->count + 1) * sizeof *grown);

    if (!grown) {
        places->failed = true;
        return;
    }
    places->place = grown;
    struct place *p = &grown[places->count++];
    memset(p, 0, sizeof *p);
    snprintf(p->cell, sizeof p->cell, "%s", cell);
    snprintf(p->section, sizeof p->section, "%s", section);
    p->virt = virt;
    p->bytes = bytes;
}

static void linked_done(struct linked *linked)
{
    section_names_done(&linked->names);
    types_close(linked->types);
    elf_file_close(&linked->file);
    free(linked->path);
}

static enum err open_linked(struct linked *linked)
{
    enum err e = elf_file_open(&linked->file, linked->path);

    if (e == ERR_OK && !(linked->types = types_open(&linked->file)))
        e = ERR_CORRUPT;
    return e == ERR_OK ? section_names_make(&linked->names, &linked->file, linked->types) : e;
}

/* The object of that path; NULL: `places` says why not. */
static struct linked *find_linked(struct places *places, const char *path)
{
    for (size_t i = 0; i < places->links; i++)
        if (places->linked[i].path && strcmp(places->linked[i].path, path) == 0)
            return &places->linked[i];
    struct linked *room = list_room(places->linked, places->links, &places->capacity, sizeof *room);
    places->failed |= !room;
    if (!room)
        return NULL;
    places->linked = room;
    CLOSED_BY(linked_done) struct linked linked = {.path = strdup(path)};
    places->failed |= !linked.path;
    if (!linked.path || (places->error = open_linked(&linked)))
        return NULL;
    room[places->links] = linked;
    linked = (struct linked){0};
    return &room[places->links++];
}

/* The name of section `name` of an object file in the cell that is made of it. */
static const char *name_in_cell(struct places *places, const char *path, const char *name)
{
    const struct linked *linked = find_linked(places, path);

    size_t section = linked ? elf_file_section(&linked->file, name) : 0;

    return section ? linked->names.name[section] : name;
}

/* "build/raw/frame.o" is of cell frame. */
static void cell_of_object(const char *path, char ret_cell[NOTE_NAME_BYTES])
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

    snprintf(ret_cell, NOTE_NAME_BYTES, "%.*s", (int)strcspn(name, "."), name);
}

static void read_map_line(struct places *places, const char *line, char name[128])
{
    char word[128], path[256], cell[NOTE_NAME_BYTES];
    uint64_t virt, bytes;

    if (sscanf(line, UNWIND_TABLES " 0x%" SCNx64 " 0x%" SCNx64, &virt, &bytes) == 2)
        add_place(places, ENTRY_POINT, UNWIND_TABLES, virt, bytes);
    if (line[0] != ' ')
        return;
    if (line[1] == '.' && sscanf(line, " %127s", word) == 1)
        strcpy(name, word);
    else if (line[1] != ' ')
        *name = '\0';
    const char *rest = line[1] == '.' ? line + 1 + strlen(name) : line;
    if (!*name || sscanf(rest, " 0x%" SCNx64 " 0x%" SCNx64 " %255s", &virt, &bytes, path) != 3)
        return;
    if (bytes && virt >= IMAGE_START && virt < IMAGE_END && strcmp(name, UNWIND_TABLES) != 0 && name[0] == '.' &&
        strncmp(name, ".note.", 6) != 0) {
        cell_of_object(path, cell);
        add_place(places, cell, name_in_cell(places, path, name), virt, bytes);
    }
    *name = '\0';
}

static enum err read_map(struct places *places, const char *path)
{
    OWN(file) FILE *f = fopen(path, "r");
    OWN(memory) char *line = NULL;
    char name[128] = "";
    size_t room = 0;

    if (!f)
        return complain(ERR_IO, path, "%s", strerror(errno));
    while (places->error == ERR_OK && getline(&line, &room, f) >= 0)
        read_map_line(places, line, name);
    if (places->error != ERR_OK)
        return places->error;
    if (places->failed)
        return complain(ERR_NOMEM, path, "out of memory");
    if (!places->count)
        return complain(ERR_CORRUPT, path, "places nothing in the image; is it the map of this link?");
    qsort(places->place, places->count, sizeof *places->place, compare_places);
    return ERR_OK;
}

static enum err read_identity(const char *kernel, uint8_t ret_id[20])
{
    CLOSED_BY(elf_file_close) struct elf_file image = {0};
    enum err e = elf_file_open(&image, kernel);

    if (e != ERR_OK)
        return e;
    const struct section *s = &image.section[elf_file_section(&image, BUILD_ID)];
    if (!s->data || s->bytes != BUILD_ID_SKIP + 20)
        return complain(ERR_CORRUPT, kernel, "has no build identity; link it with --build-id=sha1");
    memcpy(ret_id, s->data + BUILD_ID_SKIP, 20);
    return ERR_OK;
}

/* The records, and behind them the strings. */
static enum err write_places(const struct places *places, struct note_image image, void **ret, size_t *ret_bytes)
{
    size_t fixed = sizeof image + places->count * sizeof(struct note_place);
    CLOSED_BY(strings_done) struct strings strings = {0};
    OWN(memory) struct note_place *records = calloc(places->count + 1, sizeof *records);

    if (!records)
        return complain(ERR_NOMEM, "places", "out of memory");
    image.places = (uint32_t)places->count;
    for (size_t i = 0; i < places->count; i++) {
        const struct place *p = &places->place[i];
        records[i] = (struct note_place){.virt = p->virt,
                                         .bytes = (uint32_t)p->bytes,
                                         .cell = (uint32_t)fixed + strings_add(&strings, p->cell),
                                         .section = (uint32_t)fixed + strings_add(&strings, p->section)};
    }
    OWN(memory) uint8_t *whole = strings.failed ? NULL : malloc(fixed + strings.bytes);
    if (!whole)
        return complain(ERR_NOMEM, "places", "out of memory");
    memcpy(whole, &image, sizeof image);
    memcpy(whole + sizeof image, records, places->count * sizeof *records);
    if (strings.text)
        memcpy(whole + fixed, strings.text, strings.bytes);
    *ret = MOVE(whole);
    *ret_bytes = fixed + strings.bytes;
    return ERR_OK;
}

static void places_done(struct places *places)
{
    for (size_t i = 0; i < places->links; i++)
        linked_done(&places->linked[i]);
    free(places->linked);
    free(places->place);
}

enum err places_read(const char *kernel, const char *map, void **ret_places, size_t *ret_bytes)
{
    CLOSED_BY(places_done) struct places places = {0};
    struct note_image image = {0};
    enum err e = read_identity(kernel, image.build_id);

    if (e == ERR_OK)
        e = read_map(&places, map);
    if (e == ERR_OK)
        e = write_places(&places, image, ret_places, ret_bytes);
    return e;
}
