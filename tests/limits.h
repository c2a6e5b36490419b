/* Limits of time for tests in C; tests/lib.sh has those of scripts and of guests. They end what hangs and judge
 * nothing: on an idle machine everything takes a small part of them. TEST_PATIENCE=N multiplies them all. */
#pragma once
#include <stdlib.h>

enum {
    CHECK_SECONDS = 600,   /* one test of a suite */
    SCRIPT_SECONDS = 3600, /* one part that is a script */
    WAIT_SECONDS = 300,    /* for one thing to come about */
};

static inline unsigned limit_seconds(unsigned seconds)
{
    const char *text = getenv("TEST_PATIENCE");
    int times = text ? atoi(text) : 1;

    return times > 1 ? seconds * (unsigned)times : seconds;
}
