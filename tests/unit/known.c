/* Which types `cell make` knows, whatever compiler and flags; which data of two versions it takes for the same; and how
 * it shows what differs. */
#include "guest/abi/object.h"
#include "tests/unit/compile.h"
#include "guest/abi/note.h"

#define SAY "CELL(\"one\", KERNEL, 1);\n"

/* Compiles `source` and runs `cell make` on it. */
static int make(const char *name, const char *source)
{
    compile(name, source);
    return run("build/bin/cell make @/%s.r -o @/%s.o", name, name);
}

/* The hash in the line of `cell show` that names `symbol`. */
static uint64_t hash(const char *name, const char *symbol)
{
    ck_assert_msg(run("build/bin/cell show @/%s.o | grep -E '^[0-9a-f]{16} .* %s( |$)'", name, symbol) == 0, "%s",
                  symbol);
    return strtoull(output, NULL, 16);
}

/* The compiler calls memcpy by itself. */
START_TEST(knows_what_compilers_call)
{
    ck_assert_msg(make("one", SAY "struct big { char c[512]; }; void f(struct big *, struct big *);\n"
                                  "EXPORT(f, KERNEL);\n"
                                  "void f(struct big *a, struct big *b) { *a = *b; __asm__(\"call memcpy\"); }\n") == 0,
                  "%s", output);
    ck_assert_msg(make("two", SAY "void *memcpy(void *, const void *, size_t); EXPORT(memcpy, KERNEL);\n"
                                  "void *memcpy(void *p, const void *, size_t) { return p; }\n") == 0,
                  "%s", output);
    ck_assert_uint_ne(hash("one", "f"), 0);
    ck_assert_uint_ne(hash("one", "memcpy"), 0);
    ck_assert_uint_eq(hash("one", "memcpy"), hash("two", "memcpy"));
}
END_TEST

/* { compiler and flags, whether all types are described, else a part of the message } */
static const struct {
    const char *compiler, *flags, *message;
} descriptions[] = {
    {"gcc", "", NULL},
    {"gcc", "-gdwarf-2", NULL},
    {"gcc", "-gdwarf-2 -gstrict-dwarf", NULL},
    {"gcc", "-gdwarf-3", NULL},
    {"gcc", "-gdwarf-4", NULL},
    {"gcc", "-gz", NULL},
    {"gcc", "-gdwarf64", NULL},
    {"gcc", "-O0", NULL},
    {"gcc", "-g3", NULL},
    {"clang", "", NULL},
    {"clang", "-gdwarf-4", NULL},
    {"clang", "-gz", NULL},
    {"clang", "-gdwarf-2", "import called: nothing describes its type"},
    {"clang", "-O0", "import called: nothing describes its type"},
    {"clang", "-g1", "nothing describes its type; compile with -g"},
    {"gcc", "-g1", "its type is not described in full; compile with -g (not -g1)"},
    {"gcc", "-g0", "no DWARF; compile with -g"},
    {"gcc", "-gsplit-dwarf", "compile without -gsplit-dwarf"},
    {"gcc", "-gdwarf-4 -gsplit-dwarf", "compile without -gsplit-dwarf"},
    {"clang", "-gsplit-dwarf", "compile without -gsplit-dwarf"},
    {"gcc", "-fdebug-types-section", "compile without -fdebug-types-section"},
    {"gcc", "-gdwarf-4 -fdebug-types-section", "compile without -fdebug-types-section"},
};

#define DESCRIBED                                                                                                      \
    SAY "int f(long n, const char *s); EXPORT(f, KERNEL); extern const volatile int g[3]; EXPORT(g, KERNEL);\n"        \
        "int called(long n); struct bits { int a : 3; unsigned b : 5; long c : 40; };\n"                               \
        "struct node { struct node *next; struct bits bits; void (*call)(struct node *); const volatile int *p; };\n"  \
        "const volatile int g[3] = {1}; struct bits bits; struct node *first; static volatile int own;\n"              \
        "int f(long n, const char *s) { own++; return called(n) + s[0] + g[n] + bits.b + first->bits.a; }\n"

