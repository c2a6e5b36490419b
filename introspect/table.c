/* See table.h. First how each value is read, kind by kind, then the tables. */
#include "introspect/table.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "introspect/name.h"
#include "introspect/qualified.h"
#include "introspect/read.h"

#define READ(name) static void name(const struct view *v, size_t n, struct column_value *ret)

/* Record `n` of a table of the arena. Callers pass used indices only. */
#define NAMESPACE_REF ((struct namespace_ref){(uint32_t)n})
#define CELL_REF      ((struct cell_ref){(uint32_t)n})
#define SECTION_REF   ((struct section_ref){(uint32_t)n})
#define NAMESPACE     view_namespace(v, NAMESPACE_REF)
#define CELL          view_cell(v, CELL_REF)
#define SECTION       view_section(v, SECTION_REF)
#define SYMBOL        view_symbol(v, (struct symbol_ref){(uint32_t)n})
#define EDGE          view_edge(v, (struct edge_ref){(uint32_t)n})
#define TASK          view_task(v, (struct task_ref){(uint32_t)n})

/* Defines a function that reads one expression as text or as a number. */
#define READ_TEXT(name, expression)                                                                                    \
    READ(name)                                                                                                         \
    {                                                                                                                  \
        ret->text = (expression);                                                                                      \
    }
#define READ_NUMBER(name, expression)                                                                                  \
    READ(name)                                                                                                         \
    {                                                                                                                  \
        ret->number = (uint64_t)(expression);                                                                          \
    }

__attribute__((format(printf, 2, 3))) static void set_text(struct column_value *ret, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(ret->buffer, sizeof ret->buffer, format, arguments);
    va_end(arguments);
    ret->text = ret->buffer;
}

/* ---- namespaces ---- */

READ(namespace_cells)
{
    ret->number = 0;
    view_each_cell (cell, v)
        ret->number += same(view_cell(v, cell)->namespace_, NAMESPACE_REF) && view_cell(v, cell)->state != CELL_ABSENT;
}

READ(namespace_tasks)
{
    ret->number = 0;
    view_each_task (task, v)
        ret->number += same(view_task(v, task)->namespace_, NAMESPACE_REF);
}

READ(namespace_cpu)
{
    if (NAMESPACE->cpu)
        set_text(ret, "%u", NAMESPACE->cpu - 1);
    else
        ret->text = "";
}

READ_TEXT(namespace_name, view_namespace_name(v, NAMESPACE_REF))
READ_TEXT(namespace_parent, NAMESPACE->parent.index ? view_namespace_name(v, NAMESPACE->parent) : "")
READ_TEXT(namespace_simd, NAMESPACE->flags &NAMESPACE_SIMD ? "yes" : "")

const struct column table_namespaces[] = {
    {"name", COLUMN_TEXT, .read = namespace_name},
    {"parent", COLUMN_TEXT, .read = namespace_parent},
    {"cells", COLUMN_NUMBER, .read = namespace_cells},
    {"tasks", COLUMN_NUMBER, .read = namespace_tasks},
    {"cpu", COLUMN_TEXT, .read = namespace_cpu},
    {"simd", COLUMN_TEXT, .read = namespace_simd},
    {0},
};

/* ---- cells ---- */

uint64_t table_cell_bytes(const struct arena_cell *c)
{
    return (uint64_t)c->text_bytes + c->rodata_bytes + c->data_bytes;
}

READ_TEXT(cell_name, view_cell_name(v, CELL_REF))
READ_TEXT(cell_namespace, view_namespace_name(v, CELL->namespace_))
READ_NUMBER(cell_version, CELL->version)
READ_TEXT(cell_kind, name_cell_kind(CELL->kind))
READ_TEXT(cell_state, name_cell_state(CELL->state))
READ_NUMBER(cell_bytes, table_cell_bytes(CELL))
READ_NUMBER(cell_sections, view_sections_of(v, CELL_REF).count)
READ_NUMBER(cell_dependencies, view_dependencies(v, CELL_REF, NULL, 0))
READ_NUMBER(cell_dependents, view_dependents(v, CELL_REF, NULL, 0))
READ_NUMBER(cell_tasks, view_tasks_in(v, CELL_REF))

