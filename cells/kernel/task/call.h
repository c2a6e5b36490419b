/* Calls that may be begun anew (thesis §9.1.1). A function that waits, and whose effects until then are undone by its
 * scopes' ends, says so with its first line:
 *
 *     REPEATABLE(call, channel_send, (uint64_t)sender, (uint64_t)message, timeout_ns);
 *
 * The roll_back cell then can take a task that sleeps inside of it back to the moment of the call, and have the function
 * begin anew with the same arguments: another version of it, when its cell has been swapped meanwhile. Arguments are up to
 * six integers or pointers; what they point to must be as good then as it was. The function must not be inlined.
 *
 * Once the call has had its effect it must not be repeated: call_decide says what it returns if it is taken back. */
#pragma once
#include "cells/cell.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/task/task.h"

#define CALL_ARGUMENTS 6

/* Lies in the frame of its function. */
struct call {
    uint64_t function; /* its entry: a word of the stack, which a swap leads to the new version */
    uint64_t argument[CALL_ARGUMENTS];
    uint64_t rflags; /* when it was called */
    uint64_t result; /* once it is decided */
    uint32_t decided;
    uint32_t pad;
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

/* Leaves no address of its function on the stack, which would keep an old version alive; but for who takes it back. */
static inline void call_end(struct call *call)
{
    if (!call->task)
        return;
    if (call->task->calls == call)
        call->task->calls = call->outer;
    if (!call->task->unwind.back_cfa)
        call->function = 0;
}

/* By whoever brings the effect about, under the lock that the call's scopes take when they end. */
static inline void call_decide(struct call *call, uint64_t result)
{
    call->result = result;
    __atomic_store_n(&call->decided, 1, __ATOMIC_RELEASE);
}

#define REPEATABLE(name, called, ...)                                                                                  \
    __attribute__((cleanup(call_end), unused)) struct call name = {.function = (uint64_t)(called),                     \
                                                                   .argument = {__VA_ARGS__}};                         \
    call_begin(&name)
