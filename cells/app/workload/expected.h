/* The right checksum of round n is expected[n % PATTERN_CYCLE]. Made by tests/e2e/workload_table.c, and checked
 * against it by tests/e2e/workload_table.sh; `tests/e2e/workload_table.sh --write` rewrites it. */
#pragma once
#include "cells/app/workload/pattern.h"

static const uint64_t expected[PATTERN_CYCLE] = {
    0x8936cc7c714222d9, 0xba423ef42702fded, 0x1ac013b1465c2a35, 0x7a6edcf591867b32,
    0x90439bcbc7bc5ceb, 0x612ee0ad632a9e13, 0x7331969512d5dcbe, 0x5c466e08c0ec0975,
    0xbe51402ae99dc200, 0xc0a7f14ac820b843, 0xe81d1a2a2d9edc13, 0x9b465e5063674a72,
    0xd00394ca90ca88be, 0xd349f57edaee3c5f, 0x8bae3da87c0e3857, 0x0276e38d304301da,
};
