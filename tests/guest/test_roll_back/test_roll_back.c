/* Calls taken back: a task that sleeps inside of one is unwound to its beginning, scopes and all, and begins anew with the
 * same arguments, in another version when there is one by then; its caller notices nothing. What may not be begun anew is
 * named and left alone; what has had its effect returns. */
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/heap/heap.h"
#include "cells/kernel/log/log.h"
#include "cells/kernel/park/park.h"
#include "cells/kernel/request/request.h"
#include "cells/kernel/roll_back/roll_back.h"
#include "cells/kernel/scheduler/scheduler.h"
#include "cells/kernel/swap/swap.h"
#include "cells/kernel/task/call.h"
#include "cells/lib/string/string.h"
#include "tests/guest/sleeper/sleeper.h"
#include "tests/guest/testing/testing.h"

CELL("test_roll_back", KERNEL, 1);

#define TURN_NS  2000000
#define TURNS    500
#define ROUNDS   20
#define LONG_NS  60000000000ull
#define SHORT_NS 50000000ull

/* One task that calls, and what came of it. */
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

static bool is_sleeper(uint32_t cell, void *)
{
    return string_equal(arena_string(arena_cell(cell)->name), "sleeper");
}

static bool is_test(uint32_t cell, void *)
{
    return string_equal(arena_string(arena_cell(cell)->name), "test_roll_back");
}

static enum err take_back(struct task *task, bool (*leaves)(uint32_t, void *), uint64_t *ret_function)
{
    GUARD(park) parked = park_all();

    return roll_back_task(task, UINT64_MAX, leaves, NULL, ret_function);
}

static bool await(const uint32_t *word, uint32_t value)
{
    for (int i = 0; i < TURNS && __atomic_load_n(word, __ATOMIC_ACQUIRE) != value; i++)
        scheduler_sleep_ns(TURN_NS);
    return __atomic_load_n(word, __ATOMIC_ACQUIRE) == value;
}

static bool await_asleep(const struct task *task)
{
    for (int i = 0; i < TURNS && (task->record->state != TASK_BLOCKED || task->on_cpu); i++)
        scheduler_sleep_ns(TURN_NS);
    return task->record->state == TASK_BLOCKED;
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
    testing_need(test, task_join(task, NULL) == ERR_OK && caller->done && !caller->sleeper.inside);
    testing_need(test, !caller->sleeper.queue.first && !caller->sleeper.lock.holder);
}

static void swap_sleeper(const struct testing *test, uint32_t version)
{
    struct arena_request request = {.kind = REQUEST_SWAP, .target = "sleeper"};
    static struct arena_completion done;

    request_execute_member(&request, version == 2 ? "sleeper_v2" : "sleeper", &done);
    if (done.error)
        log_warn("swap: %s (%s)", err_text(done.error), done.detail);
    testing_need(test, !done.error);
    swaps_to = version;
}

static bool one_version(void)
{
    for (int i = 0; i < TURNS && swap_reap(); i++)
        scheduler_sleep_ns(TURN_NS);
    return swap_reap() == 0;
}

/* ---- properties ---- */

