/* See campaign.h. */
#include "injector/campaign.h"
#include "introspect/base/own.h"
#include "guest/abi/fnv.h"
#include "injector/activation.h"
#include "injector/deliveries.h"
#include "injector/exact.h"
#include "injector/snapshot.h"
#include "injector/watch.h"
#include "guest/abi/layout.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POLL_MS = 2 };

/* The campaign's machine, and what it was at the moment of the injection. */
struct rig {
    const struct plan *whole;
    const struct plan *plan; /* its part whose machine this is, or the same */
    struct database *database;
    struct machine_config config;
    struct machine *machine; /* NULL: none runs */
    struct inject_target target;
    struct view *view;
    struct glance before;
    struct deliveries deliveries; /* since then */
    bool checked;                 /* every target is there */
    bool snapshot;                /* the machine has one, of the clean start */
};

static void rig_let_go(struct rig *r)
{
    view_free(r->view);
    r->view = NULL;
    if (r->target.ram)
        machine_ram_unmap(r->target.ram, r->target.bytes);
    if (r->machine)
        machine_close(r->machine);
    r->machine = NULL;
    r->snapshot = false;
    r->target = (struct inject_target){0};
}

static void rig_done(struct rig *r)
{
    rig_let_go(r);
    (void)!machine_stop(r->config.name);
}

/* The machine is named after the database, so that the next run finds and ends what a killed one left. A replay's has
 * its experiment's number too: several may be done again at a time. */
static struct rig rig_of(struct database *database, const char *path, const struct plan *plan,
                         const struct experiment *again)
{
    OWN(memory) char *absolute = realpath(path, NULL);
    const char *key = absolute ? absolute : path;

    struct rig r = {.whole = plan, .database = database};
    snprintf(r.config.name, sizeof r.config.name, "campaign-%08x", (unsigned)fnv_add(FNV_START, key, strlen(key)));
    size_t used = strlen(r.config.name);
    if (again)
        snprintf(r.config.name + used, sizeof r.config.name - used, "-%llu", (unsigned long long)again->index);
    (void)!machine_stop(r.config.name);
    return r;
}

/* The machine becomes that of the experiment's part of the campaign. */
static void rig_use(struct rig *r, uint64_t index)
{
    const struct plan *plan = plan_part(r->whole, index);
    char name[sizeof r->config.name];

    if (plan == r->plan)
        return;
    rig_done(r);
    memcpy(name, r->config.name, sizeof name);
    r->plan = plan;
    r->checked = false;
    r->config = plan->machine;
    memcpy(r->config.name, name, sizeof name);
    strncat(r->config.cmdline, " on_panic=exit", sizeof r->config.cmdline - strlen(r->config.cmdline) - 1);
    r->config.paused = plan->exact;
}

static bool is_qemu(const struct machine_config *config)
{
    char why[256];

    return (config->backend == MACHINE_AUTO ? machine_probe(why, sizeof why) : config->backend) == MACHINE_TCG;
}

static enum err rig_start(struct rig *r, struct why *why)
{
    struct machine_config config = r->config;
    char disk[MACHINE_PATH_MAX] = "";
    void *base;

    if (is_qemu(&config) && snapshot_disk(&config, disk) != ERR_OK)
        disk[0] = '\0'; /* resets will do */
    enum err e = machine_start(&config, &r->machine);
    snapshot_disk_done(disk);
    if (e == ERR_OK)
        e = machine_ram_map(r->machine, true, &base, &r->target.bytes);
    if (e != ERR_OK) {
        rig_let_go(r);
        return why_set(why, e, "%s", machine_last_error());
    }
    r->target.ram = base;
    r->target.machine = r->machine;
    return ERR_OK;
}

/* The workload has ended its warm-up rounds. */
static enum err wait_for_workload(struct rig *r, struct why *why)
{
    uint64_t start = watch_now_ns();

    if (r->plan->exact)
        return exact_until(&r->target, COUNTER_rounds, r->plan->warmup_rounds, r->plan->boot_ms, why);
    for (;;) {
        struct glance g = watch_glance(r->target.ram, r->target.bytes);

        if (g.arena && g.ready && g.counter[COUNTER_rounds] >= r->plan->warmup_rounds)
            return ERR_OK;
        if (!machine_is_alive(r->machine))
            return why_set(why, ERR_NOT_RUNNING, "the guest ended before its workload ran; its words are in %s",
                           machine_info(r->machine)->serial);
        if ((watch_now_ns() - start) / 1000000 > r->plan->boot_ms)
            return why_set(why, ERR_TIMEOUT,
                           "the guest did not end %u rounds of its workload within %u ms of its start (boot_ms)",
                           r->plan->warmup_rounds, r->plan->boot_ms);
        watch_sleep_ms(POLL_MS);
    }
}

static enum err pin_image(struct rig *r, struct why *why)
{
    const uint8_t *id = view_header(r->view)->build_id;
    char hex[2 * 20 + 1];

    for (int i = 0; i < 20; i++)
        sprintf(hex + 2 * i, "%02x", id[i]);
    enum err e = database_pin(r->database, "build_id", hex, why);
    return e == ERR_OK
               ? database_pin(r->database, "backend", machine_backend_name(machine_info(r->machine)->backend), why)
               : e;
}

