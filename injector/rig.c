/* See rig.h. */
#include "injector/rig.h"
#include "guest/abi/fnv.h"
#include "injector/exact.h"
#include "injector/snapshot.h"
#include "introspect/base/own.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POLL_MS = 2, CLOSING_ROUNDS = 24 };

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

/* The disks stay. */
static void rig_end_machine(struct rig *r)
{
    rig_let_go(r);
    (void)!machine_stop(r->config.name);
}

void rig_done(struct rig *r)
{
    rig_end_machine(r);
    for (size_t i = 0; i < PLAN_PARTS_MAX; i++)
        descriptor_own_end(&r->disk[i].fd);
}

typedef char machine_name[MACHINE_NAME_MAX + 1];

static void name_machine(const char *path, machine_name ret_name)
{
    OWN(memory) char *absolute = realpath(path, NULL);
    const char *key = absolute ? absolute : path;

    snprintf(ret_name, sizeof(machine_name), "campaign-%08x", (unsigned)fnv_add(FNV_START, key, strlen(key)));
}

struct rig rig_of(struct database *database, const char *path, const struct plan *plan, unsigned worker,
                  const struct experiment *again)
{
    struct rig r = {.whole = plan, .database = database};

    name_machine(path, r.config.name);
    size_t used = strlen(r.config.name);
    if (again)
        snprintf(r.config.name + used, sizeof r.config.name - used, "-%llu", (unsigned long long)again->index);
    else if (worker)
        snprintf(r.config.name + used, sizeof r.config.name - used, ".%u", worker);
    for (size_t i = 0; i < PLAN_PARTS_MAX; i++)
        r.disk[i].fd = -1;
    (void)!machine_stop(r.config.name);
    return r;
}

void rig_end_left(const char *path)
{
    OWN(memory) struct machine_info *info = NULL;
    machine_name name;
    size_t count = 0;

    name_machine(path, name);
    size_t length = strlen(name);
    if (machine_list(&info, &count) != ERR_OK)
        return;
    for (size_t i = 0; i < count; i++)
        if (strncmp(info[i].name, name, length) == 0 && (!info[i].name[length] || info[i].name[length] == '.'))
            (void)!machine_stop(info[i].name);
}

void rig_use(struct rig *r, uint64_t index)
{
    const struct plan *plan = plan_part(r->whole, index);
    machine_name name;

    if (plan == r->plan)
        return;
    rig_end_machine(r);
    memcpy(name, r->config.name, sizeof name);
    r->plan = plan;
    r->checked = false;
    r->config = plan->machine;
    memcpy(r->config.name, name, sizeof name);
    strncat(r->config.cmdline, " on_panic=exit", sizeof r->config.cmdline - strlen(r->config.cmdline) - 1);
    r->config.paused = plan->exact;
}

static struct rig_disk *disk_of(struct rig *r)
{
    return &r->disk[r->whole->parts ? r->plan - r->whole->part : 0];
}

static bool is_qemu(const struct machine_config *config)
{
    char why[256];

    return (config->backend == MACHINE_AUTO ? machine_probe(why, sizeof why) : config->backend) == MACHINE_TCG;
}

/* Without a disk resets will do. */
static void attach_disk(struct rig *r, struct machine_config *config)
{
    struct rig_disk *disk = disk_of(r);

    if (is_qemu(config) && (disk->fd >= 0 || snapshot_disk(&disk->fd) == ERR_OK))
        r->snapshot = snapshot_attach(config, disk->fd) == ERR_OK;
}

static enum err rig_start(struct rig *r, struct why *why)
{
    struct machine_config config = r->config;
    void *base;

    attach_disk(r, &config);
    enum err e = machine_start(&config, &r->machine);
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
    char text[24], key[PLAN_TEXT_MAX + 16];

    if (!f)
        return why_set(why, ERR_IO, "archive %s: %s", plan->machine.archive, strerror(errno));
    for (size_t n; (n = fread(block, 1, sizeof block, f)) > 0;)
        hash = fnv_add(hash, block, n);
    snprintf(text, sizeof text, "%016llx", (unsigned long long)hash);
    snprintf(key, sizeof key, "archive%s%s", *plan->file ? " of " : "", plan->file);
    return database_pin(database, key, text, why);
}

enum err rig_pin_archives(struct database *database, const struct plan *plan, struct why *why)
{
    enum err e = plan->parts ? ERR_OK : pin_archive(database, plan, why);

    for (unsigned i = 0; i < plan->parts && e == ERR_OK; i++)
        e = pin_archive(database, &plan->part[i], why);
    return e;
}

/* ---- what the guest has in use ---- */

struct closing {
    struct rig *rig;
    unsigned rounds; /* yet to come */
    struct residue_counts left;
    bool clean;
};

static bool widen_usual(void *context, bool stands)
{
    struct closing *s = context;
    struct residue_counts counts;

    if (stands && s->rounds > 0 && residue_count(s->rig->target.ram, s->rig->target.bytes, &counts)) {
        residue_widen(&disk_of(s->rig)->usual, &counts);
        s->rounds--;
    }
    return s->rounds == 0;
}

