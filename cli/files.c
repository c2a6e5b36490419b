/* See files.h. */
#include "cli/files.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 1024 };

static const struct {
    const char *installed, *built; /* from the folder that has the programs' folder */
    const char *tail;
} kinds[] = {
    [FILES_MACHINES] = {"machines", "../configs/machines", ".yaml"},
    [FILES_CAMPAIGNS] = {"campaigns", "../configs/campaigns", ".yaml"},
    [FILES_CELLS] = {"cells", "cells", ".o"},
};

/* Writes the folder of the build, or of what was installed. */
static bool find_home(char ret[PATH_BYTES])
{
    char self[PATH_BYTES] = "";
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    self[n > 0 ? n : 0] = '\0';
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(self, '/');
        if (slash)
            *slash = '\0';
    }
    snprintf(ret, PATH_BYTES, "%.900s/lib/delias", self);
    if (access(ret, F_OK) == 0)
        return true;
    snprintf(ret, PATH_BYTES, "%s", self);
    return false;
}

void files_path(const char *name, char *ret_path, size_t bytes)
{
    char home[PATH_BYTES];

    find_home(home);
    snprintf(ret_path, bytes, "%.900s/%s", home, name);
}

void files_folder(enum files_kind kind, char *ret_path, size_t bytes)
{
    char home[PATH_BYTES];
    bool installed = find_home(home);

    snprintf(ret_path, bytes, "%.900s/%s", home, installed ? kinds[kind].installed : kinds[kind].built);
}

void files_find(enum files_kind kind, const char *word, char *ret_path, size_t bytes)
{
    char folder[PATH_BYTES];

    if (*word && !strchr(word, '/') && access(word, F_OK) != 0) {
        files_folder(kind, folder, sizeof folder);
        for (int tail = 0; tail < 2; tail++) {
            int n = snprintf(ret_path, bytes, "%s/%s%s", folder, word, tail ? kinds[kind].tail : "");
            if (n > 0 && (size_t)n < bytes && access(ret_path, R_OK) == 0)
                return;
        }
    }
    snprintf(ret_path, bytes, "%s", word);
}
