/* What became of a guest after an injection, judged from what it delivered and from its fault log
 * (docs/campaigns.md). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define OUTCOMES(X)                                                                                                    \
    X(BENIGN, "benign", "nothing failed")                                                                              \
    X(RESTART, "restart", "recovered by unwinding or by restarting tasks")                                             \
    X(RELOAD, "reload", "recovered by reloading a cell")                                                               \
    X(WRONG, "wrong", "something wrong was delivered")                                                                 \
    X(FAILED, "failed", "a fault was not recovered")                                                                   \
    X(HANG, "hang", "the workload stopped without a fault")                                                            \
    X(CRASH, "crash", "the machine ended, halted or restarted")

enum outcome {
#define X(name, word, meaning) OUTCOME_##name,
    OUTCOMES(X)
#undef X
        OUTCOME_COUNT
};

struct evidence {
    bool crashed;         /* the machine ended, restarted, or its arena is gone */
    bool halted;          /* a fault was answered by halting */
    uint64_t rounds;      /* delivered since the injection */
    uint64_t wanted;      /* that make it a finished experiment */
    uint64_t wrong;       /* of those: their checksum is not what the host expects */
    uint64_t lost, twice; /* since: numbers of rounds that did not come, or came again */
    uint64_t bad;         /* since, as the guest says; nothing is judged by it */
    uint64_t faults;      /* logged since, repairs by the scrubber left out */
    uint64_t unrecovered; /* of those */
    uint64_t reloads;     /* since */
    uint64_t replacing;   /* of those that were not recovered: a cell was being reloaded */
    uint64_t hanging;     /* of those that were not recovered: the watchdog had to end something that hung */
    uint64_t in_recovery; /* of the faults: in the code of recovery itself */
    /* What the guest was asked for meanwhile, a swap, was not answered, or not done when it was asked for again. */
    bool unanswered;
};

/* Why a fault was lost, in the classes of the thesis (table 9.1), and two that it does not have. */
#define CAUSES(X)                                                                                                      \
    X(NONE, "", "recovered, or nothing failed")                                                                        \
    X(UNWINDING, "incomplete unwinding", "every fault is closed, and the workload does not go on")                     \
    X(HUNG, "hung task", "it stopped with nothing logged, or hung again and again")                                    \
    X(REPLACEMENT, "failed replacement", "a fault is not closed whose cell was being reloaded")                        \
    X(UNWINDER, "unwinder failure", "recovery failed by itself, or did not come to an end")                            \
    X(MACHINE, "end of the machine", "it ended, halted or restarted")                                                  \
    X(RESULT, "wrong result", "something wrong was delivered")

enum cause {
#define X(name, word, meaning) CAUSE_##name,
    CAUSES(X)
#undef X
        CAUSE_COUNT
};

/* How experiments are counted. STRICT: nothing that is wrong was ever delivered, nor was anything lost or delivered
 * twice. THESIS: a fault counts when it shows itself as one (thesis §9.2): results are not looked at. */
enum outcome_rule { OUTCOME_STRICT, OUTCOME_THESIS, OUTCOME_RULES };

/* The worst that the evidence shows. */
enum outcome outcome_classify(const struct evidence *evidence, enum outcome_rule rule);

/* Why it was lost, as that rule counts. */
enum cause outcome_cause(const struct evidence *evidence, enum outcome_rule rule);
const char *outcome_cause_word(enum cause cause);
const char *outcome_cause_meaning(enum cause cause);

/* Its name in tables and in JSON, what it means in one line, and the outcome of that name. False: there is none. */
const char *outcome_word(enum outcome outcome);
const char *outcome_meaning(enum outcome outcome);
bool outcome_parse(const char *word, enum outcome *ret_outcome);
static inline bool outcome_is_manifested(enum outcome o)
{
    return o != OUTCOME_BENIGN;
}
static inline bool outcome_is_recovered(enum outcome o)
{
    return o == OUTCOME_RESTART || o == OUTCOME_RELOAD;
}
