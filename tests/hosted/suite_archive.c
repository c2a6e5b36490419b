/* The archive cell: the real archive read to its end, and damaged ones refused. */
#include "cells/core/archive/archive.h"
#include "tests/hosted/stand_in.h"
#include <check.h>
#include <stdlib.h>
#include <string.h>

Suite *suite_hosted_archive(void);

static uint8_t *real;
static size_t real_bytes;

static void setup(void)
{
    stand_in_start();
    real = stand_in_file("build/cells.archive", &real_bytes);
    ck_assert_ptr_nonnull(real);
}

static void teardown(void)
{
    free(real);
}

/* In a block of its own size, so that reading past its end is seen. */
static enum err open_copy(const void *data, size_t bytes, uint8_t **ret_copy)
{
    *ret_copy = malloc(bytes ? bytes : 1);
    ck_assert_ptr_nonnull(*ret_copy);
    memcpy(*ret_copy, data, bytes);
    return archive_open(*ret_copy, bytes, 0x1000);
}

START_TEST(real_archive_is_read)
{
    struct archive_member member;
    size_t cursor = 0, members = 0;

    ck_assert_int_eq(archive_open(real, real_bytes, 0x1000), ERR_OK);
    while (archive_next(&cursor, &member) == ARCHIVE_MEMBER) {
        members++;
        ck_assert(member.data >= real && member.data + member.bytes <= real + real_bytes);
        ck_assert_uint_eq(member.phys, 0x1000 + (uint64_t)(member.data - real));
        ck_assert_mem_eq(member.data, "\177ELF", 4);
    }
    ck_assert_uint_gt(members, 10);
    ck_assert_int_eq(archive_find("nano_core", &member), ERR_OK);
    ck_assert_int_eq(archive_find("no_such_cell", &member), ERR_NOT_FOUND);
}
END_TEST

START_TEST(truncated_archives_are_refused)
{
    uint8_t *copy;

    for (size_t bytes = 0; bytes + 124 < real_bytes; bytes += bytes < 1000 ? 1 : 997) {
        ck_assert_int_ne(open_copy(real, bytes, &copy), ERR_OK);
        struct archive_member member;
        ck_assert_int_eq(archive_find("nano_core", &member), ERR_NOT_FOUND);
        free(copy);
    }
}
END_TEST

/* The last member, and what says that it is the last. */
START_TEST(every_cut_of_the_end_is_refused)
{
    enum { TRAILER_BYTES = 124 }; /* header, name and padding */
    struct archive_member member;
    size_t cursor = 0, last = 0;
    uint8_t *copy;

    ck_assert_int_eq(archive_open(real, real_bytes, 0), ERR_OK);
    while (archive_next(&cursor, &member) == ARCHIVE_MEMBER)
        last = (size_t)(member.data - real);
    for (size_t bytes = last; bytes < cursor + TRAILER_BYTES; bytes += bytes + 300 < cursor ? 97 : 1) {
        ck_assert_msg(open_copy(real, bytes, &copy) != ERR_OK, "%zu of %zu bytes", bytes, real_bytes);
        free(copy);
    }
    ck_assert_int_eq(open_copy(real, cursor + TRAILER_BYTES, &copy), ERR_OK);
    ck_assert_int_eq(archive_find(member.name, &member), ERR_OK);
    free(copy);
}
END_TEST

START_TEST(damaged_headers_are_refused)
{
    static const struct {
        size_t at;
        const char *bytes;
    } damage[] = {
        {0, "070702"},    {54, "ffffffff"},   {54, "7fffffff"}, {54, "0000zz00"}, {94, "00000000"}, {94, "ffffffff"},
        {94, "00000001"}, {110, "../../x.o"}, {110, "A"},       {110, "/"},       {111, "."},
    };
    uint8_t *copy;

    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        ck_assert_int_eq(open_copy(real, real_bytes, &copy), ERR_OK);
        memcpy(copy + damage[i].at, damage[i].bytes, strlen(damage[i].bytes));
        ck_assert_int_ne(archive_open(copy, real_bytes, 0), ERR_OK);
        free(copy);
    }
}
END_TEST

START_TEST(a_name_twice_is_refused)
{
    struct archive_member member;
    size_t cursor = 0;
    uint8_t *twice = malloc(2 * real_bytes);

    ck_assert_ptr_nonnull(twice);
    ck_assert_int_eq(archive_open(real, real_bytes, 0), ERR_OK);
    ck_assert_int_eq(archive_next(&cursor, &member), ARCHIVE_MEMBER);
    memcpy(twice, real, cursor);
    memcpy(twice + cursor, real, real_bytes);
    ck_assert_int_eq(archive_open(twice, cursor + real_bytes, 0), ERR_CORRUPT);
    free(twice);
}
END_TEST

Suite *suite_hosted_archive(void)
{
    Suite *s = suite_create("hosted archive");
    TCase *t = tcase_create("archive");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, real_archive_is_read);
    tcase_add_test(t, truncated_archives_are_refused);
    tcase_add_test(t, every_cut_of_the_end_is_refused);
    tcase_add_test(t, damaged_headers_are_refused);
    tcase_add_test(t, a_name_twice_is_refused);
    suite_add_tcase(s, t);
    return s;
}
