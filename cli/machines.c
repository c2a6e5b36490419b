/* The verbs about machines as such: ps, stop, pause, resume, reset, console. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/cli.h"
#include "cli/out.h"
#include "cli/target.h"
#include "cli/verbs.h"

static const struct column ps_columns[] = {
    {"name", COLUMN_TEXT, 0},     {"backend", COLUMN_TEXT, 0}, {"state", COLUMN_TEXT, 0}, {"pid", COLUMN_NUMBER, 0},
    {"ram_file", COLUMN_TEXT, 0}, {"qmp", COLUMN_TEXT, 0},     {"gdb", COLUMN_TEXT, 0},   {0},
};

int verb_ps(int argc, char **argv)
{
    struct machine_info *infos = NULL;
    size_t count = 0;
    bool json;
    int status = cli_parse_json(argc, argv, &json);

    if (status)
        return status;
    if (machine_list(&infos, &count))
        return cli_fail(CLI_FAILED, "%s", machine_last_error());

    struct out *out = out_new(ps_columns, json);
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
    out_free(out);
    free(infos);
    return CLI_DONE;
}

static int with_machine(int argc, char **argv, enum err (*act)(struct machine *machine))
{
    struct target t;
    int status = target_parse(&t, argc, argv);

    if (status)
        return status;
    if (act(t.machine))
        status = cli_fail(CLI_FAILED, "%s", machine_last_error());
    target_close(&t);
    return status;
}

int verb_pause(int argc, char **argv)
{
    return with_machine(argc, argv, machine_pause);
}

int verb_resume(int argc, char **argv)
{
    return with_machine(argc, argv, machine_resume);
}

int verb_reset(int argc, char **argv)
{
    return with_machine(argc, argv, machine_reset);
}

static enum err console(struct machine *machine)
{
    if (isatty(STDIN_FILENO))
        fprintf(stderr, "Connected to %s; Ctrl-] leaves, and the machine runs on.\n", machine_info(machine)->name);
    return machine_console(machine, STDIN_FILENO, STDOUT_FILENO);
}

int verb_console(int argc, char **argv)
{
    return with_machine(argc, argv, console);
}

/* A name is taken as it is: what an ended machine left can be stopped too. */
int verb_stop(int argc, char **argv)
{
    struct target t = {0};
    bool named = argc == 2 && argv[1][0] != '-';
    int status = named ? CLI_DONE : target_parse(&t, argc, argv);

    if (status)
        return status;
    enum err e = machine_stop(named ? argv[1] : t.name);
    if (e)
        status = cli_fail(e == ERR_NOT_FOUND ? CLI_UNKNOWN : CLI_FAILED, "%s", machine_last_error());
    target_close(&t);
    return status;
}
