/* Files of settings: what is read, and that nothing is guessed; each error names file, line and key. */
#include "introspect/base/settings.h"
#include <check.h>
#include <string.h>
#include <unistd.h>

static const char *const keys[] = {"text", "number", "switch", "list", NULL};

static struct settings *parse(const char *text)
{
    struct settings *s = settings_parse("f", text, keys);

    ck_assert_ptr_nonnull(s);
    return s;
}

START_TEST(reads_values)
{
    struct settings *s = parse("%YAML 1.1\n---\n# said once\ntext: 'two  words' # and no more\nnumber: 0x10\n"
                               "switch: off\nlist:\n  - \"a: b\"\n  - c\n...\n");

    ck_assert_str_eq(settings_text(s, "text", 1, 10), "two  words");
    ck_assert_uint_eq(settings_number(s, "number", 16, 16, 3), 16);
    ck_assert(!settings_switch(s, "switch", true));
    ck_assert_uint_eq(settings_list(s, "list", 2, 4), 2);
    ck_assert_str_eq(settings_item(s, "list", 0), "a: b");
    ck_assert_str_eq(settings_item(s, "list", 1), "c");
    ck_assert(settings_has(s, "list") && !settings_is_empty(s));
    ck_assert_ptr_null(settings_error(s));
    settings_free(s);
    settings_free(NULL);
}
END_TEST

/* Files with no key at all. */
static const char *const empty[] = {"", "\n", "# nothing\n", "---\n", "---\n...\n", "{}\n", "~\n"};

START_TEST(keys_may_be_missing)
{
    struct settings *s = parse(empty[_i]);

    ck_assert_msg(!settings_error(s), "%s", settings_error(s));
    ck_assert(settings_is_empty(s) && !settings_has(s, "text"));
    ck_assert_ptr_null(settings_text(s, "text", 1, 9));
    ck_assert_uint_eq(settings_number(s, "number", 5, 6, 3), 3);
    ck_assert(settings_switch(s, "switch", true) && !settings_switch(s, "switch", false));
    ck_assert_uint_eq(settings_list(s, "list", 2, 9), 0);
    ck_assert_ptr_null(settings_error(s));
    settings_need(s, "number");
    ck_assert_ptr_nonnull(strstr(settings_error(s), ": number: is missing"));
    settings_free(s);
}
END_TEST

static const struct {
    const char *word;
    bool value;
} switches[] = {{"yes", true},  {"no", false}, {"true", true}, {"false", false}, {"on", true},
                {"off", false}, {"Yes", true}, {"NO", false},  {"\"no\"", false}};

START_TEST(reads_switches)
{
    char text[64];

    snprintf(text, sizeof text, "switch: %s\n", switches[_i].word);
    struct settings *s = parse(text);
    ck_assert(settings_switch(s, "switch", !switches[_i].value) == switches[_i].value);
    ck_assert_ptr_null(settings_error(s));
    settings_free(s);
}
END_TEST

/* { file, what is said of it, where a number is from 1 to 9, and texts have up to 3 bytes } */
static const struct {
    const char *text, *why;
} wrong[] = {
    {"switch: n\n", "f: line 1: switch: 'n' is neither"},
    {"switch: f\n", "f: line 1: switch: 'f' is neither"},
    {"switch: none\n", "switch: 'none' is neither"},
    {"switch: never\n", "switch: 'never' is neither"},
    {"switch: 0\n", "switch: '0' is neither"},
    {"switch: 1\n", "switch: '1' is neither"},
    {"switch: yess\n", "switch: 'yess' is neither"},
    {"switch: yes no\n", "switch: 'yes no' is neither"},
    {"switch: enabled\n", "switch: 'enabled' is neither"},
    {"switch: ''\n", "switch: '' is neither"},
    {"switch:\n", "f: line 1: switch: has no value"},
    {"text: a\nswitch: ~\n", "f: line 2: switch: has no value"},
    {"switch: null\n", "switch: has no value"},
    {"switch: [yes]\n", "switch: is a list"},
    {"switch: {yes: no}\n", "switch: a mapping, where a word"},
    {"number: 0\n", "f: line 1: number: '0' is not a number from 1 to 9"},
    {"number: 10\n", "number: '10' is not a number from 1 to 9"},
    {"number: 2x\n", "number: '2x' is not"},
    {"number: 2 3\n", "number: '2 3' is not"},
    {"number: 2.0\n", "number: '2.0' is not"},
    {"number: 1e0\n", "number: '1e0' is not"},
    {"number: +2\n", "number: '+2' is not"},
    {"number: -2\n", "number: '-2' is not"},
    {"number: ' 2'\n", "number: ' 2' is not"},
    {"number: 2_0\n", "number: '2_0' is not"},
    {"number: 0x\n", "number: '0x' is not"},
    {"number: 99999999999999999999\n", "number: '99999999999999999999' is not"},
    {"number: two\n", "number: 'two' is not"},
    {"number:\n", "number: has no value"},
    {"number: NULL\n", "number: has no value"},
    {"number: [2]\n", "number: is a list"},
    {"number: !!int 2\n", "number: has an anchor or a tag"},
    {"number: &a 2\n", "number: has an anchor or a tag"},
    {"text: &a x\nlist: [*a]\n", "text: has an anchor"},
    {"list: [*a]\n", "list: an alias"},
    {"text: abcd\n", "text: is longer than 3 bytes"},
    {"text: ''\n", "text: is empty"},
    {"text: \"a\\0b\"\n", "text: holds a NUL"},
    {"text: [a]\n", "text: is a list"},
    {"list: a\n", "f: line 1: list: is one value"},
    {"list: []\n", "list: has 0 values"},
    {"list: [a, b, c]\n", "list: has 3 values"},
    {"list:\n- a\n-\n", "f: line 3: list: has no value"},
    {"list:\n- a\n- abcd\n", "f: line 3: list: is longer"},
    {"list: [[a]]\n", "list: a list, where a word"},
    {"list: [a: b]\n", "list: a mapping, where a word"},
    {"\nnumbr: 2\n", "f: line 2: numbr: there is no such key, only text, number, switch, list"},
    {"<<: {number: 2}\n", "<<: there is no such key"},
    {"number: 2\n\nnumber: 2\n", "f: line 3: number: is in line 1 already"},
    {"[a]: 2\n", "f: line 1: a list, where a word"},
    {"? {a: b}\n: 2\n", "f: line 1: a mapping, where a word"},
    {"- number\n", "f: line 1: no lines of the form"},
    {"number\n", "f: line 1: no lines of the form"},
    {"&a {number: 2}\n", "f: line 1: no lines of the form"},
    {"number: 2\n---\nnumber: 3\n", "f: line 2: a second document"},
    {"number: 2\n---\n", "f: line 2: a second document"},
    {"---\n---\nnumber: 3\n", "f: line 2: a second document"},
    {"number: 2\n...\nnumber: 3\n", "f: line 3: "},
    {"number: 2\n  text: x\n", "f: line 2: no YAML: "},
    {"list: [\n", "no YAML: "},
    {"text: \"a\n", "no YAML: "},
    {"text: a\n\x01\n", "no YAML: "},
    {"\xff\xfe\xff", "no YAML: "},
    {"%YAML 9.9\n---\nnumber: 2\n", "no YAML: "},
};

