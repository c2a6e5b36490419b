/* A machine for hosted cells: RAM in this process, frames and mappings that are counted, and the few cells below the
 * one under test. Virtual addresses of cells are those of the guest: nothing maps them, so what is written there other
 * than through the direct map faults. A call to one of them, such as an init function's, is caught and logged. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "guest/abi/arena.h"

#define STAND_IN_CALLS 256

struct stand_in {
    size_t frames_used; /* by frame_alloc, mappings included */
    size_t mappings;
    unsigned call_result; /* what caught calls return */
    size_t calls;
    uint64_t call[STAND_IN_CALLS]; /* where they led */
    char printed[1024];            /* through panic_print */
    /* What can run out: frames, mappings, blocks of the heap, records, names. One of them fails. */
    size_t allocations, fail_at; /* number of the one that does, from 1; 0: none */
    bool held;                   /* memory or a stack refers to cells that are to be freed */
};
extern struct stand_in stand_in;

void stand_in_start(void); /* a fresh machine: RAM, arena, no frame in use */
bool stand_in_fails(void); /* counts an allocation; whether it is the one to fail */
/* A free physical place for a boot module, outside of what frame_alloc gives. */
void *stand_in_module(size_t bytes, uint64_t *ret_phys);
/* Flags that the mapping holding `virt` has now; ~0: none. */
unsigned stand_in_flags(uint64_t virt);
/* Records of a table that are in use. */
size_t stand_in_records(enum arena_table table);

/* What is in use now, for tests that look for what was left behind. */
struct stand_in_use {
    size_t frames, mappings;
    size_t records[ARENA_EDGES + 1]; /* by table */
    size_t strings, heap_blocks, heap_bytes;
};
struct stand_in_use stand_in_use(void);
/* The first thing that differs, for people; NULL: nothing does. */
const char *stand_in_difference(const struct stand_in_use *a, const struct stand_in_use *b);
bool stand_in_same_use(const struct stand_in_use *a, const struct stand_in_use *b);

/* Starts a machine as the guest does it, with the image and the archive at these paths: boot modules in RAM, loader
 * initialized. False: one of the files cannot be read, or the loader refuses. */
bool stand_in_boot(const char *image, const char *archive);
bool stand_in_boot_with(const char *image, const uint8_t *archive, size_t archive_bytes);
/* A file's bytes, to be freed; NULL when it cannot be read. */
uint8_t *stand_in_file(const char *path, size_t *ret_bytes);
/* The record of the object file at `path`; 0: not taken. */
uint32_t stand_in_keep(const char *path);
