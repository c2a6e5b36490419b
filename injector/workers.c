/* See workers.h. */
#include "injector/workers.h"
#include "injector/report.h"
#include <pthread.h>
#include <stdlib.h>

enum { WINDOW = 128 }; /* experiments that may have been begun before the oldest one is over */

enum slot_state { SLOT_RUNS, SLOT_OVER, SLOT_FAILED, SLOT_KNOWN };

struct workers {
    struct database *database;
    const char *path;
    const struct plan *plan;
    const struct campaign_watcher *watcher;
    workers_try *try;
    uint64_t until; /* so many faults have manifested; 0: all are over */
    pthread_mutex_t lock;
    pthread_cond_t room;
    /* the rest under the lock */
    struct campaign_progress *progress;
    unsigned begun;        /* workers */
    uint64_t next, oldest; /* of the experiments that are not begun, and that are not over */
    bool ends;             /* nothing is begun any more */
    struct slot {
        enum slot_state state;
        struct experiment *experiment; /* owned */
    } slot[WINDOW];
    enum err error;
    struct why why;
};

static bool is_enough(const struct workers *w)
{
    const uint64_t *n = w->progress->outcomes;
    uint64_t manifested = w->progress->done - n[OUTCOME_BENIGN];
    double low, high;

    report_wilson(n[OUTCOME_RESTART] + n[OUTCOME_RELOAD], manifested, &low, &high);
    return (w->until && manifested >= w->until) || (high - low) / 2 <= w->plan->until_half_width;
}

static void fail(struct workers *w, enum err e, const struct why *why)
{
    w->ends = true;
    w->error = e;
    w->why = *why;
}

static bool add_row(struct workers *w, const struct experiment *x)
{
    struct campaign_progress *p = w->progress;
    struct why why = {0};
    enum err e = database_add(w->database, x, &why);

    if (e != ERR_OK) {
        fail(w, e, &why);
        return false;
    }
    p->outcomes[x->outcome[OUTCOME_STRICT]]++;
    p->done++;
    p->last = x;
    w->watcher->progress(w->watcher->context, p);
    p->last = NULL;
    w->ends |= is_enough(w);
    return true;
}

/* Adds what is over, up to the first that is not or has failed. What was run beyond the end is dropped. */
static void add_rows(struct workers *w)
{
    for (; w->oldest < w->next; w->oldest++) {
        struct slot *slot = &w->slot[w->oldest % WINDOW];

        if (slot->state == SLOT_OVER && !is_enough(w) && !add_row(w, slot->experiment))
            slot->state = SLOT_FAILED;
        if (slot->state == SLOT_RUNS || slot->state == SLOT_FAILED)
            break;
        free(slot->experiment);
        slot->experiment = NULL;
    }
    pthread_cond_broadcast(&w->room);
}

/* The next experiment that the database does not have. False: there is none, or all are to end. */
static bool begin_next(struct workers *w, uint64_t *ret_index)
{
    const volatile sig_atomic_t *stop = w->watcher->stop;

    for (;;) {
        while (w->next - w->oldest == WINDOW && !w->ends)
            pthread_cond_wait(&w->room, &w->lock);
        if (w->ends || w->next == w->plan->count || (stop && *stop))
            return false;
        struct slot *slot = &w->slot[w->next % WINDOW];
        slot->state = database_has(w->database, w->next) ? SLOT_KNOWN : SLOT_RUNS;
        *ret_index = w->next++;
        if (slot->state == SLOT_RUNS)
            return true;
        add_rows(w);
    }
}

/* Takes `x`. */
static void end_one(struct workers *w, uint64_t index, struct experiment *x, enum err e, const struct why *why)
{
    struct slot *slot = &w->slot[index % WINDOW];

    slot->experiment = x;
    slot->state = e == ERR_OK ? SLOT_OVER : SLOT_FAILED;
    if (e != ERR_OK && !w->error)
        fail(w, e, why);
    add_rows(w);
}

static void *work(void *context)
{
    struct workers *w = context;
    uint64_t index;

    pthread_mutex_lock(&w->lock);
    CLOSED_BY(rig_done) struct rig rig = rig_of(w->database, w->path, w->plan, w->begun++, NULL);
    while (begin_next(w, &index)) {
        struct experiment *x = calloc(1, sizeof *x);
        struct why why = {0};

        pthread_mutex_unlock(&w->lock);
        enum err e = x ? w->try(&rig, index, x, &why) : why_set(&why, ERR_NOMEM, "out of memory");
        pthread_mutex_lock(&w->lock);
        end_one(w, index, x, e, &why);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

enum err workers_run(struct database *database, const char *path, const struct plan *plan,
                     const struct campaign_watcher *watcher, workers_try *try, struct campaign_progress *progress,
                     struct why *why)
{
    struct workers w = {.database = database,
                        .path = path,
                        .plan = plan,
                        .watcher = watcher,
                        .try = try,
                        .progress = progress,
                        .until = watcher->until_manifested ? watcher->until_manifested : plan->until_manifested,
                        .lock = PTHREAD_MUTEX_INITIALIZER,
                        .room = PTHREAD_COND_INITIALIZER};
    unsigned wanted = watcher->workers ? watcher->workers : campaign_workers(plan), threads = 0;
    pthread_t thread[CAMPAIGN_WORKERS_MAX];

    w.ends = is_enough(&w);
    while (threads + 1 < wanted && threads + 1 < CAMPAIGN_WORKERS_MAX &&
           pthread_create(&thread[threads], NULL, work, &w) == 0)
        threads++;
    (void)work(&w); /* this thread is one of them */
    while (threads > 0)
        pthread_join(thread[--threads], NULL);
    for (size_t i = 0; i < WINDOW; i++)
        free(w.slot[i].experiment);
    if (w.error)
        *why = w.why;
    return w.error;
}
