/* The verbs about what happens: tasks, faults, events, counters. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include "cli/cli.h"
#include "cli/reading.h"
#include "cli/verbs.h"
#include "introspect/name.h"

enum { HELD_ROUNDS = 10 };

/* ---- tasks ---- */

static const struct column task_columns[] = {
    {"id", COLUMN_NUMBER, 0}, {"name", COLUMN_TEXT, 0},      {"state", COLUMN_TEXT, 0},      {"cpu", COLUMN_NUMBER, 0},
    {"cell", COLUMN_TEXT, 0}, {"namespace", COLUMN_TEXT, 0}, {"restarts", COLUMN_NUMBER, 0}, {0},
};

static int fill_tasks(struct reading *r)
{
    for (uint32_t i = 0; (i = view_next(r->view, ARENA_TASKS, i));) {
        const struct arena_task *t = view_task(r->view, i);
        const struct arena_section *entry = view_section(r->view, t->entry_section);

        if (t->state == TASK_FREE)
            continue;
        out_number(r->out, t->id);
        out_text(r->out, t->name);
        out_text(r->out, name_task_state(t->state));
        out_number(r->out, t->cpu);
        out_text(r->out, entry ? view_cell_name(r->view, entry->cell) : "");
        out_text(r->out, t->namespace_ ? view_namespace_name(r->view, t->namespace_) : "");
        out_number(r->out, t->restarts);
    }
    return CLI_DONE;
}

int verb_tasks(int argc, char **argv)
{
    static const struct reading_rule rule = {0, 0, "", task_columns, fill_tasks, false, NULL};

    return reading_run(argc, argv, &rule);
}

/* ---- faults ---- */

static const struct column fault_columns[] = {
    {"seq", COLUMN_NUMBER, 0},
    {"kind", COLUMN_TEXT, 0},
    {"cpu", COLUMN_NUMBER, 0},
    {"task", COLUMN_TEXT, 0},
    {"cell", COLUMN_TEXT, 0},
    {"section", COLUMN_TEXT, 0},
    {"symbol", COLUMN_TEXT, 0},
    {"offset", COLUMN_NUMBER, 0},
    {"ip", COLUMN_ADDRESS, 0},
    {"address", COLUMN_ADDRESS, 0},
    {"action", COLUMN_TEXT, 0},
    {"outcome", COLUMN_TEXT, 0},
    {"recovery_ns", COLUMN_NUMBER, 0},
    {"message", COLUMN_TEXT, COLUMN_TABLE},
    {0},
};

/* The section's name; when its index is another cell's by now, the name of the one with the same symbol in the cell that
 * took the faulting one's place. */
static const char *fault_section(const struct view *v, const struct arena_fault *f)
{
    const struct arena_section *s = view_section(v, f->section);
    struct view_list symbols = view_symbols_of(v, view_find_cell(v, 0, f->cell_name));

    if (s && f->ip - s->virt < s->bytes && strcmp(view_cell_name(v, s->cell), f->cell_name) == 0)
        return view_section_name(v, f->section);
    for (size_t n = 0; n < symbols.count; n++) {
        const struct arena_symbol *symbol = view_symbol(v, symbols.item[n]);

        if (*f->symbol && strcmp(view_string(v, symbol->name), f->symbol) == 0)
            return view_section_name(v, symbol->section);
    }
    return "";
}

/* How many of `count` records --last leaves out. */
static size_t skipped(const struct reading *r, size_t count)
{
    return r->last && r->last < count && !r->seen ? count - (size_t)r->last : 0;
}

/* To be followed later, or damaged: what is seen must not run ahead of what there is. */
static bool is_beyond(const struct reading *r, uint64_t seq, uint64_t newest)
{
    return r->follow && seq > newest;
}

static size_t fault_count(const struct view *v)
{
    size_t n = 0;

    while (view_fault(v, n))
        n++;
    return n;
}

