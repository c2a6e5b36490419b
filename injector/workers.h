/* Experiments of a campaign side by side: threads, each with a machine of its own. What they find out is added to the
 * database in the order of the experiments, so that it is the same with any number of them. */
#pragma once
#include "injector/campaign.h"
#include "injector/rig.h"

/* Runs experiment number `index`. */
typedef enum err workers_try(struct rig *rig, uint64_t index, struct experiment *ret_experiment, struct why *why);

/* Runs all of the plan's experiments that the database does not have, until the watcher says so or so many have
 * manifested as it or the plan want; counts them in `progress`. On failure `why` is that of the first that failed, and
 * those before it are in the database. */
enum err workers_run(struct database *database, const char *path, const struct plan *plan,
                     const struct campaign_watcher *watcher, workers_try *try, struct campaign_progress *progress,
                     struct why *why);
