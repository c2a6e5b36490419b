/* What all verbs share that only read the arena: the machine, a fresh view, rows, and --follow. */
#pragma once
#include "cli/cli.h"
#include "cli/out.h"
#include "cli/target.h"

struct reading {
    const struct call *call;
    struct target *target;
    const struct view *view; /* fresh for every round */
    struct out *out;
    bool in;               /* edges that arrive, in place of those that leave; at first what --in says */
    bool failed;           /* the last round found something wrong: status 1 at the end */
    unsigned held;         /* streams: rounds for which an unfinished record has been held back */
    uint64_t seen;         /* streams: the newest seq printed so far */
    struct qualified name; /* of faults: the cell that the operand names; empty: all */
};

struct reading_rule {
    const struct column *columns;
    enum cli_status (*fill)(struct reading *reading); /* adds rows; returns a status; failures were reported */
    bool stream;                                      /* fill adds only what is newer than `seen` */
    void (*print)(struct reading *reading);           /* instead of rows; may be NULL */
};

/* Opens the machine that the call names, fills and prints; with --follow again until the machine ends. Returns the exit
 * status; failures were reported. */
enum cli_status reading_run(struct call *call, const struct reading_rule *rule);
