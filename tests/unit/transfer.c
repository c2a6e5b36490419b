/* `cell transfer`: recipes made from small cells that are compiled here, applied to the bytes of their data and compared
 * with what the compiler makes of the same values; and what is refused in which words. */
#include "cells/kernel/swap/recipe.c"
#include "tests/unit/compile.h"
#include <fcntl.h>
#include <gelf.h>
#include <jansson.h>

/* What a cell with datum `d` says. */
#define CELL_OF(data)                                                                                                  \
    "CELL(\"one\", KERNEL, 1);\n" data "\nvoid *f(void); EXPORT(f, KERNEL); void *f(void) { return &d; }\n"

static void make_cell(const char *name, const char *source)
{
    char text[4096];

    snprintf(text, sizeof text, CELL_OF("%s"), source);
    compile(name, text);
    ck_assert_msg(run("mkdir -p @/cells @/cells.debug && build/bin/cell make @/%s.r -o @/cells/%s.o --debug "
                      "@/cells.debug/%s.o",
                      name, name, name) == 0,
                  "%s", output);
}

struct block {
    uint8_t *data;
    size_t bytes;
    uint32_t index;
};

/* The contents of the section of `d` in cell `name`. */
static struct block section_of(const char *name)
{
    char path[160];
    struct block block = {0};
    Elf_Scn *section = NULL;
    GElf_Shdr header;
    size_t names;

    snprintf(path, sizeof path, "%s/cells/%s.o", dir, name);
    elf_version(EV_CURRENT);
    int fd = open(path, O_RDONLY);
    Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
    ck_assert(elf && elf_getshdrstrndx(elf, &names) == 0);
    while ((section = elf_nextscn(elf, section)) != NULL) {
        gelf_getshdr(section, &header);
        const char *s = elf_strptr(elf, names, header.sh_name);
        if (strncmp(s, ".data.d", 7) != 0 && strncmp(s, ".bss.d", 6) != 0)
            continue;
        ck_assert(!block.data);
        block = (struct block){calloc(1, header.sh_size), header.sh_size, (uint32_t)elf_ndxscn(section)};
        ck_assert_ptr_nonnull(block.data);
        if (header.sh_type != SHT_NOBITS)
            memcpy(block.data, elf_rawdata(section, NULL)->d_buf, header.sh_size);
    }
    elf_end(elf);
    close(fd);
    ck_assert_msg(block.data != NULL, "%s has no d", name);
    return block;
}

static struct block read_recipes(void)
{
    char path[160];
    struct block block = {calloc(1, 1 << 20), 0, 0};

    snprintf(path, sizeof path, "%s/recipes", dir);
    FILE *file = fopen(path, "rb");
    ck_assert(file && block.data);
    block.bytes = fread(block.data, 1, 1 << 20, file);
    fclose(file);
    return block;
}

