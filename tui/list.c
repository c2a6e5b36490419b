/* See list.h. */
#include "tui/list.h"
#include <regex.h>
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

/* The expression that was asked for last, since all rows are compared with the same one. */
static struct {
    char pattern[LIST_PATTERN];
    regex_t regex;
    bool valid;
} compiled;

static bool matches_expression(const char *pattern, const char *text)
{
    if (!strpbrk(pattern, ".[]*+?^$|(){}\\"))
        return false;
    if (strcmp(compiled.pattern, pattern) != 0) {
        if (compiled.valid)
            regfree(&compiled.regex);
        snprintf(compiled.pattern, sizeof compiled.pattern, "%s", pattern);
        compiled.valid = regcomp(&compiled.regex, pattern, REG_EXTENDED | REG_ICASE | REG_NOSUB) == 0;
    }
    return compiled.valid && regexec(&compiled.regex, text, 0, NULL, 0) == 0;
}

bool list_matches(const char *pattern, const char *name, const char *text)
{
    if (!*pattern)
        return true;
    if (name && *name && strchr(pattern, '/'))
        return strncasecmp(name, pattern, strlen(pattern)) == 0 || matches_expression(pattern, name);
    return strcasestr(text, pattern) || (name && strcasestr(name, pattern)) || matches_expression(pattern, text) ||
           (name && matches_expression(pattern, name));
}

static void add_list_row(struct list *list, const struct list_row *row)
{
    if (!list_matches(list->filter, row->name, row->text) || !reserve_row(list))
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
    add_list_row(list, &row);
}

void list_print_named(struct list *list, const char *name, uint64_t id, enum style style, struct link link,
                      const char *format, ...)
{
    struct list_row row = {.id = id, .style = style, .link = link};
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(row.text, sizeof row.text, format, arguments);
    va_end(arguments);
    snprintf(row.name, sizeof row.name, "%s", name);
    add_list_row(list, &row);
}

void list_add_record(struct list *list, uint64_t id, enum style style, struct link link, const struct column *columns,
                     const struct view *view, size_t record)
{
    struct list_row row = {.id = id, .style = style, .link = link};

    table_screen_line(columns, &list->layout, view, record, row.text, sizeof row.text);
    add_list_row(list, &row);
}

/* ---- order ---- */

/* Where the column that is sorted by begins in a row's text. */
static int sort_column(const struct list *list, int *ret_width)
{
    int at = 0;

    for (int i = 0; i + 1 < list->sort; i++)
        at += list->layout.width[i] ? list->layout.width[i] + 1 : 0;
    *ret_width = list->layout.width[list->sort - 1];
    return at;
}

static void take_field(const struct list *list, const struct list_row *row, char *ret_field, size_t bytes)
{
    int width, at = sort_column(list, &width);

    if ((size_t)at >= strlen(row->text))
        at = width = 0;
    snprintf(ret_field, bytes, "%.*s", width, row->text + at);
}

/* Numbers by their value, texts by the alphabet; what is equal keeps to its id, so that no row jumps. */
static int compare_rows(const void *a, const void *b, void *context)
{
    const struct list *list = context;
    const struct list_row *x = a, *y = b;
    char left[LIST_TEXT_BYTES], right[LIST_TEXT_BYTES], *left_end, *right_end;

    take_field(list, x, left, sizeof left);
    take_field(list, y, right, sizeof right);
    double p = strtod(left, &left_end), q = strtod(right, &right_end);
    bool numbers = left_end != left && right_end != right && !left_end[strspn(left_end, " ")] &&
                   !right_end[strspn(right_end, " ")];
    int order = numbers ? (p > q) - (p < q) : strcasecmp(left, right);
    if (list->descending)
        order = -order;
    return order ? order : (x->id > y->id) - (x->id < y->id);
}

void list_reselect(struct list *list)
{
    if (list->sort > 0 && list->sort <= TABLE_PLACES && list->rows)
        qsort_r(list->row, list->rows, sizeof *list->row, compare_rows, list);
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

bool list_search(struct list *list, const char *pattern, int by)
{
    size_t step = by < 0 ? list->rows - 1 : 1, at = list->selected;

    for (size_t tried = 0; *pattern && tried < list->rows; tried++) {
        if (by || tried)
            at = (at + step) % list->rows;
        if (!list_matches(pattern, list->row[at].name, list->row[at].text))
            continue;
        list->follow = false;
        list_move(list, (long)at - (long)list->selected);
        return true;
    }
    return false;
}

const struct list_row *list_selected(const struct list *list)
{
    return list->selected < list->rows ? &list->row[list->selected] : NULL;
}

static int head_rows(const struct list *list)
{
    return list->head[0] ? 1 : 0;
}

static void draw_shifted(const struct list *list, struct canvas *canvas, struct area area, int row, enum style style,
                         const char *text)
{
    size_t length = strlen(text), shift = (size_t)list->shift;

    canvas_text(canvas, area, row, 0, style, text + (shift < length ? shift : length));
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
        draw_shifted(list, canvas, area, 0, STYLE_DIM, list->head);
    for (size_t i = 0; i < visible && list->top + i < list->rows; i++) {
        const struct list_row *row = &list->row[list->top + i];
        bool selected = list->top + i == list->selected;
        enum style style = selected && focused ? STYLE_SELECTED : selected ? STYLE_LINK : row->style;
        if (selected && focused)
            canvas_blank(canvas, area, head + (int)i, style);
        draw_shifted(list, canvas, area, head + (int)i, style, row->text);
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
