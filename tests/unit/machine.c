/* libmachine: machine files, names, the run directory, and a machine of its own under TCG with the probe guest. */
#include "vmm/machine/machine.h"
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "introspect/base/clock.h"
#include "introspect/base/own.h"
#include "introspect/base/ram_map.h"
#include "tests/limits.h"
#include "vmm/machine/qmp.h"
#include "vmm/machine/rundir.h"

static char dir[64], text[4096];

static void setup(void)
{
    strcpy(dir, "/tmp/delias-machine-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    setenv("XDG_RUNTIME_DIR", dir, 1);
}

static void teardown(void)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static enum err load(const char *yaml, struct machine_config *config)
{
    char path[128];

    snprintf(path, sizeof path, "%s/m.yaml", dir);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(yaml, f);
    fclose(f);
    return machine_config_load(path, config);
}

START_TEST(test_machine_file)
{
    struct machine_config c;
    char kernel[128];

    ck_assert_int_eq(load("name: x\ncpus: 4\nram: 32M\naccel: tcg\nkernel: k.elf\narchive: /a\ncmdline: one two\n"
                          "icount: yes\npaused: true\nextra: -S\n",
                          &c),
                     ERR_OK);
    snprintf(kernel, sizeof kernel, "%s/k.elf", dir);
    ck_assert_str_eq(c.name, "x");
    ck_assert_uint_eq(c.cpus, 4);
    ck_assert_uint_eq(c.ram_bytes, 32 << 20);
    ck_assert_int_eq(c.backend, MACHINE_TCG);
    ck_assert_str_eq(c.kernel, kernel);
    ck_assert_str_eq(c.archive, "/a");
    ck_assert_str_eq(c.cmdline, "one two");
    ck_assert(c.icount && c.paused);
    ck_assert_str_eq(c.extra, "-S");
    ck_assert_int_eq(load("name: y\n", &c), ERR_OK);
    ck_assert_uint_eq(c.cpus, 2);
    ck_assert_uint_eq(c.ram_bytes, 64 << 20);
    ck_assert_int_eq(machine_config_load("configs/machines/default.yaml", &c), ERR_OK);
    ck_assert_str_eq(c.name, "delias");
}
END_TEST

static const struct {
    const char *yaml, *words;
} bad_files[] = {
    {"speed: 7\n", "speed"},
    {"cpus: many\n", "m.yaml: line 1: cpus: 'many'"},
    {"name: a\ncpus: 2x\n", "m.yaml: line 2: cpus: '2x'"},
    {"cpus: 0\n", "cpus: '0' is not a number from 1 to 64"},
    {"cpus: 65\n", "cpus: '65'"},
    {"cpus: 4294967298\n", "cpus: '4294967298'"},
    {"cpus:\n", "cpus: has no value"},
    {"ram: 0\n", "m.yaml: line 1: ram: 0 bytes of RAM"},
    {"ram: 64\n", "ram: 64 bytes of RAM"},
    {"ram: 65G\n", "ram: 69793218560 bytes"},
    {"ram: 64M of it\n", "ram: size '64M of it'"},
    {"paused: n\n", "m.yaml: line 1: paused: 'n'"},
    {"paused: never\n", "paused: 'never'"},
    {"icount: ~\n", "icount: has no value"},
    {"icount:\n", "icount: has no value"},
    {"name: a/b\n", "m.yaml: line 1: name: machine name"},
    {"kernel:\n", "kernel: has no value"},
    {"archive: ''\n", "archive: is empty"},
    {"name: a\n---\nname: b\n", "line 2: a second document"},
    {"name: a\nname: b\n", "line 2: name: is in line 1 already"},
    {"ram: 12X\n", "12X"},
    {"accel: fast\n", "fast"},
    {"name: 0123456789012345678901234567890123456789\n", "name"},
    {"- a\n- b\n", "machine file"},
    {"name: [\n", "machine file"},
    {"\x01\xff\n", "machine file"},
};

START_TEST(test_bad_machine_files)
{
    struct machine_config c = {.name = "untouched"};

    for (size_t i = 0; i < sizeof bad_files / sizeof *bad_files; i++) {
        ck_assert_msg(load(bad_files[i].yaml, &c) != ERR_OK, "accepted: %s", bad_files[i].yaml);
        ck_assert_msg(strstr(machine_last_error(), bad_files[i].words) != NULL, "'%s' for %s", machine_last_error(),
                      bad_files[i].yaml);
        ck_assert_ptr_null(strchr(machine_last_error(), '\n'));
    }
    ck_assert_int_eq(machine_config_load("/nonexistent.yaml", &c), ERR_NOT_FOUND);
    ck_assert_str_eq(c.name, "untouched");
}
END_TEST

START_TEST(test_sizes)
{
    static const struct {
        const char *word;
        uint64_t bytes; /* 0: refused */
    } words[] = {{"4096", 4096},  {"64M", 64 << 20}, {"1G", 1 << 30},
                 {"16K", 16384},  {"0x1000", 4096},  {"", 0},
                 {"M", 0},        {"-1", 0},         {"1T", 0},
                 {"1MB", 0},      {"1 M", 0},        {"99999999999999G", 0},
                 {" 1M", 0},      {"+1M", 0},        {"0x", 0},
                 {"010K", 10240}, {"1MM", 0},        {"0x10000000000000000000000000000001", 0}};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        uint64_t bytes = 0;
        enum err e = machine_parse_size(words[i].word, &bytes);
        ck_assert_msg((e == ERR_OK) == (words[i].bytes != 0) && bytes == words[i].bytes, "%s", words[i].word);
    }
}
END_TEST

