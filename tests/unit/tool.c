/* The program `cell` on small cells that are compiled here: what it keeps, which types it takes for equal, and what it
 * refuses in which words. */
#include "tests/unit/compile.h"
#include <stdbool.h>
#include "guest/abi/note.h"

/* Compiles `source` and runs `cell make` on it. */
static int make(const char *name, const char *source)
{
    compile(name, source);
    return run("build/bin/cell make @/%s.r -o @/%s.o --debug @/%s.full", name, name, name);
}

/* The hash in the line of `cell show` that names `symbol`. */
static uint64_t hash(const char *name, const char *symbol)
{
    ck_assert_msg(run("build/bin/cell show @/%s.o | grep -E '^[0-9a-f]{16} .* %s( |$)'", name, symbol) == 0, "%s",
                  symbol);
    return strtoull(output, NULL, 16);
}

#define SAY "CELL(\"one\", KERNEL, 1);\n"

START_TEST(keeps_what_the_guest_needs)
{
    ck_assert_msg(make("one", SAY "int f(int); extern int other(int);\n"
                                  "EXPORT(f, LIBRARY);\n"
                                  "static int hidden_datum = 5; int shy(int);\n"
                                  "__attribute__((noinline)) int shy(int n) { return other(n) + hidden_datum++; }\n"
                                  "int f(int n) { return shy(n) + 1; }\n"
                                  "static enum err start(void) { return ERR_OK; }\n"
                                  "INIT(start);\n") == 0,
                  "%s", output);
    ck_assert_int_eq(run("readelf -WS @/one.o"), 0);
    ck_assert_ptr_nonnull(strstr(output, ".text.f "));
    ck_assert_ptr_nonnull(strstr(output, ".rela.text.f "));
    ck_assert_ptr_nonnull(strstr(output, ".data.hidden_datum"));
    ck_assert_ptr_nonnull(strstr(output, NOTE_SECTION));
    ck_assert_ptr_null(strstr(output, ".debug"));
    ck_assert_ptr_null(strstr(output, ".comment"));
    ck_assert_ptr_null(strstr(output, NOTE_DECLARATIONS));
    ck_assert_int_eq(run("readelf -Ws @/one.o"), 0);
    ck_assert_ptr_nonnull(strstr(output, " other\n"));
    ck_assert_ptr_null(strstr(output, "FILE"));
    ck_assert_int_eq(run("readelf -Ws @/one.o | grep -w shy | grep LOCAL"), 0);
    ck_assert_int_eq(run("readelf -Ws @/one.o | grep -w f | grep 'FUNC *GLOBAL DEFAULT'"), 0);
    ck_assert_int_eq(run("build/bin/cell show @/one.o"), 0);
    ck_assert_ptr_nonnull(strstr(output, "cell one, KERNEL, version 1\ninit start\n"));
    ck_assert_int_eq(run("readelf -WS @/one.full | grep debug_info"), 0);
    ck_assert_int_eq(run("ld -r -o @/again.o @/one.o"), 0);
}
END_TEST

/* The loader looks for exports in the order of the symbols, which is not that in which they are said. */
START_TEST(exports_are_in_the_order_of_symbols)
{
    ck_assert_msg(make("one", SAY "int first(void), second(void); EXPORT(first, KERNEL); EXPORT(second, KERNEL);\n"
                                  "int first(void) { return 1; } int second(void) { return 2; }") == 0,
                  "%s", output);
    ck_assert_int_eq(run("readelf -Ws @/one.o | grep -oE ' (first|second)$'"), 0);
    ck_assert_str_eq(output, " second\n first\n");
    ck_assert_int_eq(run("build/bin/cell show @/one.o | grep -oE '(first|second)  +[.]text' | grep -oE '^[a-z]+'"), 0);
    ck_assert_str_eq(output, "second\nfirst\n");
}
END_TEST

