/* The program `cell` and files: what it makes of objects that will not do, and where its output goes. */
#include "tests/unit/compile.h"

#define SAY "CELL(\"one\", KERNEL, 1);\n"

/* Compiles `source` and runs `cell make` on it. */
static int make(const char *name, const char *source)
{
    compile(name, source);
    return run("build/bin/cell make @/%s.r -o @/%s.o --debug @/%s.full", name, name, name);
}

/* { how the object comes about, from one.c or one.raw; a part of the message } */
static const struct {
    const char *command, *message;
} unfit[] = {
    {COMPILE "@/x.o @/one.c -flto", "is made with -flto and has no machine code"},
    {COMPILE "@/lto.o @/one.c -flto && gcc -c -g -x c /dev/null -o @/empty.o && ld -r -o @/x.o @/lto.o @/empty.o",
     "is made with -flto and has no machine code"},
    {"clang -std=gnu2x -I. -g -c -flto -o @/x.o @/one.c", "is bitcode of LLVM, made with -flto"},
    {"clang -std=gnu2x -I. -g -c -O2 -Wno-ignored-attributes -o @/x.o @/late.c",
     "init start: not defined here, or left out by the compiler"},
    {"strip -o @/x.o @/one.raw", "has no symbol table; do not strip it"},
    {"strip --strip-unneeded -o @/x.o @/one.raw", "no DWARF; compile with -g, and do not strip it"},
    {"strip -g -o @/x.o @/one.raw", "no DWARF; compile with -g, and do not strip it"},
};

START_TEST(names_what_made_it_unfit)
{
    compile("one", SAY "int f(void); int f(void) { return 1; }\n"
                       "static enum err start(void) { return ERR_OK; } INIT(start);");
    compile("late", SAY "int f(void); int f(void) { return 1; }\n"
                        "static enum err start(void) { return ERR_OK; }\n"
                        "static __typeof__(start) start __attribute__((used)); CELL_DECLARE(\"init start\");");
    ck_assert_msg(run("%s", unfit[_i].command) == 0, "%s", output);
    ck_assert_int_eq(run("build/bin/cell make @/x.o -o @/y.o"), 1);
    ck_assert_msg(strstr(output, unfit[_i].message) != NULL, "%s", output);
    ck_assert_ptr_eq(strchr(output, '\n'), output + strlen(output) - 1);
    ck_assert_int_ne(run("test -e @/y.o"), 0);
}
END_TEST

/* Machine code beside what is left for the linker will do. */
START_TEST(takes_fat_objects)
{
    compile("one", SAY "static enum err start(void) { return ERR_OK; } INIT(start);");
    ck_assert_int_eq(run(COMPILE "@/x.o @/one.c -flto -ffat-lto-objects"), 0);
    ck_assert_msg(run("build/bin/cell make @/x.o -o @/y.o") == 0, "%s", output);
    compile("two", SAY "static enum err start(void); INIT(start); static enum err start(void) { return ERR_OK; }");
    ck_assert_msg(run("clang -std=gnu2x -I. -g -c -O2 -o @/x.o @/two.c") == 0, "%s", output);
    ck_assert_msg(run("build/bin/cell make @/x.o -o @/y.o") == 0, "%s", output);
}
END_TEST

/* A pipe gets all of it, and a file whose program fails is as it was. */
START_TEST(writes_into_what_is_there)
{
    static const char *const verbs[] = {"make @/one.r -o", "make @/one.r -o @/rest --debug", "archive @/one.o -o",
                                        "transfer @/b/cells/one.o @/b/cells/one.o -o"};

    ck_assert_msg(make("one", SAY "int f(void); int f(void) { return 1; }") == 0, "%s", output);
    ck_assert_int_eq(
        run("mkdir -p @/b/cells @/b/cells.debug && cp @/one.o @/b/cells && cp @/one.full @/b/cells.debug/one.o"), 0);
    ck_assert_int_eq(run("mkfifo @/pipe"), 0);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        ck_assert_msg(run("build/bin/cell %s @/whole", verbs[i]) == 0, "%s", output);
        ck_assert_msg(run("timeout 60 cat @/pipe > @/got & timeout 60 build/bin/cell %s @/pipe && wait && "
                          "cmp @/whole @/got && [ -p @/pipe ]",
                          verbs[i]) == 0,
                      "%s: %s", verbs[i], output);
        ck_assert_int_eq(run("ln -sf /dev/full @/full; build/bin/cell %s @/full", verbs[i]), 1);
        ck_assert_ptr_nonnull(strstr(output, "No space left"));
        ck_assert_int_eq(run("[ -L @/full ] && [ -c /dev/full ]"), 0);
    }
    ck_assert_int_eq(run("build/bin/cell make @/none.r -o @/whole"), 1);
    ck_assert_int_eq(run("cmp @/whole @/got && [ -z \"$(ls -A @ | grep '^[.]')\" ]"), 0);
}
END_TEST

