/* The machine of a campaign, and what it was at the moment of the injection. */
#pragma once
#include "injector/database.h"
#include "injector/deliveries.h"
#include "injector/moment.h"
#include "injector/residue.h"
#include "injector/watch.h"

struct rig {
    const struct plan *whole;
    const struct plan *plan; /* its part whose machine this is, or the same */
    struct database *database;
    struct machine_config config;
    struct machine *machine; /* NULL: none runs */
    struct inject_target target;
    struct view *view;
    struct glance before;
    struct deliveries deliveries;  /* since then */
    struct moment_request request; /* what it was asked for then */
    bool checked;                  /* every target is there */
    bool snapshot;                 /* the machine has the disk of its part */
    struct rig_disk {
        int fd;                     /* -1: none */
        bool kept;                  /* it has the state of the clean start */
        struct residue_range usual; /* of an exact campaign: what the guest has in use when nothing is injected */
    } disk[PLAN_PARTS_MAX];         /* by the part of the campaign */
};

/* A rig without a machine; one of that name is ended. It is named after the database, so that the next run finds and
 * ends what a killed one left, and after the worker whose it is, from 0 on. A replay's has its experiment's number
 * (`again`) too: several may be done again at a time. End it with rig_done. */
struct rig rig_of(struct database *database, const char *path, const struct plan *plan, unsigned worker,
                  const struct experiment *again);
void rig_done(struct rig *rig);
/* Ends the machines of all workers that a killed run has left. */
void rig_end_left(const char *path);

/* The machine becomes that of the experiment's part of the campaign. */
void rig_use(struct rig *rig, uint64_t index);

/* The campaign's database is about the archives that are there now, or has none noted yet. */
enum err rig_pin_archives(struct database *database, const struct plan *plan, struct why *why);

/* A guest at the moment of the experiment's injection: its workload warmed up, from the kept state or as from power-on,
 * and the experiment's delay over. */
enum err rig_begin(struct rig *rig, const struct experiment *experiment, struct why *why);
/* The guest has recovered, and stands still where it has counted a round: runs on, for some rounds at most, until it
 * has no more and no less in use than one into which nothing was injected. Fills x->residue, of an exact campaign. */
enum err rig_compare(struct rig *rig, struct experiment *x, struct why *why);
/* Takes a view of the guest, and notes what it has counted and delivered. */
enum err rig_look(struct rig *rig, struct why *why);
/* Takes a view of the guest as it is amid a change. */
enum err rig_look_again(struct rig *rig, struct why *why);