/* A cell that only says what it is, and one whose only datum has no name. */
START_TEST(cells_without_named_symbols)
{
    ck_assert_msg(make("one", SAY) == 0, "%s", output);
    ck_assert_msg(run("build/bin/cell show @/one.o") == 0, "%s", output);
    ck_assert_ptr_nonnull(strstr(output, "cell one, KERNEL, version 1\n"));
    ck_assert_int_eq(run("readelf -Ws @/one.o | grep -i corrupt"), 1);
    ck_assert_msg(make("two", "CELL(\"two\", KERNEL, 1);\n"
                              "__asm__(\".section .rodata\\n.quad 7\\n.text\");") == 0,
                  "%s", output);
    ck_assert_msg(run("build/bin/cell show @/two.o | grep ' .rodata$'") == 0, "%s", output);
    ck_assert_msg(run("build/bin/cell archive -o @/x.archive @/one.o @/two.o") == 0, "%s", output);
}
END_TEST

/* { exporter's declarations, importer's, whether they are the same type } of `thing` */
static const struct {
    const char *exporter, *importer;
    bool same;
} types[] = {
    {"int thing(long n) { return (int)n; }", "int thing(long);", true},
    {"int thing(long n) { return (int)n; }", "int thing(int);", false},
    {"int thing(long n) { return (int)n; }", "int thing(unsigned long);", false},
    {"int thing(long n) { return (int)n; }", "long thing(long);", false},
    {"int thing(long n) { return (int)n; }", "int thing(long, long);", false},
    {"int thing(const size_t n) { return (int)n; }", "int thing(unsigned long long);", true},
    {"struct s { int a; }; int thing(struct s *s) { return s->a; }", "struct s; int thing(struct s *);", true},
    {"struct s { int a; }; int thing(const struct s *s) { return s->a; }", "struct s; int thing(struct s *);", false},
    {"struct s { int a; }; int thing(struct s *s) { return s->a; }", "struct t; int thing(struct t *);", false},
    {"struct s { int a, b; }; int thing(struct s s) { return s.a; }", "struct s { int a, b; }; int thing(struct s);",
     true},
    {"struct s { int a, b; }; int thing(struct s s) { return s.a; }", "struct s { int b, a; }; int thing(struct s);",
     false},
    {"enum e { A, B }; int thing(enum e e) { return e; }", "enum e { B, A }; int thing(enum e);", false},
    {"int thing(void *restrict p, ...) { return !p; }", "int thing(void *, ...);", true},
    {"int thing(void *p, ...) { return !p; }", "int thing(void *);", false},
    {"int thing(int (*f)(long)) { return f(1); }", "int thing(int (*)(char));", false},
    {"const int thing[4] = {1};", "extern const int thing[];", true},
    {"const int thing[4][2] = {{1}};", "extern const int thing[][3];", false},
    {"int thing = 4;", "extern unsigned thing;", false},
    {"struct s { struct s *next; union { int a; char b[3]; }; int c : 3; } thing;",
     "struct s { struct s *next; union { int a; char b[3]; }; int c : 3; }; extern struct s thing;", true},
};

START_TEST(hashes_types)
{
    char source[512];

    snprintf(source, sizeof source, SAY "%s\nEXPORT(thing, LIBRARY);\n", types[_i].exporter);
    ck_assert_msg(make("exporter", source) == 0, "%s", output);
    snprintf(source, sizeof source,
             SAY "%s\nconst void *use(void); EXPORT(use, KERNEL);\n"
                 "const void *use(void) { return (const void *)&thing; }\n",
             types[_i].importer);
    ck_assert_msg(make("importer", source) == 0, "%s", output);
    uint64_t a = hash("exporter", "thing"), b = hash("importer", "thing");
    ck_assert_uint_ne(a, 0);
    ck_assert_uint_ne(b, 0);
    ck_assert_msg((a == b) == types[_i].same, "%s | %s", types[_i].exporter, types[_i].importer);
}
END_TEST