static struct machine_config probe(const char *name)
{
    struct machine_config c;

    machine_config_init(&c);
    strcpy(c.name, name);
    strcpy(c.kernel, "build/tests/probe.elf");
    c.backend = MACHINE_TCG;
    return c;
}

START_TEST(test_refusals)
{
    static const char *const names[] = {
        "", ".", "..", "a/b", "-a", ".a", "a b", "a\n", "012345678901234567890123456789012"};
    struct machine *m;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct machine_config c = probe("x");
        snprintf(c.name, sizeof c.name, "%s", names[i]);
        if (strlen(names[i]) <= MACHINE_NAME_MAX)
            ck_assert_int_eq(machine_start(&c, &m), ERR_INVALID);
        ck_assert_int_ne(machine_open(names[i], &m), ERR_OK);
        ck_assert_int_ne(machine_stop(names[i]), ERR_OK);
    }
    struct machine_config c = probe("x");
    c.cpus = 0;
    ck_assert_int_eq(machine_start(&c, &m), ERR_INVALID);
    c = probe("x");
    c.ram_bytes = 4096;
    ck_assert_int_eq(machine_start(&c, &m), ERR_INVALID);
    c = probe("x");
    strcpy(c.kernel, "Makefile");
    ck_assert_int_eq(machine_start(&c, &m), ERR_NOT_ELF);
    ck_assert_int_eq(machine_open("x", &m), ERR_NOT_FOUND);
    ck_assert_int_eq(machine_stop("x"), ERR_NOT_FOUND);
}
END_TEST

START_TEST(test_foreign_run_directory)
{
    char path[128];
    struct machine_info *infos;
    size_t count;
    struct stat st;

    snprintf(path, sizeof path, "%s/delias", dir);
    ck_assert_int_eq(symlink("/tmp", path), 0);
    ck_assert_int_eq(machine_list(&infos, &count), ERR_REFUSED);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkdir(path, 0755), 0);
    ck_assert_int_eq(machine_list(&infos, &count), ERR_OK);
    ck_assert_uint_eq(count, 0);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0700);
}
END_TEST

