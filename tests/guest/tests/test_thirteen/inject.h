/* The thirteen faults, each injected when the victim reaches a place of the channel layer for the Nth time: by a debug
 * register, so that it comes at the same instruction on every run, whatever the number of CPUs. Private to
 * test_thirteen. */
#pragma once
#include "tests/guest/tests/test_thirteen/talk.h"

enum fault_number {
    FAULT_MESSAGE,
    FAULT_WAIT_LINK,
    FAULT_LOCK_WORD,
    FAULT_STATUS,
    FAULT_INDEX,
    FAULT_RETURN,
    FAULT_REGISTER,
    FAULT_FUNCTION,
    FAULT_LENGTH,
    FAULT_REFERENCES,
    FAULT_ENTRY_TEXT,
    FAULT_LOOP_TEXT,
    FAULT_READ_ONLY,
    FAULTS
};

/* Where the victim is: about to execute the first instruction of a function. */
enum place {
    PLACE_CALL, /* channel_send or channel_receive, called by the talk */
    PLACE_LOCK, /* lock_take for the channel's lock, called by them */
    PLACE_WAIT, /* wait_queue_wait, called by them */
    PLACE_WAKE, /* wait_queue_wake_one or _all, called by them, while a task sleeps there */
    PLACES
};

struct fault_form {
    const char *name;
    enum place place;
    bool other_first; /* the other side is slower, so that the victim waits for it; else it is faster */
    bool times_out;   /* calls wait for a limited time */
    bool in_ring;     /* a word of the channel: one task finds it wrong, and no other fails */
};
extern const struct fault_form fault_forms[FAULTS];

/* Prepares the fault: into the task that `side` of the talk has, at the `count`th time. */
void inject_prepare(struct talk *talk, uint32_t side, enum fault_number fault, unsigned count);
/* Watches for the place on this CPU, if `side` is the one to fail and the fault has not come yet. */
void inject_watch(uint32_t side);
bool inject_is_done(void);
enum err inject_init(void);
