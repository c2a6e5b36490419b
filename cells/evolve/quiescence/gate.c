/* See quiescence.h. A closed gate is a call instruction written over the function's entry; what it calls knows by its
 * return address whose gate it is. */
#include "cells/evolve/quiescence/gate.h"
#include "cells/core/arena/arena.h"
#include "cells/evolve/quiescence/stack.h"
#include "cells/lib/string/string.h"
#include "cells/task/call/call.h"
#include "cells/task/task/task.h"

EXPORT(gate_close_all, KERNEL);
EXPORT(gate_open_all, KERNEL);
EXPORT(gate_is_any_closed, KERNEL);

#define GATES_MAX  32
#define CALL_BYTES ARENA_GATE_BYTES

void gate_wait(void); /* gate_wait.S; never called from C */

static struct gate {
    struct section_ref section;
    uint64_t entry;
    uint8_t *at; /* the entry, where it can be written */
    uint8_t was[CALL_BYTES];
} gates[GATES_MAX] GUARDED_BY(loader_lock); /* the closed ones */
static size_t gates_closed GUARDED_BY(loader_lock);

static bool is_closed(uint64_t entry) NEEDS(loader_lock)
{
    for (size_t i = 0; i < gates_closed; i++)
        if (gates[i].entry == entry)
            return true;
    return false;
}

/* Does nothing while a task is within the instructions that would be overwritten. */
static void close_gate(const struct stack_references *found, uint64_t entry) NEEDS(loader_lock) NEEDS(arena_writer)
{
    struct section_ref section = arena_section_at(entry);
    struct arena_section *s = section.index ? arena_section(section) : NULL;
    int32_t away = (int32_t)((uint64_t)gate_wait - entry - CALL_BYTES);

    if (!s || s->kind != SECTION_TEXT || entry - s->virt + CALL_BYTES >= s->bytes || gates_closed == GATES_MAX ||
        is_closed(entry) || stack_has_reference(found, entry + 1, entry + CALL_BYTES))
        return;
    struct gate *gate = &gates[gates_closed];
    *gate =
        (struct gate){.section = section, .entry = entry, .at = (uint8_t *)page_direct(s->phys) + (entry - s->virt)};
    memcpy(gate->was, gate->at, CALL_BYTES);
    /* Counted only now, and before the entry changes: after a fault, gate_open_all writes back what is counted. */
    __atomic_store_n(&gates_closed, gates_closed + 1, __ATOMIC_RELEASE);
    s->gate = (uint32_t)(entry - s->virt) + 1;
    gate->at[0] = ARENA_GATE_CALL;
    memcpy(gate->at + 1, &away, sizeof away);
}

/* Entries of the calls that are under way. */
struct calls {
    const struct plan *plan;
    uint64_t entry[GATES_MAX];
    size_t count;
};

static void add_entry(struct calls *calls, uint64_t entry)
{
    for (size_t i = 0; i < calls->count; i++)
        if (calls->entry[i] == entry)
            return;
    if (calls->count < GATES_MAX)
        calls->entry[calls->count++] = entry;
}

static void add_calls(struct task *task, void *context)
{
    struct calls *calls = context;
    uint64_t low = (uint64_t)task->calls;
    unsigned steps = 0;

    for (const struct call *call = task->calls; call && (uint64_t)call >= low && steps < GATES_MAX; steps++) {
        if (plan_in_old_text(calls->plan, call->function))
            add_entry(calls, call->function);
        low = (uint64_t)(call + 1); /* outer ones are above */
        call = call->outer;
    }
}

void gate_close_all(const struct plan *plan, const struct stack_references *found)
{
    struct calls calls = {.plan = plan};

    task_each(add_calls, &calls);
    GUARD(arena) change = arena_change();
    for (size_t i = 0; i < calls.count; i++)
        close_gate(found, calls.entry[i]);
}

void gate_open_all(void)
{
    if (!gates_closed)
        return;
    GUARD(arena) change = arena_change();
    for (; gates_closed > 0; gates_closed--) {
        struct gate *gate = &gates[gates_closed - 1];
        memcpy(gate->at, gate->was, CALL_BYTES);
        arena_section(gate->section)->gate = 0;
        *gate = (struct gate){0}; /* the entry's address would keep the old cell alive */
    }
}

bool gate_is_any_closed(void)
{
    return gates_closed > 0;
}

bool gate_is_crossed(const struct stack_references *found)
{
    bool crossed = false;

    for (size_t i = 0; i < gates_closed && !crossed; i++)
        crossed = stack_has_reference(found, gates[i].entry + CALL_BYTES, gates[i].entry + CALL_BYTES + 1);
    return crossed;
}
