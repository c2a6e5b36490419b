/* See request.h. */
#include "introspect/request.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "introspect/inside.h"

enum { PAUSE_FIRST_NS = 100000, PAUSE_LAST_NS = 5000000, PART_BYTES = 16384 };

struct wait {
    uint64_t deadline_ns;
    long pause_ns;
    struct request_caller caller;
};

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct wait wait_new(int timeout_ms, const struct request_caller *caller)
{
    return (struct wait){now_ns() + (uint64_t)timeout_ms * 1000000u, PAUSE_FIRST_NS, *caller};
}

/* Sleeps a little, longer each time. */
static enum err wait_more(struct wait *w)
{
    if (w->caller.is_alive && !w->caller.is_alive(w->caller.context))
        return ERR_NOT_RUNNING;
    if (now_ns() >= w->deadline_ns)
        return ERR_TIMEOUT;
    nanosleep(&(struct timespec){.tv_nsec = w->pause_ns}, NULL);
    if (w->pause_ns < PAUSE_LAST_NS)
        w->pause_ns += w->pause_ns / 4;
    return ERR_OK;
}

static uint64_t *header_word(uint8_t *ram, size_t offset)
{
    return (uint64_t *)(ram + LAYOUT_ARENA_PHYS + offset);
}
#define HEADER_WORD(ram, field) header_word(ram, offsetof(struct arena_header, field))

/* Waits until the guest has answered all that was asked before. */
static enum err wait_idle(uint8_t *ram, const struct layout *l, struct wait *w, uint64_t *ret_seq)
{
    uint32_t room = l->header.table[ARENA_REQUESTS].capacity;

    for (;;) {
        uint64_t asked = __atomic_load_n(HEADER_WORD(ram, request_seq), __ATOMIC_ACQUIRE);
        uint64_t answered = __atomic_load_n(HEADER_WORD(ram, completion_seq), __ATOMIC_ACQUIRE);

        if (answered > asked || asked - answered >= room)
            return ERR_PROTOCOL;
        *ret_seq = asked + 1;
        if (answered == asked)
            return ERR_OK;
        enum err e = wait_more(w);
        if (e)
            return e == ERR_TIMEOUT ? ERR_BUSY : e;
    }
}

/* False: the lock was lost meanwhile. */
static bool write_mailbox(uint8_t *ram, const struct layout *l, const struct request *request, const struct wait *w)
{
    uint8_t *to = ram + layout_phys(l, ARENA_MAILBOX, 0);

    for (size_t at = 0; at < request->mailbox_bytes; at += PART_BYTES) {
        size_t left = request->mailbox_bytes - at;
        if (!fence_copy(&w->caller.fence, to + at, (const uint8_t *)request->mailbox + at,
                        left < PART_BYTES ? left : PART_BYTES))
            return false;
    }
    return true;
}

/* False: the lock was lost meanwhile, and nothing was posted. */
static bool post(uint8_t *ram, const struct layout *l, const struct request *request, uint64_t seq,
                 const struct wait *w)
{
    uint32_t index = layout_ring_index(l, ARENA_REQUESTS, seq);
    struct arena_request *to = (struct arena_request *)(ram + layout_phys(l, ARENA_REQUESTS, index));
    struct arena_request r = {
        .seq = seq,
        .kind = request->kind,
        .flags = request->flags,
        .mailbox_bytes = (uint32_t)request->mailbox_bytes,
        .argument = request->argument,
    };

    if (request->target)
        memcpy(r.target, request->target, strlen(request->target));
    if (request->namespace_)
        memcpy(r.namespace_, request->namespace_, strlen(request->namespace_));
    return write_mailbox(ram, l, request, w) && fence_copy(&w->caller.fence, to, &r, sizeof r) &&
           fence_exchange(&w->caller.fence, HEADER_WORD(ram, request_seq), seq - 1, seq);
}

static enum err wait_answer(uint8_t *ram, const struct layout *l, struct wait *w, uint64_t seq,
                            struct arena_completion *ret)
{
    uint32_t index = layout_ring_index(l, ARENA_COMPLETIONS, seq);
    const struct arena_completion *from =
        (const struct arena_completion *)(ram + layout_phys(l, ARENA_COMPLETIONS, index));

    while (__atomic_load_n(&from->seq, __ATOMIC_ACQUIRE) != seq) {
        enum err e = wait_more(w);

        if (e)
            return e;
    }
    memcpy(ret, from, sizeof *ret);
    ret->seq = seq;
    check_text(ret->detail, sizeof ret->detail);
    for (size_t i = 0; i < ARENA_PHASES; i++)
        check_text(ret->phase[i].name, sizeof ret->phase[i].name);
    if (ret->phases > ARENA_PHASES)
        ret->phases = ARENA_PHASES;
    return ERR_OK;
}

