/* See picker.h. */
#include "tui/picker.h"
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void folder_own_end(DIR **folder)
{
    if (*folder)
        closedir(*folder);
}

void picker_folder(char ret_folder[PICKER_PATH])
{
    char self[PICKER_PATH - 16];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    self[n > 0 ? n : 0] = '\0';
    for (int up = 0; up < 2; up++) { /* build/bin/delias */
        char *slash = strrchr(self, '/');
        if (slash)
            *slash = '\0';
    }
    snprintf(ret_folder, PICKER_PATH, "%s/cells", self);
}

/* A file of a cell begins with its name, so that few are read. */
static bool may_be_of(const char *file, const char *cell)
{
    size_t length = strlen(cell), all = strlen(file);

    return strncmp(file, cell, length) == 0 && (file[length] == '.' || file[length] == '_') && all > 2 &&
           strcmp(file + all - 2, ".o") == 0;
}

static int compare_objects(const void *a, const void *b)
{
    const struct picker_object *x = a, *y = b;

    if (x->facts.version != y->facts.version)
        return x->facts.version < y->facts.version ? -1 : 1;
    return strcmp(x->path, y->path);
}

static bool has_object(const struct view *view, struct cell_ref cell, uint64_t hash)
{
    const struct arena_cell *c = view_cell(view, cell);
    const struct arena_object *o = c ? view_object(view, c->object) : NULL;

    return o && o->hash == hash;
}

void picker_look(struct picker *picker, const struct view *view, struct cell_ref cell)
{
    const char *name = view_cell_name(view, cell);
    char folder_name[PICKER_PATH], path[PICKER_PATH + 208];
    struct dirent *entry;

    picker_folder(folder_name);
    memcpy(picker->folder, folder_name, sizeof folder_name);
    OWN(folder) DIR *folder = opendir(picker->folder);
    picker->objects = 0;
    while (folder && picker->objects < PICKER_MAX && (entry = readdir(folder))) {
        struct picker_object *o = &picker->object[picker->objects];
        if (!may_be_of(entry->d_name, name))
            continue;
        snprintf(path, sizeof path, "%s/%.200s", folder_name, entry->d_name);
        if (strlen(path) >= sizeof o->path || !objects_describe(path, &o->facts) || strcmp(o->facts.name, name) != 0)
            continue;
        strcpy(o->path, path);
        o->loaded = has_object(view, cell, o->facts.hash);
        picker->objects++;
    }
    qsort(picker->object, (size_t)picker->objects, sizeof *picker->object, compare_objects);
}

const char *picker_loaded(const struct picker *picker)
{
    for (int i = 0; i < picker->objects; i++)
        if (picker->object[i].loaded)
            return picker->object[i].path;
    return NULL;
}

void picker_fill(const struct picker *picker, struct list *list)
{
    static const struct link none;

    snprintf(list->head, sizeof list->head, "%-24s %3s %9s %9s %9s %7s", "OBJECT", "VER", "FUNCTIONS", "TEXT", "DATA",
             "");
    for (int i = 0; i < picker->objects; i++) {
        const struct picker_object *o = &picker->object[i];
        list_print(list, (uint64_t)i + 1, o->loaded ? STYLE_DIM : STYLE_PLAIN, none,
                   "%-24.24s %3u %9u %9" PRIu64 " %9" PRIu64 " %s", strrchr(o->path, '/') + 1, o->facts.version,
                   o->facts.functions, o->facts.text_bytes, o->facts.data_bytes, o->loaded ? "loaded now" : "");
    }
    list_print(list, PICKER_OTHER, STYLE_PLAIN, none, "another file ...");
}
