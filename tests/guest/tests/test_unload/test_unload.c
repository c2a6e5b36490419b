/* An application is unloaded while its task fails again and again: the task ends, nobody else is blamed, and the cell's
 * memory is freed. */
#include "cells/core/arena/arena.h"
#include "cells/core/loader/loader.h"
#include "cells/evolve/reap/reap.h"
#include "cells/host/request/request.h"
#include "cells/lib/string/string.h"
#include "cells/recover/fault/fault.h"
#include "cells/task/application/application.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_unload", KERNEL, 1);

#define TIMES 4

static void unload(const struct testing *test)
{
    struct arena_request request = {.kind = REQUEST_UNLOAD, .target = "hopeless"};
    static struct report done;

    request_execute(&request, NULL, &done);
    testing_need(test, !done.error);
}

static void all_blame(const struct testing *test, uint64_t from, const char *cell)
{
    for (uint64_t seq = from; seq <= arena_header()->fault_seq; seq++)
        testing_need(test, fault_record(seq) && string_equal(fault_record(seq)->blamed, cell));
}

/* After some restarts: at the last time recovery has reloaded the cell, too. */
static void while_it_fails(const struct testing *test, uint32_t restarts)
{
    uint64_t from = arena_header()->fault_seq + 1;
    OWN(task) struct task *task = NULL;
    int32_t code = 0;

    testing_need(test, application_run("hopeless", 0, NULL, &task, NULL) == ERR_OK);
    while (__atomic_load_n(&task->record->restarts, __ATOMIC_RELAXED) < restarts)
        scheduler_yield();
    unload(test);
    enum join join = task_join(MOVE(task), &code);
    testing_need(test, join == JOIN_KILLED || (join == JOIN_ENDED && code == APPLICATION_GONE));
    testing_need(test, testing_await(!reap_replaced()) && !arena_cell_find(NAMESPACE_ROOT, "hopeless").index);
    all_blame(test, from, "hopeless");
}

static int test_unload_main(int, char **)
{
    struct testing test = testing_begin("test_unload");

    while_it_fails(&test, 1);
    test = testing_begin("test_unload");
    for (uint32_t i = 1; i <= TIMES; i++)
        while_it_fails(&test, i);
    testing_ok(&test, "an application that is unloaded while its task fails: the task ends, nobody else is blamed");
    testing_end(&test);
}
MAIN(test_unload_main);
