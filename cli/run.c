/* The verb run: starts a machine, waits until its guest is ready, and shows it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "cli/cli.h"
#include "cli/files.h"
#include "cli/target.h"
#include "cli/verbs.h"
#include "guest/abi/layout.h"
#include "introspect/base/clock.h"
#include "tui/tui.h"

enum { SERIAL_SHOWN = 2048, POLL_MS = 20, TIMEOUT_S = 60 };
static enum cli_status copy_option(const char *what, const char *word, char *ret, size_t bytes)
{
    if (word && (size_t)snprintf(ret, bytes, "%s", word) >= bytes)
        return cli_fail(CLI_USAGE, "%s is too long: at most %zu characters", what, bytes - 1);
    return CLI_DONE;
}

static enum cli_status append_to_command_line(const char *words, struct machine_config *config)
{
    size_t used = strlen(config->cmdline), room = sizeof config->cmdline - used;

    if ((size_t)snprintf(config->cmdline + used, room, "%s%s", used ? " " : "", words) >= room)
        return cli_fail(CLI_USAGE, "--append makes the command line longer than %zu characters",
                        sizeof config->cmdline - 1);
    return CLI_DONE;
}

static enum cli_status configure(const struct call *call, struct machine_config *config)
{
    char path[MACHINE_PATH_MAX];

    machine_config_init(config);
    if (call->argc)
        files_find(FILES_MACHINES, call->argv[0], path, sizeof path);
    if (!call->argc) {
        files_path("delias.elf", config->kernel, sizeof config->kernel);
        files_path("cells.archive", config->archive, sizeof config->archive);
    } else if (machine_config_load(path, config)) {
        return cli_fail(CLI_FAILED, "%s", machine_last_error());
    }
    if (call->accel && machine_backend_parse(call->accel, &config->backend))
        return cli_fail(CLI_USAGE, "--accel wants auto, kvm or tcg, not '%s'", call->accel);
    if (call->connect && !*call->connect)
        return cli_fail(CLI_USAGE, "--connect wants a URI of libvirt, such as qemu:///session");
    if (call->cpus.given)
        config->cpus = (unsigned)call->cpus.value;
    if (call->ram.given)
        config->ram_bytes = call->ram.value;
    if (call->ram.given && machine_check_ram(config->ram_bytes))
        return cli_fail(CLI_USAGE, "--ram: %s", machine_last_error());
    enum cli_status status = copy_option("--name", call->name, config->name, sizeof config->name);
    if (!status)
        status = copy_option("--connect", call->connect, config->connect, sizeof config->connect);
    if (!status)
        status = copy_option("--kernel", call->kernel, config->kernel, sizeof config->kernel);
    if (!status)
        status = copy_option("--archive", call->archive, config->archive, sizeof config->archive);
    return status || !call->append ? status : append_to_command_line(call->append, config);
}

static bool is_ready(const struct target *t)
{
    const struct arena_header *live = (const struct arena_header *)(t->ram + LAYOUT_ARENA_PHYS);

    return __atomic_load_n(&live->magic, __ATOMIC_ACQUIRE) == ARENA_MAGIC &&
           __atomic_load_n(&live->ready, __ATOMIC_ACQUIRE) != 0;
}

/* Reads the last lines that the guest printed, as plain text. */
static void last_serial(const struct machine_info *info, char *ret_text, size_t bytes)
{
    OWN(file) FILE *f = fopen(info->serial, "r");
    size_t n = 0;

    if (f) {
        if (fseek(f, -(long)(bytes - 1), SEEK_END) != 0)
            rewind(f);
        n = fread(ret_text, 1, bytes - 1, f);
    }
    for (size_t i = 0; i < n; i++)
        if ((ret_text[i] < ' ' || ret_text[i] > '~') && ret_text[i] != '\n')
            ret_text[i] = ret_text[i] == '\r' ? ' ' : '?';
    ret_text[n] = '\0';
}

/* Shows why the guest may not be ready. */
static void show_serial(const struct machine_info *info)
{
    char text[SERIAL_SHOWN];

    last_serial(info, text, sizeof text);
    if (*text)
        fprintf(stderr, "Last on its serial line:\n%s\n", text);
}

/* Whether the guest has printed that it halts (panic_halt), and that line. */
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

static enum cli_status wait_ready(struct target *t, uint64_t timeout_s)
{
    int64_t deadline = clock_ms() + (int64_t)timeout_s * 1000;
    const struct machine_info *info = machine_info(t->machine);
    char line[SERIAL_SHOWN];

    if (t->ram_bytes < LAYOUT_ARENA_PHYS + LAYOUT_ARENA_BYTES)
        return cli_fail(CLI_FAILED, "machine %s has too little memory for a guest: %zu MiB", t->name,
                        t->ram_bytes >> 20);
    while (!is_ready(t)) {
        if (!machine_is_alive(t->machine)) {
            if (machine_check_place(t->machine))
                return cli_fail(CLI_FAILED, "%s", machine_last_error());
            show_serial(info);
            return cli_fail(CLI_FAILED, "machine %s ended before its guest was ready", t->name);
        }
        if (has_given_up(info, line))
            return cli_fail(CLI_FAILED, "machine %s with kernel %s and archive %s gave up: %s", t->name, info->kernel,
                            info->archive, line);
        if (clock_ms() > deadline) {
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

static void print_next_steps(const struct target *t)
{
    const char *self = program_invocation_name;

    printf("Look at it: %s tui %s\n"
           "            %s cells %s\n"
           "            %s events %s --follow\n"
           "Stop it:    %s stop %s\n",
           self, t->name, self, t->name, self, t->name, self, t->name);
    fflush(stdout);
}

static enum cli_status show_console(const struct target *t)
{
    fprintf(stderr, "Ctrl-] leaves the console, and the machine runs on.\n");
    return machine_console(t->machine, STDIN_FILENO, STDOUT_FILENO) ? cli_fail(CLI_FAILED, "%s", machine_last_error())
                                                                    : CLI_DONE;
}

/* Waits until the guest is ready, then opens the TUI on a terminal, unless --detach is given. */
static enum cli_status show_machine(struct target *t, const struct call *call)
{
    bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    enum cli_status status = target_map(t, false);

    if (!status)
        status = wait_ready(t, call->timeout.given ? call->timeout.value : TIMEOUT_S);
    if (status) {
        /* a guest that does not start must not be in the way of the next one */
        if (machine_end(t->machine))
            cli_warn("%s", machine_last_error());
        return status;
    }
    if (call->tui || (terminal && !call->detach))
        status = tui_main(t->name, false);
    print_next_steps(t);
    return status;
}

enum cli_status verb_run(struct call *call)
{
    CLOSED_BY(target_close) struct target t = {0};
    struct machine_config config;

    if (call->detach + call->tui + call->console > 1)
        return cli_fail(CLI_USAGE, "say one of --detach, --tui and --console");
    enum cli_status status = configure(call, &config);

    if (status)
        return status;
    if (machine_start(&config, &t.machine))
        return cli_fail(CLI_FAILED, "%s", machine_last_error());
    const struct machine_info *info = machine_info(t.machine);
    snprintf(t.name, sizeof t.name, "%s", info->name);
    printf("Machine %s runs on %s (%s), process %d.\n", info->name, machine_backend_name(info->backend), info->why,
           info->pid);
    fflush(stdout);
    if (config.paused)
        return CLI_DONE;
    return call->console ? show_console(&t) : show_machine(&t, call);
}
