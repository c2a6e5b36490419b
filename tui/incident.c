/* See incident.h. */
#include "tui/incident.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "introspect/name.h"

enum { CAUSED = 3 }; /* so many faults after an injection are said to be of it */

static const struct arena_fault *find_fault(const struct view *view, uint64_t seq, size_t *ret_n, size_t *ret_count)
{
    const struct arena_fault *fault, *found = NULL;

    for (*ret_count = 0; (fault = view_fault(view, *ret_count)); ++*ret_count)
        if (fault->seq == seq) {
            found = fault;
            *ret_n = *ret_count;
        }
    return found;
}

/* The newest one; or that in the strip, if what is new is only what it has left behind. */
static uint64_t choose_shown(const struct incidents *incidents, const struct view *view, uint64_t newest,
                             int64_t now_ms)
{
    size_t n, count;
    const struct arena_fault *shown = find_fault(view, incidents->shown, &n, &count);
    const struct arena_fault *fault = find_fault(view, newest, &n, &count);
    bool recent = incidents->is_open && now_ms - incidents->opened_ms < INCIDENT_STAYS_MS;

    if (recent && shown && fault && fault->kind == FAULT_DAMAGE && shown->kind != FAULT_DAMAGE)
        return incidents->shown;
    return newest;
}

void incidents_look(struct incidents *incidents, const struct view *view, int64_t now_ms)
{
    const struct arena_fault *fault;
    uint64_t newest = 0;

    for (size_t n = 0; (fault = view_fault(view, n)); n++)
        newest = fault->seq > newest ? fault->seq : newest;
    if (incidents->begun && newest > incidents->newest) {
        uint64_t shown = choose_shown(incidents, view, newest, now_ms);
        if (shown != incidents->shown || !incidents->is_open)
            incidents->opened_ms = now_ms;
        incidents->shown = shown;
        incidents->is_open = true;
    } else if (newest < incidents->newest || !incidents->begun) { /* a guest that was started again */
        incidents->shown = newest;
        incidents->is_open = false;
        incidents->cause[0] = '\0';
    }
    incidents->newest = newest;
    incidents->begun = true;
}

void incidents_toggle(struct incidents *incidents)
{
    incidents->is_open = !incidents->is_open;
    if (incidents->is_open)
        incidents->shown = incidents->newest;
}

void incidents_step(struct incidents *incidents, const struct view *view, int by)
{
    size_t n = 0, count;
    const struct arena_fault *fault;

    incidents->is_open = true;
    if (!find_fault(view, incidents->shown, &n, &count)) {
        incidents->shown = incidents->newest;
        return;
    }
    fault = by < 0 && !n ? NULL : view_fault(view, n + (size_t)by);
    if (fault)
        incidents->shown = fault->seq;
}

void incidents_begin_cause(struct incidents *incidents)
{
    incidents->before = incidents->newest;
    incidents->cause[0] = '\0';
}

void incidents_set_cause(struct incidents *incidents, const char *said)
{
    const char *line = strstr(said, "\n  "); /* the first thing that was changed */

    snprintf(incidents->cause, sizeof incidents->cause, "%.*s", line ? (int)strcspn(line + 3, "\n") : 0,
             line ? line + 3 : "");
}

/* What stands behind a title of `delias faults SEQ`. */
static void take_line(const char *said, const char *title, char *ret_text, size_t bytes)
{
    const char *line = strstr(said, title);

    *ret_text = '\0';
    if (!line)
        return;
    line += strlen(title);
    line += strspn(line, " ");
    snprintf(ret_text, bytes, "%.*s", (int)strcspn(line, "\n"), line);
}

void incidents_tell(struct incidents *incidents, uint64_t seq, const char *said)
{
    take_line(said, "\n  at ", incidents->at, sizeof incidents->at);
    take_line(said, "\n  called from ", incidents->from, sizeof incidents->from);
    incidents->told = seq;
}

bool incidents_is_over(const struct view *view, uint64_t seq)
{
    size_t n, count;
    const struct arena_fault *fault = find_fault(view, seq, &n, &count);

    return !fault || fault->outcome != FAULT_OUTCOME_OPEN;
}

/* ---- the story ---- */

__attribute__((format(printf, 3, 4))) static void add_line(struct incident_story *story, enum style style,
                                                           const char *format, ...)
{
    va_list arguments;

    if (story->lines == INCIDENT_LINES)
        return;
    struct incident_line *line = &story->line[story->lines++];
    line->style = style;
    va_start(arguments, format);
    vsnprintf(line->text, sizeof line->text, format, arguments);
    va_end(arguments);
}

