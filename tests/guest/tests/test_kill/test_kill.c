/* An application is unloaded, or one of its tasks is killed, whatever it does: its tasks end, their children too,
 * nobody is blamed, and nothing of it stays in memory. */
#include "cells/core/arena/arena.h"
#include "cells/evolve/reap/reap.h"
#include "cells/host/request/request.h"
#include "cells/lib/string/string.h"
#include "cells/memory/heap/heap.h"
#include "cells/task/application/application.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "tests/guest/fixtures/restless/restless.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_kill", KERNEL, 1);

#define LIVES_NS 30000000 /* several ticks */

static struct report done;

static enum err ask(uint32_t kind, const char *target, uint32_t argument)
{
    struct arena_request request = {.kind = kind, .argument = argument};

    string_copy(request.target, target, sizeof request.target);
    request_execute(&request, NULL, &done);
    return (enum err)done.error;
}

static struct task *run(const struct testing *test, enum restless how)
{
    const char letter[] = {(char)('a' + how), 0};
    const char *const words[] = {"restless", letter};
    struct task *task = NULL;

    testing_need(test, application_run("restless", 2, words, &task, NULL) == ERR_OK);
    scheduler_sleep_ns(LIVES_NS);
    return task;
}

static void unload(const struct testing *test, enum restless how)
{
    uint64_t faults = arena_header()->fault_seq, blocks = arena_header()->counter[COUNTER_heap_blocks];
    size_t tasks = testing_tasks();
    struct task *task = run(test, how);

    if (how != RESTLESS_UNLOADS)
        testing_need(test, ask(REQUEST_UNLOAD, "restless", 0) == ERR_OK);
    testing_need(test, task_join(task, NULL) == JOIN_KILLED);
    testing_need(test, testing_await(testing_tasks() <= tasks));
    testing_need(test, testing_await(!reap_replaced()));
    testing_need(test, testing_await(arena_header()->counter[COUNTER_heap_blocks] <= blocks));
    testing_need(test, arena_header()->fault_seq == faults);
}

/* Only that task ends: its cell stays, and so do another task in it, and the task's child. */
static void kill_one(const struct testing *test)
{
    uint64_t faults = arena_header()->fault_seq;
    struct task *other = run(test, RESTLESS_NAPS), *task = run(test, RESTLESS_JOINS);
    size_t tasks = testing_tasks();

    testing_need(test, ask(REQUEST_KILL, "", task->id) == ERR_OK);
    testing_need(test, task_join(task, NULL) == JOIN_KILLED && testing_await(testing_tasks() == tasks - 1));
    uint64_t switches = other->record->switches;
    testing_need(test, testing_await(other->record->switches > switches));
    testing_need(test, arena_cell_find(NAMESPACE_ROOT, "restless").index && arena_header()->fault_seq == faults);
    testing_need(test, ask(REQUEST_KILL, "", UINT32_MAX) == ERR_NOT_FOUND);
    testing_need(test, ask(REQUEST_UNLOAD, "restless", 0) == ERR_OK && task_join(other, NULL) == JOIN_KILLED);
    testing_need(test, testing_await(testing_tasks() == tasks - 3) && testing_await(!reap_replaced()));
}

static void refuse(struct task *task, void *context)
{
    *(uint32_t *)context = task->immortal ? task->id : *(uint32_t *)context;
}

/* What is no application's task: the teardown task, or an idle one. */
static void kill_none(const struct testing *test)
{
    uint32_t id = 0;

    task_each(refuse, &id);
    testing_need(test, id && ask(REQUEST_KILL, "", id) == ERR_REFUSED);
}

static int test_kill_main(int, char **)
{
    struct testing test = {.name = "test_kill"};

    unload(&test, RESTLESS_ALL); /* what is never freed is there now */
    test = testing_begin("test_kill");
    heap_trim();
    const struct testing_records records = testing_records();
    for (enum restless how = 0; how < RESTLESS_COUNT; how++)
        unload(&test, how);
    heap_trim();
    testing_same(&test, "applications that were unloaded while they ran", &records);
    testing_ok(&test, "an application that is unloaded ends, whatever it does, and so do its children");
    kill_one(&test);
    kill_none(&test);
    testing_ok(&test, "one that is killed ends alone");
    testing_end(&test);
}
MAIN(test_kill_main);
