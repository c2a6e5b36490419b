/* The second version of the talker cell: it does not wait for ever, and counts what it heard too. */
#include "cells/kernel/task/call.h"
#include "tests/guest/talker/talker.h"

CELL("talker", LIBRARY, 2);
EXPORT(talker_send, LIBRARY);
EXPORT(talker_receive, LIBRARY);
EXPORT(talker_version, LIBRARY);
EXPORT(talker_total, LIBRARY);

#define PATIENCE_NS 20000000

static struct {
    uint64_t heard, said;
} totals;

uint32_t talker_version(void)
{
    return 2;
}

uint64_t talker_total(void)
{
    return __atomic_load_n(&totals.said, __ATOMIC_RELAXED);
}

__attribute__((noinline)) enum err talker_send(struct talk *talk)
{
    REPEATABLE(call, talker_send, (uint64_t)talk);
    uint64_t message[2] = {talk->sent, ~talk->sent};
    enum err e;

    while ((e = channel_send(talk->sender, message, PATIENCE_NS)) == ERR_TIMEOUT)
        continue;
    if (e != ERR_OK)
        return e;
    call_decide(&call, ERR_OK);
    talk->sent++;
    __atomic_fetch_add(&totals.said, 1, __ATOMIC_RELAXED);
    return ERR_OK;
}

__attribute__((noinline)) enum err talker_receive(struct talk *talk)
{
    REPEATABLE(call, talker_receive, (uint64_t)talk);
    uint64_t message[2];
    enum err e;

    while ((e = channel_receive(talk->receiver, message, PATIENCE_NS)) == ERR_TIMEOUT)
        continue;
    if (e != ERR_OK)
        return e;
    call_decide(&call, ERR_OK);
    talk->wrong += message[0] != talk->received || message[1] != ~message[0];
    talk->received++;
    __atomic_fetch_add(&totals.heard, 1, __ATOMIC_RELAXED);
    return ERR_OK;
}

static enum err talker_transfer(const struct cell_transfer *transfer)
{
    size_t bytes;
    const uint64_t *total = transfer->find(transfer, ".bss.total", &bytes);

    if (transfer->from_version != 1)
        return ERR_OK;
    if (!total || bytes != sizeof *total)
        return ERR_INVALID;
    totals.said = *total;
    return ERR_OK;
}
TRANSFER(talker_transfer);
