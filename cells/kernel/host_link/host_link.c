/* See host_link.h. The host may write anything at any time: numbers are bounded, records are copied once. */
#include "cells/kernel/host_link/host_link.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/request/request.h"
#include "cells/kernel/scheduler/scheduler.h"
#include "cells/kernel/swap/preview.h"
#include "cells/kernel/task/task.h"
#include "cells/lib/string/string.h"

CELL("host_link", KERNEL, 1);

#define POLL_NS      2000000ull
#define POLL_IDLE_NS 10000000ull
#define IDLE_AFTER   500 /* polls without a request */

/* The newest request that was begun. A request that faults is answered by the task that recovery makes anew, and not
 * tried again. */
static uint64_t begun;

static uint32_t ring_index(enum arena_table table, uint64_t seq)
{
    return (uint32_t)(seq % (arena_header()->table[table].capacity - 1)) + 1;
}

/* Copies request `seq` whole. False: the record is not the one announced, or was overwritten meanwhile. */
static bool copy_request(uint64_t seq, struct arena_request *ret_request)
{
    const struct arena_request *record = arena_record(ARENA_REQUESTS, ring_index(ARENA_REQUESTS, seq));

    if (__atomic_load_n(&record->seq, __ATOMIC_ACQUIRE) != seq)
        return false;
    memcpy(ret_request, record, sizeof *ret_request);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n(&record->seq, __ATOMIC_RELAXED) == seq;
}

static void post(uint64_t seq, const struct arena_completion *completion)
{
    struct arena_completion *record = arena_record(ARENA_COMPLETIONS, ring_index(ARENA_COMPLETIONS, seq));

    __atomic_store_n(&record->seq, 0, __ATOMIC_RELEASE);
    memcpy((uint8_t *)record + sizeof record->seq, (const uint8_t *)completion + sizeof record->seq,
           sizeof *record - sizeof record->seq);
    __atomic_store_n(&record->seq, seq, __ATOMIC_RELEASE);
    __atomic_store_n(&arena_header()->completion_seq, seq, __ATOMIC_RELEASE);
}

static void *mailbox(void)
{
    return (uint8_t *)arena_header() + arena_header()->table[ARENA_MAILBOX].offset;
}

/* A plan goes where the request's body was. */
static void execute_copied(const struct arena_request *request, struct arena_completion *completion)
{
    struct preview preview = {.item = mailbox(), .room = ARENA_MAILBOX_BYTES / sizeof *preview.item};

    request_execute_seen(request, mailbox(), &preview, completion);
    completion->items = preview.count < preview.room ? preview.count : (uint32_t)preview.room;
    completion->items_lost = preview.count - completion->items;
}

static void execute(uint64_t seq, struct arena_completion *completion)
{
    struct arena_request request;

    memset(completion, 0, sizeof *completion);
    if (begun == seq) {
        completion->error = ERR_INIT_FAILED;
        string_copy(completion->detail, "the request ended in a fault", sizeof completion->detail);
        return;
    }
    begun = seq;
    if (!copy_request(seq, &request))
        completion->error = ERR_PROTOCOL;
    else if (request.mailbox_bytes > ARENA_MAILBOX_BYTES)
        completion->error = ERR_RANGE;
    else
        execute_copied(&request, completion);
}

/* The next request to execute; 0: none. Requests that have left the ring unseen are skipped. */
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
    struct arena_completion completion;

    for (unsigned quiet = 0;; quiet++) {
        uint64_t seq = next_request();
        if (!seq) {
            scheduler_sleep_ns(quiet < IDLE_AFTER ? POLL_NS : POLL_IDLE_NS);
            continue;
        }
        execute(seq, &completion);
        post(seq, &completion);
        quiet = 0;
    }
}

static enum err host_link_init(void)
{
    const struct task_options options = {.restartable = true};
    OWN(task) struct task *task = task_spawn("host_link", host_link_entry, 0, &options);

    return task ? ERR_OK : ERR_NOMEM;
}
INIT(host_link_init);
