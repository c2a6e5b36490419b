/* The verb run: starts a machine, waits until its guest is ready, and shows it. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "cli/cli.h"
#include "cli/target.h"
#include "cli/verbs.h"
#include "guest/abi/layout.h"
#include "tui/tui.h"

enum { SERIAL_SHOWN = 2048, POLL_MS = 20 };
enum show { SHOW_UNDECIDED, SHOW_DETACH, SHOW_TUI, SHOW_CONSOLE };

struct wish {
    const char *name, *accel, *cpus, *kernel, *archive, *append, *timeout;
    enum show show;
};

static int parse(int argc, char **argv, struct wish *w)
{
    static const struct option longs[] = {
        {"name", required_argument, NULL, 'N'},
        {"accel", required_argument, NULL, 'A'},
        {"cpus", required_argument, NULL, 'C'},
        {"kernel", required_argument, NULL, 'K'},
        {"archive", required_argument, NULL, 'R'},
        {"append", required_argument, NULL, 'P'},
        {"timeout", required_argument, NULL, 't'},
        {"detach", no_argument, NULL, 'd'},
        {"tui", no_argument, NULL, 'u'},
        {"console", no_argument, NULL, 'c'},
        {0},
    };
    int c;

    opterr = 0;
    while ((c = getopt_long(argc, argv, "t:d", longs, NULL)) != -1) {
        switch (c) {
        case 'N':
            w->name = optarg;
            break;
        case 'A':
            w->accel = optarg;
            break;
        case 'C':
            w->cpus = optarg;
            break;
        case 'K':
            w->kernel = optarg;
            break;
        case 'R':
            w->archive = optarg;
            break;
        case 'P':
            w->append = optarg;
            break;
        case 't':
            w->timeout = optarg;
            break;
        case 'd':
            w->show = SHOW_DETACH;
            break;
        case 'u':
            w->show = SHOW_TUI;
            break;
        case 'c':
            w->show = SHOW_CONSOLE;
            break;
        default:
            return cli_fail(CLI_USAGE, "option '%s' is unknown or lacks its value", argv[optind - 1]);
        }
    }
    if (argc - optind > 1)
        return cli_fail(CLI_USAGE, "'%s' is one operand too many", argv[optind + 1]);
    return CLI_DONE;
}

static int copy(const char *what, const char *word, char *ret, size_t bytes)
{
    if (word && (size_t)snprintf(ret, bytes, "%s", word) >= bytes)
        return cli_fail(CLI_USAGE, "%s is too long: at most %zu characters", what, bytes - 1);
    return CLI_DONE;
}

static int configure(const struct wish *w, const char *file, struct machine_config *config)
{
    uint64_t cpus = 0;
    int status = CLI_DONE;

    machine_config_init(config);
    if (!file) {
        cli_build_file("delias.elf", config->kernel, sizeof config->kernel);
        cli_build_file("cells.archive", config->archive, sizeof config->archive);
    } else if (machine_config_load(file, config)) {
        return cli_fail(CLI_FAILED, "%s", machine_last_error());
    }
    if (w->accel && machine_backend_parse(w->accel, &config->backend))
        return cli_fail(CLI_USAGE, "--accel wants auto, kvm or tcg, not '%s'", w->accel);
    if (w->cpus)
        status = cli_number("--cpus", w->cpus, MACHINE_CPUS_MAX, &cpus);
    if (cpus)
        config->cpus = (unsigned)cpus;
    if (!status)
        status = copy("--name", w->name, config->name, sizeof config->name);
    if (!status)
        status = copy("--kernel", w->kernel, config->kernel, sizeof config->kernel);
    if (!status)
        status = copy("--archive", w->archive, config->archive, sizeof config->archive);
    if (!status && w->append) {
        size_t used = strlen(config->cmdline), room = sizeof config->cmdline - used;
        if ((size_t)snprintf(config->cmdline + used, room, "%s%s", used ? " " : "", w->append) >= room)
            return cli_fail(CLI_USAGE, "--append makes the command line longer than %zu characters",
                            sizeof config->cmdline - 1);
    }
    return status;
}

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static bool is_ready(const struct target *t)
{
    const struct arena_header *live = (const struct arena_header *)(t->ram + LAYOUT_ARENA_PHYS);

    return __atomic_load_n(&live->magic, __ATOMIC_ACQUIRE) == ARENA_MAGIC &&
           __atomic_load_n(&live->ready, __ATOMIC_ACQUIRE) != 0;
}

/* The last lines that the guest printed, as plain text. */
static void last_serial(const struct machine_info *info, char *ret_text, size_t bytes)
{
    FILE *f = fopen(info->serial, "r");
    size_t n = 0;

    if (f) {
        if (fseek(f, -(long)(bytes - 1), SEEK_END) != 0)
            rewind(f);
        n = fread(ret_text, 1, bytes - 1, f);
        fclose(f);
    }
    for (size_t i = 0; i < n; i++)
        if ((ret_text[i] < ' ' || ret_text[i] > '~') && ret_text[i] != '\n')
            ret_text[i] = ret_text[i] == '\r' ? ' ' : '?';
    ret_text[n] = '\0';
}

