/* `delias inject`: changes a running guest's memory once, and says exactly what it changed. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include "cli/cli.h"
#include "cli/out.h"
#include "cli/target.h"
#include "cli/verbs.h"
#include "injector/inject.h"
#include "injector/watch.h"

enum { TRIGGER_MS = 60000, HOLD_POLL_MS = 2 };

struct asked {
    const struct call *call;
    struct target target;
    const char *model_words;
    struct place into;
    struct model_use model;
    struct watch_trigger at;
    uint64_t seed;
};

static void close_asked(struct asked *a)
{
    target_close(&a->target);
}

void inject_print_lists(void)
{
    char word[32];

    puts("\nTARGET is one of:");
    for (const struct place_form *f = place_forms; f->form; f++)
        options_print_word(stdout, f->form, "", f->summary);
    puts("\nMODEL is one of:");
    for (const struct model *m = models; m->name; m++) {
        snprintf(word, sizeof word, "%s%s", m->name, m->counted ? ":N" : "");
        options_print_word(stdout, word, "", m->summary);
    }
}

static enum cli_status fail_without_target(void)
{
    char forms[400] = "";
    size_t at = 0;

    for (const struct place_form *f = place_forms; f->form; f++)
        at += (size_t)snprintf(forms + at, sizeof forms - at, "%s%s", !at ? "" : f[1].form ? ", " : " or ", f->form);
    return cli_fail(CLI_USAGE, "--into TARGET is missing: %s", forms);
}

static enum cli_status parse_words(struct asked *a, const struct call *call)
{
    struct why why = {0};

    a->call = call;
    a->model_words = call->model ? call->model : models[0].name;
    if (!call->into)
        return fail_without_target();
    if (place_parse(call->into, &a->into, &why) || model_parse(a->model_words, &a->model, &why) ||
        (call->at && watch_parse(call->at, &a->at, &why)))
        return cli_fail(CLI_USAGE, "%s", why.text);
    if (call->hold.value && !a->model.model->holds)
        return cli_fail(CLI_USAGE, "--hold goes with stuck0 or stuck1, not with %s", a->model_words);
    a->seed = call->seed.value;
    if (!call->seed.given && getrandom(&a->seed, sizeof a->seed, 0) != sizeof a->seed)
        return cli_fail(CLI_FAILED, "no random numbers from the system; give --seed");
    return CLI_DONE;
}

static void print_injection_json(const struct asked *a, const struct injection *injection)
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
    json_t *all = json_pack("{s:s, s:s, s:s, s:s, s:o}", "machine", a->target.name, "target", a->call->into, "model",
                            a->model_words, "seed", number[3], "changes", changes);
    out_json(all);
}

static void print_injection(const struct asked *a, const struct injection *injection)
{
    char where[160], what[128];

    printf("%s %s into %s, seed %llu\n", a->call->dry_run ? "would inject" : "injected", a->model_words, a->call->into,
           (unsigned long long)a->seed);
    for (size_t i = 0; i < injection->changes; i++) {
        const struct change *c = &injection->change[i];

        inject_where(a->target.view, c, where, sizeof where);
        change_print(c, what, sizeof what);
        printf("  %s%s%s%s\n", where, *where ? "  " : "", what,
               c->before == c->after && !c->skip && !c->reg && !a->call->dry_run ? " (was so already)" : "");
    }
}

static enum cli_status hold(const struct asked *a, const struct inject_target *t, const struct injection *injection)
{
    uint64_t end = watch_now_ns() + a->call->hold.value * 1000000;

    fflush(stdout);
    while (watch_now_ns() < end) {
        if (!machine_is_alive(t->machine))
            return cli_fail(CLI_FAILED, "machine %s ended while a bit was held", a->target.name);
        inject_hold(t, a->target.view, injection);
        watch_sleep_ms(HOLD_POLL_MS);
    }
    return CLI_DONE;
}

/* Fills in what a dry run would change, from a copy of the memory. */
static void peek(const struct asked *a, struct injection *injection)
{
    uint8_t copy[8];

    for (size_t i = 0; i < injection->changes; i++) {
        struct change *c = &injection->change[i];
        const struct model_memory memory = {.ram = copy, .bytes = sizeof copy};
        uint64_t phys = c->phys;

        if (c->skip || c->reg)
            continue;
        for (unsigned n = 0; n < c->bytes; n++)
            copy[n] = a->target.ram[phys + n];
        c->phys = 0;
        (void)!change_apply(c, &memory, false);
        c->phys = phys;
    }
}

static enum cli_status inject(struct asked *a)
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
    enum cli_status status = target_look(&a->target);
    if (status)
        return status;
    e = inject_plan(a->target.view, &a->into, &a->model, &prng, &injection, &why);
    if (e)
        return cli_fail(e == ERR_NOT_FOUND ? CLI_UNKNOWN : CLI_FAILED, "machine %s: %s", a->target.name, why.text);
    if (a->call->dry_run)
        peek(a, &injection);
    else
        e = inject_apply(&t, a->target.view, &injection, &why);
    if (!e || injection.changes) /* after a failure: what was changed before it */
        (a->call->json ? print_injection_json : print_injection)(a, &injection);
    if (e)
        return cli_fail(CLI_FAILED, "machine %s: %s", a->target.name, why.text);
    return a->call->dry_run || !a->call->hold.value ? CLI_DONE : hold(a, &t, &injection);
}

enum cli_status verb_inject(struct call *call)
{
    CLOSED_BY(close_asked) struct asked a = {0};
    enum cli_status status = parse_words(&a, call);

    if (!status)
        status = target_open(&a.target, call);
    if (!status)
        status = target_map(&a.target, true);
    return status ? status : inject(&a);
}