START_TEST(refuses_what_is_no_value)
{
    struct settings *s = parse(wrong[_i].text);

    (void)settings_text(s, "text", 1, 3);
    (void)settings_number(s, "number", 1, 9, 1);
    (void)settings_switch(s, "switch", false);
    (void)settings_list(s, "list", 2, 3);
    ck_assert_msg(settings_error(s) != NULL, "accepted: %s", wrong[_i].text);
    ck_assert_msg(strstr(settings_error(s), wrong[_i].why) != NULL, "%s", settings_error(s));
    ck_assert(strncmp(settings_error(s), "f: line ", 8) == 0 && !strpbrk(settings_error(s), "\n\t"));
    settings_free(s);
}
END_TEST

START_TEST(keeps_the_first_error)
{
    struct settings *s = parse("number: 0\nlist: [a,\n  b]\n");

    ck_assert_uint_eq(settings_number(s, "number", 1, 2, 2), 2);
    settings_refuse(s, "list", 1, "%s", "later");
    ck_assert_ptr_nonnull(strstr(settings_error(s), "number"));
    settings_free(s);
    s = parse("list: [a,\n  b]\n");
    settings_refuse(s, "list", 1, "%s", "no such\nplace");
    ck_assert_str_eq(settings_error(s), "f: line 2: list: no such?place");
    settings_free(s);
}
END_TEST

/* Whole files: text, and not too much of it. */
START_TEST(reads_files)
{
    char path[] = "/tmp/delias-settings-XXXXXX", why[SETTINGS_WHY] = "";
    int fd = mkstemp(path);

    ck_assert_int_eq(write(fd, "number: 2\n", 10), 10);
    char *text = settings_file(path, why);
    ck_assert_str_eq(text, "number: 2\n");
    free(text);
    ck_assert_int_eq(write(fd, "", 1), 1);
    ck_assert_ptr_null(settings_file(path, why));
    ck_assert_ptr_nonnull(strstr(why, "is no text"));
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_ptr_null(settings_file(path, why));
    ck_assert_str_eq(why, "No such file or directory");
    ck_assert_ptr_null(settings_file("/", why));
    ck_assert_str_eq(why, "Is a directory");
    ck_assert_ptr_null(settings_file("/dev/zero", why));
    close(fd);
}
END_TEST

Suite *suite_settings(void);
Suite *suite_settings(void)
{
    Suite *suite = suite_create("settings");
    TCase *tc = tcase_create("settings");

    tcase_add_test(tc, reads_values);
    tcase_add_loop_test(tc, keys_may_be_missing, 0, sizeof empty / sizeof *empty);
    tcase_add_loop_test(tc, reads_switches, 0, sizeof switches / sizeof *switches);
    tcase_add_loop_test(tc, refuses_what_is_no_value, 0, sizeof wrong / sizeof *wrong);
    tcase_add_test(tc, keeps_the_first_error);
    tcase_add_test(tc, reads_files);
    suite_add_tcase(suite, tc);
    return suite;
}
