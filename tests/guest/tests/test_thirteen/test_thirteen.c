/* Thirteen faults in the channel layer, below senders and receivers (thesis §9.2.1): with channels that have a buffer,
 * and with those that have none. After each, every message is delivered, once and in order, by tasks that recovery has
 * restarted where they failed. Options on the command line:
 *   channel=async|rendezvous   only these;  fault=N   only that, from 0 on;  side=N   only that (0: the sender fails)
 *   apart=N   seconds between faults, so that recovery does not take them together */
#include "cells/core/arena/arena.h"
#include "cells/core/boot/boot.h"
#include "cells/core/cpu/cpu.h"
#include "cells/evolve/reap/reap.h"
#include "cells/lib/string/string.h"
#include "cells/recover/fault/fault.h"
#include "cells/recover/mend/mend.h"
#include "cells/recover/mend_second/mend_second.h"
#include "cells/task/scheduler/scheduler.h"
#include "tests/guest/fixtures/testing/exchange.h"
#include "tests/guest/fixtures/testing/testing.h"
#include "tests/guest/tests/test_thirteen/inject.h"

CELL("test_thirteen", KERNEL, 1);

#define MESSAGES   12
#define COUNT      5 /* the fault comes when its place is reached for the fifth time */
#define PAUSE_NS   1000000
#define TIMEOUT_NS 50000000
#define FAULTS_MAX 2 /* of one that is injected: where a task is woken, and again when the end is released */
#define ANY        UINT32_MAX

static const char *const channel[] = {"channel", NULL}, *const synchronous[] = {"channel_v3", NULL};
static const char *const side_names[] = {[CHANNEL_SENDER] = "send", [CHANNEL_RECEIVER] = "receive"};
static struct report report;
static struct talk talk;
static uint32_t experiment;

static const char *action_of(uint64_t since)
{
    static const char *const names[] = {[FAULT_ACTION_UNWIND] = "unwind",
                                        [FAULT_ACTION_RESTART] = "restart",
                                        [FAULT_ACTION_MEND] = "mend",
                                        [FAULT_ACTION_RELOAD] = "reload"};
    uint32_t action = 0;

    for (uint64_t seq = since + 1; seq <= arena_header()->fault_seq; seq++)
        if (fault_record(seq) && fault_record(seq)->action > action)
            action = fault_record(seq)->action;
    return action && action < array_size(names) && names[action] ? names[action] : "none";
}

static bool is_closed(uint64_t since)
{
    for (uint64_t seq = since + 1; seq <= arena_header()->fault_seq; seq++)
        if (!fault_record(seq) || fault_record(seq)->outcome != FAULT_OUTCOME_RECOVERED)
            return false;
    return true;
}

static void print_stuck(struct task *task[2])
{
    for (int i = 0; i < 2; i++)
        log_warn("%s: state %u, restarts %u, asleep %u", side_names[i], task[i]->record->state,
                 task[i]->record->restarts, scheduler_is_waiting(&task[i]->scheduler));
    log_warn("%lu of %lu delivered, %lu asked, %lu offers", talk.delivered, talk.messages, talk.asked, talk.offers);
}

/* Recovery takes cells for whole that still have the checksum that they had when they were last compared. The scrubber,
 * which would put right what is damaged here, compares all of them many times a second. */
static void compare_all(const struct testing *test)
{
    GUARD(loader) locked = loader_hold();

    for_each_cell (cell)
        if (arena_cell(cell)->state == CELL_LIVE)
            testing_need(test, !mend_find_damage(cell).index);
    testing_need(test, mend_second_is_first_right());
}

