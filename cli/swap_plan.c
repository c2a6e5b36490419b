/* See swap_plan.h. */
#include "cli/swap_plan.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include "cli/out.h"
#include "introspect/name.h"
#include "introspect/qualified.h"

enum { LABEL = 128 };

/* "cell:name", "" when it is about none. */
static const char *label(const char *cell, const char *name, char text[LABEL])
{
    snprintf(text, LABEL, "%s%s%s", cell, *name ? ":" : "", name);
    return text;
}

static void add_label(struct out *out, const char *cell, const char *name)
{
    char text[LABEL];

    out_text(out, label(cell, name, text));
}

static const char *fate(const struct plan_item *i)
{
    if (i->treatment == PLAN_CELL_COPY)
        return "copied";
    if (i->treatment == PLAN_CELL_STAYS)
        return "stays";
    if (i->treatment == PLAN_CELL_INHERIT)
        return "inherited";
    if (!i->old_version)
        return "comes";
    return i->new_object ? "swapped" : "goes";
}

static const struct column cell_columns[] = {
    {.key = "cell", .where = COLUMN_TABLE},
    {.key = "cell", .where = COLUMN_JSON},
    {.key = "namespace", .where = COLUMN_JSON},
    {.key = "version", .kind = COLUMN_NUMBER},
    {.key = "new_version", .kind = COLUMN_NUMBER},
    {.key = "object", .kind = COLUMN_ADDRESS, .where = COLUMN_JSON},
    {.key = "new_object", .kind = COLUMN_ADDRESS, .where = COLUMN_JSON},
    {.key = "what"},
    {0},
};

static void row_of_cell(struct out *out, const struct plan_item *i)
{
    struct qualified name = {0};
    bool parsed = qualified_parse(i->cell, &name);

    out_text(out, i->cell);
    out_text(out, parsed ? name.cell : i->cell);
    out_text(out, *name.namespace_ ? name.namespace_ : "root");
    out_number(out, i->old_version);
    out_number(out, i->new_version);
    out_number(out, i->old_object);
    out_number(out, i->new_object);
    out_text(out, fate(i));
}

static const struct column section_columns[] = {
    {.key = "section"},
    {.key = "to"},
    {.key = "bytes", .kind = COLUMN_NUMBER},
    {.key = "new_bytes", .kind = COLUMN_NUMBER},
    {.key = "what"},
    {0},
};

static void row_of_section(struct out *out, const struct plan_item *i)
{
    add_label(out, i->cell, i->name);
    add_label(out, i->to_cell, i->to);
    out_number(out, i->bytes);
    out_number(out, i->new_bytes);
    out_text(out, name_plan_section_treatment(i->treatment));
}

static const struct column transfer_columns[] = {{.key = "function"}, {.key = "bytes", .kind = COLUMN_NUMBER}, {0}};

static void row_of_transfer(struct out *out, const struct plan_item *i)
{
    add_label(out, i->cell, i->name);
    out_number(out, i->bytes);
}

static const struct column dependent_columns[] = {
    {.key = "dependent"},
    {.key = "needs"},
    {.key = "relocations", .kind = COLUMN_NUMBER},
    {.key = "bytes", .kind = COLUMN_NUMBER},
    {0},
};

static void row_of_dependent(struct out *out, const struct plan_item *i)
{
    add_label(out, i->cell, i->name);
    add_label(out, i->to_cell, i->to);
    out_number(out, i->count);
    out_number(out, i->bytes);
}

static const struct column wait_columns[] = {{.key = "changes"}, {.key = "why"}, {0}};

static void add_wait(struct out *out, const struct plan_item *i)
{
    add_label(out, i->cell, i->name);
    out_text(out, name_plan_quiescence(i->reason));
}

static const struct column task_columns[] = {
    {.key = "task", .kind = COLUMN_NUMBER}, {.key = "name"}, {.key = "begins"}, {0}};

static void row_of_task(struct out *out, const struct plan_item *i)
{
    out_number(out, i->count);
    out_text(out, i->name);
    add_label(out, i->to_cell, i->to);
}

static const struct column word_columns[] = {
    {.key = "in"}, {.key = "points_to"}, {.key = "words", .kind = COLUMN_NUMBER}, {0}};

static void add_offset(struct out *out, const char *what, uint64_t offset)
{
    char text[LABEL + 32];

    snprintf(text, sizeof text, offset ? "%s+0x%lx" : "%s", what, (unsigned long)offset);
    out_text(out, text);
}

static void row_of_words(struct out *out, const struct plan_item *i)
{
    char text[LABEL];

    if (*i->cell) {
        add_offset(out, label(i->cell, i->name, text), i->offset);
    } else {
        snprintf(text, sizeof text, "physical 0x%lx", (unsigned long)i->offset);
        out_text(out, text);
    }
    add_offset(out, label(i->to_cell, i->to, text), i->to_offset);
    out_number(out, i->count);
}

static const struct sort {
    enum plan_kind kind;
    const char *key, *title;
    const struct column *columns;
    void (*add)(struct out *out, const struct plan_item *item);
} sorts[] = {
    {PLAN_CELL, "cells", "cells", cell_columns, row_of_cell},
    {PLAN_SECTION, "sections", "sections, and what takes their place", section_columns, row_of_section},
    {PLAN_TRANSFER, "transfers", "functions that take data over", transfer_columns, row_of_transfer},
    {PLAN_DEPENDENT, "dependents", "dependents, whose relocations are rewritten", dependent_columns, row_of_dependent},
    {PLAN_QUIESCENCE, "waits", "it waits until nobody is inside, because of", wait_columns, add_wait},
    {PLAN_TASK, "tasks", "tasks whose stacks are scanned", task_columns, row_of_task},
    {PLAN_WORDS, "words", "words of memory that point into what goes", word_columns, row_of_words},
};
enum { SORTS = sizeof sorts / sizeof *sorts };

static struct out *rows_of(const struct swap_plan *plan, const struct sort *sort, bool json)
{
    struct out *out = out_new(sort->columns, json);

    for (uint32_t i = 0; i < plan->items; i++)
        if (plan->item[i].kind == sort->kind)
            sort->add(out, &plan->item[i]);
    return out;
}

void swap_plan_print(const struct swap_plan *plan)
{
    for (size_t i = 0; i < SORTS; i++) {
        OWN(out) struct out *out = rows_of(plan, &sorts[i], false);
        if (out_rows(out)) {
            printf("%s:\n", sorts[i].title);
            out_print(out);
            putchar('\n');
        }
    }
    if (plan->lost)
        printf("and %u more lines, for which the mailbox had no room\n\n", plan->lost);
}

json_t *swap_plan_json(const struct swap_plan *plan)
{
    json_t *o = json_object();

    for (size_t i = 0; i < SORTS; i++) {
        OWN(out) struct out *out = rows_of(plan, &sorts[i], true);
        json_object_set_new(o, sorts[i].key, out_take(out));
    }
    json_object_set_new(o, "lost", json_integer(plan->lost));
    return o;
}

void swap_plan_done(struct swap_plan *plan)
{
    free(plan->item);
}