/* Whatever describes types, they are the same or refused. */
START_TEST(types_are_known_or_refused)
{
    static const char *const lines = "build/bin/cell show @/%s.o | sed -n '/^TYPE/,$p' | grep -E "
                                     "' (f|g|called|.bss.(bits|first|own))( |$)' | "
                                     "sed -E 's/ +[0-9]+ .*[ .]/ /' | sort";
    const char *message = descriptions[_i].message;
    char expected[sizeof output];

    compile_with("gcc", "", "one", DESCRIBED);
    ck_assert_msg(run("build/bin/cell make @/one.r -o @/one.o") == 0, "%s", output);
    ck_assert_int_eq(run(lines, "one"), 0);
    snprintf(expected, sizeof expected, "%s", output);
    compile_with(descriptions[_i].compiler, descriptions[_i].flags, "two", DESCRIBED);
    ck_assert_int_eq(run("build/bin/cell make @/two.r -o @/two.o"), message != NULL);
    if (message) {
        ck_assert_msg(strstr(output, message), "%s %s: %s", descriptions[_i].compiler, descriptions[_i].flags, output);
        ck_assert_int_ne(run("test -e @/two.o"), 0);
        return;
    }
    ck_assert_int_eq(run(lines, "two"), 0);
    ck_assert_msg(strcmp(output, expected) == 0, "%s %s:\n%s%s", descriptions[_i].compiler, descriptions[_i].flags,
                  expected, output);
}
END_TEST

/* One file of several is compiled without what says types. */
START_TEST(every_file_is_described)
{
    static const struct {
        const char *flags, *source, *message;
    } second[] = {
        {"-g0", "int b;", "b in section .bss.b: nothing describes its type"},
        {"-g0", "int g(void); int g(void) { return 1; }", "function g: nothing describes its type"},
        {"-g1", "int g(int); int g(int n) { return n; }", "function g: its type is not described in full"},
        {"", "int g(); int g() { return 1; }", NULL},
        {"-std=gnu17", "int g(); int g() { return 1; }", "function g: its type is not described in full"},
        {"-std=gnu17", "int h(); int g(void); int g(void) { return h(1); }",
         "import h: its type is not described in full"},
        {"", "int called(int); int g(void); int g(void) { return called(1); }",
         "import called: files of this cell declare it with different types"},
    };

    compile("one", SAY "int called(long); int f(void); EXPORT(f, KERNEL); int f(void) { return called(1); }\n");
    compile_with("gcc", second[_i].flags, "two", second[_i].source);
    ck_assert_int_eq(run("ld -r -o @/both.r @/one.raw @/two.raw && build/bin/cell make @/both.r -o @/both.o"),
                     second[_i].message != NULL);
    ck_assert_msg(!second[_i].message || strstr(output, second[_i].message), "%s: %s", second[_i].flags, output);
}
END_TEST

START_TEST(other_languages_are_refused)
{
    compile("one", SAY);
    ck_assert_int_eq(run("echo 'int g(int n) { return n; }' > @/two.cc; g++ -g -c -o @/two.raw @/two.cc && "
                         "ld -r -o @/both.r @/one.raw @/two.raw && build/bin/cell make @/both.r -o @/both.o"),
                     1);
    ck_assert_msg(strstr(output, "has a unit in another language than C"), "%s", output);
}
END_TEST

