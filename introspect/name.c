/* See name.h. Tables only. */
#include "introspect/name.h"
#include <stddef.h>
#include "guest/abi/arena.h"
#include "guest/abi/elf.h"
#include "guest/abi/names.h"
#include "guest/abi/note.h"
#include "guest/abi/plan.h"

struct word {
    unsigned number;
    const char *text;
};

static const char *find_word(const struct word *words, size_t count, unsigned number)
{
    for (size_t i = 0; i < count; i++)
        if (words[i].number == number)
            return words[i].text;
    return "?";
}
#define WORD(number, name)  {number, name},
#define FIND(words, number) find_word(words, sizeof(words) / sizeof *(words), number)

static const struct word tables[] = {
    {ARENA_NAMESPACES, "namespace"}, {ARENA_OBJECTS, "object"},   {ARENA_CELLS, "cell"},
    {ARENA_SECTIONS, "section"},     {ARENA_SYMBOLS, "symbol"},   {ARENA_EDGES, "edge"},
    {ARENA_TASKS, "task"},           {ARENA_CPUS, "cpu"},         {ARENA_FAULTS, "fault"},
    {ARENA_EVENTS, "event"},         {ARENA_REQUESTS, "request"}, {ARENA_COMPLETIONS, "completion"},
    {ARENA_SWAPS, "swap"},           {ARENA_CHANGES, "change"},   {ARENA_STRINGS, "strings"},
    {ARENA_MAILBOX, "mailbox"},
};

static const struct word cell_kinds[] = {NAMES_CELL_KIND(WORD)};

static const struct word cell_states[] = {NAMES_CELL_STATE(WORD)};

static const struct word access_levels[] = {
    {0, "private"},
    {ACCESS_KERNEL, "kernel"},
    {ACCESS_DRIVER, "driver"},
    {ACCESS_LIBRARY, "library"},
    {ACCESS_APPLICATION, "application"},
};

static const struct word section_kinds[] = {NAMES_SECTION_KIND(WORD)};

static const struct word relocations[] = {
#define X(name, number, bytes, relative) {number, "R_X86_64_" #name},
    ELF_RELOCATIONS(X)
#undef X
};

static const struct word task_states[] = {NAMES_TASK_STATE(WORD)};

static const struct word task_ends[] = {
    {TASK_END_OWN, ""},
    {TASK_END_ASKED, "killed"},
    {TASK_END_MEMORY, "out of memory"},
};

static const struct word fault_kinds[] = {
    {FAULT_EXCEPTION, "exception"}, {FAULT_PANIC, "panic"}, {FAULT_HANG, "hang"},
    {FAULT_DAMAGE, "damage"},       {FAULT_RESET, "reset"},
};

static const struct word exceptions[] = {
    {0, "divide error"},
    {1, "debug"},
    {2, "non-maskable interrupt"},
    {3, "breakpoint"},
    {4, "overflow"},
    {5, "bound range"},
    {6, "invalid opcode"},
    {7, "device not available"},
    {8, "double fault"},
    {10, "invalid TSS"},
    {11, "segment not present"},
    {12, "stack fault"},
    {13, "general protection"},
    {14, "page fault"},
    {16, "x87 error"},
    {17, "alignment check"},
    {18, "machine check"},
    {19, "SIMD error"},
};

static const struct word fault_actions[] = {NAMES_FAULT_ACTION(WORD)};

static const struct word fault_outcomes[] = {NAMES_FAULT_OUTCOME(WORD)};

static const struct word fault_steps[] = {NAMES_FAULT_STEP(WORD)};

static const struct word event_kinds[] = {
    {EVENT_NONE, "none"},
    {EVENT_CELL_LOADED, "cell loaded"},
    {EVENT_CELL_SWAPPED, "cell swapped"},
    {EVENT_CELL_FREED, "cell freed"},
    {EVENT_TASK_SPAWNED, "task spawned"},
    {EVENT_TASK_EXITED, "task exited"},
    {EVENT_TASK_FAILED, "task failed"},
    {EVENT_TASK_RESTARTED, "task restarted"},
    {EVENT_FAULT, "fault"},
    {EVENT_CPU_ONLINE, "cpu online"},
    {EVENT_REQUEST, "request"},
    {EVENT_LOG, "log"},
    {EVENT_ROUND, "round"},
    {EVENT_MENDED, "mended"},
    {EVENT_TASK_KILLED, "task killed"},
    {EVENT_OUT_OF_MEMORY, "out of memory"},
};

static const struct word plan_section_treatments[] = {
    {PLAN_SAME, "same"},
    {PLAN_OTHER, "other"},
    {PLAN_CARRIED, "carried"},
    {PLAN_BY_RECIPE, "by recipe"},
    {PLAN_BY_FUNCTION, "by function"},
    {PLAN_DROPPED, "dropped"},
    {PLAN_GONE, "gone"},
    {PLAN_NEW, "new"},
};

static const struct word plan_quiescence_reasons[] = {
    {PLAN_QUIESCENCE_DATA, "its data are not copied as they are"},
    {PLAN_QUIESCENCE_BEHIND, "what its pointers refer to has another type"},
    {PLAN_QUIESCENCE_CALL, "what its arguments refer to has another type"},
};

static const struct word counters[] = {
#define X(name) {COUNTER_##name, #name},
    ARENA_COUNTERS(X)
#undef X
};

const char *name_table(unsigned table)
{
    return FIND(tables, table);
}

const char *name_cell_kind(unsigned kind)
{
    return FIND(cell_kinds, kind);
}

const char *name_cell_state(unsigned state)
{
    return FIND(cell_states, state);
}

const char *name_access(unsigned access)
{
    return FIND(access_levels, access);
}

const char *name_section_kind(unsigned kind)
{
    return FIND(section_kinds, kind);
}

const char *name_relocation(unsigned type)
{
    return FIND(relocations, type);
}

const char *name_task_state(unsigned state)
{
    return FIND(task_states, state);
}

const char *name_task_end(unsigned reason)
{
    return FIND(task_ends, reason);
}

const char *name_fault_kind(unsigned kind)
{
    return FIND(fault_kinds, kind);
}

const char *name_exception(unsigned vector)
{
    return FIND(exceptions, vector);
}

const char *name_fault_action(unsigned action)
{
    return FIND(fault_actions, action);
}

const char *name_fault_outcome(unsigned outcome)
{
    return FIND(fault_outcomes, outcome);
}

const char *name_fault_step(unsigned step)
{
    return FIND(fault_steps, step);
}

const char *name_event_kind(unsigned kind)
{
    return FIND(event_kinds, kind);
}

const char *name_counter(unsigned counter)
{
    return FIND(counters, counter);
}

const char *name_plan_section_treatment(unsigned treatment)
{
    return FIND(plan_section_treatments, treatment);
}

const char *name_plan_quiescence(unsigned reason)
{
    return FIND(plan_quiescence_reasons, reason);
}
