/* See roll_back.h. Finds the call that a task is taken back to; the unwinder does the rest. */
#include "cells/evolve/roll_back/roll_back.h"
#include "cells/core/arena/arena.h"
#include "cells/memory/heap/heap.h"
#include "cells/recover/unwind/unwind.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/call/call.h"
#include "cells/task/wait_queue/wait_queue.h"

CELL("roll_back", KERNEL, 1);
FOUNDATION();
EXPORT(roll_back_hold, KERNEL);
EXPORT(roll_back_guard_end, KERNEL);
EXPORT(roll_back_task, KERNEL);
EXPORT(roll_back_wait, KERNEL);

void roll_back_again(void);

/* In the heap: tasks stay in there while a swap moves this cell's static data. */
struct gate {
    struct lock lock;
    struct wait_queue queue; /* under lock */
    uint32_t holders;        /* under lock */
};
static struct gate *gate; /* constant after roll_back_init */

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
    struct call *call; /* the innermost one that has not been passed */
    bool (*leaves)(struct cell_ref cell, void *context);
    void *context;
    uint64_t low, high, highest;
    uint64_t bare;     /* a function to be left that no call found so far contains; 0: none */
    struct call *back; /* the call to go back to; NULL: none */
    uint64_t cfa;      /* where its frame ends */
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
    search->call = (struct call *)call;
    return call >= frame->rsp && call + sizeof(struct call) <= frame->cfa;
}

/* A function that was inlined has no frame of its own, and cannot be repeated. */
static bool is_own_frame(const struct search *search, const struct unwind_frame *frame)
{
    const struct arena_section *section = arena_section(frame->section);

    return frame->section.index && section->kind == SECTION_TEXT && section->virt == search->call->function;
}

static bool visit_frame(const struct unwind_frame *frame, void *context)
{
    struct search *search = context;

    if (frame->cell.index && search->leaves(frame->cell, search->context)) {
        search->found = true;
        search->bare = frame->rip;
        search->back = NULL;
    }
    if (search->bare && has_call(search, frame) && is_own_frame(search, frame)) {
        search->bare = 0;
        search->back = search->call;
        search->cfa = frame->cfa;
    }
    return search->bare || frame->rsp <= search->highest;
}

static bool sleeps(const struct task *task)
{
    return task->record->state == TASK_BLOCKED && scheduler_is_waiting(&task->scheduler) &&
           !__atomic_load_n(&task->on_cpu, __ATOMIC_ACQUIRE) && !unwind_is_active(task);
}

enum roll_back roll_back_task(struct task *task, uint64_t highest, bool (*leaves)(struct cell_ref cell, void *context),
                              void *context, uint64_t *ret_function)
{
    struct search search = {.call = task->calls, .highest = highest, .leaves = leaves, .context = context};
    struct trap_frame frame;

    if (__atomic_load_n(&task->on_cpu, __ATOMIC_ACQUIRE) || !unwind_stack(task, &search.low, &search.high))
        return ROLL_BACK_BUSY;
    task_frame(task, &frame);
    unwind_walk(&frame, search.low, search.high, visit_frame, &search);
    if (!search.found)
        return ROLL_BACK_NO_FRAME;
    if (!sleeps(task))
        return ROLL_BACK_BUSY;
    if (search.bare) {
        *ret_function = search.bare;
        return ROLL_BACK_NOT_REPEATABLE;
    }
    unwind_roll_back(task, search.back, search.cfa, roll_back_again);
    (void)scheduler_wake(task, WAKE_EVENT);
    return ROLL_BACK_BEGUN;
}

static enum err roll_back_init(void)
{
    if (!gate)
        gate = heap_alloc(sizeof *gate);
    return gate ? ERR_OK : ERR_NOMEM;
}
INIT(roll_back_init);
