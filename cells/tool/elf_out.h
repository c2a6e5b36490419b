/* Writes an ELF64 x86-64 file, section by section. libelf chooses the offsets; contents are borrowed until
 * elf_out_finish. */
#pragma once
#include <gelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "guest/abi/err.h"
#include "introspect/base/own.h"

struct elf_out;

/* Begins a file. NULL: it cannot be written, which was reported. */
struct elf_out *elf_out_new(const char *path, uint16_t type, uint64_t entry);
/* Gives up what was not finished; the file is as it was (introspect/base/output.h). Accepts NULL. */
void elf_out_drop(struct elf_out *out);
OWNABLE(elf_out, elf_out_drop)
/* Writes the file, with its seal (guest/abi/object.h). A failure was reported. */
enum err elf_out_finish(TAKES struct elf_out *out);

/* Appends a section with type, flags, address, alignment, entry size and (without contents) size of `header`.
 * Returns its index; 0: failed, which elf_out_finish reports. */
size_t elf_out_section(struct elf_out *out, const char *name, const GElf_Shdr *header, const void *data, size_t bytes);
/* Sets the fields sh_link and sh_info of a section. */
void elf_out_link(struct elf_out *out, size_t section, size_t link, size_t info);

/* A string table that grows. Offset 0 is the empty string. */
struct strings {
    char *text;
    size_t bytes;
    bool failed;
};
/* Appends a string and returns its offset. Out of memory: returns 0 and sets `failed`. */
uint32_t strings_add(struct strings *strings, const char *string);
void strings_done(struct strings *strings); /* accepts zeros */
