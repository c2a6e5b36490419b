/* See repair.h. */
#include "cells/task/task/repair.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/page/page.h"
#include "cells/core/panic/panic.h"
#include "cells/lib/string/string.h"

bool repair_is_pin(uint32_t pinned)
{
    return !pinned || cpu_get(pinned - 1);
}

/* Of an address that is none the page tables say nothing. */
static bool is_readable(const void *object, size_t bytes)
{
    int64_t virt = (int64_t)object;
    uint64_t phys;

    return virt % _Alignof(struct task) == 0 && virt << 16 >> 16 == virt &&
           page_translate((uint64_t)virt, &phys) == ERR_OK &&
           page_translate((uint64_t)virt + bytes - 1, &phys) == ERR_OK;
}

/* Whether two of the three words that say so say that it is the task of the record. */
static bool is_task_of(const struct task *task, uint32_t index)
{
    const struct arena_task *record = arena_task((struct task_ref){index});

    return is_readable(task, sizeof *task) &&
           (task->ref.index == index) + (task->record == record) + (task->id == record->id) >= 2;
}

struct task *repair_pointer(struct task *task, struct task *copy, uint32_t index)
{
    if (is_task_of(task, index))
        return task;
    if (is_task_of(copy, index))
        return copy;
    for (unsigned bit = 0; bit < 64; bit++) {
        struct task *other = (struct task *)((uint64_t)task ^ 1ull << bit);
        if (is_task_of(other, index))
            return other;
    }
    return is_readable(task, sizeof *task) ? task : NULL;
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

static inline __attribute__((always_inline)) unsigned mend_word(void *word, uint64_t right, size_t bytes)
{
    if (__builtin_memcmp(word, &right, bytes) == 0)
        return 0;
    __builtin_memcpy(word, &right, bytes);
    return 1;
}

static _Noreturn void fail_lost(void)
{
    panic("its stack pointer was lost");
}

/* Has the task fail when it runs next. */
static void lose(struct task *task, struct arena_task *record)
{
    uint64_t *top = (uint64_t *)(record->stack_virt + record->stack_bytes);
    struct task_saved *saved = (struct task_saved *)(top - 1) - 1;

    top[-1] = 0;
    *saved = (struct task_saved){.rip = (uint64_t)fail_lost};
    task->rsp = record->saved_rsp = (uint64_t)saved;
    if (record->state == TASK_BLOCKED)
        record->state = TASK_RUNNABLE;
}

/* A task that is being unwound may be on the CPU's emergency stack. */
static unsigned mend_rsp(struct task *task)
{
    struct arena_task *record = task->record;
    bool lost = task->rsp - record->stack_virt >= record->stack_bytes && record->state != TASK_UNWINDING;

    if (is_running(task) || !record->stack_bytes || (record->saved_rsp == task->rsp && !lost))
        return 0;
    if (record->saved_rsp == task->rsp) {
        lose(task, record);
        return 1;
    }
    if (is_saved_rsp(record, record->saved_rsp) && !is_saved_rsp(record, task->rsp))
        task->rsp = record->saved_rsp;
    else
        record->saved_rsp = task->rsp;
    return 1;
}

/* Nothing else says in which namespace a task runs, but the record's check word knows. */
static unsigned find_namespace(struct task_ref task, struct arena_task *record) NEEDS(arena_writer)
{
    struct namespace_ref before = record->namespace_;

    for_each_namespace (namespace_) {
        record->namespace_ = namespace_;
        if (arena_sound(task))
            return 1;
    }
    record->namespace_ = before;
    return 0;
}

/* What its task says of itself goes into a record that is not sound. */
static unsigned mend_record(const struct task *task, struct arena_task *record) NEEDS(arena_writer)
{
    const struct mapped_pages *stack = task->life.stack;
    unsigned mended = mend_word(&record->id, task->id, sizeof record->id);

    mended += mend_word(&record->argument, task->life.argument, sizeof record->argument);
    mended += mend_word(&record->entry_section, task->functions.entry.section.index, sizeof record->entry_section);
    mended += mend_word(&record->entry_offset, task->functions.entry.offset, sizeof record->entry_offset);
    if (stack && is_readable(stack, sizeof(uint64_t))) {
        mended += mend_word(&record->stack_virt, (uint64_t)page_start(stack), sizeof record->stack_virt);
        mended += mend_word(&record->stack_phys, page_phys(stack), sizeof record->stack_phys);
        mended += mend_word(&record->stack_bytes, TASK_STACK_BYTES, sizeof record->stack_bytes);
    }
    return arena_sound(task->ref) ? mended : mended + find_namespace(task->ref, record);
}

/* A function is kept twice: as section and offset, and as address. */
static unsigned mend_function(struct task_function *function)
{
    struct section_ref section = function->section;
    uint32_t used = arena_header()->table[ARENA_SECTIONS].used;
    const struct arena_section *s = section.index && section.index < used ? arena_section(section) : NULL;

    if (s && s->virt + function->offset == function->address)
        return 0;
    if (s && arena_sound(section) && function->offset < s->bytes)
        return mend_word(&function->address, s->virt + function->offset, sizeof(uint64_t));
    if (!section.index && !arena_section_at(function->address).index) /* none, or in no cell */
        return 0;
    *function = task_function_at(function->address);
    return 1;
}

unsigned repair_task(struct task *task, uint32_t index)
{
    struct task_ref ref = {index};
    struct arena_task *record = arena_task(ref);
    unsigned mended = mend_word(&task->ref, index, sizeof task->ref);

    mended += mend_word(&task->record, (uint64_t)record, sizeof task->record);
    if (record->state == TASK_FREE)
        return mended;
    mended += mend_function(&task->functions.entry);
    mended += mend_function(&task->functions.ended);
    mended += mend_function(&task->functions.main);
    if (!arena_sound(ref)) {
        GUARD(arena) change = arena_change();
        mended += mend_record(task, record);
    }
    mended += mend_word(&task->id, record->id, sizeof task->id);
    if (record->state > TASK_NEW) { /* if it waits for something, or has ended, it looks again */
        record->state = TASK_RUNNABLE;
        mended++;
    }
    if (!repair_is_pin(task->pinned))
        mended += mend_word(&task->pinned, 0, sizeof task->pinned);
    return mended + mend_rsp(task);
}
