/* See campaign.h. */
#include "injector/campaign.h"
#include "introspect/base/own.h"
#include "injector/activation.h"
#include "injector/exact.h"
#include "injector/rig.h"
#include "injector/workers.h"
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POLL_MS = 2 };

static bool guest_has_restarted(const struct rig *r, const struct glance *g)
{
    return !g->arena || g->boot_tsc != r->before.boot_tsc ||
           g->counter[COUNTER_rounds] < r->before.counter[COUNTER_rounds];
}

/* Whether `f` was logged since the injection, and at the latest at `g`. */
static bool is_ours(const struct rig *r, const struct glance *g, const struct arena_fault *f)
{
    return f->seq > r->before.fault_seq && f->seq <= g->fault_seq;
}

/* A fault that is still being worked on, or whose record is still being written. */
static bool is_recovering(const struct rig *r, const struct glance *g)
{
    enum err e;
    uint64_t logged = g->fault_seq - r->before.fault_seq, closed = 0;

    if (!logged)
        return false;
    OWN(view) struct view *view = view_take_anyway(r->target.ram, r->target.bytes, &e);
    if (!view)
        return true;
    const struct arena_fault *f;
    for (size_t n = 0; (f = view_fault(view, n)) != NULL; n++)
        closed += is_ours(r, g, f) && f->outcome != FAULT_OUTCOME_OPEN;
    uint64_t room = view_header(view)->table[ARENA_FAULTS].capacity - 1;
    return closed < (logged < room ? logged : room);
}

/* Whether the workload has delivered its rounds. It may count one again for each fault, and once for the injection. */
static bool has_delivered(const struct rig *r, const struct glance *g)
{
    uint64_t again = g->fault_seq - r->before.fault_seq + 1;

    return r->deliveries.rounds >= r->plan->rounds ||
           g->counter[COUNTER_rounds] - r->before.counter[COUNTER_rounds] >= r->plan->rounds + again;
}

static bool has_crashed(const struct rig *r, const struct glance *g)
{
    return !machine_is_alive(r->machine) || guest_has_restarted(r, g);
}

/* The workload has delivered its rounds, nothing is being recovered, and what the guest was asked for is answered. */
static bool has_finished(struct rig *r, const struct glance *g, bool stands)
{
    deliveries_look(&r->deliveries, r->target.ram, r->target.bytes, false);
    return moment_is_answered(&r->target, &r->plan->moment, stands, &r->request) && has_delivered(r, g) &&
           !is_recovering(r, g);
}

/* Waits until the workload has finished, the machine has ended, or time is up. */
static struct glance watch_workload(struct rig *r, const struct injection *injection, bool holds, bool *ret_crashed)
{
    uint64_t start = watch_now_ns();

    for (;;) {
        struct glance g = watch_glance(r->target.ram, r->target.bytes);

        *ret_crashed = has_crashed(r, &g);
        if (*ret_crashed || (watch_now_ns() - start) / 1000000 >= r->plan->timeout_ms || has_finished(r, &g, true))
            return g;
        if (holds)
            inject_hold(&r->target, r->view, injection);
        watch_sleep_ms(POLL_MS);
    }
}

static bool is_over(void *context, bool stands)
{
    struct rig *r = context;
    struct glance g = watch_glance(r->target.ram, r->target.bytes);

    return has_crashed(r, &g) || has_finished(r, &g, stands);
}

/* The same, at moments of the guest's own. It stands still then. */
static enum err watch_exactly(struct rig *r, const struct exact_touch *touch, struct glance *ret_glance,
                              bool *ret_crashed, struct why *why)
{
    enum err e = exact_watch(&r->target, COUNTER_rounds, r->plan->timeout_ms, is_over, r, touch, why);

    *ret_glance = watch_glance(r->target.ram, r->target.bytes);
    *ret_crashed = has_crashed(r, ret_glance);
    return e;
}

static bool is_in_recovery(const struct arena_fault *f)
{
    static const char *const cells[] = {"exception", "fault", "mend", "mend_second", "recovery", "unwind"};

    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
        if (strncmp(f->cell_name, cells[i], sizeof f->cell_name) == 0)
            return true;
    return false;
}

