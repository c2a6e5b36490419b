/* See reading.h. */
#include "cli/reading.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { ROUND_MS = 1000, STREAM_MS = 200 };

static enum cli_status one_round(struct reading *r, const struct reading_rule *rule)
{
    r->view = r->target->view;
    enum cli_status status = rule->fill(r);
    if (status)
        return status;
    if (r->call->follow && !rule->stream && !r->call->json && isatty(STDOUT_FILENO))
        fputs("\033[H\033[2J", stdout);
    if (rule->print)
        rule->print(r);
    else if (r->call->follow && rule->stream)
        out_stream(r->out);
    else
        out_print(r->out);
    return fflush(stdout) == 0 && !ferror(stdout) ? CLI_DONE : CLI_FAILED; /* main says why */
}

static void sleep_ms(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

/* Repeats rounds until the machine ends or one fails. Waits for a guest that is reset. */
static enum cli_status follow_rounds(struct reading *r, const struct reading_rule *rule)
{
    enum cli_status status = CLI_DONE;

    while (!status && machine_is_alive(r->target->machine)) {
        bool booting;

        sleep_ms(rule->stream ? STREAM_MS : ROUND_MS);
        status = target_look_again(r->target, &booting);
        if (!status && !booting)
            status = one_round(r, rule);
    }
    return status;
}

enum cli_status reading_run(struct call *call, const struct reading_rule *rule)
{
    CLOSED_BY(target_close) struct target t = {0};
    OWN(out) struct out *out = out_new(rule->columns, call->json);
    struct reading r = {.call = call, .target = &t, .out = out, .in = call->in};
    enum cli_status status = target_open(&t, call);

    if (!status)
        status = target_map(&t, false);
    if (!status)
        status = target_look(&t);
    if (!status)
        status = one_round(&r, rule);
    if (!status && call->follow)
        status = follow_rounds(&r, rule);
    return status ? status : r.failed ? CLI_FAILED : CLI_DONE;
}