static void again_and_again(const struct testing *test, uint64_t (*call)(struct caller *))
{
    static struct caller caller;
    uint64_t function;
    struct task *task = start(test, &caller, call);

    for (uint32_t i = 0; i < ROUNDS; i++) {
        testing_need(test, take_back(task, is_sleeper, &function) == ERR_OK);
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
    enum err e = take_back(task, is_sleeper, &function);

    testing_need(test, e == ERR_OK || e == ERR_NOT_FOUND || e == ERR_BUSY); /* it may have timed out by now */
    testing_need(test, task_join(task, NULL) == ERR_OK && caller.result == UINT64_MAX);
    testing_need(test, !caller.sleeper.inside && !caller.sleeper.queue.first);
}

static void nested(const struct testing *test)
{
    static struct caller caller;
    uint64_t function;
    struct task *task = start(test, &caller, call_outer);

    testing_need(test, caller.count == 2);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        testing_need(test, take_back(task, is_sleeper, &function) == ERR_OK);
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

    testing_need(test, take_back(task, is_sleeper, &function) == ERR_INVALID);
    testing_need(test, is_sleeper(arena_cell_at(function), NULL));
    testing_need(test,
                 string_equal(arena_string(arena_section(arena_section_at(function))->name), ".text.sleeper_once"));
    testing_need(test, await_asleep(task) && caller.sleeper.entered == 1 && caller.sleeper.inside == 1);
    let_go(test, &caller, task);
    testing_need(test, caller.result == sleeper_mix(swaps_to, 1, 0, 0, 0) && caller.count == 1);

    task = start(test, &caller, call_wait); /* its own entry is in no call that may be begun anew */
    testing_need(test, take_back(task, is_test, &function) == ERR_INVALID && is_test(arena_cell_at(function), NULL));
    testing_need(test, take_back(task_this(), is_test, &function) == ERR_BUSY);
    let_go(test, &caller, task);
    testing_need(test, caller.result == sleeper_mix(swaps_to, 11, 22, 33, 44) && caller.sleeper.entered == 1);
}

/* Decided before it is taken back, and between that and when it runs. */
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
            testing_need(test, roll_back_task(task, UINT64_MAX, is_sleeper, NULL, &function) == ERR_OK);
            testing_need(test, roll_back_task(task, UINT64_MAX, is_sleeper, NULL, &function) == ERR_BUSY);
            if (late)
                call_decide(caller.sleeper.call, 77);
        }
        testing_need(test, task_join(task, NULL) == ERR_OK && caller.result == 77 && caller.sleeper.entered == 1);
        testing_need(test, !caller.sleeper.inside && !caller.sleeper.queue.first && caller.sleeper.gone_back == 1);
    }
    /* inside of another call, which goes on then */
    struct task *task = start(test, &caller, call_outer);
    call_decide(caller.sleeper.call, 78);
    testing_need(test, take_back(task, is_sleeper, &function) == ERR_OK);
    testing_need(test, task_join(task, NULL) == ERR_OK && caller.result == 78 && caller.count == 2);
}

/* The call begins anew in the version that is live by then. */
static void into_another_version(const struct testing *test, bool inner)
{
    static struct caller caller;
    uint64_t function;

    for (uint32_t version = 2; version >= 1; version--) {
        struct task *task = start(test, &caller, inner ? call_outer : call_with_registers);
        {
            GUARD(roll_back) held = roll_back_hold();
            testing_need(test, take_back(task, is_sleeper, &function) == ERR_OK);
            testing_need(test, await(&caller.sleeper.gone_back, 1) && await_asleep(task));
            testing_need(test, caller.sleeper.entered == 1 && !caller.sleeper.inside);
            testing_need(test, take_back(task, is_sleeper, &function) == ERR_NOT_FOUND);
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

/* A fault in a scope that ends on the way: the task ends as after any fault, and the scopes further out end too. */
static void broken_off(const struct testing *test)
{
    static struct caller caller;
    uint64_t function, faults = arena_header()->counter[COUNTER_faults];
    struct task *task = start(test, &caller, call_outer);

    caller.sleeper.fail = 1;
    testing_need(test, take_back(task, is_sleeper, &function) == ERR_OK);
    testing_need(test, task_join(task, NULL) == ERR_CLOSED && !caller.done && caller.sleeper.entered == 1);
    testing_need(test, caller.count == 0 && !caller.sleeper.queue.first && !caller.sleeper.lock.holder);
    testing_need(test, arena_header()->counter[COUNTER_faults] == faults + 1);
}

/* Many at once, woken and taken back at the same time. */
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
            back += roll_back_task(task[i], UINT64_MAX, is_sleeper, NULL, &function) == ERR_OK;
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
    testing_ok(&test, "a sleeping call begins anew, with its arguments, and its caller's registers stay");
    testing_ok(&test, "of nested calls the outer one begins anew; effects of scopes are undone");
    testing_ok(&test, "what may not be begun anew is named and left alone");
    testing_ok(&test, "what is decided returns");
    testing_ok(&test, "a call goes on in the version that has been swapped in");
    testing_ok(&test, "a fault on the way back ends the task and nothing else");
    testing_end(&test);
}
MAIN(test_roll_back_main);