static void take_fault(const struct arena_fault *f, struct experiment *x)
{
    bool lost = f->outcome != FAULT_OUTCOME_RECOVERED;

    x->evidence.unrecovered += lost;
    x->evidence.replacing += lost && f->action == FAULT_ACTION_RELOAD;
    x->evidence.hanging += lost && f->kind == FAULT_HANG;
    x->evidence.in_recovery += is_in_recovery(f);
    x->evidence.halted |= f->action == FAULT_ACTION_HALT;
    if (lost && f->seq >= x->lost.seq)
        x->lost = *f;
}

static void take_faults(const struct rig *r, const struct glance *g, struct experiment *x)
{
    enum err e;
    OWN(view) struct view *after = view_take_anyway(r->target.ram, r->target.bytes, &e);

    const struct arena_fault *f;
    bool seen = false;

    for (size_t n = 0; after && (f = view_fault(after, n)) != NULL; n++) {
        if (!is_ours(r, g, f))
            continue;
        seen = true;
        if (f->kind == FAULT_DAMAGE) { /* put right before anything failed */
            x->evidence.faults--;
            continue;
        }
        take_fault(f, x);
        x->recovery_ns += f->recovery_ns;
        if (!x->has_fault) {
            x->has_fault = true;
            x->fault = *f;
            snprintf(x->fault_section, sizeof x->fault_section, "%s",
                     f->section.index ? view_section_name(after, f->section) : "");
        }
    }
    if (!seen) /* their records cannot be read: nothing says that they were closed */
        x->evidence.unrecovered = x->evidence.faults;
}

static uint64_t grown(const struct rig *r, const struct glance *g, enum arena_counter counter)
{
    return g->counter[counter] - r->before.counter[counter];
}

static void judge_experiment(struct rig *r, const struct glance *g, bool crashed, struct experiment *x)
{
    x->evidence =
        (struct evidence){.crashed = crashed, .wanted = r->plan->rounds, .unanswered = !moment_was_served(&r->request)};
    if (g->arena && !guest_has_restarted(r, g)) {
        deliveries_look(&r->deliveries, r->target.ram, r->target.bytes, true);
        x->evidence.rounds = r->deliveries.rounds;
        x->evidence.wrong = r->deliveries.wrong;
        x->evidence.lost = r->deliveries.lost;
        x->evidence.twice = r->deliveries.twice;
        x->evidence.bad = grown(r, g, COUNTER_checksums_bad);
        x->evidence.faults = g->fault_seq - r->before.fault_seq;
        x->evidence.reloads = grown(r, g, COUNTER_reloads);
        x->restarts = grown(r, g, COUNTER_restarts);
        x->recoveries = grown(r, g, COUNTER_recoveries);
        take_faults(r, g, x);
    }
    for (enum outcome_rule rule = 0; rule < OUTCOME_RULES; rule++) {
        x->outcome[rule] = outcome_classify(&x->evidence, rule);
        x->cause[rule] = outcome_cause(&x->evidence, rule);
    }
}

typedef char place_name[sizeof((struct experiment *)0)->where[0]];

static void name_places(const struct rig *r, const struct injection *injection, place_name *ret_where)
{
    for (size_t i = 0; i < injection->changes; i++)
        inject_where(r->view, &injection->change[i], ret_where[i], sizeof ret_where[i]);
}

/* An injection at a moment is made while the guest stands still. */
static enum err go_on(const struct rig *r, struct why *why)
{
    if (!r->plan->moment.during || !machine_is_alive(r->machine) || machine_resume(r->machine) == ERR_OK)
        return ERR_OK;
    return why_set(why, ERR_IO, "%s", machine_last_error());
}

/* Injects and waits. What waits for an instruction, an exact campaign changes while it watches. */
static enum err inject_and_watch(struct rig *r, struct experiment *x, struct glance *ret_glance, bool *ret_crashed,
                                 struct why *why)
{
    struct activation activation;
    enum err e = ERR_OK;