/* Waits until the serial log holds `words`; the log is in `text` then. */
static bool await(const struct machine *m, const char *words)
{
    for (time_t end = time(NULL) + limit_seconds(WAIT_SECONDS); time(NULL) < end; usleep(20000)) {
        FILE *f = fopen(machine_info(m)->serial, "r");
        size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
        text[n] = '\0';
        if (f)
            fclose(f);
        if (strstr(text, words))
            return true;
    }
    return false;
}

/* One connection for the whole test: at its end QEMU forgets what it has not yet taken. */
static int open_console(const struct machine *m)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    OWN(descriptor) int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%.107s", machine_info(m)->console);
    ck_assert_int_eq(connect(fd, (void *)&address, sizeof address), 0);
    return MOVE_DESCRIPTOR(fd);
}

static void type_in(int console, const char *bytes)
{
    ck_assert_int_eq(send(console, bytes, strlen(bytes), 0), (ssize_t)strlen(bytes));
}

/* The probe guest keeps a word at 16 MiB, which it prints on request. */
static void check_memory(struct machine *m, int console)
{
    enum { LEFTOVER = 0x1000000 };
    uint32_t value = 4711;
    void *base;
    size_t bytes;

    ck_assert_int_eq(machine_ram_map(m, true, &base, &bytes), ERR_OK);
    ck_assert_uint_eq(bytes, 64 << 20);
    type_in(console, "xl");
    ck_assert_msg(await(m, "leftover 77"), "%s", text);
    memcpy(&value, (char *)base + LEFTOVER, sizeof value);
    ck_assert_uint_eq(value, 77);
    value = 4711;
    ck_assert_int_eq(machine_ram_write(m, LEFTOVER, &value, sizeof value), ERR_OK);
    ck_assert_int_eq(memcmp((char *)base + LEFTOVER, &value, sizeof value), 0);
    ck_assert_int_eq(machine_refresh(m), ERR_OK);
    ck_assert_str_eq(machine_info(m)->state, "running");
    type_in(console, "l");
    ck_assert_msg(await(m, "leftover 4711"), "%s", text);
    ck_assert_int_eq(machine_ram_write(m, bytes - 2, &value, sizeof value), ERR_RANGE);
    ck_assert_int_eq(machine_ram_write(m, UINT64_MAX, &value, sizeof value), ERR_RANGE);
    machine_ram_unmap(base, bytes);
}

static void check_lock(struct machine *m)
{
    struct machine *other;

    ck_assert_int_eq(machine_open("unit", &other), ERR_OK);
    ck_assert_int_eq(machine_lock(m, 0, 10000), ERR_OK);
    ck_assert_int_eq(machine_lock(other, 20, 10000), ERR_BUSY);
    machine_unlock(m);
    ck_assert_int_eq(machine_lock(other, 20, 10000), ERR_OK);
    ck_assert_int_eq(machine_lock(m, 20, 10000), ERR_BUSY);
    machine_close(other);
    ck_assert_int_eq(machine_lock(m, 20, 10000), ERR_OK);
    machine_unlock(m);
}

