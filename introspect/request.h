/* Asks the guest for something: puts a request into its ring, an object or arguments into its mailbox, and waits for
 * the completion, with a time limit. The caller holds the machine's lock (vmm/machine). Wherever it is stopped, loses
 * the lock and goes on, it does not disturb the request of another (introspect/base/fence.h): each holder writes all of
 * the mailbox and of the record that his request uses, and publishes it by one store. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "guest/abi/arena.h"
#include "guest/abi/err.h"
#include "guest/abi/plan.h"
#include "introspect/base/fence.h"

struct request {
    enum request_kind kind;
    uint32_t flags;         /* REQUEST_DRY_RUN */
    const char *target;     /* NULL: none */
    const char *namespace_; /* NULL: the root */
    uint32_t argument;      /* as in struct arena_request */
    const void *mailbox;    /* borrowed; NULL: nothing */
    size_t mailbox_bytes;
};

/* What a caller says about itself while its request is posted. Zeros: nothing. */
struct request_caller {
    bool (*is_alive)(void *context); /* false: the machine has ended, so that waiting is useless */
    void *context;
    struct fence fence; /* of the machine's lock */
};

/* Posts a request and waits for the answer. ERR_OK: it is in *ret, with printable terminated texts; ret->error is the
 * guest's result. Otherwise there is no answer:
 *   ERR_TIMEOUT      not in time; the request may still be carried out
 *   ERR_BUSY         an earlier request is not completed after timeout_ms
 *   ERR_NOT_RUNNING  the machine has ended
 *   ERR_CLOSED       the lock was lost before the request was posted; nothing will be carried out
 *   ERR_RANGE        more than the mailbox holds
 *   ERR_INVALID      the name of the target or the namespace is too long
 *   ERR_PROTOCOL     the guest's sequence numbers make no sense
 * or what is wrong with the arena, as for view_take. */
enum err request_post(uint8_t *ram, size_t bytes, const struct request *request, int timeout_ms,
                      const struct request_caller *caller, struct arena_completion *ret);

/* Posts a request without waiting, for a guest that stands still: the answer is to *ret_seq. Errors as of request_post;
 * ERR_BUSY: an earlier request is not completed. */
enum err request_begin(uint8_t *ram, size_t bytes, const struct request *request, uint64_t *ret_seq);
/* Takes the answer to request `seq` without waiting. ERR_TIMEOUT: there is none yet. */
enum err request_answer(uint8_t *ram, size_t bytes, uint64_t seq, struct arena_completion *ret);

/* How many bytes the mailbox holds; 0 without a usable arena. */
size_t request_room(const uint8_t *ram, size_t bytes);

/* Copies the plan that a dry run was answered with: answer->items items with printable terminated texts, which the
 * caller frees. Call it before anything else is posted. ERR_CORRUPT: more than the mailbox holds; ERR_NOMEM, or what
 * is wrong with the arena. */
enum err request_plan(const uint8_t *ram, size_t bytes, const struct arena_completion *answer,
                      struct plan_item **ret_items);
