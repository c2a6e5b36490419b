/* Output files: whole or as they were, and what is no regular file is written to, never replaced or removed. */
#include "introspect/base/output.h"
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/delias-output-XXXXXX", path[128], other[128];

static void setup(void)
{
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/file", dir);
    snprintf(other, sizeof other, "%s/other", dir);
}

static void teardown(void)
{
    char command[160];

    snprintf(command, sizeof command, "chmod -R u+w %s && rm -rf %s", dir, dir);
    ck_assert_int_eq(system(command), 0);
}

static void fill(const char *name, const char *text)
{
    FILE *f = fopen(name, "w");

    ck_assert(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static void holds(const char *name, const char *text)
{
    char found[64] = "";
    FILE *f = fopen(name, "r");

    ck_assert_msg(f != NULL, "%s is not there", name);
    found[fread(found, 1, sizeof found - 1, f)] = '\0';
    fclose(f);
    ck_assert_str_eq(found, text);
}

static mode_t mode_of(const char *name)
{
    struct stat st;

    ck_assert_msg(lstat(name, &st) == 0, "%s is gone", name);
    return st.st_mode;
}

/* How many files there are in the folder. */
static void files(int count)
{
    char command[160];

    snprintf(command, sizeof command, "[ $(ls -A %s | wc -l) -eq %d ]", dir, count);
    ck_assert_msg(system(command) == 0, "not %d files", count);
}

/* Writes `text`; 0, or errno. */
static int put(const char *name, const char *text)
{
    struct output *o = output_new(name);
    int reason = 0;

    if (!o)
        return errno;
    ck_assert_int_ge(fputs(text, output_stream(o)), 0);
    if (!output_commit(o))
        reason = errno;
    output_drop(o);
    return reason;
}

START_TEST(makes_a_file)
{
    mode_t mask = umask(027);

    ck_assert_int_eq(put(path, "one"), 0);
    umask(mask);
    holds(path, "one");
    ck_assert_uint_eq(mode_of(path), S_IFREG | 0640);
    files(1);
    ck_assert_int_eq(chdir(dir), 0);
    ck_assert_int_eq(put("here", "two"), 0);
    ck_assert_int_eq(chdir("/"), 0);
    files(2);
    output_drop(NULL);
}
END_TEST

START_TEST(replaces_a_file_at_the_end)
{
    fill(path, "old");
    ck_assert_int_eq(chmod(path, 0604), 0);
    struct output *o = output_new(path);
    ck_assert_ptr_nonnull(o);
    ck_assert_int_eq(write(output_descriptor(o), "new", 3), 3);
    holds(path, "old");
    ck_assert(output_commit(o));
    holds(path, "new");
    output_drop(o);
    ck_assert_uint_eq(mode_of(path), S_IFREG | 0604);
    files(1);
}
END_TEST

START_TEST(what_is_dropped_changes_nothing)
{
    fill(path, "old");
    struct output *o = output_new(path);
    ck_assert(o && fputs("new", output_stream(o)) >= 0);
    output_drop(o);
    holds(path, "old");
    o = output_new(other);
    ck_assert_ptr_nonnull(o);
    output_drop(o);
    files(1);
}
END_TEST

START_TEST(links_stay)
{
    char far[160], near[160];

    snprintf(far, sizeof far, "%s/far", dir);
    snprintf(near, sizeof near, "%s/near", dir);
    fill(path, "old");
    ck_assert_int_eq(symlink(path, far), 0);     /* absolute, to a file */
    ck_assert_int_eq(symlink("other", near), 0); /* relative, to nothing yet */
    ck_assert_int_eq(put(far, "far"), 0);
    ck_assert_int_eq(put(near, "near"), 0);
    holds(path, "far");
    holds(other, "near");
    ck_assert(S_ISLNK(mode_of(far)) && S_ISLNK(mode_of(near)));
    ck_assert_int_eq(unlink(near), 0);
    ck_assert_int_eq(symlink("near", near), 0);
    ck_assert_int_eq(put(near, "near"), ELOOP);
}
END_TEST

START_TEST(a_pipe_is_written_to)
{
    char found[8] = "";

    ck_assert_int_eq(mkfifo(path, 0600), 0);
    int end = open(path, O_RDONLY | O_NONBLOCK);
    ck_assert_int_ge(end, 0);
    ck_assert_int_eq(put(path, "whole"), 0);
    ck_assert_int_eq(read(end, found, sizeof found), 5);
    ck_assert_str_eq(found, "whole");
    close(end);
    ck_assert(S_ISFIFO(mode_of(path)));
    files(1);
}
END_TEST

/* Nodes of our own where we may make them: a mistake must not take those of the system. */
static const char *device(const char *name, int minor)
{
    static char made[160];

    snprintf(made, sizeof made, "%s%s", dir, name);
    if (mknod(made, S_IFCHR | 0600, (dev_t)(1 << 8 | minor)) == 0)
        return made;
    snprintf(made, sizeof made, "/dev%s", name);
    return made;
}

START_TEST(a_device_stays)
{
    const char *null = device("/null", 3);

    ck_assert_int_eq(put(null, "gone"), 0);
    ck_assert(S_ISCHR(mode_of(null)));
    const char *full = device("/full", 7);
    ck_assert_int_eq(put(full, "too much"), ENOSPC);
    ck_assert(S_ISCHR(mode_of(full)));
}
END_TEST

/* It may be written at the same place, whatever names the file has by now. */
START_TEST(an_open_file_is_written_to)
{
    char name[64];
    struct stat before, after;

    fill(path, "a longer text");
    int fd = open(path, O_RDWR);
    ck_assert(fd >= 0 && fstat(fd, &before) == 0);
    snprintf(name, sizeof name, "/dev/fd/%d", fd);
    ck_assert_int_eq(put(name, "short"), 0);
    holds(path, "short");
    ck_assert(stat(path, &after) == 0 && before.st_ino == after.st_ino);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(put(name, "still"), 0);
    close(fd);
    files(0);
}
END_TEST

START_TEST(what_cannot_be_written_is_refused)
{
    ck_assert_int_eq(put(dir, "x"), EISDIR);
    snprintf(path, sizeof path, "%s/", dir);
    ck_assert_int_eq(put(path, "x"), EISDIR);
    ck_assert_int_eq(put("", "x"), ENOENT);
    snprintf(path, sizeof path, "%s/none/file", dir);
    ck_assert_int_eq(put(path, "x"), ENOENT);
    fill(other, "old");
    snprintf(path, sizeof path, "%s/other/file", dir);
    ck_assert_int_eq(put(path, "x"), ENOTDIR);
    ck_assert_int_eq(chmod(other, 0400), 0);
    if (geteuid() != 0)
        ck_assert_int_eq(put(other, "x"), EACCES);
    files(1);
}
END_TEST

/* No temporary file can be made there; the file is still ours to write. */
START_TEST(a_file_in_a_folder_that_is_not_ours)
{
    fill(path, "a longer text");
    ck_assert_int_eq(chmod(dir, 0500), 0);
    ck_assert_int_eq(put(path, "short"), 0);
    if (geteuid() != 0)
        ck_assert_int_eq(put(other, "x"), EACCES);
    holds(path, "short");
}
END_TEST

Suite *suite_output(void);
Suite *suite_output(void)
{
    Suite *suite = suite_create("output");
    TCase *tc = tcase_create("output");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, makes_a_file);
    tcase_add_test(tc, replaces_a_file_at_the_end);
    tcase_add_test(tc, what_is_dropped_changes_nothing);
    tcase_add_test(tc, links_stay);
    tcase_add_test(tc, a_pipe_is_written_to);
    tcase_add_test(tc, a_device_stays);
    tcase_add_test(tc, an_open_file_is_written_to);
    tcase_add_test(tc, what_cannot_be_written_is_refused);
    tcase_add_test(tc, a_file_in_a_folder_that_is_not_ours);
    suite_add_tcase(suite, tc);
    return suite;
}
