/* See outcome.h. */
#include "injector/outcome.h"
#include <string.h>

static const char *const words[] = {
#define X(name, word, meaning) [OUTCOME_##name] = word,
    OUTCOMES(X)
#undef X
};
static const char *const meanings[] = {
#define X(name, word, meaning) [OUTCOME_##name] = meaning,
    OUTCOMES(X)
#undef X
};

enum outcome outcome_classify(const struct evidence *e, enum outcome_rule rule)
{
    if (e->crashed || e->halted)
        return OUTCOME_CRASH;
    if (rule == OUTCOME_STRICT && (e->wrong || e->lost || e->twice))
        return OUTCOME_WRONG;
    if (e->rounds < e->wanted)
        return e->faults ? OUTCOME_FAILED : OUTCOME_HANG;
    if (e->unrecovered || e->unanswered)
        return OUTCOME_FAILED;
    if (e->reloads)
        return OUTCOME_RELOAD;
    return e->faults ? OUTCOME_RESTART : OUTCOME_BENIGN;
}

enum cause outcome_cause(const struct evidence *e, enum outcome_rule rule)
{
    switch (outcome_classify(e, rule)) {
    case OUTCOME_WRONG:
        return CAUSE_RESULT;
    case OUTCOME_CRASH:
        return CAUSE_MACHINE;
    case OUTCOME_HANG:
        return CAUSE_HUNG;
    case OUTCOME_FAILED:
        if (e->in_recovery)
            return CAUSE_UNWINDER;
        if (e->hanging)
            return CAUSE_HUNG;
        return e->replacing ? CAUSE_REPLACEMENT : e->unrecovered ? CAUSE_UNWINDER : CAUSE_UNWINDING;
    default:
        return CAUSE_NONE;
    }
}

static const char *const cause_words[] = {
#define X(name, word, meaning) [CAUSE_##name] = word,
    CAUSES(X)
#undef X
};
static const char *const cause_meanings[] = {
#define X(name, word, meaning) [CAUSE_##name] = meaning,
    CAUSES(X)
#undef X
};

const char *outcome_cause_word(enum cause cause)
{
    return cause < CAUSE_COUNT ? cause_words[cause] : "?";
}

const char *outcome_cause_meaning(enum cause cause)
{
    return cause < CAUSE_COUNT ? cause_meanings[cause] : "?";
}

const char *outcome_word(enum outcome outcome)
{
    return outcome < OUTCOME_COUNT ? words[outcome] : "?";
}

const char *outcome_meaning(enum outcome outcome)
{
    return outcome < OUTCOME_COUNT ? meanings[outcome] : "?";
}

bool outcome_parse(const char *word, enum outcome *ret_outcome)
{
    for (enum outcome o = 0; o < OUTCOME_COUNT; o++)
        if (strcmp(word, words[o]) == 0) {
            *ret_outcome = o;
            return true;
        }
    return false;
}
