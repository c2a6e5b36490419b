/* See parts.h. The process that runs the parts and the one that judges them share a page with the results. */
#include "tests/parts.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOGS       "build/tests/log"
#define GUEST_LIST "tests/guest/list"

static struct {
    bool waited_for; /* nothing else is left to do: use all cores */
    size_t count;
    struct part part[PARTS_MAX];
} * parts;
static pid_t pool;

static unsigned all_cores(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    return cores > 1 ? (unsigned)cores : 1;
}

/* ---- finding ---- */

static void add(const char *group, unsigned cores, const char *word, const char *command)
{
    if ((word && !strstr(command, word)) || parts->count == PARTS_MAX)
        return;
    struct part *part = &parts->part[parts->count++];

    part->group = group;
    part->cores = cores < all_cores() ? cores : all_cores();
    snprintf(part->command, sizeof part->command, "%s", command);
    int bytes = snprintf(part->log, sizeof part->log, LOGS "/%s.log", command + strlen("tests/"));
    for (char *c = part->log + strlen(LOGS "/"); c < part->log + bytes; c++)
        if (!isalnum((unsigned char)*c) && *c != '.')
            *c = '_';
}

static void add_scripts(const char *group, const char *pattern, unsigned cores, const char *word)
{
    glob_t found;

    if (glob(pattern, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++)
            add(group, cores, word, found.gl_pathv[i]);
    globfree(&found);
}

/* A part for each number of CPUs of each guest test: a busy CPU of the guest keeps a core busy. */
static void add_guest_tests(const char *word)
{
    char line[512], name[64], cpus[64], command[128];
    FILE *list = fopen(GUEST_LIST, "r");

    while (list && fgets(line, sizeof line, list)) {
        if (*line == '#' || sscanf(line, "%63s %63s", name, cpus) != 2)
            continue;
        for (char *rest, *number = strtok_r(cpus, ",", &rest); number; number = strtok_r(NULL, ",", &rest)) {
            snprintf(command, sizeof command, "tests/guest/run.sh %s %s", name, number);
            add("guest", (unsigned)atoi(number), word, command);
        }
    }
    if (list)
        fclose(list);
}

void parts_find(const char *group, const char *word)
{
    parts = mmap(NULL, sizeof *parts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (parts == MAP_FAILED)
        abort();
    if (!group || strcmp(group, "lab") == 0)
        add_scripts("lab", "tests/lab/test_*.sh", 1, word); /* the longest, so that it overlaps with all others */
    if (!group || strcmp(group, "tools") == 0)
        add_scripts("tools", "tests/tools/test_*.sh", 1, word);
    if (!group || strcmp(group, "e2e") == 0)
        add_scripts("e2e", "tests/e2e/*.sh", 1, word);
    if (!group || strcmp(group, "fuzz") == 0)
        add_scripts("fuzz", "tests/fuzz/test_*.sh", 1, word);
    if (!group || strcmp(group, "guest") == 0)
        add_guest_tests(word);
}

size_t parts_count(void)
{
    return parts->count;
}

const struct part *parts_at(size_t i)
{
    return &parts->part[i];
}

/* ---- running ---- */

/* What the script runs in; it ends with the process that began it. */
static _Noreturn void become(const struct part *part, unsigned limit)
{
    char seconds[16], line[sizeof part->command + 16];
    int output = open(part->log, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    int input = open("/dev/null", O_RDONLY);

    if (output < 0 || input < 0 || dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0)
        _exit(126);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    snprintf(seconds, sizeof seconds, "%u", limit);
    snprintf(line, sizeof line, "exec bash %s", part->command);
    execlp("timeout", "timeout", "-k", "20", seconds, "bash", "-c", line, (char *)NULL);
    _exit(127);
}

static int status_of(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Ends what the script has left running, a machine say: it would take time from other parts. */
static void end_children(void)
{
    FILE *list;

    while (waitpid(-1, NULL, WNOHANG) >= 0 && (list = fopen("/proc/thread-self/children", "r"))) {
        int pid;

        while (fscanf(list, "%d", &pid) == 1)
            kill(pid, SIGKILL);
        fclose(list);
        wait(NULL);
    }
}

/* Runs the script; processes whose parents have ended become children of this one, and so count too. */
static _Noreturn void keep(struct part *part, unsigned limit)
{
    struct rusage used;
    int status = 0;

    prctl(PR_SET_PDEATHSIG, SIGTERM);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid_t script = fork(), ended;
    if (script == 0)
        become(part, limit);
    if (script < 0)
        _exit(126);
    do
        ended = wait(&status);
    while (ended != script && (ended > 0 || errno == EINTR));
    end_children();
    getrusage(RUSAGE_CHILDREN, &used);
    part->cpu_seconds = (unsigned)(used.ru_utime.tv_sec + used.ru_stime.tv_sec);
    _exit(status_of(status));
}

static void print_file(const char *path)
{
    FILE *f = fopen(path, "r");
    char line[1024];

    while (f && fgets(line, sizeof line, f))
        fprintf(stderr, "    %s", line);
    if (f)
        fclose(f);
}

static void print_result(const struct part *part)
{
    const char *word = part->status == 0 ? "passed" : part->status == PART_SKIPPED ? "skipped" : "FAILED";

    fprintf(stderr, "%-9s %s (%u s, %u s of CPU%s)\n", word, part->command, part->seconds, part->cpu_seconds,
            part->second ? "; it was run again, alone" : "");
    if (part->status != 0)
        print_file(part->log);
}

static void end_part(struct part *part, int status)
{
    part->status = status;
    part->seconds = (unsigned)(time(NULL) - part->started);
    part->pid = 0;
    part->done = true;
    print_result(part);
}

/* Starts the parts that there are cores for, in their order. `*used`: cores of those that run. */
static void start_some(unsigned *used, unsigned limit)
{
    unsigned cores = all_cores() - !parts->waited_for;

    for (struct part *part = parts->part; part < parts->part + parts->count; part++) {
        if (part->pid || part->done || *used + part->cores > cores)
            continue;
        part->started = time(NULL);
        pid_t pid = fork();
        if (pid == 0)
            keep(part, limit);
        if (pid < 0) {
            end_part(part, 126);
            continue;
        }
        part->pid = pid;
        *used += part->cores;
    }
}

static struct part *part_of(pid_t pid)
{
    for (struct part *part = parts->part; part < parts->part + parts->count; part++)
        if (part->pid == pid)
            return part;
    return NULL;
}

static bool all_done(void)
{
    for (size_t i = 0; i < parts->count; i++)
        if (!parts->part[i].done)
            return false;
    return true;
}

static bool has_failed(const struct part *part)
{
    return part->status != 0 && part->status != PART_SKIPPED;
}

/* Once all are done: has those that failed run again, each on all cores, unless there are more than `retries`. */
static void begin_second_attempts(unsigned retries)
{
    unsigned failed = 0;

    for (size_t i = 0; i < parts->count; i++)
        failed += has_failed(&parts->part[i]);
    for (struct part *part = parts->part; failed <= retries && part < parts->part + parts->count; part++) {
        if (!has_failed(part))
            continue;
        part->cores = all_cores();
        part->second = true;
        part->done = false;
    }
}

static void run_until_done(unsigned limit)
{
    unsigned used = 0;
    int status;

    while (!all_done()) {
        start_some(&used, limit);
        pid_t ended = waitpid(-1, &status, WNOHANG);
        struct part *part = ended > 0 ? part_of(ended) : NULL;

        if (part) {
            used -= part->cores;
            end_part(part, status_of(status));
        } else {
            usleep(50000);
        }
    }
}

static _Noreturn void run_all(unsigned limit, unsigned retries)
{
    run_until_done(limit);
    while (!parts->waited_for)
        usleep(50000);
    begin_second_attempts(retries);
    run_until_done(limit);
    _exit(0);
}

bool parts_start(unsigned limit, unsigned retries)
{
    if (system("mkdir -p " LOGS) != 0)
        return false;
    fflush(NULL);
    pool = fork();
    if (pool == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        run_all(limit, retries);
    }
    return pool > 0;
}

void parts_wait(void)
{
    parts->waited_for = true;
    while (waitpid(pool, NULL, 0) < 0 && errno == EINTR)
        ;
}
