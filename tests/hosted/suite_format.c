/* The format cell prints as the C library does, but for what it leaves out. */
#include "cells/lib/format/format.h"
#include <check.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

Suite *suite_hosted_format(void);

/* The same call to both; `bytes` is the room that both have. */
#define SAME(bytes, ...)                                                                                               \
    do {                                                                                                               \
        char ours[128], theirs[128];                                                                                   \
        memset(ours, 'x', sizeof ours);                                                                                \
        size_t written = format_print(ours, bytes, __VA_ARGS__);                                                       \
        snprintf(theirs, bytes, __VA_ARGS__);                                                                          \
        ck_assert_str_eq(ours, theirs);                                                                                \
        ck_assert_uint_eq(written, strlen(theirs));                                                                    \
        ck_assert_int_eq(ours[bytes], 'x');                                                                            \
    } while (0)

START_TEST(numbers)
{
    SAME(100, "%d|%5d|%-5d|%05d|%i", -3, 42, 42, -42, 0);
    SAME(100, "%u|%x|%X|%08x|%-8x|", 4000000000u, 0xbeefu, 0xbeefu, 0x1234u, 0x1234u);
    SAME(100, "%ld|%lu|%lx|%lld|%zu", LONG_MIN, ULONG_MAX, 0xfffffffffful, -1ll, (size_t)7);
    SAME(100, "%.3d|%8.3d|%-8.3d|", 5, 5, -5);
    SAME(100, "%*d|%-*d|%*d|", 6, 1, 6, 2, -6, 3);
    SAME(100, "%d %d", INT_MIN, INT_MAX);
}
END_TEST

START_TEST(strings)
{
    SAME(100, "%s|%10s|%-10s|%.2s|%10.2s|", "one", "two", "three", "four", "five");
    SAME(100, "%c%c|%4c|%-4c|%%", 'a', 'b', 'c', 'd');
    SAME(100, "%p", (void *)0x1234);
    SAME(100, "%s", "");
}
END_TEST

#pragma GCC diagnostic ignored "-Wformat-truncation"
START_TEST(cut_at_the_end)
{
    SAME(1, "%s", "abc");
    SAME(4, "%s", "abc");
    SAME(4, "%s", "abcd");
    SAME(4, "%d", 123456);
    SAME(4, "%100d", 1);
}
END_TEST

START_TEST(no_room_at_all)
{
    char untouched = 'x';
    ck_assert_uint_eq(format_print(&untouched, 0, "%s", "abc"), 0);
    ck_assert_int_eq(untouched, 'x');
}
END_TEST

#pragma GCC diagnostic ignored "-Wformat"
#pragma GCC diagnostic ignored "-Wformat-security"
START_TEST(what_is_no_conversion)
{
    char text[32];
    const char *lone = "a%", *unknown = "%y.", *none = NULL;

    __asm__ volatile("" : "+r"(none)); /* gcc is not to see that it is NULL */
    format_print(text, sizeof text, lone);
    ck_assert_str_eq(text, "a");
    format_print(text, sizeof text, unknown);
    ck_assert_str_eq(text, "%y.");
    format_print(text, sizeof text, "%s", none);
    ck_assert_str_eq(text, "(null)");
}
END_TEST

Suite *suite_hosted_format(void)
{
    Suite *s = suite_create("hosted format");
    TCase *tc = tcase_create("format");

    tcase_add_test(tc, numbers);
    tcase_add_test(tc, strings);
    tcase_add_test(tc, cut_at_the_end);
    tcase_add_test(tc, no_room_at_all);
    tcase_add_test(tc, what_is_no_conversion);
    suite_add_tcase(s, tc);
    return s;
}
