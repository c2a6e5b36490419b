/* The workload's rounds (cells/app/workload), as both sides must have them: the guest compares a round with
 * this before it delivers it, the host what was delivered. A round is delivered as an event: EVENT_ROUND with
 * `a` its number, from 0 on, `b` its checksum, and a text as ROUNDS_TEXT has it. Made by
 * tests/e2e/workload_table.c, and checked against it by tests/e2e/workload_table.sh;
 * `tests/e2e/workload_table.sh --write` rewrites it. */
#pragma once
#include <stdint.h>

/* number, checksum, id of the task that began it */
#define ROUNDS_TEXT  "round %lu %016lx of workload %u"
#define ROUNDS_CYCLE 16

/* Of round n: rounds_right[n % ROUNDS_CYCLE]. */
static const uint64_t rounds_right[ROUNDS_CYCLE] = {
    0x8936cc7c714222d9, 0xba423ef42702fded, 0x1ac013b1465c2a35, 0x7a6edcf591867b32,
    0x90439bcbc7bc5ceb, 0x612ee0ad632a9e13, 0x7331969512d5dcbe, 0x5c466e08c0ec0975,
    0xbe51402ae99dc200, 0xc0a7f14ac820b843, 0xe81d1a2a2d9edc13, 0x9b465e5063674a72,
    0xd00394ca90ca88be, 0xd349f57edaee3c5f, 0x8bae3da87c0e3857, 0x0276e38d304301da,
};
