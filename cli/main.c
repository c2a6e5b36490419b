/* `delias`: one command with git-like verbs over the host libraries. Finds the verb; leaves everything else to it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/cli.h"
#include "cli/verbs.h"
#include "guest/abi/arena.h"
#include "introspect/base/standard.h"
#include "introspect/base/version.h"

static enum cli_status overview(FILE *f)
{
    fputs("usage: delias VERB [OPERAND ...] [OPTION ...]\n\n", f);
    for (const struct verb *v = verbs; v->name; v++)
        fprintf(f, "  %-11s %s\n", v->name, v->summary);
    fputs("\n`delias VERB --help` says more; so does delias(1).\n"
          "Exit status: 0 done, 1 failed, 2 wrong usage, 3 no such machine or cell.\n",
          f);
    return f == stdout ? CLI_DONE : CLI_USAGE;
}

static const struct verb *find_verb(const char *name)
{
    for (const struct verb *v = verbs; v->name; v++)
        if (strcmp(v->name, name) == 0)
            return v;
    return NULL;
}

static bool wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0)
            return true;
    return false;
}

/* A full disk must not look like success. */
static enum cli_status finish(enum cli_status status)
{
    return standard_finish("delias") || status ? status : CLI_FAILED;
}

void cli_no_memory(void)
{
    fputs("delias: out of memory\n", stderr);
    exit(CLI_FAILED);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    enum cli_status status = CLI_DONE;

    standard_open();
    if (argc < 2)
        return overview(stderr);
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || (strcmp(name, "help") == 0 && argc == 2))
        return finish(overview(stdout));
    if (strcmp(name, "--version") == 0) {
        printf(VERSION_FORMAT, "delias", DELIAS_VERSION, ARENA_VERSION);
        return finish(CLI_DONE);
    }
    if (strcmp(name, "help") == 0)
        name = argv[2];
    cli_verb = find_verb(name);
    if (!cli_verb) {
        fprintf(stderr, "delias: there is no verb '%s'; `delias --help` lists them\n", name);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "help") == 0 || wants_help(argc - 1, argv + 1))
        cli_help(cli_verb);
    else
        status = cli_run(cli_verb, argc - 1, argv + 1);
    return finish(status);
}