/* { two sources that define `d`, whether its layout is the same, whether all behind it is } */
#define LIST "struct list { struct node *first; }; static struct list d;"
static const struct {
    const char *a, *b;
    bool type, deep;
} data[] = {
    {"static int d;", "typedef int number; static number d;", true, true},
    {"static int d;", "static unsigned d;", false, false},
    {"static int d[4];", "static int d[5];", false, false},
    {"static int d[2][3];", "static int d[3][2];", false, false},
    {"static char *d;", "static void *d;", false, false},
    {"static struct { int a, b; } d;", "static struct { int a, b; } d;", true, true},
    {"static struct { int a, b; } d;", "static struct { int b, a; } d;", false, false},
    {"static struct { int a : 3, b : 5; } d;", "static struct { int a : 4, b : 4; } d;", false, false},
    {"static struct { struct { int a; }; } d;", "static struct { struct { long a; }; } d;", false, false},
    {"static union { int a; char b[4]; } d;", "static union { int a; char b[3]; } d;", false, false},
    {"enum e { A, B }; static enum e d;", "enum e { A, B }; static enum e d;", true, true},
    {"enum e { A, B }; static enum e d;", "enum e { A, C, B }; static enum e d;", false, false},
    {"enum e { A, B }; static enum e *d;", "enum e { A, C, B }; static enum e *d;", true, false},
    {"struct node { struct node *next; int n; };" LIST, "struct node { struct node *next; int n; };" LIST, true, true},
    {"struct node { struct node *next; int n; };" LIST, "struct node { struct node *next; long n; };" LIST, true,
     false},
    {"struct node { struct node *next; union { int a; } *u; };" LIST,
     "struct node { struct node *next; union { char a; } *u; };" LIST, true, false},
    {"struct leaf { int n; }; struct node { struct leaf **leaf; };" LIST,
     "struct leaf { int n, m; }; struct node { struct leaf **leaf; };" LIST, true, false},
    {"struct leaf { int n; }; struct node { struct leaf leaf[2]; };" LIST,
     "struct leaf { char n[4]; }; struct node { struct leaf leaf[2]; };" LIST, true, false},
    {"struct node;" LIST, "struct node;" LIST, true, true},
    {"struct node;" LIST, "struct node { int n; };" LIST, true, false},
    {"struct s { int n; }; static void (*d)(struct s *);", "struct s { long n; }; static void (*d)(struct s *);", true,
     true},
    {"struct s { int n; }; static void (*d)(struct s *);", "struct t { int n; }; static void (*d)(struct t *);", false,
     false},
};

/* The two hashes of section `.bss.d...`. */
static void data_hashes(const char *name, uint64_t ret_hash[2])
{
    char *end;

    ck_assert_msg(run("build/bin/cell show @/%s.o | grep -E '^[0-9a-f]{16}  [0-9a-f]{16} .* .bss.(f.)?d$'", name) == 0,
                  "%s", name);
    ret_hash[0] = strtoull(output, &end, 16);
    ret_hash[1] = strtoull(end, NULL, 16);
}

START_TEST(hashes_static_data)
{
    char source[512];
    uint64_t a[2], b[2];

    snprintf(source, sizeof source, SAY "%s\nvoid *f(void); void *f(void) { return &d; }\n", data[_i].a);
    ck_assert_msg(make("a", source) == 0, "%s", output);
    /* as a variable of a function, and moved about: that makes no difference */
    snprintf(source, sizeof source,
             SAY "static int other; int *g(void); int *g(void) { return &other; }\n"
                 "void *f(void); void *f(void) { { %s return &d; } }\n",
             data[_i].b);
    ck_assert_msg(make("b", source) == 0, "%s", output);
    data_hashes("a", a);
    data_hashes("b", b);
    ck_assert(a[0] && a[1] && b[0] && b[1]);
    ck_assert_msg((a[0] == b[0]) == data[_i].type, "%s | %s", data[_i].a, data[_i].b);
    ck_assert_msg((a[1] == b[1]) == data[_i].deep, "%s | %s", data[_i].a, data[_i].b);
}
END_TEST

