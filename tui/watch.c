/* See watch.h. */
#include "tui/watch.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "vmm/machine/machine.h"

enum { ASK_MS = 300 };

struct watch {
    pthread_mutex_t lock;
    bool ended;               /* the thread frees the watch */
    struct watch_facts facts; /* with the lock */
    char name[MACHINE_NAME_MAX + 1];
};

static void publish(struct watch *w, const struct watch_facts *facts)
{
    pthread_mutex_lock(&w->lock);
    w->facts = *facts;
    pthread_mutex_unlock(&w->lock);
}

static bool has_ended(struct watch *w)
{
    pthread_mutex_lock(&w->lock);
    bool ended = w->ended;
    pthread_mutex_unlock(&w->lock);
    return ended;
}

static void describe(const struct machine_info *info, const char *state, struct watch_facts *facts)
{
    snprintf(facts->state, sizeof facts->state, "%s", state);
    snprintf(facts->backend, sizeof facts->backend, "%s", machine_backend_name(info->backend));
    facts->cpus = info->cpus;
    facts->ram_bytes = info->ram_bytes;
    facts->pid = info->pid;
    facts->started = info->started;
}

/* Opens the machine of that name each time, which may be another one by now. */
static void ask(struct watch *w, struct watch_facts *facts)
{
    OWN(machine) struct machine *machine = NULL;

    if (machine_open(w->name, &machine) != ERR_OK) {
        strcpy(facts->state, "ended");
        return;
    }
    enum err e = machine_refresh(machine);
    if (e == ERR_OK)
        describe(machine_info(machine), machine_info(machine)->state, facts);
    else if (!machine_is_alive(machine))
        describe(machine_info(machine), "ended", facts);
    else
        describe(machine_info(machine), strstr(machine_last_error(), "by a signal") ? "stopped" : "silent", facts);
}

static void *run(void *context)
{
    struct watch *w = context;
    struct watch_facts facts = w->facts;

    while (!has_ended(w)) {
        ask(w, &facts);
        publish(w, &facts);
        nanosleep(&(struct timespec){.tv_nsec = ASK_MS * 1000000L}, NULL);
    }
    pthread_mutex_destroy(&w->lock);
    free(w);
    return NULL;
}

struct watch *watch_new(const char *machine)
{
    struct watch *w = calloc(1, sizeof *w);
    sigset_t all, before;
    pthread_t thread;

    if (!w)
        return NULL;
    snprintf(w->name, sizeof w->name, "%s", machine);
    pthread_mutex_init(&w->lock, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before); /* signals are for the thread that has the terminal */
    int failed = pthread_create(&thread, NULL, run, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        free(w);
        return NULL;
    }
    pthread_detach(thread);
    return w;
}

void watch_free(struct watch *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->ended = true;
    pthread_mutex_unlock(&w->lock);
}

struct watch_facts watch_read(struct watch *w)
{
    pthread_mutex_lock(&w->lock);
    struct watch_facts facts = w->facts;
    pthread_mutex_unlock(&w->lock);
    return facts;
}
