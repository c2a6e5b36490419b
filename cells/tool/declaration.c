/* See declaration.h. Leaves out whether the named symbols exist; pack.c checks that. */
#include "cells/tool/declaration.h"
#include "introspect/base/number.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS 6

const char *const declaration_role[ROLES] = {
    [ROLE_INIT] = "init", [ROLE_MAIN] = "main", [ROLE_TRANSFER] = "transfer", [ROLE_DONE] = "done"};

const struct declared_flag declared_flags[] = {
    {"per_namespace", NOTE_PER_NAMESPACE}, {"core", NOTE_CORE}, {"foundation", NOTE_FOUNDATION}, {0}};

static const char *const kind_words[] = {
    [CELL_KERNEL] = "KERNEL", [CELL_DRIVER] = "DRIVER", [CELL_LIBRARY] = "LIBRARY", [CELL_APPLICATION] = "APPLICATION"};

_Static_assert((int)ACCESS_KERNEL == (int)CELL_KERNEL && (int)ACCESS_APPLICATION == (int)CELL_APPLICATION,
               "kinds and access levels share their words");

const char *declaration_kind(uint32_t kind)
{
    return kind >= CELL_KERNEL && kind <= CELL_APPLICATION ? kind_words[kind] : "?";
}

const char *declaration_access(uint32_t access)
{
    return declaration_kind(access);
}

const char *declaration_datum(uint32_t datum)
{
    static const char *const words[DATUMS] = {"", [DATUM_SET_ONCE] = "set_once", [DATUM_SOFT] = "soft"};

    return datum < DATUMS ? words[datum] : "?";
}

static unsigned word_number(const char *word)
{
    for (unsigned i = CELL_KERNEL; i <= CELL_APPLICATION; i++)
        if (strcmp(word, kind_words[i]) == 0)
            return i;
    return 0;
}

static enum err read_cell(struct declaration *declaration, const char *path, char *const word[])
{
    uint64_t version;

    if (declaration->name[0])
        return complain(ERR_EXISTS, path, "says CELL twice: \"%s\" and \"%s\"", declaration->name, word[1]);
    if (strlen(word[1]) >= sizeof declaration->name)
        return complain(ERR_RANGE, path, "cell name \"%s\" is longer than %zu characters", word[1],
                        sizeof declaration->name - 1);
    if (!word[1][0] || strspn(word[1], "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(word[1]))
        return complain(ERR_INVALID, path, "cell name \"%s\" may hold only a-z, 0-9 and _", word[1]);
    declaration->kind = word_number(word[2]);
    if (!declaration->kind)
        return complain(ERR_INVALID, path, "unknown kind %s; it is KERNEL, DRIVER, LIBRARY or APPLICATION", word[2]);
    if (!number_parse(word[3], 1, UINT32_MAX, &version))
        return complain(ERR_INVALID, path, "version \"%s\" is not a number from 1 on", word[3]);
    strcpy(declaration->name, word[1]);
    declaration->version = (uint32_t)version;
    return ERR_OK;
}

static enum err read_export(struct declaration *declaration, const char *path, char *const word[])
{
    unsigned access = word_number(word[2]);

    if (!access)
        return complain(ERR_INVALID, path, "export %s: unknown access level %s", word[1], word[2]);
    if (strlen(word[1]) >= NOTE_SYMBOL_BYTES)
        return complain(ERR_RANGE, path, "export %s: longer than %d characters", word[1], NOTE_SYMBOL_BYTES - 1);
    for (size_t i = 0; i < declaration->exports; i++)
        if (strcmp(declaration->export[i].symbol, word[1]) == 0)
            return complain(ERR_EXISTS, path, "export %s: said twice", word[1]);
    declaration->export[declaration->exports++] = (struct declared_export){.symbol = word[1], .access = access};
    return ERR_OK;
}

static enum err read_role(struct declaration *declaration, const char *path, enum declared_role role,
                          const char *function)
{
    if (declaration->role[role])
        return complain(ERR_EXISTS, path, "says %s twice: %s and %s", declaration_role[role], declaration->role[role],
                        function);
    declaration->role[role] = function;
    return ERR_OK;
}

static uint32_t word_flag(const char *word)
{
    for (const struct declared_flag *f = declared_flags; f->word; f++)
        if (strcmp(word, f->word) == 0)
            return f->flag;
    return 0;
}

static size_t split_line(char *line, char *word[WORDS + 1])
{
    size_t n = 0;

    for (char *rest = line, *w; n <= WORDS && (w = strsep(&rest, " ")) != NULL;)
        word[n++] = w;
    return n;
}

/* "invariant length struct TAG FIELD OTHER" */
static bool read_invariant(struct declaration *declaration, char *const word[])
{
    static const struct {
        const char *word;
        enum note_rule_what what;
    } kinds[] = {{"length", RULE_LENGTH}, {"array", RULE_ARRAY}, {"list", RULE_LIST}, {"back", RULE_BACK}};

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(word[1], kinds[i].word) == 0 && strcmp(word[2], "struct") == 0) {
            declaration->invariant[declaration->invariants++] =
                (struct declared_invariant){kinds[i].what, word[3], word[4], word[5]};
            return true;
        }
    return false;
}

/* "set_once NAME", "soft NAME" */
static enum err read_datum(struct declaration *declaration, const char *path, enum note_datum what, const char *name)
{
    for (size_t i = 0; i < declaration->data; i++)
        if (strcmp(declaration->datum[i].name, name) == 0)
            return complain(ERR_EXISTS, path, "%s: said twice to be set once or soft", name);
    declaration->datum[declaration->data++] = (struct declared_datum){what, name};
    return ERR_OK;
}

static enum err read_declaration(struct declaration *declaration, const char *path, char *line)
{
    char *word[WORDS + 1];
    size_t n = split_line(line, word);

