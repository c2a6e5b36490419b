/* The line for the request ring: first come, first served, and nobody who is dead, stopped or slow stops the others. */
#include "vmm/machine/fair_lock.h"
#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

Suite *suite_fair_lock(void);

enum { LONG_MS = 600000, STOPPED_MS = 300, PEOPLE = 10, CROWD = 230, TICKETS = 600, PEOPLE_MAX = 280 };

static char path[64];

static void setup(void)
{
    const char *folder = getenv("TMPDIR");

    snprintf(path, sizeof path, "%.40s/lock.%d", folder ? folder : "/tmp", (int)getpid());
}

static void teardown(void)
{
    unlink(path);
}

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void take(struct fair_lock *lock, int keep_ms)
{
    ck_assert_int_eq(fair_lock_take(path, LONG_MS, keep_ms, lock), ERR_OK);
    ck_assert(fair_lock_is_held(lock));
}

/* A process that waits in line; once it holds the lock it writes its number to the pipe, goes on for `work_ms`, and
 * ends with status 0 if it still has the lock then. */
static pid_t start(int out, char number, int work_ms)
{
    pid_t pid = fork();
    struct fair_lock lock;

    if (pid)
        return pid;
    if (fair_lock_take(path, LONG_MS, LONG_MS, &lock) || write(out, &number, 1) != 1)
        _exit(2);
    usleep((useconds_t)work_ms * 1000);
    _exit(fair_lock_is_held(&lock) ? 0 : 1);
}

