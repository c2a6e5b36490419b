/* Runs every libcheck suite and every test script in one Check runner, so that there is one closing summary.
 * A script passes with status 0 and is skipped, with its reason printed, with status 77. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SUITES /* the Makefile lists them: SUITE(qmp) SUITE(arena) ... */
#define SUITES
#endif
#define SUITE(name) Suite *suite_##name(void);
SUITES
#undef SUITE

static const struct {
    const char *name;
    const char *pattern;
} script_groups[] = {
    {"guest", "tests/guest/*.sh"},
    {"e2e", "tests/e2e/*.sh"},
    {"fuzz", "tests/fuzz/test_*.sh"},
    {"lab", "tests/lab/test_*.sh"},
};

static glob_t scripts;

static void print_file(const char *path)
{
    FILE *f = fopen(path, "r");
    char line[1024];

    while (f && fgets(line, sizeof line, f))
        fprintf(stderr, "    %s", line);
    if (f)
        fclose(f);
}

/* Runs scripts.gl_pathv[i] with its output in build/tests/log/; a failing script's output is shown. */
START_TEST(run_script)
{
    const char *path = scripts.gl_pathv[_i];
    char log[512], command[1200];
    time_t started = time(NULL);

    snprintf(log, sizeof log, "build/tests/log/%s.log", strrchr(path, '/') + 1);
    snprintf(command, sizeof command, "bash %s > %s 2>&1 < /dev/null", path, log);
    int status = system(command);
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128;

    fprintf(stderr, "%-9s %s (%ld s)\n",
            code == 0    ? "passed"
            : code == 77 ? "skipped"
                         : "FAILED",
            path, (long)(time(NULL) - started));
    if (code != 0)
        print_file(log);
    ck_assert_msg(code == 0 || code == 77, "%s: status %d, see %s", path, code, log);
}
END_TEST

static Suite *script_suite(const char *name, const char *pattern, const char *only)
{
    Suite *s = suite_create(name);
    TCase *tc = tcase_create(name);
    int first = (int)scripts.gl_pathc;

    glob(pattern, GLOB_APPEND, NULL, &scripts);
    tcase_set_timeout(tc, 1800);
    for (int i = first; i < (int)scripts.gl_pathc; i++)
        if (!only || strstr(scripts.gl_pathv[i], only))
            tcase_add_loop_test(tc, run_script, i, i + 1);
    suite_add_tcase(s, tc);
    return s;
}

/* With an argument, only the scripts whose path contains it run, and no unit suite. */
int main(int argc, char **argv)
{
    const char *only = argc > 1 ? argv[1] : NULL;
    SRunner *runner = srunner_create(NULL);

    if (system("mkdir -p build/tests/log") != 0)
        return 1;
    glob("/nonexistent", GLOB_NOSORT, NULL, &scripts);
    if (!only) {
#define SUITE(name) srunner_add_suite(runner, suite_##name());
        SUITES
#undef SUITE
    }
    for (size_t i = 0; i < sizeof script_groups / sizeof *script_groups; i++)
        srunner_add_suite(runner, script_suite(script_groups[i].name, script_groups[i].pattern, only));
    srunner_set_fork_status(runner, CK_FORK);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
