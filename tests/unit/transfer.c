/* `cell transfer`: recipes made from small cells that are compiled here, applied to the bytes of their data and
 * compared with what the compiler makes of the same values; and what is refused in which words. */
#include "cells/evolve/plan/recipe.c"
#include "tests/unit/transferred.h"
#include <jansson.h>

enum err report_refuse(struct report *report, enum err err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(report->text, sizeof report->text, format, args);
    va_end(args);
    return err;
}

size_t string_length(const char *text)
{
    return strlen(text);
}

#define V "volatile "

/* { before, after, what after holds then, words } */
static const struct {
    const char *old, *new_, *expected, *words;
} moved[] = {
    /* added, in the middle and at the end */
    {"static struct { int a; long b; } d = {7, -8};",
     "static struct { int a, x; long b; char y[4]; } d = {1, 2, 3, \"abc\"};",
     "static struct { int a, x; long b; char y[4]; } d = {7, 2, -8, \"abc\"};", ""},
    /* reordered */
    {"static struct { char a; int b; short c; } d = {1, 2, 3};",
     "static struct { short c; int b; char a; } d = {9, 9, 9};",
     "static struct { short c; int b; char a; } d = {3, 2, 1};", ""},
    /* widened: by the sign of the old type, whatever it is called */
    {"static struct { signed char a; uint8_t b; int c; unsigned e; } d = {-1, 255, -70000, 0xf0000000};",
     "static struct { long a; uint64_t b; int64_t c; unsigned long e; } d = {9, 9, 9, 9};",
     "static struct { long a; uint64_t b; int64_t c; unsigned long e; } d = {-1, 255, -70000, 0xf0000000};", ""},
    {"static int d = -3;", "static long d = 9;", "static long d = -3;", ""},
    {"typedef unsigned short u; static u d = 65535;", "static size_t d = 9;", "static size_t d = 65535;", ""},
    /* structures in structures, anonymous ones too */
    {"static struct { struct { int a, b; } in; int c; } d = {{1, 2}, 3};",
     "static struct { int c; struct { long b; int x, a; } in; } d = {9, {9, 8, 9}};",
     "static struct { int c; struct { long b; int x, a; } in; } d = {3, {2, 8, 1}};", ""},
    {"static struct { int a; struct { int b; struct { int c; }; }; } d = {1, {2, {3}}};",
     "static struct { int c, b; struct { int a; }; int x; } d = {9, 9, {9}, 8};",
     "static struct { int c, b; struct { int a; }; int x; } d = {3, 2, {1}, 8};", ""},
    /* arrays: longer, of other elements, of more dimensions */
    {"static int d[3] = {1, -2, 3};", "static int d[5] = {9, 9, 9, 8, 8};", "static int d[5] = {1, -2, 3, 8, 8};", ""},
    {"static int d[3] = {1, -2, 3};", "static long d[4] = {9, 9, 9, 8};", "static long d[4] = {1, -2, 3, 8};", ""},
    {"static struct { short a; char b; } d[3] = {{1, 2}, {3, 4}, {-5, 6}};",
     "static struct { char b; int a; int x; } d[4] = {{9, 9, 8}, {9, 9, 8}, {9, 9, 8}, {7, 7, 7}};",
     "static struct { char b; int a; int x; } d[4] = {{2, 1, 8}, {4, 3, 8}, {6, -5, 8}, {7, 7, 7}};", ""},
    {"static int d[2][3] = {{1, 2, 3}, {4, 5, 6}};", "static int d[3][4] = {{9, 9, 9, 8}, {9, 9, 9, 8}, {7, 7, 7, 7}};",
     "static int d[3][4] = {{1, 2, 3, 8}, {4, 5, 6, 8}, {7, 7, 7, 7}};", ""},
    {"typedef int row[3]; static row d[2] = {{1, 2, 3}, {4, 5, 6}};",
     "static int d[2][4] = {{9, 9, 9, 8}, {9, 9, 9, 8}};", "static int d[2][4] = {{1, 2, 3, 8}, {4, 5, 6, 8}};", ""},
    {"static struct { int n; struct { char c; short s[2]; } in[2]; } d[2] = {{1, {{2, {3, 4}}, {5, {6, 7}}}}, {11, "
     "{{12, {13, "
     "14}}, {15, {16, 17}}}}};",
     "static struct { struct { int s[3]; char c; } in[2]; int n; } d[2] = {{{{{9, 9, 8}, 9}, {{9, 9, 8}, 9}}, 9}, "
     "{{{{9, 9, "
     "8}, 9}, {{9, 9, 8}, 9}}, 9}};",
     "static struct { struct { int s[3]; char c; } in[2]; int n; } d[2] = {{{{{3, 4, 8}, 2}, {{6, 7, 8}, 5}}, 1}, "
     "{{{{13, 14, "
     "8}, 12}, {{16, 17, 8}, 15}}, 11}};",
     ""},
    /* bit fields */
    {"static struct { unsigned a : 3, b : 5; int c : 4; } d = {5, 21, -3};",
     "static struct { int c : 9; unsigned x : 2, b : 7; unsigned a; } d = {1, 2, 1, 1};",
     "static struct { int c : 9; unsigned x : 2, b : 7; unsigned a; } d = {-3, 2, 21, 5};", ""},
    {"static struct { bool a : 1, b : 1; } d = {true, false};",
     "static struct { bool x : 1, b : 1, a : 1; } d = {1, 1, 0};",
     "static struct { bool x : 1, b : 1, a : 1; } d = {1, 0, 1};", ""},
    {"static struct { unsigned a : 3, b : 5; } d[2] = {{1, 2}, {3, 4}};",
     "static struct { unsigned b : 9, a : 3; } d[3] = {{8, 0}, {8, 0}, {8, 7}};",
     "static struct { unsigned b : 9, a : 3; } d[3] = {{2, 1}, {4, 3}, {8, 7}};", ""},
    /* taken back, while the values fit: narrower, of another sign, shorter, and without what is zero */
    {"static struct { long a; uint64_t b; int64_t c; } d = {-128, 255, -70000};",
     "static struct { signed char a; uint8_t b; int c; } d = {9, 9, 9};",
     "static struct { signed char a; uint8_t b; int c; } d = {-128, 255, -70000};", ""},
    {"static struct { int a; unsigned b; uint16_t c; int16_t e; uint64_t g; } d = {5, 6, 65535, 3, INT64_MAX};",
     "static struct { unsigned a; int b; int64_t c; uint32_t e; int64_t g; } d = {9, 9, 9, 9, 9};",
     "static struct { unsigned a; int b; int64_t c; uint32_t e; int64_t g; } d = {5, 6, 65535, 3, INT64_MAX};", ""},
    {"static struct { unsigned a : 9; int b : 9; bool c; } d = {15, -8, true};",
     "static struct { bool c : 1; int b : 4; unsigned a : 4; } d = {0, 1, 9};",
     "static struct { bool c : 1; int b : 4; unsigned a : 4; } d = {1, -8, 15};", ""},
    {"static struct { int a[4], n; } d = {{1, -2}, 3};", "static struct { int n; int a[2]; } d = {9, {9, 9}};",
     "static struct { int n; int a[2]; } d = {3, {1, -2}};", ""},
    {"static struct { int a[4], n; } d = {{1, -2, 7, 8}, 3};", "static struct { int n; int a[2]; } d = {9, {9, 9}};",
     "static struct { int n; int a[2]; } d = {3, {1, -2}};", "--drop 'd.a[]'"},
    {"static int d[3][4] = {{1, 2, 3}, {4, 5, 6}};", "static int d[2][3] = {{9}};",
     "static int d[2][3] = {{1, 2, 3}, {4, 5, 6}};", ""},
    {"static struct { int x; struct { long y; char s[3]; } in[3]; } d[2] = {{1, {{-2, \"a\"}, {-3, \"bc\"}}}, {4}};",
     "static struct { struct { char s[2]; short y; } in[2]; int x; } d[1] = {{{{\"9\", 9}}, 9}};",
     "static struct { struct { char s[2]; short y; } in[2]; int x; } d[1] = {{{{\"a\", -2}, {\"bc\", -3}}, 1}};",
     "--drop 'd[]'"},
    {"static struct { int a; long b; void *c; struct { short e; union { int f; char g; }; } h[2]; } d = {.a = 1};",
     "static struct { int a; } d = {9};", "static struct { int a; } d = {1};", ""},
    {"static struct { int a, b; } d = {1};", "static struct { int a; long c; } d = {9, 9};",
     "static struct { int a; long c; } d = {1, 9};", ""},
    {"static struct { int a; struct { int b, c; } s; } d = {1, {2, 0}};", "static struct { int a; } d = {9};",
     "static struct { int a; } d = {1};", "--drop d.s.b"},
    {"enum e { A, B, C }; static enum e d = B;", "enum e { B = 1, A = 0 }; static enum e d = A;",
     "enum e { B = 1, A = 0 }; static enum e d = B;", ""},
    {"enum e { A = 1, B = 2, C = 4 }; static enum e d = A | B;", "enum e { A = 1, B = 2 }; static enum e d = A;",
     "enum e { A = 1, B = 2 }; static enum e d = A | B;", ""},
    {"enum e { A, B, C = 7 }; static enum e d = B;", "enum e { A, B }; static enum e d = A;",
     "enum e { A, B }; static enum e d = B;", ""},
    {"enum e { A = 3, B = 5, C = 9 }; static enum e d = B;", "enum e { A = 3, D = 3, B = 5 }; static enum e d = A;",
     "enum e { A = 3, D = 3, B = 5 }; static enum e d = B;", ""},
    {"enum e { A = -9, B = 300 }; static enum e d = A;", "enum e { A = -9 } __attribute__((packed)); static enum e d;",
     "enum e { A = -9 } __attribute__((packed)); static enum e d = A;", ""},
    /* enumerations that grow, unions and pointers that stay as they are, qualifiers that come and go */
    {"enum e { A = 1, B = 2 }; static struct { enum e e; int n; } d = {B, 4};",
     "enum e { C = 3, B = 2, A = 1 }; static struct { int n; enum e e; } d = {9, C};",
     "enum e { C = 3, B = 2, A = 1 }; static struct { int n; enum e e; } d = {4, B};", ""},
    {"static struct { union { int a; long b; } u; struct s *p; int n; } d = {{.b = -5}, (void *)64, 3};",
     "struct s; static struct { int n; union { int a; long b; } u; struct s *p; int x; } d = {9, {9}, 0, 8};",
     "struct s; static struct { int n; union { int a; long b; } u; struct s *p; int x; } d = {3, {.b = -5}, (void "
     "*)64, 8};",
     ""},
    {"static struct { union { int a; long b; }; int n; } d = {{.b = -5}, 3};",
     "static struct { int n; union { int a; long b; }; } d = {9, {9}};",
     "static struct { int n; union { int a; long b; }; } d = {3, {.b = -5}};", ""},
    {"static struct { " V "int a; int *p; _Atomic int c; } d = {1, (int *)8, 3};",
     "static struct { int a; int *" V "p; int c, x; } d = {9, 0, 9, 8};",
     "static struct { int a; int *" V "p; int c, x; } d = {1, (int *)8, 3, 8};", ""},
    /* what is said */
    {"static struct { int a, b; } d = {1, 2};", "static struct { int c, b; } d = {9, 9};",
     "static struct { int c, b; } d = {1, 2};", "--rename d.a=c"},
    {"static struct { int a, b; } d = {1, 2};", "static struct { int c, b; } d = {9, 9};",
     "static struct { int c, b; } d = {9, 2};", "--drop d.a"},
    {"static struct { int a, b; } d = {1, 2};", "static struct { int a, b; long c; } d = {9, 9, 9};",
     "static struct { int a, b; long c; } d = {9, 2, 9};", "--drop d.a"},
    {"static struct { int a; struct { int b, c; } s[2]; } d = {1, {{2, 3}, {4, 5}}};",
     "static struct { int a; struct { int c; } s[2]; } d = {9, {{9}, {9}}};",
     "static struct { int a; struct { int c; } s[2]; } d = {1, {{3}, {5}}};", "--drop 'd.s[].b'"},
    {"static int d = 5;", "static long d = 9;", "static long d = 9;", "--drop d"},
    /* what lies behind the type of a datum */
    {"static struct { long n; long a[]; } d = {2, {10, 20}};",
     "static struct { long n; long a[]; } d = {3, {1, 2, 3}};",
     "static struct { long n; long a[]; } d = {2, {10, 20, 3}};", ""},
    {"static struct { long n; int a[]; } d = {3, {10, 20, 0}};", "static struct { long n; int a[]; } d = {2, {1, 2}};",
     "static struct { long n; int a[]; } d = {3, {10, 20}};", ""},
    {"static struct { long n; int a[]; } d = {3, {10, 20, 30}};", "static struct { long n; int a[]; } d = {2, {1, 2}};",
     "static struct { long n; int a[]; } d = {3, {10, 20}};", "--drop 'd[]'"},
    {"static int d = 5;", "static int d = 9;", "static int d = 9;", "--drop d"},
};