const struct column table_cells[] = {
    {"name", COLUMN_TEXT, .read = cell_name},
    {"namespace", COLUMN_TEXT, .read = cell_namespace},
    {"version", COLUMN_NUMBER, .read = cell_version},
    {"kind", COLUMN_TEXT, .read = cell_kind},
    {"state", COLUMN_TEXT, .read = cell_state},
    {"bytes", COLUMN_NUMBER, .read = cell_bytes},
    {"sections", COLUMN_NUMBER, .read = cell_sections},
    {"dependencies", COLUMN_NUMBER, .read = cell_dependencies},
    {"dependents", COLUMN_NUMBER, .read = cell_dependents},
    {"tasks", COLUMN_NUMBER, .read = cell_tasks},
    {0},
};

/* ---- sections ---- */

static struct read_pages pages_of(const struct view *v, struct section_ref section)
{
    const struct arena_section *s = view_section(v, section);

    return read_pages(v, s->virt, s->bytes);
}

READ(section_physical)
{
    struct read_pages pages = pages_of(v, SECTION_REF);

    ret->number = pages.phys + (SECTION->virt - pages.first);
}

READ(section_permissions)
{
    struct read_pages pages = pages_of(v, SECTION_REF);

    ret->text = read_permissions(&pages);
}

/* Of the cell that a section is in; "?" for none. */
static const char *namespace_of(const struct view *v, struct section_ref section)
{
    const struct arena_section *s = view_section(v, section);
    const struct arena_cell *c = s ? view_cell(v, s->cell) : NULL;

    return view_namespace_name(v, c ? c->namespace_ : NO_NAMESPACE);
}

READ_TEXT(section_cell, view_cell_name(v, SECTION->cell))
READ_TEXT(section_namespace, namespace_of(v, SECTION_REF))
READ_TEXT(section_name, view_section_name(v, SECTION_REF))
READ_NUMBER(section_address, SECTION->virt)
READ_NUMBER(section_bytes, SECTION->bytes)
READ_TEXT(section_kind, name_section_kind(SECTION->kind))
READ_NUMBER(section_outgoing, view_edges_out(v, SECTION_REF).count)
READ_NUMBER(section_incoming, view_edges_in(v, SECTION_REF).count)
READ_NUMBER(section_pages, pages_of(v, SECTION_REF).pages)

const struct column table_sections[] = {
    {"cell", COLUMN_TEXT, .read = section_cell},
    {"namespace", COLUMN_TEXT, .read = section_namespace},
    {"name", COLUMN_TEXT, .screen = {1, "SECTION", 26, .grow = 2}, .read = section_name},
    {"address", COLUMN_ADDRESS, .screen = {6, "ADDRESS", 16, .rank = 1}, .read = section_address},
    {"bytes", COLUMN_NUMBER, .screen = {3, "BYTES", 6, .rank = 0}, .read = section_bytes},
    {"kind", COLUMN_TEXT, .screen = {2, "KIND", 7, .rank = 0}, .read = section_kind},
    {"outgoing", COLUMN_NUMBER, .screen = {4, "OUT", 4, .rank = 0}, .read = section_outgoing},
    {"incoming", COLUMN_NUMBER, .screen = {5, "IN", 4, .rank = 0}, .read = section_incoming},
    {"physical", COLUMN_ADDRESS, .screen = {8, "PHYSICAL", 16, .rank = 3}, .read = section_physical},
    {"pages", COLUMN_NUMBER, .read = section_pages},
    {"permissions", COLUMN_TEXT, .screen = {7, "PAGES", 5, .rank = 2}, .read = section_permissions},
    {0},
};

/* ---- symbols ---- */