/* Variables of the same name in two files share a section; what only another file defines is looked up there. */
START_TEST(hashes_data_of_several_files)
{
    static const char *const second[] = {"struct node { int n; }; static struct node d[3];",
                                         "struct node { int m; }; static struct node d[3];", "static int d[3];"};
    uint64_t hash[3][2];
    char source[256];

    compile("one", SAY "struct node; static struct node *d; void *f(void); void *f(void) { return &d; }\n");
    for (int i = 0; i < 3; i++) {
        snprintf(source, sizeof source, "%s void *g(void); void *g(void) { return &d; }\n", second[i]);
        compile("two", source);
        ck_assert_msg(run("ld -r -o @/both.r @/one.raw @/two.raw && build/bin/cell make @/both.r -o @/both.o") == 0,
                      "%s", output);
        data_hashes("both", hash[i]);
    }
    ck_assert_uint_ne(hash[0][0], 0);
    ck_assert_uint_ne(hash[0][0], hash[1][0]);
    ck_assert_uint_ne(hash[0][1], hash[1][1]);
    ck_assert_uint_ne(hash[0][0], hash[2][0]);
}
END_TEST

/* { source, a part of the message } */
static const struct {
    const char *source, *message;
} refused[] = {
    {"int f(void) { return 1; }", "has no CELL"},
    {"CELL(\"Loud\", KERNEL, 1);", "may hold only"},
    {"CELL(\"a_name_that_is_much_longer_than_it_may_be\", KERNEL, 1);", "longer than 31"},
    {"CELL(\"one\", KING, 1);", "unknown kind KING"},
    {"CELL(\"one\", KERNEL, first);", "version"},
    {SAY "CELL(\"two\", KERNEL, 1);", "says CELL twice"},
    {SAY "int gone(void); EXPORT(gone, KERNEL);", "export gone: not defined here"},
    {SAY "int f(void); EXPORT(f, EVERYBODY); int f(void) { return 1; }", "unknown access level EVERYBODY"},
    {SAY "int f(void); EXPORT(f, KERNEL); EXPORT(f, KERNEL); int f(void) { return 1; }", "said twice"},
    {SAY "CELL_DECLARE(\"export shy KERNEL\"); static int __attribute__((used)) shy(void) { return 1; }",
     "it is static"},
    {SAY "CELL_DECLARE(\"init gone\");", "init gone: not defined here"},
    {SAY "CELL_DECLARE(\"frobnicate gone\");", "is not understood"},
    {SAY "int common __attribute__((common));", "common symbol"},
    {SAY "static _Thread_local int __attribute__((used)) t = 3;", "thread-local"},
    {SAY "__attribute__((constructor)) static void c(void) { __asm__(\"nop\"); }", "use INIT()"},
    {SAY "__asm__(\".section .bss.d,\\\"aw\\\",@nobits\\n.skip 8\\n.text\");",
     "section .bss.d: not all of its data has a type"},
    {SAY "__asm__(\".data\\n.type d, @object\\n.size d, 8\\nd: .quad 7\\n.text\");",
     "d in section .data: nothing describes its type in full"},
    {SAY "int odd __attribute__((section(\"strange\"))) = 3;", "section strange"},
    {SAY "static int a(int n) { return n; } static int (*pick(void))(int) { return a; }\n"
         "int odd(int) __attribute__((ifunc(\"pick\"))); int f(void); int f(void) { return odd(1); }",
     "odd is an indirect function (ifunc)"},
    {SAY "int call(int (*f)(void)); int f(int n); int f(int n) { int g(void) { return n; } return call(g); }",
     "asks for an executable stack"},
    {SAY "static struct { _Alignas(8192) char c[8192]; } d; void *f(void); void *f(void) { return &d; }",
     "section .bss.d: alignment 8192"},
    {SAY "extern int gone __attribute__((weak)); int *f(void); int *f(void) { return &gone; }", "import gone is weak"},
    {SAY "__asm__(\".section .data.d, \\\"awx\\\"\\n.quad 7\\n.text\");", "writable and executable at once"},
    {SAY "int an_exported_name_that_is_longer_than_the_sixty_three_characters_of_one; "
         "EXPORT(an_exported_name_that_is_longer_than_the_sixty_three_characters_of_one, KERNEL);",
     "longer than 63 characters"},
    {SAY "__asm__(\".section .comment\\nx: .byte 1\\n.data\\n.quad x\\n.text\");",
     "refers to section .comment, which is left"},
};

