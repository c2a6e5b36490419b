/* See say.h. Whether the symbols that are named exist is for make.c to see. */
#include "cells/tool/say.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAY_SECTION ".delias.say"
#define WORDS       4

const char *const say_role_name[SAY_ROLES] = {
    [SAY_INIT] = "init", [SAY_MAIN] = "main", [SAY_TRANSFER] = "transfer", [SAY_DONE] = "done"};

const struct say_flag say_flag[] = {{"per_namespace", NOTE_PER_NAMESPACE}, {0}};

static const char *const kind_words[] = {
    [CELL_KERNEL] = "KERNEL", [CELL_DRIVER] = "DRIVER", [CELL_LIBRARY] = "LIBRARY", [CELL_APPLICATION] = "APPLICATION"};

_Static_assert((int)ACCESS_KERNEL == (int)CELL_KERNEL && (int)ACCESS_APPLICATION == (int)CELL_APPLICATION,
               "kinds and access levels share their words");

const char *say_kind_word(uint32_t kind)
{
    return kind >= CELL_KERNEL && kind <= CELL_APPLICATION ? kind_words[kind] : "?";
}

const char *say_access_word(uint32_t access)
{
    return say_kind_word(access);
}

static unsigned word_number(const char *word)
{
    for (unsigned i = CELL_KERNEL; i <= CELL_APPLICATION; i++)
        if (strcmp(word, kind_words[i]) == 0)
            return i;
    return 0;
}

static enum err read_cell(struct say *say, const char *path, char *const word[])
{
    char *end;
    unsigned long version = strtoul(word[3], &end, 10);

    if (say->name[0])
        return complain(ERR_EXISTS, path, "says CELL twice: \"%s\" and \"%s\"", say->name, word[1]);
    if (strlen(word[1]) >= sizeof say->name)
        return complain(ERR_RANGE, path, "cell name \"%s\" is longer than %zu characters", word[1],
                        sizeof say->name - 1);
    if (!word[1][0] || strspn(word[1], "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(word[1]))
        return complain(ERR_INVALID, path, "cell name \"%s\" may hold only a-z, 0-9 and _", word[1]);
    say->kind = word_number(word[2]);
    if (!say->kind)
        return complain(ERR_INVALID, path, "unknown kind %s; it is KERNEL, DRIVER, LIBRARY or APPLICATION", word[2]);
    if (*end || end == word[3] || version == 0 || version > UINT32_MAX)
        return complain(ERR_INVALID, path, "version \"%s\" is not a number from 1 on", word[3]);
    strcpy(say->name, word[1]);
    say->version = (uint32_t)version;
    return ERR_OK;
}

static enum err read_export(struct say *say, const char *path, char *const word[])
{
    unsigned access = word_number(word[2]);

    if (!access)
        return complain(ERR_INVALID, path, "export %s: unknown access level %s", word[1], word[2]);
    if (strlen(word[1]) >= NOTE_SYMBOL_BYTES)
        return complain(ERR_RANGE, path, "export %s: longer than %d characters", word[1], NOTE_SYMBOL_BYTES - 1);
    for (size_t i = 0; i < say->exports; i++)
        if (strcmp(say->export[i].symbol, word[1]) == 0)
            return complain(ERR_EXISTS, path, "export %s: said twice", word[1]);
    say->export[say->exports++] = (struct say_export){.symbol = word[1], .access = access};
    return ERR_OK;
}

static enum err read_role(struct say *say, const char *path, enum say_role role, const char *function)
{
    if (say->role[role])
        return complain(ERR_EXISTS, path, "says %s twice: %s and %s", say_role_name[role], say->role[role], function);
    say->role[role] = function;
    return ERR_OK;
}

static uint32_t word_flag(const char *word)
{
    for (const struct say_flag *f = say_flag; f->word; f++)
        if (strcmp(word, f->word) == 0)
            return f->flag;
    return 0;
}

static size_t split(char *line, char *word[WORDS + 1])
{
    size_t n = 0;

    for (char *rest = line, *w; n <= WORDS && (w = strsep(&rest, " ")) != NULL;)
        word[n++] = w;
    return n;
}

static enum err read_line(struct say *say, const char *path, char *line)
{
    char *word[WORDS + 1];
    size_t n = split(line, word);

    if (strcmp(word[0], "cell") == 0 && n == 4)
        return read_cell(say, path, word);
    if (strcmp(word[0], "export") == 0 && n == 3)
        return read_export(say, path, word);
    for (enum say_role r = 0; r < SAY_ROLES; r++)
        if (strcmp(word[0], say_role_name[r]) == 0 && n == 2)
            return read_role(say, path, r, word[1]);
    if (n == 1 && word_flag(word[0])) {
        say->flags |= word_flag(word[0]);
        return ERR_OK;
    }
    return complain(ERR_INVALID, path, "%s: a line that begins with \"%s\" is not understood", SAY_SECTION, word[0]);
}

enum err say_read(struct say *ret_say, const struct object *object)
{
    struct say say = {0};
    size_t index = object_section(object, SAY_SECTION);
    enum err e = ERR_OK;

    if (!index || !object->section[index].bytes)
        return complain(ERR_NOT_CELL, object->path, "has no CELL(...) line; include cells/cell.h and say it once");
    size_t bytes = object->section[index].bytes;
    say.text = malloc(bytes + 1);
    say.export = calloc(bytes / sizeof "export" + 1, sizeof *say.export);
    if (!say.text || !say.export) {
        say_done(&say);
        return complain(ERR_NOMEM, object->path, "out of memory");
    }
    memcpy(say.text, object->section[index].data, bytes);
    say.text[bytes] = '\0';
    for (size_t at = 0, next; at < bytes && e == ERR_OK; at = next) {
        next = at + strlen(say.text + at) + 1;
        if (say.text[at])
            e = read_line(&say, object->path, say.text + at);
    }
    if (e == ERR_OK && !say.name[0])
        e = complain(ERR_NOT_CELL, object->path, "has no CELL(...) line; say it once in one of its sources");
    if (e != ERR_OK) {
        say_done(&say);
        return e;
    }
    *ret_say = say;
    return ERR_OK;
}

void say_done(struct say *say)
{
    free(say->export);
    free(say->text);
    *say = (struct say){0};
}