START_TEST(test_life)
{
    struct machine_config c = probe("unit");
    struct machine *m, *other;
    int status;

    strcpy(c.cmdline, "a b");
    ck_assert_msg(machine_start(&c, &m) == ERR_OK, "%s", machine_last_error());
    ck_assert_msg(await(m, "ready"), "%s", text);
    ck_assert_ptr_nonnull(strstr(text, "command line 'a b'"));
    ck_assert_int_eq(machine_start(&c, &other), ERR_EXISTS);
    OWN(descriptor) int console = open_console(m);
    check_memory(m, console);
    check_lock(m);
    ck_assert_int_eq(machine_pause(m), ERR_OK);
    ck_assert_int_eq(machine_refresh(m), ERR_OK);
    ck_assert_str_eq(machine_info(m)->state, "paused");
    ck_assert_int_eq(machine_reset(m), ERR_OK);
    ck_assert_int_eq(machine_refresh(m), ERR_OK);
    ck_assert_str_eq(machine_info(m)->state, "paused");
    ck_assert_int_eq(machine_resume(m), ERR_OK);
    ck_assert_msg(await(m, "boot number 2\nready"), "%s", text);
    type_in(console, "l");
    ck_assert_msg(await(m, "leftover 0"), "%s", text);
    type_in(console, "q");
    ck_assert_int_eq(machine_wait(m, (int)limit_seconds(WAIT_SECONDS) * 1000, &status), ERR_OK);
    ck_assert_int_eq(status, 42 << 1 | 1);
    ck_assert(!machine_is_alive(m));
    ck_assert_int_eq(machine_pause(m), ERR_NOT_RUNNING);
    ck_assert_int_eq(machine_open("unit", &other), ERR_NOT_FOUND);
    machine_close(m);
    ck_assert_int_eq(machine_stop("unit"), ERR_OK);
    ck_assert_int_eq(machine_stop("unit"), ERR_NOT_FOUND);
}
END_TEST

/* What QEMU has at an address is at the same place of our mapping; RAM of 2.5 GiB, too, which it would not split. */
START_TEST(test_memory_above_4g)
{
    static const struct {
        uint64_t ram_mib, high_mib;
    } sizes[] = {{2560, 512}, {6144, 4096}};
    struct machine_config c = probe("big");
    struct machine *m;
    uint64_t end;
    size_t bytes;
    void *base;

    c.ram_bytes = sizes[_i].ram_mib << 20;
    end = RAM_MAP_HIGH_AT + (sizes[_i].high_mib << 20);
    ck_assert_msg(machine_start(&c, &m) == ERR_OK, "%s", machine_last_error());
    ck_assert_msg(await(m, "ready"), "%s", text);
    ck_assert_int_eq(machine_ram_map(m, true, &base, &bytes), ERR_OK);
    ck_assert_uint_eq(bytes, end);
    const uint64_t at[] = {RAM_MAP_LOW_MAX - 8, RAM_MAP_HIGH_AT, end - 8};
    for (uint64_t i = 0; i < 3; i++) {
        const uint64_t value = 4711 + i;
        ck_assert_msg(machine_ram_write(m, at[i], &value, sizeof value) == ERR_OK, "%s", machine_last_error());
        ck_assert_int_eq(memcmp((char *)base + at[i], &value, sizeof value), 0);
    }
    const uint64_t none[] = {RAM_MAP_LOW_MAX, RAM_MAP_LOW_MAX - 1, RAM_MAP_HIGH_AT - 1, end - 1};
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(machine_ram_write(m, none[i], "ab", 2), ERR_RANGE);
    machine_ram_unmap(base, bytes);
    ck_assert_int_eq(machine_end(m), ERR_OK);
    machine_close(m);
}
END_TEST

static const char *state_of(const char *name)
{
    static struct machine_info found;
    struct machine_info *infos;
    size_t count;

    ck_assert_int_eq(machine_list(&infos, &count), ERR_OK);
    machine_ask_states(infos, count);
    found = (struct machine_info){.state = "none"};
    for (size_t i = 0; i < count; i++)
        if (strcmp(infos[i].name, name) == 0)
            found = infos[i];
    free(infos);
    return found.state;
}

