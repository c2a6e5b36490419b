/* Repeatable calls (thesis §9.1.1). A function that waits, and whose effects until then are undone at the ends of
 * its scopes, says so with its first line:
 *
 *     REPEATABLE(call, channel_send, (uint64_t)sender, (uint64_t)message, timeout_ns);
 *
 * The roll_back cell can then unwind a task that sleeps inside the function to the moment of the call, and have the
 * function called again with the same arguments: its new version, if its cell has been swapped. Arguments are up to
 * six integers or pointers. What they point to must be as valid at the second call as at the first. The function
 * must not be inlined.
 *
 * Once the call has had its effect it must not be repeated: call_decide sets what it returns when it is rolled back. */
#pragma once
#include "cells/cell.h"
#include "cells/core/cpu/cpu.h"
#include "cells/task/task/task.h"

#define CALL_ARGUMENTS 6

/* Is in the frame of its function. */
struct call {
    uint64_t function; /* its entry point: a word of the stack, which a swap redirects to the new version */
    uint64_t argument[CALL_ARGUMENTS];
    uint64_t rflags; /* at the call */
    uint64_t result; /* once it is decided */
    uint32_t decided;
    uint32_t rolled_back; /* 1: the task is being unwound to before this call */
    struct task *task;
    struct call *outer;
};

static inline void call_begin(struct call *call)
{
    struct task *task = cpu_task();

    __asm__("pushfq; popq %0" : "=r"(call->rflags));
    if (!task)
        return;
    call->task = task;
    call->outer = task->calls;
    task->calls = call;
}

/* Clears the function's address: left on the stack, it would keep an old version in memory. The unwinder still needs it
 * when it rolls the call back, and clears it then. */
static inline void call_end(struct call *call)
{
    if (!call->task)
        return;
    if (call->task->calls == call)
        call->task->calls = call->outer;
    if (!call->rolled_back)
        call->function = 0;
}

/* The call has had its effect and returns `result`. By who brings the effect about, under the lock that the ends of the
 * call's scopes take. */
static inline void call_decide(struct call *call, uint64_t result)
{
    call->result = result;
    __atomic_store_n(&call->decided, 1, __ATOMIC_RELEASE);
}

#define REPEATABLE(name, called, ...)                                                                                  \
    __attribute__((cleanup(call_end), unused)) struct call name = {.function = (uint64_t)(called),                     \
                                                                   .argument = {__VA_ARGS__}};                         \
    call_begin(&name)
