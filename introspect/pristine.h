/* Where the truth about loaded bytes comes from: object files in guest memory or in the archive, and the image of the
 * nano_core. Reads ELF and cpio as hostile input: whatever does not fit is not found. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "guest/abi/err.h"

struct pristine {
    uint8_t *data; /* owned; NULL: none */
    size_t bytes;
};

/* Reads a regular file of up to 64 MiB. ERR_NOT_FOUND, ERR_RANGE, ERR_IO, ERR_NOMEM. */
enum err pristine_read(const char *path, struct pristine *ret);
void pristine_done(struct pristine *p);

uint64_t pristine_hash(const void *data, size_t bytes); /* of struct arena_object */

/* The member NAME.o of a cpio "newc" archive; borrowed. */
bool pristine_member(const struct pristine *archive, const char *name, const uint8_t **ret_data, size_t *ret_bytes);

/* Contents of section `index` of an object, if it holds exactly `want` bytes; borrowed. */
const uint8_t *pristine_section(const uint8_t *object, size_t bytes, uint32_t index, size_t want);

/* False when the image says that it is of another build than `id`; one that does not say passes. */
bool pristine_is_build(const struct pristine *image, const uint8_t id[20]);
/* Copies what the image puts at `virt`, zeros behind the end of a segment's file part. */
bool pristine_image(const struct pristine *image, uint64_t virt, uint8_t *ret, size_t want);
