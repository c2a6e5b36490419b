/* Writes an ELF64 x86-64 file, section by section. Offsets are libelf's to choose; contents are borrowed until
 * out_finish. */
#pragma once
#include <gelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "guest/abi/err.h"

struct out;

/* NULL: complained. out_drop removes the half-written file; it accepts NULL. */
struct out *out_new(const char *path, uint16_t type, uint64_t entry);
void out_drop(struct out *out);
enum err out_finish(struct out *out); /* writes, and frees `out` in every case */

/* Appends a section and gives its index, 0 when it failed (out_finish will say so). `header` lends type, flags,
 * address, alignment, entry size and, without contents, size. */
size_t out_section(struct out *out, const char *name, const GElf_Shdr *header, const void *data, size_t bytes);
void out_link(struct out *out, size_t section, size_t link, size_t info);

/* A string table being filled. Offset 0 is the empty string; a failure to grow gives offset 0 and sets `failed`. */
struct strings {
    char *text;
    size_t bytes;
    bool failed;
};
uint32_t strings_add(struct strings *strings, const char *string);
