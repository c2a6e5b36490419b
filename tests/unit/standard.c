/* Standard descriptors: a program that is started without one of them opens no file in its place, into which messages
 * would go; what is written to one that was missing fails. */
#include "introspect/base/standard.h"
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* Bit i: descriptor i is closed. */
START_TEST(what_is_closed_is_taken)
{
    for (int fd = 0; fd < 3; fd++)
        if (_i >> fd & 1)
            close(fd);
    standard_open();
    int next = open("/dev/null", O_RDWR);
    ck_assert_int_gt(next, 2);
    for (int fd = 0; fd < 3; fd++) {
        char byte = 0;
        if (!(_i >> fd & 1))
            continue;
        errno = 0;
        ck_assert_int_eq(fd == 0 ? read(fd, &byte, 1) : write(fd, &byte, 1), -1);
        ck_assert_int_eq(errno, EBADF);
    }
    close(next);
}
END_TEST

START_TEST(what_is_not_written_is_noticed)
{
    ck_assert_ptr_nonnull(freopen(_i ? "/dev/full" : "/dev/null", "w", stdout));
    ck_assert_int_ge(printf("text"), 0);
    ck_assert_int_eq(standard_finish("test"), !_i);
}
END_TEST

Suite *suite_standard(void);
Suite *suite_standard(void)
{
    Suite *suite = suite_create("standard");
    TCase *tc = tcase_create("standard");

    tcase_add_loop_test(tc, what_is_closed_is_taken, 0, 8);
    tcase_add_loop_test(tc, what_is_not_written_is_noticed, 0, 2);
    suite_add_tcase(suite, tc);
    return suite;
}
