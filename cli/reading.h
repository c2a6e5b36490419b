/* What all verbs share that only read the arena: options, the machine, a fresh view, rows, and --follow. */
#pragma once
#include "cli/out.h"
#include "cli/target.h"

struct reading {
    struct target *target;
    const struct view *view; /* fresh for every round */
    struct out *out;
    int argc; /* operands after the machine */
    char **argv;
    bool all, in, json; /* --all, --in, --json */
    bool failed;        /* the last round found something wrong: status 1 at the end */
    uint64_t last;      /* --last N, 0: not given */
    bool follow;        /* --follow */
    unsigned held;      /* streams: rounds that the next record has been held back, as it is not finished */
    uint64_t seen;      /* streams: the newest seq printed so far */
};

struct reading_rule {
    int min, max;        /* operands */
    const char *options; /* of "a" all, "i" in, "n" last; "" for none */
    const struct column *columns;
    int (*fill)(struct reading *reading);   /* adds rows; another status than 0 ends the verb, reported already */
    bool stream;                            /* fill adds only what is newer than `seen` */
    void (*print)(struct reading *reading); /* instead of rows; may be NULL */
};

int reading_run(int argc, char **argv, const struct reading_rule *rule);
