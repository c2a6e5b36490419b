/* An interactive shell: one session on the serial line, one on keyboard and screen, each a restartable task. It reads
 * the arena itself; what changes the system is a request, as from the host. No scripts, no pipes. */
#include "cells/app/shell/shell.h"
#include "cells/core/arena/arena.h"
#include "cells/drivers/keyboard/keyboard.h"
#include "cells/drivers/serial/serial.h"
#include "cells/drivers/text_screen/text_screen.h"
#include "cells/lib/format/format.h"
#include "cells/lib/string/string.h"
#include "cells/memory/heap/heap.h"
#include "cells/task/task/task.h"

CELL("shell", APPLICATION, 1);

#define PRINT_BYTES 256

static const struct terminal serial_terminal = {"shell", serial_read, serial_write};
static const struct terminal screen_terminal = {"shell_screen", keyboard_read, text_screen_write};

void shell_print(const struct terminal *on, const char *format, ...)
{
    char text[PRINT_BYTES];
    va_list arguments;

    va_start(arguments, format);
    size_t bytes = format_vprint(text, sizeof text, format, arguments);
    va_end(arguments);
    on->write(text, bytes);
}

void shell_error(const struct terminal *on, const char *about, enum err e)
{
    shell_print(on, "%s: %s\n", about, err_text(e));
}

static void list_commands(const struct terminal *on, int, char **)
{
    const struct command *command;

    for (size_t i = 0; (command = command_get(i)); i++) {
        char usage[40];
        format_print(usage, sizeof usage, "%s %s", command->name, command->arguments);
        shell_print(on, "  %-24s %s\n", usage, command->help);
    }
}

static const struct command commands[] = {
    {"help", "", "this list", 1, list_commands},
    {"cells", "", "what is loaded", 1, shell_cells},
    {"cell", "NAME", "one cell: its sections and exports", 2, shell_cell},
    {"deps", "CELL", "what a cell needs, and who needs it", 2, shell_deps},
    {"tasks", "", "tasks, their state and restarts", 1, shell_tasks},
    {"faults", "", "what went wrong, and how it was recovered", 1, shell_faults},
    {"counters", "", "everything that is counted", 1, shell_counters},
    {"log", "[LINES]", "the last lines of the log", 1, shell_log},
    {"free", "", "free memory", 1, shell_free},
    {"swap", "CELL [OBJECT]", "replace a cell by OBJECT of the archive, or by itself", 2, shell_swap},
    {"spawn", "APP [ARGUMENT]...", "run an application", 2, shell_spawn},
    {"unload", "CELL", "unload a cell, and end the tasks in it", 2, shell_unload},
    {"kill", "TASK", "end a task of an application, by its id", 2, shell_kill},
    {"ls", "[PATH]", "list a directory", 1, shell_ls},
    {"cat", "PATH", "show a file", 2, shell_cat},
    {"write", "PATH TEXT...", "add a line to a file", 3, shell_write},
    {"mkdir", "PATH", "make a directory", 2, shell_mkdir},
    {"rm", "PATH", "remove a file or an empty directory", 2, shell_rm},
    {"panic", "", "fail this shell's task, to see it recover", 1, shell_panic},
    {"reboot", "", "restart the machine", 1, shell_reboot},
    {"poweroff", "", "turn the machine off", 1, shell_poweroff},
};

const struct command *command_get(size_t index)
{
    return index < array_size(commands) ? &commands[index] : NULL;
}

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < array_size(commands); i++)
        if (string_equal(commands[i].name, name))
            return &commands[i];
    return NULL;
}

/* Splits `line` at its spaces; words beyond SHELL_WORDS_MAX are dropped. */
static int split_words(char *line, char *word[SHELL_WORDS_MAX])
{
    int words = 0;

    while (*line && words < SHELL_WORDS_MAX) {
        while (*line == ' ')
            *line++ = 0;
        if (!*line)
            break;
        word[words++] = line;
        while (*line && *line != ' ')
            line++;
    }
    if (*line)
        *line = 0;
    return words;
}

static void run_line(const struct terminal *on, char *line)
{
    char *word[SHELL_WORDS_MAX];
    int words = split_words(line, word);

    if (!words)
        return;
    const struct command *command = command_find(word[0]);
    if (!command)
        shell_print(on, "%s: no such command; help lists them\n", word[0]);
    else if (words < command->words_min)
        shell_print(on, "usage: %s %s\n", command->name, command->arguments);
    else
        command->run(on, words, word);
}

static void session(const struct terminal *terminal)
{
    OWN(heap) struct editor *editor = heap_alloc(sizeof *editor);

    if (!editor) {
        shell_error(terminal, "shell", ERR_NOMEM);
        return;
    }
    editor->terminal = terminal;
    for (;;) {
        editor_read(editor, "delias> ");
        run_line(terminal, editor->line);
    }
}

static void screen_entry(uint64_t)
{
    session(&screen_terminal);
}

static bool has_task(const char *name)
{
    for_each_task (i) {
        const struct arena_task *task = arena_task(i);
        if (task->state != TASK_FREE && task->state != TASK_EXITED && string_equal(task->name, name))
            return true;
    }
    return false;
}

/* After a restart of this task, the other session may still be there. */
static int shell_main(int, char **)
{
    const struct task_options options = {.restartable = true};

    if (!has_task(screen_terminal.task_name)) {
        OWN(task) struct task *screen = task_spawn(screen_terminal.task_name, screen_entry, 0, &options);
        if (!screen)
            shell_error(&serial_terminal, "shell: the session on the screen", ERR_NOMEM);
    }
    session(&serial_terminal);
    return 1;
}
MAIN(shell_main);
