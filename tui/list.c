/* See list.h. */
#include "tui/list.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void list_done(struct list *list)
{
    free(list->row);
    *list = (struct list){};
}

void list_clear(struct list *list)
{
    list->rows = 0;
}

static bool reserve_row(struct list *list)
{
    if (list->rows < list->capacity)
        return true;
    size_t capacity = list->capacity ? 2 * list->capacity : 64;
    struct list_row *row = realloc(list->row, capacity * sizeof *row);
    if (!row)
        return false;
    list->row = row;
    list->capacity = capacity;
    return true;
}

bool list_passes(const struct list *list, const char *name, const char *text)
{
    const char *filter = list->filter;

    if (!*filter)
        return true;
    if (name && strchr(filter, '/'))
        return strncasecmp(name, filter, strlen(filter)) == 0;
    return strcasestr(text, filter) || (name && strcasestr(name, filter));
}

static void add_list_row(struct list *list, const char *name, const struct list_row *row)
{
    if (!list_passes(list, name, row->text) || !reserve_row(list))
        return;
    list->row[list->rows++] = *row;
}

void list_print(struct list *list, uint64_t id, enum style style, struct link link, const char *format, ...)
{
    struct list_row row = {.id = id, .style = style, .link = link};
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(row.text, sizeof row.text, format, arguments);
    va_end(arguments);
    add_list_row(list, NULL, &row);
}

void list_print_named(struct list *list, const char *name, uint64_t id, enum style style, struct link link,
                      const char *format, ...)
{
    struct list_row row = {.id = id, .style = style, .link = link};
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(row.text, sizeof row.text, format, arguments);
    va_end(arguments);
    add_list_row(list, name, &row);
}

void list_add_record(struct list *list, uint64_t id, enum style style, struct link link, const struct column *columns,
                     const struct view *view, size_t record)
{
    struct list_row row = {.id = id, .style = style, .link = link};

    table_screen_line(columns, view, record, row.text, sizeof row.text);
    add_list_row(list, NULL, &row);
}

void list_reselect(struct list *list)
{
    if (list->follow && list->rows)
        list->selected = list->rows - 1;
    else
        for (size_t i = 0; i < list->rows; i++)
            if (list->row[i].id == list->selected_id) {
                list->selected = i;
                break;
            }
    list_move(list, 0);
}

void list_move(struct list *list, long by)
{
    long to = (long)list->selected + by, last = (long)list->rows - 1;

    if (by < 0)
        list->follow = false;
    list->selected = (size_t)(to > last ? (last < 0 ? 0 : last) : to < 0 ? 0 : to);
    if (list->rows)
        list->selected_id = list->row[list->selected].id;
}

const struct list_row *list_selected(const struct list *list)
{
    return list->selected < list->rows ? &list->row[list->selected] : NULL;
}

static int head_rows(const struct list *list)
{
    return list->head[0] ? 1 : 0;
}

void list_draw(struct list *list, struct canvas *canvas, struct area area, bool focused)
{
    int head = head_rows(list);
    size_t visible = area.rows > head ? (size_t)(area.rows - head) : 0;

    if (list->selected < list->top)
        list->top = list->selected;
    if (visible && list->selected >= list->top + visible)
        list->top = list->selected - visible + 1;
    if (list->top && list->rows <= visible)
        list->top = 0;
    if (head)
        canvas_text(canvas, area, 0, 0, STYLE_DIM, list->head);
    for (size_t i = 0; i < visible && list->top + i < list->rows; i++) {
        const struct list_row *row = &list->row[list->top + i];
        bool selected = list->top + i == list->selected;
        enum style style = selected && focused ? STYLE_SELECTED : selected ? STYLE_LINK : row->style;
        if (selected && focused)
            canvas_blank(canvas, area, head + (int)i, style);
        canvas_text(canvas, area, head + (int)i, 0, style, row->text);
    }
    if (!list->rows)
        canvas_text(canvas, area, head, 0, STYLE_DIM, list->filter[0] ? "nothing matches the filter" : "nothing here");
}

bool list_click(struct list *list, struct area area, int row, int column)
{
    int inside = row - area.row - head_rows(list);

    if (inside < 0 || row >= area.row + area.rows || column < area.column || column >= area.column + area.columns)
        return false;
    if (list->top + (size_t)inside >= list->rows)
        return false;
    list_move(list, (long)(list->top + (size_t)inside) - (long)list->selected);
    return true;
}
