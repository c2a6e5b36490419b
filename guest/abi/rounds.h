/* The workload's rounds (cells/app/workload), as both sides must have them: the guest compares a round with
 * this before it delivers it, the host what was delivered. A round is delivered as an event: EVENT_ROUND with
 * `a` its number, from 0 on, `b` its checksum, and a text as ROUNDS_TEXT has it. Made by
 * tests/e2e/workload_table.c, and checked against it by tests/e2e/workload_table.sh;
 * `tests/e2e/workload_table.sh --write` rewrites it. */
#pragma once
#include <stdint.h>
#include "guest/abi/workload.h"

/* number, checksum, id of the task that began it */
#define ROUNDS_TEXT  "round %lu %016lx of workload %u"
#define ROUNDS_CYCLE 16

/* Of round n of the default parts: rounds_right[n % ROUNDS_CYCLE]. */
static const uint64_t rounds_right[ROUNDS_CYCLE] = {
    0x8936cc7c714222d9, 0xba423ef42702fded, 0x1ac013b1465c2a35, 0x7a6edcf591867b32,
    0x90439bcbc7bc5ceb, 0x612ee0ad632a9e13, 0x7331969512d5dcbe, 0x5c466e08c0ec0975,
    0xbe51402ae99dc200, 0xc0a7f14ac820b843, 0xe81d1a2a2d9edc13, 0x9b465e5063674a72,
    0xd00394ca90ca88be, 0xd349f57edaee3c5f, 0x8bae3da87c0e3857, 0x0276e38d304301da,
};

/* The value of each part in round n: rounds_value[n % ROUNDS_CYCLE]. */
static const uint64_t rounds_value[ROUNDS_CYCLE][PARTS] = {
    {0xbc4b1b749c4969fa, 0xbc4b1b749c4969fa, 0x3cfc5296300ba261, 0x93dc2ca065e4af4f, 0x553e82436eb5e83d,
     0x965fe83fe33714f4, 0xaab52cb95c17286b, 0x020f8576bbe371a8, 0xd5927f039b0b0a94},
    {0xa46cf3362065569d, 0xa46cf3362065569d, 0xfe5f51d53dd74b75, 0xb429281d04e0b457, 0x28b63cd5889a33ee,
     0xaadb231001bc93f3, 0xff46745124d5c579, 0x9b8b4cecd5f1a229, 0x3669e22defc81f5d},
    {0x7395dbf764a0dd4a, 0x7395dbf764a0dd4a, 0xab5363532e3c28e6, 0xe5cdb90f15837125, 0x194074555ec5ebf5,
     0x4c8616e90f531f16, 0x34f4815d255bc63b, 0x535771e633d4f3d0, 0x5ed743de77784cb1},
    {0x2ba9d483128eb4da, 0x2ba9d483128eb4da, 0xf9f8200d6b441c93, 0x43d0fd3bd1139112, 0x84266cfd2df70fef,
     0xa8195098207eb5df, 0xe697577e9d35ccb2, 0xc82732c4742ad3ad, 0xd4598ca3dddfb2a3},
    {0x5520ae76eeacd3bf, 0x5520ae76eeacd3bf, 0xaa6aac6be29d7d1b, 0x4adeac120c3a49ec, 0x2128dc2c38842988,
     0x71dc0fd988420fdd, 0x9c872a032fc04c28, 0x966c703c258e7827, 0x521034c81ed08496},
    {0x1bf5eb5ddcf088db, 0x1bf5eb5ddcf088db, 0xa335689c47edf101, 0x052cbce8a8f2a76c, 0xfb2348184bd409bb,
     0xf80487a1df49ea5a, 0x92424321a8c3c2c0, 0x6565c79f68985f9b, 0xe7a1fda5a454060b},
    {0x804f8ce49d1e5f46, 0x804f8ce49d1e5f46, 0x5be60b38a52a4245, 0x493ae9be5f80292b, 0x8f1680a946ee6811,
     0x3ae12115382897c5, 0xb94f4c8639d6ad31, 0x408112ae208dada6, 0x8a1574b317c7d624},
    {0x2a8118f7122a7e19, 0x2a8118f7122a7e19, 0x55fb5b23787252ab, 0xd2b2259096f61301, 0xa02fbb7547096f3d,
     0xa85811db5a211a59, 0xb6dac632682b1d30, 0x40dda2b8c6ad867e, 0xa28f76ca7160d252},
    {0xf5d3de5c1a0b0d61, 0xf5d3de5c1a0b0d61, 0x5928f7da7738c4fa, 0x335973810b44a10a, 0x841ee91abcb24755,
     0xb792416d44181310, 0xb356fc475f0e03a7, 0x11dcbbc727db5915, 0x1d074d9a74c833f3},
    {0x8130f8746f9a7d33, 0x8130f8746f9a7d33, 0x31a8fe2f87b5b27d, 0xeb8937ece03e8138, 0x73b616485474f0e5,
     0xb7d8df93a9ff62a9, 0x09772d6fe45f45d2, 0x52f943d5a0fd9020, 0x9998c29c5e1cd60f},
    {0x319fc6648fe36f57, 0x319fc6648fe36f57, 0x4457426378d69e5d, 0xd3eef8f99e169704, 0xb879cf25730ac435,
     0xace81a64ee4290b3, 0xbd3b3e4470134399, 0x12753107845eeeff, 0x72b3bed4dd5ed9f3},
    {0xc4a583669692108f, 0xc4a583669692108f, 0x77c9e5fd47233248, 0x4b17c7b21d2ccfb2, 0x92240b2a4846cfc0,
     0x3075faed824fa747, 0x950307d0336c95f3, 0xfe6a8353f1e64769, 0x2e9c31527299a469},
    {0xb6ee4c1c5293172c, 0xb6ee4c1c5293172c, 0xd1f57db905d2ab1a, 0x71236c9466ab40db, 0xaecdcd03074fdfa0,
     0xab9a632e7e27711e, 0x719ba38a8d7846df, 0xd267eb1c63f28daf, 0x2a8e93c904fa0d38},
    {0x0e16bd048e178202, 0x0e16bd048e178202, 0x87964c86c745e80b, 0x6b36c37a537c9a48, 0xed11977af49e73ec,
     0xdb5b833b4b3b20ed, 0x4717d7d8e5670091, 0x093bb1e725d74b5c, 0xc25b870444501274},
    {0x047117506f9d547c, 0x047117506f9d547c, 0x1ebbd8a0d874b6ac, 0x837c78dfa85eded1, 0xbdd252828b44aaa5,
     0x089bef22c6c9637f, 0x51740c7f807da910, 0xf8695ea8bb5605b8, 0x854df5870f80cb2a},
    {0x21562ccbad707e36, 0x21562ccbad707e36, 0x858186c966000fdb, 0xb1c614109afac332, 0x3bc4edabdb1f28fa,
     0x2776c85bc3a2656b, 0xb13337158e84e319, 0x7ff74d491ccd0179, 0x332289b7e20e9a92},
};