START_TEST(moves)
{
    make_cell("old", moved[_i].old);
    make_cell("new", moved[_i].new_);
    make_cell("expected", moved[_i].expected);
    ck_assert_msg(run("build/bin/cell transfer @/cells/old.o @/cells/new.o %s -o @/recipes", moved[_i].words) == 0,
                  "%s", output);
    struct block old = section_of("old"), new_ = section_of("new"), expected = section_of("expected");
    ck_assert_uint_eq(new_.bytes, expected.bytes);
    apply(&old, &new_);
    for (size_t i = 0; i < expected.bytes; i++)
        ck_assert_msg(new_.data[i] == expected.data[i], "byte %zu is %u, not %u: %s", i, new_.data[i], expected.data[i],
                      moved[_i].expected);
    free(old.data);
    free(new_.data);
    free(expected.data);
}
END_TEST

/* { before, after, words, the line that says why not } */
static const struct {
    const char *old, *new_, *words, *message;
} refusals[] = {
    {"static struct { int a, b; } d = {1, 2};", "static struct { int a, c; } d;", "",
     "d.b: is gone, and c of the same type is new; say --rename d.b=c or --drop d.b"},
    {"static struct { int a, b; } d = {1, 2};", "static struct { int a, c; } d;", "--rename d.b=e",
     "d.b: said to be e"},
    {"static struct { int a, b; } d = {1, 2};", "static struct { int a, c; } d;", "--drop d.x --drop d.b",
     "d.x: no such field or function is gone"},
    {"static struct { bool a; } d = {1};", "static struct { int a; } d;", "", "d.a: was _Bool, is int"},
    {"static struct { long a; } d = {1};", "static struct { __int128 a; } d;", "",
     "d.a: was long int, is __int128; a recipe knows numbers of up to 64 bits"},
    {"static struct { __int128 a; } d = {1};", "static struct { long a; } d;", "", "d.a: was __int128, is long int;"},
    {"static struct { __int128 a; } d = {1};", "static struct { unsigned __int128 a; } d;", "",
     "d.a: was __int128, is __int128 unsigned;"},
    {"static struct { int n; int a[]; } d = {1, {2}};", "static struct { int n; long a[]; } d = {1, {2}};", "",
     "d: its type has changed, and it ends in an array without a length"},
    {"static struct { long a; } d = {1};", "static struct { int *a; } d;", "", "d.a: was long int, is int *"},
    {"static struct { int *a; } d = {(void *)8};", "static struct { uint64_t a; } d;", "",
     "d.a: was int *, is uint64_t"},
    {"static struct { float a; } d = {1};", "static struct { double a; } d;", "", "d.a: was float, is double"},
    {"static struct { int a; } d = {1};", "enum e { X }; static struct { enum e a; } d;", "",
     "d.a: was int, is enum e"},
    {"static struct { union { int a; char b; } u; } d = {{1}};", "static struct { union { int a; long b; } u; } d;", "",
     "d.u: a union has changed"},
    {"static struct { union { int a; char b; }; } d = {{1}};", "static struct { int a; } d;", "", "d.a: was union {"},
    {"enum e { A, B, C }; static enum e d = B;", "enum e { A, C, B }; static enum e d;", "",
     "d: enumerator B was 1, is 2"},
    {"enum e { A = -5 }; static struct { enum e e : 4; } d = {A};",
     "enum e { A = 3 }; static struct { enum e e : 4; } d;", "", "d.e: enumerator A was -5, is 3"},
    {"struct s { int n; }; static struct { struct s *s; } d = {(void *)8};",
     "struct s { long n; }; static struct { struct s *s; } d;", "", "d.s: its target has another layout"},
    {"struct t { int n; }; struct s { struct t *t; }; static struct { struct s *s; } d = {(void *)8};",
     "struct t { int n, m; }; struct s { struct t *t; }; static struct { struct s *s; } d;", "",
     "d.s: its target has another layout"},
    {"struct s; static struct { struct s *s; } d = {(void *)8};", "struct t; static struct { struct t *s; } d;", "",
     "d.s: refers to something else: was struct s *, is struct t *"},
    {"static struct { void (*f)(int); } d = {(void *)8};", "static struct { void (*f)(long); } d;", "",
     "d.f: refers to something else: was void (*)(int), is void (*)(long int)"},
    {"static struct { int a[4]; } d = {{1}};", "static struct { int a[2][2]; } d;", "",
     "d.a: other dimensions: was int[4], "
     "is int[2][2]"},
    {"struct s { int n; }; static struct s d = {1};", "struct t { int n; }; static struct t d;", "",
     "d: was struct s, is struct t"},
    {"static int d = 1; static int e = 2; int *g(void); int *g(void) { return &e; }",
     "static int d = 1; static int h = 2; int *g(void); int *g(void) { return &h; }", "",
     "e: is gone, and h of the same type is new; say --rename e=h or --drop e"},
};

