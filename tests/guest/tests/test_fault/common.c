/* See test_fault.h. */
#include "tests/guest/tests/test_fault/test_fault.h"
#include "cells/core/arena/arena.h"
#include "cells/lib/string/string.h"
#include "cells/recover/fault/fault.h"
#include "cells/task/task/task.h"

struct arena_section *test_fault_section(const char *cell, const char *name)
{
    for_each_section_of (i, arena_cell_find(NAMESPACE_ROOT, cell))
        if (string_equal(arena_string(arena_section(i)->name), name))
            return arena_section(i);
    return NULL;
}

bool test_fault_fails(void (*entry)(uint64_t), uint64_t argument)
{
    OWN(task) struct task *task = task_spawn("victim", entry, argument, NULL);

    return task && task_join(MOVE(task), NULL) == JOIN_FAILED;
}

uint64_t test_fault_counter(enum arena_counter which)
{
    return __atomic_load_n(&arena_header()->counter[which], __ATOMIC_RELAXED);
}

static bool is_open(void)
{
    uint64_t newest = arena_header()->fault_seq;

    for (uint64_t seq = newest; seq && newest - seq < TEST_FAULT_AT_ONCE; seq--)
        if (fault_record(seq) && fault_record(seq)->outcome == FAULT_OUTCOME_OPEN)
            return true;
    return false;
}

bool test_fault_settled(void)
{
    (void)testing_await(!is_open());
    return fault_record(arena_header()->fault_seq)->outcome == FAULT_OUTCOME_RECOVERED;
}
