/* NOTE_POINTERS: the type graph that `cell make` finds in small cells, as `cell show` prints them. */
#include "tests/unit/compile.h"
#include <ctype.h>
#include <stdbool.h>

Suite *suite_graph(void);

#define CELL_OF                                                                                                        \
    "CELL(\"one\", KERNEL, 1);\n%s\nvoid *f(void); EXPORT(f, KERNEL); void *f(void) { return (void *)&d; }\n"

static void make_cell(const char *source)
{
    char text[4096];

    snprintf(text, sizeof text, CELL_OF, source);
    compile("one", text);
    ck_assert_msg(run("build/bin/cell make @/one.r -o @/one.o") == 0, "%s", output);
}

/* Words with one blank between them, hashes left out. */
static void squeeze(char *text)
{
    char *to = text;

    for (const char *p = text; *p; p++) {
        size_t digits = strspn(p, "0123456789abcdef");
        if (digits == 16) {
            p += 15;
            *to++ = '#';
        } else if (!isspace((unsigned char)*p)) {
            *to++ = *p;
        } else if (to > text && to[-1] != ' ') {
            *to++ = ' ';
        }
    }
    *to = '\0';
}

/* What `cell show` prints of the type graph of one.o. */
static const char *ways(void)
{
    ck_assert_int_eq(run("build/bin/cell show @/one.o | sed '1,/PATHS TO THEM/d'"), 0);
    squeeze(output);
    return output;
}

/* { source with a datum `d`, what is said of it } */
static const struct {
    const char *source, *ways;
} found[] = {
    {"static volatile int d = 1;", ""},
    {"static void *d;", ""},
    {"struct s { long n; }; static struct { long a; struct s *next; char c[3]; } d[4];", ""},
    {"static struct node { struct node *next; int n; } d;", ""},
    /* in place */
    {"static void (*d)(int);", ".bss.d, 8 bytes 0 -> function # d "},
    {"static void (*volatile const *d)(int);", ".bss.d, 8 bytes 0 -> a pointer d a pointer, 8 bytes 0 -> function # "},
    {"typedef int call(void); static struct { char c; call *const a; _Atomic(call *) b[3]; } d;",
     "a pointer, 40 bytes 8 -> function # a 16 3 x 8 -> function # b .bss.d, 40 bytes 0 a pointer d "},
    {"static int (*d[2][3])(void);", ".bss.d, 48 bytes 0 6 x 8 -> function # d "},
    {"static struct s { int n; struct { void (*f)(void); } in[2]; struct { void (*g)(void); }; } d[5];",
     "a pointer, 8 bytes 0 -> function # f a pointer, 8 bytes 0 -> function # g struct s, 32 bytes 8 2 x 8 a pointer "
     "in "
     "24 a pointer .bss.d, 160 bytes 0 5 x 32 struct s d "},
    {"static struct { int n : 3; union { long l; void (*f)(void); struct { int a; int (*g)(int); } s; }; } d;",
     "a pointer, 16 bytes 8 -> function # g a pointer, 16 bytes 0 -> function # f 0 a pointer s a pointer, 24 bytes 8 "
     "a "
     "pointer .bss.d, 24 bytes 0 a pointer d "},
    /* behind pointers, in circles too */
    {"static struct node { struct node *next; const char *name; void (*call)(struct node *); } *d;",
     ".bss.d, 8 bytes 0 -> struct node d struct node, 24 bytes 0 -> struct node next 16 -> function # call "},
    {"struct b; static struct a { struct b *b; } *d; struct b { struct a *a; void (*f)(void); };",
     ".bss.d, 8 bytes 0 -> struct a d struct a, 8 bytes 0 -> struct b b struct b, 16 bytes 0 -> struct a a 8 -> "
     "function # f "},
    {"static struct { int n; struct { int k; void (*f)(void); } e[]; } *d;",
     ".bss.d, 8 bytes 0 -> a pointer d a pointer, 16 bytes 8 -> function # f a pointer, 8 bytes 8 any x 16 a pointer "
     "e "},
    /* opaque here, known elsewhere */
    {"struct task; static struct { long n; struct task *task[2]; } d;",
     "a pointer, 24 bytes 8 2 x 8 -> opaque # task .bss.d, 24 bytes 0 a pointer d "},
    {"struct kind { long n; void (*f)(void); }; struct other { int n; struct other *next; };\n"
     "long d; long g(void *); EXPORT(g, KERNEL); long g(void *p) { return ((struct kind *)p)->n + ((struct other "
     "*)p)->n; }",
     "struct kind, 16 bytes 8 -> function # f "},
    /* two of one name */
    {"static struct s { void (*f)(void); } *d; long g(long); EXPORT(g, KERNEL);\n"
     "long g(long n) { struct s { long n; void (*f)(long); }; static struct s *e; d += !e; e += n; return e->n; }",
     ".bss.g.e, 8 bytes 0 -> struct s g:e struct s, 16 bytes 8 -> function # f .bss.d, 8 bytes 0 -> struct s d "
     "struct s, 8 bytes 0 -> function # f "},
};

START_TEST(finds_ways)
{
    make_cell(found[_i].source);
    ck_assert_str_eq(ways(), found[_i].ways);
}
END_TEST

START_TEST(names_variables_of_functions)
{
    make_cell("static long d; long g(void (*f)(void)); EXPORT(g, KERNEL);\n"
              "long g(void (*f)(void)) { static void (*volatile kept)(void); d += kept != 0; kept = f; return d; }");
    ck_assert_ptr_nonnull(strstr(ways(), "-> function # g:kept"));
}
END_TEST

/* The hash of line `grep` of `cell show`. */
static uint64_t hash_in(const char *grep)
{
    ck_assert_msg(run("build/bin/cell show @/one.o | grep -oE '%s'", grep) == 0, "%s", grep);
    return strtoull(strpbrk(output, "0123456789abcdef"), NULL, 16);
}

/* A pointer's type is that of the functions that fit, exported or not. */
START_TEST(knows_types_of_functions)
{
    make_cell("struct s; static int (*d)(struct s *, long); int g(struct s *, long); EXPORT(g, KERNEL);\n"
              "int g(struct s *s, long n) { return s != 0 && n; }\n"
              "static int h(struct s *s, long n) { return !s || n; } static int k(long n) { return n > 3; }\n"
              "int (*volatile e)(long); void use(void); EXPORT(use, KERNEL); void use(void) { d = h; e = k; }");
    uint64_t pointer = hash_in("[0-9a-f]{16}  d$");
    ck_assert_uint_eq(hash_in("^[0-9a-f]{16} .* \\.text\\.g$"), pointer);
    ck_assert_uint_eq(hash_in("^[0-9a-f]{16} .* \\.text\\.h$"), pointer);
    ck_assert_uint_ne(hash_in("^[0-9a-f]{16} .* \\.text\\.k$"), pointer);
}
END_TEST

Suite *suite_graph(void)
{
    Suite *s = suite_create("graph");
    TCase *tc = tcase_create("graph");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, finds_ways, 0, sizeof found / sizeof *found);
    tcase_add_test(tc, names_variables_of_functions);
    tcase_add_test(tc, knows_types_of_functions);
    suite_add_tcase(s, tc);
    return s;
}