/* The completion's number follows its record; the next request would otherwise meet a ring that seems busy. */
static void wait_counted(uint8_t *ram, struct wait *w, uint64_t seq)
{
    while (__atomic_load_n(HEADER_WORD(ram, completion_seq), __ATOMIC_ACQUIRE) < seq)
        if (wait_more(w))
            return;
}

static bool is_too_long(const char *name)
{
    const struct arena_request *r;

    _Static_assert(sizeof r->target == sizeof r->namespace_);
    return name && strlen(name) >= sizeof r->target;
}

/* Whether the guest's tables can take the request. */
static enum err check_request(const struct layout *l, const struct request *request)
{
    if (l->bad_tables & (1u << ARENA_REQUESTS | 1u << ARENA_COMPLETIONS | 1u << ARENA_MAILBOX) ||
        l->header.table[ARENA_REQUESTS].capacity < 2 || l->header.table[ARENA_COMPLETIONS].capacity < 2)
        return ERR_CORRUPT;
    if (request->mailbox_bytes > l->header.table[ARENA_MAILBOX].capacity)
        return ERR_RANGE;
    return is_too_long(request->target) || is_too_long(request->namespace_) ? ERR_INVALID : ERR_OK;
}

/* Posts a request when the guest has answered all earlier ones. */
static enum err post_next(uint8_t *ram, const struct layout *l, const struct request *request, struct wait *w,
                          uint64_t *ret_seq)
{
    enum err e = check_request(l, request);

    if (e == ERR_OK)
        e = wait_idle(ram, l, w, ret_seq);
    if (e == ERR_OK && !post(ram, l, request, *ret_seq, w))
        e = ERR_CLOSED;
    return e;
}

enum err request_post(uint8_t *ram, size_t bytes, const struct request *request, int timeout_ms,
                      const struct request_caller *caller, struct arena_completion *ret)
{
    struct wait w = wait_new(timeout_ms, caller ? caller : &(struct request_caller){0});
    struct arena_completion answer;
    struct layout l;
    uint64_t seq;
    enum err e = layout_read(ram, bytes, &l);

    if (e == ERR_OK)
        e = post_next(ram, &l, request, &w, &seq);
    if (e == ERR_OK)
        e = wait_answer(ram, &l, &w, seq, &answer);
    if (e)
        return e;
    wait_counted(ram, &w, seq);
    *ret = answer;
    return ERR_OK;
}

enum err request_begin(uint8_t *ram, size_t bytes, const struct request *request, uint64_t *ret_seq)
{
    struct wait w = wait_new(0, &(struct request_caller){0});
    struct layout l;
    enum err e = layout_read(ram, bytes, &l);

    return e ? e : post_next(ram, &l, request, &w, ret_seq);
}

enum err request_answer(uint8_t *ram, size_t bytes, uint64_t seq, struct arena_completion *ret)
{
    struct wait w = wait_new(0, &(struct request_caller){0});
    struct layout l;
    enum err e = layout_read(ram, bytes, &l);

    return e ? e : wait_answer(ram, &l, &w, seq, ret);
}

size_t request_room(const uint8_t *ram, size_t bytes)
{
    struct layout l;

    return layout_read(ram, bytes, &l) ? 0 : l.header.table[ARENA_MAILBOX].capacity;
}

enum err request_plan(const uint8_t *ram, size_t bytes, const struct arena_completion *answer,
                      struct plan_item **ret_items)
{
    struct layout l;
    enum err e = layout_read(ram, bytes, &l);

    if (e)
        return e;
    if (answer->items > l.header.table[ARENA_MAILBOX].capacity / sizeof(struct plan_item))
        return ERR_CORRUPT;
    struct plan_item *items = calloc(answer->items + 1ul, sizeof *items);
    if (!items)
        return ERR_NOMEM;
    memcpy(items, ram + layout_phys(&l, ARENA_MAILBOX, 0), answer->items * sizeof *items);
    for (uint32_t i = 0; i < answer->items; i++) {
        check_text(items[i].cell, sizeof items[i].cell);
        check_text(items[i].to_cell, sizeof items[i].to_cell);
        check_text(items[i].name, sizeof items[i].name);
        check_text(items[i].to, sizeof items[i].to);
    }
    *ret_items = items;
    return ERR_OK;
}