static void add_places(const struct incidents *incidents, const struct arena_fault *f, struct incident_story *story)
{
    bool told = incidents->told == f->seq;

    if (told && *incidents->at)
        add_line(story, STYLE_PLAIN, "at       %s", incidents->at);
    else if (*f->cell_name)
        add_line(story, STYLE_PLAIN, "at       %s%s%s:%s+0x%x", f->namespace_, *f->namespace_ ? "/" : "", f->cell_name,
                 f->symbol, f->offset);
    if (told && *incidents->from)
        add_line(story, STYLE_PLAIN, "called   from %s", incidents->from);
    else if (*f->caller_cell)
        add_line(story, STYLE_PLAIN, "called   from %s:%s+0x%x", f->caller_cell, f->caller_symbol, f->caller_offset);
}

static void add_steps(const struct arena_fault *f, struct incident_story *story)
{
    uint32_t steps = f->steps < FAULT_STEPS_KEPT ? f->steps : FAULT_STEPS_KEPT;

    for (uint32_t i = 0; i < steps; i++) {
        const struct arena_fault_step *s = &f->step[i];
        char pads[48] = "", count[32] = "";

        if (s->kind == FAULT_STEP_UNWOUND)
            snprintf(pads, sizeof pads, ", %u cleanups run on the way", f->landing_pads);
        if (s->count > 1)
            snprintf(count, sizeof count, s->kind == FAULT_STEP_BACK_OFF ? " for %u ms" : ", %u times", s->count);
        add_line(story, STYLE_PLAIN, "%+8.0f us  %s%s%s%s%s", (double)s->after_ns / 1000, name_fault_step(s->kind),
                 *s->cell ? ": " : "", s->cell, count, pads);
    }
}

/* How long the others stood still for reloads while this fault was dealt with. */
static void add_pauses(const struct view *view, const struct arena_fault *f, struct incident_story *story)
{
    const struct arena_swap *swap;

    for (size_t n = 0; (swap = view_swap(view, n)); n++)
        if (f->boot == view_header(view)->boot && swap->time_ns >= f->time_ns &&
            swap->time_ns - f->time_ns <= f->recovery_ns && swap->took_effect)
            add_line(story, STYLE_PLAIN, "reload   %" PRIu64 " relocations, others stood still for %" PRIu64 " us",
                     swap->done.relocations, swap->done.pause_ns / 1000);
}

static void set_state(const struct arena_fault *f, struct incident_story *story)
{
    double us = (double)f->recovery_ns / 1000;

    story->style = f->outcome == FAULT_OUTCOME_RECOVERED ? STYLE_GOOD
                   : f->outcome == FAULT_OUTCOME_OPEN    ? STYLE_KEY
                                                         : STYLE_BAD;
    if (f->outcome == FAULT_OUTCOME_RECOVERED && f->kind == FAULT_DAMAGE)
        snprintf(story->state, sizeof story->state, "put right before it was used");
    else if (f->outcome == FAULT_OUTCOME_RECOVERED)
        snprintf(story->state, sizeof story->state, "recovered in %.0f us", us);
    else
        snprintf(story->state, sizeof story->state, "%s",
                 f->outcome == FAULT_OUTCOME_OPEN ? "being recovered" : name_fault_outcome(f->outcome));
}

bool incidents_story(const struct incidents *incidents, const struct view *view, struct incident_story *ret_story)
{
    size_t n = 0, count;
    const struct arena_fault *f = find_fault(view, incidents->shown, &n, &count);

    *ret_story = (struct incident_story){0};
    if (!f)
        return false;
    snprintf(ret_story->title, sizeof ret_story->title, "incident %zu of %zu: %s%s%s", n + 1, count,
             f->kind == FAULT_EXCEPTION ? name_exception(f->vector) : name_fault_kind(f->kind),
             *f->cell_name ? " in " : "", f->cell_name);
    set_state(f, ret_story);
    if (*incidents->cause && f->seq > incidents->before && f->seq <= incidents->before + CAUSED)
        add_line(ret_story, STYLE_KEY, "flip     %s", incidents->cause);
    add_line(ret_story, STYLE_BAD, "fault    %s, %s%s, CPU %u", f->message,
             *f->task_name ? "task " : "found by the scrubber", f->task_name, f->cpu);
    add_places(incidents, f, ret_story);
    add_steps(f, ret_story);
    add_pauses(view, f, ret_story);
    if (f->outcome == FAULT_OUTCOME_RECOVERED)
        add_line(ret_story, STYLE_GOOD, "%s: last %s; wrong results so far: %" PRIu64, ret_story->state,
                 name_fault_action(f->action), view_counter(view, COUNTER_checksums_bad));
    return true;
}