    if (r->plan->exact)
        activation_begin(&activation, &r->target, r->view, &x->injection);
    if (!r->plan->exact || !x->injection.changes || !change_waits(x->injection.change))
        e = inject_apply(&r->target, r->view, &x->injection, why);
    if (e == ERR_OK && !r->plan->exact)
        e = go_on(r, why);
    if (e != ERR_OK)
        return e;
    if (r->plan->exact) {
        e = watch_exactly(r, &activation.touch, ret_glance, ret_crashed, why);
        x->activation_known = activation.known;
        x->activated = activation.used;
        return e;
    }
    *ret_glance = watch_workload(r, &x->injection, x->model.model->holds, ret_crashed);
    return ERR_OK;
}

/* Injects what is planned in `x`, waits, judges. */
static enum err rig_try(struct rig *r, struct experiment *x, struct why *why)
{
    struct glance g;
    bool crashed;

    x->kind = x->injection.changes ? inject_kind(r->view, x->injection.change) : "";
    x->at_round = r->before.counter[COUNTER_rounds];
    uint64_t start = watch_now_ns();
    name_places(r, &x->injection, x->where);
    enum err e = inject_and_watch(r, x, &g, &crashed, why);
    if (e != ERR_OK)
        return e;
    judge_experiment(r, &g, crashed, x);
    if (outcome_is_recovered(x->outcome[OUTCOME_STRICT]))
        e = rig_compare(r, x, why);
    x->run_ms = (unsigned)((watch_now_ns() - start) / 1000000);
    return e;
}

static enum err check_places(const struct rig *r, const struct plan_target *target, unsigned count, struct why *why)
{
    enum err e = ERR_OK;

    for (unsigned i = 0; i < count && e == ERR_OK; i++) {
        CLOSED_BY(place_ranges_done) struct place_ranges ranges = {0};
        e = target[i].here || target[i].place.kind == PLACE_REGISTER
                ? ERR_OK
                : place_resolve(&target[i].place, r->view, &ranges, why);
    }
    return e;
}

/* Before the first experiment, so that a mistyped target does not end a campaign at the thousandth. */
static enum err check_targets(struct rig *r, struct why *why)
{
    const struct plan_moment *m = &r->plan->moment;
    enum err e = r->checked ? ERR_OK : check_places(r, r->plan->target, r->plan->targets, why);

    if (e == ERR_OK && !r->checked)
        e = check_places(r, m->function, m->functions, why);
    if (e == ERR_OK && !r->checked)
        e = check_places(r, m->first, m->firsts, why);
    r->checked = e == ERR_OK;
    return e;
}

/* ---- injections while the guest does something else ---- */

/* Whether the guest, at the entry of the moment's function, is at what the moment is about. */
static bool is_meanwhile(void *context)
{
    struct rig *r = context;
    struct glance g = watch_glance(r->target.ram, r->target.bytes);

    if (r->plan->moment.during == DURING_RECOVERY)
        return is_recovering(r, &g);
    (void)moment_is_answered(&r->target, &r->plan->moment, false, &r->request);
    return !r->request.answered;
}

/* Injects the first fault, or asks for the swap, and runs to the moment. Then *ret_ip is what the guest is about to
 * execute; 0: the moment did not come. */
static enum err rig_meanwhile(struct rig *r, struct experiment *x, uint64_t *ret_ip, struct why *why)
{
    const struct plan_target *function = r->plan->moment.function;
    struct exact_moment m = {.steps = x->moment.steps, .is_now = is_meanwhile, .is_over = is_over, .context = r};
    enum err e = ERR_OK;

    while (strcmp(function->place.name, x->moment.function) != 0)
        function++;
    if (!r->plan->exact && machine_pause(r->machine) != ERR_OK)
        return why_set(why, ERR_IO, "%s", machine_last_error());
    x->moment.came = false;
    e = moment_function(r->view, function, &m.gva, why);
    name_places(r, &x->moment.first, x->moment.first_where);
    if (e == ERR_OK)
        e = r->plan->moment.during == DURING_RECOVERY ? inject_apply(&r->target, r->view, &x->moment.first, why)
                                                      : moment_ask(&r->target, &r->plan->moment, &r->request, why);
    if (e == ERR_OK)
        e = exact_to_moment(&r->target, &m, r->plan->timeout_ms, ret_ip, why);
    if (e != ERR_OK || !*ret_ip)
        return e;
    e = rig_look_again(r, why);
    if (e == ERR_OK)
        moment_place(r->view, *ret_ip, x->moment.place, sizeof x->moment.place);
    x->moment.came = e == ERR_OK;
    return e;
}

