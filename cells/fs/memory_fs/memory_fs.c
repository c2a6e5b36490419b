/* See memory_fs.h. Handles and the operations on them; node.c has the tree and the contents of files. */
#include "cells/fs/memory_fs/memory_fs.h"
#include "cells/fs/memory_fs/node.h"
#include "cells/lib/string/string.h"
#include "cells/memory/heap/heap.h"

CELL("memory_fs", LIBRARY, 1);
EXPORT(memory_fs_file_put, APPLICATION);
EXPORT(memory_fs_open, APPLICATION);
EXPORT(memory_fs_read, APPLICATION);
EXPORT(memory_fs_write, APPLICATION);
EXPORT(memory_fs_seek, APPLICATION);
EXPORT(memory_fs_truncate, APPLICATION);
EXPORT(memory_fs_length, APPLICATION);
EXPORT(memory_fs_make_directory, APPLICATION);
EXPORT(memory_fs_unlink, APPLICATION);
EXPORT(memory_fs_list, APPLICATION);
EXPORT(memory_fs_usage, APPLICATION);

/* Refers to its volume, which is another than the cell's after a reload with fresh data. */
struct memory_fs_file {
    struct volume *volume;
    struct node *node;
    size_t position;
    bool writable;
};

static struct volume *volume;

static struct volume *volume_new(void)
{
    struct volume *v = heap_alloc(sizeof *v);

    if (v) {
        v->references = 1;
        v->root.directory = 1;
        v->root.references = 1;
    }
    return v;
}

/* Frees the whole tree, leaves first, without recursion. Nobody else refers to the volume. */
UNCHECKED static void volume_empty(struct volume *v)
{
    struct node *at = &v->root;

    while (at != &v->root || at->first) {
        while (at->first)
            at = at->first;
        struct node *parent = at->parent;
        node_remove(v, at);
        at = parent;
    }
}

static bool drop_volume_reference(struct volume *v)
{
    GUARD(lock) held = lock_take(&v->lock);

    return --v->references == 0;
}

static void volume_put(TAKES struct volume *v)
{
    if (!v || !drop_volume_reference(v))
        return;
    volume_empty(v);
    heap_free(v);
}

static void volume_get(struct volume *v)
{
    GUARD(lock) held = lock_take(&v->lock);

    v->references++;
}

/* The cell's volume, made at its first use. NULL: no memory. */
static struct volume *volume_here(void)
{
    struct volume *v = __atomic_load_n(&volume, __ATOMIC_ACQUIRE);

