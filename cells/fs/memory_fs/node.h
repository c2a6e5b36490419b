/* Private to memory_fs: the tree's nodes, the contents of files, and the sleeping lock of the volume they lie in. The
 * volume is a heap object, so that a swap of the cell need only carry one pointer over, and a task that sleeps in the old
 * version still sleeps on the lock that the new one releases. */
#pragma once
#include "cells/cell.h"
#include "cells/fs/memory_fs/memory_fs.h"
#include "cells/kernel/lock/lock.h"
#include "cells/kernel/wait_queue/wait_queue.h"

#define BLOCK_BYTES 4096ul

struct node {
    char name[MEMORY_FS_NAME_BYTES];
    uint32_t directory;
    uint32_t references; /* the tree, and every open handle */
    struct node *parent; /* NULL: the root, or not in the tree */
    struct node *next;   /* in the parent's list */
    struct node *first;  /* of a directory */
    uint8_t **block;     /* of a file: `blocks` pointers, NULL reads as zeroes */
    size_t blocks, bytes;
};

struct CAPABILITY volume {
    struct lock lock;    /* guards busy and references only; held for moments */
    uint32_t busy;       /* id of the task that works on it */
    uint32_t references; /* the cell, and every open handle */
    struct wait_queue free;
    size_t nodes, blocks;
    struct node root;
};

/* The one task that works on the volume. GUARD(volume) held = volume_enter(v); A task that ended, or began anew, without
 * having left the volume does not keep others out. */
struct volume_guard {
    struct volume *volume;
};
struct volume_guard volume_enter(struct volume *volume) HOLDS(volume);
void volume_guard_end(struct volume_guard *guard);

/* All below: inside the volume, also where it is no parameter. */

/* The node that `path` names. ERR_INVALID: no proper path. */
enum err node_find(struct volume *volume, const char *path, struct node **ret_node) NEEDS(volume);
/* The directory that `path` lies in, and the last name, which may not exist yet. */
enum err node_find_parent(struct volume *volume, const char *path, struct node **ret_parent,
                          char ret_name[MEMORY_FS_NAME_BYTES]) NEEDS(volume);
struct node *node_child(struct node *directory, const char *name); /* NULL: none */
enum err node_add(struct volume *volume, struct node *parent, const char *name, bool directory, struct node **ret_node)
    NEEDS(volume);
void node_remove(struct volume *volume, struct node *node) NEEDS(volume);  /* out of the tree */
void node_release(struct volume *volume, struct node *node) NEEDS(volume); /* one reference; the last frees it */

/* Cuts to `bytes`, giving blocks back. */
void content_cut(struct volume *volume, struct node *node, size_t bytes) NEEDS(volume);
/* Makes sure that [from, to) has blocks; ERR_FULL, ERR_NOMEM: what was added stays, unused. */
enum err content_reserve(struct volume *volume, struct node *node, size_t from, size_t to) NEEDS(volume);
void content_read(const struct node *node, size_t from, uint8_t *to, size_t bytes);
void content_write(struct node *node, size_t to, const uint8_t *from, size_t bytes);
