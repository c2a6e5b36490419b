/* A file system in memory: a tree of directories and files, gone at reboot. One volume, with a quota.
 *
 * Paths are absolute: "/", "/a", "/a/b"; names of 1 to 31 characters; no ".", "..", no doubled or trailing slash.
 * An open file is an owned handle with a position of its own. A file that is removed while open lives on until its last
 * handle is released; the cell keeps no list of handles. Every operation is atomic against all others; it may sleep, so
 * none of them may be called from an interrupt handler or with a spin lock held. */
#pragma once
#include "cells/cell.h"

#define MEMORY_FS_NAME_BYTES  32
#define MEMORY_FS_FILE_BYTES  (4ul << 20)  /* the longest file */
#define MEMORY_FS_QUOTA_BYTES (16ul << 20) /* of all files, in whole blocks */
#define MEMORY_FS_QUOTA_NODES 1024         /* files and directories */

enum memory_fs_flags {
    MEMORY_FS_WRITE = 1,
    MEMORY_FS_CREATE = 2,    /* makes the file when there is none */
    MEMORY_FS_EXCLUSIVE = 4, /* with CREATE: ERR_EXISTS when there is one */
    MEMORY_FS_TRUNCATE = 8,
};

struct memory_fs_file; /* opaque: an open file */

void memory_fs_file_put(TAKES struct memory_fs_file *file); /* accepts NULL */
OWNABLE(memory_fs_file)

/* ERR_NOT_FOUND, ERR_EXISTS, ERR_INVALID (path or a directory), ERR_FULL (quota of nodes), ERR_NOMEM. */
enum err memory_fs_open(const char *path, unsigned flags, struct memory_fs_file **ret_file);
/* Reads from the position on; fewer than `bytes` only at the end of the file, where *ret_bytes is 0. */
enum err memory_fs_read(struct memory_fs_file *file, void *to, size_t bytes, size_t *ret_bytes);
/* All or nothing. ERR_FULL: quota; ERR_RANGE: file too long; ERR_NO_ACCESS: opened without MEMORY_FS_WRITE. What lies
 * between the old end and the position reads as zero. */
enum err memory_fs_write(struct memory_fs_file *file, const void *from, size_t bytes);
enum err memory_fs_seek(struct memory_fs_file *file, size_t position);  /* ERR_RANGE; behind the end is allowed */
enum err memory_fs_truncate(struct memory_fs_file *file, size_t bytes); /* cuts or extends */
size_t memory_fs_length(const struct memory_fs_file *file);

enum err memory_fs_make_directory(const char *path);
/* Takes a file or an empty directory out of the tree. ERR_BUSY: the directory holds something. */
enum err memory_fs_unlink(const char *path);

struct memory_fs_entry {
    char name[MEMORY_FS_NAME_BYTES];
    bool directory;
    size_t bytes;
};
/* Entry number `index` of a directory, in order of creation; ERR_RANGE behind the last. */
enum err memory_fs_list(const char *path, size_t index, struct memory_fs_entry *ret_entry);

struct memory_fs_usage {
    size_t nodes;  /* the root not counted */
    size_t blocks; /* of 4 KiB */
};
void memory_fs_usage(struct memory_fs_usage *ret_usage);
