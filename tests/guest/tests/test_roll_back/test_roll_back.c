/* Roll-back: a task that sleeps in a repeatable call is unwound to before it, its scopes end, and the call is repeated
 * with the same arguments, in a new version if there is one by then; its caller notices nothing. A call that is not
 * repeatable is named and left alone; one that has had its effect returns. */
#include "cells/core/arena/arena.h"
#include "cells/evolve/reap/reap.h"
#include "cells/evolve/roll_back/roll_back.h"
#include "cells/evolve/swap/swap.h"
#include "cells/host/log/log.h"
#include "cells/host/request/request.h"
#include "cells/lib/string/string.h"
#include "cells/memory/heap/heap.h"
#include "cells/task/park/park.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/call/call.h"
#include "tests/guest/fixtures/sleeper/sleeper.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_roll_back", KERNEL, 1);

#define ROUNDS   20
#define LONG_NS  60000000000ull
#define SHORT_NS 50000000ull

/* A task that calls, and what the call returned. */
struct caller {
    struct sleeper sleeper;
    uint64_t (*call)(struct caller *caller);
    uint64_t result, count;
    uint32_t done, registers_kept;
};

static uint32_t swaps_to; /* the version that is live */

/* ---- calls ---- */

static uint64_t call_wait(struct caller *caller)
{
    return sleeper_wait(&caller->sleeper, 0, 11, 22, 33, 44);
}

static uint64_t call_wait_long(struct caller *caller)
{
    return sleeper_wait(&caller->sleeper, LONG_NS, 11, 22, 33, 44);
}

static uint64_t call_wait_short(struct caller *caller)
{
    return sleeper_wait(&caller->sleeper, SHORT_NS, 11, 22, 33, 44);
}

static uint64_t call_outer(struct caller *caller)
{
    return sleeper_outer(&caller->sleeper, &caller->count);
}

static uint64_t call_once(struct caller *caller)
{
    return sleeper_once(&caller->sleeper, &caller->count);
}

/* Through a call whose caller has a value of its own in every register that it must find again. */
static uint64_t call_with_registers(struct caller *caller)
{
    uint64_t result, same;

    __asm__ volatile("push %%rbp\n\t"
                     "mov $0x1111, %%rbx; mov $0x2222, %%r12; mov $0x3333, %%r13; mov $0x4444, %%r14\n\t"
                     "mov %%rsp, %%r15; mov %%rsp, %%rbp; and $-16, %%rsp\n\t"
                     "mov $11, %%edx; mov $22, %%ecx; mov $33, %%r8d; mov $44, %%r9d; xor %%esi, %%esi\n\t"
                     "call sleeper_wait\n\t"
                     "xor %%esi, %%esi\n\t"
                     "cmp $0x1111, %%rbx; jne 1f; cmp $0x2222, %%r12; jne 1f\n\t"
                     "cmp $0x3333, %%r13; jne 1f; cmp $0x4444, %%r14; jne 1f; cmp %%rbp, %%r15; jne 1f\n\t"
                     "mov $1, %%esi\n"
                     "1: mov %%r15, %%rsp; pop %%rbp"
                     : "=a"(result), "=S"(same), "+D"(*(struct sleeper **)&(struct sleeper *){&caller->sleeper})
                     :
                     : "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
    caller->registers_kept = (uint32_t)same;
    return result;
}

static void run_caller(uint64_t argument)
{
    struct caller *caller = (struct caller *)argument;

    caller->result = caller->call(caller);
    __atomic_store_n(&caller->done, 1, __ATOMIC_RELEASE);
}

/* ---- steps ---- */

static bool is_sleeper(struct cell_ref cell, void *)
{
    return string_equal(arena_string(arena_cell(cell)->name), "sleeper");
}

static bool is_test(struct cell_ref cell, void *)
{
    return string_equal(arena_string(arena_cell(cell)->name), "test_roll_back");
}

static enum roll_back take_back(struct task *task, bool (*leaves)(struct cell_ref, void *), uint64_t *ret_function)
{
    GUARD(park) parked = park_all();

    return roll_back_task(task, UINT64_MAX, leaves, NULL, ret_function);
}

static bool await(const uint32_t *word, uint32_t value)
{
    return testing_await(__atomic_load_n(word, __ATOMIC_ACQUIRE) == value);
}

static bool await_asleep(const struct task *task)
{
    return testing_await(task->record->state == TASK_BLOCKED && !task->on_cpu);
}

static struct task *start(const struct testing *test, struct caller *caller, uint64_t (*call)(struct caller *))
{
    *caller = (struct caller){.call = call};
    struct task *task = task_spawn("caller", run_caller, (uint64_t)caller, NULL);

    testing_need(test, task && await(&caller->sleeper.entered, 1) && await_asleep(task));
    return task;
}

static void let_go(const struct testing *test, struct caller *caller, TAKES struct task *task)
{
    {
        GUARD(lock) held = lock_take(&caller->sleeper.lock);
        caller->sleeper.open = 1;
        (void)wait_queue_wake_all(&caller->sleeper.queue);
    }
    testing_need(test, task_join(task, NULL) == JOIN_ENDED && caller->done && !caller->sleeper.inside);
    testing_need(test, !caller->sleeper.queue.first && !caller->sleeper.lock.holder);
}

static void swap_sleeper(const struct testing *test, uint32_t version)
{
    struct arena_request request = {.kind = REQUEST_SWAP, .target = "sleeper"};
    static struct report done;

    request_execute_member(&request, version == 2 ? "sleeper_v2" : "sleeper", &done);
    if (done.error)
        log_warn("swap: %s (%s)", err_text(done.error), done.text);
    testing_need(test, !done.error);
    swaps_to = version;
}

static bool one_version(void)
{
    return testing_await(!reap_replaced());
}

/* ---- properties ---- */

static void again_and_again(const struct testing *test, uint64_t (*call)(struct caller *))
{
    static struct caller caller;
    uint64_t function;
    struct task *task = start(test, &caller, call);

    for (uint32_t i = 0; i < ROUNDS; i++) {
        testing_need(test, take_back(task, is_sleeper, &function) == ROLL_BACK_BEGUN);
        testing_need(test, await(&caller.sleeper.entered, i + 2) && await_asleep(task));
        testing_need(test, caller.sleeper.gone_back == i + 1 && caller.sleeper.inside == 1);
    }
    let_go(test, &caller, task);
    testing_need(test, caller.result == sleeper_mix(swaps_to, 11, 22, 33, 44));
    testing_need(test, call != call_with_registers || caller.registers_kept);
}

static void timed_out(const struct testing *test)
{
    static struct caller caller;
    uint64_t function;
    struct task *task = start(test, &caller, call_wait_short);

    /* it may have timed out by now */
    testing_need(test, take_back(task, is_sleeper, &function) != ROLL_BACK_NOT_REPEATABLE);
    testing_need(test, task_join(task, NULL) == JOIN_ENDED && caller.result == UINT64_MAX);
    testing_need(test, !caller.sleeper.inside && !caller.sleeper.queue.first);
}

static void nested(const struct testing *test)
{
    static struct caller caller;
    uint64_t function;
    struct task *task = start(test, &caller, call_outer);

    testing_need(test, caller.count == 2);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        testing_need(test, take_back(task, is_sleeper, &function) == ROLL_BACK_BEGUN);
        testing_need(test, await(&caller.sleeper.entered, i + 2) && await_asleep(task));
        testing_need(test, caller.count == 2 && caller.sleeper.gone_back == i + 1);
    }
    let_go(test, &caller, task);
    testing_need(test, caller.result == sleeper_mix(swaps_to, 1, 2, 3, 4) && caller.count == 2);
}