START_TEST(refusals_name_the_field)
{
    make_cell("old", refusals[_i].old);
    make_cell("new", refusals[_i].new_);
    ck_assert_int_eq(run("build/bin/cell transfer @/cells/old.o @/cells/new.o %s -o @/recipes", refusals[_i].words), 1);
    ck_assert_msg(strstr(output, refusals[_i].message) != NULL, "%s:\n%s", refusals[_i].message, output);
    ck_assert_int_ne(run("test -e @/recipes"), 0);
}
END_TEST

/* { before, after, words, what the guest says of the values, none of which the new type can hold } */
static const struct {
    const char *old, *new_, *words, *message;
} values[] = {
    {"static struct { uint32_t limit; } d = {70000};", "static struct { uint16_t limit; } d;", "",
     "one.d.limit is 70000, which does not fit uint16_t"},
    {"static struct { long a; } d = {-129};", "static struct { signed char a; } d;", "",
     "one.d.a is -129, which does not fit signed char"},
    {"static struct { long a; } d = {128};", "static struct { signed char a; } d;", "", "one.d.a is 128, which"},
    {"static long d = INT64_MIN;", "static int d;", "", "one.d is -9223372036854775808, which does not fit int"},
    {"static struct { int a; } d = {-1};", "static struct { unsigned a; } d;", "",
     "one.d.a is -1, which does not fit unsigned int"},
    {"static struct { int a; } d = {-1};", "static struct { uint64_t a; } d;", "", "one.d.a is -1, which"},
    {"static struct { unsigned a; } d = {0x80000000};", "static struct { int a; } d;", "",
     "one.d.a is 2147483648, which"},
    {"static struct { uint64_t a; } d = {1ull << 63};", "static struct { int64_t a; } d;", "",
     "one.d.a is 9223372036854775808, which"},
    {"static struct { int a; } d = {65536};", "static struct { uint16_t a; } d;", "", "one.d.a is 65536, which"},
    {"static struct { uint16_t a; } d = {128};", "static struct { signed char a; } d;", "", "one.d.a is 128, which"},
    {"static struct { unsigned x : 2, a : 5; } d = {1, 16};", "static struct { unsigned x : 2, a : 4; } d;", "",
     "one.d.a is 16, which does not fit unsigned int : 4"},
    {"static struct { int x : 2, a : 5; } d = {1, -9};", "static struct { int x : 2, a : 4; } d;", "",
     "one.d.a is -9, which does not fit int : 4"},
    {"static struct { unsigned a : 5; } d = {16};", "static struct { int a : 5; } d;", "", "one.d.a is 16, which"},
    {"enum e { A, B, C }; static enum e d = C;", "enum e { A, B }; static enum e d;", "",
     "one.d is 2, which was C and is gone"},
    {"enum e { A, B, C = 7 }; static enum e d = 5;", "enum e { A, B }; static enum e d;", "",
     "one.d is 5, which enum e has no name for"},
    {"enum e { A = -5, B = 3, C }; static struct { enum e e : 4; } d = {-6};",
     "enum e { A = -5, B = 3 }; static struct { enum e e : 4; } d;", "", "one.d.e is -6, which enum e has no name for"},
    {"enum e { A = 1, B = 2, C = 4 }; static enum e d = A | C;", "enum e { A = 1, B = 2 }; static enum e d;", "",
     "one.d is 5, which enum e has no name for"},
    {"enum e { A = 5, B }; static enum e d = 4;", "enum e { A = 5 }; static enum e d;", "",
     "one.d is 4, which enum e has no name for"},
    {"static struct { int a[4]; } d = {{1, 2, 0, -3}};", "static struct { int a[2]; } d;", "",
     "one.d.a[3] is -3, and would be lost; say --drop d.a[]"},
    {"static int d[2][3] = {{1, 2}, {3, 0, 4}};", "static int d[2][2];", "", "one.d[1][2] is 4, and would be lost"},
    {"static struct { long n; int a[]; } d = {3, {10, 20, 30}};", "static struct { long n; int a[]; } d = {2, {1, 2}};",
     "", "one.d is 30, and would be lost; say --drop d[]"},
    {"static int d[3][2] = {{1}, {2}, {0, 4}};", "static int d[2][2];", "", "one.d[2][1] is 4, and would be lost"},
    {"static struct { struct { int x, y; } a[4]; } d = {{{1}, {2}, {3, 99999}}};",
     "static struct { struct { int x; short y; } a[4]; } d;", "",
     "one.d.a[2].y is 99999, which does not fit short int"},
    {"static struct { struct { int x; long y[2]; } a[3]; } d[2] = {[1].a[2].y[1] = 99999};",
     "static struct { struct { int x; short y[2]; } a[3]; } d[2];", "",
     "one.d[1].a[2].y[1] is 99999, which does not fit short int"},
    {"static struct { struct { int x; struct { char s[2]; } y; } a[3]; } d[2] = {[1].a[2].y.s[1] = 9};",
     "static struct { struct { int x; } a[3]; } d[2];", "",
     "one.d[1].a[2].y.s[1] is 9, and would be lost; say --drop d[].a[].y"},
    {"static struct { struct { int x[1]; int y; } a[2]; } d = {.a[1].x[0] = 9};",
     "static struct { struct { int y; } a[2]; } d;", "", "one.d.a[1].x[0] is 9, and would be lost"},
    {"static struct { int a, b; } d = {1, 2};", "static struct { int a; long c; } d;", "",
     "one.d.b is 2, and would be lost; say --drop d.b"},
    {"static struct { int a, b; } d = {1, 2};", "static struct { int a; } d;", "--rename d.b=a",
     "one.d.a is 1, and would be lost; say --drop d.a"},
    {"static struct { int a; unsigned b : 3; } d = {1, 5};", "static struct { int a; } d;", "", "one.d.b is 5, and"},
    {"static struct { int a; void *b; } d = {1, (void *)64};", "static struct { int a; } d;", "", "one.d.b is 64, and"},
    {"static struct { int a; union { int b; char c[12]; } u; } d = {1, {.c[11] = 1}};", "static struct { int a; } d;",
     "", "one.d.u is 16777216, and"},
    {"static struct { int a; struct { int b, c; } s; } d = {1, {2, 3}};", "static struct { int a; } d;", "--drop d.s.b",
     "one.d.s.c is 3, and would be lost; say --drop d.s"},
};