/* Its QMP takes connections and answers none: who waits for it waits for QMP_MS, 5 s. */
START_TEST(test_stopped_process)
{
    struct machine_config c = probe("one");
    struct machine *one, *two;

    ck_assert_msg(machine_start(&c, &one) == ERR_OK, "%s", machine_last_error());
    ck_assert_int_eq(kill(machine_info(one)->pid, SIGSTOP), 0);
    c = probe("two");
    ck_assert_msg(machine_start(&c, &two) == ERR_OK, "%s", machine_last_error());
    for (time_t end = time(NULL) + limit_seconds(WAIT_SECONDS); strcmp(state_of("one"), "stopped") != 0;)
        ck_assert(time(NULL) < end);
    int64_t begin = clock_ms();
    for (int i = 0; i < 50; i++)
        ck_assert_str_eq(state_of("one"), "stopped");
    ck_assert_int_lt(clock_ms() - begin, 50 * 4000);
    ck_assert_str_eq(state_of("two"), "running");
    ck_assert_int_eq(machine_refresh(one), ERR_BUSY);
    ck_assert_ptr_nonnull(strstr(machine_last_error(), "kill -CONT"));
    ck_assert_int_eq(kill(machine_info(one)->pid, SIGCONT), 0);
    for (time_t end = time(NULL) + limit_seconds(WAIT_SECONDS); strcmp(state_of("one"), "running") != 0;)
        ck_assert(time(NULL) < end);
    ck_assert_int_eq(kill(machine_info(one)->pid, SIGSTOP), 0);
    ck_assert_int_eq(machine_stop("one"), ERR_OK);
    ck_assert_int_eq(machine_end(one), ERR_NOT_RUNNING);
    ck_assert_int_eq(machine_end(two), ERR_OK);
    machine_close(one);
    machine_close(two);
}
END_TEST

/* Who starts or stops one machine keeps nobody from another. */
START_TEST(test_locks_of_names)
{
    struct machine_config c = probe("two");
    struct machine *two;
    int pipe_ends[2];
    char byte;

    ck_assert_int_eq(pipe(pipe_ends), 0);
    pid_t child = fork();
    if (child == 0) {
        int lock = rundir_lock("one");
        (void)!write(pipe_ends[1], lock >= 0 ? "y" : "n", 1);
        pause();
    }
    ck_assert_int_eq(read(pipe_ends[0], &byte, 1), 1);
    ck_assert_int_eq(byte, 'y');
    ck_assert_msg(machine_start(&c, &two) == ERR_OK, "%s", machine_last_error());
    ck_assert_msg(machine_stop("two") == ERR_OK, "%s", machine_last_error());
    /* The wait for the one that is held goes by the clock, not by how often it was tried. */
    int64_t begin = clock_ms();
    ck_assert_int_eq(machine_stop("one"), ERR_IO);
    ck_assert_ptr_nonnull(strstr(machine_last_error(), "another delias is starting or stopping it"));
    ck_assert_int_ge(clock_ms() - begin, 14000);
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    ck_assert_int_eq(machine_stop("one"), ERR_NOT_FOUND);
    machine_close(two);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}
END_TEST

/* A start, in a process of its own, with a hypervisor that never answers. It tells the last error by the pipe. */
static pid_t slow_start(const char *name, int report)
{
    char program[96];
    struct machine_config c = probe(name);
    struct machine *m;

    snprintf(program, sizeof program, "%s/hypervisor", dir);
    FILE *f = fopen(program, "w");
    ck_assert_ptr_nonnull(f);
    fputs("#!/bin/sh\nexec sleep 1000\n", f);
    fclose(f);
    ck_assert_int_eq(chmod(program, 0700), 0);
    pid_t child = fork();
    if (child == 0) {
        setenv("DELIAS_QEMU", program, 1);
        enum err e = machine_start(&c, &m);
        dprintf(report, "%d %s\n", (int)e, machine_last_error());
        _exit(0);
    }
    for (time_t end = time(NULL) + limit_seconds(WAIT_SECONDS); machine_open(name, &m) != ERR_OK; usleep(10000))
        ck_assert(time(NULL) < end);
    machine_close(m);
    return child;
}

static void check_report(int report, pid_t child, enum err want, const char *words)
{
    ssize_t n = read(report, text, sizeof text - 1);

    ck_assert_int_gt(n, 0);
    text[n] = '\0';
    ck_assert_int_eq(atoi(text), want);
    ck_assert_msg(strstr(text, words) != NULL, "%s", text);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
}