START_TEST(refuses)
{
    ck_assert_int_eq(make("one", refused[_i].source), 1);
    ck_assert_msg(strncmp(output, "cell: ", 6) == 0 && strstr(output, refused[_i].message), "%s: %s",
                  refused[_i].source, output);
    ck_assert_ptr_eq(strchr(output, '\n'), output + strlen(output) - 1);
    ck_assert_int_ne(run("test -e @/one.o"), 0);
}
END_TEST

START_TEST(refuses_what_cannot_be_printed)
{
    static const char *const change[] = {"--redefine-sym odd=\"$(printf 'o\\033d')\"",
                                         "--rename-section .data.odd=\"$(printf '.data.o\\033')\""};

    for (int i = 0; i < 2; i++) {
        compile("one", SAY "int odd = 1;");
        ck_assert_msg(run("objcopy %s @/one.r && build/bin/cell make @/one.r -o @/one.o", change[i]) == 1, "%s",
                      output);
        ck_assert_msg(strstr(output, "its name has characters that cannot be printed"), "%s", output);
    }
}
END_TEST

/* Who replaces a file while it is read must not get a cell of two builds: from a pipe nothing can be read twice. */
START_TEST(reads_each_file_once)
{
    ck_assert_msg(make("one", SAY "int f(void); EXPORT(f, KERNEL); int f(void) { static int n; return ++n; }") == 0,
                  "%s", output);
    ck_assert_msg(run("cat @/one.r | build/bin/cell make /dev/stdin -o @/piped.o --debug @/piped.full") == 0, "%s",
                  output);
    ck_assert_int_eq(run("cmp @/piped.o @/one.o && cmp @/piped.full @/one.full && cmp @/piped.full @/one.r"), 0);
    ck_assert_int_eq(run("build/bin/cell archive -o @/one.archive @/one.o"), 0);
    ck_assert_msg(run("cat @/one.o | build/bin/cell archive -o @/piped.archive /dev/stdin") == 0, "%s", output);
    ck_assert_int_eq(run("cmp @/piped.archive @/one.archive"), 0);
    ck_assert_int_eq(run("build/bin/cell make /dev/null -o @/x.o"), 1);
    ck_assert_ptr_nonnull(strstr(output, "is not an ELF file"));
}
END_TEST

START_TEST(refuses_other_files)
{
    compile("one", SAY "int f(void); EXPORT(f, KERNEL); int f(void) { return 1; }");
    ck_assert_int_eq(run("build/bin/cell make @/none.o -o @/x.o"), 1);
    ck_assert_int_eq(run("build/bin/cell make Makefile -o @/x.o"), 1);
    ck_assert_ptr_nonnull(strstr(output, "is not an ELF file"));
    ck_assert_int_eq(run("build/bin/cell make build/bin/cell -o @/x.o"), 1);
    ck_assert_ptr_nonnull(strstr(output, "is not a relocatable object"));
    for (int percent = 0; percent < 100; percent += 9)
        ck_assert_int_eq(run("head -c $(($(stat -c %%s @/one.r) * %d / 100)) @/one.r > @/cut.r; "
                             "build/bin/cell make @/cut.r -o @/x.o",
                             percent),
                         1);
    ck_assert_int_eq(run("build/bin/cell make @/one.r"), 2);
    ck_assert_int_eq(run("build/bin/cell show @/one.r"), 1);
    ck_assert_ptr_nonnull(strstr(output, "make it with `cell make`"));
}
END_TEST

