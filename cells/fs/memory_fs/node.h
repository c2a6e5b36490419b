/* Private to memory_fs: the tree's nodes, the contents of files, and the sleeping lock of their volume. The volume is
 * in the heap: a swap carries one pointer, and a task that sleeps in the old version is woken by the new one. */
#pragma once
#include "cells/cell.h"
#include "cells/core/lock/lock.h"
#include "cells/fs/memory_fs/memory_fs.h"
#include "cells/task/wait_queue/wait_queue.h"

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
    struct lock lock;    /* guards busy and references only; held briefly */
    uint32_t busy;       /* id of the task that is in the volume; 0: none */
    uint32_t references; /* the cell, and every open handle */
    struct wait_queue free;
    size_t nodes, blocks;
    struct node root;
};

/* Waits until no other task is in the volume, and enters: GUARD(volume) inside = volume_enter(v). A task that ended, or
 * was restarted, without leaving does not keep others out. */
struct volume_guard {
    struct volume *volume;
};
struct volume_guard volume_enter(struct volume *volume) HOLDS(volume);
void volume_guard_end(struct volume_guard *guard);

/* All below: call inside the volume, also where it is no parameter. */

/* The node of `path`. ERR_INVALID: no valid path; ERR_NOT_FOUND. */
enum err node_find(struct volume *volume, const char *path, struct node **ret_node) NEEDS(volume);
/* The directory of `path`, and its last name, which need not exist. ERR_INVALID, ERR_NOT_FOUND. */
enum err node_find_parent(struct volume *volume, const char *path, struct node **ret_parent,
                          char ret_name[MEMORY_FS_NAME_BYTES]) NEEDS(volume);
/* The entry of that name; NULL: none. */
struct node *node_child(struct node *directory, const char *name);
/* Adds an empty node. ERR_FULL: the quota of nodes; ERR_NOMEM. */
enum err node_add(struct volume *volume, struct node *parent, const char *name, bool directory, struct node **ret_node)
    NEEDS(volume);
/* Removes a node from the tree, and releases the tree's reference. */
void node_remove(struct volume *volume, struct node *node) NEEDS(volume);
/* Releases one reference; frees the node with the last one. */
void node_release(struct volume *volume, struct node *node) NEEDS(volume);

/* Sets the length to `bytes`, frees blocks beyond it and clears the rest of the last one. */
void content_cut(struct volume *volume, struct node *node, size_t bytes) NEEDS(volume);
/* Allocates the missing blocks of [from, to). ERR_FULL, ERR_NOMEM: those that were allocated stay; content_cut frees
 * them. */
enum err content_reserve(struct volume *volume, struct node *node, size_t from, size_t to) NEEDS(volume);
/* Copies bytes from or to a file. What was never written reads as zero; content_write needs content_reserve before. */
void content_read(const struct node *node, size_t from, uint8_t *to, size_t bytes);
void content_write(struct node *node, size_t to, const uint8_t *from, size_t bytes);
