/* See shell.h: the commands that read the arena. They take no lock: of a table that changes meanwhile, some rows may be
 * older than others. */
#include "cells/app/shell/shell.h"
#include "cells/core/arena/arena.h"
#include "cells/fs/memory_fs/memory_fs.h"
#include "cells/host/log/log.h"
#include "cells/lib/format/format.h"
#include "cells/lib/string/string.h"
#include "guest/abi/names.h"

#define LOG_LINES_SHOWN 20

#define AT_INDEX(number, name) [number] = name,
static const char *const kinds[] = {NAMES_CELL_KIND(AT_INDEX)};
static const char *const cell_states[] = {NAMES_CELL_STATE(AT_INDEX)};
static const char *const section_kinds[] = {NAMES_SECTION_KIND(AT_INDEX)};
static const char *const task_states[] = {NAMES_TASK_STATE(AT_INDEX)};
static const char *const actions[] = {NAMES_FAULT_ACTION(AT_INDEX)};
static const char *const outcomes[] = {NAMES_FAULT_OUTCOME(AT_INDEX)};

static const char *name_at_index(const char *const *names, size_t count, uint32_t index)
{
    return index < count && names[index] ? names[index] : "?";
}
#define NAME_IN(names, index) name_at_index(names, array_size(names), index)

static struct cell_ref find_live_cell(const struct terminal *on, const char *name)
{
    for_each_cell (i)
        if (arena_cell(i)->state == CELL_LIVE && string_equal(arena_string(arena_cell(i)->name), name))
            return i;
    shell_error(on, name, ERR_NOT_FOUND);
    return NO_CELL;
}

void shell_cells(const struct terminal *on, int, char **)
{
    shell_print(on, "%-14s %4s %-11s %-8s %8s %9s %6s\n", "NAME", "VERS", "KIND", "STATE", "BYTES", "SECTIONS",
                "FAULTS");
    for_each_cell (i) {
        const struct arena_cell *cell = arena_cell(i);
        if (cell->state == CELL_FREE)
            continue;
        shell_print(on, "%-14s %4u %-11s %-8s %8u %9u %6u\n", arena_string(cell->name), cell->version,
                    NAME_IN(kinds, cell->kind), NAME_IN(cell_states, cell->state),
                    cell->text_bytes + cell->rodata_bytes + cell->data_bytes, cell->sections, cell->faults);
    }
}

void shell_cell(const struct terminal *on, int, char **word)
{
    struct cell_ref ref = find_live_cell(on, word[1]);

    if (!ref.index)
        return;
    const struct arena_cell *cell = arena_cell(ref);
    shell_print(on, "%s, version %u, %s, reloaded %u times\n", word[1], cell->version, NAME_IN(kinds, cell->kind),
                cell->reloads);
    for_each_section_of (s, ref) {
        const struct arena_section *section = arena_section(s);
        shell_print(on, "  %016lx %6u %-8s %3u out %3u in  %s\n", section->virt, section->bytes,
                    NAME_IN(section_kinds, section->kind), section->outgoing, section->incoming,
                    arena_string(section->name));
    }
    for_each_symbol_of (s, ref)
        if (arena_symbol(s)->access)
            shell_print(on, "  exports %s to %s\n", arena_string(arena_symbol(s)->name),
                        NAME_IN(kinds, arena_symbol(s)->access));
}

static const char *cell_name_of(struct section_ref section)
{
    return arena_string(arena_cell(arena_section(section)->cell)->name);
}

/* Whether an edge before `edge` in the list of `section` has the same symbol and the same cell at its other end. */
static bool is_repeated(struct section_ref section, struct edge_ref edge, bool out)
{
    struct edge_ref e = out ? arena_section(section)->first_out : arena_section(section)->first_in;

    for (; e.index && !same(e, edge); e = out ? arena_edge(e)->next_out : arena_edge(e)->next_in) {
        const struct arena_edge *a = arena_edge(e), *b = arena_edge(edge);
        if (same(a->symbol, b->symbol) &&
            same(arena_section(out ? a->to : a->from)->cell, arena_section(out ? b->to : b->from)->cell))
            return true;
    }
    return false;
}