START_TEST(values_that_do_not_fit_are_named)
{
    char text[256];

    make_cell("old", values[_i].old);
    make_cell("new", values[_i].new_);
    ck_assert_msg(run("build/bin/cell transfer @/cells/old.o @/cells/new.o %s -o @/recipes", values[_i].words) == 0,
                  "%s", output);
    struct block old = section_of("old"), new_ = section_of("new");
    refuse_values(&old, &new_, text, sizeof text);
    ck_assert_msg(strncmp(text, values[_i].message, strlen(values[_i].message)) == 0, "%s:\n%s", values[_i].message,
                  text);
    free(old.data);
    free(new_.data);
}
END_TEST

/* GCC numbers the variables of functions as it meets them, and puts what is not zero elsewhere. */
START_TEST(sections_are_renamed)
{
    make_cell("old", "static int d[2] = {5, 6}; int *g(void), *h(void);\n"
                     "int *g(void) { static int n = 3; return &n; } int *h(void) { static int n = 4; return &n; }");
    make_cell("new", "static int d[2]; int *a(void), *g(void), *h(void); int *h(void) { static int n; return &n; }\n"
                     "int *a(void) { static int n; return &n; } int *g(void) { static int n; return &n; }");
    ck_assert_msg(run("build/bin/cell transfer @/cells/old.o @/cells/new.o -o @/recipes") == 0, "%s", output);
    ck_assert_ptr_nonnull(strstr(output, "a:n: new"));
    struct block old = section_of("old"), new_ = section_of("new");
    apply(&old, &new_);
    ck_assert_int_eq(memcmp(old.data, new_.data, 8), 0);
    struct block file = read_recipes();
    ck_assert_uint_eq(((struct recipe_set *)file.data)->recipes, 3);
    free(file.data);
    free(old.data);
    free(new_.data);
}
END_TEST

