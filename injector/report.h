/* The sums of a campaign. */
#pragma once
#include "injector/database.h"

struct report_target {
    char words[PLAN_TEXT_MAX];
    uint64_t count[OUTCOME_COUNT];
};

struct report_rate {
    uint64_t manifested, recovered;
    double rate, low, high; /* of recovery among manifested faults, and its 95% Wilson interval; 0 to 1 */
};

/* Of a campaign that injects while the guest does something else. */
struct report_moment {
    char function[PLAN_TEXT_MAX]; /* whose entry the moment is */
    uint64_t count[OUTCOME_COUNT];
};
struct report_moments {
    struct report_moment moment[PLAN_TARGETS_MAX];
    unsigned moments;
    uint64_t missed;         /* experiments to which the moment did not come: not in what follows */
    struct report_rate rate; /* strict */
};

/* What was left in use after recovery (residue.h), of those experiments of which it is known. */
struct report_residue {
    uint64_t known, clean;
    struct {
        char target[PLAN_TEXT_MAX], left[PLAN_TEXT_MAX]; /* "frames 8" */
        uint64_t count;
    } row[PLAN_TARGETS_MAX]; /* of those that left something; the first ones */
    unsigned rows;
};

struct report {
    char build_id[64], seed[32], model[PLAN_TEXT_MAX], backend[16];
    uint64_t planned, done;
    double per_second; /* experiments that a worker, on a core of its own, made in a second of its time; 0: unknown */
    uint64_t count[OUTCOME_COUNT]; /* strict, as those of the targets */
    struct report_target target[PLAN_TARGETS_MAX];
    unsigned targets;
    struct report_rate rate[OUTCOME_RULES];
    struct report_moments moments;
    struct report_residue residue;
};

/* Sums up all experiments of the database. On failure `why` says what could not be read. */
enum err report_make(struct database *database, struct report *ret_report, struct why *why);

/* Wilson's score interval for `hits` of `n`, 95%: honest near 0 and 1, where the usual one is not. 0 to 1 for n = 0. */
void report_wilson(uint64_t hits, uint64_t n, double *ret_low, double *ret_high);