START_TEST(archives)
{
    ck_assert_int_eq(make("a", "CELL(\"a\", KERNEL, 1); int x = 1; EXPORT(x, KERNEL);"), 0);
    ck_assert_int_eq(make("b", "CELL(\"some_cell\", DRIVER, 7); int y = 1; EXPORT(y, DRIVER);"), 0);
    ck_assert_int_eq(run("build/bin/cell archive -o @/x.archive @/a.o @/b.o"), 0);
    ck_assert_int_eq(run("cpio --quiet -t < @/x.archive"), 0);
    ck_assert_str_eq(output, "a.o\nsome_cell.o\n");
    ck_assert_int_eq(
        run("mkdir @/u; cd @/u && cpio --quiet -i < ../x.archive && cmp a.o ../a.o && cmp some_cell.o ../b.o"), 0);
    ck_assert_int_eq(run("grep -obUaP '\\x7fELF' @/x.archive | cut -d: -f1 | while read n; do test $((n %% 16)) = 0 || "
                         "echo bad; done"),
                     0);
    ck_assert_str_eq(output, "");
    ck_assert_int_eq(run("build/bin/cell archive -o @/y.archive @/a.o @/a.o"), 1);
    ck_assert_ptr_nonnull(strstr(output, "is cell a, and so is"));
}
END_TEST

START_TEST(compares)
{
    ck_assert_int_eq(make("a", "CELL(\"a\", KERNEL, 1); int x = 1; int f(int), g(int); EXPORT(f, KERNEL);\n"
                               "EXPORT(g, KERNEL); int f(int n) { return n; } int g(int n) { return n; }\n"
                               "static int s; int *p(void); int *p(void) { return &s; }"),
                     0);
    ck_assert_int_eq(make("b", "CELL(\"a\", KERNEL, 2); int x = 1; int f(long), h(int); EXPORT(f, KERNEL);\n"
                               "EXPORT(h, KERNEL); int f(long n) { return n * 7 + 1; } int h(int n) { return n; }\n"
                               "static float s; float *p(void); float *p(void) { return &s; }"),
                     0);
    ck_assert_int_eq(run("build/bin/cell compare @/a.o @/b.o"), 0);
    ck_assert_ptr_nonnull(strstr(output, "a version 1 -> a version 2"));
    ck_assert_ptr_nonnull(strstr(output, "retyped   f"));
    ck_assert_ptr_nonnull(strstr(output, "retyped   .bss.s: another type"));
    ck_assert_ptr_nonnull(strstr(output, "removed   g"));
    ck_assert_ptr_nonnull(strstr(output, "added     h"));
    ck_assert_ptr_nonnull(strstr(output, "resized   .text.f"));
    ck_assert_int_eq(run("build/bin/cell compare @/a.o @/a.o"), 0);
    ck_assert_ptr_nonnull(strstr(output, "same symbols, same sections"));
}
END_TEST

static const struct {
    const char *mark, *word;
} marks[] = {{"PER_NAMESPACE", "\nper_namespace\n"}, {"CORE", "\ncore\n"}, {"FOUNDATION", "\nfoundation\n"}};

START_TEST(shows_only_the_mark_that_is_said)
{
    char code[128];

    snprintf(code, sizeof code, "CELL(\"a\", KERNEL, 1); %s(); int x = 1; EXPORT(x, KERNEL);", marks[_i].mark);
    ck_assert_int_eq(make("a", code), 0);
    ck_assert_int_eq(run("build/bin/cell show @/a.o"), 0);
    for (int i = 0; i < (int)(sizeof marks / sizeof *marks); i++)
        ck_assert_int_eq(strstr(output, marks[i].word) != NULL, i == _i);
}
END_TEST

