/* See host_link.h. The host may write anything at any time: sequence numbers are bounded, records are copied once. */
#include "cells/host/host_link/host_link.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/evolve/plan/plan.h"
#include "cells/host/request/request.h"
#include "cells/lib/string/string.h"
#include "cells/recover/fault/fault.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"

CELL("host_link", KERNEL, 1);

#define POLL_NS      2000000ull
#define POLL_IDLE_NS 10000000ull
#define IDLE_AFTER   500 /* polls without a request */

/* Number of the newest request that was begun. A request that faults is not tried again: the restarted task answers
 * that it failed. */
static uint64_t begun;
static uint64_t faults_before; /* the number of the newest fault at that time */

static uint32_t ring_index(enum arena_table table, uint64_t seq)
{
    return arena_ring_index(seq, arena_header()->table[table].capacity);
}

/* Copies request `seq`. False: the record has another number, or was overwritten meanwhile. */
static bool copy_request(uint64_t seq, struct arena_request *ret_request)
{
    const struct arena_request *record = arena_record(ARENA_REQUESTS, ring_index(ARENA_REQUESTS, seq));

    if (__atomic_load_n(&record->seq, __ATOMIC_ACQUIRE) != seq)
        return false;
    memcpy(ret_request, record, sizeof *ret_request);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n(&record->seq, __ATOMIC_RELAXED) == seq;
}

static void post_completion(uint64_t seq, const struct report *report)
{
    struct arena_completion *record = arena_record(ARENA_COMPLETIONS, ring_index(ARENA_COMPLETIONS, seq));

    __atomic_store_n(&record->seq, 0, __ATOMIC_RELEASE);
    report_publish(report, record);
    __atomic_store_n(&record->seq, seq, __ATOMIC_RELEASE);
    __atomic_store_n(&arena_header()->completion_seq, seq, __ATOMIC_RELEASE);
}

static void *mailbox(void)
{
    return (uint8_t *)arena_header() + arena_header()->table[ARENA_MAILBOX].offset;
}

/* The plan of a dry run is written over the body. */
static void execute_checked(const struct arena_request *request, struct report *report)
{
    struct preview preview = {.item = mailbox(), .room = ARENA_MAILBOX_BYTES / sizeof *preview.item};

    request_execute_seen(request, mailbox(), &preview, report);
    report->items = preview.count < preview.room ? preview.count : (uint32_t)preview.room;
    report->items_lost = preview.count - report->items;
}

static void execute_request(uint64_t seq, struct report *report)
{
    struct arena_request request;

    memset(report, 0, sizeof *report);
    if (begun == seq) {
        (void)fault_report(fault_of_task(task_this(), faults_before), "request", report);
        return;
    }
    faults_before = __atomic_load_n(&arena_header()->fault_seq, __ATOMIC_RELAXED);
    begun = seq;
    if (!copy_request(seq, &request))
        report->error = ERR_PROTOCOL;
    else if (request.mailbox_bytes > ARENA_MAILBOX_BYTES)
        report->error = ERR_RANGE;
    else
        execute_checked(&request, report);
}

/* Number of the next request to execute; 0: none. Skips requests that were overwritten before they were read. */
static uint64_t next_request(void)
{
    uint64_t asked = __atomic_load_n(&arena_header()->request_seq, __ATOMIC_ACQUIRE);
    uint64_t answered = __atomic_load_n(&arena_header()->completion_seq, __ATOMIC_RELAXED);
    uint64_t room = arena_header()->table[ARENA_REQUESTS].capacity - 1;

    if (asked <= answered)
        return 0;
    return asked - answered > room ? asked - room + 1 : answered + 1;
}

static void host_link_entry(uint64_t)
{
    struct report report;

    for (unsigned idle = 0;; idle++) {
        uint64_t seq = next_request();
        if (!seq) {
            scheduler_sleep_ns(idle < IDLE_AFTER ? POLL_NS : POLL_IDLE_NS);
            continue;
        }
        execute_request(seq, &report);
        post_completion(seq, &report);
        idle = 0;
    }
}

static enum err host_link_init(void)
{
    const struct task_options options = {.restartable = true};
    OWN(task) struct task *task = task_spawn("host_link", host_link_entry, 0, &options);

    return task ? ERR_OK : ERR_NOMEM;
}
INIT(host_link_init);