/* The nano_core's build id says nothing of the cells beside it. */
static enum err pin_archive(struct database *database, const struct plan *plan, struct why *why)
{
    OWN(file) FILE *f = fopen(plan->machine.archive, "rb");
    uint8_t block[65536];
    uint64_t hash = FNV_START;
    char text[24], key[PLAN_WORDS + 16];

    if (!f)
        return why_set(why, ERR_IO, "archive %s: %s", plan->machine.archive, strerror(errno));
    for (size_t n; (n = fread(block, 1, sizeof block, f)) > 0;)
        hash = fnv_add(hash, block, n);
    snprintf(text, sizeof text, "%016llx", (unsigned long long)hash);
    snprintf(key, sizeof key, "archive%s%s", *plan->file ? " of " : "", plan->file);
    return database_pin(database, key, text, why);
}

static enum err pin_archives(struct database *database, const struct plan *plan, struct why *why)
{
    enum err e = plan->parts ? ERR_OK : pin_archive(database, plan, why);

    for (unsigned i = 0; i < plan->parts && e == ERR_OK; i++)
        e = pin_archive(database, &plan->part[i], why);
    return e;
}

/* A guest with its workload warmed up: from the snapshot, or as from power-on. */
static enum err rig_fresh(struct rig *r, struct why *why)
{
    enum err e = ERR_OK;

    view_free(r->view);
    r->view = NULL;
    if (r->machine && r->snapshot && machine_is_alive(r->machine) && snapshot_restore(r->machine) == ERR_OK)
        return ERR_OK;
    if (r->machine && (r->snapshot || !machine_is_alive(r->machine) || machine_reset(r->machine) != ERR_OK))
        rig_done(r);
    if (!r->machine)
        e = rig_start(r, why);
    if (e == ERR_OK)
        e = wait_for_workload(r, why);
    if (e == ERR_OK && machine_info(r->machine)->backend == MACHINE_TCG)
        r->snapshot = snapshot_take(r->machine) == ERR_OK;
    return e;
}

static enum err rig_look(struct rig *r, struct why *why)
{
    enum err e;

    r->view = view_take(r->target.ram, r->target.bytes, &e);
    r->before = watch_glance(r->target.ram, r->target.bytes);
    deliveries_begin(&r->deliveries, r->target.ram, r->target.bytes, r->plan->workload);
    return r->view ? pin_image(r, why) : why_set(why, e, "the guest's arena cannot be read: %s", err_text(e));
}

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

/* The workload has delivered its rounds, and nothing is being recovered. */
static bool has_finished(struct rig *r, const struct glance *g)
{
    deliveries_look(&r->deliveries, r->target.ram, r->target.bytes, false);
    return has_delivered(r, g) && !is_recovering(r, g);
}

/* Waits until the workload has finished, the machine has ended, or time is up. */
static struct glance watch_workload(struct rig *r, const struct injection *injection, bool holds, bool *ret_crashed)
{
    uint64_t start = watch_now_ns();