    if (strcmp(word[0], "cell") == 0 && n == 4)
        return read_cell(declaration, path, word);
    if (strcmp(word[0], "export") == 0 && n == 3)
        return read_export(declaration, path, word);
    for (enum declared_role r = 0; r < ROLES; r++)
        if (strcmp(word[0], declaration_role[r]) == 0 && n == 2)
            return read_role(declaration, path, r, word[1]);
    if (n == 1 && word_flag(word[0])) {
        declaration->flags |= word_flag(word[0]);
        return ERR_OK;
    }
    for (enum note_datum d = DATUM_SET_ONCE; d < DATUMS; d++)
        if (strcmp(word[0], declaration_datum(d)) == 0 && n == 2)
            return read_datum(declaration, path, d, word[1]);
    if (strcmp(word[0], "invariant") == 0 && n == 6 && read_invariant(declaration, word))
        return ERR_OK;
    return complain(ERR_INVALID, path, "%s: a line that begins with \"%s\" is not understood", NOTE_DECLARATIONS,
                    word[0]);
}

enum err declaration_read(struct declaration *ret_declaration, const struct elf_file *object)
{
    CLOSED_BY(declaration_done) struct declaration declaration = {0};
    size_t index = elf_file_section(object, NOTE_DECLARATIONS);
    enum err e = ERR_OK;

    if (!index || !object->section[index].bytes)
        return complain(ERR_NOT_CELL, object->path, "has no CELL(...) line; include cells/cell.h and say it once");
    size_t bytes = object->section[index].bytes;
    declaration.text = malloc(bytes + 1);
    declaration.export = calloc(bytes / sizeof "export" + 1, sizeof *declaration.export);
    declaration.invariant = calloc(bytes / sizeof "invariant" + 1, sizeof *declaration.invariant);
    declaration.datum = calloc(bytes / sizeof "soft" + 1, sizeof *declaration.datum);
    if (!declaration.text || !declaration.export || !declaration.invariant || !declaration.datum)
        return complain(ERR_NOMEM, object->path, "out of memory");
    memcpy(declaration.text, object->section[index].data, bytes);
    declaration.text[bytes] = '\0';
    for (size_t at = 0, next; at < bytes && e == ERR_OK; at = next) {
        next = at + strlen(declaration.text + at) + 1;
        if (declaration.text[at])
            e = read_declaration(&declaration, object->path, declaration.text + at);
    }
    if (e == ERR_OK && !declaration.name[0])
        e = complain(ERR_NOT_CELL, object->path, "has no CELL(...) line; say it once in one of its sources");
    if (e == ERR_OK) {
        *ret_declaration = declaration;
        declaration = (struct declaration){0};
    }
    return e;
}

void declaration_done(struct declaration *declaration)
{
    free(declaration->export);
    free(declaration->invariant);
    free(declaration->datum);
    free(declaration->text);
    *declaration = (struct declaration){0};
}