READ_TEXT(symbol_name, view_string(v, SYMBOL->name))
READ_TEXT(symbol_cell, view_cell_name(v, view_section(v, SYMBOL->section)->cell))
READ_TEXT(symbol_namespace, namespace_of(v, SYMBOL->section))
READ_TEXT(symbol_section, view_section_name(v, SYMBOL->section))
READ_NUMBER(symbol_address, view_section(v, SYMBOL->section)->virt + SYMBOL->offset)
READ_NUMBER(symbol_bytes, SYMBOL->bytes)
READ_TEXT(symbol_access, name_access(SYMBOL->access))
READ_NUMBER(symbol_type, SYMBOL->type_hash)

const struct column table_symbols[] = {
    {"name", COLUMN_TEXT, .screen = {1, "SYMBOL", 23, .grow = 2}, .read = symbol_name},
    {"cell", COLUMN_TEXT, .read = symbol_cell},
    {"namespace", COLUMN_TEXT, .read = symbol_namespace},
    {"section", COLUMN_TEXT, COLUMN_JSON, {6, "SECTION", 24, .rank = 3, .grow = 1}, symbol_section},
    {"address", COLUMN_ADDRESS, .screen = {4, "ADDRESS", 16, .rank = 1}, .read = symbol_address},
    {"bytes", COLUMN_NUMBER, .screen = {5, "BYTES", 6, .rank = 2}, .read = symbol_bytes},
    {"access", COLUMN_TEXT, .screen = {2, "ACCESS", 11, .rank = 0}, .read = symbol_access},
    {"type", COLUMN_ADDRESS, .screen = {3, "TYPE", 16, .rank = 0}, .read = symbol_type},
    {0},
};

/* ---- edges ---- */

/* A name without the prefix that all of its kind have. */
static const char *without(const char *name, const char *prefix)
{
    size_t length = strlen(prefix);

    return strncmp(name, prefix, length) == 0 && name[length] ? name + length : name;
}

static const char *short_name(const struct view *v, struct section_ref section)
{
    return without(view_section_name(v, section), ".text.");
}

static void set_other_end(const struct view *v, const char *arrow, struct section_ref section, struct column_value *ret)
{
    const struct arena_section *s = view_section(v, section);

    char cell[QUALIFIED_BYTES];

    qualified_name(v, s ? s->cell : NO_CELL, cell, sizeof cell);
    set_text(ret, "%s %s:%s", arrow, cell, short_name(v, section));
}

READ(edge_from)
{
    view_section_label(v, EDGE->from, ret->buffer, sizeof ret->buffer);
    ret->text = ret->buffer;
}

READ(edge_to)
{
    view_section_label(v, EDGE->to, ret->buffer, sizeof ret->buffer);
    ret->text = ret->buffer;
}

READ(edge_leaves_for)
{
    set_other_end(v, "->", EDGE->to, ret);
}

READ(edge_comes_from)
{
    set_other_end(v, "<-", EDGE->from, ret);
}

READ_TEXT(edge_namespace, namespace_of(v, EDGE->from))
READ_TEXT(edge_to_namespace, namespace_of(v, EDGE->to))
READ_TEXT(edge_type, name_relocation(EDGE->type))
READ_TEXT(edge_short_type, without(name_relocation(EDGE->type), "R_X86_64_"))
READ_TEXT(edge_from_name, short_name(v, EDGE->from))
READ_TEXT(edge_to_name, short_name(v, EDGE->to))
READ_NUMBER(edge_address, view_section(v, EDGE->from)->virt + EDGE->offset)
READ_NUMBER(edge_offset, EDGE->offset)
READ_NUMBER(edge_target, EDGE->target)
READ_NUMBER(edge_addend, EDGE->addend)

const struct column table_edges[] = {
    {"from", COLUMN_TEXT, .read = edge_from},
    {"to", COLUMN_TEXT, .read = edge_to},
    {"type", COLUMN_TEXT, .read = edge_type},
    {"address", COLUMN_ADDRESS, .read = edge_address},
    {"offset", COLUMN_NUMBER, .read = edge_offset},
    {"target", COLUMN_NUMBER, .read = edge_target},
    {"addend", COLUMN_SIGNED, .read = edge_addend},
    {"namespace", COLUMN_TEXT, COLUMN_JSON, .read = edge_namespace},
    {"to_namespace", COLUMN_TEXT, COLUMN_JSON, .read = edge_to_namespace},
    {0},
};

