/* Guest memory and registers as an ELF core file, for gdb and for readers of QEMU's dumps. */
#pragma once
#include <jansson.h>
#include "vmm/vmm.h"

/* The answer to dump-guest-memory. The CPUs stand still meanwhile. */
json_t *dump_answer(struct vmm *vmm, const json_t *arguments) EXCLUDES(devices_role) EXCLUDES(state_role);

/* A part of RAM, as a program header says it. */
struct dump_part {
    uint64_t virt, phys, bytes;
};
struct dump_parts {
    struct dump_part *part;
    size_t count, room;
    size_t tables; /* that were read */
};
/* Adds what the page tables at `root` map to RAM; parts that go on from each other, in both address spaces, are one.
 * ERR_NOMEM, and ERR_RANGE for more parts than a file can have, or more tables than a guest has.
 * Release the array with free. */
enum err dump_walk(const struct ram *ram, uint64_t root, struct dump_parts *parts);