/* Chooses the moment, and plans the first fault. */
static enum err plan_moment(struct rig *r, struct experiment *x, struct prng *prng, struct why *why)
{
    const struct plan_moment *m = &r->plan->moment;
    const char *function = m->function[prng_below(prng, m->functions)].place.name;

    snprintf(x->moment.function, sizeof x->moment.function, "%s", function);
    x->moment.steps = m->steps ? (unsigned)prng_below(prng, m->steps) : 0;
    if (m->during != DURING_RECOVERY)
        return ERR_OK;
    return inject_plan(r->view, &m->first[prng_below(prng, m->firsts)].place, &m->first_model, prng, &x->moment.first,
                       why);
}

/* Brings the guest to the moment of the injection, if the campaign's file says one, and plans the injection. */
static enum err plan_injection(struct rig *r, const struct plan_target *t, struct experiment *x, struct prng *prng,
                               struct why *why)
{
    const struct model_use *use = &x->model;
    enum err e = ERR_OK;
    uint64_t ip = 0;

    if (r->plan->moment.during) {
        e = plan_moment(r, x, prng, why);
        if (e == ERR_OK)
            e = rig_meanwhile(r, x, &ip, why);
        if (e != ERR_OK || !x->moment.came)
            return e;
    }
    if (!t->here)
        return inject_plan(r->view, &t->place, use, prng, &x->injection, why);
    if (moment_plan_here(r->view, ip, use, prng, &x->injection) != ERR_OK)
        x->moment.came = false; /* in code of no section, of which nothing is known */
    return ERR_OK;
}

/* Instructions are skipped where there are any, and not all models are for registers. */
static bool fits(const struct rig *r, const struct plan_target *t, const struct model *model)
{
    return t->here || (t->place.reg ? model->registers : !model->skips || inject_has_code(r->view, &t->place));
}

/* Model number `drawn`, or the next one that fits. */
static void choose_model(const struct rig *r, const struct plan_target *t, unsigned drawn, struct experiment *x)
{
    const struct plan *plan = r->plan;

    for (unsigned i = 1; i < plan->models && !fits(r, t, plan->model[drawn].use.model); i++)
        drawn = (drawn + 1) % plan->models;
    x->model = plan->model[drawn].use;
    memcpy(x->model_words, plan->model[drawn].words, sizeof x->model_words);
}

static enum err run_one(struct rig *r, uint64_t index, struct experiment *x, struct why *why)
{
    rig_use(r, index);
    const struct plan *plan = r->plan;
    struct prng prng = prng_for(r->whole->seed, index);
    unsigned t = (unsigned)prng_below(&prng, plan->targets);
    unsigned m = plan->models > 1 ? plan_model(plan, (unsigned)prng_below(&prng, plan->weights)) : 0;
    uint64_t start = watch_now_ns();

    memset(x, 0, sizeof *x);
    x->index = index;
    memcpy(x->part, plan->file, sizeof x->part);
    snprintf(x->target, sizeof x->target, "%s", plan->target[t].words);
    x->delay_ms = plan->jitter_ms ? (unsigned)prng_below(&prng, plan->jitter_ms) : 0;
    x->delay_switches = plan->jitter_switches ? (unsigned)prng_below(&prng, plan->jitter_switches) : 0;
    enum err e = rig_begin(r, x, why);
    if (e != ERR_OK)
        return e;
    x->start_ms = (unsigned)((watch_now_ns() - start) / 1000000);
    e = rig_look(r, why);
    if (e == ERR_OK)
        e = check_targets(r, why);
    if (e == ERR_OK) {
        choose_model(r, &plan->target[t], m, x);
        e = plan_injection(r, &plan->target[t], x, &prng, why);
    }
    return e == ERR_OK ? rig_try(r, x, why) : e;
}