/* What a cell's code does, and whether a task must save SIMD registers for it. */
static const struct {
    const char *code;
    bool simd;
} instructions[] = {
    {"vpaddd %ymm0, %ymm1, %ymm2", true},
    {"paddd %xmm9, %xmm10", true},
    {"vpaddd %zmm0, %zmm17, %zmm2", true},
    {"kmovw %eax, %k1", true},
    {"movq %rax, %mm3", true},
    {"fld1; fstp %st(0)", true},
    {"fninit", true},
    {"vzeroupper", true},
    {"emms", true},
    {"ldmxcsr (%rdi)", true},
    {"cvtsi2sd %eax, %xmm0", true},
    {"vpgatherdd %ymm1, (%rdi,%ymm0,4), %ymm2", true},
    {".byte 0x62, 0xf1, 0xff, 0xff, 0xff, 0xff", true}, /* unknown, but of that kind */
    {"nop", false},
    {"clts; xsave64 (%rdi); xrstor64 (%rdi); xgetbv", false},
    {"pause; lfence; mfence; prefetcht0 (%rdi); movnti %rax, (%rdi)", false},
    {"popcntq %rax, %rcx; crc32q %rax, %rcx; andn %rax, %rcx, %rdx; shlx %rax, %rcx, %rdx", false},
};

START_TEST(finds_simd)
{
    char source[512];

    snprintf(source, sizeof source,
             SAY "void f(void), g(void); EXPORT(f, KERNEL); EXPORT(g, KERNEL);\n"
                 "void f(void) { }\nvoid g(void) { __asm__(\"%s\"); }",
             instructions[_i].code);
    ck_assert_msg(make("one", source) == 0, "%s", output);
    ck_assert_int_eq(run("build/bin/cell show @/one.o"), 0);
    ck_assert_msg((strstr(output, "\nsimd\n") != NULL) == instructions[_i].simd, "%s", instructions[_i].code);
}
END_TEST

START_TEST(simd_cell_has_no_init)
{
    ck_assert_int_ne(make("one", SAY "static enum err begin(void) { __asm__(\"vzeroupper\"); return ERR_OK; }\n"
                                     "INIT(begin);"),
                     0);
    ck_assert_ptr_nonnull(strstr(output, "section .text.begin uses SIMD registers: such a cell has no init function"));
    ck_assert_msg(make("two", "CELL(\"two\", APPLICATION, 1);\n"
                              "static int run(int, char **) { __asm__(\"vzeroupper\"); return 0; }\nMAIN(run);") == 0,
                  "%s", output);
}
END_TEST

START_TEST(archives_builds_for_simd)
{
    static const char plain[] = SAY "void f(void); EXPORT(f, KERNEL); void f(void) { }";
    static const char simd[] = SAY "void f(void); EXPORT(f, KERNEL); void f(void) { __asm__(\"vzeroupper\"); }";

    ck_assert_int_eq(make("one", plain), 0);
    ck_assert_int_eq(make("one_avx2", simd), 0);
    ck_assert_msg(run("build/bin/cell archive -o @/a @/one.o @/one_avx2.o && cpio -t < @/a") == 0, "%s", output);
    ck_assert_ptr_nonnull(strstr(output, "one.o\none_avx2.o\n"));
    ck_assert_int_eq(make("one_avx2", plain), 0); /* what the file's name promises is not believed */
    ck_assert_int_ne(run("build/bin/cell archive -o @/a @/one.o @/one_avx2.o"), 0);
}
END_TEST

static const char *const placed[] = {
    "nano_core\n", "two\n",      ".text.f\n", ".text.g\n", ".text.a_function_with_a_long_name\n",
    ".data.v\n",   ".eh_frame\n"};

