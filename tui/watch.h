/* What the hypervisor says of a machine, asked again and again by a thread of its own, so that the screen never waits.
 * A machine that ended and another one of its name are told apart by their processes. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct watch_facts {
    char state[24]; /* "running", "paused", "ended", "stopped" by a signal, "silent", or another QMP status */
    char backend[8];
    unsigned cpus;
    uint64_t ram_bytes;
    int pid; /* of the last process that there was, with its start time; 0: none was seen yet */
    uint64_t started;
};

struct watch;

/* Begins to ask. NULL: there is no memory, or no thread. */
struct watch *watch_new(const char *machine);
/* Ends it, without waiting for an answer that is still due. Accepts NULL. */
void watch_free(struct watch *watch);
/* What was answered last. */
struct watch_facts watch_read(struct watch *watch);
