/* Private to shell: terminals, the line editor, and the commands, whose table is in shell.c. */
#pragma once
#include "cells/cell.h"

#define SHELL_LINE_BYTES 160
#define SHELL_WORDS_MAX  16

/* Where a session reads and writes: functions of drivers. Constant. */
struct terminal {
    const char *task_name;
    size_t (*read)(char *to, size_t bytes, uint64_t timeout_ns);
    void (*write)(const char *text, size_t bytes);
};

/* Prints text; what exceeds 256 bytes is cut off. */
__attribute__((format(printf, 2, 3))) void shell_print(const struct terminal *on, const char *format, ...);
/* Prints "ABOUT: what the error means". */
void shell_error(const struct terminal *on, const char *about, enum err e);

/* The state of a line editor: backspace, ^U empties the line, ^C ends an empty one, up and down recall earlier
 * lines. */
#define EDITOR_HISTORY 8
struct editor {
    const struct terminal *terminal;
    char line[SHELL_LINE_BYTES];
    size_t length;
    char history[EDITOR_HISTORY][SHELL_LINE_BYTES]; /* line n in n % EDITOR_HISTORY */
    unsigned lines, shown;                          /* in the history; number of the one that is shown */
    unsigned escape;                                /* characters seen of an escape sequence */
    bool after_return;
};
/* Prints the prompt and reads one line, of any length up to SHELL_LINE_BYTES - 1, into editor->line. */
void editor_read(struct editor *editor, const char *prompt);

struct command {
    const char *name, *arguments, *help;
    int words_min; /* including the name */
    void (*run)(const struct terminal *on, int words, char **word);
};
const struct command *command_find(const char *name); /* NULL: none */
const struct command *command_get(size_t index);      /* NULL: there are not so many */

/* inspect.c: show something */
void shell_cells(const struct terminal *on, int words, char **word);
void shell_cell(const struct terminal *on, int words, char **word);
void shell_deps(const struct terminal *on, int words, char **word);
void shell_tasks(const struct terminal *on, int words, char **word);
void shell_faults(const struct terminal *on, int words, char **word);
void shell_counters(const struct terminal *on, int words, char **word);
void shell_log(const struct terminal *on, int words, char **word);
void shell_free(const struct terminal *on, int words, char **word);

/* act.c: change something */
void shell_swap(const struct terminal *on, int words, char **word);
void shell_spawn(const struct terminal *on, int words, char **word);
void shell_unload(const struct terminal *on, int words, char **word);
void shell_kill(const struct terminal *on, int words, char **word);
void shell_panic(const struct terminal *on, int words, char **word);
void shell_reboot(const struct terminal *on, int words, char **word);
void shell_poweroff(const struct terminal *on, int words, char **word);

/* files.c */
void shell_ls(const struct terminal *on, int words, char **word);
void shell_cat(const struct terminal *on, int words, char **word);
void shell_write(const struct terminal *on, int words, char **word);
void shell_rm(const struct terminal *on, int words, char **word);
void shell_mkdir(const struct terminal *on, int words, char **word);
