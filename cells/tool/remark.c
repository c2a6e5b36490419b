/* The parts of match.h that know no types: the path of the current field, decisions about fields, and remarks. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "cells/tool/list.h"
#include "cells/tool/match.h"

static void free_lines(struct match_lines *lines)
{
    for (size_t i = 0; i < lines->lines; i++) {
        free(lines->line[i].field);
        free(lines->line[i].text);
    }
    free(lines->line);
    *lines = (struct match_lines){0};
}

void match_done(struct match *match)
{
    free_lines(&match->refused);
    free_lines(&match->changed);
}

size_t match_path(struct match *match, const char *between, const char *name)
{
    size_t before = match->path_bytes, room = sizeof match->path - before;
    int n = snprintf(match->path + before, room, "%s%s", before ? between : "", name);

    match->path_bytes += (size_t)n < room ? (size_t)n : room - 1;
    return before;
}

void match_path_back(struct match *match, size_t bytes)
{
    match->path[match->path_bytes = bytes] = '\0';
}

struct match_word *match_word(struct match *match, const char *name)
{
    size_t back = match_path(match, *name ? "." : "", name);
    struct match_word *found = NULL;

    for (size_t i = 0; i < match->words && !found; i++)
        if (strcmp(match->word[i].path, match->path) == 0)
            found = &match->word[i];
    match_path_back(match, back);
    return found;
}

void match_remark(struct match *match, struct match_lines *lines, const char *format, ...)
{
    struct match_line *room = list_room(lines->line, lines->lines, &lines->capacity, sizeof *room);
    struct match_line line = {.cell = match->cell};
    va_list args;

    match->failed |= !room;
    if (!room)
        return;
    lines->line = room;
    va_start(args, format);
    if (vasprintf(&line.text, format, args) < 0)
        line.text = NULL;
    va_end(args);
    line.field = strdup(match->path);
    match->failed |= !line.field || !line.text;
    room[lines->lines++] = line; /* match_done accepts NULL */
}

const char *match_read_words(const struct option_list *list, struct match_word *ret_words)
{
    for (size_t i = 0; i < list->count; i++) {
        char *value = (char *)list->use[i].value, *equals = strchr(value, '=');

        if ((strcmp(list->use[i].name, "rename") == 0) != (equals != NULL))
            return value;
        if (equals)
            *equals = '\0';
        ret_words[i] = (struct match_word){.path = value, .to = equals ? equals + 1 : NULL};
    }
    return NULL;
}
