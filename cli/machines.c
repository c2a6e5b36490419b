/* The verbs about machines as such: ps, stop, pause, resume, reset, console. */
#include <stdio.h>
#include <unistd.h>
#include "cli/cli.h"
#include "cli/out.h"
#include "cli/target.h"
#include "cli/verbs.h"

static const struct column ps_columns[] = {
    {.key = "name"},     {.key = "backend"}, {.key = "state"}, {.key = "pid", .kind = COLUMN_NUMBER},
    {.key = "ram_file"}, {.key = "qmp"},     {.key = "gdb"},   {0},
};

enum cli_status verb_ps(struct call *call)
{
    OWN(memory) struct machine_info *infos = NULL;
    OWN(out) struct out *out = out_new(ps_columns, call->json);
    size_t count = 0;

    if (machine_list(&infos, &count))
        return cli_fail(CLI_FAILED, "%s", machine_last_error());
    machine_ask_states(infos, count);
    for (size_t i = 0; i < count; i++) {
        out_text(out, infos[i].name);
        out_text(out, machine_backend_name(infos[i].backend));
        out_text(out, infos[i].state);
        out_number(out, (uint64_t)infos[i].pid);
        out_text(out, infos[i].ram_file);
        out_text(out, infos[i].qmp);
        out_text(out, infos[i].gdb);
    }
    out_print(out);
    return CLI_DONE;
}

enum cli_status verb_attach(struct call *call)
{
    OWN(machine) struct machine *machine = NULL;

    if (!call->connect || !*call->connect)
        return cli_fail(CLI_USAGE, "--connect URI says where libvirt has the domain, such as qemu:///session");
    enum err e = machine_attach(call->connect, call->argv[0], call->name, &machine);
    if (e)
        return cli_fail(e == ERR_NOT_FOUND ? CLI_UNKNOWN : CLI_FAILED, "%s", machine_last_error());
    const struct machine_info *info = machine_info(machine);
    printf("Machine %s is domain %s of %s, process %d.\n", info->name, info->domain, info->connect, info->pid);
    if (machine_ram_is_copied(machine))
        cli_warn("machine %s: it can be read only, by way of QEMU's monitor, which is slow: %s", info->name, info->why);
    return CLI_DONE;
}

enum cli_status verb_detach(struct call *call)
{
    enum err e = machine_detach(call->argv[0]);

    return e ? cli_fail(e == ERR_NOT_FOUND ? CLI_UNKNOWN : CLI_FAILED, "%s", machine_last_error()) : CLI_DONE;
}

static enum cli_status with_machine(struct call *call, enum err (*act)(struct machine *machine))
{
    CLOSED_BY(target_close) struct target t = {0};
    enum cli_status status = target_open(&t, call);

    if (!status && act(t.machine))
        status = cli_fail(CLI_FAILED, "%s", machine_last_error());
    return status;
}

enum cli_status verb_pause(struct call *call)
{
    return with_machine(call, machine_pause);
}

enum cli_status verb_resume(struct call *call)
{
    return with_machine(call, machine_resume);
}

enum cli_status verb_reset(struct call *call)
{
    return with_machine(call, machine_reset);
}

static enum err console(struct machine *machine)
{
    if (isatty(STDIN_FILENO))
        fprintf(stderr, "Connected to %s; Ctrl-] leaves, and the machine runs on.\n", machine_info(machine)->name);
    return machine_console(machine, STDIN_FILENO, STDOUT_FILENO);
}

enum cli_status verb_console(struct call *call)
{
    return with_machine(call, console);
}

/* A name is taken as it is: what an ended machine left can be stopped too. */
enum cli_status verb_stop(struct call *call)
{
    CLOSED_BY(target_close) struct target t = {0};
    const char *name = call->machine || !call->argc ? NULL : call->argv[0];

    if (call->machine && call->argc)
        return cli_fail(CLI_USAGE, "'%s' is one operand too many", call->argv[0]);
    enum cli_status status = name ? CLI_DONE : target_open(&t, call);
    if (status)
        return status;
    enum err e = machine_stop(name ? name : t.name);
    return e ? cli_fail(e == ERR_NOT_FOUND ? CLI_UNKNOWN : CLI_FAILED, "%s", machine_last_error()) : CLI_DONE;
}