/* One experiment. */
static void fail_once(const struct testing *test, const char *kind, uint32_t side, enum fault_number fault)
{
    const struct fault_form *is = &fault_forms[fault];
    uint64_t since = arena_header()->fault_seq;
    uint64_t most = is->in_ring ? 1 : is->times_out ? cpu_count() : FAULTS_MAX; /* each CPU has ticks */
    struct task *task[2];

    experiment++;
    talk = (struct talk){.experiment = experiment, .messages = MESSAGES, .begins = inject_watch};
    talk.cpu[CHANNEL_SENDER] = cpu_count() > 2;
    talk.cpu[CHANNEL_RECEIVER] = cpu_count() - 1;
    talk.timeout_ns = is->times_out ? TIMEOUT_NS : 0;
    if (is->place == PLACE_WAIT || is->place == PLACE_WAKE)
        talk.pause_ns[is->other_first ? !side : side] = PAUSE_NS;
    inject_prepare(&talk, side, fault, COUNT);
    compare_all(test);
    log_info("EXPERIMENT %u %u: %s, %s, %s", talk.experiment, MESSAGES, kind, side_names[side], is->name);
    testing_need(test, talk_begin(&talk, task) == ERR_OK);
    bool over = testing_await(__atomic_load_n(&talk.ended, __ATOMIC_ACQUIRE) == 2);
    if (!over)
        print_stuck(task);
    testing_need(test, over && inject_is_done() && talk.delivered == MESSAGES);
    for (int i = 0; i < 2; i++)
        testing_need(test, task_join(MOVE(task[i]), NULL) == JOIN_ENDED);
    channel_end_put(MOVE(talk.offered));
    testing_need(test, testing_await(is_closed(since)));
    testing_need(test, arena_header()->fault_seq - since <= most);
    log_info("RECOVERED %u: %s, %s, %s: %lu faults, %s, again after %lu ns", talk.experiment, kind, side_names[side],
             is->name, arena_header()->fault_seq - since, action_of(since),
             talk.again_ns ? talk.again_ns - talk.fault_ns : 0);
}

static void fail_all(const struct testing *test, const char *kind)
{
    uint32_t only = testing_times("fault", ANY), only_side = testing_times("side", ANY),
             apart = testing_times("apart", 0);

    for (enum fault_number fault = 0; fault < FAULTS; fault++)
        for (uint32_t side = CHANNEL_SENDER; side <= CHANNEL_RECEIVER; side++) {
            if ((only != ANY && only != fault) || (only_side != ANY && only_side != side))
                continue;
            fail_once(test, kind, side, fault);
            scheduler_sleep_ns(apart * 1000000000ull);
        }
}

/* A talk without a fault: page tables and handles that it takes are never freed. */
static void warm_up(const struct testing *test)
{
    struct task *task[2];

    talk = (struct talk){.messages = MESSAGES, .begins = inject_watch, .cpu = {cpu_count() > 2, cpu_count() - 1}};
    inject_prepare(&talk, CHANNEL_SENDER, FAULT_MESSAGE, UINT32_MAX);
    testing_need(test, talk_begin(&talk, task) == ERR_OK);
    for (int i = 0; i < 2; i++)
        testing_need(test, task_join(MOVE(task[i]), NULL) == JOIN_ENDED);
}

static void exchange(const struct testing *test, const char *const *member)
{
    testing_need(test, exchange_cells(channel, member, 0, &report) == ERR_OK);
    testing_need(test, testing_await(!reap_replaced()));
}

static int test_thirteen_main(int, char **)
{
    char only[16] = "";
    struct testing test = testing_begin("test_thirteen");

    testing_need(&test, inject_init() == ERR_OK);
    warm_up(&test);
    exchange(&test, synchronous);
    warm_up(&test);
    exchange(&test, channel);
    test = testing_begin("test_thirteen");
    (void)boot_option("channel", only, sizeof only);
    if (!*only || string_equal(only, "async"))
        fail_all(&test, "async");
    testing_ok(&test, "13 faults below channels with a buffer");
    exchange(&test, synchronous);
    if (!*only || string_equal(only, "rendezvous"))
        fail_all(&test, "rendezvous");
    testing_ok(&test, "13 faults below channels without");
    exchange(&test, channel);
    testing_end(&test);
}
MAIN(test_thirteen_main);
