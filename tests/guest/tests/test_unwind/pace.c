/* See pace.h. */
#include "tests/guest/tests/test_unwind/pace.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/panic/panic.h"
#include "cells/host/log/log.h"
#include "cells/memory/heap/heap.h"
#include "cells/recover/fault/fault.h"
#include "cells/recover/unwind/unwind.h"
#include "cells/task/task/task.h"

#define DEPTH       60
#define FRAMES_MIN  20
#define AIM         3300  /* instructions for a frame that is walked over: 2,900, and some more as cells change */
#define UNWOUND_AIM 15000 /* with the landing pad, and all else that recovery does */

struct walks {
    uint64_t frames, ticks;
};

static bool count_frame(const struct unwind_frame *frame, void *context)
{
    struct walks *walks = context;

    walks->frames += frame->cell.index != 0;
    return true;
}

static void walk_from(const struct trap_frame *from, const struct task *task, struct walks *walks)
{
    uint64_t low, high, start;

    if (!unwind_stack(task, &low, &high))
        return;
    start = cpu_tsc();
    unwind_walk(from, low, high, count_frame, walks);
    walks->ticks += cpu_tsc() - start;
}

static void walk_other(struct task *task, void *context)
{
    struct trap_frame frame;

    if (task == task_this() || __atomic_load_n(&task->on_cpu, __ATOMIC_ACQUIRE))
        return;
    task_frame(task, &frame);
    walk_from(&frame, task, context);
}

static void (*volatile again)(unsigned depth, struct walks *walks); /* the compiler sees no recursion */

static void deep(unsigned depth, struct walks *walks)
{
    struct trap_frame frame = {.rbp = (uint64_t)__builtin_frame_address(0)};

    if (depth > 0) {
        again(depth - 1, walks);
    } else {
        __asm__ volatile("lea 0(%%rip), %0; mov %%rsp, %1" : "=r"(frame.rip), "=r"(frame.rsp));
        walk_from(&frame, task_this(), walks);
    }
    __asm__ volatile("" ::: "memory");
}

static void judge(const struct testing *test, const char *where, const struct walks *walks, uint64_t frames_min)
{
    log_info("unwind: %lu instructions for a frame, %lu frames %s", walks->ticks / (walks->frames | 1), walks->frames,
             where);
    testing_need(test, walks->frames >= frames_min);
    testing_need(test, walks->ticks < walks->frames * AIM);
}

static void walk_all(const struct testing *test)
{
    struct walks others = {}, own = {};
    GUARD(interrupts) off = interrupts_off();

    again = deep;
    task_each(walk_other, &others);
    deep(DEPTH, &own);
    judge(test, "of tasks that wait", &others, FRAMES_MIN);
    judge(test, "of a recursion", &own, DEPTH);
}

/* Of so many frames, each with something to release. */
static void fail_deep(uint64_t depth)
{
    OWN(heap) uint64_t *block = heap_alloc(16);
    static void (*volatile deeper)(uint64_t depth) = fail_deep;

    if (depth == 0)
        panic("deep within");
    deeper(depth - 1);
    block[0] = 1;
}

static void recover(const struct testing *test)
{
    testing_need(test, task_join(task_spawn("victim", fail_deep, DEPTH, NULL), NULL) == JOIN_FAILED);
    const struct arena_fault *fault = fault_record(arena_header()->fault_seq);
    testing_need(test, fault && fault->landing_pads == DEPTH + 1);
    log_info("unwind: %lu instructions until a task of %d frames had recovered, %lu for a frame", fault->recovery_ns,
             DEPTH, fault->recovery_ns / DEPTH);
    testing_need(test, fault->recovery_ns < (uint64_t)DEPTH * UNWOUND_AIM);
}

void pace(const struct testing *test)
{
    walk_all(test);
    recover(test);
}