/* For whoever wonders why the guest is not ready. */
static void show_serial(const struct machine_info *info)
{
    char text[SERIAL_SHOWN];

    last_serial(info, text, sizeof text);
    if (*text)
        fprintf(stderr, "Last on its serial line:\n%s\n", text);
}

/* True when the guest has said to the end of the line that it cannot go on (panic_halt), and that line. */
static bool has_given_up(const struct machine_info *info, char ret_line[SERIAL_SHOWN])
{
    last_serial(info, ret_line, SERIAL_SHOWN);
    char *panic = strstr(ret_line, "PANIC: "), *start = panic;
    if (!panic || !strchr(panic, '\n'))
        return false;
    while (start > ret_line && start[-1] != '\n')
        start--;
    memmove(ret_line, start, strlen(start) + 1);
    ret_line[strcspn(ret_line, "\n")] = '\0';
    return true;
}

static int wait_ready(struct target *t, uint64_t timeout_s)
{
    uint64_t deadline = now_ms() + timeout_s * 1000;
    const struct machine_info *info = machine_info(t->machine);
    char line[SERIAL_SHOWN];

    if (t->ram_bytes < LAYOUT_ARENA_PHYS + LAYOUT_ARENA_BYTES)
        return cli_fail(CLI_FAILED, "machine %s has too little memory for a guest: %zu MiB", t->name,
                        t->ram_bytes >> 20);
    while (!is_ready(t)) {
        if (!machine_is_alive(t->machine)) {
            show_serial(info);
            return cli_fail(CLI_FAILED, "machine %s ended before its guest was ready", t->name);
        }
        if (has_given_up(info, line))
            return cli_fail(CLI_FAILED, "machine %s with kernel %s and archive %s gave up: %s", t->name, info->kernel,
                            info->archive, line);
        if (now_ms() > deadline) {
            show_serial(info);
            return cli_fail(
                CLI_FAILED,
                "the guest of machine %s was not ready within %lu s; give it longer with --timeout, or watch "
                "it start with --console",
                t->name, timeout_s);
        }
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000l}, NULL);
    }
    return CLI_DONE;
}

static void say_how(const struct target *t)
{
    const char *self = program_invocation_name;

    printf("Look at it: %s tui %s\n"
           "            %s cells %s\n"
           "            %s events %s --follow\n"
           "Stop it:    %s stop %s\n",
           self, t->name, self, t->name, self, t->name, self, t->name);
    fflush(stdout);
}

static int show(struct target *t, enum show how, uint64_t timeout_s)
{
    if (how == SHOW_CONSOLE) {
        fprintf(stderr, "Ctrl-] leaves the console, and the machine runs on.\n");
        return machine_console(t->machine, STDIN_FILENO, STDOUT_FILENO)
                   ? cli_fail(CLI_FAILED, "%s", machine_last_error())
                   : CLI_DONE;
    }
    int status = target_map(t, false);
    if (!status)
        status = wait_ready(t, timeout_s);
    if (status) {
        /* what does not come up must not be in the way of the next start */
        if (machine_stop(t->name))
            cli_warn("%s", machine_last_error());
        return status;
    }
    if (how == SHOW_TUI || (how == SHOW_UNDECIDED && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)))
        status = tui_main(t->name);
    say_how(t);
    return status;
}

int verb_run(int argc, char **argv)
{
    struct wish w = {0};
    struct machine_config config;
    struct target t = {0};
    uint64_t timeout_s = 60;
    int status = parse(argc, argv, &w);

    if (!status && w.timeout)
        status = cli_number("--timeout", w.timeout, 3600, &timeout_s);
    if (!status)
        status = configure(&w, argv[optind], &config);
    if (status)
        return status;
    if (machine_start(&config, &t.machine))
        return cli_fail(CLI_FAILED, "%s", machine_last_error());
    const struct machine_info *info = machine_info(t.machine);
    snprintf(t.name, sizeof t.name, "%s", info->name);
    printf("Machine %s runs on %s (%s), process %d.\n", info->name, machine_backend_name(info->backend), info->why,
           info->pid);
    fflush(stdout);
    status = config.paused ? CLI_DONE : show(&t, w.show, timeout_s);
    target_close(&t);
    return status;
}
