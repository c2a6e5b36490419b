/* See unwind.h and frames.h. */
#include "cells/recover/unwind/frames.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/exception/exception.h"

EXPORT(unwind_walk, KERNEL);
EXPORT(unwind_forget, KERNEL);

/* What the last walk on each CPU has seen. from NULL: it did not reach the end of the stack. */
static struct seen {
    const struct trap_frame *from;
    uint64_t not_rip, rsp; /* of *from; inverted, since an address in a cell would keep that from being freed */
    bool interrupt;
} seen[CPU_MAX];

static bool is_interrupt(const struct walk *walk, const struct walk_frame *frame)
{
    return frame->function.signal && !walk->exact;
}

void unwind_walk(const struct trap_frame *from, uint64_t stack_low, uint64_t stack_high,
                 bool (*visit)(const struct unwind_frame *frame, void *context), void *context)
{
    struct walk walk = walk_from(from, stack_low, stack_high);
    struct walk_frame tables;
    bool interrupt = false, more;

    unwind_forget();
    do {
        struct unwind_frame frame = {.rip = walk.registers.value[DWARF_RIP], .rsp = walk.registers.value[DWARF_RSP]};
        uint64_t ip = walk_ip(&walk);
        bool placed = walk_place(&walk, ip);

        frame.cell = placed ? walk.place.cell : arena_cell_at(ip);
        frame.section = placed ? walk.place.section : arena_section_at(ip);
        bool known = walk_look_up(&walk, &tables) == ERR_OK;
        interrupt |= known && is_interrupt(&walk, &tables);
        more = walk_leave(&walk, known ? &tables : NULL);
        frame.cfa = walk.cfa;
        if (!visit(&frame, context))
            return;
    } while (more);
    seen[cpu_this()->index] = (struct seen){from, ~from->rip, from->rsp, interrupt};
}

void unwind_forget(void)
{
    seen[cpu_this()->index].from = NULL;
}

bool frames_in_interrupt(const struct trap_frame *from, struct walk walk)
{
    const struct seen before = seen[cpu_this()->index];
    struct walk_frame frame;
    bool known;

    unwind_forget();
    if (before.from == from && before.not_rip == ~from->rip && before.rsp == from->rsp)
        return before.interrupt;
    do {
        known = walk_look_up(&walk, &frame) == ERR_OK;
        if (known && is_interrupt(&walk, &frame))
            return true;
    } while (walk_leave(&walk, known ? &frame : NULL));
    return false;
}
