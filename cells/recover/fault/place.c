/* What a fault's record says of where it came: the cells on the stack, the instruction, its function and who has called
 * that. Calls other cells, which may be damaged: a fault here leaves out the rest (fault.c). */
#include "cells/recover/fault/inside.h"
#include "cells/core/arena/arena.h"
#include "cells/recover/mend/mend.h"
#include "cells/recover/unwind/unwind.h"
#include "cells/task/deadline/deadline.h"
#include "cells/task/promise/promise.h"
#include "cells/task/task/task.h"

struct culprit {
    struct stack_cells *cells;
    struct cell_ref caller; /* if not none: of this cell the innermost function has failed, by what it has called */
    unsigned failed;        /* number of the frame that has failed: 1 if the first is that of panic() */
    bool waits;             /* what it waits in, the foundation, has not failed: only its callers count */
    unsigned frames;
    uint64_t ip, returns_to; /* of the frame that has failed, and where that would return; 0: not known */
};

static bool note_cell_of_frame(const struct unwind_frame *frame, void *context)
{
    struct culprit *culprit = context;
    struct stack_cells *cells = culprit->cells;

    if (culprit->frames == culprit->failed && culprit->failed)
        culprit->ip = frame->rip - 1;
    if (culprit->frames == culprit->failed + 1)
        culprit->returns_to = frame->rip;
    if (culprit->caller.index && same(frame->cell, culprit->caller)) {
        culprit->ip = frame->rip - 1;
        culprit->failed = culprit->frames;
        culprit->caller = NO_CELL;
    }
    if (culprit->waits) {
        if (mend_is_needed(frame->cell)) {
            culprit->frames++;
            return true;
        }
        culprit->ip = frame->rip - 1;
        culprit->failed = culprit->frames;
        culprit->waits = false;
    }
    culprit->frames++;
    if (!frame->cell.index || !arena_cell(frame->cell)->object.index)
        return true;
    for (unsigned i = 0; i < cells->count; i++)
        if (same(cells->cell[i], frame->cell))
            return true;
    cells->cell[cells->count++] = frame->cell;
    return cells->count < FAULT_CELLS;
}

void fault_copy_names(struct cell_ref cell, char ret_cell[32], char ret_namespace[32])
{
    const struct arena_cell *c = arena_cell(cell);

    copy_text(ret_cell, arena_string(c->name), 32);
    if (!same(c->namespace_, NAMESPACE_ROOT) && c->namespace_.index < arena_header()->table[ARENA_NAMESPACES].capacity)
        copy_text(ret_namespace, arena_string(arena_namespace(c->namespace_)->name), 32);
}

/* A jump to nowhere is explained by who made it. */
static void log_caller(struct arena_fault *fault, uint64_t returns_to)
{
    struct cell_ref cell = arena_cell_at(returns_to - 1);
    struct section_ref section = arena_section_at(returns_to - 1);

    if (!cell.index || !section.index)
        return;
    copy_text(fault->caller_cell, arena_string(arena_cell(cell)->name), sizeof fault->caller_cell);
    arena_name_at(returns_to - 1, fault->caller_symbol, sizeof fault->caller_symbol);
    fault->caller_offset = (uint32_t)(returns_to - arena_section(section)->virt);
}

void fault_log_stack(struct arena_fault *fault, const struct trap_frame *frame, const struct task *task, uint64_t seq,
                     enum ended_by by)
{
    struct stack_cells *cells = &fault_stack_cells[seq % FAULT_SLOTS];
    struct culprit culprit = {.cells = cells, .failed = fault->kind == FAULT_PANIC, .ip = frame->rip};
    uint64_t low, high;

    cells->count = 0;
    cells->seq = seq;
    struct cell_ref tried = by ? NO_CELL : deadline_cell(task);
    culprit.waits = by == BY_PROMISE && promise_is_asleep(task);
    if (fault->kind == FAULT_PANIC || deadline_is_asleep())
        culprit.caller = tried;
    if (tried.index && arena_cell(tried)->object.index)
        cells->cell[cells->count++] = tried; /* whatever it has called */
    if (unwind_stack(task, &low, &high))
        unwind_walk(frame, low, high, note_cell_of_frame, &culprit);
    struct cell_ref blamed = fault_blamed(seq);
    if (blamed.index)
        fault_copy_names(blamed, fault->blamed, fault->blamed_namespace);
    fault->ip = culprit.ip;
    log_caller(fault, culprit.returns_to);
}

void fault_log_place(struct arena_fault *fault)
{
    struct section_ref section = arena_section_at(fault->ip);

    fault->cell = arena_cell_at(fault->ip);
    fault->section = section;
    if (fault->cell.index)
        fault_copy_names(fault->cell, fault->cell_name, fault->namespace_);
    if (section.index)
        fault->offset = (uint32_t)(fault->ip - arena_section(section)->virt);
    arena_name_at(fault->ip, fault->symbol, sizeof fault->symbol);
}

void fault_log_message(struct arena_fault *fault, const struct task *task, uint64_t from)
{
    struct section_ref section = arena_section_at(from);
    uint64_t low, high = 0;
    size_t i = 0;

    if (section.index)
        high = arena_section(section)->virt + arena_section(section)->bytes;
    else if (!unwind_stack(task, &low, &high) || from < low || from >= high)
        return;
    clear_bytes(fault->message, sizeof fault->message);
    for (; i + 1 < sizeof fault->message && from + i < high && ((const char *)from)[i]; i++)
        fault->message[i] = ((const char *)from)[i];
}
