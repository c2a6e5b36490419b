/* See terminal.h. Handlers only call functions that are safe in them; what they read changes while they are blocked, or
 * before they are installed. */
#include "introspect/base/terminal.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { FAREWELL_MS = 200 }; /* for a terminal that takes no output */

static struct {
    bool taken;
    int fd;
    struct termios before, ours;
    char farewell[TERMINAL_FAREWELL];
    sigset_t handled;
} terminal;

static void put_back(void)
{
    struct pollfd out = {.fd = terminal.fd, .events = POLLOUT};
    size_t bytes = strlen(terminal.farewell);

    if (bytes && poll(&out, 1, FAREWELL_MS) == 1 && out.revents & POLLOUT)
        (void)!write(terminal.fd, terminal.farewell, bytes);
    tcsetattr(terminal.fd, TCSANOW, &terminal.before);
}

static void handle(int signal, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};

    sigfillset(&action.sa_mask); /* SIGTTOU too: a program in the background may put the mode back */
    sigaction(signal, &action, NULL);
}

/* The signal comes again when the handler returns, and ends the program. */
static void on_end(int signal)
{
    put_back();
    handle(signal, SIG_DFL);
    raise(signal);
}

/* In the foreground again, perhaps after a SIGSTOP, which has no handler. */
static void on_continue(int)
{
    int reason = errno;

    if (tcgetpgrp(terminal.fd) == getpgrp())
        tcsetattr(terminal.fd, TCSANOW, &terminal.ours);
    errno = reason;
}

/* In an orphaned process group, which no shell could continue, the kernel discards the signal: then the program goes on
 * at once, without a SIGCONT, and takes the terminal back itself. */
static void on_stop(int signal)
{
    int reason = errno;
    sigset_t only;

    put_back();
    handle(signal, SIG_DFL);
    raise(signal);
    sigemptyset(&only);
    sigaddset(&only, signal);
    sigprocmask(SIG_UNBLOCK, &only, NULL); /* here it stops, until it is to continue */
    handle(signal, on_stop);
    on_continue(SIGCONT);
    errno = reason;
}

static bool ends_programs(int signal)
{
    static const int others[] = {SIGKILL, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT, SIGCHLD, SIGURG, SIGWINCH};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (signal == others[i])
            return false;
    return true;
}

static void handle_default(int signal, void (*handler)(int))
{
    struct sigaction now;

    if (sigaction(signal, NULL, &now) != 0 || now.sa_flags & SA_SIGINFO || now.sa_handler != SIG_DFL)
        return;
    sigaddset(&terminal.handled, signal);
    handle(signal, handler);
}

bool terminal_keep(int fd)
{
    if (terminal.taken || fd < 0 || tcgetattr(fd, &terminal.before) != 0)
        return false;
    terminal.taken = true;
    terminal.fd = fd;
    terminal.farewell[0] = '\0';
    sigemptyset(&terminal.handled);
    for (int signal = 1; signal <= SIGRTMAX; signal++)
        if (ends_programs(signal))
            handle_default(signal, on_end);
    return true;
}

void terminal_set_farewell(const char *text)
{
    size_t bytes = strlen(text);
    sigset_t before;

    if (bytes >= sizeof terminal.farewell)
        return;
    sigprocmask(SIG_BLOCK, &terminal.handled, &before);
    memcpy(terminal.farewell, text, bytes + 1);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

bool terminal_pass_bytes(int fd)
{
    if (!terminal_keep(fd))
        return false;
    terminal.ours = terminal.before;
    cfmakeraw(&terminal.ours);
    terminal.ours.c_oflag |= OPOST;
    handle_default(SIGTSTP, on_stop);
    handle_default(SIGCONT, on_continue);
    tcsetattr(fd, TCSANOW, &terminal.ours);
    return true;
}

void terminal_give_back(void)
{
    if (!terminal.taken)
        return;
    tcsetattr(terminal.fd, TCSANOW, &terminal.before);
    for (int signal = 1; signal <= SIGRTMAX; signal++)
        if (sigismember(&terminal.handled, signal) == 1)
            handle(signal, SIG_DFL);
    terminal.taken = false;
}