const struct column table_needs[] = {
    {"from", COLUMN_TEXT, COLUMN_SCREEN, {1, "FROM", 18, .grow = 1}, edge_from_name},
    {"to", COLUMN_TEXT, COLUMN_SCREEN, {2, "   TO", 27, .grow = 2}, edge_leaves_for},
    {"type", COLUMN_TEXT, COLUMN_SCREEN, {3, "BY", 6, .rank = 1}, edge_short_type},
    {"address", COLUMN_ADDRESS, COLUMN_SCREEN, {4, "AT", 16, .rank = 2}, edge_address},
    {0},
};

const struct column table_needed_by[] = {
    {"to", COLUMN_TEXT, COLUMN_SCREEN, {1, "HERE", 18, .grow = 1}, edge_to_name},
    {"from", COLUMN_TEXT, COLUMN_SCREEN, {2, "   FROM", 27, .grow = 2}, edge_comes_from},
    {"type", COLUMN_TEXT, COLUMN_SCREEN, {3, "BY", 6, .rank = 1}, edge_short_type},
    {"address", COLUMN_ADDRESS, COLUMN_SCREEN, {4, "AT", 16, .rank = 2}, edge_address},
    {0},
};

/* ---- tasks ---- */

READ(task_cell)
{
    const struct arena_section *entry = view_section(v, TASK->entry_section);

    ret->text = entry ? view_cell_name(v, entry->cell) : "";
}

READ_NUMBER(task_id, TASK->id)
READ_TEXT(task_name, TASK->name)
READ_TEXT(task_state, name_task_state(TASK->state))
READ_NUMBER(task_cpu, TASK->cpu)
READ_NUMBER(task_switches, TASK->switches)
READ_TEXT(task_namespace, TASK->namespace_.index ? view_namespace_name(v, TASK->namespace_) : "")
READ_NUMBER(task_restarts, TASK->restarts)
READ_NUMBER(task_memory, TASK->stack_bytes + (TASK->heap_bytes < INT64_MAX ? TASK->heap_bytes : 0))
READ_TEXT(task_ending, name_task_end(TASK->end_reason))

const struct column table_tasks[] = {
    {"id", COLUMN_NUMBER, .screen = {1, "ID", 4, .rank = 0}, .read = task_id},
    {"name", COLUMN_TEXT, .screen = {2, "NAME", 14, .grow = 1}, .read = task_name},
    {"state", COLUMN_TEXT, .screen = {3, "STATE", 9, .rank = 0}, .read = task_state},
    {"cpu", COLUMN_NUMBER, .screen = {5, "CPU", 3, .rank = 2}, .read = task_cpu},
    {"switches", COLUMN_NUMBER, COLUMN_SCREEN, {7, "SWITCHES", 8, .rank = 3}, task_switches},
    {"cell", COLUMN_TEXT, .screen = {4, "CELL", 12, .grow = 1}, .read = task_cell},
    {"namespace", COLUMN_TEXT, .screen = {8, "NAMESPACE", 10, .rank = 4}, .read = task_namespace},
    {"restarts", COLUMN_NUMBER, .screen = {6, "RST.", 4, .rank = 1}, .read = task_restarts},
    {"memory", COLUMN_NUMBER, .screen = {9, "MEMORY", 8, .rank = 5}, .read = task_memory},
    {"ending", COLUMN_TEXT, .screen = {10, "ENDING", 14, .rank = 6}, .read = task_ending},
    {0},
};

/* ---- faults ---- */

struct cell_ref table_fault_cell(const struct view *v, const struct arena_fault *f)
{
    struct namespace_ref namespace_ = *f->namespace_ ? view_find_namespace(v, f->namespace_) : NAMESPACE_ROOT;

    return namespace_.index ? view_find_held(v, namespace_, f->cell_name) : NO_CELL;
}