START_TEST(describes_an_image)
{
    compile("nano_core", SAY "int f(int), g(int), v[3] = {1}; int f(int n) { return g(n) + v[0]; }");
    compile("two", "CELL(\"two\", KERNEL, 1); int g(int), a_function_with_a_long_name(int); EXPORT(g, DRIVER);\n"
                   "int a_function_with_a_long_name(int n) { return n; }\n"
                   "int g(int n) { return a_function_with_a_long_name(n); }");
    ck_assert_msg(run("for n in nano_core two; do ld -r -o @/$n.o @/$n.raw; done; "
                      "ld -n -nostdlib --build-id=sha1 -e 0 -Ttext=0xffffffff80200000 -Map @/k.map -o @/k.elf "
                      "--no-warn-rwx-segments @/nano_core.o @/two.o") == 0,
                  "%s", output);
    ck_assert_msg(run("build/bin/cell describe @/k.elf @/k.map @/nano_core.o -o @/k.o") == 0, "%s", output);
    ck_assert_int_eq(run("build/bin/cell show @/k.o"), 0);
    ck_assert_ptr_nonnull(strstr(output, "cell one, KERNEL, version 1"));
    ck_assert_ptr_nonnull(strstr(output, ".text.f"));
    ck_assert_int_eq(run("objcopy -O binary -j " NOTE_IMAGE " --set-section-flags " NOTE_IMAGE
                         "=alloc @/k.o @/places && "
                         "strings -n 3 @/places"),
                     0);
    for (size_t i = 0; i < sizeof placed / sizeof *placed; i++)
        ck_assert_msg(strstr(output, placed[i]), "%s is not placed:\n%s", placed[i], output);
    ck_assert_ptr_null(strstr(output, ".note"));
    ck_assert_int_eq(run("build/bin/cell describe @/k.elf /dev/null @/nano_core.o -o @/k.o"), 1);
    ck_assert_ptr_nonnull(strstr(output, "places nothing in the image"));
}
END_TEST

Suite *suite_tool(void);
Suite *suite_tool(void)
{
    Suite *s = suite_create("tool");
    TCase *objects = tcase_create("objects"), *hashes = tcase_create("types"), *refusals = tcase_create("refusals");

    tcase_add_checked_fixture(objects, setup, teardown);
    tcase_add_test(objects, keeps_what_the_guest_needs);
    tcase_add_test(objects, exports_are_in_the_order_of_symbols);
    tcase_add_test(objects, cells_without_named_symbols);
    tcase_add_test(objects, archives);
    tcase_add_test(objects, compares);
    tcase_add_loop_test(objects, shows_only_the_mark_that_is_said, 0, sizeof marks / sizeof *marks);
    tcase_add_loop_test(objects, finds_simd, 0, sizeof instructions / sizeof *instructions);
    tcase_add_test(objects, simd_cell_has_no_init);
    tcase_add_test(objects, archives_builds_for_simd);
    tcase_add_test(objects, describes_an_image);
    suite_add_tcase(s, objects);
    tcase_add_checked_fixture(hashes, setup, teardown);
    tcase_add_loop_test(hashes, hashes_types, 0, sizeof types / sizeof *types);
    tcase_add_loop_test(hashes, hashes_static_data, 0, sizeof data / sizeof *data);
    tcase_add_test(hashes, hashes_data_of_several_files);
    suite_add_tcase(s, hashes);
    tcase_add_checked_fixture(refusals, setup, teardown);
    tcase_add_loop_test(refusals, refuses, 0, sizeof refused / sizeof *refused);
    tcase_add_test(refusals, refuses_what_cannot_be_printed);
    tcase_add_test(refusals, reads_each_file_once);
    tcase_add_test(refusals, refuses_other_files);
    suite_add_tcase(s, refusals);
    return s;
}