static void add_outcome(void *context, const char *target, const enum outcome outcome[OUTCOME_RULES], uint64_t count)
{
    struct campaign_progress *p = context;

    (void)target;
    p->outcomes[outcome[OUTCOME_STRICT]] += count;
    p->done += count;
}

static bool is_exact(const struct plan *plan)
{
    bool exact = plan->parts ? plan->part[0].exact : plan->exact;

    for (unsigned i = 1; i < plan->parts; i++)
        exact &= plan->part[i].exact;
    return exact;
}

unsigned campaign_workers(const struct plan *plan)
{
    cpu_set_t cpus;

    if (!is_exact(plan) || sched_getaffinity(0, sizeof cpus, &cpus) != 0)
        return 1;
    unsigned count = (unsigned)CPU_COUNT(&cpus);
    return count < CAMPAIGN_WORKERS_MAX ? count : CAMPAIGN_WORKERS_MAX;
}

enum err campaign_run(struct database *database, const char *path, const struct plan *plan,
                      const struct campaign_watcher *watcher, struct why *why)
{
    struct campaign_progress progress = {.count = plan->count};
    enum err e = database_tally(database, add_outcome, &progress, why);
    if (e == ERR_OK)
        e = rig_pin_archives(database, plan, why);
    if (e != ERR_OK)
        return e;
    watcher->progress(watcher->context, &progress);
    rig_end_left(path);
    return workers_run(database, path, plan, watcher, run_one, &progress, why);
}

/* Amid a swap two copies of a cell have the same name: whether the change's address still is at its place. If so, the
 * change has section and offset of that. */
static bool is_in_place(const struct rig *r, struct change *change, const char *where)
{
    struct change here = *change;
    place_name name;

    here.section = place_section(r->view, here.phys, here.bytes);
    const struct arena_section *s = view_section(r->view, here.section);
    here.offset = s ? (uint32_t)(here.phys - s->phys) : 0;
    inject_where(r->view, &here, name, sizeof name);
    if (!s || strcmp(name, where) != 0)
        return false;
    *change = here;
    return true;
}

/* Moves the changes to where their places are in this guest. */
static enum err find_again(const struct rig *r, struct injection *injection, const place_name *where, struct why *why)
{
    enum err e = ERR_OK;

    for (size_t i = 0; i < injection->changes && e == ERR_OK; i++)
        if (!is_in_place(r, &injection->change[i], where[i]))
            e = inject_find(r->view, where[i], &injection->change[i], why);
    return e;
}

static enum err replay_experiment(struct rig *r, const struct experiment *recorded, struct experiment *x,
                                  struct why *why)
{
    rig_use(r, recorded->index);
    uint64_t ip = 0;

    *x = (struct experiment){.index = recorded->index,
                             .model = recorded->model,
                             .injection = recorded->injection,
                             .delay_ms = recorded->delay_ms,
                             .delay_switches = recorded->delay_switches};
    x->moment = recorded->moment;
    memcpy(x->target, recorded->target, sizeof x->target);
    enum err e = rig_begin(r, x, why);
    if (e == ERR_OK)
        e = rig_look(r, why);
    if (e == ERR_OK)
        e = find_again(r, &x->moment.first, recorded->moment.first_where, why);
    if (e == ERR_OK && *x->moment.function)
        e = rig_meanwhile(r, x, &ip, why);
    if (!x->moment.came && *x->moment.function)
        x->injection.changes = 0;
    if (e == ERR_OK)
        e = find_again(r, &x->injection, recorded->where, why);
    return e == ERR_OK ? rig_try(r, x, why) : e;
}

enum err campaign_replay(struct database *database, const char *path, const struct plan *plan,
                         const struct experiment *recorded, struct experiment *ret_experiment, struct why *why)
{
    enum err e = rig_pin_archives(database, plan, why);

    if (e != ERR_OK)
        return e;
    CLOSED_BY(rig_done) struct rig rig = rig_of(database, path, plan, 0, recorded);
    return replay_experiment(&rig, recorded, ret_experiment, why);
}