/* What cannot be printed is an error, and a file never gets what was to be printed. */
START_TEST(needs_room_for_what_it_prints)
{
    static const char *const verbs[] = {"show @/b/cells/one.o", "compare @/b/cells/one.o @/b/cells/two.o",
                                        "transfer @/b/cells/one.o @/b/cells/two.o",
                                        "transfer @/b/cells/one.o @/b/cells/two.o --json"};

    ck_assert_int_eq(run("mkdir -p @/b/cells @/b/cells.debug"), 0);
    for (size_t i = 0; i < 2; i++) {
        ck_assert_msg(make(i ? "two" : "one", i ? SAY "int f(void), v; int f(void) { return v++; }"
                                                : SAY "int f(void); long v; int f(void) { return v++; }") == 0,
                      "%s", output);
        ck_assert_int_eq(run("cd @ && cp %s.o b/cells && cp %s.full b/cells.debug/%s.o", i ? "two" : "one",
                             i ? "two" : "one", i ? "two" : "one"),
                         0);
    }
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        run("build/bin/cell %s > @/printed", verbs[i]);
        ck_assert_msg(run("[ -s @/printed ]") == 0, "%s prints nothing", verbs[i]);
        ck_assert_int_eq(run("( build/bin/cell %s > /dev/full )", verbs[i]), 1);
        ck_assert_msg(strstr(output, "cell: standard output: No space left") != NULL, "%s: %s", verbs[i], output);
        ck_assert_int_eq(run("( build/bin/cell %s >&- )", verbs[i]), 1);
        ck_assert_msg(strstr(output, "cell: standard output: Bad file descriptor") != NULL, "%s", output);
    }
    ck_assert_int_eq(run("build/bin/cell make @/one.r -o @/again.o <&-"), 0);
    ck_assert_int_eq(run("cmp @/one.o @/again.o"), 0);
}
END_TEST

/* By its size, or where that is not known, once too much has come. */
START_TEST(does_not_read_what_is_too_large)
{
    static const char *const verbs[] = {"make @/vast -o @/y", "archive -o @/y @/vast", "show @/vast",
                                        "transfer @/vast @/vast -o @/y"};

    ck_assert_int_eq(run("truncate -s 3000G @/vast"), 0);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        ck_assert_int_eq(run("( ulimit -v 300000; build/bin/cell %s )", verbs[i]), 1);
        ck_assert_msg(strstr(output, "vast: is larger than 256 MiB, which no object is") != NULL, "%s", output);
    }
    ck_assert_int_eq(run("( ulimit -v 4000000; build/bin/cell show /dev/zero )"), 1);
    ck_assert_msg(strstr(output, "/dev/zero: is larger than 256 MiB") != NULL, "%s", output);
}
END_TEST

Suite *suite_tool_files(void);
Suite *suite_tool_files(void)
{
    Suite *s = suite_create("tool_files");
    TCase *tc = tcase_create("tool_files");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, names_what_made_it_unfit, 0, sizeof unfit / sizeof *unfit);
    tcase_add_test(tc, takes_fat_objects);
    tcase_add_test(tc, writes_into_what_is_there);
    tcase_add_test(tc, needs_room_for_what_it_prints);
    tcase_add_test(tc, does_not_read_what_is_too_large);
    suite_add_tcase(s, tc);
    return s;
}