/* Applies the recipe for the section of `d`, as the guest does: checked before. */
static void apply(const struct block *old, struct block *new_)
{
    struct block file = read_recipes();
    uint8_t *written = malloc(new_->bytes);
    struct loader_detail detail;
    struct recipes recipes;

    ck_assert_msg(recipes_open(file.data, file.bytes, &recipes, &detail) == ERR_OK, "%s", detail.text);
    ck_assert_uint_ge(recipes.count, 1);
    const struct recipe *r = recipes_find(&recipes, recipes.recipe[0].old_object, old->index);
    ck_assert_ptr_nonnull(r);
    ck_assert_uint_eq(r->new_section, new_->index);
    const struct recipe_side from = {r->old_object, old->index, (uint32_t)old->bytes, r->old_type, r->old_deep};
    const struct recipe_side to = {r->new_object, new_->index, (uint32_t)new_->bytes, r->new_type, r->new_deep};
    ck_assert_msg(recipe_check(&recipes, r, &from, &to, written, &detail) == ERR_OK, "%s", detail.text);
    recipe_apply(&recipes, r, old->data, new_->data);
    free(written);
    free(file.data);
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
    {"static struct { int a, b; } d = {1, 2};", "static struct { int a; long c; } d;", "",
     "d.b: is gone, and what it holds would be lost; say --drop d.b"},
    {"static struct { int a, b; } d = {1, 2};", "static struct { int a, c; } d;", "--rename d.b=e",
     "d.b: said to be e"},
    {"static struct { int a, b; } d = {1, 2};", "static struct { int a; } d;", "--rename d.b=a",
     "d.a: is gone, and what it holds"},
    {"static struct { int a, b; } d = {1, 2};", "static struct { int a, c; } d;", "--drop d.x --drop d.b",
     "d.x: no such field is gone"},
    {"static struct { long a; } d = {1};", "static struct { int a; } d;", "", "d.a: narrowed: was long int, is int"},
    {"static struct { int a; } d = {1};", "static struct { unsigned a; } d;", "",
     "d.a: its sign has changed: was int, is unsigned int"},
    {"static struct { uint16_t a; } d = {1};", "static struct { int64_t a; } d;", "",
     "d.a: its sign has changed: was uint16_t, is int64_t"},
    {"static struct { bool a; } d = {1};", "static struct { int a; } d;", "", "d.a: was _Bool, is int"},
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
    {"enum e { A, B, C }; static enum e d = B;", "enum e { A, B }; static enum e d;", "",
     "d: enumerator C (2) is gone"},
    {"enum e { A = -5 }; static struct { enum e e : 4; } d = {A};",
     "enum e { A = 3 }; static struct { enum e e : 4; } d;", "", "d.e: enumerator A was -5, is 3"},
    {"static struct { unsigned a : 5; } d = {1};", "static struct { unsigned a : 4; } d;", "",
     "d.a: narrowed from 5 to 4 bits"},
    {"static struct { unsigned a : 5; } d = {1};", "static struct { int a : 6; } d;", "",
     "d.a: its sign has changed: was unsigned int, is int"},
    {"struct s { int n; }; static struct { struct s *s; } d = {(void *)8};",
     "struct s { long n; }; static struct { struct s *s; } d;", "", "d.s: what it leads to has another layout"},
    {"struct t { int n; }; struct s { struct t *t; }; static struct { struct s *s; } d = {(void *)8};",
     "struct t { int n, m; }; struct s { struct t *t; }; static struct { struct s *s; } d;", "",
     "d.s: what it leads to has another layout"},
    {"struct s; static struct { struct s *s; } d = {(void *)8};", "struct t; static struct { struct t *s; } d;", "",
     "d.s: leads to something else: was struct s *, is struct t *"},
    {"static struct { void (*f)(int); } d = {(void *)8};", "static struct { void (*f)(long); } d;", "",
     "d.f: leads to something else: was void (*)(int), is void (*)(long int)"},
    {"static struct { int a[4]; } d = {{1}};", "static struct { int a[3]; } d;", "",
     "d.a: shortened from 4 to 3 elements"},
    {"static struct { int a[4]; } d = {{1}};", "static struct { int a[2][2]; } d;", "",
     "d.a: other dimensions: was int[4], "
     "is int[2][2]"},
    {"static struct { struct { int x, y; } a[4]; } d = {{{1}}};",
     "static struct { struct { int x; short y; } a[4]; } d;", "", "d.a[].y: narrowed: was int, is short int"},
    {"struct s { int n; }; static struct s d = {1};", "struct t { int n; }; static struct t d;", "",
     "d: was struct s, is struct t"},
    {"static int d = 1; static int e = 2; int *g(void); int *g(void) { return &e; }", "static int d = 1;", "",
     "e: is gone, and what it holds would be lost; say --drop e"},
    {"static int d = 1; static int e = 2; int *g(void); int *g(void) { return &e; }",
     "static int d = 1; static int h = 2; int *g(void); int *g(void) { return &h; }", "",
     "e: is gone, and h of the same type is new; say --rename e=h or --drop e"},
    {"static int d = 1; int *g(void); int *g(void) { static int e; return &e; }", "static int d = 1;", "",
     "g:e: is gone, and what it holds would be lost; say --drop g:e"},
    {"__asm__(\".data\\nx: .quad 1\\n.text\"); static int d = 1;",
     "__asm__(\".data\\nx: .quad 1, 2\\n.text\"); static int d = 1;", "",
     ".data: its type is not known, and its size was 8, is 16"},
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
    make_cell("new", "static struct { long b; short c; } d = {1, 2};");
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
    TCase *tc = tcase_create("transfer");

    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, moves, 0, array_size(moved));
    tcase_add_loop_test(tc, refusals_name_the_field, 0, array_size(refusals));
    tcase_add_test(tc, sections_are_renamed);
    tcase_add_test(tc, data_given_up);
    tcase_add_test(tc, transfer_functions_have_precedence);
    tcase_add_test(tc, data_move_between_cells);
    tcase_add_test(tc, says_it_in_json);
    tcase_add_test(tc, other_files_are_refused);
    suite_add_tcase(s, tc);
    return s;
}
