/* The workload continues when its text, or that of cells that it uses, is damaged, also when that raises no exception
 * but computes what is wrong; no round of it is bad. */
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include "cells/core/page/page.h"
#include "cells/host/log/log.h"
#include "cells/lib/string/string.h"
#include "cells/task/application/application.h"
#include "cells/task/park/park.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "guest/abi/layout.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_disturb", KERNEL, 1);

#define GOES_ON 6 /* rounds after a fault which show that it continues */

static uint64_t counter(enum arena_counter which)
{
    return __atomic_load_n(&arena_header()->counter[which], __ATOMIC_RELAXED);
}

static bool rises_to(enum arena_counter which, uint64_t value)
{
    return testing_await(counter(which) >= value);
}

/* Parks the other CPUs first: an emulator that translates the text while it is written may keep executing the old
 * bytes. */
static void write_text(uint64_t phys, const uint8_t bytes[2])
{
    GUARD(park) parked = park_all();

    memcpy(page_direct(phys), bytes, 2);
}

/* Puts an undefined instruction at the start of a function until somebody has run into it. */
static void damage(const struct testing *test, const char *symbol)
{
    static const uint8_t undefined[2] = {0x0f, 0x0b};
    uint8_t before[2];
    uint64_t address, phys, faults = counter(COUNTER_faults);

    testing_need(test, lifecycle_symbol(symbol, &address) == ERR_OK && page_translate(address, &phys) == ERR_OK);
    memcpy(before, page_direct(phys), sizeof before);
    write_text(phys, undefined);
    testing_need(test, rises_to(COUNTER_faults, faults + 1));
    /* unless the cell was reloaded elsewhere, and its memory is somebody else's now */
    if (!memcmp(page_direct(phys), undefined, sizeof undefined))
        write_text(phys, before);
    testing_need(test, rises_to(COUNTER_rounds, counter(COUNTER_rounds) + GOES_ON));
}

/* Puts a return at the start of a function, whose result is wrong then. Nobody but the workload can notice, and nobody
 * but recovery takes it out again. */
static void falsify(const struct testing *test, const char *symbol)
{
    static const uint8_t returns[2] = {0xc3, 0xc3};
    uint64_t address, phys, faults = counter(COUNTER_faults);

    testing_need(test, lifecycle_symbol(symbol, &address) == ERR_OK && page_translate(address, &phys) == ERR_OK);
    write_text(phys, returns);
    testing_need(test, rises_to(COUNTER_faults, faults + 1));
    testing_need(test, rises_to(COUNTER_rounds, counter(COUNTER_rounds) + GOES_ON));
    testing_need(test, counter(COUNTER_checksums_bad) == 0);
}

static void goes_on(const struct testing *test)
{
    static const char *const targets[] = {"channel_send",   "channel_receive", "canvas_animate",
                                          "memory_fs_read", "memory_fs_write", "checksum_fnv"};

    const char *const argv[] = {"workload"};
    struct task *task = NULL;

    testing_need(test, application_run("workload", 1, argv, &task, NULL) == ERR_OK);
    task_put(task);
    testing_need(test, rises_to(COUNTER_rounds, counter(COUNTER_rounds) + GOES_ON));
    for (size_t i = 0; i < array_size(targets); i++)
        damage(test, targets[i]);
    falsify(test, "checksum_fnv");
    falsify(test, "canvas_checksum");
    testing_need(test, counter(COUNTER_checksums_bad) == 0);
}

static int test_disturb_main(int, char **)
{
    struct testing test = testing_begin("test_disturb");

    testing_need(&test, testing_has_recovery());
    goes_on(&test);
    testing_ok(&test, "damaged text, and such that computes what is wrong, is recovered from, and no round is bad");
    log_info("TEST test_disturb: done");
    cpu_out8(LAYOUT_DEBUG_EXIT_PORT, 0x10);
    return 0;
}
MAIN(test_disturb_main);
