/* A terminal in a mode of our own, in a process whose group is orphaned: a stop signal is discarded there. The program
 * goes on in its mode, and gives the terminal back when it ends. */
#include "introspect/base/terminal.h"
#include <check.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

Suite *suite_terminal(void);

static bool is_raw(void)
{
    struct termios now;

    return tcgetattr(STDIN_FILENO, &now) == 0 && !(now.c_lflag & (ICANON | ECHO | ISIG));
}

/* The child has a session of its own, so that its group is orphaned: nobody there could continue it. */
static _Noreturn void play(int ending)
{
    if (is_raw() || !terminal_pass_bytes(STDIN_FILENO) || !is_raw())
        _exit(10);
    for (int i = 0; i < 3; i++) {
        raise(SIGTSTP);
        if (!is_raw())
            _exit(11);
    }
    if (ending)
        raise(ending);
    terminal_give_back();
    _exit(is_raw() ? 12 : 0);
}

static int run(int ending, bool *ret_raw)
{
    struct termios now;
    int master, slave, status;

    ck_assert_int_eq(openpty(&master, &slave, NULL, NULL, NULL), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (!pid) {
        close(master);
        if (login_tty(slave) != 0)
            _exit(13);
        play(ending);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid); /* not stopped: then this does not return */
    ck_assert_int_eq(tcgetattr(slave, &now), 0);
    *ret_raw = !(now.c_lflag & ICANON);
    close(master), close(slave);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

START_TEST(a_stop_that_is_discarded_changes_nothing)
{
    bool raw;

    ck_assert_int_eq(run(0, &raw), 0);
    ck_assert(!raw);
    ck_assert_int_eq(run(SIGHUP, &raw), 128 + SIGHUP);
    ck_assert(!raw);
}
END_TEST

Suite *suite_terminal(void)
{
    Suite *suite = suite_create("terminal");
    TCase *tests = tcase_create("terminal");

    tcase_add_test(tests, a_stop_that_is_discarded_changes_nothing);
    suite_add_tcase(suite, tests);
    return suite;
}
