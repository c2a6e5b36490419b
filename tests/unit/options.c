/* Command lines: where options may stand, what values they take, what is refused and in which words; the help from the
 * table. */
#include "introspect/base/options.h"
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "introspect/base/number.h"

struct parsed {
    bool quiet;
    const char *name;
    struct option_number count, any, bytes;
    struct option_list *list;
};

static const struct option_rule rules[] = {
    {"quiet", 'q', OPTION_FLAG, offsetof(struct parsed, quiet), NULL, "say\nnothing", 0, 0},
    {"name", 'n', OPTION_TEXT, offsetof(struct parsed, name), "NAME", "a name", 0, 0},
    {"count", 0, OPTION_NUMBER, offsetof(struct parsed, count), "N", "how many", 1, 10},
    {"any", 0, OPTION_NUMBER, offsetof(struct parsed, any), "N", "any number", 0, 0},
    {"drop", 0, OPTION_LIST, offsetof(struct parsed, list), "WORD", "drop it", 0, 0},
    {"rename-a-thing", 0, OPTION_LIST, offsetof(struct parsed, list), "WORD", "rename it", 0, 0},
    {"bytes", 0, OPTION_SIZE, offsetof(struct parsed, bytes), "SIZE", "how much", 4096, 0},
    {0},
};

static struct option_list list;
static char why[OPTIONS_WHY];

/* Parses "verb WORDS", which are separated by blanks. Returns the number of operands, -1 when the words are refused. */
static int parse(const char *words, enum option_order order, struct parsed *ret, char **ret_first)
{
    static char text[256];
    static char *argv[32];
    int argc = 1, operands;

    snprintf(text, sizeof text, "%s", words);
    argv[0] = (char[]){"verb"};
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    list = (struct option_list){0};
    *ret = (struct parsed){.list = &list};
    if (!options_parse(argc, argv, rules, order, ret, &operands, why))
        return -1;
    if (ret_first)
        *ret_first = operands < argc ? argv[operands] : NULL;
    return argc - operands;
}

START_TEST(sizes_have_units)
{
    struct parsed p;

    ck_assert_int_eq(parse("--bytes 64M", OPTIONS_ANYWHERE, &p, NULL), 0);
    ck_assert_uint_eq(p.bytes.value, 64 << 20);
    ck_assert_int_eq(parse("--bytes 8192", OPTIONS_ANYWHERE, &p, NULL), 0);
    ck_assert_uint_eq(p.bytes.value, 8192);
    ck_assert_int_eq(parse("--bytes 2K", OPTIONS_ANYWHERE, &p, NULL), -1);
    ck_assert_int_eq(parse("--bytes 64MB", OPTIONS_ANYWHERE, &p, NULL), -1);
    ck_assert_str_eq(why, "--bytes wants a number of bytes, or one with K, M or G from 4096, not '64MB'");
    ck_assert_int_eq(parse("--count 1K", OPTIONS_ANYWHERE, &p, NULL), -1);
}
END_TEST

START_TEST(options_stand_anywhere)
{
    struct parsed p;
    char *first;

    ck_assert_int_eq(parse("one -q --name=x two --count 10 three", OPTIONS_ANYWHERE, &p, &first), 3);
    ck_assert_str_eq(first, "one");
    ck_assert(p.quiet && p.count.given && !p.any.given);
    ck_assert_str_eq(p.name, "x");
    ck_assert_uint_eq(p.count.value, 10);
    ck_assert_int_eq(parse("one -- -q", OPTIONS_ANYWHERE, &p, &first), 2);
    ck_assert(!p.quiet);
}
END_TEST

START_TEST(the_first_operand_may_end_them)
{
    struct parsed p;
    char *first;

    ck_assert_int_eq(parse("-n x one -q --unknown", OPTIONS_FIRST, &p, &first), 3);
    ck_assert_str_eq(first, "one");
    ck_assert(!p.quiet);
}
END_TEST

START_TEST(lists_keep_names_and_order)
{
    struct parsed p;

    ck_assert_int_eq(parse("--rename-a-thing a=b --drop c --drop d", OPTIONS_ANYWHERE, &p, NULL), 0);
    ck_assert_uint_eq(list.count, 3);
    ck_assert_str_eq(list.use[0].name, "rename-a-thing");
    ck_assert_str_eq(list.use[0].value, "a=b");
    ck_assert_str_eq(list.use[2].value, "d");
}
END_TEST

static const struct {
    const char *words, *why;
} wrong[] = {
    {"--unknown", "option '--unknown' is unknown, or short for several"},
    {"--unknown=x", "option '--unknown=x' is unknown, or short for several"},
    {"-x", "there is no option -x"},
    {"one -xq", "there is no option -x"},
    {"-qx", "there is no option -x"},
    {"--name", "--name lacks its value"},
    {"--na", "--name lacks its value"},
    {"-n", "--name lacks its value"},
    {"-qn", "--name lacks its value"},
    {"--quiet=very", "--quiet takes no value"},
    {"--count 0", "--count wants a number from 1 to 10, not '0'"},
    {"--count 11", "--count wants a number from 1 to 10, not '11'"},
    {"--any -1", "--any wants a number, not '-1'"},
    {"--any 1x", "--any wants a number, not '1x'"},
    {"--any 18446744073709551616", "--any wants a number, not '18446744073709551616'"},
};

START_TEST(wrong_usage_is_described)
{
    struct parsed p;

    ck_assert_int_eq(parse(wrong[_i].words, OPTIONS_ANYWHERE, &p, NULL), -1);
    ck_assert_str_eq(why, wrong[_i].why);
}
END_TEST

START_TEST(numbers_have_limits_and_two_bases)
{
    uint64_t n = 7;

    ck_assert(number_parse("18446744073709551615", 0, UINT64_MAX, &n) && n == UINT64_MAX);
    ck_assert(number_parse("0x1F", 0, 31, &n) && n == 31);
    ck_assert(number_parse("010", 0, 10, &n) && n == 10); /* decimal, not octal */
    ck_assert(!number_parse("", 0, 9, &n) && !number_parse(" 1", 0, 9, &n) && !number_parse("0x", 0, 9, &n));
    ck_assert(!number_parse("0x20", 0, 31, &n) && !number_parse("1", 2, 9, &n) && n == 10);
}
END_TEST

START_TEST(help_has_columns)
{
    char *text = NULL;
    size_t bytes;
    FILE *f = open_memstream(&text, &bytes);

    options_print(f, &rules[0], "");
    options_print(f, &rules[5], "rarely: ");
    fclose(f);
    ck_assert_str_eq(text, "  -q, --quiet      say\n                   nothing\n"
                           "  --rename-a-thing WORD\n                   rarely: rename it\n");
    free(text);
}
END_TEST

Suite *suite_options(void);
Suite *suite_options(void)
{
    Suite *suite = suite_create("options");
    TCase *tc = tcase_create("options");

    tcase_add_test(tc, sizes_have_units);
    tcase_add_test(tc, options_stand_anywhere);
    tcase_add_test(tc, the_first_operand_may_end_them);
    tcase_add_test(tc, lists_keep_names_and_order);
    tcase_add_loop_test(tc, wrong_usage_is_described, 0, sizeof wrong / sizeof *wrong);
    tcase_add_test(tc, numbers_have_limits_and_two_bases);
    tcase_add_test(tc, help_has_columns);
    suite_add_tcase(suite, tc);
    return suite;
}