START_TEST(data_given_up)
{
    make_cell("old", "static int d = 1; static int e = 2; int *g(void); int *g(void) { return &e; }");
    make_cell("new", "static int d = 1;");
    ck_assert_msg(run("build/bin/cell transfer @/cells/old.o @/cells/new.o --drop e -o @/recipes") == 0, "%s", output);
    struct block file = read_recipes();
    struct recipe_set *set = (void *)file.data;
    struct recipe *r = (void *)(set + 1);
    ck_assert_uint_eq(set->recipes, 1);
    ck_assert(recipe_drops(r) && r->old_bytes == 4 && r->moves == 0);
    free(file.data);
}
END_TEST

#define CALLED(name, other)                                                                                            \
    "static int " name "(int n) { return n + 1; } static struct { int (*f)(int); int n" other "; } d = {" name ", 2};"

/* What data points to may have another name. */
START_TEST(functions_are_renamed)
{
    make_cell("old", CALLED("was", ""));
    make_cell("new", CALLED("is", ""));
    make_cell("wider", CALLED("is", ", x"));
    make_cell("typed",
              "static long is(long n) { return n; } static struct { int (*f)(int); int n; } d = {(void *)is, 2};");
    for (int i = 0; i < 2; i++) {
        const char *to = i ? "wider" : "new";
        ck_assert_int_eq(run("build/bin/cell transfer @/cells/old.o @/cells/%s.o -o @/recipes", to), 1);
        ck_assert_msg(strstr(output, "was: is gone, and .data.d points to it; say --rename was=is, or --drop was") !=
                          NULL,
                      "%s", output);
        ck_assert_msg(run("build/bin/cell transfer @/cells/old.o @/cells/%s.o --rename was=is -o @/recipes", to) == 0,
                      "%s", output);
        ck_assert_ptr_nonnull(strstr(output, "one:.text.was"));
        struct block file = read_recipes();
        struct recipe_set *set = (void *)file.data;
        const struct recipe *r = (const struct recipe *)(set + 1) + i;
        ck_assert(set->recipes == (uint32_t)i + 1 && r->moves == 0 && r->new_section && r->old_type == r->new_type);
        free(file.data);
    }
    ck_assert_int_eq(run("build/bin/cell transfer @/cells/old.o @/cells/new.o --drop was -o @/recipes"), 0);
    ck_assert_int_eq(run("build/bin/cell transfer @/cells/old.o @/cells/new.o --rename was=f -o @/recipes"), 1);
    ck_assert_ptr_nonnull(strstr(output, "said to be f, which the new version has not, or the old one has too"));
    ck_assert_int_eq(run("build/bin/cell transfer @/cells/old.o @/cells/new.o --rename was=as -o @/recipes"), 1);
    ck_assert_ptr_nonnull(strstr(output, "said to be as"));
    ck_assert_int_eq(run("build/bin/cell transfer @/cells/old.o @/cells/typed.o --rename was=is -o @/recipes"), 1);
    ck_assert_ptr_nonnull(strstr(output, "said to be is, which is a function of another type"));
    ck_assert_int_eq(run("build/bin/cell transfer @/cells/old.o @/cells/old.o --rename was=is -o @/recipes"), 1);
}
END_TEST

