/* Pristine bytes: object files in guest memory or in the archive, and the image of the nano_core. Reads ELF and cpio as
 * hostile input: what is malformed is not found. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "guest/abi/err.h"
#include "introspect/base/own.h"

struct pristine {
    uint8_t *data; /* owned; NULL: none */
    size_t bytes;
};

/* Reads a regular file of up to 64 MiB. ERR_NOT_FOUND, ERR_RANGE, ERR_IO, ERR_NOMEM. */
enum err pristine_read(const char *path, struct pristine *ret);
void pristine_done(struct pristine *p);

struct pristine_entry {
    const char *name; /* within the archive; the NUL and perhaps padding are among its bytes */
    size_t name_bytes;
    const uint8_t *data;
    size_t bytes;
};

/* The member of a cpio "newc" archive at offset *at, 0 at first, which moves on to the next one. False: the end, or
 * something malformed. The last member is the archive's end mark. */
bool pristine_next(const struct pristine *archive, size_t *at, struct pristine_entry *ret);
/* The member NAME.o; borrowed. */
bool pristine_member(const struct pristine *archive, const char *name, const uint8_t **ret_data, size_t *ret_bytes);

/* Contents of section `index` of an object, if it holds exactly `want` bytes; borrowed. */
const uint8_t *pristine_section(const uint8_t *object, size_t bytes, uint32_t index, size_t want);

/* False: the image has another build id. One without an id passes. */
bool pristine_is_build(const struct pristine *image, const uint8_t id[20]);
/* Copies what the image has at address `virt`; zeros behind a segment's file part. */
bool pristine_image(const struct pristine *image, uint64_t virt, uint8_t *ret, size_t want);