START_TEST(test_overtaken)
{
    struct machine_config c = probe("one");
    struct machine *m;
    int ends[2];

    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = slow_start("one", ends[1]);
    ck_assert_int_eq(machine_stop("one"), ERR_OK);
    check_report(ends[0], child, ERR_NOT_RUNNING, "was stopped by another program");
    /* Stopped while the starter stands still, and overtaken: what answers then is another machine. */
    child = slow_start("one", ends[1]);
    ck_assert_int_eq(kill(child, SIGSTOP), 0);
    ck_assert_int_eq(machine_stop("one"), ERR_OK);
    ck_assert_msg(machine_start(&c, &m) == ERR_OK, "%s", machine_last_error());
    ck_assert_int_eq(kill(child, SIGCONT), 0);
    check_report(ends[0], child, ERR_EXISTS, "has the name now");
    ck_assert_int_eq(machine_refresh(m), ERR_OK);
    ck_assert_int_eq(access(machine_info(m)->serial, F_OK), 0);
    ck_assert_int_eq(machine_check_place(m), ERR_OK);
    ck_assert_int_eq(machine_stop("one"), ERR_OK);
    machine_close(m);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

/* A link in the run directory is removed; its target stays as it was. */
START_TEST(test_link_in_run_directory)
{
    char link[128], other[96], file[128];

    snprintf(other, sizeof other, "%s/other", dir);
    snprintf(file, sizeof file, "%s/file", other);
    ck_assert_int_eq(mkdir(other, 0700), 0);
    int fd = open(file, O_WRONLY | O_CREAT, 0600);
    ck_assert_int_ge(fd, 0);
    close(fd);
    snprintf(link, sizeof link, "%s/delias", dir);
    ck_assert_int_eq(mkdir(link, 0700), 0);
    snprintf(link, sizeof link, "%s/delias/link", dir);
    ck_assert_int_eq(symlink(other, link), 0);
    ck_assert_int_eq(machine_stop("link"), ERR_OK);
    ck_assert_int_eq(access(file, F_OK), 0);
    ck_assert_int_ne(access(link, F_OK), 0);
}
END_TEST

/* Of a folder that is not a machine's alone, what a machine makes goes and the rest stays. */
START_TEST(test_foreign_files_in_run_directory)
{
    char folder[96], log[128], file[128];

    snprintf(folder, sizeof folder, "%s/delias", dir);
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    snprintf(folder, sizeof folder, "%s/delias/left", dir);
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    snprintf(log, sizeof log, "%s/log", folder);
    snprintf(file, sizeof file, "%s/notes", folder);
    close(open(log, O_WRONLY | O_CREAT, 0600));
    close(open(file, O_WRONLY | O_CREAT, 0600));
    ck_assert_int_eq(machine_stop("left"), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(machine_last_error(), "move it away"));
    ck_assert_int_eq(access(file, F_OK), 0);
    ck_assert_int_ne(access(log, F_OK), 0);
    ck_assert_int_eq(unlink(file), 0);
    ck_assert_int_eq(machine_stop("left"), ERR_OK);
    ck_assert_int_ne(access(folder, F_OK), 0);
}
END_TEST

Suite *suite_machine(void);
Suite *suite_machine(void)
{
    Suite *s = suite_create("machine");
    TCase *tc = tcase_create("machine");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_machine_file);
    tcase_add_test(tc, test_bad_machine_files);
    tcase_add_test(tc, test_sizes);
    tcase_add_test(tc, test_refusals);
    tcase_add_test(tc, test_foreign_run_directory);
    tcase_add_test(tc, test_link_in_run_directory);
    tcase_add_test(tc, test_foreign_files_in_run_directory);
    tcase_add_test(tc, test_life);
    tcase_add_loop_test(tc, test_memory_above_4g, 0, 2);
    tcase_add_test(tc, test_stopped_process);
    tcase_add_test(tc, test_locks_of_names);
    tcase_add_test(tc, test_overtaken);
    suite_add_tcase(s, tc);
    return s;
}