#define OTHERS(name) "static int " name "(int n) { return n + 2; } void *g(void); void *g(void) { return " name "; }"

/* Whether a pointer to a function that is gone would be carried: not where its field is dropped, or a transfer function
 * takes over. What is proposed is new, and what takes its place is looked for in the cell of the same name first. */
START_TEST(functions_that_are_gone)
{
    static const char other[] = "@/two.r @/two.c && build/bin/cell make @/two.r -o @/cells/two.o --debug "
                                "@/cells.debug/two.o";

    make_cell("old", "static int was(int n) { return n + 1; } static struct { int n; int (*f)(int); } d = {2, was};");
    make_cell("new", "static struct { int n; } d = {2};");
    ck_assert_msg(run("build/bin/cell transfer @/cells/old.o @/cells/new.o --drop d.f -o @/recipes") == 0, "%s",
                  output);
    make_cell("old", CALLED("was", "") OTHERS("stays"));
    make_cell("new", "static struct { int (*f)(int); int n; } d = {0, 2};" OTHERS("stays"));
    ck_assert_int_eq(run("build/bin/cell transfer @/cells/old.o @/cells/new.o -o @/recipes"), 1);
    ck_assert_msg(strstr(output, "was: is gone, and .data.d points to it; say --drop was if") != NULL, "%s", output);
    make_cell("new", "static struct { int (*f)(int); char n; } d = {0, 2};\n"
                     "static enum err take(const struct cell_transfer *t) { return t ? ERR_OK : ERR_BUSY; }\n"
                     "TRANSFER(take);");
    ck_assert_msg(run("build/bin/cell transfer @/cells/old.o @/cells/new.o -o @/recipes") == 0, "%s", output);
    make_cell("new", CALLED("is", "") OTHERS("stays"));
    ck_assert_int_eq(
        run("sed 's/\"one\"/\"two\"/; s/\\<f\\>/f2/g; s/\\<g\\>/g2/g; s/int n/long n/g' @/new.c > @/two.c"), 0);
    ck_assert_msg(run(COMPILE "%s", other) == 0, "%s", output);
    for (int i = 0; i < 2; i++) {
        ck_assert_msg(run("build/bin/cell transfer @/cells/old.o %s --rename was=is -o @/recipes",
                          i ? "@/cells/two.o,@/cells/new.o" : "@/cells/new.o,@/cells/two.o") == 0,
                      "%s", output);
        ck_assert_ptr_nonnull(strstr(output, "one:.text.was"));
    }
}
END_TEST

