/* `delias`: one command with git-like verbs over the host libraries. Finds the verb; leaves everything else to it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "cli/cli.h"
#include "cli/verbs.h"

/* The usage, summary and options of the verb that runs. */
static int help(void)
{
    printf("usage: delias %s %s\n\n%s.\n", cli_verb->name, cli_verb->usage, cli_verb->summary);
    if (cli_verb->help)
        printf("\n%s", cli_verb->help);
    return CLI_DONE;
}

static int overview(FILE *f)
{
    fputs("usage: delias VERB [OPERAND ...] [OPTION ...]\n\n", f);
    for (const struct verb *v = verbs; v->name; v++)
        fprintf(f, "  %-11s %s\n", v->name, v->summary);
    fputs("\n`delias VERB --help` says more; so does delias(1).\n"
          "Exit status: 0 done, 1 failed, 2 wrong usage, 3 no such machine or cell.\n",
          f);
    return f == stdout ? CLI_DONE : CLI_USAGE;
}

static const struct verb *find(const char *name)
{
    for (const struct verb *v = verbs; v->name; v++)
        if (strcmp(v->name, name) == 0)
            return v;
    return NULL;
}

static int wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0)
            return 1;
    return 0;
}

/* A full disk must not look like success. */
static int flushed(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    fprintf(stderr, "delias: standard output: %s\n", strerror(errno));
    return status ? status : CLI_FAILED;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";

    if (argc < 2)
        return overview(stderr);
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || (strcmp(name, "help") == 0 && argc == 2))
        return flushed(overview(stdout));
    if (strcmp(name, "help") == 0)
        name = argv[2];
    cli_verb = find(name);
    if (!cli_verb) {
        fprintf(stderr, "delias: there is no verb '%s'; `delias --help` lists them\n", name);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "help") == 0 || wants_help(argc - 1, argv + 1))
        return flushed(help());
    return flushed(cli_verb->run(argc - 1, argv + 1));
}