static int end_of(pid_t pid)
{
    int status;

    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Until another one has come: its lock is the next one. */
static void await_ticket(const struct fair_lock *lock, uint64_t ticket)
{
    struct flock other;

    do {
        usleep(1000);
        other = (struct flock){.l_type = F_WRLCK, .l_start = (off_t)ticket, .l_len = 1};
        ck_assert_int_eq(fcntl(lock->fd, F_OFD_GETLK, &other), 0);
    } while (other.l_type == F_UNLCK);
}

START_TEST(one_at_a_time)
{
    struct fair_lock one, two;

    take(&one, LONG_MS);
    ck_assert_int_eq(fair_lock_take(path, 20, LONG_MS, &two), ERR_BUSY);
    ck_assert(!fair_lock_is_held(&two) && fair_lock_is_held(&one));
    fair_lock_release(&one);
    ck_assert(!fair_lock_is_held(&one));
    take(&two, LONG_MS);
    fair_lock_release(&two);
    fair_lock_release(&two);
}
END_TEST

START_TEST(first_come_first_served)
{
    struct fair_lock first;
    pid_t person[PEOPLE];
    int ends[2];

    ck_assert_int_eq(pipe(ends), 0);
    take(&first, LONG_MS);
    for (int i = 0; i < PEOPLE; i++) {
        person[i] = start(ends[1], (char)('0' + i), 0);
        await_ticket(&first, first.ticket + 1 + (uint64_t)i);
    }
    kill(person[3], SIGKILL); /* in line */
    ck_assert_int_eq(end_of(person[3]), 128 + SIGKILL);
    fair_lock_release(&first);
    for (int i = 0; i < PEOPLE; i++) {
        char number;
        if (i == 3)
            continue;
        ck_assert_int_eq(end_of(person[i]), 0);
        ck_assert_int_eq(read(ends[0], &number, 1), 1);
        ck_assert_int_eq(number, '0' + i);
    }
    close(ends[0]), close(ends[1]);
}
END_TEST

START_TEST(the_dead_have_left)
{
    struct fair_lock lock;
    char number;
    int ends[2];

    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = start(ends[1], '1', LONG_MS);
    ck_assert_int_eq(read(ends[0], &number, 1), 1); /* it holds the lock */
    ck_assert_int_eq(fair_lock_take(path, 0, LONG_MS, &lock), ERR_BUSY);
    kill(pid, SIGKILL);
    ck_assert_int_eq(end_of(pid), 128 + SIGKILL);
    take(&lock, LONG_MS);
    fair_lock_release(&lock);
    close(ends[0]), close(ends[1]);
}
END_TEST

START_TEST(the_stopped_are_passed_over)
{
    struct fair_lock lock;
    char number;
    int ends[2], status;

    ck_assert_int_eq(pipe(ends), 0);
    pid_t holder = start(ends[1], '1', 1);
    ck_assert_int_eq(read(ends[0], &number, 1), 1);
    kill(holder, SIGSTOP);
    waitpid(holder, &status, WUNTRACED);
    if (WIFEXITED(status)) /* it was faster */
        holder = 0;
    uint64_t began = now_ms(); /* nobody has seen it stopped before */
    pid_t waiter = start(ends[1], '2', 0);
    if (holder) {
        usleep(50000);
        kill(waiter, SIGSTOP);
        waitpid(waiter, &status, WUNTRACED);
    }
    take(&lock, LONG_MS);
    ck_assert_uint_lt(now_ms() - began, LONG_MS / 10);
    if (holder) {
        ck_assert_uint_ge(now_ms() - began, STOPPED_MS); /* a short stop does not cost the lock */
        kill(holder, SIGCONT);
        ck_assert_int_eq(end_of(holder), 1); /* it knows that it has lost the lock */
        ck_assert(fair_lock_is_held(&lock));
        kill(waiter, SIGCONT);
    }
    fair_lock_release(&lock);
    ck_assert_int_eq(end_of(waiter), 0); /* it gets the lock in its time */
    close(ends[0]), close(ends[1]);
}
END_TEST

/* However many others come afterwards: tickets get the places of older ones. */
START_TEST(one_that_is_stopped_for_good_stops_nobody)
{
    struct fair_lock lock;
    int null = open("/dev/null", O_WRONLY), status;

    take(&lock, LONG_MS);
    pid_t stopped = start(null, '1', 0);
    await_ticket(&lock, lock.ticket + 1);
    kill(stopped, SIGSTOP);
    waitpid(stopped, &status, WUNTRACED);
    fair_lock_release(&lock);
    for (int i = 0; i < TICKETS; i++) {
        take(&lock, LONG_MS);
        fair_lock_release(&lock);
    }
    kill(stopped, SIGCONT);
    ck_assert_int_eq(end_of(stopped), 0); /* it gets the lock in its time */
    close(null);
}
END_TEST

/* The time that each is given until it is passed over passes for all of them at once: one after the other they would
 * take longer than we wait. */
START_TEST(many_that_are_stopped_stop_nobody)
{
    struct fair_lock lock;
    pid_t person[CROWD];
    int null = open("/dev/null", O_WRONLY), status;

    take(&lock, LONG_MS);
    for (int i = 0; i < CROWD; i++) {
        person[i] = start(null, '1', 0);
        await_ticket(&lock, lock.ticket + 1 + (uint64_t)i);
        kill(person[i], SIGSTOP);
        waitpid(person[i], &status, WUNTRACED);
    }
    fair_lock_release(&lock);
    ck_assert_int_eq(fair_lock_take(path, LONG_MS / 10, LONG_MS, &lock), ERR_OK);
    fair_lock_release(&lock);
    for (int i = 0; i < CROWD; i++) {
        kill(person[i], SIGKILL);
        ck_assert_int_eq(end_of(person[i]), 128 + SIGKILL);
    }
    close(null);
}
END_TEST

/* It may have lost the lock and not know it yet: it waits for something else, and runs. */
START_TEST(who_has_lost_it_keeps_nobody_waiting)
{
    struct fair_lock slow, next;

    take(&slow, 0);
    take(&next, LONG_MS);
    ck_assert(!fair_lock_is_held(&slow));
    fair_lock_release(&next);
    ck_assert_int_eq(fair_lock_take(path, 0, LONG_MS, &next), ERR_OK);
    fair_lock_release(&next);
    fair_lock_release(&slow);
}
END_TEST

/* A place in the line of its own: a thread opens the file for itself. */
static void *take_and_release(void *)
{
    struct fair_lock lock;
    enum err e = fair_lock_take(path, LONG_MS, LONG_MS, &lock);

    fair_lock_release(&lock);
    return (void *)(uintptr_t)e;
}

/* Whoever finds all places taken waits until one is free. */
START_TEST(more_people_than_places)
{
    pthread_t person[PEOPLE_MAX];
    struct fair_lock lock;
    void *e;

    take(&lock, LONG_MS);
    for (int i = 0; i < PEOPLE_MAX; i++)
        ck_assert_int_eq(pthread_create(&person[i], NULL, take_and_release, NULL), 0);
    await_ticket(&lock, lock.ticket + 200);
    ck_assert_int_eq(fair_lock_take(path, 0, LONG_MS, &(struct fair_lock){}), ERR_BUSY);
    ck_assert(fair_lock_is_held(&lock));
    fair_lock_release(&lock);
    for (int i = 0; i < PEOPLE_MAX; i++) {
        ck_assert_int_eq(pthread_join(person[i], &e), 0);
        ck_assert_ptr_null(e);
    }
}
END_TEST

START_TEST(who_keeps_it_too_long_loses_it)
{
    struct fair_lock slow, next;

    take(&slow, 100);
    usleep(150000);
    ck_assert(fair_lock_is_held(&slow)); /* nobody wants it */
    take(&next, LONG_MS);
    ck_assert(!fair_lock_is_held(&slow));
    fair_lock_release(&slow);
    ck_assert(fair_lock_is_held(&next));
    fair_lock_release(&next);
}
END_TEST

START_TEST(a_file_of_nonsense)
{
    char nonsense[16384];
    struct fair_lock lock;
    FILE *f = fopen(path, "w");

    ck_assert_ptr_nonnull(f);
    fputs("nonsense", f), fclose(f);
    ck_assert_int_eq(fair_lock_take(path, LONG_MS, LONG_MS, &lock), ERR_CORRUPT);
    unlink(path);
    take(&lock, LONG_MS);
    off_t bytes = lseek(lock.fd, 0, SEEK_END);
    ck_assert(bytes > 0 && (size_t)bytes < sizeof nonsense);
    fair_lock_release(&lock);
    memset(nonsense, 0xff, sizeof nonsense);
    f = fopen(path, "r+");
    ck_assert_ptr_nonnull(f);
    fwrite(nonsense, 1, (size_t)bytes, f), fclose(f);
    ck_assert_int_eq(fair_lock_take(path, LONG_MS, LONG_MS, &lock), ERR_CORRUPT); /* ticket 0 */
    take(&lock, LONG_MS); /* 1 again; the lock is that of a ticket that nobody has */
    fair_lock_release(&lock);
    unlink(path);
    ck_assert_int_eq(symlink("/nowhere", path), 0);
    ck_assert_int_eq(fair_lock_take(path, LONG_MS, LONG_MS, &lock), ERR_IO);
}
END_TEST

/* Nobody takes the lock from one who may finish a write later, nor begins before that one has ended his. */
START_TEST(who_writes_is_waited_for)
{
    static const struct {
        enum fence_state state;
        int error;
    } steps[] = {{FENCE_WRITES, ERR_BUSY}, {FENCE_WRITES_OFF, ERR_BUSY}, {FENCE_IDLE, ERR_OK}};
    struct fair_lock slow, next;

    take(&slow, 1);
    struct fence fence = fair_lock_fence(&slow);
    usleep(5000);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        __atomic_store_n(fence.state, steps[i].state, __ATOMIC_SEQ_CST);
        ck_assert_int_eq(fair_lock_take(path, 50, LONG_MS, &next), steps[i].error);
        ck_assert(fair_lock_is_held(&slow) == (steps[i].error != ERR_OK));
    }
    uint64_t word = 1;
    ck_assert(!fence_exchange(&fence, &word, 1, 2) && word == 1);
    fence = fair_lock_fence(&next);
    ck_assert(fence_exchange(&fence, &word, 1, 2) && word == 2);
    fair_lock_release(&next);
    fair_lock_release(&slow);
    fence = fair_lock_fence(&slow);
    ck_assert(!fence_exchange(&fence, &word, 2, 3) && word == 2);
}
END_TEST

Suite *suite_fair_lock(void)
{
    Suite *suite = suite_create("fair_lock");
    TCase *tests = tcase_create("fair_lock");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, one_at_a_time);
    tcase_add_test(tests, first_come_first_served);
    tcase_add_test(tests, the_dead_have_left);
    tcase_add_test(tests, the_stopped_are_passed_over);
    tcase_add_test(tests, one_that_is_stopped_for_good_stops_nobody);
    tcase_add_test(tests, many_that_are_stopped_stop_nobody);
    tcase_add_test(tests, who_has_lost_it_keeps_nobody_waiting);
    tcase_add_test(tests, more_people_than_places);
    tcase_add_test(tests, who_keeps_it_too_long_loses_it);
    tcase_add_test(tests, who_writes_is_waited_for);
    tcase_add_test(tests, a_file_of_nonsense);
    suite_add_tcase(suite, tests);
    return suite;
}
