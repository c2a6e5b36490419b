/* Applications take all memory, again and again: the task that has the most ends, and nobody else; what is no
 * application goes on, the workload too, and everything is given back. */
#include "cells/core/arena/arena.h"
#include "cells/core/page/page.h"
#include "cells/evolve/reap/reap.h"
#include "cells/fs/memory_fs/memory_fs.h"
#include "cells/host/request/request.h"
#include "cells/lib/string/string.h"
#include "cells/task/application/application.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "tests/guest/fixtures/hog/hog.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_memory_out", KERNEL, 1);

#define OWN_MAX 64 /* frames for page tables and handles: the sizes of mappings differ from time to time */

static const struct testing *test;
static struct report done;

static uint64_t counter(enum arena_counter counter)
{
    return __atomic_load_n(&arena_header()->counter[counter], __ATOMIC_RELAXED);
}

static struct task *run(const char *name, const char *argument)
{
    const char *const words[] = {name, argument};
    struct task *task = NULL;

    testing_need(test, application_run(name, 2, words, &task, NULL) == ERR_OK);
    return task;
}

static struct task *hog(enum hog how)
{
    return run("hog", (const char[]){(char)('a' + how), 0});
}

static void unload(const char *name)
{
    struct arena_request request = {.kind = REQUEST_UNLOAD};

    string_copy(request.target, name, sizeof request.target);
    request_execute(&request, NULL, &done);
    testing_need(test, done.error == ERR_OK && testing_await(!reap_replaced()));
}

/* Whether the events after number `since` say that the task of that id ended for want of memory. */
static bool is_told(uint64_t since, const struct task *task)
{
    for (uint64_t seq = since + 1; seq <= arena_header()->event_seq; seq++) {
        const struct arena_event *e = arena_record(ARENA_EVENTS, arena_ring_index(seq, ARENA_EVENTS_MAX));
        if (e->seq == seq && e->kind == EVENT_OUT_OF_MEMORY && e->a == task->ref.index &&
            string_equal(e->text, "hog") && e->b > TASK_STACK_BYTES)
            return true;
    }
    return false;
}

static void takes_all(enum hog how)
{
    uint64_t since = arena_header()->event_seq;
    struct task *task = hog(how);
    int32_t ends = 0;

    if (how == HOG_TASKS) {
        testing_need(test, task_join(task, &ends) == JOIN_ENDED && ends == 3);
        return;
    }
    testing_need(test, testing_await(!task_stack(task)));
    testing_need(test, task->record->end_reason == TASK_END_MEMORY && is_told(since, task));
    testing_need(test, task_join(task, NULL) == JOIN_KILLED);
}

/* ---- the properties ---- */

/* Once for what is never freed, then as often as the command line says. */
static void again_and_again(unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        takes_all((enum hog)(i % (HOG_TASKS + 1)));
}

static bool has_all(const struct task *task)
{
    return task->record->heap_bytes >= HOG_PART_BYTES;
}

/* One sleeps with the most, and one with little but a lower priority: when more is asked for, these end, and who asks
 * does not. */
static void who_ends(void)
{
    struct task *first = hog(HOG_STAYS), *second = hog(HOG_STAYS), *asks;
    int32_t ends = 0;

    testing_need(test, testing_await(has_all(first) && has_all(second)));
    second->record->priority = -1;
    asks = hog(HOG_STAYS);
    testing_need(test, task_join(second, NULL) == JOIN_KILLED && first->record->end_reason == TASK_END_OWN);
    testing_need(test, testing_await(has_all(asks)));
    asks->record->priority = 1;
    second = hog(HOG_ASKS);
    testing_need(test, task_join(first, NULL) == JOIN_KILLED);
    testing_need(test, task_join(second, &ends) == JOIN_ENDED && ends == HOG_SERVED);
    testing_need(test, asks->record->end_reason == TASK_END_OWN);
    first = hog(HOG_WANTS);
    testing_need(test, task_join(first, &ends) == JOIN_ENDED && ends == HOG_REFUSED);
    testing_need(test, asks->record->end_reason == TASK_END_OWN);
    unload("hog");
    testing_need(test, task_join(asks, NULL) == JOIN_KILLED);
}

/* So that what stays is there: the cells that the workload needs, and what memory_fs has mapped for contents of files,
 * its own and the hog's. */
static void work_once(void)
{
    OWN(memory_fs_file) struct memory_fs_file *file = NULL;

    testing_need(test, memory_fs_open("/hog", MEMORY_FS_WRITE | MEMORY_FS_CREATE, &file) == ERR_OK);
    testing_need(test, memory_fs_write(file, "", 1) == ERR_OK);
    testing_need(test, task_join(run("workload", "rounds=1"), NULL) == JOIN_ENDED);
    unload("workload");
}

/* Whether any part of the workload has files now. */
static bool has_files(void)
{
    struct memory_fs_entry entry;

    for (size_t i = 0; memory_fs_list("/", i, &entry) == ERR_OK && entry.name[0]; i++)
        if (!string_equal(entry.name, "hog"))
            return true;
    return false;
}

static int test_memory_out_main(int, char **)
{
    struct testing begun = testing_begin("test_memory_out");
    unsigned times = testing_times("times", 8);
    uint64_t rounds, bad = counter(COUNTER_checksums_bad), restarts = counter(COUNTER_restarts);
    uint64_t faults = arena_header()->fault_seq;

    test = &begun;
    work_once();
    again_and_again(HOG_TASKS + 1);
    begun = testing_begin("test_memory_out");
    struct testing_records records = testing_records();
    size_t own = page_own_frames();
    again_and_again(times);
    own = page_own_frames() - own; /* page tables and handles, used again and never freed */
    testing_need(test, own <= OWN_MAX);
    records.frames_free -= own;
    begun.frames_free -= own;
    testing_same(test, "applications that took all memory", &records);
    testing_ok(test, "an application that takes all memory ends, and gives it back");
    who_ends();
    testing_ok(test, "of several the one of the lowest priority ends, then the one with the most");

    struct task *workload = run("workload", "");
    rounds = counter(COUNTER_rounds);
    again_and_again(HOG_TASKS + 1);
    testing_need(test, testing_await(counter(COUNTER_rounds) > rounds + 1));
    testing_need(test, workload->record->end_reason == TASK_END_OWN && counter(COUNTER_checksums_bad) == bad);
    testing_need(test, testing_await(has_files()));
    unload("workload");
    testing_need(test, task_join(workload, NULL) == JOIN_KILLED && !has_files());
    testing_need(test, arena_header()->fault_seq == faults && counter(COUNTER_restarts) == restarts);
    testing_ok(test, "the workload goes on beside it, and nothing fails");
    (void)memory_fs_unlink("/hog");
    unload("hog");
    testing_end(test);
}
MAIN(test_memory_out_main);
