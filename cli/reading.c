/* See reading.h. */
#include "cli/reading.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "cli/cli.h"

enum { ROUND_MS = 1000, STREAM_MS = 200 };

struct options {
    const char *machine;
};

static int parse(int argc, char **argv, const struct reading_rule *rule, struct reading *r, struct options *o)
{
    static const struct option longs[] = {
        {"machine", required_argument, NULL, 'm'},
        {"follow", no_argument, NULL, 'f'},
        {"json", no_argument, NULL, 'j'},
        {"all", no_argument, NULL, 'a'},
        {"in", no_argument, NULL, 'i'},
        {"last", required_argument, NULL, 'n'},
        {0},
    };
    int c;

    opterr = 0;
    while ((c = getopt_long(argc, argv, "m:fjain:", longs, NULL)) != -1) {
        if (c == '?' || (strchr("ain", c) && !strchr(rule->options, c)))
            return cli_fail(CLI_USAGE, "option '%s' is unknown or lacks its value", argv[optind - 1]);
        switch (c) {
        case 'm':
            o->machine = optarg;
            break;
        case 'f':
            r->follow = true;
            break;
        case 'j':
            r->json = true;
            break;
        case 'a':
            r->all = true;
            break;
        case 'i':
            r->in = true;
            break;
        case 'n':
            if (cli_number("--last", optarg, UINT64_MAX, &r->last))
                return CLI_USAGE;
            break;
        }
    }
    r->argc = argc - optind;
    r->argv = argv + optind;
    return CLI_DONE;
}

static int one_round(struct reading *r, const struct reading_rule *rule)
{
    r->view = r->target->view;
    int status = rule->fill(r);
    if (status)
        return status;
    if (r->follow && !rule->stream && !r->json && isatty(STDOUT_FILENO))
        fputs("\033[H\033[2J", stdout);
    if (rule->print)
        rule->print(r);
    else if (r->follow && rule->stream)
        out_stream(r->out);
    else
        out_print(r->out);
    return fflush(stdout) == 0 ? CLI_DONE : CLI_FAILED;
}

static void rest(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

/* Until the machine ends, or a round fails; a guest that starts anew is waited for. */
static int follow(struct reading *r, const struct reading_rule *rule)
{
    int status = CLI_DONE;

    while (!status && machine_is_alive(r->target->machine)) {
        bool booting;

        rest(rule->stream ? STREAM_MS : ROUND_MS);
        status = target_look_again(r->target, &booting);
        if (!status && !booting)
            status = one_round(r, rule);
    }
    return status;
}

int reading_run(int argc, char **argv, const struct reading_rule *rule)
{
    struct options o = {0};
    struct target t;
    struct reading r = {.target = &t};
    int status = parse(argc, argv, rule, &r, &o);

    if (!status)
        status = target_open(&t, o.machine, &r.argc, &r.argv, rule->min, rule->max);
    if (status)
        return status;
    r.out = out_new(rule->columns, r.json);
    status = target_map(&t, false);
    if (!status)
        status = target_look(&t);
    if (!status)
        status = one_round(&r, rule);
    if (!status && r.follow)
        status = follow(&r, rule);
    out_free(r.out);
    target_close(&t);
    return status ? status : r.failed ? CLI_FAILED : CLI_DONE;
}