static int fill_faults(struct reading *r)
{
    const struct arena_fault *f;

    if (view_header(r->view)->fault_seq < r->seen)
        r->seen = 0; /* the machine was reset */
    for (size_t n = skipped(r, fault_count(r->view)); (f = view_fault(r->view, n)); n++) {
        if (f->seq <= r->seen || is_beyond(r, f->seq, view_header(r->view)->fault_seq))
            continue;
        if (r->follow && f->outcome == FAULT_OUTCOME_OPEN && r->held++ < HELD_ROUNDS)
            break; /* what is done about it is not decided yet */
        r->held = 0;
        r->seen = f->seq;
        out_number(r->out, f->seq);
        out_text(r->out, f->kind == FAULT_EXCEPTION ? name_exception(f->vector) : name_fault_kind(f->kind));
        out_number(r->out, f->cpu);
        out_text(r->out, f->task_name);
        out_text(r->out, f->cell_name);
        out_text(r->out, fault_section(r->view, f));
        out_text(r->out, f->symbol);
        out_number(r->out, f->offset);
        out_number(r->out, f->ip);
        out_number(r->out, f->address);
        out_text(r->out, name_fault_action(f->action));
        out_text(r->out, name_fault_outcome(f->outcome));
        out_number(r->out, f->recovery_ns);
        out_text(r->out, f->message);
    }
    return CLI_DONE;
}

int verb_faults(int argc, char **argv)
{
    static const struct reading_rule rule = {0, 0, "n", fault_columns, fill_faults, true, NULL};

    return reading_run(argc, argv, &rule);
}

/* ---- events ---- */

static const struct column event_columns[] = {
    {"seq", COLUMN_NUMBER, 0}, {"time_ns", COLUMN_NUMBER, 0}, {"kind", COLUMN_TEXT, 0}, {"cpu", COLUMN_NUMBER, 0},
    {"a", COLUMN_NUMBER, 0},   {"b", COLUMN_NUMBER, 0},       {"text", COLUMN_TEXT, 0}, {0},
};

static size_t event_count(const struct view *v)
{
    size_t n = 0;

    while (view_event(v, n))
        n++;
    return n;
}

static int fill_events(struct reading *r)
{
    const struct arena_event *e;

    if (view_header(r->view)->event_seq < r->seen)
        r->seen = 0; /* the machine was reset */
    for (size_t n = skipped(r, event_count(r->view)); (e = view_event(r->view, n)); n++) {
        if (e->seq <= r->seen || is_beyond(r, e->seq, view_header(r->view)->event_seq))
            continue;
        r->seen = e->seq;
        out_number(r->out, e->seq);
        out_number(r->out, e->time_ns);
        out_text(r->out, name_event_kind(e->kind));
        out_number(r->out, e->cpu);
        out_number(r->out, e->a);
        out_number(r->out, e->b);
        out_text(r->out, e->text);
    }
    return CLI_DONE;
}

int verb_events(int argc, char **argv)
{
    static const struct reading_rule rule = {0, 0, "n", event_columns, fill_events, true, NULL};

    return reading_run(argc, argv, &rule);
}

/* ---- counters ---- */

static const struct column counter_columns[] = {{"counter", COLUMN_TEXT, 0}, {"value", COLUMN_NUMBER, 0}, {0}};

static int fill_counters(struct reading *r)
{
    for (unsigned c = 0; !r->json && c < COUNTERS; c++) {
        out_text(r->out, name_counter(c));
        out_number(r->out, view_counter(r->view, c));
    }
    return CLI_DONE;
}

static void print_counters(struct reading *r)
{
    if (!r->json) {
        out_print(r->out);
        return;
    }
    json_t *o = json_object();
    for (unsigned c = 0; c < COUNTERS; c++)
        json_object_set_new(o, name_counter(c), json_integer((json_int_t)view_counter(r->view, c)));
    json_dumpf(o, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(o);
}

int verb_counters(int argc, char **argv)
{
    static const struct reading_rule rule = {0, 0, "", counter_columns, fill_counters, false, print_counters};

    return reading_run(argc, argv, &rule);
}
