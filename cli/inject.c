/* `delias inject`: changes a running guest's memory once, and says exactly what it changed. */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include "cli/cli.h"
#include "cli/target.h"
#include "cli/verbs.h"
#include "injector/inject.h"
#include "injector/watch.h"

enum { TRIGGER_MS = 60000, HOLD_POLL_MS = 2 };

struct asked {
    struct target target;
    const char *machine, *into_words, *model_words;
    struct place into;
    struct model_use model;
    struct watch_trigger at;
    uint64_t seed;
    unsigned long hold_ms;
    bool seeded, json, dry_run;
};

static bool parse_number(const char *word, uint64_t *ret_number)
{
    char *end;

    *ret_number = strtoull(word, &end, 0);
    return *word && *word != '-' && !*end;
}

static int parse_option(int c, struct asked *a, struct why *why)
{
    uint64_t number;

    switch (c) {
    case 'm':
        a->machine = optarg;
        return CLI_DONE;
    case 'i':
        a->into_words = optarg;
        return place_parse(optarg, &a->into, why) ? CLI_USAGE : CLI_DONE;
    case 'o':
        a->model_words = optarg;
        return model_parse(optarg, &a->model, why) ? CLI_USAGE : CLI_DONE;
    case 'a':
        return watch_parse(optarg, &a->at, why) ? CLI_USAGE : CLI_DONE;
    case 's':
        a->seeded = parse_number(optarg, &a->seed);
        if (!a->seeded)
            why_fill(why, "--seed wants a number, not '%.60s'", optarg);
        return a->seeded ? CLI_DONE : CLI_USAGE;
    case 'h':
        if (!parse_number(optarg, &number) || number > 86400000) {
            why_fill(why, "--hold wants milliseconds, not '%.60s'", optarg);
            return CLI_USAGE;
        }
        a->hold_ms = number;
        return CLI_DONE;
    case 'j':
        a->json = true;
        return CLI_DONE;
    default:
        a->dry_run = true;
        return CLI_DONE;
    }
}

static int parse(int *argc, char ***argv, struct asked *a)
{
    static const struct option longs[] = {
        {"machine", required_argument, NULL, 'm'},
        {"into", required_argument, NULL, 'i'},
        {"model", required_argument, NULL, 'o'},
        {"at", required_argument, NULL, 'a'},
        {"seed", required_argument, NULL, 's'},
        {"hold", required_argument, NULL, 'h'},
        {"json", no_argument, NULL, 'j'},
        {"dry-run", no_argument, NULL, 'n'},
        {0},
    };
    struct why why = {0};
    int c;

    a->model_words = "flip";
    a->model = (struct model_use){.model = &models[0], .count = 1};
    opterr = 0;
    while ((c = getopt_long(*argc, *argv, "m:jn", longs, NULL)) != -1) {
        if (c == '?')
            return cli_fail(CLI_USAGE, "option '%s' is unknown or lacks its value", (*argv)[optind - 1]);
        int status = parse_option(c, a, &why);
        if (status)
            return cli_fail(status, "%s", why.text);
    }
    *argc -= optind;
    *argv += optind;
    if (!a->into_words)
        return cli_fail(CLI_USAGE, "--into TARGET is missing: cell:NAME[:SECTION], symbol:NAME, task:NAME:stack, "
                                   "phys:ADDRESS[+BYTES] or random");
    if (!a->seeded && getrandom(&a->seed, sizeof a->seed, 0) != sizeof a->seed)
        return cli_fail(CLI_FAILED, "no random numbers from the system; give --seed");
    return CLI_DONE;
}

