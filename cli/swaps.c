/* The log of swaps. */
#include <stdio.h>
#include <string.h>
#include "cli/reading.h"
#include "cli/verbs.h"
#include "introspect/view.h"

static const struct column swap_columns[] = {
    {"seq", COLUMN_NUMBER, 0},
    {"time_ns", COLUMN_NUMBER, 0},
    {"namespace", COLUMN_TEXT, 0},
    {"cells", COLUMN_TEXT, 0},
    {"outcome", COLUMN_TEXT, 0},
    {"pause_ns", COLUMN_NUMBER, 0},
    {"relocations", COLUMN_NUMBER, 0},
    {"words", COLUMN_NUMBER, 0},
    {"frames", COLUMN_NUMBER, 0},
    {"tasks", COLUMN_NUMBER, 0},
    {"transferred_bytes", COLUMN_NUMBER, 0},
    {"phases", COLUMN_TEXT, 0},
    {"detail", COLUMN_TEXT, 0},
    {0},
};

/* Appends to a text of so many bytes; what does not fit is cut off. */
#define APPEND(text, ...)                                                                                              \
    ({                                                                                                                 \
        size_t at_ = strlen(text);                                                                                     \
        snprintf((text) + at_, sizeof(text) - at_, __VA_ARGS__);                                                       \
    })

/* "channel 1>2": a version of 0 was not there, or did not come to be loaded. */
static const char *cells_of(const struct view *v, const struct arena_swap *s)
{
    static char text[512];

    *text = '\0';
    for (uint32_t i = 0; i < s->changes; i++) {
        const struct arena_change *c = view_change(v, s, i);
        if (c)
            APPEND(text, "%s%s %u>%u", *text ? "," : "", c->cell, c->old_version, c->new_version);
    }
    return text;
}

static const char *phases_of(const struct arena_completion *done)
{
    static char text[512];

    *text = '\0';
    for (uint32_t i = 0; i < done->phases; i++)
        APPEND(text, "%s%s %lu", *text ? "," : "", done->phase[i].name, (unsigned long)done->phase[i].ns);
    return text;
}

static void fill_swap(struct reading *r, const struct arena_swap *s)
{
    const struct arena_namespace *n = view_namespace(r->view, s->namespace_);
    const struct arena_completion *done = &s->done;

    out_number(r->out, s->seq);
    out_number(r->out, s->time_ns);
    out_text(r->out, n && s->seq > n->since ? view_string(r->view, n->name) : "");
    out_text(r->out, cells_of(r->view, s));
    out_text(r->out, done->error ? err_text(done->error) : "swapped");
    out_number(r->out, done->pause_ns);
    out_number(r->out, done->relocations);
    out_number(r->out, done->words);
    out_number(r->out, done->frames);
    out_number(r->out, done->tasks);
    out_number(r->out, done->transferred_bytes);
    out_text(r->out, phases_of(done));
    out_text(r->out, done->detail);
}

static int fill_swaps(struct reading *r)
{
    const struct arena_swap *s;
    size_t count = 0;

    if (view_header(r->view)->swap_seq < r->seen)
        r->seen = 0; /* the machine was reset */
    while (view_swap(r->view, count))
        count++;
    for (size_t n = r->last && r->last < count && !r->seen ? count - (size_t)r->last : 0; (s = view_swap(r->view, n));
         n++) {
        if (s->seq <= r->seen || (r->follow && s->seq > view_header(r->view)->swap_seq))
            continue;
        r->seen = s->seq;
        fill_swap(r, s);
    }
    return CLI_DONE;
}

int verb_swaps(int argc, char **argv)
{
    static const struct reading_rule rule = {0, 0, "n", swap_columns, fill_swaps, true, NULL};

    return reading_run(argc, argv, &rule);
}
