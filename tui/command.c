/* See command.h. */
#include "tui/command.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "introspect/base/own.h"

void command_add(struct command *command, const char *word)
{
    if (command->words < COMMAND_WORDS)
        snprintf(command->word[command->words++], COMMAND_WORD_BYTES, "%s", word);
}

static void append_plain(char *text, size_t bytes, const char *more)
{
    size_t used = strlen(text);

    snprintf(text + used, bytes - used, "%s", more);
}

/* In single quotes, where only a quote itself must be written otherwise. */
static void append_quoted(char *text, size_t bytes, const char *word)
{
    append_plain(text, bytes, "'");
    for (; *word; word++)
        append_plain(text, bytes, *word == '\'' ? "'\\''" : (char[]){*word, '\0'});
    append_plain(text, bytes, "'");
}

void command_text(const struct command *command, char *ret_text, size_t bytes)
{
    snprintf(ret_text, bytes, "delias");
    for (int i = 0; i < command->words; i++) {
        const char *word = command->word[i];
        append_plain(ret_text, bytes, " ");
        if (!word[0] || strpbrk(word, " \t'\"\\$`*?[]|&;<>()#~!"))
            append_quoted(ret_text, bytes, word);
        else
            append_plain(ret_text, bytes, word);
    }
}

static _Noreturn void become(const struct command *command, int output)
{
    char *argv[COMMAND_WORDS + 2] = {"delias"};
    int null = open("/dev/null", O_RDONLY);

    for (int i = 0; i < command->words; i++)
        argv[i + 1] = (char *)command->word[i];
    if (null >= 0)
        dup2(null, STDIN_FILENO);
    dup2(output, STDERR_FILENO);
    if (command->file[0]) {
        output = open(command->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (output < 0) {
            dprintf(STDERR_FILENO, "%s: %s\n", command->file, strerror(errno));
            _exit(1);
        }
    }
    dup2(output, STDOUT_FILENO);
    execv("/proc/self/exe", argv);
    _exit(127);
}

bool command_start(struct command *command)
{
    int ends[2];

    command->said_bytes = 0;
    command->said_more = false;
    command->said[0] = '\0';
    if (pipe2(ends, O_CLOEXEC) != 0) {
        snprintf(command->said, sizeof command->said, "no pipe for the command: %s", strerror(errno));
        return false;
    }
    OWN(descriptor) int output = ends[0], input = ends[1];
    int pid = fork();
    if (pid == 0)
        become(command, input);
    if (pid < 0) {
        snprintf(command->said, sizeof command->said, "the command could not be started: %s", strerror(errno));
        return false;
    }
    fcntl(output, F_SETFL, O_NONBLOCK);
    command->pid = pid;
    command->output = MOVE_DESCRIPTOR(output);
    return true;
}

static void listen_to(struct command *command)
{
    char chunk[1024];
    ssize_t got;

    while ((got = read(command->output, chunk, sizeof chunk)) > 0) {
        size_t room = sizeof command->said - 1 - command->said_bytes, take = (size_t)got < room ? (size_t)got : room;

        command->said_more |= take < (size_t)got;
        memcpy(command->said + command->said_bytes, chunk, take);
        command->said_bytes += take;
        command->said[command->said_bytes] = '\0';
    }
}

size_t command_last_line(const struct command *command, char *ret_line, size_t bytes)
{
    const char *line = command->said, *end;
    size_t lines = 0;

    *ret_line = '\0';
    for (; *line; line = *end ? end + 1 : end) {
        end = line + strcspn(line, "\n");
        if (end != line)
            snprintf(ret_line, bytes, "%.*s", (int)(end - line), line);
        lines++;
    }
    return lines;
}

bool command_poll(struct command *command)
{
    int status;

    if (command->pid <= 0)
        return false;
    listen_to(command);
    if (waitpid(command->pid, &status, WNOHANG) != command->pid)
        return false;
    listen_to(command);
    close(command->output);
    command->pid = 0;
    command->status = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    while (command->said_bytes && command->said[command->said_bytes - 1] == '\n')
        command->said[--command->said_bytes] = '\0';
    return true;
}

void command_stop(struct command *command)
{
    if (command->pid <= 0)
        return;
    kill(command->pid, SIGTERM);
    kill(command->pid, SIGCONT); /* one that is stopped ends only then */
    waitpid(command->pid, NULL, 0);
    close(command->output);
    command->pid = 0;
}