/* The section's name. If another cell's section has its index by now, the name of the one with the same symbol in
 * the cell that replaced the faulting one. What is in no function has the section's name as symbol. */
READ(fault_section)
{
    const struct arena_fault *f = view_fault(v, n);
    const struct arena_section *s = view_section(v, f->section);
    struct cell_ref cell = table_fault_cell(v, f);
    struct view_symbols symbols = view_symbols_of(v, cell);
    uint64_t at = f->kind == FAULT_DAMAGE ? f->address : f->ip;

    ret->text = "";
    if (s && at - s->virt < s->bytes && strcmp(view_cell_name(v, s->cell), f->cell_name) == 0) {
        ret->text = view_section_name(v, f->section);
        return;
    }
    if (*f->symbol == '.')
        ret->text = f->symbol;
    for (size_t i = 0; *f->symbol && i < symbols.count; i++) {
        const struct arena_symbol *symbol = view_symbol(v, symbols.item[i]);

        if (strcmp(view_string(v, symbol->name), f->symbol) == 0)
            ret->text = view_section_name(v, symbol->section);
    }
}

READ(fault_kind)
{
    const struct arena_fault *f = view_fault(v, n);

    ret->text = f->kind == FAULT_EXCEPTION ? name_exception(f->vector) : name_fault_kind(f->kind);
}

READ(fault_where)
{
    const struct arena_fault *f = view_fault(v, n);

    char boot[24] = "";

    if (f->boot != view_header(v)->boot)
        snprintf(boot, sizeof boot, "boot %u: ", f->boot);
    set_text(ret, "%s%s%s%s+0x%x", boot, f->namespace_, *f->namespace_ ? "/" : "",
             *f->symbol ? f->symbol : f->cell_name, f->offset);
}

/* A qualified name. */
READ(fault_blamed)
{
    const struct arena_fault *f = view_fault(v, n);
    set_text(ret, "%s%s%s", f->blamed_namespace, *f->blamed_namespace ? "/" : "", f->blamed);
}

/* The function that called the one that failed, with the offset of the call's return address. */
READ(fault_caller)
{
    const struct arena_fault *f = view_fault(v, n);

    ret->text = "";
    if (*f->caller_cell)
        set_text(ret, "%s:%s+0x%x", f->caller_cell, f->caller_symbol, f->caller_offset);
}

/* The last one taken. */
READ(fault_step)
{
    const struct arena_fault *f = view_fault(v, n);
    uint32_t steps = f->steps < FAULT_STEPS_KEPT ? f->steps : FAULT_STEPS_KEPT;

    ret->text = steps ? name_fault_step(f->step[steps - 1].kind) : "";
}

READ_NUMBER(fault_boot, view_fault(v, n)->boot)
READ_NUMBER(fault_time, view_fault(v, n)->time_ns)
READ_NUMBER(fault_seq, view_fault(v, n)->seq)
READ_NUMBER(fault_cpu, view_fault(v, n)->cpu)
READ_TEXT(fault_task, view_fault(v, n)->task_name)
READ(fault_namespace)
{
    const struct arena_fault *f = view_fault(v, n);

    ret->text = *f->namespace_ ? f->namespace_ : *f->cell_name ? view_namespace_name(v, NAMESPACE_ROOT) : "";
}

READ_TEXT(fault_cell, view_fault(v, n)->cell_name)
READ_TEXT(fault_symbol, view_fault(v, n)->symbol)
READ_NUMBER(fault_offset, view_fault(v, n)->offset)
READ_NUMBER(fault_ip, view_fault(v, n)->ip)
READ_NUMBER(fault_address, view_fault(v, n)->address)
READ_TEXT(fault_action, name_fault_action(view_fault(v, n)->action))
READ_TEXT(fault_outcome, name_fault_outcome(view_fault(v, n)->outcome))
READ_NUMBER(fault_recovery, view_fault(v, n)->recovery_ns)
READ_NUMBER(fault_recovery_us, (view_fault(v, n)->recovery_ns + 500) / 1000)
READ_TEXT(fault_message, view_fault(v, n)->message)

