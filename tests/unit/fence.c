/* Requests of programs that are stopped or killed at any instruction while they post, and lose the lock: nothing of
 * theirs is in the mailbox, the record or the header when the next holder has written his. */
#include "introspect/base/fence.h"
#include <check.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "introspect/request.h"
#include "tests/unit/arena_build.h"

Suite *suite_fence(void);

enum { ROUNDS = 200, LOSER = 1, HEIR = 2, BYTES = 60000 };

/* What parent and child share: the machine's memory, and the lock. */
static struct shared {
    uint64_t holder;
    uint32_t state, begun, returned;
} * shared;
static uint8_t *ram;

static void setup(void)
{
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ram = mmap(NULL, BUILD_RAM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(shared != MAP_FAILED && ram != MAP_FAILED);
    uint8_t *built = build_ram();
    memcpy(ram, built, BUILD_RAM);
    free(built);
}

static void teardown(void)
{
    munmap(shared, sizeof *shared);
    munmap(ram, BUILD_RAM);
}

static void write_all_the_time(void)
{
    const struct fence fence = {&shared->holder, LOSER, &shared->state};
    static uint8_t bytes[BYTES];

    memset(bytes, LOSER, sizeof bytes);
    __atomic_store_n(&shared->begun, 1, __ATOMIC_SEQ_CST);
    while (fence_copy(&fence, build_record(ram, ARENA_MAILBOX, 0), bytes, sizeof bytes))
        ;
}

/* Posts requests, which nobody answers, all the time. */
static void post_all_the_time(void)
{
    const struct request_caller caller = {.fence = {&shared->holder, LOSER, &shared->state}};
    static uint8_t bytes[BYTES];
    const struct request load = {.kind = REQUEST_LOAD, .mailbox = bytes, .mailbox_bytes = sizeof bytes};
    struct arena_completion c;
    enum err e;

    memset(bytes, LOSER, sizeof bytes);
    __atomic_store_n(&shared->begun, 1, __ATOMIC_SEQ_CST);
    do {
        e = request_post(ram, BUILD_RAM, &load, 0, &caller, &c);
        if (e == ERR_TIMEOUT && __atomic_load_n(&shared->holder, __ATOMIC_SEQ_CST) == LOSER)
            __atomic_store_n(&build_header(ram)->completion_seq, build_header(ram)->request_seq, __ATOMIC_SEQ_CST);
    } while (e == ERR_TIMEOUT);
}

/* A program that writes as long as it has the lock. */
static pid_t start(void (*write)(void))
{
    *shared = (struct shared){.holder = LOSER};
    build_header(ram)->completion_seq = build_header(ram)->request_seq;
    pid_t child = fork();

    if (child == 0) {
        write();
        __atomic_store_n(&shared->returned, 1, __ATOMIC_SEQ_CST);
        _exit(0);
    }
    while (!__atomic_load_n(&shared->begun, __ATOMIC_SEQ_CST))
        sched_yield();
    return child;
}

/* Stops the program, or kills it, at an instruction that is another one each time. */
static void hit(pid_t child, int signal, int round)
{
    struct timespec pause = {.tv_nsec = 7919l * round % 300000};
    int status;

    nanosleep(&pause, NULL);
    kill(child, signal);
    ck_assert_int_eq(waitpid(child, &status, WUNTRACED), child);
    ck_assert(signal == SIGKILL ? WIFSIGNALED(status) : WIFSTOPPED(status));
}

static void go_on(pid_t child)
{
    int status;

    kill(child, SIGCONT);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && shared->returned);
}

/* Whether the loser was in the middle of a write: such is what this is about. */
static bool is_within(void)
{
    uint32_t state = __atomic_load_n(&shared->state, __ATOMIC_SEQ_CST);

    ck_assert_uint_ne(state, FENCE_WRITES);
    return state == FENCE_WRITES_OFF;
}

