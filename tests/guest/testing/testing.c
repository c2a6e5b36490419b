/* See testing.h. */
#include "tests/guest/testing/testing.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/frame/frame.h"
#include "cells/kernel/heap/heap.h"
#include "cells/kernel/log/log.h"
#include "cells/kernel/page/page.h"
#include "cells/kernel/scheduler/scheduler.h"
#include "cells/lib/string/string.h"
#include "guest/abi/layout.h"

CELL("testing", KERNEL, 1);
EXPORT(testing_begin, APPLICATION);
EXPORT(testing_ok, APPLICATION);
EXPORT(testing_fail, APPLICATION);
EXPORT(testing_end, APPLICATION);
EXPORT(testing_tasks, APPLICATION);
EXPORT(testing_records, APPLICATION);
EXPORT(testing_same, APPLICATION);
EXPORT(testing_has_recovery, APPLICATION);

#define SETTLE_TRIES 100
#define SETTLE_NS    10000000
#define EXIT_DONE    0x10
#define EXIT_FAILED  0x11

static _Noreturn void end_machine(uint8_t code)
{
    cpu_out8(LAYOUT_DEBUG_EXIT_PORT, code);
    for (;;)
        scheduler_sleep_ns(SETTLE_NS);
}

size_t testing_tasks(void)
{
    size_t tasks = 0;

    for (uint32_t i = 1; i < ARENA_TASKS_MAX; i++)
        tasks += arena_task(i)->state != TASK_FREE;
    return tasks;
}

struct testing_records testing_records(void)
{
    struct testing_records r = {.strings = arena_header()->counter[COUNTER_strings], .frames_free = frame_free_count()};

    for (uint32_t i = 1; i < ARENA_CELLS_MAX; i++)
        r.cells += arena_cell(i)->state != CELL_FREE;
    for (uint32_t i = 1; i < ARENA_OBJECTS_MAX; i++)
        r.objects += arena_object(i)->check != 0;
    for (uint32_t i = 1; i < ARENA_EDGES_MAX; i++)
        r.edges += arena_edge(i)->check != 0;
    for (uint32_t i = 1; i < ARENA_SYMBOLS_MAX; i++)
        r.symbols += arena_symbol(i)->check != 0;
    for (uint32_t i = 1; i < ARENA_SECTIONS_MAX; i++)
        r.sections += arena_section(i)->check != 0;
    return r;
}

void testing_same(const struct testing *test, const char *what, const struct testing_records *before)
{
    struct testing_records now = testing_records();

    if (memcmp(&now, before, sizeof now) == 0)
        return;
    log_warn("%s: cells %zu %zu, objects %zu %zu, edges %zu %zu, symbols %zu %zu, sections %zu %zu, strings %zu %zu, "
             "frames %zu %zu",
             what, before->cells, now.cells, before->objects, now.objects, before->edges, now.edges, before->symbols,
             now.symbols, before->sections, now.sections, before->strings, now.strings, before->frames_free,
             now.frames_free);
    testing_fail(test, what, "testing.c", __LINE__);
}

bool testing_has_recovery(void)
{
    return arena_cell_find(1, "recovery") != 0;
}

/* The task that ran the test's, and whatever else starts a machine, has ended. */
static void wait_until_quiet(void)
{
    while (!__atomic_load_n(&arena_header()->ready, __ATOMIC_ACQUIRE))
        scheduler_sleep_ns(SETTLE_NS);
    for (uint64_t frames = 0; frames != frame_free_count(); scheduler_sleep_ns(5 * SETTLE_NS))
        frames = frame_free_count();
}

/* What the history holds is bounded, and no leak. */
static uint64_t kept_frames(void)
{
    uint64_t frames = 0;

    for (uint32_t i = 1; i < ARENA_OBJECTS_MAX; i++) {
        const struct arena_object *o = arena_object(i);
        if (o->check && o->kept && o->from_mailbox && !o->cells)
            frames += (o->bytes + FRAME_BYTES - 1) / FRAME_BYTES;
    }
    return frames;
}

static struct testing count_all(const char *name)
{
    heap_trim();
    return (struct testing){
        .name = name,
        .frames_free = frame_free_count() + page_own_frames() + kept_frames(),
        .heap_blocks = arena_header()->counter[COUNTER_heap_blocks],
        .tasks = testing_tasks(),
    };
}

struct testing testing_begin(const char *name)
{
    wait_until_quiet();
    return count_all(name);
}

void testing_ok(const struct testing *test, const char *property)
{
    log_info("TEST %s: ok: %s", test->name, property);
}

void testing_fail(const struct testing *test, const char *what, const char *file, int line)
{
    log_warn("TEST %s: FAILED: %s (%s:%d)", test->name, what, file, line);
    end_machine(EXIT_FAILED);
}

static bool is_all_back(const struct testing *test)
{
    struct testing now = count_all(test->name);

    /* the task that started this one may have ended meanwhile: less in use is no leak */
    return now.frames_free >= test->frames_free && now.heap_blocks <= test->heap_blocks && now.tasks <= test->tasks;
}

void testing_end(const struct testing *test)
{
    for (int i = 0; i < SETTLE_TRIES && !is_all_back(test); i++)
        scheduler_sleep_ns(SETTLE_NS);
    struct testing now = count_all(test->name);
    if (!is_all_back(test)) {
        log_warn("TEST %s: FAILED: leaked: frames free %lu, now %lu; heap blocks %lu, now %lu; tasks %zu, now %zu",
                 test->name, test->frames_free, now.frames_free, test->heap_blocks, now.heap_blocks, test->tasks,
                 now.tasks);
        end_machine(EXIT_FAILED);
    }
    testing_ok(test, "no frame, heap block or task leaked");
    log_info("TEST %s: done", test->name);
    end_machine(EXIT_DONE);
}
