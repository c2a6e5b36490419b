/* A campaign file (introspect/base/settings.h; configs/campaigns/quick.yaml and second.yaml show its keys). Relative
 * paths in it are taken from its own folder. */
#pragma once
#include "guest/abi/workload.h"
#include "injector/model.h"
#include "introspect/base/settings.h"
#include "vmm/machine/machine.h"

enum { PLAN_TARGETS_MAX = 64, PLAN_MODELS_MAX = 8, PLAN_PARTS_MAX = 16, PLAN_TEXT_MAX = 128 };

struct plan_target {
    char words[PLAN_TEXT_MAX];
    unsigned line; /* in the file */
    bool here;     /* the instruction that the guest is about to execute; else: */
    struct place place;
};

/* What the guest does meanwhile (docs/campaigns.md, "A fault amid something else"). */
enum during { DURING_ROUNDS, DURING_RECOVERY, DURING_SWAP, DURING_RELOAD };

struct plan_moment {
    enum during during;
    char cell[32];                                 /* that is swapped or reloaded */
    char object[MACHINE_PATH_MAX];                 /* its new object's file, of a swap */
    struct plan_target function[PLAN_TARGETS_MAX]; /* PLACE_SYMBOL */
    unsigned functions;
    unsigned steps; /* the injection comes up to so many instructions after the function's entry, by the seed */
    struct plan_target first[PLAN_TARGETS_MAX]; /* of the fault that is recovered from */
    unsigned firsts;
    struct model_use first_model;
};

struct plan {
    char folder[MACHINE_PATH_MAX];   /* of the file, absolute */
    char *text;                      /* of the file, owned */
    char model_words[PLAN_TEXT_MAX]; /* of all, as they are reported */
    struct {
        char words[PLAN_TEXT_MAX];
        struct model_use use;
        unsigned weight;
    } model[PLAN_MODELS_MAX]; /* an experiment takes one of them, by the seed: one of weight 2 twice as often */
    unsigned models, weights; /* of all together */
    struct plan_target target[PLAN_TARGETS_MAX];
    unsigned targets;
    struct plan_moment moment; /* of the injection, when `during` says one */
    uint64_t count, seed;
    uint64_t until_manifested; /* ends when so many faults have manifested; 0: not before the count */
    double until_half_width;   /* ends when the interval of the rate is that narrow, 0 to 0.5; 0: not for that */
    unsigned timeout_ms;       /* for the workload to end `rounds` rounds after the injection */
    unsigned boot_ms;          /* for the guest to come up */
    unsigned warmup_rounds, rounds;
    unsigned jitter_ms; /* the injection comes up to this much after the warm-up, by the seed */
    bool exact;         /* moments are the guest's own, and the same on every run; timeout_ms is the guest's time */
    uint32_t workload;  /* parts of the guest's workload that work (guest/abi/workload.h) */
    unsigned jitter_switches;      /* exact: instead of jitter_ms, in switches of tasks */
    struct machine_config machine; /* with the workload on its command line */
    /* A campaign that is made of others: an experiment takes one of them, by its index, with the seed of the whole.
     * Then models, targets and machine here are empty. */
    struct plan *part; /* owned */
    unsigned parts;
    uint64_t in_a_row; /* experiments of one part, then those of the next; a change of parts boots another machine */
    char file[PLAN_TEXT_MAX]; /* of a part: as the whole calls it */
};

/* The part of which experiment `index` is, or the plan itself. */
const struct plan *plan_part(const struct plan *plan, uint64_t index);

/* The model that a number below plan->weights draws. */
unsigned plan_model(const struct plan *plan, unsigned drawn);

/* The text of a part, owned by the caller, for plan_parse. NULL: ret_why has the reason. */
typedef char *plan_read(void *context, const char *file, char ret_why[SETTINGS_WHY]);

/* Whether the targets can be there says targets_check. */
enum err plan_load(const char *path, struct plan *ret_plan, struct why *why);
/* The same from the text of a file that was in `folder`; `name` is for messages. */
enum err plan_parse(const char *name, const char *text, const char *folder, plan_read *read, void *context,
                    struct plan *ret_plan, struct why *why);
void plan_done(struct plan *plan);
