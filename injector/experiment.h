/* One experiment of a campaign: what was done to which guest, and what came of it. A row of the database. */
#pragma once
#include "injector/inject.h"
#include "injector/outcome.h"
#include "injector/residue.h"

/* The injection came, or was to come, while the guest did something else than its rounds. */
struct experiment_moment {
    char function[96];      /* as in the campaign file; "": none was wanted */
    unsigned steps;         /* instructions after its entry */
    bool came;              /* if not, nothing was injected but the first fault */
    char place[160];        /* of the instruction that was to be executed then, as experiment.where */
    struct injection first; /* the fault that was to be recovered from, and its places */
    char first_where[MODEL_CHANGES_MAX][160];
};

struct experiment {
    uint64_t index;   /* in the campaign; with its seed it names the experiment */
    char part[128];   /* of the campaign, as it calls it; empty: it has none */
    char target[128]; /* as the campaign file has it */
    char model_words[128];
    struct model_use model;
    const char *kind; /* of what was changed first (inject_kind) */
    struct injection injection;
    char where[MODEL_CHANGES_MAX][160]; /* cell:section+offset, by change; empty: outside of every section */
    uint64_t at_round;                  /* rounds ended before the injection */
    unsigned delay_ms;                  /* after the warm-up, by the seed */
    unsigned delay_switches;            /* the same of an exact campaign */
    bool activation_known;              /* of exact campaigns */
    bool activated;                     /* what was changed was used afterwards (activation.h) */
    bool residue_known;                 /* of exact campaigns, when it was recovered */
    struct residue_counts residue;      /* left in use after recovery, more or less than usual */
    struct experiment_moment moment;
    struct evidence evidence;
    uint64_t restarts, recoveries;
    enum outcome outcome[OUTCOME_RULES];
    enum cause cause[OUTCOME_RULES];
    bool has_fault;
    struct arena_fault fault; /* the first after the injection */
    char fault_section[64];
    struct arena_fault lost;   /* the last that was not recovered; seq 0: none */
    uint64_t recovery_ns;      /* of all faults together */
    unsigned start_ms, run_ms; /* clean start; from the injection to the verdict */
};
