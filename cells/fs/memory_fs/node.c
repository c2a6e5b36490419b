/* See node.h. The counts of nodes and blocks are never less than what exists, also after a fault in between. */
#include "cells/fs/memory_fs/node.h"
#include "cells/core/arena/arena.h"
#include "cells/core/panic/panic.h"
#include "cells/lib/string/string.h"
#include "cells/memory/heap/heap.h"
#include "cells/task/task/task.h"

INVARIANT_ARRAY(struct node, block, blocks);
INVARIANT_LIST(struct node, next);
INVARIANT_BACK(struct node, first, parent);

#define PATIENCE_NS 200000000ull /* after which a waiter checks whether the task inside still exists */

static bool has_task_ended(uint32_t task_id)
{
    for_each_task (i) {
        const struct arena_task *task = arena_task(i);
        if (task->id == task_id && task->state != TASK_FREE && task->state != TASK_EXITED)
            return false;
    }
    return true;
}

struct volume_guard volume_enter(struct volume *volume)
{
    uint32_t me = task_this()->id;
    GUARD(lock) held = lock_take(&volume->lock);

    while (volume->busy && volume->busy != me)
        if (wait_queue_wait(&volume->free, &held, PATIENCE_NS) == WAKE_TIMEOUT && has_task_ended(volume->busy))
            break;
    volume->busy = me;
    return (struct volume_guard){volume};
}

void volume_guard_end(struct volume_guard *guard)
{
    GUARD(lock) held = lock_take(&guard->volume->lock);

    guard->volume->busy = 0;
    wait_queue_wake_one(&guard->volume->free);
}

/* Copies the first name of *path, which starts with a slash, and moves *path behind it. */
static bool next_name(const char **path, char ret_name[MEMORY_FS_NAME_BYTES])
{
    const char *at = *path;
    size_t n = 0;

    if (*at++ != '/')
        return false;
    for (; at[n] && at[n] != '/'; n++)
        if (n + 1 >= MEMORY_FS_NAME_BYTES)
            return false;
    string_copy(ret_name, at, n + 1);
    *path = at + n;
    return n > 0 && !string_equal(ret_name, ".") && !string_equal(ret_name, "..");
}

struct node *node_child(struct node *directory, const char *name)
{
    for (struct node *n = directory->first; n; n = n->next)
        if (string_equal(n->name, name))
            return n;
    return NULL;
}

enum err node_find_parent(struct volume *volume, const char *path, struct node **ret_parent,
                          char ret_name[MEMORY_FS_NAME_BYTES])
{
    struct node *at = &volume->root;

    for (;;) {
        if (!next_name(&path, ret_name))
            return ERR_INVALID;
        if (!at->directory)
            return ERR_INVALID;
        if (!*path)
            break;
        at = node_child(at, ret_name);
        if (!at)
            return ERR_NOT_FOUND;
    }
    *ret_parent = at;
    return ERR_OK;
}

enum err node_find(struct volume *volume, const char *path, struct node **ret_node)
{
    char name[MEMORY_FS_NAME_BYTES];
    struct node *parent;

    if (string_equal(path, "/")) {
        *ret_node = &volume->root;
        return ERR_OK;
    }
    enum err e = node_find_parent(volume, path, &parent, name);
    if (e != ERR_OK)
        return e;
    struct node *node = node_child(parent, name);
    if (!node)
        return ERR_NOT_FOUND;
    *ret_node = node;
    return ERR_OK;
}

enum err node_add(struct volume *volume, struct node *parent, const char *name, bool directory, struct node **ret_node)
{
    struct node **end = &parent->first;

    if (volume->nodes >= MEMORY_FS_QUOTA_NODES)
        return ERR_FULL;
    struct node *node = heap_alloc(sizeof *node);
    if (!node)
        return ERR_NOMEM;
    string_copy(node->name, name, sizeof node->name);
    node->directory = directory;
    node->references = 1;
    node->parent = parent;
    while (*end)
        end = &(*end)->next;
    volume->nodes++; /* before it exists, as with blocks */
    *end = node;
    *ret_node = node;
    return ERR_OK;
}

void node_remove(struct volume *volume, struct node *node)
{
    struct node **at = &node->parent->first;

    while (*at != node) {
        assert(*at);
        at = &(*at)->next;
    }
    *at = node->next;
    node->parent = node->next = NULL;
    volume->nodes--;
    node_release(volume, node);
}

void node_release(struct volume *volume, struct node *node)
{
    assert(node->references > 0);
    if (--node->references)
        return;
    content_cut(volume, node, 0);
    heap_free(node->block);
    heap_free(node);
}

static size_t blocks_of(size_t bytes)
{
    return (bytes + BLOCK_BYTES - 1) / BLOCK_BYTES;
}

void content_cut(struct volume *volume, struct node *node, size_t bytes)
{
    for (size_t i = blocks_of(bytes); i < node->blocks; i++) {
        if (!node->block[i])
            continue;
        heap_free(MOVE(node->block[i]));
        volume->blocks--;
    }
    size_t rest = bytes % BLOCK_BYTES, last = bytes / BLOCK_BYTES;
    if (rest && last < node->blocks && node->block[last])
        memset(node->block[last] + rest, 0, BLOCK_BYTES - rest);
    node->bytes = bytes;
}

/* Makes room for pointers to at least `blocks` blocks, doubling it. */
static enum err grow_table(struct node *node, size_t blocks)
{
    size_t wanted = node->blocks ? node->blocks : 4;

    if (blocks <= node->blocks)
        return ERR_OK;
    while (wanted < blocks)
        wanted *= 2;
    uint8_t **table = heap_alloc(wanted * sizeof *table);
    if (!table)
        return ERR_NOMEM;
    memcpy(table, node->block, node->blocks * sizeof *table);
    heap_free(node->block);
    node->block = table;
    node->blocks = wanted;
    return ERR_OK;
}

enum err content_reserve(struct volume *volume, struct node *node, size_t from, size_t to)
{
    enum err e = grow_table(node, blocks_of(to));

    if (e != ERR_OK)
        return e;
    for (size_t i = from / BLOCK_BYTES; i < blocks_of(to); i++) {
        if (node->block[i])
            continue;
        if (volume->blocks >= MEMORY_FS_QUOTA_BYTES / BLOCK_BYTES)
            return ERR_FULL;
        volume->blocks++; /* before it exists: after a fault the count is too high, and never wraps */
        node->block[i] = heap_alloc(BLOCK_BYTES);
        if (!node->block[i]) {
            volume->blocks--;
            return ERR_NOMEM;
        }
    }
    return ERR_OK;
}

void content_read(const struct node *node, size_t from, uint8_t *to, size_t bytes)
{
    while (bytes) {
        size_t index = from / BLOCK_BYTES, offset = from % BLOCK_BYTES;
        size_t now = BLOCK_BYTES - offset < bytes ? BLOCK_BYTES - offset : bytes;
        const uint8_t *block = index < node->blocks ? node->block[index] : NULL;

        if (block)
            memcpy(to, block + offset, now);
        else
            memset(to, 0, now);
        to += now, from += now, bytes -= now;
    }
}

void content_write(struct node *node, size_t to, const uint8_t *from, size_t bytes)
{
    while (bytes) {
        size_t offset = to % BLOCK_BYTES;
        size_t now = BLOCK_BYTES - offset < bytes ? BLOCK_BYTES - offset : bytes;

        memcpy(node->block[to / BLOCK_BYTES] + offset, from, now);
        to += now, from += now, bytes -= now;
    }
}