/* Without a word a datum that is gone must be zero. */
START_TEST(data_gone)
{
    static const uint8_t zero[12] = {0}, used[12] = {[8] = 3};
    struct recipes recipes;
    struct report report;

    make_cell("old", "static int d = 1; static int e[3] = {0, 0, 3}; int *g(void); int *g(void) { return e; }");
    make_cell("new", "static int d = 1;");
    ck_assert_msg(run("build/bin/cell transfer @/cells/old.o @/cells/new.o -o @/recipes") == 0, "%s", output);
    ck_assert_ptr_nonnull(strstr(output, "e: is gone; the swap is refused if it is not zero, unless --drop e is said"));
    struct block file = read_recipes();
    ck_assert_int_eq(recipes_open(file.data, file.bytes, &recipes, &report), ERR_OK);
    const struct recipe *r = &recipes.recipe[0];
    const struct recipe_side old = {r->old_object, r->old_section, r->old_bytes, r->old_type, r->old_deep};
    ck_assert(recipes.count == 1 && recipe_drops(r) && r->old_bytes == 12 && r->moves == 1);
    ck_assert_msg(recipe_check(&recipes, r, &old, NULL, NULL, &report) == ERR_OK, "%s", report.text);
    ck_assert_int_eq(recipe_refuse_values(&recipes, r, "one", zero, &report), ERR_OK);
    ck_assert_int_eq(recipe_refuse_values(&recipes, r, "one", used, &report), ERR_RANGE);
    ck_assert_str_eq(report.text, "one.e[2] is 3, and would be lost; say --drop e");
    free(file.data);
}
END_TEST

START_TEST(transfer_functions_have_precedence)
{
    static const char transfer[] =
        "\nstatic enum err take(const struct cell_transfer *t) { return t ? ERR_OK : ERR_BUSY; }\n"
        "TRANSFER(take);";
    char source[512];

    make_cell("old", "static struct { int a; } d = {1}; static int e = 2; int *g(void); int *g(void) { return &e; }");
    snprintf(source, sizeof source, "static struct { char a; } d = {1};%s", transfer);
    make_cell("new", source);
    ck_assert_msg(run("build/bin/cell transfer @/cells/old.o @/cells/new.o -o @/recipes") == 0, "%s", output);
    ck_assert_ptr_nonnull(strstr(output, "function  d: of another type"));
    ck_assert_ptr_nonnull(strstr(output, "function  e: gone"));
    struct block file = read_recipes();
    ck_assert_uint_eq(((struct recipe_set *)file.data)->recipes, 0);
    free(file.data);
}
END_TEST

