/* TRANSFER and INIT functions that never end: each is ended by its deadline, by a fault that names it. What it has
 * locked is released, what was begun is taken back, nothing is leaked, other CPUs run on, and a good one works then. */
#include "cells/core/arena/arena.h"
#include "cells/core/boot/boot.h"
#include "cells/evolve/reap/reap.h"
#include "cells/host/request/request.h"
#include "cells/lib/string/string.h"
#include "cells/recover/fault/fault.h"
#include "cells/task/deadline/deadline.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "tests/guest/fixtures/endless/endless.h"
#include "tests/guest/fixtures/endless_help/endless_help.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_deadline", KERNEL, 1);

#define TRANSFER_MS 300
#define WAIT_NS     5000000
#define WAITS       400

/* A request, made by a task of its own, since that ends with the function. */
static struct {
    struct arena_request request;
    const char *member;
    struct report report;
} asked;

static void ask_entry(uint64_t)
{
    request_execute_member(&asked.request, asked.member, &asked.report);
}

static uint64_t total; /* what `endless` has */

static enum join ask(const struct testing *test, uint32_t kind, const char *target, const char *member)
{
    asked.request = (struct arena_request){.kind = kind, .argument = kind == REQUEST_SWAP ? TRANSFER_MS : 0};
    string_copy(asked.request.target, target, sizeof asked.request.target);
    asked.member = member;
    OWN(task) struct task *task = task_spawn("asks", ask_entry, 0, NULL);
    testing_need(test, task);
    return task_join(MOVE(task), NULL);
}

static void reap_all(const struct testing *test)
{
    for (int i = 0; i < WAITS && reap_replaced(); i++)
        scheduler_sleep_ns(WAIT_NS);
    testing_need(test, !reap_replaced());
}

/* The first fault since `before`: it is the cause of the others. */
static const struct arena_fault *first_fault(uint64_t before)
{
    return fault_record(before + 1);
}

static void check_fault(const struct testing *test, enum endless_how how, uint64_t before, const char *cell,
                        const char *message)
{
    const struct arena_fault *fault = first_fault(before);

    testing_need(test, fault && string_equal(fault->blamed, cell));
    if (how == ENDLESS_CLEANUP) { /* the function has failed by itself, and then its cleanup does not end */
        testing_need(test, fault->kind == FAULT_PANIC);
        fault = first_fault(before + 1);
        testing_need(test, fault);
    }
    testing_need(test, fault->kind == FAULT_HANG && string_starts(fault->message, message));
    bool asleep = how == ENDLESS_ASLEEP || how == ENDLESS_WAITS;
    if (how != ENDLESS_SLEEPS) /* that may be caught asleep or awake */
        testing_need(test, string_equal(fault->message + string_length(message), asleep ? ", asleep" : ""));
    if (asleep) /* where it has called what sleeps */
        testing_need(test, string_equal(fault->symbol, "endless_late_init"));
}

/* The log of swaps has one more, which did not take effect, and says why. */
static void check_log(const struct testing *test, uint64_t before, const char *cell)
{
    uint64_t seq = arena_header()->swap_seq;
    const struct arena_swap *swap = arena_record(ARENA_SWAPS, arena_ring_index(seq, ARENA_SWAPS_MAX));

    testing_need(test, seq == before + 1 && swap->seq == seq && !swap->took_effect && swap->changes == 1);
    testing_need(test, swap->done.error && *swap->done.detail);
    const struct arena_change *change =
        arena_record(ARENA_CHANGES, arena_ring_index(swap->first_change, ARENA_CHANGES_MAX));
    testing_need(test, string_equal(change->cell, cell) && change->new_object);
}

/* All CPUs have their ticks. */
static void check_cpus(const struct testing *test)
{
    uint64_t ticks[CPU_MAX];

    for (unsigned i = 0; i < cpu_count(); i++)
        ticks[i] = cpu_get(i)->record->ticks;
    for (unsigned i = 0; i < cpu_count(); i++)
        testing_need(test, testing_await(__atomic_load_n(&cpu_get(i)->record->ticks, __ATOMIC_RELAXED) > ticks[i]));
}

static void transfer(const struct testing *test, enum endless_how how)
{
    const struct testing_records records = testing_records();
    uint64_t faults = arena_header()->fault_seq, swaps = arena_header()->swap_seq;

    endless_help_set(how);
    testing_need(test, ask(test, REQUEST_SWAP, "endless", "endless_v2") == JOIN_FAILED);
    testing_same(test, "a swap whose transfer function does not end", &records);
    check_log(test, swaps, "endless");
    check_fault(test, how, faults, "endless", "its transfer function exceeds 300 ms");
    testing_need(test, !endless_help_is_locked());
    total += how;
    testing_need(test, endless_add(how) == total);
    testing_need(test, arena_cell(arena_cell_find(NAMESPACE_ROOT, "endless"))->version == 1);
    check_cpus(test);
}