/* What compilers do not describe is said. */
START_TEST(types_by_macro)
{
    static const char plain[] = SAY "extern int far; int f(void); EXPORT(f, KERNEL); int f(void) { return far; }\n";
    static const char said[] = SAY "extern int far; TYPED(far); int f(void); EXPORT(f, KERNEL);\n"
                                   "int f(void) { return far; }\n";
    static const char assembly[] = SAY "int f(void); EXPORT(f, KERNEL); %s;\n"
                                       "__asm__(\".section .text.f,\\\"ax\\\"\\n.globl f\\nf: ret\\n.text\");";
    char source[512];

    ck_assert_msg(make("gcc", plain) == 0, "%s", output);
    compile_with("clang", "", "clang", plain);
    ck_assert_int_eq(run("build/bin/cell make @/clang.r -o @/clang.o"), 1);
    ck_assert_ptr_nonnull(strstr(output, "import far: nothing describes its type; compile with -g, and say TYPED"));
    compile_with("clang", "", "clang", said);
    ck_assert_msg(run("build/bin/cell make @/clang.r -o @/clang.o") == 0, "%s", output);
    ck_assert_uint_eq(hash("gcc", "far"), hash("clang", "far"));
    ck_assert_int_ne(run("readelf -WS @/clang.o | grep " NOTE_TYPES), 0);
    snprintf(source, sizeof source, assembly, "");
    ck_assert_int_eq(make("one", source), 1);
    ck_assert_ptr_nonnull(strstr(output, "export f: nothing describes its type"));
    snprintf(source, sizeof source, assembly, "TYPED(f)");
    ck_assert_msg(make("one", source) == 0, "%s", output);
    ck_assert_uint_eq(hash("gcc", "f"), hash("one", "f"));
}
END_TEST

/* { two versions, the sections of data or code that are a pair } */
#define COUNT(name) "int " name "(void); int " name "(void) { static volatile int count; return ++count; }\n"
static const struct {
    const char *a, *b, *pairs;
} identities[] = {
    {COUNT("f") COUNT("g"), COUNT("g") COUNT("f"), ".bss.f.count\n.bss.g.count\n"},
    {COUNT("f"), COUNT("g"), ""},
    {COUNT("f"), "int f(void); int f(void) { return 1; }\n" COUNT("g"), ""},
    {"int f(int n); int f(int n) { if (n) { static volatile int a; return ++a; }\n"
     "static volatile int b; return ++b; }\n",
     "int f(int n); int f(int n) { static volatile int b;\n"
     "if (n) { static volatile int a; return ++a; } return ++b; }\n",
     ".bss.f.a\n.bss.f.b\n"},
    /* blocks with a variable of the same name: nothing says which is which */
    {"int f(int n); int f(int n) { if (n) { static volatile int a; return ++a; }\n"
     "static volatile int a; return a--; }\n",
     "int f(int n); int f(int n) { if (n) { static volatile int a; return a--; }\n"
     "static volatile int a; return ++a; }\n",
     ""},
    {"__attribute__((cold)) int f(void); int f(void) { return 1; }\n", "int f(void); int f(void) { return 2; }\n",
     ".text.f\n"},
};

/* The sections of the same name and type in both. */
START_TEST(pairs_by_identity)
{
    static const char *const compilers[] = {"gcc", "clang"};
    char source[1024];

    for (int i = 0; i < 4; i++) {
        snprintf(source, sizeof source, SAY "%s", identities[_i].a);
        compile_with(compilers[i & 1], "", "unit", source); /* both of one name, which counts where names are shared */
        ck_assert_int_eq(run("mv @/unit.r @/a.r"), 0);
        snprintf(source, sizeof source, SAY "%s", identities[_i].b);
        compile_with(compilers[i >> 1], "", "unit", source);
        ck_assert_int_eq(run("mv @/unit.r @/b.r"), 0);
        ck_assert_msg(run("for n in a b; do build/bin/cell make @/$n.r -o @/$n.o; done") == 0, "%s", output);
        ck_assert_int_eq(run("for n in a b; do build/bin/cell show @/$n.o | sed -n '/^TYPE .*DEEP/,$p' | "
                             "awk '%s {print $1, $4}' | sort > @/$n; done; comm -12 @/a @/b | cut -d' ' -f2 | sort",
                             strncmp(identities[_i].pairs, ".text", 5) == 0 ? "/text.f/" : "/bss/"),
                         0);
        ck_assert_msg(strcmp(output, identities[_i].pairs) == 0, "%s|%s: %s", identities[_i].a, identities[_i].b,
                      output);
    }
}
END_TEST

