/* What `cell make` takes for the same function, constant or type in two versions of a cell, though the compiler
 * numbers, moves or takes apart what the source says; and what it takes for another one, though it has the same
 * name. */
#include "tests/unit/compile.h"
#include <stdbool.h>

#define SAY "CELL(\"one\", KERNEL, 1);\n"

static void make(const char *name, const char *objects)
{
    ck_assert_msg(run("cd @ && ld -r -o %s.r %s && cd - > /dev/null && build/bin/cell make @/%s.r -o @/%s.o", name,
                      objects, name, name) == 0,
                  "%s", output);
}

static void make_one(const char *name, const char *flags, const char *source)
{
    char text[4096], raw[64];

    snprintf(text, sizeof text, SAY "%s", source);
    compile_with("gcc", flags, name, text);
    snprintf(raw, sizeof raw, "%s.raw", name);
    make(name, raw);
}

/* The lines of `cell show` on types that match, without what else they say. */
static void types_of(const char *name, const char *pattern, char ret_lines[static 1024])
{
    run("build/bin/cell show @/%s.o | sed -n '/^TYPE .*DEEP/,$p' | grep -E '%s' | awk '{print $1, $2, $4}'", name,
        pattern);
    snprintf(ret_lines, 1024, "%.1000s", output);
}

/* The names of sections that match, in the order of the file. */
static void sections_of(const char *name, const char *pattern, char ret_lines[static 1024])
{
    run("readelf -WS @/%s.o | grep -oE ' \\.%s[^ ]*' | grep -v rela", name, pattern);
    snprintf(ret_lines, 1024, "%.1000s", output);
}

/* ---- types that are another, with the same size and encoding ---- */

#define OWN_TAGS(members)                                                                                              \
    "void f(void); void f(void) { struct r { int x; }; static struct { struct r *p; void *q; } s; {\n"                 \
    "struct r { int " members "; }; static struct { struct r *p; void *q; } t; s.q = &t; t.q = s.p; t.p = s.q; } }"

static const struct {
    const char *a, *b, *datum;
    bool same;
} types_[] = {
    {"long double d = 1;", "__float128 d = 1;", "data.d", false},
    {"long double d = 1;", "typedef long double t; t d = 1;", "data.d", true},
    {"int d __attribute__((vector_size(16))) = {1};", "int d[4] = {1};", "data.d", false},
    {"struct r { int x; }; struct o *d; struct o { struct r *r; };",
     "struct r { int x, y; }; struct o *d; struct o { struct r *r; };", "bss.d", false},
    {OWN_TAGS("y"), OWN_TAGS("y, z"), "bss.f.t", false},
    {OWN_TAGS("y"), OWN_TAGS("y"), "bss.f.t", true},
};

START_TEST(types_differ)
{
    char a[1024], b[1024];

    make_one("a", "-w", types_[_i].a);
    make_one("b", "-w", types_[_i].b);
    types_of("a", types_[_i].datum, a);
    types_of("b", types_[_i].datum, b);
    ck_assert_str_ne(a, "");
    ck_assert_msg((strcmp(a, b) == 0) == types_[_i].same, "%s%s", a, b);
}
END_TEST

/* Two structures of one tag that are reached from one datum, each of its own file. */
START_TEST(tags_of_files_are_told_apart)
{
    static const char first[] = SAY "struct o; struct r { int x; }; static struct { struct r *r; struct o *o; } d;\n"
                                    "void *f(void); EXPORT(f, KERNEL); void *f(void) { d.r = d.r; return &d; }";
    static const char second[] = "struct r { int %s; }; struct o { struct r *r; }; struct o o;";
    char text[256], was[1024] = "", is[1024] = "";

    compile("first", first);
    for (int i = 0; i < 2; i++) {
        snprintf(text, sizeof text, second, i ? "y, z" : "y");
        compile("second", text);
        make("both", "first.raw second.raw");
        types_of("both", "bss.d", i ? is : was);
    }
    ck_assert_str_ne(was, "");
    ck_assert_str_ne(was, is);
}
END_TEST

/* Nothing says how many bits these have. */
START_TEST(widths_that_are_not_said_are_refused)
{
    compile_with("clang", "", "one", SAY "_BitInt(33) d = 1;");
    ck_assert_int_eq(run("build/bin/cell make @/one.r -o @/one.o"), 1);
    ck_assert_msg(strstr(output, "section .data.d: not all of its data has a type that is described in full"), "%s",
                  output);
}
END_TEST