/* A transfer function must not sleep: others are parked. */
static void transfer_asleep(const struct testing *test, enum endless_how how)
{
    const struct testing_records records = testing_records();
    uint64_t faults = arena_header()->fault_seq, swaps = arena_header()->swap_seq;

    endless_help_set(how);
    testing_need(test, ask(test, REQUEST_SWAP, "endless", "endless_v2") == JOIN_FAILED);
    testing_same(test, "a swap whose transfer function sleeps", &records);
    check_log(test, swaps, "endless");
    const struct arena_fault *fault = first_fault(faults);
    testing_need(test, fault && fault->kind == FAULT_PANIC && string_equal(fault->blamed, "endless"));
    testing_need(test, string_equal(fault->symbol, "endless_transfer"));
    testing_need(test, !endless_help_is_locked() && endless_add(0) == total);
}

static void swap_to(const struct testing *test, const char *member, uint32_t version)
{
    testing_need(test, ask(test, REQUEST_SWAP, "endless", member) == JOIN_ENDED && !asked.report.error);
    testing_need(test, endless_add(1) == ++total);
    testing_need(test, arena_cell(arena_cell_find(NAMESPACE_ROOT, "endless"))->version == version);
}

static void swap_well(const struct testing *test)
{
    endless_help_set(ENDLESS_NOT);
    swap_to(test, "endless_v2", 2);
    swap_to(test, "endless", 1);
    reap_all(test);
}

static void init(const struct testing *test, enum endless_how how)
{
    const struct testing_records records = testing_records();
    uint64_t faults = arena_header()->fault_seq, swaps = arena_header()->swap_seq;

    endless_help_set(how);
    testing_need(test, ask(test, REQUEST_LOAD, "", "endless_late") == JOIN_FAILED);
    check_log(test, swaps, "endless_late");
    testing_same(test, "a load whose init function does not end", &records);
    check_fault(test, how, faults, "endless_late", "its init function exceeds 5000 ms");
    testing_need(test, !endless_help_is_locked());
    testing_need(test, !arena_cell_find(NAMESPACE_ROOT, "endless_late").index);
    check_cpus(test);
}

static void load_well(const struct testing *test)
{
    endless_help_set(ENDLESS_NOT);
    testing_need(test, ask(test, REQUEST_LOAD, "", "endless_late") == JOIN_ENDED && !asked.report.error);
    testing_need(test, ask(test, REQUEST_UNLOAD, "endless_late", "endless_late") == JOIN_ENDED);
    reap_all(test);
}

static const enum endless_how in_init[] = {ENDLESS_PLAIN,  ENDLESS_LOCKED, ENDLESS_CALLEE_LOCKED,
                                           ENDLESS_SLEEPS, ENDLESS_ASLEEP, ENDLESS_WAITS};

/* With one CPU, and nothing that interrupts it while interrupts are off (deadline=ticks), only what leaves them on is
 * ended. */
static bool has_ticks_only(void)
{
    char option[8];

    return boot_option("deadline", option, sizeof option);
}

static int test_deadline_main(int, char **)
{
    bool ticks_only = has_ticks_only();
    const struct testing warm_up = {.name = "test_deadline"};

    swap_well(&warm_up); /* what is never freed is there now */
    load_well(&warm_up);
    scheduler_sleep_ns(WAIT_NS);

    const struct testing test = testing_begin("test_deadline");
    for (enum endless_how how = ENDLESS_PLAIN; how < ENDLESS_SLEEPS && !ticks_only; how++)
        transfer(&test, how);
    for (enum endless_how how = ENDLESS_SLEEPS; how < ENDLESS_COUNT; how++)
        transfer_asleep(&test, how);
    testing_ok(&test, "transfer functions that do not end are ended, and their swaps taken back");
    for (size_t i = 0; i < array_size(in_init); i++)
        if (!ticks_only || (in_init[i] != ENDLESS_LOCKED && in_init[i] != ENDLESS_CALLEE_LOCKED))
            init(&test, in_init[i]);
    testing_ok(&test, "init functions that do not end are ended, and their cells are not loaded");
    load_well(&test);
    testing_ok(&test, "good ones work afterwards");
    swap_well(&test);
    testing_end(&test);
}
MAIN(test_deadline_main);
