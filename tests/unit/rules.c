/* What `cell make` says of data, of small cells: what they must be (NOTE_RULES), and which are set once or soft. */
#include "guest/abi/elf.h"
#include "guest/abi/note.h"
#include "tests/unit/compile.h"
#include <stdbool.h>

Suite *suite_rules(void);

#define CELL_OF                                                                                                        \
    "CELL(\"one\", LIBRARY, 1);\n%s\nvoid *f(void); EXPORT(f, KERNEL); void *f(void) { return (void *)&d; }\n"

static int make_cell(const char *source)
{
    char text[4096];

    snprintf(text, sizeof text, CELL_OF, source);
    compile("one", text);
    return run("build/bin/cell make @/one.r -o @/one.o");
}

/* The note's bytes in the object; NULL: it has none. */
static const uint8_t *find_note(const uint8_t *data, size_t bytes)
{
    static const char name[8] = NOTE_OWNER;
    const uint32_t want[] = {sizeof NOTE_OWNER, NOTE_RULES};

    for (size_t at = 0; at + 24 <= bytes; at += 4)
        if (memcmp(data + at, &want[0], 4) == 0 && memcmp(data + at + 8, &want[1], 4) == 0 &&
            memcmp(data + at + 12, name, sizeof NOTE_OWNER) == 0)
            return data + at + 20;
    return NULL;
}

static const char *const words[RULE_KINDS] = {
    [RULE_POINTER] = "to", [RULE_LIST] = "list",     [RULE_BYTES] = "bytes", [RULE_FUNCTION] = "function",
    [RULE_BOOL] = "bool",  [RULE_VALUES] = "in",     [RULE_HOLDS] = "holds", [RULE_BACK] = "back",
    [RULE_ARRAY] = "all",  [RULE_LENGTH] = "at most"};

/* "OFFSET NAME[xCOUNT] WHAT TARGET;" of each rule, "SIZE:" before those of a type. */
static void print_note(const uint8_t *note, char *to, size_t room)
{
    struct note_rules head;
    struct note_ruled type;
    struct note_rule rule;
    size_t n = 0;

    memcpy(&head, note, sizeof head);
    const uint8_t *types = note + sizeof head, *rules = types + head.types * sizeof type;
    const char *names = (const char *)rules + head.rules * sizeof rule + head.values * sizeof(struct note_values) +
                        head.roots * sizeof(struct note_root);
    for (uint32_t i = 0; i < head.types; i++) {
        memcpy(&type, types + i * sizeof type, sizeof type);
        n += (size_t)snprintf(to + n, room - n, "%s%u:", i ? " " : "", type.bytes);
        for (uint32_t k = type.first; k < type.first + type.rules; k++) {
            memcpy(&rule, rules + k * sizeof rule, sizeof rule);
            n += (size_t)snprintf(to + n, room - n, " %u %s", rule.offset, names + rule.name);
            n += (size_t)snprintf(to + n, room - n, rule.count == 1 ? "" : "x%u", rule.count);
            n += (size_t)snprintf(to + n, room - n, " %s %u;", words[rule.what], rule.target);
        }
    }
}

/* What the note of the cell says, in these words; "": it has none. */
static const char *rules_of(const char *source)
{
    static char text[2048];
    static uint8_t object[1 << 16];

    ck_assert_msg(make_cell(source) == 0, "%s", output);
    snprintf(text, sizeof text, "%s/one.o", dir);
    FILE *file = fopen(text, "rb");
    ck_assert_ptr_nonnull(file);
    size_t bytes = fread(object, 1, sizeof object, file);
    fclose(file);
    const uint8_t *note = find_note(object, bytes);
    text[0] = '\0';
    if (note)
        print_note(note, text, sizeof text);
    return text;
}

/* { source with a datum `d`, what its rules are } */
static const struct {
    const char *source, *rules;
} found[] = {
    {"static volatile int d = 1;", ""},
    {"static void *d;", ""},
    {"static bool d[3];", "3: 0 dx3 bool 0;"},
    {"static char *d;", "8: 0 d bytes 1;"},
    {"static int (*d[2])(void);", "16: 0 dx2 function 0;"},
    {"static enum { A = 4, B = 9 } d;", "4: 0 d in 0;"},
    {"static union { int *p; long n; } d;", ""},
    {"static struct { union { int *p; long n; }; bool c : 1; unsigned b : 3; bool on; } d;",
     "16: 9 on bool 0; 16: 0 d holds 0;"},
    {"static struct node { struct node *next; int n; } d;", "16: 0 next to 0; 16: 0 d holds 0;"},
    {"static struct tail { unsigned n; bool on[]; } *d;", "8: 0 d to 1; 4:"},
    {"struct away; static struct away *d;", "8: 0 d to 1; 0:"},
    {"static int **d;", "8: 0 d to 1; 8: 0  bytes 4;"},
};

