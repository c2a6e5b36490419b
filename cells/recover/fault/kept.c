/* See inside.h. The log is in memory that nobody clears (LAYOUT_FAULTS_PHYS), and record 0 says which boot has written
 * there. Every byte may be anything: it may be another system's, or damaged. */
#include "cells/recover/fault/inside.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"

#define SEQ_MOST (1ull << 48) /* no machine logs so many */

void fault_publish(struct arena_fault *fault, uint64_t seq)
{
    fault->check = arena_fault_check(fault, seq);
    __atomic_store_n(&fault->seq, seq, __ATOMIC_RELEASE);
}

/* ---- steps ---- */

static bool is_text_of(const char *text, const char *other, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] != other[i])
            return false;
        if (!text[i])
            return true;
    }
    return true;
}

void fault_step(struct arena_fault *fault, enum fault_step_kind kind, uint32_t count, struct cell_ref cell)
{
    const char *name = cell.index ? arena_string(arena_cell(cell)->name) : "";
    uint32_t kept = fault->steps < FAULT_STEPS_KEPT ? fault->steps : FAULT_STEPS_KEPT;
    struct arena_fault_step *step = &fault->step[kept ? kept - 1 : 0];

    if (!kept || step->kind != kind || !is_text_of(step->cell, name, sizeof step->cell)) {
        step = &fault->step[kept < FAULT_STEPS_KEPT ? kept : kept - 1];
        step->count = 0;
        clear_bytes(step->cell, sizeof step->cell);
        copy_text(step->cell, name, sizeof step->cell);
        fault->steps++;
    }
    step->kind = kind;
    step->count += count;
    step->after_ns = cpu_ns() - fault->time_ns;
}

/* ---- what an earlier boot has left ---- */

static bool is_text(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (!text[i])
            return true;
        if (text[i] < ' ' || text[i] > '~')
            return false;
    }
    return false;
}

#define IS_TEXT(field) is_text(field, sizeof(field))

static bool are_steps_sound(const struct arena_fault *fault)
{
    for (uint32_t i = 0; i < FAULT_STEPS_KEPT; i++)
        if (fault->step[i].kind >= FAULT_STEPS || !IS_TEXT(fault->step[i].cell))
            return false;
    return true;
}

/* Whether the record is what an earlier boot has written. */
static bool is_sound(const struct arena_fault *fault, uint32_t index)
{
    return fault->seq && fault->seq < SEQ_MOST && arena_ring_index(fault->seq, ARENA_FAULTS_MAX) == index &&
           fault->boot && fault->boot != UINT32_MAX && fault->check == arena_fault_check(fault, fault->seq) &&
           fault->kind >= FAULT_EXCEPTION && fault->kind <= FAULT_RESET && fault->cpu < ARENA_CPUS_MAX &&
           fault->action <= FAULT_ACTION_MEND && fault->outcome <= FAULT_OUTCOME_LOST && IS_TEXT(fault->task_name) &&
           IS_TEXT(fault->cell_name) && IS_TEXT(fault->blamed) && IS_TEXT(fault->namespace_) &&
           IS_TEXT(fault->blamed_namespace) && IS_TEXT(fault->symbol) && IS_TEXT(fault->message) &&
           IS_TEXT(fault->caller_cell) && IS_TEXT(fault->caller_symbol) && are_steps_sound(fault);
}

/* What the record refers to is gone, and nobody will close it. */
static void keep(struct arena_fault *fault)
{
    fault->task = NO_TASK;
    fault->cell = NO_CELL;
    fault->section = NO_SECTION;
    if (fault->outcome == FAULT_OUTCOME_OPEN)
        fault->outcome = FAULT_OUTCOME_LOST;
    fault->check = arena_fault_check(fault, fault->seq);
}

/* The number of the boot that wrote record 0. 0: record 0 is not sound, so that no earlier boot is known. */
static uint32_t boot_before(void)
{
    const struct arena_fault *first = fault_at(0);
    bool sound = first->seq == 0 && first->kind == 0 && first->check == arena_fault_check(first, 0);

    return sound && first->boot != UINT32_MAX ? first->boot : 0;
}

/* Clears what is not sound. Returns the greatest number of the others, and of a boot. */
static uint64_t clear_unsound(uint32_t *ret_boot)
{
    uint64_t newest = 0;

    for (uint32_t i = 1; i < ARENA_FAULTS_MAX; i++) {
        struct arena_fault *fault = fault_at(i);
        if (!is_sound(fault, i)) {
            clear_bytes(fault, sizeof *fault);
            continue;
        }
        newest = fault->seq > newest ? fault->seq : newest;
        *ret_boot = fault->boot > *ret_boot ? fault->boot : *ret_boot;
    }
    return newest;
}

static bool is_reset(const struct arena_fault *fault, uint32_t boot)
{
    return fault->seq && fault->boot == boot && fault->steps &&
           fault->step[fault->steps < FAULT_STEPS_KEPT ? fault->steps - 1 : FAULT_STEPS_KEPT - 1].kind ==
               FAULT_STEP_RESET;
}

/* An earlier boot has ended, and has not said so: a triple fault, or a reset from outside. */
static void log_reset(uint32_t boot)
{
    static const char no_reason[sizeof((struct arena_fault *)0)->message] = "the machine was reset, nothing says why";

    for (uint32_t i = 1; i < ARENA_FAULTS_MAX; i++)
        if (is_reset(fault_at(i), boot))
            return;
    uint64_t seq = ++arena_header()->fault_seq;
    struct arena_fault *fault = fault_slot(seq);
    clear_bytes(fault, sizeof *fault);
    fault->kind = FAULT_RESET;
    fault->boot = boot;
    copy_text(fault->message, no_reason, sizeof fault->message);
    fault->action = FAULT_ACTION_HALT;
    fault->outcome = FAULT_OUTCOME_FAILED;
    fault_step(fault, FAULT_STEP_RESET, 1, NO_CELL);
    fault_publish(fault, seq);
}

void kept_take_over(void)
{
    struct arena_header *header = arena_header();
    struct arena_fault *first = fault_at(0);
    uint32_t before = boot_before(), boot = before;

    if (header->boot)
        return;
    uint64_t newest = clear_unsound(&boot);
    for (uint32_t i = 1; i < ARENA_FAULTS_MAX; i++) {
        struct arena_fault *fault = fault_at(i);
        if (fault->seq && newest - fault->seq < FAULT_SLOTS)
            keep(fault);
        else
            clear_bytes(fault, sizeof *fault);
    }
    clear_bytes(first, sizeof *first);
    first->boot = boot + 1;
    fault_publish(first, 0);
    header->fault_seq = newest;
    header->boot = boot + 1;
    if (before)
        log_reset(before);
}