static void take(void)
{
    __atomic_store_n(&shared->holder, HEIR, __ATOMIC_SEQ_CST);
}

START_TEST(nothing_is_written_after_the_loss)
{
    uint8_t *mail = build_record(ram, ARENA_MAILBOX, 0);
    int within = 0;

    for (int round = 0; round < ROUNDS; round++) {
        pid_t child = start(write_all_the_time);
        hit(child, SIGSTOP, round);
        take();
        within += is_within();
        memset(mail, HEIR, BYTES);
        go_on(child);
        for (size_t i = 0; i < BYTES; i++)
            ck_assert_uint_eq(mail[i], HEIR);
    }
    ck_assert_int_gt(within, 0);
}
END_TEST

static void post_as_heir(void)
{
    static uint8_t bytes[BYTES];
    const struct request_caller caller = {0};
    const struct request load = {.kind = REQUEST_SPAWN, .target = "heir", .mailbox = bytes, .mailbox_bytes = BYTES};
    struct arena_completion c;

    memset(bytes, HEIR, sizeof bytes);
    build_header(ram)->completion_seq = build_header(ram)->request_seq; /* what the loser has posted is answered */
    ck_assert_int_eq(request_post(ram, BUILD_RAM, &load, 0, &caller, &c), ERR_TIMEOUT);
}

static void check_heir(void)
{
    uint64_t seq = build_header(ram)->request_seq;
    uint32_t index = arena_ring_index(seq, build_header(ram)->table[ARENA_REQUESTS].capacity);
    const struct arena_request *request = build_record(ram, ARENA_REQUESTS, index);
    const uint8_t *mail = build_record(ram, ARENA_MAILBOX, 0);

    ck_assert(request->seq == seq && request->kind == REQUEST_SPAWN && strcmp(request->target, "heir") == 0);
    for (size_t i = 0; i < BYTES; i++)
        ck_assert_uint_eq(mail[i], HEIR);
}

START_TEST(nobody_disturbs_the_request_of_another)
{
    int within = 0;

    for (int round = 0; round < ROUNDS; round++) {
        bool kills = round % 4 == 3;
        pid_t child = start(post_all_the_time);
        hit(child, kills ? SIGKILL : SIGSTOP, round);
        take();
        within += is_within();
        post_as_heir();
        uint64_t seq = build_header(ram)->request_seq;
        if (!kills)
            go_on(child);
        ck_assert_uint_eq(build_header(ram)->request_seq, seq);
        check_heir();
    }
    ck_assert_int_gt(within, 0);
}
END_TEST

START_TEST(who_has_no_lock_writes_nothing)
{
    uint64_t holder = HEIR, word = 5;
    uint32_t state = FENCE_IDLE;
    const struct fence loser = {&holder, LOSER, &state}, heir = {&holder, HEIR, &state}, none = {0};
    char to[4] = "old";

    ck_assert(!fence_copy(&loser, to, "new", 4) && !strcmp(to, "old"));
    ck_assert(!fence_exchange(&loser, &word, 5, 6) && word == 5);
    ck_assert(fence_copy(&heir, to, "new", 4) && !strcmp(to, "new"));
    ck_assert(!fence_exchange(&heir, &word, 4, 6) && word == 5);
    ck_assert(fence_exchange(&heir, &word, 5, 6) && word == 6);
    ck_assert(fence_copy(&none, to, "any", 4) && !strcmp(to, "any") && fence_exchange(&none, &word, 6, 7));
    ck_assert_uint_eq(state, FENCE_IDLE);
}
END_TEST

Suite *suite_fence(void)
{
    Suite *suite = suite_create("fence");
    TCase *tests = tcase_create("fence");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, who_has_no_lock_writes_nothing);
    tcase_add_test(tests, nothing_is_written_after_the_loss);
    tcase_add_test(tests, nobody_disturbs_the_request_of_another);
    suite_add_tcase(suite, tests);
    return suite;
}
