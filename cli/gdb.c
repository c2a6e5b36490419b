/* The verb gdb: starts a stock GDB on a machine, with the loaded cells as libraries, or only listens for one. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cli/cli.h"
#include "cli/files.h"
#include "cli/target.h"
#include "cli/verbs.h"
#include "debugger/debugger.h"

enum { ARGUMENTS_MAX = 256, LOOK_MS = 200 };

/* What is removed at the end. */
struct session {
    char folder[64]; /* private */
    char listens[sizeof((struct sockaddr_un *)0)->sun_path];
    int listener;
};

static volatile sig_atomic_t ended;

static void end(int signal)
{
    (void)signal;
    ended = 1;
}

static void session_close(struct session *s)
{
    if (s->listener >= 0)
        close(s->listener);
    if (*s->listens)
        unlink(s->listens);
    if (*s->folder)
        rmdir(s->folder);
}

/* Ctrl-C at the terminal is for GDB where there is one. */
static void take_signals(bool listens)
{
    struct sigaction ends = {.sa_handler = end}, ignored = {.sa_handler = SIG_IGN};

    sigaction(SIGTERM, &ends, NULL);
    sigaction(SIGHUP, &ends, NULL);
    sigaction(SIGINT, listens ? &ends : &ignored, NULL);
    sigaction(SIGQUIT, listens ? &ends : &ignored, NULL);
}

static enum cli_status make_folder(struct session *s)
{
    const char *base = getenv("TMPDIR");

    if (!base || *base != '/' || strlen(base) > sizeof s->folder - sizeof "/delias-gdb-XXXXXX")
        base = "/tmp";
    snprintf(s->folder, sizeof s->folder, "%s/delias-gdb-XXXXXX", base);
    if (mkdtemp(s->folder))
        return CLI_DONE;
    cli_warn("%s: %s", s->folder, strerror(errno));
    *s->folder = '\0';
    return CLI_FAILED;
}

/* The socket is for this user alone. A file that is there already is refused. */
static enum cli_status listen_at(struct session *s, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof address.sun_path)
        return cli_fail(CLI_FAILED, "%s: the path of a socket is shorter", path);
    strcpy(address.sun_path, path);
    s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    mode_t mask = umask(0177);
    bool bound = s->listener >= 0 && bind(s->listener, (void *)&address, sizeof address) == 0;
    int reason = errno;
    umask(mask);
    if (!bound)
        return cli_fail(CLI_FAILED, "%s: %s", path, strerror(reason));
    strcpy(s->listens, path);
    if (listen(s->listener, 1) != 0)
        return cli_fail(CLI_FAILED, "%s: %s", path, strerror(errno));
    return CLI_DONE;
}

/* ---- GDB ---- */

struct arguments {
    size_t count;
    char *argv[ARGUMENTS_MAX];
};

static void add(struct arguments *a, const char *word)
{
    if (a->count < ARGUMENTS_MAX - 1)
        a->argv[a->count++] = (char *)word;
}

/* Files are local; sources are looked for in the tree of this program first, wherever it was built. */
static _Noreturn void exec_gdb(const struct session *s, const struct machine_info *info, const struct call *call)
{
    const char *program = getenv("DELIAS_GDB");
    char remote[FILES_PATH], sources[FILES_PATH], build[FILES_PATH];
    struct arguments a = {0};

    files_path("..", build, sizeof build);
    snprintf(sources, sizeof sources, "directory %.4000s:$cdir:$cwd", build);
    snprintf(remote, sizeof remote, "target remote %s", s->listens);
    add(&a, program && *program ? program : "gdb");
    add(&a, "-q");
    add(&a, "-iex");
    add(&a, "set sysroot");
    add(&a, "-iex");
    add(&a, sources);
    add(&a, "-ex");
    add(&a, remote);
    for (int i = 0; i < call->argc; i++)
        add(&a, call->argv[i]);
    add(&a, info->kernel);
    signal(SIGINT, SIG_DFL);
    signal(SIGQUIT, SIG_DFL);
    execvp(a.argv[0], a.argv);
    fprintf(stderr, "delias gdb: %s: %s; install it, or set DELIAS_GDB\n", a.argv[0], strerror(errno));
    _exit(127);
}

