/* See side.h. */
#include "cells/tool/side.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* DIR.debug/NAME.o for DIR/NAME.o. */
static char *debug_path(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *debug;

    if (!slash)
        return asprintf(&debug, "../cells.debug/%s", path) < 0 ? NULL : debug;
    return asprintf(&debug, "%.*s.debug%s", (int)(slash - path), path, slash) < 0 ? NULL : debug;
}

/* Section of the debug file that became section `index`: the one of its name, with as many of the same name before it. */
static size_t debug_section(const struct object *debug, const struct object *object, size_t index)
{
    const char *name = object->section[index].name;
    size_t before = 0;

    for (size_t i = 1; i < index; i++)
        before += strcmp(object->section[i].name, name) == 0;
    for (size_t i = 1; i < debug->sections; i++)
        if (strcmp(debug->section[i].name, name) == 0 && before-- == 0)
            return i;
    return 0;
}

/* Functions have no state to carry. */
static bool is_function(const struct side *side, const struct note_data *note)
{
    return side->object.section[note->section].header.sh_flags & SHF_EXECINSTR;
}

static enum err fill_section(struct side *side, const struct object *debug, const struct note_data *note)
{
    const struct section *s = &side->object.section[note->section];
    struct side_section *out = &side->section[side->sections++];

    *out = (struct side_section){.index = note->section, .name = s->name, .bytes = s->header.sh_size, .note = *note};
    if (!note->type_hash)
        return ERR_OK;
    size_t index = debug_section(debug, &side->object, note->section);
    if (index)
        out->data = types_data(side->types, index, s->header.sh_size, s->header.sh_addralign, &out->count);
    if (!out->data || hash_data(out->data, out->count, NULL) != note->type_hash ||
        hash_data(out->data, out->count, types_tags(side->types)) != note->deep_hash)
        return complain(ERR_CORRUPT, side->debug, "is of another build than %s: %s has another type there", side->path,
                        s->name);
    return ERR_OK;
}

static enum err fill_sections(struct side *side)
{
    struct object debug;
    enum err e = object_open(&debug, side->debug);

    if (e != ERR_OK)
        return e;
    side->section = calloc(side->notes.datas + 1, sizeof *side->section);
    if (!side->section)
        e = complain(ERR_NOMEM, side->path, "out of memory");
    for (size_t i = 0; i < side->notes.datas && e == ERR_OK; i++)
        e = is_function(side, &side->notes.data[i]) ? ERR_OK : fill_section(side, &debug, &side->notes.data[i]);
    object_close(&debug);
    return e;
}

static enum err fill(struct side *side)
{
    enum err e = object_hash(&side->object, &side->hash);
    if (e == ERR_OK)
        e = notes_read(&side->notes, &side->object);
    if (e != ERR_OK)
        return e;
    side->debug = debug_path(side->path);
    if (!side->debug)
        return complain(ERR_NOMEM, side->path, "out of memory");
    side->types = types_open(side->debug);
    return side->types ? fill_sections(side) : ERR_CORRUPT;
}

enum err side_open(struct side *ret_side, const char *path)
{
    struct side side = {.path = path};
    enum err e = object_open(&side.object, path);

    if (e != ERR_OK)
        return e;
    e = fill(&side);
    if (e != ERR_OK) {
        side_close(&side);
        return e;
    }
    *ret_side = side;
    return ERR_OK;
}

void side_close(struct side *side)
{
    types_close(side->types);
    notes_done(&side->notes);
    object_close(&side->object);
    free(side->section);
    free(side->debug);
    *side = (struct side){.object.fd = -1};
}
