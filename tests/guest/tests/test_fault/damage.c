/* Records and pointers that recovery goes by, damaged by hand: it refuses what is wrong, and puts right what it can. */
#include "cells/core/arena/arena.h"
#include "cells/core/exception/exception.h"
#include "cells/core/page/page.h"
#include "cells/lib/string/string.h"
#include "cells/recover/fault/fault.h"
#include "cells/recover/mend/mend.h"
#include "cells/task/park/park.h"
#include "cells/task/scheduler/scheduler.h"
#include "guest/abi/note.h"
#include "tests/guest/tests/test_fault/test_fault.h"

static volatile uint64_t zero;

/* ---- with damaged records ---- */

void test_fault_circle(const struct testing *test)
{
    struct cell_ref cell = arena_cell_find(NAMESPACE_ROOT, "fragile");
    struct section_ref first = arena_cell(cell)->first_section, next = arena_section(first)->next_in_cell;

    testing_need(test, mend_is_needed(cell) == false && next.index);
    arena_section(first)->next_in_cell = first;
    testing_need(test, mend_cell(cell) == 0);
    arena_section(first)->next_in_cell = next;
    testing_need(test, arena_sound(first));
}

void test_fault_mark(const struct testing *test)
{
    struct cell_ref cell = arena_cell_find(NAMESPACE_ROOT, "lock"), other = arena_cell_find(NAMESPACE_ROOT, "fragile");

    testing_need(test, mend_is_core(cell) && mend_is_needed(cell) && !mend_is_core(other));
    arena_cell(cell)->flags ^= NOTE_CORE;
    bool lost = !mend_is_core(cell);
    arena_cell(cell)->flags ^= NOTE_CORE;
    testing_need(test, !lost && arena_sound(cell));
}

/* ---- with damaged pointers, the other CPUs parked so that none of them meets one ---- */

static void bound_pointer(const struct testing *test, const char *cell, const char *name)
{
    const struct arena_section *s = test_fault_section(cell, name);

    testing_need(test, s);
    GUARD(park) parked = park_all();
    volatile uint64_t *word = (volatile uint64_t *)s->virt;
    uint64_t before = *word;
    *word = before ^ 1ull << 37;
    unsigned mended = mend_cell(s->cell);
    testing_need(test, before && mended == 1 && *word == before);
}

static void idle_task(const struct testing *test)
{
    const struct arena_section *s = test_fault_section("scheduler", ".bss.idle_tasks");

    testing_need(test, s);
    GUARD(park) parked = park_all();
    volatile uint64_t *word = (volatile uint64_t *)s->virt;
    uint64_t before = *word;
    *word = 16;
    scheduler_rebuild();
    testing_need(test, before && *word == before);
}

void test_fault_pointers(const struct testing *test)
{
    bound_pointer(test, "scheduler", ".bss.idle_hook");
    bound_pointer(test, "timer", ".bss.tick_handler");
    bound_pointer(test, "exception", ".bss.exception_exit");
    idle_task(test);
}

/* ---- with what others use to log, damaged ---- */

/* The other CPUs are parked, so that none of them meets the damage first. */
static void fail_without_strings(uint64_t)
{
    static const char *const names[] = {".text.memset", ".text.memcpy", ".text.string_copy"};
    volatile uint8_t *text[array_size(names)];

    for (size_t i = 0; i < array_size(names); i++)
        text[i] = page_direct(test_fault_section("string", names[i])->phys);
    GUARD(park) parked = park_all();
    for (size_t i = 0; i < array_size(names); i++) {
        text[i][0] = 0x0f; /* ud2 */
        text[i][1] = 0x0b;
    }
    *(volatile int *)zero = 1;
}

void test_fault_own_text(const struct testing *test)
{
    uint64_t seq = arena_header()->fault_seq + 1;

    for_each_section_of (s, arena_cell_find(NAMESPACE_ROOT, "fault"))
        for_each_edge_from (e, s)
            testing_need(test,
                         !same(arena_section(arena_edge(e)->to)->cell, arena_cell_find(NAMESPACE_ROOT, "string")));
    testing_need(test, test_fault_fails(fail_without_strings, 0) && test_fault_settled());
    const struct arena_fault *fault = fault_record(seq);
    testing_need(test, fault && fault->outcome == FAULT_OUTCOME_RECOVERED && fault->vector == EXCEPTION_PF);
    testing_need(test, string_equal(fault->task_name, "victim") && string_equal(fault->message, "page fault"));
}
