/* Parts of the suite that are scripts: found, run side by side in the background, judged once all have ended. The
 * scripts are those of tests/e2e, tests/fuzz and tests/lab, and a guest test on a number of CPUs as tests/guest/list
 * has it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { PART_SKIPPED = 77, PARTS_MAX = 256 };

struct part {
    const char *group; /* a constant's text */
    char command[160]; /* for bash, from the top of the tree */
    char log[200];     /* file with its output */
    unsigned cores;    /* how many it keeps busy */
    pid_t pid;         /* while it runs, else 0 */
    time_t started;
    /* Once it has ended: */
    bool done;
    bool second; /* it failed once, and was run again alone */
    int status;  /* its exit status; 128 + N: signal N ended it; 124: the limit did */
    unsigned seconds;
    unsigned cpu_seconds; /* of all its processes, those that its script left behind too */
};

/* Finds the parts of a group (NULL: all) whose command contains `word` (NULL: all), in the order of their start. */
void parts_find(const char *group, const char *word);

/* How many were found, and number i of them. Its result is complete after parts_wait. */
size_t parts_count(void);
const struct part *parts_at(size_t i);

/* Runs the parts in a process of its own, as many as there are cores for; one core is left alone until parts_wait is
 * called. Ends a part that takes `limit` seconds; prints a line for each that has ended, and its output when it failed.
 * Up to `retries` that failed are run a second time, one by one, after all others: more have not failed by the load of
 * the machine. False: no process or file can be had. */
bool parts_start(unsigned limit, unsigned retries);

/* Waits until all parts have ended. */
void parts_wait(void);