START_TEST(rules_follow_from_types)
{
    ck_assert_str_eq(rules_of(found[_i].source), found[_i].rules);
}
END_TEST

#define RING "static struct ring { unsigned used, room; struct ring *next, *back; long *list; int some; } *d;"

START_TEST(invariants_are_rules)
{
    const char *rules =
        rules_of(RING "INVARIANT_LENGTH(struct ring, used, room); INVARIANT_LIST(struct ring, next);"
                      "INVARIANT_BACK(struct ring, next, back); INVARIANT_ARRAY(struct ring, list, room);");

    ck_assert_ptr_nonnull(strstr(rules, "0 usedx4 at most 4;"));
    ck_assert_ptr_nonnull(strstr(rules, "8 next list 1;"));
    ck_assert_ptr_nonnull(strstr(rules, "8 nextx16 back 1;"));
    ck_assert_ptr_nonnull(strstr(rules, "24 listx4 all 2;"));
}
END_TEST

/* Of a field that is there, but cannot be what is said. */
static const char *const refused[] = {
    "INVARIANT_LENGTH(struct ring, used, some);",
    "INVARIANT_LENGTH(struct ring, next, room);",
    "INVARIANT_LIST(struct ring, used);",
    "INVARIANT_LIST(struct ring, list);",
    "INVARIANT_BACK(struct ring, next, list);",
    "INVARIANT_BACK(struct ring, next, nothing);",
    "INVARIANT_ARRAY(struct ring, list, some);",
    "INVARIANT_ARRAY(struct ring, used, room);",
    "CELL_DECLARE(\"invariant list struct no a a\");",
    "CELL_DECLARE(\"invariant order struct ring used room\");",
};

START_TEST(wrong_invariants_are_refused)
{
    char source[512];

    snprintf(source, sizeof source, "%s %s", RING, refused[_i]);
    ck_assert_int_ne(make_cell(source), 0);
    ck_assert_ptr_nonnull(strstr(output, "invariant"));
}
END_TEST

/* ---- set once, soft ---- */

START_TEST(data_may_be_set_once_or_soft)
{
    ck_assert_msg(make_cell("static long d = 1; static bool known; static long other; SET_ONCE(d); SOFT(known);"
                            "void g(void); EXPORT(g, KERNEL); void g(void) { known = other++; }") == 0,
                  "%s", output);
    ck_assert_int_eq(run("build/bin/cell show @/one.o"), 0);
    ck_assert_ptr_nonnull(strstr(output, ".data.d  set_once\n"));
    ck_assert_ptr_nonnull(strstr(output, ".bss.known  soft\n"));
    ck_assert_ptr_nonnull(strstr(output, ".bss.other\n"));
}
END_TEST

/* { declarations of datum `d`, a word of the reason } */
static const struct {
    const char *source, *reason;
} unfit[] = {
    {"static long d = 1; SOFT(d);", "not zero at first"},
    {"static long d; SOFT(d); CELL_DECLARE(\"set_once d\");", "said twice"},
    {"static long d; CELL_DECLARE(\"set_once e\");", "no static datum"},
    {"static const long d = 1; CELL_DECLARE(\"set_once d\");", "no static datum"},
    {"static long d; CELL_DECLARE(\"set_once f\");", "no static datum"},
    {"static long d; CELL_DECLARE(\"set_once\");", "is not understood"},
};

START_TEST(other_data_may_not)
{
    ck_assert_int_ne(make_cell(unfit[_i].source), 0);
    ck_assert_msg(strstr(output, unfit[_i].reason) != NULL, "%s", output);
}
END_TEST

Suite *suite_rules(void)
{
    Suite *s = suite_create("rules");
    TCase *tc = tcase_create("rules");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, rules_follow_from_types, 0, sizeof found / sizeof *found);
    tcase_add_test(tc, invariants_are_rules);
    tcase_add_loop_test(tc, wrong_invariants_are_refused, 0, sizeof refused / sizeof *refused);
    tcase_add_test(tc, data_may_be_set_once_or_soft);
    tcase_add_loop_test(tc, other_data_may_not, 0, sizeof unfit / sizeof *unfit);
    suite_add_tcase(s, tc);
    return s;
}
