/* See fault.h. What the guest says is text of any length up to its field's; view_take has made it printable. */
#include "cli/fault.h"
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include "cli/source_line.h"
#include "introspect/name.h"

enum { LINE = 512 };

struct place {
    const char *cell, *symbol;
    uint32_t offset; /* in the section, of the instruction */
    char line[LINE]; /* of the source; empty: not known */
};

static const struct arena_fault *find(const struct view *view, uint64_t seq)
{
    const struct arena_fault *fault;

    for (size_t n = 0; (fault = view_fault(view, n)) != NULL; n++)
        if (fault->seq == seq)
            return fault;
    return NULL;
}

static void find_line(const struct view *view, struct place *place)
{
    source_line(view, place->cell, place->symbol, place->offset, place->line, sizeof place->line);
}

static struct place place_of(const struct view *view, const struct arena_fault *f)
{
    struct place place = {.cell = f->cell_name, .symbol = f->symbol, .offset = f->offset};

    if (f->kind != FAULT_DAMAGE)
        find_line(view, &place);
    return place;
}

/* The call is the instruction before the one that it returns to. */
static struct place caller_of(const struct view *view, const struct arena_fault *f)
{
    struct place place = {.cell = f->caller_cell, .symbol = f->caller_symbol, .offset = f->caller_offset - 1};

    find_line(view, &place);
    return place;
}

static uint32_t steps_kept(const struct arena_fault *f)
{
    return f->steps < FAULT_STEPS_KEPT ? f->steps : FAULT_STEPS_KEPT;
}

/* ---- as JSON ---- */

static json_t *step_json(const struct arena_fault_step *step)
{
    return json_pack("{s:s, s:s, s:I, s:I}", "step", name_fault_step(step->kind), "cell", step->cell, "count",
                     (json_int_t)step->count, "after_ns", (json_int_t)step->after_ns);
}

static json_t *steps_json(const struct arena_fault *f)
{
    json_t *steps = json_array();

    for (uint32_t i = 0; i < steps_kept(f); i++)
        json_array_append_new(steps, step_json(&f->step[i]));
    return steps;
}

static void print_json(const struct reading *r, const struct arena_fault *f)
{
    struct place at = place_of(r->view, f), caller = caller_of(r->view, f);
    json_t *all = json_pack(
        "{s:I, s:I, s:I, s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:o}", "seq",
        (json_int_t)f->seq, "boot", (json_int_t)f->boot, "time_ns", (json_int_t)f->time_ns, "task", f->task_name,
        "message", f->message, "cell", f->cell_name, "symbol", f->symbol, "offset", (json_int_t)f->offset, "line",
        at.line, "caller_cell", f->caller_cell, "caller_symbol", f->caller_symbol, "caller_offset",
        (json_int_t)f->caller_offset, "caller_line", caller.line, "blamed", f->blamed, "action",
        name_fault_action(f->action), "outcome", name_fault_outcome(f->outcome), "landing_pads",
        (json_int_t)f->landing_pads, "recovery_ns", (json_int_t)f->recovery_ns, "steps_taken", (json_int_t)f->steps,
        "steps", steps_json(f));

    out_json(all);
}

/* ---- as text ---- */

static void print_place(const char *title, const struct place *place)
{
    printf("  %-12s %s:%s+0x%x%s%s\n", title, *place->cell ? place->cell : "no cell", place->symbol, place->offset,
           *place->line ? "  " : "", place->line);
}

static void print_step(const struct arena_fault_step *s)
{
    printf("  %+12.3f us  %s%s%s", (double)s->after_ns / 1000, name_fault_step(s->kind), *s->cell ? ": " : "", s->cell);
    if (s->kind == FAULT_STEP_BACK_OFF)
        printf(" for %u ms", s->count);
    else if (s->count > 1)
        printf(", %u times", s->count);
    printf("\n");
}

static void print_text(const struct reading *r, const struct arena_fault *f)
{
    struct place at = place_of(r->view, f), caller = caller_of(r->view, f);

    printf("fault %lu, %.6f s after boot %u%s: %s\n", (unsigned long)f->seq, (double)f->time_ns / 1e9, f->boot,
           f->boot == view_header(r->view)->boot ? "" : " (an earlier one)", f->message);
    printf("  %-12s %s, on CPU %u\n", "task", *f->task_name ? f->task_name : "none", f->cpu);
    print_place("at", &at);
    if (*caller.cell)
        print_place("called from", &caller);
    if (*f->blamed)
        printf("  %-12s %s%s%s\n", "blamed", f->blamed_namespace, *f->blamed_namespace ? "/" : "", f->blamed);
    for (uint32_t i = 0; i < steps_kept(f); i++) {
        if (i + 1 == FAULT_STEPS_KEPT && f->steps > FAULT_STEPS_KEPT)
            printf("  (%u more)\n", f->steps - FAULT_STEPS_KEPT);
        print_step(&f->step[i]);
    }
    printf("  %s, %u landing pads, %.3f us\n", name_fault_outcome(f->outcome), f->landing_pads,
           (double)f->recovery_ns / 1000);
}

enum cli_status fault_print(const struct reading *r, uint64_t seq)
{
    const struct arena_fault *fault = find(r->view, seq);

    if (!fault)
        return cli_fail(CLI_UNKNOWN, "the log has no fault %lu", (unsigned long)seq);
    if (r->call->json)
        print_json(r, fault);
    else
        print_text(r, fault);
    return CLI_DONE;
}
