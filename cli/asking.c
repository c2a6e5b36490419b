/* See asking.h. */
#include "cli/asking.h"
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/cli.h"
#include "cli/swap_plan.h"

enum { TIMEOUT_S = 10, LOCK_MS = 5000 };

static int parse(int argc, char **argv, const char *shorts, struct asking *a)
{
    static const struct option longs[] = {
        {"machine", required_argument, NULL, 'm'},
        {"timeout", required_argument, NULL, 't'},
        {"json", no_argument, NULL, 'j'},
        {"dry-run", no_argument, NULL, 'n'},
        {"namespace", required_argument, NULL, 's'},
        {"cpu", required_argument, NULL, 'c'},
        {"recipes", required_argument, NULL, 'r'},
        {"simd", no_argument, NULL, 'S'},
        {0},
    };
    int c;

    a->timeout_s = TIMEOUT_S;
    opterr = 0;
    while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        if (c == '?' || !strchr(shorts, c))
            return cli_fail(CLI_USAGE, "option '%s' is unknown or lacks its value", argv[optind - 1]);
        switch (c) {
        case 'm':
            a->machine = optarg;
            break;
        case 't':
            if (cli_number("--timeout", optarg, 3600, &a->timeout_s))
                return CLI_USAGE;
            break;
        case 'j':
            a->json = true;
            break;
        case 'n':
            a->dry_run = true;
            break;
        case 's':
            a->namespace_ = optarg;
            break;
        case 'c':
            a->cpu = optarg;
            break;
        case 'r':
            a->recipes = optarg;
            break;
        case 'S':
            a->simd = true;
            break;
        }
    }
    a->argc = argc - optind;
    a->argv = argv + optind;
    return CLI_DONE;
}

/* What nobody reads now would be carried out later, when nobody expects it. */
static int check_running(const struct target *t)
{
    const char *state = machine_info(t->machine)->state;

    if (machine_refresh(t->machine) || strcmp(state, "running") == 0)
        return CLI_DONE;
    if (strcmp(state, "debug") == 0)
        return cli_fail(CLI_FAILED, "machine %s stands still in a debugger; let it continue there", t->name);
    return cli_fail(CLI_FAILED, "machine %s is %s; `delias resume %s` lets it go on", t->name, state, t->name);
}

int asking_open(int argc, char **argv, const char *shorts, int min, int max, struct asking *a)
{
    int status = parse(argc, argv, shorts, a);

    if (!status)
        status = target_open(&a->target, a->machine, &a->argc, &a->argv, min, max);
    if (status)
        return status;
    status = check_running(&a->target);
    if (!status)
        status = target_map(&a->target, true);
    if (!status && machine_lock(a->target.machine, LOCK_MS))
        status = cli_fail(CLI_FAILED, "%s", machine_last_error());
    if (status)
        target_close(&a->target);
    return status;
}

void asking_close(struct asking *a)
{
    machine_unlock(a->target.machine);
    target_close(&a->target);
}

static bool is_alive(void *machine)
{
    return machine_is_alive(machine);
}

static int no_answer(const struct asking *a, enum err e, size_t bytes)
{
    const char *name = a->target.name;

    switch (e) {
    case ERR_TIMEOUT:
        return cli_fail(CLI_FAILED,
                        "machine %s did not answer within %lu s; is it paused (`delias ps`) or hung "
                        "(`delias faults %s`)?",
                        name, a->timeout_s, name);
    case ERR_BUSY:
        return cli_fail(CLI_FAILED,
                        "machine %s has not completed an earlier request within %lu s; `delias reset %s` "
                        "starts it anew",
                        name, a->timeout_s, name);
    case ERR_NOT_RUNNING:
        return cli_fail(CLI_FAILED, "machine %s ended meanwhile", name);
    case ERR_RANGE:
        return cli_fail(CLI_FAILED, "%zu bytes are more than the mailbox of machine %s holds (%zu)", bytes, name,
                        request_room(a->target.ram, a->target.ram_bytes));
    case ERR_INVALID:
        return cli_fail(CLI_UNKNOWN, "machine %s has nothing with so long a name; at most %zu characters can be had",
                        name, sizeof((struct arena_request *)0)->target - 1);
    case ERR_NOT_FOUND:
        return cli_fail(CLI_FAILED, "the guest of machine %s is not ready yet", name);
    default:
        return cli_fail(CLI_FAILED, "machine %s: request ring: %s; `delias reset %s` starts it anew", name, err_text(e),
                        name);
    }
}