const struct column table_faults[] = {
    {"seq", COLUMN_NUMBER, .screen = {1, "SEQ", 3, .rank = 0}, .read = fault_seq},
    {"boot", COLUMN_NUMBER, .read = fault_boot},
    {"time_ns", COLUMN_NUMBER, .read = fault_time},
    {"kind", COLUMN_TEXT, .screen = {2, "KIND", 10, .rank = 2}, .read = fault_kind},
    {"cpu", COLUMN_NUMBER, .screen = {8, "CPU", 3, .rank = 6}, .read = fault_cpu},
    {"task", COLUMN_TEXT, .screen = {3, "TASK", 10, .rank = 1}, .read = fault_task},
    {"namespace", COLUMN_TEXT, .read = fault_namespace},
    {"cell", COLUMN_TEXT, .screen = {9, "CELL", 12, .rank = 4}, .read = fault_cell},
    {"blamed", COLUMN_TEXT, COLUMN_JSON, .read = fault_blamed},
    {"section", COLUMN_TEXT, .read = fault_section},
    {"symbol", COLUMN_TEXT, .read = fault_symbol},
    {"offset", COLUMN_NUMBER, .read = fault_offset},
    {"where", COLUMN_TEXT, COLUMN_SCREEN, {4, "WHERE", 20, .grow = 2}, fault_where},
    {"ip", COLUMN_ADDRESS, .read = fault_ip},
    {"address", COLUMN_ADDRESS, .read = fault_address},
    {"caller", COLUMN_TEXT, COLUMN_JSON, {10, "CALLED FROM", 24, .rank = 7, .grow = 1}, fault_caller},
    {"step", COLUMN_TEXT, .screen = {11, "LAST STEP", 10, .rank = 8}, .read = fault_step},
    {"action", COLUMN_TEXT, .screen = {5, "ACTION", 7, .rank = 3}, .read = fault_action},
    {"outcome", COLUMN_TEXT, .screen = {6, "OUTCOME", 9, .rank = 0}, .read = fault_outcome},
    {"recovery_us", COLUMN_NUMBER, COLUMN_SCREEN, {7, "US", 7, 0, 0}, fault_recovery_us},
    {"recovery_ns", COLUMN_NUMBER, .read = fault_recovery},
    {"message", COLUMN_TEXT, .screen = {12, "MESSAGE", 24, .rank = 5, .grow = 2}, .read = fault_message},
    {0},
};

/* ---- events ---- */

READ(event_seconds)
{
    set_text(ret, "%9.3f", (double)view_event(v, n)->time_ns / 1e9);
}

READ_NUMBER(event_seq, view_event(v, n)->seq)
READ_NUMBER(event_time, view_event(v, n)->time_ns)
READ_TEXT(event_kind, name_event_kind(view_event(v, n)->kind))
READ_NUMBER(event_cpu, view_event(v, n)->cpu)
READ_NUMBER(event_a, view_event(v, n)->a)
READ_NUMBER(event_b, view_event(v, n)->b)
READ_TEXT(event_text, view_event(v, n)->text)

const struct column table_events[] = {
    {"seq", COLUMN_NUMBER, .screen = {5, "SEQ", 8, .rank = 2}, .read = event_seq},
    {"time_ns", COLUMN_NUMBER, .read = event_time},
    {"seconds", COLUMN_TEXT, COLUMN_SCREEN, {1, "     TIME", 9, 0, 0}, event_seconds},
    {"kind", COLUMN_TEXT, .screen = {3, "KIND", 14, .rank = 0}, .read = event_kind},
    {"cpu", COLUMN_NUMBER, .screen = {2, "CPU", 3, .rank = 1}, .read = event_cpu},
    {"a", COLUMN_NUMBER, .read = event_a},
    {"b", COLUMN_NUMBER, .read = event_b},
    {"text", COLUMN_TEXT, .screen = {4, "WHAT", 20, .grow = 1}, .read = event_text},
    {0},
};

