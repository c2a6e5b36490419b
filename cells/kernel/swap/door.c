/* See door.h. A closed door is a call at the function's entry, which knows by its return address whose door it is. */
#include "cells/kernel/swap/door.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/swap/stack.h"
#include "cells/kernel/task/call.h"
#include "cells/kernel/task/task.h"
#include "cells/lib/string/string.h"

#define DOORS_MAX  32
#define CALL_BYTES 5
#define CALL_CODE  0xe8

void door_wait(void); /* closed.S; never called from C */

static struct door {
    uint64_t entry;
    uint8_t *at; /* the entry, where it can be written */
    uint8_t was[CALL_BYTES];
} doors[DOORS_MAX];
static size_t count;

static bool is_closed(uint64_t entry)
{
    for (size_t i = 0; i < count; i++)
        if (doors[i].entry == entry)
            return true;
    return false;
}

/* Nobody may be amid the instructions that are written over. */
static void close(const struct plan *plan, uint64_t entry)
{
    uint32_t section = arena_section_at(entry);
    const struct arena_section *s = section ? arena_section(section) : NULL;
    int32_t away = (int32_t)((uint64_t)door_wait - entry - CALL_BYTES);

    if (!s || s->kind != SECTION_TEXT || entry - s->virt + CALL_BYTES >= s->bytes || count == DOORS_MAX ||
        is_closed(entry) || stack_says(plan, entry + 1, entry + CALL_BYTES))
        return;
    struct door *door = &doors[count];
    *door = (struct door){.entry = entry, .at = (uint8_t *)page_direct(s->phys) + (entry - s->virt)};
    memcpy(door->was, door->at, CALL_BYTES);
    count++;
    door->at[0] = CALL_CODE;
    memcpy(door->at + 1, &away, sizeof away);
}

/* Entries of the calls that are under way. */
struct calls {
    const struct plan *plan;
    uint64_t entry[DOORS_MAX];
    size_t count;
};

static void add_entry(struct calls *calls, uint64_t entry)
{
    for (size_t i = 0; i < calls->count; i++)
        if (calls->entry[i] == entry)
            return;
    if (calls->count < DOORS_MAX)
        calls->entry[calls->count++] = entry;
}

static void add_calls(struct task *task, void *context)
{
    struct calls *calls = context;
    uint64_t low = (uint64_t)task->calls;
    unsigned steps = 0;

    for (const struct call *call = task->calls; call && (uint64_t)call >= low && steps < DOORS_MAX; steps++) {
        if (plan_in_old_text(calls->plan, call->function))
            add_entry(calls, call->function);
        low = (uint64_t)(call + 1); /* outer ones lie above */
        call = call->outer;
    }
}

void door_close_all(const struct plan *plan)
{
    struct calls calls = {.plan = plan};

    task_each(add_calls, &calls);
    for (size_t i = 0; i < calls.count; i++)
        close(plan, calls.entry[i]);
}

void door_open_all(void)
{
    for (; count > 0; count--) {
        struct door *door = &doors[count - 1];
        memcpy(door->at, door->was, CALL_BYTES);
        *door = (struct door){0}; /* the entry's address would keep the old cell alive */
    }
}

bool door_any(void)
{
    return count > 0;
}

bool door_is_crossed(const struct plan *plan)
{
    bool crossed = false;

    for (size_t i = 0; i < count && !crossed; i++)
        crossed = stack_says(plan, doors[i].entry + CALL_BYTES, doors[i].entry + CALL_BYTES + 1);
    return crossed;
}
