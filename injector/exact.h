/* Running a guest to moments of its own: when it counts something for the Nth time. With icount and one CPU, such a
 * moment is the same instruction on every run. The guest stands still before and after. */
#pragma once
#include "injector/inject.h"
#include "injector/why.h"
#include "guest/abi/arena.h"

/* Runs until `counter` has reached `value`. ERR_TIMEOUT: not within `guest_ms` of the guest's time, or it is late as
 * exact_run has it. */
enum err exact_until(const struct inject_target *target, enum arena_counter counter, uint64_t value, unsigned guest_ms,
                     struct why *why);

/* Runs, and asks `is_done` each time that `counter` has changed, and once in a while between: `stands` tells which.
 * Ends when it says so while the guest stands still, when the machine has ended, or when `guest_ms` of the guest's time
 * have passed. A guest that makes no ticks while its emulator works counts as late too, and one that makes it work for
 * 12 s: that is 40 times as much as a usual experiment takes. ERR_OK in all these cases; on failure the debugger's stub
 * does not work. */
typedef bool exact_done(void *context, bool stands);
enum err exact_run(const struct inject_target *target, enum arena_counter counter, unsigned guest_ms,
                   exact_done *is_done, void *context, struct why *why);

/* What is to be seen meanwhile: the first time that the guest executes, reads or writes something. */
struct exact_touch {
    struct stop_point {
        enum stop_kind kind;
        uint64_t gva;
        unsigned bytes;
    } point[STOP_POINTS_MAX];
    size_t points;
    /* Called for each time, while the guest stands still. *ret_enough: nothing more is to be seen. */
    enum err (*touched)(void *context, struct stop *stop, const struct stop_reason *reason, bool *ret_enough);
    void *context;
};

/* As exact_run; `touch` may be NULL. */
enum err exact_watch(const struct inject_target *target, enum arena_counter counter, unsigned guest_ms,
                     exact_done *is_done, void *context, const struct exact_touch *touch, struct why *why);

struct exact_moment {
    uint64_t gva;                  /* of a function's first instruction */
    unsigned steps;                /* so many instructions later */
    bool (*is_now)(void *context); /* whether an entry counts; false: wait for the next one */
    exact_done *is_over; /* as of exact_run, asked when a round is counted: the moment does not come any more */
    void *context;
};

/* Runs to that moment: the guest stands still when it is about to execute *ret_ip. 0: the moment did not come; the
 * guest stands still as after exact_run. A guest with several CPUs comes to it too, but not at the same instruction on
 * every run. */
enum err exact_to_moment(const struct inject_target *target, const struct exact_moment *moment, unsigned guest_ms,
                         uint64_t *ret_ip, struct why *why);
