/* Two campaigns side by side: the same faults into two builds. Experiments are pairs when they have the same seed,
 * number, part, target, model, place and change; McNemar's exact test says whether the builds lose equally often. */
#pragma once
#include "injector/database.h"

enum { COMPARE_ROWS_MAX = 256 };

struct comparison {
    uint64_t pairs;
    uint64_t moved;          /* of the same number, but the place or the change is another: in no pair */
    uint64_t only_a, only_b; /* experiments that the other has not */
    struct {
        uint64_t both, only_a, only_b; /* pairs that were lost in both, in the first or the second only */
        double p;                      /* that so uneven a split, or a more uneven one, is chance; 1 without any */
    } lost[OUTCOME_RULES];
    struct comparison_row {
        uint64_t index;
        char target[PLAN_TEXT_MAX];
        enum outcome a, b;   /* strict */
    } row[COMPARE_ROWS_MAX]; /* pairs that are lost in the second only, strictly; the first ones */
    unsigned rows;
};

/* Both databases are read only. On failure `why` says which cannot be read, or that the seeds differ. */
enum err compare_make(struct database *a, struct database *b, struct comparison *ret_comparison, struct why *why);

/* McNemar's exact test, two-sided, of pairs that differ one way and the other. */
double compare_mcnemar(uint64_t one, uint64_t other);
