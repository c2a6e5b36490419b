/* Asks the guest for something: puts a request into its ring, an object or arguments into its mailbox, and waits for
 * the completion, never for ever. The caller holds the machine's lock meanwhile; that is vmm/machine's business. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "guest/abi/arena.h"
#include "guest/abi/err.h"
#include "guest/abi/plan.h"

struct request {
    enum request_kind kind;
    uint32_t flags;         /* REQUEST_DRY_RUN */
    const char *target;     /* NULL: none */
    const char *namespace_; /* NULL: the root */
    uint32_t argument;
    const void *mailbox; /* borrowed; NULL: nothing */
    size_t mailbox_bytes;
};

/* Who can tell that waiting is useless: false once the machine has ended. */
typedef bool request_alive(void *context);

/* ERR_OK: the guest answered; what it says is in *ret, its texts printable and terminated, its own verdict in
 * ret->error. Otherwise nothing was answered:
 *   ERR_TIMEOUT      not in time; the request may still be carried out
 *   ERR_BUSY         an earlier request is not completed after timeout_ms
 *   ERR_NOT_RUNNING  `alive` said no
 *   ERR_RANGE        more than the mailbox holds
 *   ERR_INVALID      the name of the target or the namespace is too long
 *   ERR_PROTOCOL     the guest's sequence numbers make no sense
 * or what is wrong with the arena, as for view_take. `alive` may be NULL. */
enum err request_post(uint8_t *ram, size_t bytes, const struct request *request, int timeout_ms, request_alive *alive,
                      void *context, struct arena_completion *ret);

/* What the mailbox holds at most; 0 without a usable arena. */
size_t request_room(const uint8_t *ram, size_t bytes);

/* The plan that a dry run was answered with: answer->items items, copied, their texts printable and terminated; the
 * caller frees them. Before anything else is posted. ERR_CORRUPT: more than the mailbox holds; ERR_NOMEM, or what is wrong
 * with the arena. */
enum err request_plan(const uint8_t *ram, size_t bytes, const struct arena_completion *answer,
                      struct plan_item **ret_items);
