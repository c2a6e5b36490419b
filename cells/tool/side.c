/* See side.h. */
#include "cells/tool/side.h"
#include "cells/tool/section_name.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* DIR.debug/NAME.o for DIR/NAME.o. */
static char *debug_path(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *debug;

    if (!slash)
        return asprintf(&debug, "../cells.debug/%s", path) < 0 ? NULL : debug;
    return asprintf(&debug, "%.*s.debug%s", (int)(slash - path), path, slash) < 0 ? NULL : debug;
}

/* The section of the debug file that became section `index`: the n-th of that name in both. */
static size_t debug_section(const struct elf_file *debug, const struct section_names *names,
                            const struct elf_file *object, size_t index)
{
    const char *name = object->section[index].name;
    size_t before = 0;

    for (size_t i = 1; i < index; i++)
        before += strcmp(object->section[i].name, name) == 0;
    for (size_t i = 1; i < debug->sections; i++)
        if (strcmp(names->name[i], name) == 0 && before-- == 0)
            return i;
    return 0;
}

/* A note on a function, which has no state to carry. */
static bool is_function_note(const struct side *side, const struct note_data *note)
{
    return side->object.section[note->section].header.sh_flags & SHF_EXECINSTR;
}

static enum err fill_side_section(struct side *side, const struct elf_file *debug, const struct section_names *names,
                                  const struct note_data *note)
{
    const struct section *s = &side->object.section[note->section];
    struct side_section *out = &side->section[side->sections++];

    *out = (struct side_section){.index = note->section, .name = s->name, .bytes = s->header.sh_size, .note = *note};
    if (!note->type_hash)
        return ERR_OK;
    const struct tags *tags = types_tags(side->types);
    size_t index = debug_section(debug, names, &side->object, note->section);
    if (index)
        out->data = types_data(side->types, index, s->header.sh_size, s->header.sh_addralign, &out->count);
    bool named = out->data && identity_is_name(s->name, out->data, out->count);
    if (!out->data || hash_data(out->data, out->count, named, tags, false) != note->type_hash ||
        hash_data(out->data, out->count, named, tags, true) != note->deep_hash)
        return complain(ERR_CORRUPT, side->debug, "is of another build than %s: %s has another type there", side->path,
                        s->name);
    return ERR_OK;
}

static void add_side_function(struct side *side, const struct note_data *note)
{
    const struct section *s = &side->object.section[note->section];

    side->function[side->functions++] =
        (struct side_section){.index = note->section, .name = s->name, .bytes = s->header.sh_size, .note = *note};
}

static enum err fill_side_sections(struct side *side, const struct elf_file *debug)
{
    CLOSED_BY(section_names_done) struct section_names names = {0};
    enum err e = section_names_make(&names, debug, side->types);

    if (e != ERR_OK)
        return e;
    side->section = calloc(side->notes.datas + 1, sizeof *side->section);
    side->function = calloc(side->notes.datas + 1, sizeof *side->function);
    if (!side->section || !side->function)
        return complain(ERR_NOMEM, side->path, "out of memory");
    for (size_t i = 0; i < side->notes.datas && e == ERR_OK; i++)
        if (is_function_note(side, &side->notes.data[i]))
            add_side_function(side, &side->notes.data[i]);
        else
            e = fill_side_section(side, debug, &names, &side->notes.data[i]);
    return e;
}

bool side_has_types(const char *path)
{
    OWN(memory) char *debug = debug_path(path);

    return debug && access(debug, R_OK) == 0;
}

static enum err read_side(struct side *side)
{
    CLOSED_BY(elf_file_close) struct elf_file debug = {0};
    enum err e = notes_read(&side->notes, &side->object);

    if (e != ERR_OK)
        return e;
    side->debug = debug_path(side->path);
    if (!side->debug)
        return complain(ERR_NOMEM, side->path, "out of memory");
    side->hash = elf_file_hash(&side->object);
    e = elf_file_open(&debug, side->debug);
    if (e != ERR_OK)
        return e;
    side->types = types_open(&debug);
    return side->types ? fill_side_sections(side, &debug) : ERR_CORRUPT;
}

enum err side_open(struct side *ret_side, const char *path)
{
    CLOSED_BY(side_close) struct side side = {.path = path};
    enum err e = elf_file_open(&side.object, path);

    if (e == ERR_OK)
        e = read_side(&side);
    if (e == ERR_OK) {
        *ret_side = side;
        side = (struct side){0};
    }
    return e;
}

void side_close(struct side *side)
{
    types_close(side->types);
    notes_done(&side->notes);
    elf_file_close(&side->object);
    free(side->section);
    free(side->function);
    free(side->debug);
    *side = (struct side){0};
}