/* Cells that are split and merged: each datum is looked for in all of them. */
START_TEST(data_move_between_cells)
{
    make_cell("old", "static int d = 1; static int e = 2; int *g(void); int *g(void) { return &e; }");
    make_cell("new", "static long d = 9;");
    ck_assert_int_eq(
        run("sed -i 's/\"one\"/\"two\"/; s/long d = 9/int d2 = 3; static long e = 9/; s/&d/(e = d2, \\&e)/' "
            "@/new.c && cp @/new.c @/two.c && grep -q two @/two.c"),
        0);
    ck_assert_msg(run(COMPILE "@/two.r @/two.c && build/bin/cell make @/two.r -o @/cells/two.o --debug "
                              "@/cells.debug/two.o") == 0,
                  "%s", output);
    ck_assert_msg(run("build/bin/cell transfer @/cells/old.o @/cells/new.o,@/cells/two.o -o @/recipes") == 0, "%s",
                  output);
    ck_assert_ptr_nonnull(strstr(output, "one:.data.e (4 bytes) -> two:.data.e (8 bytes)"));
    ck_assert_ptr_nonnull(strstr(output, "one:.data.d (4 bytes) -> one:.data.d (8 bytes)"));
}
END_TEST

START_TEST(says_it_in_json)
{
    make_cell("old", "static struct { int a, b; } d = {1, 2};");
    make_cell("new", "static struct { long b; int c; } d = {1, 2};");
    ck_assert_int_eq(run("(build/bin/cell transfer @/cells/old.o @/cells/new.o --json 2>/dev/null)"), 1);
    json_t *all = json_loads(output, 0, NULL), *refused;
    ck_assert_ptr_nonnull(all);
    refused = json_array_get(json_object_get(all, "refused"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(refused, "field")), "d.a");
    json_decref(all);
    ck_assert_int_eq(run("build/bin/cell transfer @/cells/old.o @/cells/new.o --json --drop d.a"), 0);
    all = json_loads(output, 0, NULL);
    json_t *recipe = json_array_get(json_object_get(all, "recipes"), 0), *move;
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(recipe, "old"), "section")), ".data.d");
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(recipe, "new"), "bytes")), 16);
    move = json_array_get(json_object_get(recipe, "moves"), 1);
    ck_assert_str_eq(json_string_value(json_object_get(move, "kind")), "sign-extend");
    ck_assert_int_eq(json_integer_value(json_object_get(move, "from")), 4);
    json_decref(all);
}
END_TEST

START_TEST(other_files_are_refused)
{
    make_cell("old", "static int d = 1;");
    make_cell("new", "static long d = 1;");
    ck_assert_int_eq(run("cp @/cells.debug/old.o @/cells.debug/new.o"), 0);
    ck_assert_int_eq(run("build/bin/cell transfer @/cells/old.o @/cells/new.o"), 1);
    ck_assert_ptr_nonnull(strstr(output, "is of another build than"));
    ck_assert_int_eq(run("rm @/cells.debug/new.o; build/bin/cell transfer @/cells/old.o @/cells/new.o"), 1);
    ck_assert_int_eq(run("cp @/cells/new.o @/cells.debug/new.o; build/bin/cell transfer @/cells/old.o @/cells/new.o"),
                     1);
    ck_assert_ptr_nonnull(strstr(output, "no DWARF"));
    ck_assert_int_eq(run("build/bin/cell transfer @/cells/old.o Makefile"), 1);
    ck_assert_int_eq(run("build/bin/cell transfer @/cells/old.o @/cells/old.o --drop"), 2);
    ck_assert_int_eq(run("build/bin/cell transfer @/cells/old.o @/cells/old.o --drop a=b"), 2);
    ck_assert_int_eq(run("build/bin/cell transfer @/cells/old.o @/cells/old.o --rename a"), 2);
    ck_assert_int_eq(run("build/bin/cell show @/cells/old.o --drop a"), 2);
}
END_TEST

Suite *suite_transfer(void);
Suite *suite_transfer(void)
{
    Suite *s = suite_create("transfer");
    TCase *recipes = tcase_create("moves"), *refusal = tcase_create("refusals"), *cells = tcase_create("cells");

    tcase_add_checked_fixture(recipes, setup, teardown);
    tcase_add_loop_test(recipes, moves, 0, array_size(moved));
    suite_add_tcase(s, recipes);
    tcase_add_checked_fixture(refusal, setup, teardown);
    tcase_add_loop_test(refusal, refusals_name_the_field, 0, array_size(refusals));
    tcase_add_loop_test(refusal, values_that_do_not_fit_are_named, 0, array_size(values));
    suite_add_tcase(s, refusal);
    tcase_add_checked_fixture(cells, setup, teardown);
    tcase_add_test(cells, sections_are_renamed);
    tcase_add_test(cells, data_given_up);
    tcase_add_test(cells, data_gone);
    tcase_add_test(cells, functions_are_renamed);
    tcase_add_test(cells, functions_that_are_gone);
    tcase_add_test(cells, transfer_functions_have_precedence);
    tcase_add_test(cells, data_move_between_cells);
    tcase_add_test(cells, says_it_in_json);
    tcase_add_test(cells, other_files_are_refused);
    suite_add_tcase(s, cells);
    return s;
}
