/* A file of parts, each with a checksum: what snapshots, and the state of delias-vmm in them, are kept in.
 *
 *     header   struct container_header
 *     parts    their bytes, in the order in which they were added
 *     table    a struct container_part for each, in the same order
 *
 * All numbers are little-endian. A file is written beside its place and takes it when it is whole and on the disk: what
 * was there before stays until then, whatever ends the writer. A reader trusts nothing of it. The checksums find
 * damage, not forgery: who uses a part still checks what is in it. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "guest/abi/err.h"
#include "introspect/base/own.h"

/* CONTAINER_VERSION grows with every change of this file's structures. */
enum { CONTAINER_VERSION = 1, CONTAINER_PARTS_MAX = 2048, CONTAINER_WHY = 512, CONTAINER_PAGE = 4096 };

#define CONTAINER_MAGIC UINT64_C(0x73747261706c6564) /* "delparts" */

/* Four characters, of a file or of a part. */
#define CONTAINER_KIND(a, b, c, d) ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

struct container_header {
    uint64_t magic;
    uint32_t version, kind;
    uint64_t bytes; /* of the whole file */
    uint64_t table; /* where it is: a multiple of 8, and it ends with the file */
    uint64_t parts;
    uint64_t table_checksum;
    uint64_t checksum; /* of the header up to here */
};

struct container_part {
    uint32_t kind, instance; /* no two parts have both in common */
    uint64_t offset;         /* a multiple of 8, behind the part before */
    uint64_t bytes;
    uint64_t checksum;
};

/* Continues a checksum; the first one is of 0. Pieces give what the whole gives if all but the last are multiples of
 * eight bytes. */
uint64_t container_checksum(uint64_t before, const void *bytes, size_t count);

/* ---- writing ---- */

struct container_writer;

/* Begins PATH.new, in place of one that somebody has left. why: CONTAINER_WHY bytes for a line about a failure, until
 * the end. Without container_commit, container_drop removes what was written. */
enum err container_new(const char *path, uint32_t kind, char *why, struct container_writer **ret_writer);
void container_drop(struct container_writer *writer); /* accepts NULL */
OWNABLE(container_writer, container_drop)

/* A part that is there as a whole. */
enum err container_add(struct container_writer *writer, uint32_t kind, uint32_t instance, const void *bytes,
                       size_t count);
/* A part in pieces, of which all but the last have multiples of eight bytes. It begins at a multiple of CONTAINER_PAGE
 * and ends where another begins. */
enum err container_begin(struct container_writer *writer, uint32_t kind, uint32_t instance);
enum err container_append(struct container_writer *writer, const void *bytes, size_t count);
/* The file is on the disk and takes its place. Consumes the writer. */
enum err container_commit(TAKES struct container_writer *writer);

/* ---- reading ---- */

struct container {
    const uint8_t *bytes;
    size_t count;
    const struct container_part *part;
    size_t parts;
};

/* Checks header and table of `count` bytes at `bytes`, a multiple of 8, which ret_container borrows. ERR_INVALID: `why`
 * says what is wrong. What is in the parts is not looked at. */
enum err container_parse(const void *bytes, size_t count, uint32_t kind, struct container *ret_container, char *why);
/* The same of a file, which is mapped until container_close. */
enum err container_open(const char *path, uint32_t kind, struct container *ret_container, char *why);
void container_close(struct container *container); /* accepts zeros */
/* Compares all parts with their checksums. */
enum err container_verify(const struct container *container, char *why);
/* A part's bytes, or NULL. */
const void *container_find(const struct container *container, uint32_t kind, uint32_t instance, size_t *ret_bytes);