/* From the kept state, which is put back afterwards. */
static enum err learn_usual(struct rig *r, struct why *why)
{
    struct closing s = {.rig = r, .rounds = r->plan->rounds + 2 * CLOSING_ROUNDS};
    struct residue_counts counts;

    if (residue_count(r->target.ram, r->target.bytes, &counts))
        residue_widen(&disk_of(r)->usual, &counts);
    enum err e = exact_run(&r->target, COUNTER_rounds, r->plan->boot_ms, widen_usual, &s, why);
    if (e == ERR_OK && s.rounds)
        e = why_set(why, ERR_TIMEOUT, "without an injection the guest did not end its rounds within %u ms of its time",
                    r->plan->boot_ms);
    if (e == ERR_OK && snapshot_restore(r->machine) != ERR_OK)
        e = why_set(why, ERR_IO, "%s", machine_last_error());
    return e;
}

static bool is_as_usual(void *context, bool stands)
{
    struct closing *s = context;
    struct residue_counts counts;

    if (stands && !s->clean && s->rounds > 0 && residue_count(s->rig->target.ram, s->rig->target.bytes, &counts)) {
        s->clean = residue_is_clean(&disk_of(s->rig)->usual, &counts, &s->left);
        s->rounds--;
    }
    return s->clean || s->rounds == 0;
}

enum err rig_compare(struct rig *r, struct experiment *x, struct why *why)
{
    struct closing s = {.rig = r, .rounds = CLOSING_ROUNDS};

    if (!disk_of(r)->usual.known)
        return ERR_OK;
    enum err e = ERR_OK;
    if (!is_as_usual(&s, true))
        e = exact_run(&r->target, COUNTER_rounds, r->plan->timeout_ms, is_as_usual, &s, why);
    x->residue_known = e == ERR_OK && machine_is_alive(r->machine);
    x->residue = s.left;
    return e;
}

/* ---- a clean start ---- */

static bool is_put_back(struct rig *r)
{
    return r->snapshot && disk_of(r)->kept && machine_is_alive(r->machine) && snapshot_restore(r->machine) == ERR_OK;
}

/* Ends the machine, and forgets the state that was kept. */
static void rig_forget(struct rig *r)
{
    struct rig_disk *disk = disk_of(r);

    rig_end_machine(r);
    descriptor_own_end(&disk->fd);
    *disk = (struct rig_disk){.fd = -1};
}

/* A new process, in the kept state or as from power-on. */
static enum err start_again(struct rig *r, bool *ret_put_back, struct why *why)
{
    enum err e = rig_start(r, why);

    *ret_put_back = e == ERR_OK && is_put_back(r);
    if (e != ERR_OK || *ret_put_back || !disk_of(r)->kept)
        return e;
    rig_forget(r);
    return rig_start(r, why);
}

static enum err rig_fresh(struct rig *r, struct why *why)
{
    bool put_back = r->machine && is_put_back(r);
    enum err e = ERR_OK;

    if (r->machine && !put_back &&
        (r->snapshot || !machine_is_alive(r->machine) || machine_reset(r->machine) != ERR_OK))
        rig_end_machine(r);
    if (!r->machine)
        e = start_again(r, &put_back, why);
    if (e == ERR_OK && !put_back)
        e = wait_for_workload(r, why);
    if (e == ERR_OK && !put_back && r->snapshot)
        disk_of(r)->kept = r->snapshot = snapshot_take(r->machine) == ERR_OK;
    if (e == ERR_OK && !put_back && r->snapshot && r->plan->exact)
        e = learn_usual(r, why);
    return e;
}

static enum err rig_delay(struct rig *r, const struct experiment *x, struct why *why)
{
    struct glance g = watch_glance(r->target.ram, r->target.bytes);

    watch_sleep_ms(x->delay_ms);
    if (!x->delay_switches)
        return ERR_OK;
    return exact_until(&r->target, COUNTER_switches, g.counter[COUNTER_switches] + x->delay_switches,
                       r->plan->timeout_ms, why);
}

enum err rig_begin(struct rig *r, const struct experiment *x, struct why *why)
{
    view_free(r->view);
    r->view = NULL;
    bool kept = disk_of(r)->kept;
    enum err e = rig_fresh(r, why);
    if (e == ERR_OK)
        e = rig_delay(r, x, why);
    if (e != ERR_TIMEOUT || !kept)
        return e;
    /* The state that was put back is not the one that was kept: that came to every moment. */
    rig_forget(r);
    e = rig_fresh(r, why);
    return e == ERR_OK ? rig_delay(r, x, why) : e;
}

enum err rig_look(struct rig *r, struct why *why)
{
    enum err e;

    r->view = view_take(r->target.ram, r->target.bytes, &e);
    r->before = watch_glance(r->target.ram, r->target.bytes);
    r->request = (struct moment_request){0};
    deliveries_begin(&r->deliveries, r->target.ram, r->target.bytes, r->plan->workload);
    return r->view ? pin_image(r, why) : why_set(why, e, "the guest's arena cannot be read: %s", err_text(e));
}

enum err rig_look_again(struct rig *r, struct why *why)
{
    enum err e;

    view_free(r->view);
    r->view = view_take_anyway(r->target.ram, r->target.bytes, &e);
    return r->view ? ERR_OK : why_set(why, e, "the guest's arena cannot be read: %s", err_text(e));
}
