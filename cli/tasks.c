/* The verbs about what happens: tasks, faults, events, swaps, counters. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include "cli/fault.h"
#include "cli/reading.h"
#include "cli/verbs.h"
#include "introspect/base/json.h"
#include "introspect/base/number.h"
#include "introspect/name.h"
#include "introspect/table.h"

enum { HELD_ROUNDS = 10 };

static enum cli_status fill_tasks(struct reading *r)
{
    view_each_task (task, r->view)
        if (view_task(r->view, task)->state != TASK_FREE)
            out_record(r->out, r->view, task.index);
    return CLI_DONE;
}

enum cli_status verb_tasks(struct call *call)
{
    static const struct reading_rule rule = {table_tasks, fill_tasks, false, NULL};

    return reading_run(call, &rule);
}

/* ---- rings: faults, events, swaps ---- */

/* The seq of record n of a ring, 0 behind the last. The guest counts from 1. */
typedef uint64_t (*seq_at)(const struct view *view, size_t n);

static uint64_t fault_seq(const struct view *v, size_t n)
{
    return view_fault(v, n) ? view_fault(v, n)->seq : 0;
}

static uint64_t event_seq(const struct view *v, size_t n)
{
    return view_event(v, n) ? view_event(v, n)->seq : 0;
}

static uint64_t swap_seq(const struct view *v, size_t n)
{
    return view_swap(v, n) ? view_swap(v, n)->seq : 0;
}

/* Whether the operand, if there is one, is the cell in which the fault was. */
static bool is_meant(const struct reading *r, seq_at seq, size_t n)
{
    const struct arena_fault *fault = view_fault(r->view, n);

    if (seq != fault_seq || !*r->name.cell)
        return true;
    return strcmp(fault->cell_name, r->name.cell) == 0 &&
           strcmp(*fault->namespace_ ? fault->namespace_ : "root", *r->name.namespace_ ? r->name.namespace_ : "root") ==
               0;
}

/* How many records are meant. */
static size_t count_records(const struct reading *r, seq_at seq)
{
    size_t count = 0;

    for (size_t n = 0; seq(r->view, n); n++)
        count += is_meant(r, seq, n);
    return count;
}

/* Whether the record is a fault that recovery is working on. */
static bool is_open(const struct reading *r, seq_at seq, size_t n)
{
    return seq == fault_seq && view_fault(r->view, n)->outcome == FAULT_OUTCOME_OPEN;
}

/* Adds what is new in a ring; `newest` is the seq that the guest gave last. A greater one belongs to a record that
 * will be seen later, or is damaged: r->seen must not overtake the guest. */
static enum cli_status fill_ring(struct reading *r, seq_at seq, uint64_t newest)
{
    size_t count = count_records(r, seq), skipped = 0;

    if (newest < r->seen)
        r->seen = 0; /* the machine was reset */
    if (!r->seen && r->call->last.given && r->call->last.value < count)
        skipped = count - (size_t)r->call->last.value;
    for (size_t n = 0; seq(r->view, n); n++) {
        uint64_t number = seq(r->view, n);

        if (number <= r->seen || (r->call->follow && number > newest) || !is_meant(r, seq, n))
            continue;
        if (skipped) {
            skipped--;
            continue;
        }
        if (r->call->follow && is_open(r, seq, n) && r->held++ < HELD_ROUNDS)
            break;
        r->held = 0;
        r->seen = number;
        out_record(r->out, r->view, n);
    }
    return CLI_DONE;
}

/* A cell that is gone may have faults. One that is neither there nor in the log is unknown. */
static enum cli_status check_fault_cell(struct reading *r)
{
    struct cell_ref cell;
    enum cli_status status = target_parse(r->call->argv[0], &r->name);

    if (status)
        return status;
    for (size_t n = 0; fault_seq(r->view, n); n++)
        if (is_meant(r, fault_seq, n))
            return CLI_DONE;
    return target_named(r->target, &r->name, QUALIFIED_HELD, &cell);
}

static enum cli_status fill_faults(struct reading *r)
{
    enum cli_status status = r->call->argc ? check_fault_cell(r) : CLI_DONE;

    if (status)
        return status;
    return fill_ring(r, fault_seq, view_header(r->view)->fault_seq);
}

/* Whether the operand is the number of a fault. */
static bool is_number(const struct call *call, uint64_t *ret_seq)
{
    return call->argc && number_parse(call->argv[0], 1, UINT64_MAX, ret_seq);
}

/* One fault: all is printed here. */
static enum cli_status fill_fault(struct reading *r)
{
    uint64_t seq;

    return is_number(r->call, &seq) ? fault_print(r, seq) : fill_faults(r);
}

static void print_faults(struct reading *r)
{
    uint64_t seq;

    if (!is_number(r->call, &seq))
        out_print(r->out);
}

enum cli_status verb_faults(struct call *call)
{
    static const struct reading_rule list = {table_faults, fill_faults, true, NULL},
                                     rule = {table_faults, fill_fault, true, print_faults};

    return reading_run(call, call->follow ? &list : &rule);
}

static enum cli_status fill_events(struct reading *r)
{
    return fill_ring(r, event_seq, view_header(r->view)->event_seq);
}

enum cli_status verb_events(struct call *call)
{
    static const struct reading_rule rule = {table_events, fill_events, true, NULL};

    return reading_run(call, &rule);
}

static enum cli_status fill_swaps(struct reading *r)
{
    return fill_ring(r, swap_seq, view_header(r->view)->swap_seq);
}

enum cli_status verb_swaps(struct call *call)
{
    static const struct reading_rule rule = {table_swaps, fill_swaps, true, NULL};

    return reading_run(call, &rule);
}

/* ---- counters ---- */

static enum cli_status fill_counters(struct reading *r)
{
    for (unsigned c = 0; !r->call->json && c < COUNTERS; c++)
        out_record(r->out, r->view, c);
    return CLI_DONE;
}

/* In JSON one object, in place of an array of rows. */
static void print_counters(struct reading *r)
{
    if (!r->call->json) {
        out_print(r->out);
        return;
    }
    OWN(json) json_t *o = json_object();
    for (unsigned c = 0; c < COUNTERS; c++)
        json_object_set_new(o, name_counter(c), json_integer((json_int_t)view_counter(r->view, c)));
    json_dumpf(o, stdout, JSON_COMPACT);
    putchar('\n');
}

enum cli_status verb_counters(struct call *call)
{
    static const struct reading_rule rule = {table_counters, fill_counters, false, print_counters};

    return reading_run(call, &rule);
}