/* A type that refers to one without a tag twice, which does so too, and so on. */
START_TEST(types_that_are_endless_are_refused)
{
    char text[4096] = SAY "typedef struct { int x; } t0;\n";
    size_t n = strlen(text);

    for (int i = 1; i < 48; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "typedef struct { t%d *a, *b; } t%d;\n", i - 1, i);
    snprintf(text + n, sizeof text - n, "t47 d;");
    compile("one", text);
    ck_assert_int_eq(run("build/bin/cell make @/one.r -o @/one.o"), 1);
    ck_assert_msg(strstr(output, "section .bss.d: not all of its data has a type that is described in full"), "%s",
                  output);
}
END_TEST

/* No cell is where such addresses reach. */
START_TEST(short_addresses_are_refused)
{
    compile_with("gcc", "-mcmodel=small", "one",
                 SAY "int d[4]; int f(long n); int f(long n) { return d[n]; }\n"
                     "int *g(void); int *g(void) { return &d[1]; }");
    ck_assert_int_eq(run("build/bin/cell make @/one.r -o @/one.o"), 1);
    ck_assert_msg(strstr(output, "an address of 32 bits without a sign, which reaches no cell"), "%s", output);
}
END_TEST

/* ---- functions ---- */

#define CALLED(attribute, more)                                                                                        \
    "long called(long); static long h(long n); long f(void *); EXPORT(f, KERNEL);\n" attribute                         \
    "static long h(long n) { " more " return called(n); } long f(void *p) { *(void **)p = h; return h(1); }\n"

#define FAILS "if (__builtin_expect(n == 77, 0)) { called(n); __builtin_trap(); }"

/* What the compiler does to a function leaves it its type. */
static const struct {
    const char *flags, *source;
} treatments[] = {
    {"", CALLED("__attribute__((noinline, cold))", "")},
    {"", CALLED("__attribute__((noinline, hot))", "")},
    {"", CALLED("__attribute__((noinline))", "") "static long g(long) __attribute__((used, alias(\"h\")));"},
    {"-freorder-blocks-and-partition", CALLED("__attribute__((noinline))", FAILS)},
};

START_TEST(functions_keep_their_types)
{
    char was[1024], is[1024];

    make_one("was", "", CALLED("__attribute__((noinline))", ""));
    types_of("was", "text.h$", was);
    make_one("is", treatments[_i].flags, treatments[_i].source);
    types_of("is", "text.h$", is);
    ck_assert_str_ne(was, "");
    ck_assert_str_eq(was, is);
}
END_TEST

/* Functions within functions have their numbers from the compiler. */
START_TEST(nested_functions_are_named)
{
    static const char source[] = "typedef long fn(long); fn *f(int n); EXPORT(f, KERNEL); fn *g(int n); fn *g(int n)\n"
                                 "{ long inner(long n) { return 2 * n; } return n ? inner : 0; }\n"
                                 "fn *f(int n) { long inner(long n) { return 3 * n; } return n ? inner : g(n); }";
    char names[1024];

    make_one("one", "", source);
    types_of("one", "inner", names);
    ck_assert_msg(strstr(names, ".text.f.inner\n") && strstr(names, ".text.g.inner\n"), "%s", names);
}
END_TEST

/* ---- what several files call the same ---- */

static const struct {
    const char *source, *section; /* source: the file's own number comes for each "%s" */
} shared[] = {
    {"static long handler(long n) { return n * %s; } void *f%s(void); void *f%s(void) { return handler; }",
     "text.handler"},
    {"static const struct { const char *a, *b; } table = {\"%s\"}; const void *f%s(void);\n"
     "const void *f%s(void) { return &table; }",
     "rodata.table"},
};

START_TEST(names_of_files_are_told_apart)
{
    static const char *const orders[] = {"1.raw 2.raw one.raw", "2.raw 1.raw one.raw", "one.raw 1.raw 2.raw"};
    char text[512], names[3][1024];

    compile("one", SAY);
    for (int i = 1; i <= 2; i++) {
        char number[] = {(char)('0' + i), '\0'};
        snprintf(text, sizeof text, shared[_i].source, number, number, number);
        compile_with("gcc", "-fno-merge-constants", number, text);
    }
    for (int i = 0; i < 3; i++) {
        make("all", orders[i]);
        sections_of("all", shared[_i].section, names[i]);
        ck_assert_str_ne(names[i], "");
    }
    ck_assert_str_ne(names[0], names[1]);
    ck_assert_str_eq(names[0], names[2]);
}
END_TEST

