/* See talker.h. Says what it has to say and waits until it is heard. */
#include "tests/guest/talker/talker.h"
#include "cells/kernel/task/call.h"

CELL("talker", LIBRARY, 1);
EXPORT(talker_send, LIBRARY);
EXPORT(talker_receive, LIBRARY);
EXPORT(talker_version, LIBRARY);
EXPORT(talker_total, LIBRARY);

static uint64_t total;

uint32_t talker_version(void)
{
    return 1;
}

uint64_t talker_total(void)
{
    return __atomic_load_n(&total, __ATOMIC_RELAXED);
}

__attribute__((noinline)) enum err talker_send(struct talk *talk)
{
    REPEATABLE(call, talker_send, (uint64_t)talk);
    uint64_t message[2] = {talk->sent, ~talk->sent};
    enum err e = channel_send(talk->sender, message, 0);

    if (e != ERR_OK)
        return e;
    call_decide(&call, ERR_OK);
    talk->sent++;
    __atomic_fetch_add(&total, 1, __ATOMIC_RELAXED);
    return ERR_OK;
}

__attribute__((noinline)) enum err talker_receive(struct talk *talk)
{
    REPEATABLE(call, talker_receive, (uint64_t)talk);
    uint64_t message[2];
    enum err e = channel_receive(talk->receiver, message, 0);

    if (e != ERR_OK)
        return e;
    call_decide(&call, ERR_OK);
    talk->wrong += message[0] != talk->received || message[1] != ~message[0];
    talk->received++;
    return ERR_OK;
}

static enum err talker_transfer(const struct cell_transfer *transfer)
{
    size_t bytes;
    const uint64_t *of_v2 = transfer->find(transfer, ".bss.totals", &bytes); /* heard, said */

    if (transfer->from_version != 2)
        return ERR_OK;
    if (!of_v2 || bytes != 2 * sizeof *of_v2)
        return ERR_INVALID;
    total = of_v2[1];
    return ERR_OK;
}
TRANSFER(talker_transfer);
