/* `delias` without a machine: every verb's usage and exit status, tables as text and as JSON, what names and paths may
 * hold. */
#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/cli.h"
#include "cli/out.h"
#include "cli/verbs.h"

Suite *suite_cli(void);

void cli_no_memory(void)
{
    abort();
}

/* ---- what is printed ---- */

static char printed[65536];
static FILE *file; /* receives standard output and standard error */
static int saved[3];

static void begin_capture(void)
{
    fflush(NULL);
    file = tmpfile();
    for (int fd = 1; fd <= 2; fd++) {
        saved[fd] = dup(fd);
        dup2(fileno(file), fd);
    }
}

static void end_capture(void)
{
    fflush(NULL);
    for (int fd = 1; fd <= 2; fd++) {
        dup2(saved[fd], fd);
        close(saved[fd]);
    }
    rewind(file);
    printed[fread(printed, 1, sizeof printed - 1, file)] = '\0';
    fclose(file);
}

/* ---- verbs ---- */

static const struct verb *find_verb(const char *name)
{
    for (const struct verb *v = verbs; v->name; v++)
        if (strcmp(v->name, name) == 0)
            return v;
    ck_abort_msg("there is no verb %s", name);
}

/* The exit status of `delias WORDS`, which are separated by blanks; its output is in `printed`. */
static int run(const char *words)
{
    char text[256], *argv[32];
    int argc = 0;

    snprintf(text, sizeof text, "%s", words);
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    cli_verb = find_verb(argv[0]);
    begin_capture();
    enum cli_status status = cli_run(cli_verb, argc, argv);
    end_capture();
    return (int)status;
}

/* In an empty run directory. */
static const struct {
    const char *words;
    int status;
    const char *message;
} cases[] = {
    {"ps", 0, "name"},
    {"ps --json", 0, "[]"},
    {"ps one", 2, "'one' is one operand too many"},
    {"ps --nothing", 2, "--nothing' is unknown"},
    {"cells", 3, "no machine runs"},
    {"cells nobody", 3, "'nobody'"},
    {"cells -m nobody", 3, "'nobody'"},
    {"cell", 2, "an operand is missing"},
    {"cell -m nobody a b", 2, "'b' is one operand too many"},
    {"events --last -5", 2, "--last wants a number"},
    {"events --last 5x", 2, "--last wants a number"},
    {"events --last", 2, "--last lacks its value"},
    {"run --cpus 0", 2, "--cpus wants a number from 1"},
    {"run --cpus 1000", 2, "--cpus wants a number from 1"},
    {"run --accel fast --name x", 2, "'fast'"},
    {"run /nonexistent.yaml --detach", 1, "No such file"},
    {"run --kernel /nonexistent --detach", 1, "No such file"},
    {"swap", 2, "missing"},
    {"swap nobody channel=x.o", 3, "'nobody'"},
    {"ns", 2, "say list, log, branch, diff, checkout or rm"},
    {"ns list nobody a", 2, "too many"},
    {"ns nobody list", 3, "'nobody'"},
    {"ns rm", 2, "an operand is missing\nusage: delias ns [N] rm NS\n"},
    {"ns diff a", 2, "usage: delias ns [N] diff NS NS | NS COMMIT [COMMIT]\n"},
    {"evolve diff --only", 2, "usage: delias evolve diff OLDBUILD NEWBUILD\n"},
    {"run --detach --tui", 2, "one of --detach, --tui and --console"},
    {"run --console --tui", 2, "one of --detach, --tui and --console"},
    {"inject --into random --hold 5", 2, "--hold goes with stuck0 or stuck1"},
    {"evolve diff one", 2, "an operand is missing"},
    {"evolve diff /nonexistent /nonexistent", 1, "/nonexistent"},
    {"campaign", 2, "say check, run, resume, report, tables, compare or replay"},
    {"campaign check /nonexistent.yaml", 1, "/nonexistent.yaml"},
    {"campaign check configs/campaigns/quick.yaml", 0, ""},
    {"campaign report /nonexistent.db", 1, "/nonexistent.db"},
    {"campaign replay x.db many", 2, "many"},
    {"inject nobody --into random --seed seven", 2, "--seed wants a number"},
    {"inject", 2, "missing"},
    {"stop nobody", 3, "'nobody'"},
};

START_TEST(verb_has_status)
{
    int status = run(cases[_i].words);

    ck_assert_msg(status == cases[_i].status, "%s: status %d: %s", cases[_i].words, status, printed);
    ck_assert_msg(strstr(printed, cases[_i].message), "%s: %s", cases[_i].words, printed);
    if (status == CLI_USAGE)
        ck_assert_msg(strstr(printed, "usage: delias "), "%s: %s", cases[_i].words, printed);
}
END_TEST