/* Whether it has ended; *ret_status is then what `delias` says of that. */
static bool has_ended(pid_t pid, enum cli_status *ret_status)
{
    int status;

    if (waitpid(pid, &status, WNOHANG) != pid)
        return false;
    *ret_status = WIFEXITED(status) && WEXITSTATUS(status) == 0 ? CLI_DONE : CLI_FAILED;
    return true;
}

/* ---- serving ---- */

/* Serves whoever connects, one after the other, until GDB has ended (no GDB: pid 0), or a signal comes. */
static enum cli_status serve_clients(struct debugger *debugger, const struct session *s, pid_t pid)
{
    enum cli_status status = CLI_DONE;

    while (!ended && !(pid && has_ended(pid, &status))) {
        struct pollfd listener = {.fd = s->listener, .events = POLLIN};
        if (poll(&listener, 1, LOOK_MS) <= 0)
            continue;
        OWN(descriptor) int client = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
        if (client >= 0 && debugger_serve(debugger, client, &ended))
            cli_warn("%s", machine_last_error());
    }
    if (pid && ended) {
        kill(pid, SIGTERM);
        waitpid(pid, NULL, 0);
    }
    return status;
}

static enum cli_status debug(struct call *call, const struct target *t, struct session *s, struct debugger *debugger)
{
    char path[sizeof s->folder + 8];
    pid_t pid = 0;

    snprintf(path, sizeof path, "%s/gdb", s->folder);
    enum cli_status status = listen_at(s, call->listen ? call->listen : path);
    if (status)
        return status;
    take_signals(call->listen != NULL);
    if (call->listen) {
        printf("gdb -iex 'set sysroot' -ex 'target remote %s' %s\n", s->listens, machine_info(t->machine)->kernel);
        fflush(stdout);
    } else {
        pid = fork();
        if (pid < 0)
            return cli_fail(CLI_FAILED, "no new process: %s", strerror(errno));
        if (pid == 0)
            exec_gdb(s, machine_info(t->machine), call);
    }
    return serve_clients(debugger, s, pid);
}

/* The folder of the machine's archive, and that of this program, are builds. */
static enum cli_status open_debugger(const struct target *t, const struct session *s, struct debugger **ret_debugger)
{
    char archive[FILES_PATH], own[FILES_PATH];
    const char *builds[] = {archive, own};

    snprintf(archive, sizeof archive, "%s", machine_info(t->machine)->archive);
    char *slash = strrchr(archive, '/');
    if (slash)
        *slash = '\0';
    files_path(".", own, sizeof own);
    if (debugger_new(t->machine, builds, sizeof builds / sizeof *builds, s->folder, ret_debugger))
        return cli_fail(CLI_FAILED, "%s", machine_last_error());
    return CLI_DONE;
}

enum cli_status verb_gdb(struct call *call)
{
    CLOSED_BY(target_close) struct target t = {0};
    CLOSED_BY(session_close) struct session s = {.listener = -1};
    OWN(debugger) struct debugger *debugger = NULL;
    enum cli_status status = target_open(&t, call);

    if (!status && call->listen && call->argc)
        status = cli_fail(CLI_USAGE, "--listen starts no GDB: '%s' is one operand too many", call->argv[0]);
    if (!status && machine_check_debugger(t.machine))
        status = cli_fail(CLI_FAILED, "%s", machine_last_error());
    if (!status)
        status = make_folder(&s);
    if (!status)
        status = open_debugger(&t, &s, &debugger);
    return status ? status : debug(call, &t, &s, debugger);
}
