/* Return addresses, damaged on the stack: a flipped bit is found and put right, so that landing pads of the caller run;
 * of a frame that is not known none runs. */
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "tests/guest/tests/test_fault/test_fault.h"

#define OVERWRITTEN 0x5a3c99c33ca5a55a

static volatile uint64_t zero;
static volatile unsigned inner_ended, outer_ended;

struct inner_guard {
    int nothing;
};
struct outer_guard {
    int nothing;
};

static void inner_guard_end(struct inner_guard *guard)
{
    (void)guard;
    inner_ended++;
}

static void outer_guard_end(struct outer_guard *guard)
{
    (void)guard;
    outer_ended++;
}

static __attribute__((noinline)) void fail_below(uint64_t wrong)
{
    uint64_t *frame = __builtin_frame_address(0);

    frame[1] ^= wrong;
    *(volatile int *)zero = 1;
    frame[1] ^= wrong;
}

static __attribute__((noinline)) void call_below(uint64_t wrong)
{
    GUARD(inner) inner = {0};

    fail_below(wrong);
    zero = 0;
}

static void call_twice(uint64_t wrong)
{
    GUARD(outer) outer = {0};

    call_below(wrong);
    zero = 0;
}

void test_fault_return_address(const struct testing *test)
{
    for (unsigned bit = 0; bit < 64; bit++) {
        inner_ended = outer_ended = 0;
        testing_need(test, test_fault_fails(call_twice, 1ull << bit));
        testing_need(test, inner_ended == 1 && outer_ended == 1);
    }
    inner_ended = outer_ended = 0;
    testing_need(test, test_fault_fails(call_twice, OVERWRITTEN));
    testing_need(test, inner_ended == 0 && outer_ended == 0);
}
