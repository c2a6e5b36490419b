/* A kernel image: ELF64 with PT_LOAD segments and a PVH note (guest/abi/pvh.h). Leaves out relocation and every other
 * boot protocol. */
#pragma once
#include <elf.h>
#include "vmm/ram.h"

enum { ELF_SEGMENTS_MAX = 16 };

/* What elf_check found: bounds are those of the file, so that elf_load can't fail for them. */
struct elf_plan {
    unsigned segments;
    Elf64_Phdr segment[ELF_SEGMENTS_MAX];
    gpa_t entry; /* 32-bit protected mode */
    gpa_t end;   /* after the last segment */
};

/* Checks the whole image before anything is loaded; `name` is for messages. Segments lie from `low` to
 * the end of RAM. */
enum err elf_check(const char *name, const unsigned char *file, size_t bytes, const struct ram *ram, gpa_t low,
                   struct elf_plan *ret_plan);
/* Copies the segments and clears what they have beyond the file. */
enum err elf_load(const struct elf_plan *plan, const unsigned char *file, struct ram *ram);
