/* The verb tui. */
#include "tui/tui.h"
#include <stdio.h>
#include <unistd.h>
#include "cli/target.h"
#include "cli/verbs.h"

enum cli_status verb_tui(struct call *call)
{
    CLOSED_BY(target_close) struct target t = {0};
    enum cli_status status = target_open(&t, call);

    if (status)
        return status;
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return cli_fail(CLI_FAILED, "wants a terminal; `delias cells %s` and the like print to anything", t.name);
    return tui_main(t.name, call->readonly);
}