static void left_alone(const struct testing *test)
{
    static struct caller caller;
    uint64_t function = 0;
    struct task *task = start(test, &caller, call_once);

    testing_need(test, take_back(task, is_sleeper, &function) == ROLL_BACK_NOT_REPEATABLE);
    testing_need(test, is_sleeper(arena_cell_at(function), NULL));
    testing_need(test,
                 string_equal(arena_string(arena_section(arena_section_at(function))->name), ".text.sleeper_once"));
    testing_need(test, await_asleep(task) && caller.sleeper.entered == 1 && caller.sleeper.inside == 1);
    let_go(test, &caller, task);
    testing_need(test, caller.result == sleeper_mix(swaps_to, 1, 0, 0, 0) && caller.count == 1);

    task = start(test, &caller, call_wait); /* its own entry is in no repeatable call */
    testing_need(test, take_back(task, is_test, &function) == ROLL_BACK_NOT_REPEATABLE &&
                           is_test(arena_cell_at(function), NULL));
    testing_need(test, take_back(task_this(), is_test, &function) == ROLL_BACK_BUSY);
    let_go(test, &caller, task);
    testing_need(test, caller.result == sleeper_mix(swaps_to, 11, 22, 33, 44) && caller.sleeper.entered == 1);
}

/* The sleep ends before the roll-back, and between that and when the task runs. */
static void decided(const struct testing *test)
{
    static struct caller caller;
    uint64_t function;

    for (int late = 0; late < 2; late++) {
        struct task *task = start(test, &caller, call_wait);
        {
            GUARD(park) parked = park_all();
            if (!late)
                call_decide(caller.sleeper.call, 77);
            testing_need(test, roll_back_task(task, UINT64_MAX, is_sleeper, NULL, &function) == ROLL_BACK_BEGUN);
            testing_need(test, roll_back_task(task, UINT64_MAX, is_sleeper, NULL, &function) == ROLL_BACK_BUSY);
            if (late)
                call_decide(caller.sleeper.call, 77);
        }
        testing_need(test, task_join(task, NULL) == JOIN_ENDED && caller.result == 77 && caller.sleeper.entered == 1);
        testing_need(test, !caller.sleeper.inside && !caller.sleeper.queue.first && caller.sleeper.gone_back == 1);
    }
    /* inside of another call, which continues then */
    struct task *task = start(test, &caller, call_outer);
    call_decide(caller.sleeper.call, 78);
    testing_need(test, take_back(task, is_sleeper, &function) == ROLL_BACK_BEGUN);
    testing_need(test, task_join(task, NULL) == JOIN_ENDED && caller.result == 78 && caller.count == 2);
}

