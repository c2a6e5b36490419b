/* Which task ends when memory is out: of those of applications the one of the lowest priority, of these the one with
 * the most memory in stack and heap. It ends by unwinding, so what it owns is freed; nobody has to know what that is
 * (thesis §11.5). */
#include "cells/core/boot/boot.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/frame/frame.h"
#include "cells/core/loader/loader.h"
#include "cells/host/log/log.h"
#include "cells/lib/string/string.h"
#include "cells/memory/reclaim/reclaim.h"
#include "cells/recover/kill/inside.h"
#include "cells/recover/mend/mend.h"
#include "cells/recover/unwind/unwind.h"
#include "cells/task/park/park.h"
#include "cells/task/scheduler/scheduler.h"

#define LARGE_PART  8          /* who asks for more than one frame in so many at once is refused */
#define PIECE_PART  64         /* and for more than one in so many, if these are free, but not in one piece */
#define LOOK_NS     1000000    /* between two looks whether memory is free again */
#define PATIENCE_NS 2000000000 /* with tasks that are to end and free nothing; then another one is to end as well */

static bool refuses; /* out_of_memory=refuse on the command line: no task is ended */
SET_ONCE(refuses);
static uint64_t asked_ns; /* atomic: when a task was asked last */

struct choice {
    struct task *task; /* NULL: none */
    int32_t priority;
    uint64_t bytes;
};

static uint64_t bytes_of(const struct task *task)
{
    int64_t heap = (int64_t)__atomic_load_n(&task->record->heap_bytes, __ATOMIC_RELAXED);

    return task->record->stack_bytes + (heap > 0 ? (uint64_t)heap : 0);
}

static void consider(struct task *task, void *context)
{
    struct choice *choice = context;
    struct choice other = {task, __atomic_load_n(&task->record->priority, __ATOMIC_RELAXED), bytes_of(task)};

    if (kill_is_asked(task) || !kill_is_in_application(task))
        return;
    if (!choice->task || other.priority < choice->priority ||
        (other.priority == choice->priority && other.bytes > choice->bytes))
        *choice = other;
}

/* Asks one more task. *ret_mended: none, as memory only seemed to be out: what counts frames was damaged. False: there
 * is none to ask. */
static bool ask_one(bool *ret_mended)
{
    char name[sizeof((struct arena_task *)0)->name];
    struct choice choice = {};
    uint32_t id;

    {
        GUARD(park) parked = park_all(); /* all at once: else others are asked meanwhile, and this one for nothing */
        *ret_mended = mend_all(NULL, 0) | frame_recount();
        if (*ret_mended)
            return true;
        task_each(consider, &choice);
        if (!choice.task)
            return false;
        kill_ask(choice.task, TASK_END_MEMORY);
        __atomic_store_n(&asked_ns, cpu_ns(), __ATOMIC_RELAXED);
        id = choice.task->id;
        string_copy(name, choice.task->record->name, sizeof name);
        arena_event(EVENT_OUT_OF_MEMORY, choice.task->ref.index, choice.bytes, name);
    }
    log_warn("out of memory: task %u, %s, ends; it has %lu KiB", id, name, choice.bytes / 1024);
    return true;
}

static bool is_application(const struct task *task)
{
    GUARD(park) parked = park_all();

    return kill_is_in_application(task);
}

/* Whether so many frames have become free since the allocation failed: who is asked to end now, ends for nothing. */
static bool may_be_tried(size_t frames, size_t tried)
{
    return tried != RECLAIM_NOT_TRIED && frame_free_count() >= tried + frames;
}

/* Since when nobody has been asked to end, nor has more become free than there ever was while the caller waits. */
struct standstill {
    uint64_t since_ns;
    size_t most;
};

static bool is_over(struct standstill *still)
{
    uint64_t now = cpu_ns(), asked = __atomic_load_n(&asked_ns, __ATOMIC_RELAXED);
    size_t free = frame_free_count();

    if (free > still->most)
        *still = (struct standstill){now, free};
    if (asked > still->since_ns)
        still->since_ns = asked;
    return now > still->since_ns && now - still->since_ns >= PATIENCE_NS;
}

/* Waits until the frames are free, or the running task ends, or there is nobody left to be ended. Where the allocation
 * has been tried already, so many free frames do not help: until somebody has ended. */
static bool wait_for(size_t frames, const struct task *self, size_t tried)
{
    bool ends = tried != RECLAIM_NOT_TRIED, mended;
    struct standstill still = {cpu_ns(), frame_free_count()};

    for (bool asked = !ends;;) {
        if (kill_is_asked(self))
            kill_end_here();
        size_t left = kill_again();
        if (may_be_tried(frames, tried) || (asked && !(ends && left) && reclaim_caches(frames)))
            return true;
        asked = asked || left;
        if (left && !is_over(&still)) {
            scheduler_sleep_ns(LOOK_NS);
            continue;
        }
        if (kill_is_asked(self) || !ask_one(&mended))
            return false;
        asked = true;
    }
}

/* A task of the system does not wait: it may be what others wait for. The next allocation finds what is freed. */
static bool make_room(size_t frames, size_t tried)
{
    const struct task *self = task_this();
    bool has_failed = tried != RECLAIM_NOT_TRIED, mended;

    if (!self || refuses || unwind_is_active(self) || loader_is_held_by(self) ||
        frames > frame_total_count() / (has_failed ? PIECE_PART : LARGE_PART))
        return false;
    if (is_application(self))
        return wait_for(frames, self, tried);
    if (!has_failed || may_be_tried(frames, tried) || kill_again())
        return false;
    return ask_one(&mended) && mended;
}

enum err kill_bind_memory(void)
{
    char choice[8];

    refuses = boot_option("out_of_memory", choice, sizeof choice) && string_equal(choice, "refuse");
    return reclaim_bind_last(make_room);
}
