/* Runs every libcheck suite, and side by side with them every script (parts.h), and prints one closing line for all.
 * usage: delias-tests [WORD]     with a word: the scripts whose command contains it, and no suite
 * CK_RUN_SUITE=NAME selects one suite or group of scripts (tools, guest, e2e, fuzz, lab). TEST_PATIENCE=N multiplies
 * all limits of time (limits.h); TEST_RETRIES=N has up to N scripts that failed run again (parts.h). */
#include "tests/limits.h"
#include "tests/parts.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#ifndef SUITES /* the Makefile lists them: SUITE(qmp, "qmp") SUITE(hosted_heap, "hosted heap") ... */
#define SUITES
#endif
#define SUITE(function, name) Suite *suite_##function(void);
SUITES
#undef SUITE

#define SUITE(function, name) {name, suite_##function},
static const struct {
    const char *name;
    Suite *(*make)(void);
} suites[] = {SUITES{NULL, NULL}}; /* ends with no name */
#undef SUITE

static const char *const groups[] = {"tools", "guest", "e2e", "fuzz", "lab"};
enum { GROUP_COUNT = sizeof groups / sizeof *groups };

/* Memory that tests have freed makes the runner larger, and each test is a fork of it. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "quarantine_size_mb=16";
}

/* Each ck_assert tells the runner where it is, in case that the test crashes: in loops that takes longer than the test,
 * so after the first thousand it is told only now and then. The linker has this called in place of libcheck's. */
void __real__mark_point(const char *file, int line);
void __wrap__mark_point(const char *file, int line);
void __wrap__mark_point(const char *file, int line)
{
    static unsigned calls;

    if (calls++ < 1000 || calls % 4096 == 0)
        __real__mark_point(file, line);
}

START_TEST(judge_part)
{
    const struct part *part = parts_at((size_t)_i);

    ck_assert_msg(part->done, "%s: what runs the scripts has failed", part->command);
    ck_assert_msg(part->status == 0 || part->status == PART_SKIPPED, "%s: status %d, see %s", part->command,
                  part->status, part->log);
}
END_TEST

static Suite *suite_of_group(const char *name)
{
    Suite *suite = suite_create(name);
    TCase *cases = tcase_create(name);

    for (int i = 0; i < (int)parts_count(); i++)
        if (strcmp(parts_at((size_t)i)->group, name) == 0)
            tcase_add_loop_test(cases, judge_part, i, i + 1);
    suite_add_tcase(suite, cases);
    return suite;
}

/* What this process and its children that have ended have taken: suites until parts_wait, then all. */
static unsigned cpu_seconds(void)
{
    struct rusage self, children;

    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    return (unsigned)(self.ru_utime.tv_sec + self.ru_stime.tv_sec + children.ru_utime.tv_sec +
                      children.ru_stime.tv_sec);
}

/* False: there is none of this name, so that it would be passed over in silence. */
static bool run_suite(SRunner *runner, const char *name)
{
    int failed = srunner_ntests_failed(runner), run = srunner_ntests_run(runner);
    time_t started = time(NULL);
    unsigned used = cpu_seconds();

    srunner_run(runner, name, NULL, CK_SILENT);
    if (srunner_ntests_run(runner) == run && !getenv("CK_RUN_CASE")) {
        fprintf(stderr, "FAILED    suite %s: has no test of this name\n", name);
        return false;
    }
    fprintf(stderr, "%-9s suite %s (%ld s, %u s of CPU)\n",
            srunner_ntests_failed(runner) == failed ? "passed" : "FAILED", name, (long)(time(NULL) - started),
            cpu_seconds() - used);
    return true;
}

static void set_limit_of_checks(unsigned seconds)
{
    char text[16];

    snprintf(text, sizeof text, "%u", seconds);
    setenv("CK_DEFAULT_TIMEOUT", text, 1);
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : NULL, *only = getenv("CK_RUN_SUITE"), *retries = getenv("TEST_RETRIES");
    SRunner *runner = srunner_create(NULL);
    bool complete = true;
    time_t started = time(NULL);

    set_limit_of_checks(limit_seconds(CHECK_SECONDS));
    parts_find(only, word);
    if (!parts_start(limit_seconds(SCRIPT_SECONDS), retries ? (unsigned)atoi(retries) : 0))
        return 1;
    srunner_set_fork_status(runner, CK_FORK);
    for (size_t i = 0; suites[i].name; i++)
        if (!word && (!only || strcmp(only, suites[i].name) == 0)) {
            srunner_add_suite(runner, suites[i].make());
            complete = run_suite(runner, suites[i].name) && complete;
        }
    parts_wait();
    for (size_t i = 0; i < GROUP_COUNT; i++) {
        srunner_add_suite(runner, suite_of_group(groups[i]));
        srunner_run(runner, groups[i], NULL, CK_SILENT);
    }
    fprintf(stderr, "all       %ld s, %u s of CPU\n", (long)(time(NULL) - started), cpu_seconds());
    srunner_print(runner, CK_NORMAL);
    complete = complete && srunner_ntests_failed(runner) == 0;
    srunner_free(runner);
    return complete ? 0 : 1;
}