/* An object is the same as itself, also where it has data that cannot be told apart. */
START_TEST(is_paired_with_itself)
{
    ck_assert_int_eq(make("one", SAY "int f(int n); int f(int n) { if (n) { static volatile int a; return ++a; }\n"
                                     "static volatile int a; return a--; }\n"),
                     0);
    ck_assert_int_eq(run("cp @/one.o @/first.o && build/bin/cell make @/one.r -o @/one.o && cmp @/first.o @/one.o"), 0);
}
END_TEST

/* Variables of two files with the same name: each by its file, whatever their order. */
START_TEST(pairs_by_file)
{
    static const char counter[] = "static volatile int count; int %s(void); int %s(void) { return ++count; }\n";
    enum { AB, BA, AC, ORDERS };
    uint64_t hash[ORDERS];
    char source[256];

    for (const char *name = "abc"; *name; name++) {
        char file[] = {'d', *name, '\0'};
        snprintf(source, sizeof source, counter, file, file);
        compile(file, source);
    }
    compile("one", SAY);
    for (int i = 0; i < ORDERS; i++) {
        static const char *const order[ORDERS] = {"@/da.raw @/db.raw", "@/db.raw @/da.raw", "@/da.raw @/dc.raw"};
        ck_assert_msg(run("ld -r -o @/d.r @/one.raw %s && build/bin/cell make @/d.r -o @/d.o", order[i]) == 0, "%s",
                      output);
        ck_assert_int_eq(run("build/bin/cell show @/d.o | grep '.bss.count$' | tail -1"), 0);
        hash[i] = strtoull(output, NULL, 16);
    }
    ck_assert_uint_ne(hash[AB], hash[BA]);
    ck_assert_uint_ne(hash[AB], hash[AC]);
}
END_TEST

/* What clang takes apart, or stores as a truth value. */
START_TEST(data_that_clang_changes)
{
    static const char *const fields[] = {"a, b", "b, a"};
    char source[512];

    for (int i = 0; i < 2; i++) {
        snprintf(source, sizeof source,
                 SAY "static struct { long %s; } s; static int on; long f(long n); EXPORT(f, KERNEL);\n"
                     "long f(long n) { if (!on) on = 1; s.a += n; if (n == 3) s.b++; return n ? s.a : s.b; }\n",
                 fields[i]);
        compile_with("clang", "", "one", source);
        ck_assert_msg(run("build/bin/cell make @/one.r -o @/one.o") == 0, "%s", output);
        ck_assert_int_eq(run("build/bin/cell show @/one.o | sed -n '/^TYPE .*DEEP/,$p' | grep bss | "
                             "sed -E 's/.* ([0-9]+  .bss)/\\1/' | sort"),
                         0);
        ck_assert_str_eq(output, "1  .bss.on\n8  .bss.s.a\n8  .bss.s.b\n");
        ck_assert_int_eq(run("build/bin/cell show @/one.o | grep -c '^0000000000000000'"), 1);
    }
}
END_TEST

/* A structure without members has an address. */
START_TEST(empty_data_have_addresses)
{
    static const char source[] =
        SAY "struct key {}; static struct key here; struct key there; void use(struct key *);\n"
            "void f(void); void f(void) { static struct key own; use(&here); use(&there);\n"
            "use(&own); }";

    for (int i = 0; i < 2; i++) {
        compile_with(i ? "clang" : "gcc", "", "one", source);
        ck_assert_msg(run("build/bin/cell make @/one.r -o @/one.o") == 0, "%s", output);
        ck_assert_int_eq(run("readelf -WS @/one.o | grep -cE ' .bss.(here|there|.*own).* PROGBITS .* 000001 00   A '"),
                         0);
        ck_assert_str_eq(output, "3\n");
    }
}
END_TEST

