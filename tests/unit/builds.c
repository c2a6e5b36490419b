/* What `delias evolve diff` says of two builds of small cells that are compiled here: what counts as a change, and
 * which cells a chosen one brings in, for which reason. */
#include "tests/unit/compile.h"

/* A cell `cell` of build `build`; `text` is its source. */
static void put(const char *build, const char *cell, const char *text)
{
    char source[2048];

    snprintf(source, sizeof source, "CELL(\"%s\", KERNEL, 1);\n%s", cell, text);
    compile_with("gcc", "-fno-merge-constants", cell, source); /* strings in one section, as in the build */
    ck_assert_msg(run("mkdir -p @/%s/cells @/%s/cells.debug && build/bin/cell make @/%s.r -o @/%s/cells/%s.o --debug "
                      "@/%s/cells.debug/%s.o",
                      build, build, cell, build, cell, build, cell) == 0,
                  "%s", output);
}

static void diff(const char *words)
{
    ck_assert_msg(run("build/bin/delias evolve diff @/old @/new %s", words) == 0, "%s", output);
}

static void said(const char *text)
{
    ck_assert_msg(strstr(output, text) != NULL, "'%s' is not said:\n%s", text, output);
}

static void not_said(const char *text)
{
    ck_assert_msg(strstr(output, text) == NULL, "'%s' is said:\n%s", text, output);
}

#define FUNCTION(name, body) "const char *" name "(void);\nconst char *" name "(void) { " body " }\n"

/* A string counts by what it says, not by where it lies among others. */
START_TEST(strings_are_compared)
{
    put("old", "one", FUNCTION("first", "return \"alpha\";") FUNCTION("second", "return \"beta\";"));
    put("new", "one", FUNCTION("first", "return \"omega\";") FUNCTION("second", "return \"beta\";"));
    diff("");
    said("function first has changed");
    not_said("second");
    put("new", "one", FUNCTION("first", "return \"longer\";") FUNCTION("second", "return \"beta\";"));
    diff("");
    said("function first has changed");
    not_said("second");
}
END_TEST

START_TEST(structures_grow_and_shrink)
{
    static const char before[] = "struct s { int a; };\nint f(struct s *s);\nint f(struct s *s) { return s->a; }\n",
                      after[] = "struct s { int a; long b; };\nint f(struct s *s);\nint f(struct s *s) "
                                "{ return s->a; }\n";

    put("old", "one", before);
    put("new", "one", after);
    diff("");
    said("grew by");
    not_said("lost");
    put("old", "one", after);
    put("new", "one", before);
    diff("");
    said("lost");
    not_said("grew by");
}
END_TEST

/* ---- what a chosen cell brings in ---- */

#define STEP(name, type)                                                                                               \
    "struct " name " { " type " n; };\nlong " name "_step(struct " name " *s);\nEXPORT(" name "_step, KERNEL);\n"      \
    "long " name "_step(struct " name " *s) { return s->n + 1; }\n"
#define USE(name, type, other)                                                                                         \
    "struct " other " { " type " n; };\nlong " other "_step(struct " other " *s);\nlong " name "_use(void);\n"         \
    "long " name "_use(void) { struct " other " s = {1}; return " other "_step(&s); }\n"

/* Three cells, each of which uses the next one: against the order in which cells are listed. */
static void put_chain(const char *build, const char *type)
{
    char text[2048];

    snprintf(text, sizeof text, STEP("c", "%s"), type);
    put(build, "c", text);
    snprintf(text, sizeof text, USE("b", "%s", "c") STEP("b", "%s"), type, type);
    put(build, "b", text);
    snprintf(text, sizeof text, USE("a", "%s", "b"), type);
    put(build, "a", text);
}

/* Only what is behind the parameters' pointers has changed. */
START_TEST(users_come_along_and_theirs_too)
{
    put_chain("old", "int");
    put_chain("new", "long");
    diff("--only c");
    said("it uses c_step of c, which is not what it was");
    said("it uses b_step of b, which is not what it was");
    put("new", "c", STEP("c", "int"));
    put("new", "b", USE("b", "int", "c") STEP("b", "int") "int more(void);\nint more(void) { return 7; }\n");
    put("new", "a", USE("a", "int", "b") "int more(void);\nint more(void) { return 7; }\n");
    diff("--only b");
    not_said("brought in"); /* the function that the other cell uses is what it was */
}
END_TEST

#define COUNT(name, datum)                                                                                             \
    "static int " datum ";\nint " name "_count(void);\nint " name "_count(void) { return ++" datum "; }\n"
#define MORE(name) "int " name "_more(void);\nint " name "_more(void) { return 7; }\n"

START_TEST(data_that_move_bring_their_new_cell_in)
{
    put("old", "one", COUNT("one", "total"));
    put("old", "two", COUNT("two", "other"));
    put("new", "one", MORE("one"));
    put("new", "two", COUNT("two", "other") COUNT("too", "total"));
    diff("--only one");
    said("total of one moves there");
    diff("--only two");
    said("its total moves to two");
    put("old", "two", COUNT("two", "other") COUNT("too", "total")); /* it had one of that name before */
    put("new", "two", COUNT("two", "other") COUNT("too", "total") MORE("two"));
    diff("--only one");
    not_said("brought in");
}
END_TEST

Suite *suite_builds(void);
Suite *suite_builds(void)
{
    Suite *s = suite_create("builds");
    TCase *tests = tcase_create("builds");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, strings_are_compared);
    tcase_add_test(tests, structures_grow_and_shrink);
    tcase_add_test(tests, users_come_along_and_theirs_too);
    tcase_add_test(tests, data_that_move_bring_their_new_cell_in);
    suite_add_tcase(s, tests);
    return s;
}
