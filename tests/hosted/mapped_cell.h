/* A cell object laid out in the low two GiB of this process, at the addresses that its unwind tables then say: not by
 * the loader. Its text is not executable. Only relocations in unwind tables are written; all names that it imports are
 * one address, but for the personality, which is that of this process. */
#pragma once
#include <gelf.h>
#include <stdbool.h>
#include <stdint.h>

struct mapped_section {
    const char *name;
    uint8_t *data; /* at its own address */
    uint64_t bytes;
    bool text;
    uint64_t entry; /* of a section of text: offset + 1 of its first entry in the unwind table; 0: there is none */
};

struct mapped_cell {
    Elf *elf;
    int file;
    uint8_t *base;
    size_t bytes;
    size_t sections; /* by section header index; those that are not loaded have no data */
    struct mapped_section section[1024];
    struct mapped_section *eh_frame; /* followed by four bytes of zero, which end it. NULL: it has none */
};

/* Ends the test when the file is no cell object. Close with mapped_cell_close; one at a time. */
void mapped_cell_open(struct mapped_cell *cell, const char *path);
void mapped_cell_close(struct mapped_cell *cell);
