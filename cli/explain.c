/* See explain.h. */
#include "cli/explain.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cells/tool/difference.h"
#include "cli/bundle.h"
#include "cli/cli.h"
#include "cli/files.h"
#include "guest/abi/object.h"
#include "introspect/base/own.h"

#define OBJECT_MAX (64u << 20)

char **explain_operands(const struct call *call)
{
    size_t bytes = ((size_t)call->argc + 1) * sizeof(char *), text = bytes;

    for (int i = 0; i < call->argc; i++)
        bytes += strlen(call->argv[i]) + 1;
    char **operands = malloc(bytes);
    if (!operands)
        return NULL;
    char *to = (char *)operands + text;
    for (int i = 0; i < call->argc; i++) {
        operands[i] = to;
        to = stpcpy(to, call->argv[i]) + 1;
    }
    operands[call->argc] = NULL;
    return operands;
}

/* Whether the loaded cell was made from the file. */
static bool is_loaded_from(const struct asking *a, const char *cell, const char *path)
{
    OWN(memory) void *data = NULL;
    uint64_t hash;
    size_t bytes;

    return asking_loaded_object(a, cell, &hash) && access(path, R_OK) == 0 &&
           bundle_file(path, OBJECT_MAX, &data, &bytes) == CLI_DONE && object_hash(data, bytes) == hash;
}

/* What is missing may be a datum or a function that has another type now. */
static bool is_about_types(enum err e)
{
    return e == ERR_WRONG_TYPE || e == ERR_MISSING_SYMBOL;
}

bool explain_difference(const struct asking *a, const char *cell, const char *old_path, const char *new_path)
{
    if (!is_about_types(a->refused) || access(new_path, R_OK) != 0 || !is_loaded_from(a, cell, old_path))
        return false;
    difference_print(stderr, old_path, new_path);
    return true;
}

/* The cell is found in `folder` under its own name. */
static bool explain_from(const struct asking *a, const char *folder, int folder_bytes, const char *cell,
                         const char *new_path)
{
    OWN(memory) char *old_path = NULL;

    if (asprintf(&old_path, "%.*s%s.o", folder_bytes, folder, cell) < 0) {
        old_path = NULL;
        return false;
    }
    return explain_difference(a, cell, old_path, new_path);
}

static void explain_object(const struct asking *a, const char *cell, const char *new_path)
{
    static const char built[] = "build/cells/";
    const char *slash = strrchr(new_path, '/');

    if (!explain_from(a, new_path, slash ? (int)(slash + 1 - new_path) : 0, cell, new_path))
        (void)explain_from(a, built, (int)strlen(built), cell, new_path);
}

/* The object replaces that of `olds`, the names of cells, which has the name of its own cell; the only object replaces
 * the only cell, whatever its name. */
static void explain_new(const struct asking *a, const char *olds, const char *new_path, bool only)
{
    OWN(memory) char *names = strdup(olds), *cell = difference_cell(new_path);
    struct qualified name;

    only &= !strchr(olds, ',');
    for (char *rest = names, *word; cell && (word = strsep(&rest, ",")) != NULL;)
        if (qualified_parse(word, &name) && (only || strcmp(name.cell, cell) == 0))
            explain_object(a, name.cell, new_path);
}

static void explain_word(const struct asking *a, const char *olds, const char *word, bool only)
{
    char path[FILES_PATH];

    files_find(FILES_CELLS, word, path, sizeof path);
    explain_new(a, olds, path, only);
}

void explain_types(const struct asking *asking, char *const *operands)
{
    for (size_t i = 0; operands && operands[i]; i++) {
        char *equals = strchr(operands[i], '=');
        if (!equals)
            continue;
        *equals = '\0';
        bool only = !strchr(equals + 1, ',');
        for (char *rest = equals + 1, *path; (path = strsep(&rest, ",")) != NULL;)
            explain_word(asking, operands[i], path, only);
    }
}
