/* A file system in memory: a tree of directories and files, gone at reboot. One volume, with a quota.
 *
 * Paths are absolute: "/", "/a", "/a/b"; names of 1 to 31 characters; no ".", "..", no doubled or trailing slash.
 * An open file is an owned handle with a position of its own. A file that is removed while open is kept until its last
 * handle is released; the cell keeps no list of handles. Every operation is atomic against all others. It may sleep, so
 * call from a task, no spin lock held. An operation that fails changes nothing.
 *
 * Errors of all that take a path: ERR_INVALID (no valid path, or a directory where a file is needed), ERR_NOT_FOUND,
 * ERR_NOMEM. */
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

/* Closes a file. Accepts NULL. */
void memory_fs_file_put(TAKES struct memory_fs_file *file);
OWNABLE(memory_fs_file)

/* Opens a file at position 0; `flags` of enum memory_fs_flags. Release *ret_file with memory_fs_file_put. ERR_EXISTS;
 * ERR_FULL: the quota of nodes. */
enum err memory_fs_open(const char *path, unsigned flags, struct memory_fs_file **ret_file);
/* Reads at the position and advances it. *ret_bytes is less than `bytes` only at the end of the file. */
enum err memory_fs_read(struct memory_fs_file *file, void *to, size_t bytes, size_t *ret_bytes);
/* Writes all bytes at the position and advances it. A gap between the old end and the position reads as zero. ERR_FULL:
 * the quota of bytes; ERR_RANGE: the file would be too long; ERR_NO_ACCESS: opened without MEMORY_FS_WRITE. */
enum err memory_fs_write(struct memory_fs_file *file, const void *from, size_t bytes);
/* Sets the position, which may be beyond the end. ERR_RANGE: above MEMORY_FS_FILE_BYTES. */
enum err memory_fs_seek(struct memory_fs_file *file, size_t position);
/* Cuts the file, or extends it with zeroes. ERR_RANGE, ERR_NO_ACCESS. */
enum err memory_fs_truncate(struct memory_fs_file *file, size_t bytes);
size_t memory_fs_length(const struct memory_fs_file *file);

/* Makes an empty directory. ERR_EXISTS, ERR_FULL. */
enum err memory_fs_make_directory(const char *path);
/* Removes a file or an empty directory from the tree. ERR_BUSY: the directory is not empty. */
enum err memory_fs_unlink(const char *path);

struct memory_fs_entry {
    char name[MEMORY_FS_NAME_BYTES];
    bool directory;
    size_t bytes;
};
/* Entry number `index` of a directory, in order of creation. Its name is empty: there are not so many. */
enum err memory_fs_list(const char *path, size_t index, struct memory_fs_entry *ret_entry);

struct memory_fs_usage {
    size_t nodes;  /* the root not counted */
    size_t blocks; /* of 4 KiB */
};
void memory_fs_usage(struct memory_fs_usage *ret_usage);
