/* A glance at a running guest: its counters, straight from the mapping, cheap enough to take every few milliseconds.
 * And moments to wait for. */
#pragma once
#include "injector/why.h"
#include "introspect/view.h"

struct glance {
    bool arena;        /* false: none (yet, or any more) */
    bool ready;        /* the start cell has finished its work */
    uint64_t boot_tsc; /* changes when the guest restarts */
    uint64_t guest_ns; /* the guest's time at the last tick of any CPU */
    uint64_t fault_seq;
    uint64_t counter[COUNTERS];
};

/* Reads the counters, without waiting and without checks; `arena` false: all else is 0. */
struct glance watch_glance(const uint8_t *ram, size_t bytes);

/* Whether a CPU runs a task of that name, as its record says. */
bool watch_is_running(const uint8_t *ram, size_t bytes, const char *name);

/* The host's monotonic clock. */
uint64_t watch_now_ns(void);
void watch_sleep_ms(unsigned ms);

enum watch_kind { WATCH_NOW, WATCH_ROUNDS, WATCH_MS };

/* When to inject: "now", "rounds:N" (when the workload has ended N more rounds), "ms:N" (after N milliseconds). */
struct watch_trigger {
    enum watch_kind kind;
    uint64_t n;
};
enum err watch_parse(const char *words, struct watch_trigger *ret_trigger, struct why *why);

/* ERR_TIMEOUT: the moment did not come. */
enum err watch_wait(const struct watch_trigger *trigger, const uint8_t *ram, size_t bytes, unsigned timeout_ms,
                    struct why *why);
