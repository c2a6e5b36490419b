/* See shell.h: line editing on a terminal that need know no control character but backspace. */
#include "cells/app/shell/shell.h"
#include "cells/drivers/keyboard/keyboard.h"
#include "cells/lib/string/string.h"

enum { INTERRUPT = 'C' & 0x1f, KILL_LINE = 'U' & 0x1f, ESCAPE = 0x1b, DELETE = 0x7f };

static void echo(struct editor *e, const char *text, size_t bytes)
{
    e->terminal->write(text, bytes);
}

static void erase_character(struct editor *e)
{
    if (!e->length)
        return;
    e->length--;
    echo(e, "\b \b", 3);
}

static void erase_line(struct editor *e)
{
    while (e->length)
        erase_character(e);
}

static void insert_character(struct editor *e, char c)
{
    if (e->length + 1 >= sizeof e->line)
        return;
    e->line[e->length++] = c;
    echo(e, &c, 1);
}

/* Shows line `number` of the history in place of what was typed; number e->lines is an empty line. */
static void recall_line(struct editor *e, unsigned number)
{
    if (number > e->lines || e->lines - number > EDITOR_HISTORY)
        return;
    erase_line(e);
    e->shown = number;
    if (number == e->lines)
        return;
    for (const char *c = e->history[number % EDITOR_HISTORY]; *c; c++)
        insert_character(e, *c);
}

static void remember_line(struct editor *e)
{
    e->line[e->length] = 0;
    if (e->length)
        string_copy(e->history[e->lines++ % EDITOR_HISTORY], e->line, SHELL_LINE_BYTES);
    e->shown = e->lines;
}

/* Serial terminals send ESC [ A for up, ESC [ B for down. True: `c` belonged to such a sequence. */
static bool in_escape(struct editor *e, char c)
{
    if (c == ESCAPE) {
        e->escape = 1;
        return true;
    }
    if (!e->escape)
        return false;
    if (e->escape++ == 1 && c == '[')
        return true;
    e->escape = 0;
    if (c == 'A')
        recall_line(e, e->shown - 1);
    else if (c == 'B')
        recall_line(e, e->shown + 1);
    return true;
}

/* True: the line is complete. */
static bool take_character(struct editor *e, unsigned char c)
{
    bool second_of_pair = c == '\n' && e->after_return;

    e->after_return = c == '\r';
    if (second_of_pair || in_escape(e, (char)c))
        return false;
    switch (c) {
    case '\r':
    case '\n':
        return true;
    case '\b':
    case DELETE:
        erase_character(e);
        return false;
    case KILL_LINE:
        erase_line(e);
        return false;
    case INTERRUPT:
        echo(e, "^C", 2);
        e->length = 0;
        return true;
    case KEYBOARD_UP:
        recall_line(e, e->shown - 1);
        return false;
    case KEYBOARD_DOWN:
        recall_line(e, e->shown + 1);
        return false;
    default:
        if (c >= ' ' && c < DELETE)
            insert_character(e, (char)c);
        return false;
    }
}

void editor_read(struct editor *editor, const char *prompt)
{
    char c = 0;

    editor->length = 0;
    echo(editor, prompt, string_length(prompt));
    while (!editor->terminal->read(&c, 1, 0) || !take_character(editor, (unsigned char)c))
        ;
    echo(editor, "\n", 1);
    remember_line(editor);
}