/* Constants of functions have their numbers from the compiler, and so have those without a name. */
START_TEST(constants_are_named)
{
    static const char source[] =
        "struct o { long (*f)(long); }; const struct o *f(int), *g(int); EXPORT(f, KERNEL);\n"
        "static long a(long n) { return n; } static long b(long n) { return -n; }\n"
        "const struct o *g(int n) { static const struct o table = {a}; return n ? &table : 0; }\n"
        "const struct o *f(int n) { static const struct o table = {b}; return n ? &table : g(n); }"
        "const struct o *p = &(const struct o){%s}, *q = &(const struct o){%s};";
    char text[1024], names[2][1024];

    for (int i = 0; i < 2; i++) {
        snprintf(text, sizeof text, source, i ? "a" : "b", i ? "b" : "a");
        make_one("one", "", text);
        sections_of("one", "rodata.[^s]", names[i]);
        ck_assert_msg(strstr(names[i], ".rodata.f.table\n") && strstr(names[i], ".rodata.g.table\n"), "%s", names[i]);
    }
    ck_assert_ptr_nonnull(strstr(names[0], "__compound_literal.0#"));
    ck_assert_str_ne(names[0], names[1]);
}
END_TEST

/* A static variable of one file is none of another, where there are several. */
START_TEST(data_belong_to_files)
{
    static const char with[] = "%s int count; int f%d(void); int f%d(void) { return ++count; }";
    static const char without[] = "int f%d(void); int f%d(void) { return 1; }";
    char text[256], hash[4][1024];

    compile("one", SAY);
    for (int i = 0; i < 4; i++) {
        const char *word = i < 2 ? "static volatile" : "volatile";
        for (int k = 0; k < 2; k++) {
            if (k == i % 2)
                snprintf(text, sizeof text, with, word, k, k);
            else
                snprintf(text, sizeof text, without, k, k);
            compile(k ? "b" : "a", text);
        }
        make("all", "one.raw a.raw b.raw");
        types_of("all", "bss.count", hash[i]);
        ck_assert_str_ne(hash[i], "");
    }
    ck_assert_str_ne(hash[0], hash[1]);
    ck_assert_str_eq(hash[2], hash[3]);
}
END_TEST

/* A variable that has gone from one file to another is taken over when it is said to be the same. */
START_TEST(data_move_between_files)
{
    static const char with[] = "static volatile long count; long f%d(void); long f%d(void) { return ++count; }";
    static const char without[] = "long f%d(void); long f%d(void) { return 1; }";
    static const char transfer[] = "build/bin/cell transfer @/cells/0.o @/cells/1.o %s";
    char text[256];

    compile("one", SAY);
    ck_assert_int_eq(run("mkdir @/cells @/cells.debug"), 0);
    for (int i = 0; i < 2; i++) {
        snprintf(text, sizeof text, i ? without : with, 0, 0);
        compile("first", text);
        snprintf(text, sizeof text, i ? with : without, 1, 1);
        compile("second", text);
        make("all", "one.raw first.raw second.raw");
        ck_assert_int_eq(run("build/bin/cell make @/all.r -o @/cells/%d.o --debug @/cells.debug/%d.o", i, i), 0);
    }
    ck_assert_int_eq(run(transfer, ""), 1);
    ck_assert_msg(strstr(output, "count: was one of first, and is one of second; say --rename count=count"), "%s",
                  output);
    ck_assert_msg(run(transfer, "--rename count=count") == 0, "%s", output);
    ck_assert_msg(strstr(output, "copy                    0         0           8"), "%s", output);
    ck_assert_msg(run(transfer, "--drop count") == 0, "%s", output);
}
END_TEST

Suite *suite_identity(void);
Suite *suite_identity(void)
{
    Suite *s = suite_create("identity");
    TCase *t = tcase_create("types"), *n = tcase_create("names");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, types_differ, 0, sizeof types_ / sizeof *types_);
    tcase_add_test(t, tags_of_files_are_told_apart);
    tcase_add_test(t, widths_that_are_not_said_are_refused);
    tcase_add_test(t, types_that_are_endless_are_refused);
    tcase_add_test(t, short_addresses_are_refused);
    tcase_add_loop_test(t, functions_keep_their_types, 0, sizeof treatments / sizeof *treatments);
    suite_add_tcase(s, t);
    tcase_add_checked_fixture(n, setup, teardown);
    tcase_add_test(n, nested_functions_are_named);
    tcase_add_loop_test(n, names_of_files_are_told_apart, 0, sizeof shared / sizeof *shared);
    tcase_add_test(n, constants_are_named);
    tcase_add_test(n, data_belong_to_files);
    tcase_add_test(n, data_move_between_files);
    suite_add_tcase(s, n);
    return s;
}