/* Help names the verb, each of its subverbs and each option. */
START_TEST(help_is_complete)
{
    for (const struct verb *v = verbs; v->name; v++) {
        char usage[64];

        begin_capture();
        cli_help(v);
        end_capture();
        snprintf(usage, sizeof usage, "usage: delias %s", v->name);
        ck_assert_msg(strncmp(printed, usage, strlen(usage)) == 0, "%s: %s", v->name, printed);
        for (const struct verb *sub = v->subverbs; sub && sub->name; sub++)
            ck_assert_msg(strstr(printed, sub->name), "%s %s", v->name, sub->name);
        for (const struct option_rule *rule = v->options; rule && rule->name; rule++)
            ck_assert_msg(strstr(printed, rule->name), "%s --%s", v->name, rule->name);
    }
}
END_TEST

/* ---- tables ---- */

static const struct column columns[] = {
    {.key = "name", .kind = COLUMN_TEXT},
    {.key = "count", .kind = COLUMN_NUMBER},
    {.key = "delta", .kind = COLUMN_SIGNED},
    {.key = "at", .kind = COLUMN_ADDRESS},
    {.key = "note", .kind = COLUMN_TEXT, .where = COLUMN_JSON},
    {.key = "mark", .kind = COLUMN_TEXT, .where = COLUMN_TABLE},
    {.key = NULL},
};

static void add_row(struct out *out, const char *name, uint64_t count, int64_t delta, const char *note)
{
    out_text(out, name);
    out_number(out, count);
    out_number(out, (uint64_t)delta);
    out_number(out, 0xffffffff80000000);
    out_text(out, note);
    out_text(out, "*");
}

/* Numbers are at the right of their column, texts at the left; nothing is cut, and no blanks end a line. */
START_TEST(table_is_aligned)
{
    struct out *out = out_new(columns, false);

    add_row(out, "a", 7, -1, "hidden");
    add_row(out, "longer", 12345678, 0, "hidden");
    ck_assert_uint_eq(out_rows(out), 2);
    begin_capture();
    out_print(out);
    end_capture();
    ck_assert_str_eq(printed, "name       count  delta  at                  mark\n"
                              "a              7     -1  0xffffffff80000000  *\n"
                              "longer  12345678      0  0xffffffff80000000  *\n");
    ck_assert_uint_eq(out_rows(out), 0);
    out_free(out);
}
END_TEST

/* A stream has its heading once. */
START_TEST(stream_has_one_heading)
{
    struct out *out = out_new(columns, false);

    begin_capture();
    out_stream(out);
    add_row(out, "a", 1, 0, "");
    out_stream(out);
    add_row(out, "b", 2, 0, "");
    out_stream(out);
    end_capture();
    char *heading = strstr(printed, "name");
    ck_assert(heading == printed && !strstr(heading + 1, "name") && strstr(printed, "\nb "));
    out_free(out);
}
END_TEST

/* What may stand in a path or a panic's text comes back from JSON as it was; what is not UTF-8 becomes "?". */
START_TEST(json_keeps_text)
{
    static const char *const texts[] = {"", "plain", "\"quoted\" and \\ and /", "tab\tnewline\n\x01", "\xc3\xa9"};
    struct out *out = out_new(columns, true);

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        add_row(out, texts[i], UINT32_MAX, -1, "seen");
    add_row(out, "\xff\xfe", 0, 0, "seen");
    begin_capture();
    out_print(out);
    end_capture();
    json_t *rows = json_loads(printed, 0, NULL);
    ck_assert_uint_eq(json_array_size(rows), sizeof texts / sizeof *texts + 1);
    for (size_t i = 0; i <= sizeof texts / sizeof *texts; i++) {
        const json_t *row = json_array_get(rows, i);
        const char *expected = i < sizeof texts / sizeof *texts ? texts[i] : "?";

        ck_assert_str_eq(json_string_value(json_object_get(row, "name")), expected);
        ck_assert_str_eq(json_string_value(json_object_get(row, "at")), "0xffffffff80000000");
        ck_assert_str_eq(json_string_value(json_object_get(row, "note")), "seen");
        ck_assert_ptr_null(json_object_get(row, "mark"));
    }
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(rows, 0), "count")), UINT32_MAX);
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(rows, 0), "delta")), -1);
    json_decref(rows);
    out_free(out);
}
END_TEST

static char folder[] = "/tmp/delias-cli-XXXXXX";

static void use_empty_folder(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    setenv("XDG_RUNTIME_DIR", folder, 1);
}

static void remove_folder(void)
{
    char path[sizeof folder + 16];

    snprintf(path, sizeof path, "%s/delias", folder);
    rmdir(path);
    rmdir(folder);
}

Suite *suite_cli(void)
{
    Suite *suite = suite_create("cli");
    TCase *verb_cases = tcase_create("verbs"), *tables = tcase_create("tables");

    tcase_add_checked_fixture(verb_cases, use_empty_folder, remove_folder);
    tcase_add_loop_test(verb_cases, verb_has_status, 0, sizeof cases / sizeof *cases);
    tcase_add_test(verb_cases, help_is_complete);
    suite_add_tcase(suite, verb_cases);
    tcase_add_test(tables, table_is_aligned);
    tcase_add_test(tables, stream_has_one_heading);
    tcase_add_test(tables, json_keeps_text);
    suite_add_tcase(suite, tables);
    return suite;
}