static void print_edges(const struct terminal *on, struct cell_ref cell, bool out)
{
    for_each_section_of (s, cell) {
        struct edge_ref next, e = out ? arena_section(s)->first_out : arena_section(s)->first_in;
        for (; e.index; e = next) {
            const struct arena_edge *edge = arena_edge(e);
            struct section_ref other = out ? edge->to : edge->from;
            next = out ? edge->next_out : edge->next_in;
            if (same(arena_section(other)->cell, cell) || is_repeated(s, e, out))
                continue;
            const char *symbol =
                edge->symbol.index ? arena_string(arena_symbol(edge->symbol)->name) : "a stored pointer";
            shell_print(on, "  %-32s %s %s of %s\n", arena_string(arena_section(s)->name), out ? "->" : "<-",
                        out ? symbol : arena_string(arena_section(other)->name), cell_name_of(other));
        }
    }
}

void shell_deps(const struct terminal *on, int, char **word)
{
    struct cell_ref cell = find_live_cell(on, word[1]);

    if (!cell.index)
        return;
    shell_print(on, "%s needs:\n", word[1]);
    print_edges(on, cell, true);
    shell_print(on, "%s is needed by:\n", word[1]);
    print_edges(on, cell, false);
}

void shell_tasks(const struct terminal *on, int, char **)
{
    shell_print(on, "%5s %-16s %-10s %3s %8s %9s %10s\n", "ID", "NAME", "STATE", "CPU", "RESTARTS", "SWITCHES",
                "RUN MS");
    for_each_task (i) {
        const struct arena_task *task = arena_task(i);
        if (task->state == TASK_FREE)
            continue;
        shell_print(on, "%5u %-16s %-10s %3u %8u %9lu %10lu\n", task->id, task->name, NAME_IN(task_states, task->state),
                    task->cpu, task->restarts, task->switches, task->run_ns / 1000000);
    }
}

/* The place of record `seq` in a ring; a newer record may be there by now. */
static const void *ring_slot(enum arena_table table, uint64_t seq)
{
    return arena_record(table, arena_ring_index(seq, arena_header()->table[table].capacity));
}

void shell_faults(const struct terminal *on, int, char **)
{
    uint64_t last = arena_header()->fault_seq, room = arena_header()->table[ARENA_FAULTS].capacity - 1;

    for (uint64_t seq = last > room ? last - room + 1 : 1; seq <= last; seq++) {
        const struct arena_fault *fault = ring_slot(ARENA_FAULTS, seq);
        if (fault->seq != seq)
            continue;
        if (fault->boot != arena_header()->boot)
            shell_print(on, "boot %u: ", fault->boot);
        shell_print(on, "%4lu %5lu.%03lus %s in %s%s%s:%s+%u, task %s: %s, %s in %lu us\n", seq,
                    fault->time_ns / 1000000000, fault->time_ns / 1000000 % 1000, fault->message, fault->namespace_,
                    *fault->namespace_ ? "/" : "", fault->cell_name, fault->symbol, fault->offset, fault->task_name,
                    NAME_IN(actions, fault->action), NAME_IN(outcomes, fault->outcome), fault->recovery_ns / 1000);
    }
    shell_print(on, "%lu faults\n", last);
}

void shell_counters(const struct terminal *on, int, char **)
{
#define X(name) #name,
    static const char *const names[] = {ARENA_COUNTERS(X)};
#undef X
    for (size_t i = 0; i < array_size(names); i++)
        shell_print(on, "  %-16s %lu\n", names[i], arena_header()->counter[i]);
}

void shell_log(const struct terminal *on, int words, char **word)
{
    uint64_t last = log_last(), wanted = 0;
    char line[LOG_LINE_BYTES];

    for (const char *c = words > 1 ? word[1] : ""; *c >= '0' && *c <= '9' && wanted < LOG_LINES; c++)
        wanted = wanted * 10 + (uint64_t)(*c - '0');
    if (!wanted)
        wanted = LOG_LINES_SHOWN;
    for (uint64_t number = last > wanted ? last - wanted + 1 : 1; number <= last; number++)
        if (log_line(number, line) == ERR_OK)
            shell_print(on, "%s\n", line);
}

void shell_free(const struct terminal *on, int, char **)
{
    const uint64_t *counter = arena_header()->counter;
    struct memory_fs_usage usage;

    memory_fs_usage(&usage);
    shell_print(on, "frames: %lu free of %lu (%lu KiB free)\n", counter[COUNTER_frames_free],
                counter[COUNTER_frames_total], counter[COUNTER_frames_free] * 4);
    shell_print(on, "heap: %lu bytes in %lu blocks\n", counter[COUNTER_heap_bytes], counter[COUNTER_heap_blocks]);
    shell_print(on, "files: %lu nodes, %lu KiB\n", usage.nodes, usage.blocks * 4);
}