/* The call is repeated in the version that is live by then. */
static void into_another_version(const struct testing *test, bool inner)
{
    static struct caller caller;
    uint64_t function;

    for (uint32_t version = 2; version >= 1; version--) {
        struct task *task = start(test, &caller, inner ? call_outer : call_with_registers);
        {
            GUARD(roll_back) held = roll_back_hold();
            testing_need(test, take_back(task, is_sleeper, &function) == ROLL_BACK_BEGUN);
            testing_need(test, await(&caller.sleeper.gone_back, 1) && await_asleep(task));
            testing_need(test, caller.sleeper.entered == 1 && !caller.sleeper.inside);
            testing_need(test, take_back(task, is_sleeper, &function) == ROLL_BACK_NO_FRAME);
            swap_sleeper(test, version);
            testing_need(test, one_version()); /* nothing holds the old one any more */
        }
        testing_need(test, await(&caller.sleeper.entered, 2) && await_asleep(task));
        let_go(test, &caller, task);
        testing_need(test, caller.result ==
                               (inner ? sleeper_mix(version, 1, 2, 3, 4) : sleeper_mix(version, 11, 22, 33, 44)));
        testing_need(test, inner ? caller.count == 2 : caller.registers_kept);
    }
}

/* A fault in a scope that the roll-back ends: the task ends as after any fault, and the outer scopes end too. */
static void broken_off(const struct testing *test)
{
    static struct caller caller;
    uint64_t function, faults = arena_header()->counter[COUNTER_faults];
    struct task *task = start(test, &caller, call_outer);

    caller.sleeper.fail = 1;
    testing_need(test, take_back(task, is_sleeper, &function) == ROLL_BACK_BEGUN);
    testing_need(test, task_join(task, NULL) == JOIN_FAILED && !caller.done && caller.sleeper.entered == 1);
    testing_need(test, caller.count == 0 && !caller.sleeper.queue.first && !caller.sleeper.lock.holder);
    testing_need(test, arena_header()->counter[COUNTER_faults] == faults + 1);
}

/* Many tasks at once, woken and rolled back at the same time. */
#define CROWD 8
static void crowd(const struct testing *test)
{
    static struct caller caller[CROWD];
    struct task *task[CROWD];
    uint64_t function, back = 0, begun = 0;

    for (int i = 0; i < CROWD; i++)
        task[i] = start(test, &caller[i], i % 2 ? call_wait_long : call_outer);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < CROWD; i++) {
            GUARD(park) parked = park_all();
            (void)wait_queue_wake_one(&caller[(i + round) % CROWD].sleeper.queue);
            back += roll_back_task(task[i], UINT64_MAX, is_sleeper, NULL, &function) == ROLL_BACK_BEGUN;
        }
        scheduler_yield();
    }
    for (int i = 0; i < CROWD; i++) {
        let_go(test, &caller[i], task[i]);
        testing_need(test, caller[i].result ==
                               (i % 2 ? sleeper_mix(swaps_to, 11, 22, 33, 44) : sleeper_mix(swaps_to, 1, 2, 3, 4)));
        begun += caller[i].sleeper.gone_back;
        testing_need(test, i % 2 || caller[i].count == 2);
    }
    testing_need(test, back > 0 && begun == back);
}

static void all(const struct testing *test)
{
    again_and_again(test, call_wait);
    again_and_again(test, call_wait_long);
    again_and_again(test, call_with_registers);
    timed_out(test);
    nested(test);
    left_alone(test);
    decided(test);
    into_another_version(test, false);
    into_another_version(test, true);
    crowd(test);
    broken_off(test);
    testing_need(test, one_version());
}

static int test_roll_back_main(int, char **)
{
    struct testing test = testing_begin("test_roll_back");

    swaps_to = 1;
    swap_sleeper(&test, 1); /* so that it is loaded, and its object kept */
    testing_need(&test, one_version());
    all(&test); /* page tables and handles stay */
    test = testing_begin("test_roll_back");
    all(&test);
    testing_ok(&test, "a sleeping call is repeated, with its arguments, and its caller's registers stay");
    testing_ok(&test, "of nested calls the outer one is repeated; effects of scopes are undone");
    testing_ok(&test, "what is not repeatable is named and left alone");
    testing_ok(&test, "what is decided returns");
    testing_ok(&test, "a call goes on in the version that has been swapped in");
    testing_ok(&test, "a fault on the way back ends the task and nothing else");
    testing_end(&test);
}
MAIN(test_roll_back_main);
