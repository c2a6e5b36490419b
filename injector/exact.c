/* See exact.h. */
#include "injector/exact.h"
#include "guest/abi/layout.h"
#include "injector/watch.h"
#include "vmm/machine/stop.h"
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    TICK_NS = 10000000, /* of the guest */
    SLICE_MS = 5,
    SPENT_CPU_MS = 12000,  /* of the emulator's CPU time in all; experiments take some 300 */
    STUCK_CPU_MS = 4000,   /* of the emulator's CPU time without a tick of the guest; one takes it some 10 ms */
    STUCK_HOST_MS = 120000 /* of the host's time: a guest that waits for nothing takes no CPU time */
};

struct limits {
    struct glance begin;      /* of the guest, at the start */
    uint64_t tick_ns;         /* the guest's time when it was seen to go on */
    uint64_t cpu_ms, host_ns; /* the emulator's CPU time and the host's time then */
    uint64_t begin_cpu_ms;    /* the emulator's CPU time at the start */
    unsigned guest_ms;
    bool steps; /* over instructions one by one: no tick is taken meanwhile, and the guest's time goes on */
};

/* CPU time that the emulator has used. */
static uint64_t used_cpu_ms(int pid)
{
    unsigned long user = 0, system = 0;
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    OWN(file) FILE *f = fopen(path, "re");
    if (!f || fscanf(f, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
        return 0;
    return (user + system) * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

/* Since the start, of the guest's time. What it says of its clock may be what is damaged, so that its ticks count too,
 * where it takes them: a CPU has no more than these. */
static uint64_t passed_ns(const struct limits *l, const struct glance *now)
{
    uint64_t by_clock = now->guest_ns > l->begin.guest_ns ? now->guest_ns - l->begin.guest_ns : 0;
    uint64_t by_ticks = (now->counter[COUNTER_ticks] - l->begin.counter[COUNTER_ticks]) * TICK_NS;

    return l->steps || by_clock < by_ticks ? by_clock : by_ticks;
}

static struct limits limits_begin(const struct inject_target *t, unsigned guest_ms)
{
    struct glance now = watch_glance(t->ram, t->bytes);
    uint64_t cpu_ms = used_cpu_ms(machine_info(t->machine)->pid);

    return (struct limits){.begin = now,
                           .tick_ns = now.guest_ns,
                           .begin_cpu_ms = cpu_ms,
                           .cpu_ms = cpu_ms,
                           .host_ns = watch_now_ns(),
                           .guest_ms = guest_ms};
}

/* `stands`: then only the guest's time counts, which does not depend on the host. */
static bool is_late(struct limits *l, const struct inject_target *t, bool stands)
{
    struct glance now = watch_glance(t->ram, t->bytes);
    uint64_t cpu_ms = used_cpu_ms(machine_info(t->machine)->pid), host_ns = watch_now_ns();

    if (now.guest_ns != l->tick_ns) {
        l->tick_ns = now.guest_ns;
        l->cpu_ms = cpu_ms;
        l->host_ns = host_ns;
    }
    if (passed_ns(l, &now) / 1000000 >= l->guest_ms)
        return true;
    return !stands && (cpu_ms - l->begin_cpu_ms >= SPENT_CPU_MS || cpu_ms - l->cpu_ms >= STUCK_CPU_MS ||
                       (host_ns - l->host_ns) / 1000000 >= STUCK_HOST_MS);
}

static uint64_t counter_gva(enum arena_counter counter)
{
    return LAYOUT_DIRECT_VIRT + LAYOUT_ARENA_PHYS + offsetof(struct arena_header, counter) + 8 * counter;
}

static enum err add_points(struct stop *stop, const struct exact_touch *touch)
{
    enum err e = ERR_OK;

    for (size_t i = 0; touch && i < touch->points && e == ERR_OK; i++)
        e = stop_add(stop, touch->point[i].kind, touch->point[i].gva, touch->point[i].bytes);
    return e;
}

/* The guest stands still. False in *ret_counted: because of `touch`, which is told. */
static enum err look_why(struct stop *stop, uint64_t counted, const struct exact_touch *touch, bool *ret_counted)
{
    struct stop_reason reason = {STOP_WRITE, counted};
    bool enough = false;
    enum err e = touch ? stop_why(stop, &reason) : ERR_OK;

    *ret_counted = reason.kind == STOP_WRITE && reason.gva == counted;
    if (e == ERR_OK && !*ret_counted)
        e = touch->touched(touch->context, stop, &reason, &enough);
    return e == ERR_OK && enough ? stop_drop(stop) : e;
}

enum err exact_watch(const struct inject_target *t, enum arena_counter counter, unsigned guest_ms, exact_done *is_done,
                     void *context, const struct exact_touch *touch, struct why *why)
{
    struct limits limits = limits_begin(t, guest_ms);
    OWN(stop) struct stop *stop = NULL;
    enum err e = stop_open(t->machine, STOP_WRITE, counter_gva(counter), 8, &stop);

    if (e == ERR_OK)
        e = add_points(stop, touch);
    while (e == ERR_OK) {
        e = stop_run(stop, SLICE_MS);
        bool stands = e == ERR_OK;
        if (stands)
            e = look_why(stop, counter_gva(counter), touch, &stands);
        else if (e == ERR_TIMEOUT)
            e = ERR_OK;
        if (e == ERR_NOT_RUNNING || !machine_is_alive(t->machine))
            return ERR_OK;
        bool late = is_late(&limits, t, stands), done = is_done(context, stands);
        if (e == ERR_OK && (late || (stands && done)))
            return ERR_OK;
    }
    return why_set(why, e, "%s", machine_last_error());
}

enum err exact_run(const struct inject_target *t, enum arena_counter counter, unsigned guest_ms, exact_done *is_done,
                   void *context, struct why *why)
{
    return exact_watch(t, counter, guest_ms, is_done, context, NULL, why);
}

struct goal {
    const struct inject_target *target;
    enum arena_counter counter;
    uint64_t value;
    bool reached;
};

static bool has_reached(void *context, bool stands)
{
    struct goal *goal = context;

    if (stands)
        goal->reached = watch_glance(goal->target->ram, goal->target->bytes).counter[goal->counter] >= goal->value;
    return goal->reached;
}

enum err exact_until(const struct inject_target *t, enum arena_counter counter, uint64_t value, unsigned guest_ms,
                     struct why *why)
{
    struct goal goal = {.target = t, .counter = counter, .value = value};
    enum err e = exact_run(t, counter, guest_ms, has_reached, &goal, why);

    if (e != ERR_OK || goal.reached)
        return e;
    return why_set(why, ERR_TIMEOUT, "the guest did not come to the moment of the injection within %u ms of its time",
                   guest_ms);
}

/* The guest stands still. Whether it has come to the moment; then *ret_ip is where it is. */
static enum err look_at_moment(struct stop *stop, const struct exact_moment *m, uint64_t *ret_ip)
{
    uint64_t ip;
    enum err e = stop_get(stop, STOP_RIP, &ip);

    if (e != ERR_OK || ip != m->gva)
        return e;
    bool now = m->is_now(m->context);
    /* One step at least: it would stop there again. */
    for (unsigned i = 0; i < (now ? m->steps : 1) && e == ERR_OK; i++)
        e = stop_step(stop);
    return e == ERR_OK && now ? stop_get(stop, STOP_RIP, ret_ip) : e;
}

enum err exact_to_moment(const struct inject_target *t, const struct exact_moment *m, unsigned guest_ms,
                         uint64_t *ret_ip, struct why *why)
{
    struct limits limits = limits_begin(t, guest_ms);
    OWN(stop) struct stop *stop = NULL;
    enum err e = stop_open(t->machine, STOP_WRITE, counter_gva(COUNTER_rounds), 8, &stop);

    limits.steps = true;
    *ret_ip = 0;
    if (e == ERR_OK)
        e = stop_add(stop, STOP_BEFORE, m->gva, 1);
    while (e == ERR_OK) {
        e = stop_run(stop, SLICE_MS);
        if (e != ERR_OK && e != ERR_TIMEOUT)
            break;
        bool stands = e == ERR_OK;
        e = stands ? look_at_moment(stop, m, ret_ip) : ERR_OK;
        if (e == ERR_OK && (*ret_ip || is_late(&limits, t, stands) || (m->is_over(m->context, stands) && stands)))
            return ERR_OK;
    }
    return e == ERR_NOT_RUNNING || !machine_is_alive(t->machine) ? ERR_OK : why_set(why, e, "%s", machine_last_error());
}
