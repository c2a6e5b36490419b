/* See asking.h. */
#include "cli/asking.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/cli.h"
#include "cli/out.h"
#include "cli/swap_plan.h"

enum { TIMEOUT_S = 10 };

static uint64_t timeout_s(const struct asking *a)
{
    return a->call->timeout.given ? a->call->timeout.value : TIMEOUT_S;
}

/* A paused guest would carry the request out later, when nobody expects it. */
static enum cli_status check_running(const struct target *t)
{
    const char *state = machine_info(t->machine)->state;

    enum err e = machine_refresh(t->machine);

    if (e == ERR_BUSY)
        return cli_fail(CLI_FAILED, "%s", machine_last_error());
    if (e || strcmp(state, "running") == 0)
        return CLI_DONE;
    if (strcmp(state, "debug") == 0)
        return cli_fail(CLI_FAILED, "machine %s stands still in a debugger; let it continue there", t->name);
    return cli_fail(CLI_FAILED, "machine %s is %s; `delias resume %s` lets it go on", t->name, state, t->name);
}

/* Whoever keeps the lock for as long as one request may take has lost it to those who wait. */
static enum cli_status take_lock(const struct asking *a)
{
    int timeout_ms = (int)timeout_s(a) * 1000;

    return machine_lock(a->target.machine, timeout_ms, timeout_ms) ? cli_fail(CLI_FAILED, "%s", machine_last_error())
                                                                   : CLI_DONE;
}

enum cli_status asking_open(struct asking *a, struct call *call)
{
    *a = (struct asking){.call = call, .namespace_ = call->namespace_, .given = call->namespace_};
    enum cli_status status = target_open(&a->target, call);

    if (!status)
        status = check_running(&a->target);
    if (!status)
        status = target_map(&a->target, true);
    if (status)
        return status;
    return take_lock(a);
}

void asking_close(struct asking *a)
{
    target_close(&a->target); /* which gives the lock back */
}

static bool is_alive(void *machine)
{
    return machine_is_alive(machine);
}

/* A program that was stopped has lost the lock: before its request is posted it waits in line again. */
static enum cli_status post_in_turn(const struct asking *a, const struct request *request, enum err *ret_error,
                                    struct arena_completion *ret)
{
    struct request_caller caller = {.is_alive = is_alive, .context = a->target.machine};
    enum cli_status status;

    do {
        if ((status = take_lock(a)))
            return status;
        caller.fence = machine_fence(a->target.machine);
        *ret_error = request_post(a->target.ram, a->target.ram_bytes, request, (int)timeout_s(a) * 1000, &caller, ret);
    } while (*ret_error == ERR_CLOSED);
    return CLI_DONE;
}

static enum cli_status no_answer(const struct asking *a, enum err e, size_t bytes)
{
    const char *name = a->target.name;

    switch (e) {
    case ERR_TIMEOUT:
        return cli_fail(CLI_FAILED,
                        "machine %s did not answer within %lu s; is it paused (`delias ps`) or hung "
                        "(`delias faults %s`)?",
                        name, timeout_s(a), name);
    case ERR_BUSY:
        return cli_fail(CLI_FAILED,
                        "machine %s has not completed an earlier request within %lu s; `delias reset %s` "
                        "restarts its guest",
                        name, timeout_s(a), name);
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
        return cli_fail(CLI_FAILED, "machine %s: request ring: %s; `delias reset %s` restarts its guest", name,
                        err_text(e), name);
    }
}

/* ---- what the guest answered ---- */

/* Releases `plan`; NULL: there is none. */
static void print_answer_json(const struct arena_completion *c, json_t *plan)
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
    out_json(o);
}

static enum cli_status read_plan(const struct asking *a, const struct arena_completion *c, struct swap_plan *ret_plan)
{
    struct swap_plan plan = {.items = c->items, .lost = c->items_lost};
    enum err e = request_plan(a->target.ram, a->target.ram_bytes, c, &plan.item);

    if (e)
        return cli_fail(CLI_FAILED, "machine %s: its plan cannot be read: %s", a->target.name, err_text(e));
    if (!machine_has_lock(a->target.machine)) {
        swap_plan_done(&plan);
        return cli_fail(CLI_FAILED, "this program was stopped, and the plan has made way for another one's request");
    }
    *ret_plan = plan;
    return CLI_DONE;
}

