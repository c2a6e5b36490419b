/* See places.h. Of ld's map only the lines count that place a section of an input file, and the one of the unwind tables,
 * which the linker makes one of: they are of the image's way in. A long name has a line of its own. */
#include "cells/tool/places.h"
#include "cells/tool/object.h"
#include "cells/tool/out.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "guest/abi/layout.h"
#include "guest/abi/note.h"

#define IMAGE_START   (LAYOUT_IMAGE_VIRT + LAYOUT_IMAGE_PHYS)
#define IMAGE_END     (LAYOUT_IMAGE_VIRT + LAYOUT_ARENA_PHYS)
#define WAY_IN        "nano_core"
#define UNWIND_TABLES ".eh_frame"
#define BUILD_ID      ".note.gnu.build-id"
#define BUILD_ID_SKIP 16 /* the header of the ELF note */

struct place {
    char cell[NOTE_NAME_BYTES], section[128];
    uint64_t virt, bytes;
};

struct places {
    struct place *place;
    size_t count;
    bool failed;
};

/* Cell by cell, the way in first, since the others' unwind tables are its own; within a cell by address. */
static int compare(const void *a, const void *b)
{
    const struct place *p = a, *q = b;
    int way_in = (strcmp(q->cell, WAY_IN) == 0) - (strcmp(p->cell, WAY_IN) == 0);
    int cell = way_in ? way_in : strcmp(p->cell, q->cell);

    return cell ? cell : p->virt < q->virt ? -1 : p->virt > q->virt;
}

static void add(struct places *places, const char *cell, const char *section, uint64_t virt, uint64_t bytes)
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

/* "build/raw/frame.o" is of cell frame. */
static void cell_of(const char *path, char ret_cell[NOTE_NAME_BYTES])
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

    snprintf(ret_cell, NOTE_NAME_BYTES, "%.*s", (int)strcspn(name, "."), name);
}

static void read_line(struct places *places, const char *line, char name[128])
{
    char word[128], path[256], cell[NOTE_NAME_BYTES];
    uint64_t virt, bytes;

    if (sscanf(line, UNWIND_TABLES " 0x%" SCNx64 " 0x%" SCNx64, &virt, &bytes) == 2)
        add(places, WAY_IN, UNWIND_TABLES, virt, bytes);
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
        cell_of(path, cell);
        add(places, cell, name, virt, bytes);
    }
    *name = '\0';
}

static enum err read_map(struct places *places, const char *path)
{
    FILE *f = fopen(path, "r");
    char *line = NULL, name[128] = "";
    size_t room = 0;

    if (!f)
        return complain(ERR_IO, path, "%s", strerror(errno));
    while (getline(&line, &room, f) >= 0)
        read_line(places, line, name);
    free(line);
    fclose(f);
    if (places->failed)
        return complain(ERR_NOMEM, path, "out of memory");
    if (!places->count)
        return complain(ERR_CORRUPT, path, "places nothing in the image; is it the map of this link?");
    qsort(places->place, places->count, sizeof *places->place, compare);
    return ERR_OK;
}

static enum err read_identity(const char *kernel, uint8_t ret_id[20])
{
    struct object image;
    enum err e = object_open(&image, kernel);

    if (e != ERR_OK)
        return e;
    const struct section *s = &image.section[object_section(&image, BUILD_ID)];
    if (s->data && s->bytes == BUILD_ID_SKIP + 20)
        memcpy(ret_id, s->data + BUILD_ID_SKIP, 20);
    else
        e = complain(ERR_CORRUPT, kernel, "has no build identity; link it with --build-id=sha1");
    object_close(&image);
    return e;
}

/* The records, and behind them the strings. */
static enum err write_places(const struct places *places, struct note_image image, void **ret, size_t *ret_bytes)
{
    size_t fixed = sizeof image + places->count * sizeof(struct note_place);
    struct strings strings = {0};
    uint8_t *data = malloc(fixed);

    image.places = (uint32_t)places->count;
    for (size_t i = 0; data && i < places->count; i++) {
        const struct place *p = &places->place[i];
        const struct note_place place = {.virt = p->virt,
                                         .bytes = (uint32_t)p->bytes,
                                         .cell = (uint32_t)fixed + strings_add(&strings, p->cell),
                                         .section = (uint32_t)fixed + strings_add(&strings, p->section)};
        memcpy(data + sizeof image + i * sizeof place, &place, sizeof place);
    }
    uint8_t *whole = data && !strings.failed ? realloc(data, fixed + strings.bytes) : NULL;
    if (whole) {
        memcpy(whole, &image, sizeof image);
        if (strings.text)
            memcpy(whole + fixed, strings.text, strings.bytes);
        *ret = whole;
        *ret_bytes = fixed + strings.bytes;
    } else {
        free(data);
    }
    free(strings.text);
    return whole ? ERR_OK : complain(ERR_NOMEM, "places", "out of memory");
}

enum err places_read(const char *kernel, const char *map, void **ret_places, size_t *ret_bytes)
{
    struct places places = {0};
    struct note_image image = {0};
    enum err e = read_identity(kernel, image.build_id);

    if (e == ERR_OK)
        e = read_map(&places, map);
    if (e == ERR_OK)
        e = write_places(&places, image, ret_places, ret_bytes);
    free(places.place);
    return e;
}
