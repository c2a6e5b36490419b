/* Runs the experiments of a plan, each from a clean start on a machine of the campaign's own, into a database. */
#pragma once
#include "injector/database.h"
#include <signal.h>

enum { CAMPAIGN_WORKERS_MAX = 64 };

struct campaign_progress {
    uint64_t done, count; /* experiments */
    uint64_t outcomes[OUTCOME_COUNT];
    const struct experiment *last; /* the one that is added now; NULL: none is */
};

struct campaign_watcher {
    void (*progress)(void *context, const struct campaign_progress *progress);
    void *context;
    uint64_t until_manifested;         /* in place of the plan's; 0: as that says */
    unsigned workers;                  /* side by side, each with a machine of its own; 0: campaign_workers */
    const volatile sig_atomic_t *stop; /* not 0: end after the experiment that runs; may be NULL */
};

/* How many workers a campaign has unless it is told: one for each CPU where moments are the guest's own, else one, as
 * what the host does besides moves the injections. */
unsigned campaign_workers(const struct plan *plan);

/* Runs what the database has no row for. Rows are added in the order of their numbers, however many workers there are.
 * `progress` is called by one thread at a time. ERR_OK also when it was stopped: the rows tell. */
enum err campaign_run(struct database *database, const char *path, const struct plan *plan,
                      const struct campaign_watcher *watcher, struct why *why);

/* Does the changes of `recorded` again, to a clean start of the same image; nothing is written to the database. */
enum err campaign_replay(struct database *database, const char *path, const struct plan *plan,
                         const struct experiment *recorded, struct experiment *ret_experiment, struct why *why);