/* Prints the plan of a dry run, also a refused one as far as it was made. Whoever reads our output may be slow, or not
 * read on: the lock is given back before. */
static enum cli_status print_answer(struct asking *a, const struct arena_completion *c)
{
    CLOSED_BY(swap_plan_done) struct swap_plan plan = {0};
    enum cli_status status = a->call->dry_run ? read_plan(a, c, &plan) : CLI_DONE;

    machine_unlock(a->target.machine);
    if (status)
        return status;
    if (a->call->json)
        print_answer_json(c, a->call->dry_run ? swap_plan_json(&plan) : NULL);
    else
        swap_plan_print(&plan);
    return CLI_DONE;
}

void asking_print(const struct arena_completion *c)
{
    print_answer_json(c, NULL);
}

enum cli_status asking_post(struct asking *a, const struct request *request, const char *what,
                            struct arena_completion *ret)
{
    struct request r = *request;

    if (!r.namespace_)
        r.namespace_ = a->namespace_;
    enum err e;
    enum cli_status status = post_in_turn(a, &r, &e, ret);

    if (status)
        return status;
    if (e)
        return no_answer(a, e, request->mailbox_bytes);
    a->refused = (enum err)ret->error;
    status = print_answer(a, ret);
    if (status || ret->error == ERR_OK)
        return status;
    fflush(stdout);
    bool said = ret->error == ERR_REFUSED && *ret->detail; /* which needs no words of its own */
    return cli_fail(ret->error == ERR_NOT_FOUND ? CLI_UNKNOWN : CLI_FAILED, "%s: refused: %s%s%s", what,
                    said ? "" : err_text(ret->error), *ret->detail && !said ? ": " : "", ret->detail);
}

/* ---- names of cells ---- */

/* One request is about one namespace: that of the first cell, which must be what --namespace says. */
static enum cli_status fix_namespace(struct asking *a, const char *words, const struct qualified *name)
{
    const char *want = *name->namespace_ ? name->namespace_ : a->given ? a->given : "root";

    if ((a->given || a->named) && strcmp(want, a->namespace_) != 0)
        return cli_fail(CLI_USAGE, "'%s' is in namespace %s, and one request is about one namespace, here %s", words,
                        want, a->namespace_);
    a->named = true;
    if (!a->given) {
        snprintf(a->space, sizeof a->space, "%s", want);
        a->namespace_ = a->space;
    }
    return CLI_DONE;
}

static enum cli_status read_cell(struct asking *a, const char *words, struct qualified *ret_name)
{
    enum cli_status status = target_parse(words, ret_name);

    if (status)
        return status;
    if (*ret_name->rest || ret_name->cell[0] == '#')
        return cli_fail(CLI_UNKNOWN, "there can be no cell '%s'; say CELL or NAMESPACE/CELL", words);
    return fix_namespace(a, words, ret_name);
}

enum cli_status asking_name(struct asking *a, const char *words, char ret_cell[ASKING_CELL])
{
    struct qualified name;
    enum cli_status status = read_cell(a, words, &name);

    if (!status)
        memcpy(ret_cell, name.cell, ASKING_CELL);
    return status;
}

enum cli_status asking_cell(struct asking *a, const char *words, enum qualified_reach reach, char ret_cell[ASKING_CELL])
{
    struct cell_ref cell;
    struct qualified name;
    enum cli_status status = read_cell(a, words, &name);

    if (!status && !a->target.view)
        status = target_look(&a->target);
    if (status)
        return status;
    if (!*name.namespace_ && a->given) {
        snprintf(name.namespace_, sizeof name.namespace_, "%s", a->given);
        reach = QUALIFIED_SEEN;
    }
    status = target_named(&a->target, &name, reach, &cell);
    if (!status)
        memcpy(ret_cell, name.cell, ASKING_CELL);
    return status;
}

bool asking_loaded_object(const struct asking *a, const char *cell, uint64_t *ret_hash)
{
    const struct view *v = a->target.view;
    struct namespace_ref namespace_ = a->namespace_ ? view_find_namespace(v, a->namespace_) : NAMESPACE_ROOT;
    const struct arena_cell *c = namespace_.index ? view_cell(v, view_find_cell(v, namespace_, cell)) : NULL;
    const struct arena_object *object = c && c->state == CELL_LIVE ? view_object(v, c->object) : NULL;

    if (object)
        *ret_hash = object->hash;
    return object != NULL;
}
