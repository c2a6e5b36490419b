/* A machine for hosted cells: RAM in this process, frames and mappings that are counted, and the few cells below the
 * one under test. Virtual addresses of cells are those of the guest: nothing maps them, so what is written there other
 * than through the direct map faults. A call to one of them, such as an init function's, is caught and logged. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "guest/abi/arena.h"

#define STAND_IN_CALLS 256
/* Of a table with a reserve: records for everybody. */
#define STAND_IN_ORDINARY(capacity) ((capacity)-1 - (capacity) / ARENA_RESERVE_PART)

struct stand_in {
    size_t frames_used; /* by frame_alloc, mappings included */
    size_t mappings;
    unsigned call_result; /* what caught calls return */
    size_t calls;
    uint64_t call[STAND_IN_CALLS]; /* what they referred to */
    char printed[1024];            /* through panic_print */
    /* Allocations of frames, mappings, heap blocks, records and names are counted, and one of them fails. */
    size_t allocations, fail_at; /* fail_at: the number of the one that fails, from 1; 0: none */
    /* What `in` and `out` of a byte do; NULL: they fault. Returns what is read. */
    uint8_t (*port)(uint16_t port, bool out, uint8_t value);
    bool held;            /* memory or a stack refers to cells that are to be freed */
    unsigned searches;    /* for such references */
    void (*parked)(void); /* called when others are parked, as if they had run until then; NULL: nothing is */
    uint64_t clock_ns;    /* not 0: the time in place of the host's; it passes by a microsecond when it is asked for */
};
extern struct stand_in stand_in;

void stand_in_start(void); /* a fresh machine: RAM, arena, no frame in use */
bool stand_in_fails(void); /* counts an allocation; true: it is the one that fails */
/* Memory for a boot module, which frame_alloc does not hand out. */
void *stand_in_module(size_t bytes, uint64_t *ret_phys);
/* Flags of the mapping that `virt` is in; ~0: it is in none. */
unsigned stand_in_flags(uint64_t virt);
/* Records of a table that are in use. */
size_t stand_in_records(enum arena_table table);

/* What is in use, for tests that look for leaks. */
struct stand_in_use {
    size_t frames, mappings;
    size_t records[ARENA_EDGES + 1]; /* by table */
    size_t strings, heap_blocks, heap_bytes;
};
struct stand_in_use stand_in_use(void);
/* Text that names the first difference; NULL: there is none. */
const char *stand_in_difference(const struct stand_in_use *a, const struct stand_in_use *b);
bool stand_in_same_use(const struct stand_in_use *a, const struct stand_in_use *b);

/* Starts a machine as the guest does it, with the image and the archive at these paths: boot modules in RAM, loader
 * initialized. False: one of the files cannot be read, or the loader refuses. */
bool stand_in_boot(const char *image, const char *archive);
bool stand_in_boot_with(const char *image, const uint8_t *archive, size_t archive_bytes);
/* A file's bytes, for the caller to free; NULL: it cannot be read. */
uint8_t *stand_in_file(const char *path, size_t *ret_bytes);
/* Gives the object file at `path` to the loader. Returns its record; none: refused. */
struct object_ref stand_in_keep(const char *path);
