/* The verb tui. */
#include "tui/tui.h"
#include <stdio.h>
#include <unistd.h>
#include "cli/cli.h"
#include "cli/target.h"
#include "cli/verbs.h"

int verb_tui(int argc, char **argv)
{
    struct target t;
    char name[MACHINE_NAME_MAX + 1];
    int status = target_parse(&t, argc, argv);

    if (status)
        return status;
    snprintf(name, sizeof name, "%s", t.name);
    target_close(&t);
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return cli_fail(CLI_FAILED, "wants a terminal; `delias cells %s` and the like print to anything", name);
    return tui_main(name);
}
