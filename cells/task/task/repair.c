/* See repair.h. */
#include "cells/task/task/repair.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/lib/string/string.h"

bool repair_is_pin(uint32_t pinned)
{
    return !pinned || cpu_get(pinned - 1);
}

static bool is_running(const struct task *task)
{
    for (unsigned i = 0; i < cpu_count(); i++)
        if (cpu_get(i)->task == task)
            return true;
    return false;
}

/* Whether what a switch to `rsp` would pop lies on the task's stack, and ends in text. */
static bool is_saved_rsp(const struct arena_task *record, uint64_t rsp)
{
    const struct task_saved *saved = (const struct task_saved *)rsp;

    return rsp % 8 == 0 && rsp >= record->stack_virt &&
           rsp - record->stack_virt <= record->stack_bytes - sizeof *saved && arena_cell_at(saved->rip).index;
}

static unsigned mend_word(void *word, uint64_t right, size_t bytes)
{
    if (memcmp(word, &right, bytes) == 0)
        return 0;
    memcpy(word, &right, bytes);
    return 1;
}

/* The record is sound. */
static unsigned mend_rsp(struct task *task)
{
    struct arena_task *record = task->record;

    if (is_running(task) || !record->stack_bytes || record->saved_rsp == task->rsp)
        return 0;
    if (is_saved_rsp(record, record->saved_rsp) && !is_saved_rsp(record, task->rsp))
        task->rsp = record->saved_rsp;
    else
        record->saved_rsp = task->rsp;
    return 1;
}

unsigned repair_task(struct task *task, uint32_t index)
{
    struct task_ref ref = {index};
    struct arena_task *record = arena_task(ref);
    unsigned mended = mend_word(&task->ref, index, sizeof task->ref);

    mended += mend_word(&task->record, (uint64_t)record, sizeof task->record);
    if (!arena_sound(ref) || record->state == TASK_FREE)
        return mended;
    mended += mend_word(&task->id, record->id, sizeof task->id);
    if (!repair_is_pin(task->pinned))
        mended += mend_word(&task->pinned, 0, sizeof task->pinned);
    return mended + mend_rsp(task);
}