    for (;;) {
        struct glance g = watch_glance(r->target.ram, r->target.bytes);

        *ret_crashed = has_crashed(r, &g);
        if (*ret_crashed || (watch_now_ns() - start) / 1000000 >= r->plan->timeout_ms || has_finished(r, &g))
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

    (void)stands;
    return has_crashed(r, &g) || has_finished(r, &g);
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
    static const char *const cells[] = {"exception", "fault", "mend", "recovery", "unwind"};

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
    x->evidence = (struct evidence){.crashed = crashed, .wanted = r->plan->rounds};
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

/* Injects and waits. An exact campaign skips an instruction while it watches. */
static enum err inject_and_watch(struct rig *r, struct experiment *x, struct glance *ret_glance, bool *ret_crashed,
                                 struct why *why)
{
    struct activation activation;
    enum err e = ERR_OK;

    if (r->plan->exact)
        activation_begin(&activation, &r->target, r->view, &x->injection);
    if (!r->plan->exact || !x->model.model->skips)
        e = inject_apply(&r->target, r->view, &x->injection, why);
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

    for (size_t i = 0; i < x->injection.changes; i++)
        inject_where(r->view, &x->injection.change[i], x->where[i], sizeof x->where[i]);
    x->kind = inject_kind(r->view, x->injection.change);
    x->at_round = r->before.counter[COUNTER_rounds];
    uint64_t start = watch_now_ns();
    enum err e = inject_and_watch(r, x, &g, &crashed, why);
    if (e != ERR_OK)
        return e;
    x->run_ms = (unsigned)((watch_now_ns() - start) / 1000000);
    judge_experiment(r, &g, crashed, x);
    return ERR_OK;
}

/* Before the first experiment, so that a mistyped target does not end a campaign at the thousandth. */
static enum err check_targets(struct rig *r, struct why *why)
{
    enum err e = ERR_OK;

    for (unsigned i = 0; i < r->plan->targets && !r->checked && e == ERR_OK; i++) {
        CLOSED_BY(place_ranges_done) struct place_ranges ranges = {0};
        e = place_resolve(&r->plan->target[i].place, r->view, &ranges, why);
    }
    r->checked = e == ERR_OK;
    return e;
}

/* From the warm-up to the moment of the injection. */
static enum err rig_delay(struct rig *r, const struct experiment *x, struct why *why)
{
    struct glance g = watch_glance(r->target.ram, r->target.bytes);

    watch_sleep_ms(x->delay_ms);
    if (!x->delay_switches)
        return ERR_OK;
    return exact_until(&r->target, COUNTER_switches, g.counter[COUNTER_switches] + x->delay_switches,
                       r->plan->timeout_ms, why);
}

/* Model number `drawn`, or the next one that fits: instructions are skipped where there are any. */
static void choose_model(const struct rig *r, const struct place *place, unsigned drawn, struct experiment *x)
{
    const struct plan *plan = r->plan;

    if (plan->models > 1 && plan->model[drawn].use.model->skips && !inject_has_code(r->view, place))
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
    unsigned m = plan->models > 1 ? (unsigned)prng_below(&prng, plan->models) : 0;
    uint64_t start = watch_now_ns();
    enum err e = rig_fresh(r, why);

    if (e != ERR_OK)
        return e;
    memset(x, 0, sizeof *x);
    x->index = index;
    memcpy(x->part, plan->file, sizeof x->part);
    snprintf(x->target, sizeof x->target, "%s", plan->target[t].words);
    x->delay_ms = plan->jitter_ms ? (unsigned)prng_below(&prng, plan->jitter_ms) : 0;
    x->delay_switches = plan->jitter_switches ? (unsigned)prng_below(&prng, plan->jitter_switches) : 0;
    e = rig_delay(r, x, why);
    if (e != ERR_OK)
        return e;
    x->start_ms = (unsigned)((watch_now_ns() - start) / 1000000);
    e = rig_look(r, why);
    if (e == ERR_OK)
        e = check_targets(r, why);
    if (e == ERR_OK) {
        choose_model(r, &plan->target[t].place, m, x);
        e = inject_plan(r->view, &plan->target[t].place, &x->model, &prng, &x->injection, why);
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

static bool is_stopped(const struct campaign_watcher *w)
{
    return w->stop && *w->stop;
}

static enum err run_all(struct rig *r, const struct campaign_watcher *w, struct campaign_progress *p,
                        struct experiment *x, struct why *why)
{
    enum err e = ERR_OK;

    uint64_t until = w->until_manifested ? w->until_manifested : r->whole->until_manifested;

    for (uint64_t i = 0; i < r->whole->count && e == ERR_OK && !is_stopped(w); i++) {
        if (until && p->done - p->outcomes[OUTCOME_BENIGN] >= until)
            break;
        if (database_has(r->database, i))
            continue;
        e = run_one(r, i, x, why);
        if (e == ERR_OK)
            e = database_add(r->database, x, why);
        if (e != ERR_OK)
            break;
        add_outcome(p, x->target, x->outcome, 1);
        p->last = x;
        w->progress(w->context, p);
    }
    return e;
}

enum err campaign_run(struct database *database, const char *path, const struct plan *plan,
                      const struct campaign_watcher *watcher, struct why *why)
{
    struct campaign_progress progress = {.count = plan->count};
    OWN(memory) struct experiment *x = calloc(1, sizeof *x);

    if (!x)
        return why_set(why, ERR_NOMEM, "out of memory");
    enum err e = database_tally(database, add_outcome, &progress, why);
    if (e == ERR_OK)
        e = pin_archives(database, plan, why);
    if (e != ERR_OK)
        return e;
    watcher->progress(watcher->context, &progress);
    CLOSED_BY(rig_done) struct rig rig = rig_of(database, path, plan, NULL);
    return run_all(&rig, watcher, &progress, x, why);
}

static enum err replay_experiment(struct rig *r, const struct experiment *recorded, struct experiment *x,
                                  struct why *why)
{
    rig_use(r, recorded->index);
    enum err e = rig_fresh(r, why);

    if (e != ERR_OK)
        return e;
    *x = (struct experiment){.index = recorded->index,
                             .model = recorded->model,
                             .injection = recorded->injection,
                             .delay_ms = recorded->delay_ms,
                             .delay_switches = recorded->delay_switches};
    memcpy(x->target, recorded->target, sizeof x->target);
    e = rig_delay(r, x, why);
    if (e == ERR_OK)
        e = rig_look(r, why);
    for (size_t i = 0; i < x->injection.changes && e == ERR_OK; i++)
        e = inject_find(r->view, recorded->where[i], &x->injection.change[i], why);
    return e == ERR_OK ? rig_try(r, x, why) : e;
}

enum err campaign_replay(struct database *database, const char *path, const struct plan *plan,
                         const struct experiment *recorded, struct experiment *ret_experiment, struct why *why)
{
    enum err e = pin_archives(database, plan, why);

    if (e != ERR_OK)
        return e;
    CLOSED_BY(rig_done) struct rig rig = rig_of(database, path, plan, recorded);
    return replay_experiment(&rig, recorded, ret_experiment, why);
}
