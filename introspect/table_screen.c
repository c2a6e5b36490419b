/* Lines of a screen: which columns of a table fit, how wide they are, and a record in them. See table.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "introspect/table.h"

/* The column at that place, NULL behind the last. */
static const struct column *at_place(const struct column *columns, unsigned place)
{
    for (const struct column *c = columns; place <= TABLE_PLACES && c->key; c++)
        if (c->screen.place == place)
            return c;
    return NULL;
}

/* ---- the layout ---- */

/* Of the columns that are shown, with a blank between them. */
static int sum_of_widths(const struct table_layout *layout)
{
    int sum = 0;

    for (int i = 0; i < TABLE_PLACES; i++)
        sum += layout->width[i] ? layout->width[i] + (sum > 0) : 0;
    return sum;
}

/* Leaves out the column of the highest rank; false: all that are left are always shown. */
static bool leave_one_out(const struct column *columns, struct table_layout *layout)
{
    const struct column *c, *last = NULL;

    for (unsigned place = 1; (c = at_place(columns, place)); place++)
        if (layout->width[place - 1] && c->screen.rank && (!last || c->screen.rank > last->screen.rank))
            last = c;
    if (last)
        layout->width[last->screen.place - 1] = 0;
    return last;
}

static void grow_columns(const struct column *columns, int left, struct table_layout *layout)
{
    const struct column *c;
    int shares = 0;

    for (unsigned place = 1; (c = at_place(columns, place)); place++)
        shares += layout->width[place - 1] ? c->screen.grow : 0;
    for (unsigned place = 1; shares && (c = at_place(columns, place)); place++) {
        if (!layout->width[place - 1])
            continue;
        int more = left * c->screen.grow / shares;
        layout->width[place - 1] += more;
        left -= more;
        shares -= c->screen.grow;
        if (!shares)
            return;
    }
}

void table_lay_out(const struct column *columns, int width, struct table_layout *ret_layout)
{
    const struct column *c;

    *ret_layout = (struct table_layout){0};
    for (unsigned place = 1; (c = at_place(columns, place)); place++)
        ret_layout->width[place - 1] = c->screen.width;
    while (sum_of_widths(ret_layout) > width)
        if (!leave_one_out(columns, ret_layout))
            return;
    grow_columns(columns, width - sum_of_widths(ret_layout), ret_layout);
}

/* ---- lines ---- */

/* Numbers stand at the right of their column, text at the left. */
static void append_aligned(const struct column *c, int width, const char *text, char *line, size_t bytes)
{
    size_t used = strlen(line), length = strlen(text);
    const char *blank = used ? " " : "";

    if (used + 2 >= bytes)
        return;
    if (c->kind != COLUMN_TEXT)
        snprintf(line + used, bytes - used, "%s%*s", blank, width, text);
    else if (length > (size_t)width)
        snprintf(line + used, bytes - used, "%s%.*s~", blank, width - 1, text);
    else
        snprintf(line + used, bytes - used, "%s%-*s", blank, width, text);
}

static const char *value_text(const struct column *c, const struct view *view, size_t record,
                              struct column_value *value)
{
    c->read(view, record, value);
    if (c->kind == COLUMN_TEXT)
        return value->text;
    snprintf(value->buffer, sizeof value->buffer,
             c->kind == COLUMN_ADDRESS  ? "%016" PRIx64
             : c->kind == COLUMN_SIGNED ? "%" PRId64
                                        : "%" PRIu64,
             value->number);
    return value->buffer;
}

void table_screen_titles(const struct column *columns, const struct table_layout *layout, char *ret_line, size_t bytes)
{
    const struct column *c;

    *ret_line = '\0';
    for (unsigned place = 1; (c = at_place(columns, place)); place++)
        if (layout->width[place - 1])
            append_aligned(c, layout->width[place - 1], c->screen.title, ret_line, bytes);
}

void table_screen_line(const struct column *columns, const struct table_layout *layout, const struct view *view,
                       size_t record, char *ret_line, size_t bytes)
{
    struct column_value value;
    const struct column *c;

    *ret_line = '\0';
    for (unsigned place = 1; (c = at_place(columns, place)); place++)
        if (layout->width[place - 1])
            append_aligned(c, layout->width[place - 1], value_text(c, view, record, &value), ret_line, bytes);
}