/* Field by field, where there is DWARF of both. */
START_TEST(shows_how_types_differ)
{
    static const char source[] =
        SAY "struct slot { int used; %s; }; enum color { %s };\n"
            "struct book { enum color c; int kind : %s; union { int whole; char first; }; };\n"
            "int f(struct slot *s, struct book *b, %s n); EXPORT(f, KERNEL);\n"
            "int f(struct slot *s, struct book *b, %s n) { return s->used + b->kind + b->c + n; }";
    static const char *const lines[] = {
        "f: was int f(struct slot *s, struct book *b, int n), is int f(struct slot *s, struct book *b, long int n)",
        "enum color: was RED = 0, is RED = 1",
        "struct book: was int kind : 3 at bit 32, is int kind : 4 at bit 32",
        "struct slot: was 16 bytes, is 8 bytes",
        "struct slot: was long int count at 8, is int count at 4",
    };
    char old[1024], new_[1024];

    snprintf(old, sizeof old, source, "long count", "RED, BLUE", "3", "int", "int");
    snprintf(new_, sizeof new_, source, "int count", "BLUE, RED", "4", "long", "long");
    compile("old", old);
    compile("new", new_);
    ck_assert_msg(
        run("mkdir @/p @/p/cells @/p/cells.debug && for n in old new; do build/bin/cell make @/$n.r -o @/p/cells/$n.o "
            "--debug @/p/cells.debug/$n.o; done; build/bin/cell compare @/p/cells/old.o @/p/cells/new.o") == 0,
        "%s", output);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        ck_assert_msg(strstr(output, lines[i]), "%s\n%s", lines[i], output);
    /* the union without a name is the same in both */
    ck_assert_msg(!strstr(output, "is gone") && !strstr(output, "new is"), "%s", output);
}
END_TEST

START_TEST(names_of_versions)
{
    static const struct {
        const char *name, *cell;
    } names[] = {{"channel", "channel"},
                 {"channel_v2", "channel"},
                 {"channel_v10", "channel"},
                 {"filter_avx2", "filter"},
                 {"channel_v", "channel_v"},
                 {"_v2", "_v2"},
                 {"v2", "v2"},
                 {"channel_2", "channel_2"},
                 {"_avx2", "_avx2"}};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        ck_assert_uint_eq(object_cell_name(names[i].name, strlen(names[i].name)), strlen(names[i].cell));
}
END_TEST

Suite *suite_known(void);
Suite *suite_known(void)
{
    Suite *s = suite_create("known");
    TCase *types_ = tcase_create("types"), *identity = tcase_create("identity");

    tcase_add_checked_fixture(types_, setup, teardown);
    tcase_add_test(types_, knows_what_compilers_call);
    tcase_add_loop_test(types_, types_are_known_or_refused, 0, sizeof descriptions / sizeof *descriptions);
    tcase_add_loop_test(types_, every_file_is_described, 0, 7);
    tcase_add_test(types_, other_languages_are_refused);
    tcase_add_test(types_, types_by_macro);
    tcase_add_test(types_, shows_how_types_differ);
    suite_add_tcase(s, types_);
    tcase_add_checked_fixture(identity, setup, teardown);
    tcase_add_loop_test(identity, pairs_by_identity, 0, sizeof identities / sizeof *identities);
    tcase_add_test(identity, names_of_versions);
    tcase_add_test(identity, is_paired_with_itself);
    tcase_add_test(identity, pairs_by_file);
    tcase_add_test(identity, data_that_clang_changes);
    tcase_add_test(identity, empty_data_have_addresses);
    suite_add_tcase(s, identity);
    return s;
}