/* ---- swaps ---- */

/* Appends to the value's buffer; what does not fit is cut off. */
#define APPEND(ret, ...)                                                                                               \
    ({                                                                                                                 \
        size_t at_ = strlen((ret)->buffer);                                                                            \
        snprintf((ret)->buffer + at_, sizeof(ret)->buffer - at_, __VA_ARGS__);                                         \
    })

/* "channel 1>2": version 0 says that the cell was not there, or was not loaded. */
READ(swap_cells)
{
    const struct arena_swap *s = view_swap(v, n);

    ret->text = ret->buffer;
    *ret->buffer = '\0';
    for (uint32_t i = 0; i < s->changes; i++) {
        const struct arena_change *c = view_change(v, s, i);
        if (c)
            APPEND(ret, "%s%s %u>%u", *ret->buffer ? "," : "", c->cell, c->old_version, c->new_version);
    }
}

READ(swap_phases)
{
    const struct arena_completion *done = &view_swap(v, n)->done;

    ret->text = ret->buffer;
    *ret->buffer = '\0';
    for (uint32_t i = 0; i < done->phases; i++)
        APPEND(ret, "%s%s %" PRIu64, *ret->buffer ? "," : "", done->phase[i].name, done->phase[i].ns);
}

/* Empty if the index belongs by now to a namespace that was made after the swap. */
READ(swap_namespace)
{
    const struct arena_swap *s = view_swap(v, n);
    const struct arena_namespace *namespace_ = view_namespace(v, s->namespace_);

    ret->text = namespace_ && s->seq > namespace_->since ? view_string(v, namespace_->name) : "";
}

READ(swap_outcome)
{
    uint32_t error = view_swap(v, n)->done.error;

    ret->text = error ? err_text(error) : "swapped";
}

READ_NUMBER(swap_seq, view_swap(v, n)->seq)
READ_NUMBER(swap_time, view_swap(v, n)->time_ns)
READ_NUMBER(swap_pause, view_swap(v, n)->done.pause_ns)
READ_NUMBER(swap_relocations, view_swap(v, n)->done.relocations)
READ_NUMBER(swap_words, view_swap(v, n)->done.words)
READ_NUMBER(swap_frames, view_swap(v, n)->done.frames)
READ_NUMBER(swap_tasks, view_swap(v, n)->done.tasks)
READ_NUMBER(swap_bytes, view_swap(v, n)->done.transferred_bytes)
READ_TEXT(swap_detail, view_swap(v, n)->done.detail)

const struct column table_swaps[] = {
    {"seq", COLUMN_NUMBER, .read = swap_seq},
    {"time_ns", COLUMN_NUMBER, .read = swap_time},
    {"namespace", COLUMN_TEXT, .read = swap_namespace},
    {"cells", COLUMN_TEXT, .read = swap_cells},
    {"outcome", COLUMN_TEXT, .read = swap_outcome},
    {"pause_ns", COLUMN_NUMBER, .read = swap_pause},
    {"relocations", COLUMN_NUMBER, .read = swap_relocations},
    {"words", COLUMN_NUMBER, .read = swap_words},
    {"frames", COLUMN_NUMBER, .read = swap_frames},
    {"tasks", COLUMN_NUMBER, .read = swap_tasks},
    {"transferred_bytes", COLUMN_NUMBER, .read = swap_bytes},
    {"phases", COLUMN_TEXT, .read = swap_phases},
    {"detail", COLUMN_TEXT, .read = swap_detail},
    {0},
};

/* ---- counters ---- */

READ(counter_name)
{
    (void)v;
    ret->text = name_counter((unsigned)n);
}

READ_NUMBER(counter_value, view_counter(v, (enum arena_counter)n))

const struct column table_counters[] = {
    {"counter", COLUMN_TEXT, .screen = {1, "COUNTER", 16, .rank = 0}, .read = counter_name},
    {"value", COLUMN_NUMBER, .screen = {2, "VALUE", 20, .rank = 0}, .read = counter_value},
    {0},
};
