/* See process.h. */
#include "vmm/machine/process.h"
#include "introspect/base/clock.h"
#include "introspect/base/own.h"
#include "vmm/machine/error.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int process_ram(const char *name, uint64_t bytes)
{
    OWN(descriptor) int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0 || ftruncate(fd, (off_t)bytes) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        (void)machine_fail(ERR_NOMEM, "machine %s: no memory of %llu bytes: %s", name, (unsigned long long)bytes,
                           strerror(errno));
        return -1;
    }
    return MOVE_DESCRIPTOR(fd);
}

/* 0 when there is none. */
static uint64_t read_state(int pid, char *ret_state)
{
    char path[64], text[1024];
    unsigned long long started = 0;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    OWN(descriptor) int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    /* The second field, the command, may hold blanks and parentheses: count from its last ')'. */
    const char *after = strrchr(text, ')');
    if (!after || sscanf(after + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
                         ret_state, &started) != 2)
        return 0;
    return started;
}

uint64_t process_started(int pid)
{
    char state = 'Z';
    uint64_t started = read_state(pid, &state);

    return state == 'Z' || state == 'X' ? 0 : started;
}

bool process_is(int pid, uint64_t started)
{
    return pid > 1 && started != 0 && process_started(pid) == started;
}

/* Not one that a debugger holds ('t'): with each system call that is traced it is so for a moment. */
bool process_is_stopped(int pid, uint64_t started)
{
    char state = 'Z';

    return pid > 1 && started != 0 && read_state(pid, &state) == started && state == 'T';
}

/* Between fork and exec: only what is safe there, for the caller may have threads. */
static _Noreturn void exec_backend(struct arguments *a, int ram_fd, int log_fd, int null_fd, int gate_fd)
{
    enum { GATE = RAM_FD + 1 };
    struct sigaction plain = {.sa_handler = SIG_DFL};
    sigset_t none;
    char go;

    setsid();
    sigemptyset(&none);
    for (int s = 1; s < SIGRTMIN; s++)
        sigaction(s, &plain, NULL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* First out of the way of the final numbers, whatever numbers they have now. */
    ram_fd = fcntl(ram_fd, F_DUPFD, 10);
    log_fd = fcntl(log_fd, F_DUPFD, 10);
    null_fd = fcntl(null_fd, F_DUPFD, 10);
    gate_fd = fcntl(gate_fd, F_DUPFD, 10);
    if (dup2(null_fd, 0) < 0 || dup2(log_fd, 1) < 0 || dup2(log_fd, 2) < 0 || dup2(ram_fd, RAM_FD) < 0 ||
        dup2(gate_fd, GATE) < 0 || close_range(GATE + 1, ~0U, 0) != 0)
        _exit(127);
    if (read(GATE, &go, 1) != 1)
        _exit(127);
    close(GATE);
    execv(a->argv[0], a->argv);
    _exit(127);
}

enum err process_spawn(struct arguments *a, int ram_fd, struct machine_info *info, int *ret_gate)
{
    int gate[2];
    OWN(descriptor) int log_fd = open(info->log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    OWN(descriptor) int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (log_fd < 0 || null_fd < 0 || pipe2(gate, O_CLOEXEC) != 0)
        return machine_fail(ERR_IO, "%s: %s", info->log, strerror(errno));
    OWN(descriptor) int wait_end = gate[0], release_end = gate[1];
    pid_t pid = fork();
    if (pid == 0)
        exec_backend(a, ram_fd, log_fd, null_fd, wait_end);
    if (pid < 0)
        return machine_fail(ERR_NOMEM, "machine %s: no new process: %s", info->name, strerror(errno));
    info->pid = pid;
    info->started = process_started(pid);
    snprintf(info->ram_file, sizeof info->ram_file, "/proc/%d/fd/%d", pid, RAM_FD);
    *ret_gate = MOVE_DESCRIPTOR(release_end);
    return ERR_OK;
}

void process_release(int gate)
{
    (void)!write(gate, "g", 1);
}

void process_kill(const struct machine_info *info)
{
    OWN(descriptor) int fd = (int)syscall(SYS_pidfd_open, info->pid, 0);

    /* The descriptor pins the process: what is checked after opening it is what gets the signal. */
    if (fd >= 0 && process_is(info->pid, info->started))
        syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
    enum err e = process_wait(info, 5000, NULL);
    (void)e;
}

enum err process_wait(const struct machine_info *info, int timeout_ms, int *ret_status)
{
    int64_t deadline = clock_ms() + timeout_ms;
    int status;

    for (;;) {
        /* 0: a child of ours, some of whose threads have still to end */
        pid_t ended = process_is(info->pid, info->started) ? 0 : waitpid(info->pid, &status, WNOHANG);
        if (ended) {
            if (ret_status)
                *ret_status = ended < 0 ? -1 : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            return ERR_OK;
        }
        if (clock_ms() >= deadline)
            return machine_fail(ERR_TIMEOUT, "machine %s still runs", info->name);
        usleep(2000);
    }
}
