/* See roll_back.h. Looks at stacks and says where to; everything else is the unwinder's. */
#include "cells/kernel/roll_back/roll_back.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/heap/heap.h"
#include "cells/kernel/scheduler/scheduler.h"
#include "cells/kernel/task/call.h"
#include "cells/kernel/unwind/unwind.h"
#include "cells/kernel/wait_queue/wait_queue.h"

CELL("roll_back", KERNEL, 1);
EXPORT(roll_back_hold, KERNEL);
EXPORT(roll_back_guard_end, KERNEL);
EXPORT(roll_back_task, KERNEL);
EXPORT(roll_back_wait, KERNEL);

void roll_back_again(void);

/* In the heap: tasks stay in there while a swap moves this cell's static data. */
struct gate {
    struct lock lock;
    struct wait_queue queue;
    uint32_t holders;
};
static struct gate *gate;

struct roll_back_guard roll_back_hold(void)
{
    GUARD(lock) held = lock_take(&gate->lock);

    gate->holders++;
    return (struct roll_back_guard){true};
}

void roll_back_guard_end(struct roll_back_guard *guard)
{
    if (!guard->held)
        return;
    GUARD(lock) held = lock_take(&gate->lock);
    guard->held = false;
    if (--gate->holders == 0)
        (void)wait_queue_wake_all(&gate->queue);
}

void roll_back_wait(void)
{
    struct gate *at = gate; /* read once: the frame may end in a replaced version */
    GUARD(lock) held = lock_take(&at->lock);

    while (at->holders)
        (void)wait_queue_wait(&at->queue, &held, 0);
}

struct search {
    const struct call *call; /* the innermost one that has not been passed */
    bool (*leaves)(uint32_t cell, void *context);
    void *context;
    uint64_t low, high, highest;
    uint64_t bare; /* a function to be left that no call found so far contains; 0: none */
    uint64_t cfa;  /* where the frame of the call to go back to ends; 0: none */
    bool found;
};

/* A frame's call: records are linked from the inside out, as frames are walked. */
static bool has_call(struct search *search, const struct unwind_frame *frame)
{
    uint64_t call = (uint64_t)search->call;

    while (call && call >= search->low && call % 8 == 0 && call <= search->high - sizeof(struct call) &&
           call < frame->rsp) {
        uint64_t outer = (uint64_t)((const struct call *)call)->outer;
        call = outer > call ? outer : 0;
    }
    search->call = (const struct call *)call;
    return call >= frame->rsp && call + sizeof(struct call) <= frame->cfa;
}

/* A function that was inlined has no frame that could be begun anew. */
static bool is_own_frame(const struct search *search, const struct unwind_frame *frame)
{
    const struct arena_section *section = arena_section(frame->section);

    return frame->section && section->kind == SECTION_TEXT && section->virt == search->call->function;
}

static bool visit_frame(const struct unwind_frame *frame, void *context)
{
    struct search *search = context;

    if (frame->cell && search->leaves(frame->cell, search->context)) {
        search->found = true;
        search->bare = frame->rip;
        search->cfa = 0;
    }
    if (search->bare && has_call(search, frame) && is_own_frame(search, frame)) {
        search->bare = 0;
        search->cfa = frame->cfa;
    }
    return search->bare || frame->rsp <= search->highest;
}

static bool sleeps(const struct task *task)
{
    return task->record->state == TASK_BLOCKED && __atomic_load_n(&task->waiting, __ATOMIC_ACQUIRE) &&
           !__atomic_load_n(&task->on_cpu, __ATOMIC_ACQUIRE) && !task->unwind.back_cfa && !task->unwind.active;
}

enum err roll_back_task(struct task *task, uint64_t highest, bool (*leaves)(uint32_t cell, void *context),
                        void *context, uint64_t *ret_function)
{
    struct search search = {.call = task->calls, .highest = highest, .leaves = leaves, .context = context};
    struct trap_frame frame;

    if (__atomic_load_n(&task->on_cpu, __ATOMIC_ACQUIRE) || !unwind_stack(task, &search.low, &search.high))
        return ERR_BUSY;
    task_frame(task, &frame);
    unwind_walk(&frame, search.low, search.high, visit_frame, &search);
    if (!search.found)
        return ERR_NOT_FOUND;
    if (!sleeps(task))
        return ERR_BUSY;
    if (search.bare) {
        *ret_function = search.bare;
        return ERR_INVALID;
    }
    unwind_back(task, search.cfa, roll_back_again);
    (void)scheduler_wake(task, ERR_OK);
    return ERR_OK;
}

static enum err roll_back_init(void)
{
    if (!gate)
        gate = heap_alloc(sizeof *gate);
    return gate ? ERR_OK : ERR_NOMEM;
}
INIT(roll_back_init);