    if (v)
        return v;
    struct volume *fresh = volume_new();
    if (!fresh || __atomic_compare_exchange_n(&volume, &v, fresh, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return fresh;
    heap_free(fresh);
    return v;
}

static void release_node(struct memory_fs_file *file)
{
    GUARD(volume) inside = volume_enter(file->volume);

    node_release(file->volume, file->node);
}

void memory_fs_file_put(TAKES struct memory_fs_file *file)
{
    if (!file)
        return;
    release_node(file);
    volume_put(file->volume);
    heap_free(file);
}

/* The node to open, made when there is none and `flags` allow it. */
static enum err open_node(struct volume *v, const char *path, unsigned flags, struct node **ret_node) NEEDS(v)
{
    char name[MEMORY_FS_NAME_BYTES];
    struct node *parent, *node;
    enum err e = node_find_parent(v, path, &parent, name);

    if (e != ERR_OK)
        return e;
    node = node_child(parent, name);
    if (!node && !(flags & MEMORY_FS_CREATE))
        return ERR_NOT_FOUND;
    if (!node)
        return node_add(v, parent, name, false, ret_node);
    if (node->directory)
        return ERR_INVALID;
    if (flags & MEMORY_FS_EXCLUSIVE)
        return ERR_EXISTS;
    if (flags & MEMORY_FS_TRUNCATE)
        content_cut(v, node, 0);
    *ret_node = node;
    return ERR_OK;
}

enum err memory_fs_open(const char *path, unsigned flags, struct memory_fs_file **ret_file)
{
    struct volume *v = volume_here();
    struct node *node;
    OWN(heap) struct memory_fs_file *file = heap_alloc(sizeof *file);

    if (!v || !file)
        return ERR_NOMEM;
    GUARD(volume) inside = volume_enter(v);
    enum err e = open_node(v, path, flags, &node);
    if (e != ERR_OK)
        return e;
    node->references++;
    volume_get(v);
    *file = (struct memory_fs_file){v, node, 0, flags & MEMORY_FS_WRITE};
    *ret_file = MOVE(file);
    return ERR_OK;
}

enum err memory_fs_read(struct memory_fs_file *file, void *to, size_t bytes, size_t *ret_bytes)
{
    GUARD(volume) inside = volume_enter(file->volume);
    const struct node *node = file->node;
    size_t left = file->position < node->bytes ? node->bytes - file->position : 0;

    if (bytes > left)
        bytes = left;
    content_read(node, file->position, to, bytes);
    file->position += bytes;
    *ret_bytes = bytes;
    return ERR_OK;
}

enum err memory_fs_write(struct memory_fs_file *file, const void *from, size_t bytes)
{
    size_t end;

    if (!file->writable)
        return ERR_NO_ACCESS;
    GUARD(volume) inside = volume_enter(file->volume);
    if (__builtin_add_overflow(file->position, bytes, &end) || end > MEMORY_FS_FILE_BYTES)
        return ERR_RANGE;
    size_t length = file->node->bytes;
    enum err e = content_reserve(file->volume, file->node, file->position, end);
    if (e != ERR_OK) {
        content_cut(file->volume, file->node, length);
        return e;
    }
    content_write(file->node, file->position, from, bytes);
    file->position = end;
    if (end > length)
        file->node->bytes = end;
    return ERR_OK;
}

enum err memory_fs_seek(struct memory_fs_file *file, size_t position)
{
    if (position > MEMORY_FS_FILE_BYTES)
        return ERR_RANGE;
    file->position = position;
    return ERR_OK;
}

enum err memory_fs_truncate(struct memory_fs_file *file, size_t bytes)
{
    if (!file->writable)
        return ERR_NO_ACCESS;
    if (bytes > MEMORY_FS_FILE_BYTES)
        return ERR_RANGE;
    GUARD(volume) inside = volume_enter(file->volume);
    content_cut(file->volume, file->node, bytes);
    return ERR_OK;
}

size_t memory_fs_length(const struct memory_fs_file *file)
{
    GUARD(volume) inside = volume_enter(file->volume);

    return file->node->bytes;
}

enum err memory_fs_make_directory(const char *path)
{
    struct volume *v = volume_here();
    char name[MEMORY_FS_NAME_BYTES];
    struct node *parent, *node;

    if (!v)
        return ERR_NOMEM;
    GUARD(volume) inside = volume_enter(v);
    enum err e = node_find_parent(v, path, &parent, name);

    if (e != ERR_OK)
        return e;
    if (node_child(parent, name))
        return ERR_EXISTS;
    return node_add(v, parent, name, true, &node);
}

enum err memory_fs_unlink(const char *path)
{
    struct volume *v = volume_here();
    struct node *node;

    if (!v)
        return ERR_NOMEM;
    GUARD(volume) inside = volume_enter(v);
    enum err e = node_find(v, path, &node);

    if (e != ERR_OK)
        return e;
    if (node == &v->root)
        return ERR_INVALID;
    if (node->first)
        return ERR_BUSY;
    node_remove(v, node);
    return ERR_OK;
}

enum err memory_fs_list(const char *path, size_t index, struct memory_fs_entry *ret_entry)
{
    struct volume *v = volume_here();
    struct node *directory;

    if (!v)
        return ERR_NOMEM;
    GUARD(volume) inside = volume_enter(v);
    enum err e = node_find(v, path, &directory);

    if (e != ERR_OK)
        return e;
    if (!directory->directory)
        return ERR_INVALID;
    const struct node *node = directory->first;
    for (; node && index; node = node->next)
        index--;
    *ret_entry = (struct memory_fs_entry){0};
    if (!node)
        return ERR_OK;
    *ret_entry = (struct memory_fs_entry){.directory = node->directory, .bytes = node->bytes};
    string_copy(ret_entry->name, node->name, sizeof ret_entry->name);
    return ERR_OK;
}

void memory_fs_usage(struct memory_fs_usage *ret_usage)
{
    struct volume *v = volume_here();

    *ret_usage = (struct memory_fs_usage){0};
    if (!v)
        return;
    GUARD(volume) inside = volume_enter(v);
    *ret_usage = (struct memory_fs_usage){v->nodes, v->blocks};
}

/* Moves the reference to the new version: DONE is not called for a cell that was replaced. */
static enum err memory_fs_transfer(const struct cell_transfer *transfer)
{
    size_t bytes;
    struct volume *const *old = transfer->find(transfer, ".bss.volume", &bytes);

    if (!old || bytes != sizeof volume)
        return ERR_INVALID;
    volume = *old;
    return ERR_OK;
}
TRANSFER(memory_fs_transfer);

static enum err memory_fs_done(void)
{
    volume_put(MOVE(volume));
    return ERR_OK;
}
DONE(memory_fs_done);