/* ---- what the guest answered ---- */

/* `plan` is used up; NULL: there is none. */
static void print_json(const struct arena_completion *c, json_t *plan)
{
    json_t *phases = json_array(), *o;

    for (uint32_t i = 0; i < c->phases; i++)
        json_array_append_new(phases,
                              json_pack("{s:s, s:I}", "name", c->phase[i].name, "ns", (json_int_t)c->phase[i].ns));
    o = json_pack("{s:b}", "ok", c->error == ERR_OK);
    if (c->error == ERR_OK)
        json_object_set_new(o, "error", json_null());
    else
        json_object_set_new(o, "error", json_sprintf("%s%s%s", err_text(c->error), *c->detail ? ": " : "", c->detail));
    json_object_set_new(o, "phases", phases);
    json_object_set_new(o, "pause_ns", json_integer((json_int_t)c->pause_ns));
    json_object_set_new(o, "relocations", json_integer((json_int_t)c->relocations));
    json_object_set_new(o, "words", json_integer((json_int_t)c->words));
    json_object_set_new(o, "frames", json_integer((json_int_t)c->frames));
    json_object_set_new(o, "tasks", json_integer((json_int_t)c->tasks));
    json_object_set_new(o, "transferred_bytes", json_integer((json_int_t)c->transferred_bytes));
    json_object_set_new(o, "detail", json_string(c->detail));
    if (plan)
        json_object_set_new(o, "plan", plan);
    json_dumpf(o, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(o);
}

static int read_plan(const struct asking *a, const struct arena_completion *c, struct swap_plan *ret_plan)
{
    struct swap_plan plan = {.items = c->items, .lost = c->items_lost};
    enum err e = request_plan(a->target.ram, a->target.ram_bytes, c, &plan.item);

    if (e)
        return cli_fail(CLI_FAILED, "machine %s: its plan cannot be read: %s", a->target.name, err_text(e));
    *ret_plan = plan;
    return CLI_DONE;
}

/* Of a refused plan, as far as it has come. */
static int print_answer(const struct asking *a, const struct arena_completion *c)
{
    struct swap_plan plan = {0};
    int status = a->dry_run ? read_plan(a, c, &plan) : CLI_DONE;

    if (status)
        return status;
    if (a->json)
        print_json(c, a->dry_run ? swap_plan_json(&plan) : NULL);
    else
        swap_plan_print(&plan);
    swap_plan_done(&plan);
    return CLI_DONE;
}

void asking_print(const struct arena_completion *c)
{
    print_json(c, NULL);
}

int asking_post(struct asking *a, const struct request *request, const char *what, struct arena_completion *ret)
{
    struct request r = *request;

    if (!r.namespace_)
        r.namespace_ = a->namespace_;
    enum err e = request_post(a->target.ram, a->target.ram_bytes, &r, (int)a->timeout_s * 1000, is_alive,
                              a->target.machine, ret);

    if (e)
        return no_answer(a, e, request->mailbox_bytes);
    int status = print_answer(a, ret);
    if (status || ret->error == ERR_OK)
        return status;
    fflush(stdout);
    return cli_fail(ret->error == ERR_NOT_FOUND ? CLI_UNKNOWN : CLI_FAILED, "%s: refused: %s%s%s", what,
                    err_text(ret->error), *ret->detail ? ": " : "", ret->detail);
}