static void print_json(const struct asked *a, const struct injection *injection)
{
    json_t *changes = json_array();
    char where[160], number[4][24];

    for (size_t i = 0; i < injection->changes; i++) {
        const struct change *c = &injection->change[i];

        inject_where(a->target.view, c, where, sizeof where);
        const uint64_t values[] = {c->phys, c->before, c->after};
        for (int n = 0; n < 3; n++)
            snprintf(number[n], sizeof number[n], "0x%llx", (unsigned long long)values[n]);
        json_t *o = json_pack("{s:s, s:s, s:i, s:s, s:s}", "place", where, "phys", number[0], "bytes", (int)c->bytes,
                              "before", number[1], "after", number[2]);
        json_object_set_new(o, "bit", change_bit(c) >= 0 ? json_integer(change_bit(c)) : json_null());
        json_array_append_new(changes, o);
    }
    snprintf(number[3], sizeof number[3], "%llu", (unsigned long long)a->seed);
    json_t *all = json_pack("{s:s, s:s, s:s, s:s, s:o}", "machine", a->target.name, "target", a->into_words, "model",
                            a->model_words, "seed", number[3], "changes", changes);
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}

static void print_table(const struct asked *a, const struct injection *injection)
{
    char where[160], what[128];

    printf("%s %s into %s, seed %llu\n", a->dry_run ? "would inject" : "injected", a->model_words, a->into_words,
           (unsigned long long)a->seed);
    for (size_t i = 0; i < injection->changes; i++) {
        const struct change *c = &injection->change[i];

        inject_where(a->target.view, c, where, sizeof where);
        change_print(c, what, sizeof what);
        printf("  %s%s%s%s\n", where, *where ? "  " : "", what,
               c->before == c->after && !a->dry_run ? " (was so already)" : "");
    }
}

static int hold(const struct asked *a, const struct inject_target *t, const struct injection *injection)
{
    uint64_t end = watch_now_ns() + a->hold_ms * 1000000;

    fflush(stdout);
    while (watch_now_ns() < end) {
        if (!machine_is_alive(t->machine))
            return cli_fail(CLI_FAILED, "machine %s ended while a bit was held", a->target.name);
        inject_hold(t, a->target.view, injection);
        watch_sleep_ms(HOLD_POLL_MS);
    }
    return CLI_DONE;
}

/* What is there now, where a dry run would change it. */
static void peek(const struct asked *a, struct injection *injection)
{
    uint8_t copy[8];

    for (size_t i = 0; i < injection->changes; i++) {
        struct change *c = &injection->change[i];
        const struct model_memory memory = {.ram = copy, .bytes = sizeof copy};
        uint64_t phys = c->phys;

        for (unsigned n = 0; n < c->bytes; n++)
            copy[n] = a->target.ram[phys + n];
        c->phys = 0;
        (void)!change_apply(c, &memory, false);
        c->phys = phys;
    }
}

static int inject(struct asked *a)
{
    struct injection injection = {0};
    struct prng prng = {a->seed};
    struct why why = {0};
    const struct inject_target t = {a->target.machine, a->target.ram, a->target.ram_bytes};
    enum err e = watch_wait(&a->at, t.ram, t.bytes, TRIGGER_MS, &why);

    if (e)
        return cli_fail(CLI_FAILED, "%s", why.text);
    if (!machine_is_alive(t.machine))
        return cli_fail(CLI_FAILED, "machine %s ended; nothing was injected", a->target.name);
    int status = target_look(&a->target);
    if (status)
        return status;
    e = inject_plan(a->target.view, &a->into, &a->model, &prng, &injection, &why);
    if (e)
        return cli_fail(e == ERR_NOT_FOUND ? CLI_UNKNOWN : CLI_FAILED, "machine %s: %s", a->target.name, why.text);
    if (a->dry_run)
        peek(a, &injection);
    else
        e = inject_apply(&t, a->target.view, &injection, &why);
    if (!e || injection.changes) /* what was changed before it failed is said too */
        (a->json ? print_json : print_table)(a, &injection);
    if (e)
        return cli_fail(CLI_FAILED, "machine %s: %s", a->target.name, why.text);
    return a->dry_run || !a->hold_ms ? CLI_DONE : hold(a, &t, &injection);
}

int verb_inject(int argc, char **argv)
{
    struct asked a = {0};
    int status = parse(&argc, &argv, &a);

    if (!status)
        status = target_open(&a.target, a.machine, &argc, &argv, 0, 0);
    if (status)
        return status;
    status = target_map(&a.target, true);
    if (!status)
        status = inject(&a);
    target_close(&a.target);
    return status;
}
