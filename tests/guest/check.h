/* For a test that is the first cell, when no other is loaded: checks that print a line when they fail, and the end of
 * the test, which prints the result and switches the machine off. */
#pragma once
#include "cells/core/cpu/cpu.h"
#include "cells/core/panic/panic.h"
#include "guest/abi/layout.h"

#define CHECK(condition) check_that(condition, #condition, __LINE__)

static unsigned check_failures;

static inline void check_number(const char *name, uint64_t value)
{
    panic_print("  ");
    panic_print(name);
    panic_print(" ");
    panic_print_hex(value);
    panic_print("\n");
}

static inline bool check_that(bool holds, const char *condition, unsigned line)
{
    if (holds)
        return true;
    check_failures++;
    panic_print("not so: ");
    panic_print(condition);
    check_number(", line", line);
    return false;
}

static inline _Noreturn void check_end(const char *name)
{
    panic_print("TEST ");
    panic_print(name);
    panic_print(check_failures ? ": FAILED\n" : ": done\n");
    cpu_out8(LAYOUT_DEBUG_EXIT_PORT, check_failures ? 1 : 0);
    panic_halt("the machine has no debug exit");
}
