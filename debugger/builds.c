/* See builds.h. */
#include "debugger/builds.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "guest/abi/object.h"

enum { OBJECT_MAX = 64 << 20, PATH_BYTES = 1024 };

struct build_object {
    uint64_t hash;
    char *debug; /* owned */
};

struct builds {
    struct build_object *object; /* owned */
    size_t count;
};

void builds_free(struct builds *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->count; i++)
        free(b->object[i].debug);
    free(b->object);
    free(b);
}

static bool hash_file(const char *path, uint64_t *ret_hash)
{
    OWN(descriptor) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > OBJECT_MAX)
        return false;
    void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return false;
    *ret_hash = object_hash(data, (size_t)st.st_size);
    munmap(data, (size_t)st.st_size);
    return true;
}

static bool ends_in_o(const char *name)
{
    size_t length = strlen(name);

    return length > 2 && strcmp(name + length - 2, ".o") == 0;
}

/* False: no memory. */
static bool add_object(struct builds *b, const char *folder, const char *name)
{
    char path[PATH_BYTES], debug[PATH_BYTES];
    uint64_t hash;

    if (snprintf(path, sizeof path, "%s/cells/%s", folder, name) >= (int)sizeof path ||
        snprintf(debug, sizeof debug, "%s/cells.debug/%s", folder, name) >= (int)sizeof debug ||
        access(debug, R_OK) != 0 || !hash_file(path, &hash))
        return true;
    struct build_object *grown = reallocarray(b->object, b->count + 1, sizeof *grown);
    if (!grown)
        return false;
    b->object = grown;
    grown[b->count] = (struct build_object){hash, realpath(debug, NULL)};
    b->count += grown[b->count].debug != NULL;
    return true;
}

static bool add_folder(struct builds *b, const char *folder)
{
    char path[PATH_BYTES];
    bool room = true;

    snprintf(path, sizeof path, "%s/cells", folder);
    DIR *dir = opendir(path);
    if (!dir)
        return true;
    for (const struct dirent *entry; room && (entry = readdir(dir));)
        room = !ends_in_o(entry->d_name) || add_object(b, folder, entry->d_name);
    closedir(dir);
    return room;
}

struct builds *builds_read(const char *const *folder, size_t folders)
{
    OWN(builds) struct builds *b = calloc(1, sizeof *b);

    for (size_t i = 0; b && i < folders; i++)
        if (!add_folder(b, folder[i]))
            return NULL;
    return MOVE(b);
}

const char *builds_find(const struct builds *b, uint64_t hash)
{
    for (size_t i = 0; i < b->count; i++)
        if (b->object[i].hash == hash)
            return b->object[i].debug;
    return NULL;
}
