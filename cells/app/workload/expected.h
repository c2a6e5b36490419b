/* Private to workload: the right value of each part in each round of the cycle. Made by tests/e2e/workload_table.c, and
 * checked against it by tests/e2e/workload_table.sh; `tests/e2e/workload_table.sh --write` rewrites it. */
#pragma once
#include "cells/app/workload/pattern.h"

static const uint64_t expected[PATTERN_CYCLE][PARTS] = {
    {0xbc4b1b749c4969fa, 0xbc4b1b749c4969fa, 0x3cfc5296300ba261, 0x93dc2ca065e4af4f, 0x553e82436eb5e83d,
     0x965fe83fe33714f4},
    {0xa46cf3362065569d, 0xa46cf3362065569d, 0xfe5f51d53dd74b75, 0xb429281d04e0b457, 0x28b63cd5889a33ee,
     0xaadb231001bc93f3},
    {0x7395dbf764a0dd4a, 0x7395dbf764a0dd4a, 0xab5363532e3c28e6, 0xe5cdb90f15837125, 0x194074555ec5ebf5,
     0x4c8616e90f531f16},
    {0x2ba9d483128eb4da, 0x2ba9d483128eb4da, 0xf9f8200d6b441c93, 0x43d0fd3bd1139112, 0x84266cfd2df70fef,
     0xa8195098207eb5df},
    {0x5520ae76eeacd3bf, 0x5520ae76eeacd3bf, 0xaa6aac6be29d7d1b, 0x4adeac120c3a49ec, 0x2128dc2c38842988,
     0x71dc0fd988420fdd},
    {0x1bf5eb5ddcf088db, 0x1bf5eb5ddcf088db, 0xa335689c47edf101, 0x052cbce8a8f2a76c, 0xfb2348184bd409bb,
     0xf80487a1df49ea5a},
    {0x804f8ce49d1e5f46, 0x804f8ce49d1e5f46, 0x5be60b38a52a4245, 0x493ae9be5f80292b, 0x8f1680a946ee6811,
     0x3ae12115382897c5},
    {0x2a8118f7122a7e19, 0x2a8118f7122a7e19, 0x55fb5b23787252ab, 0xd2b2259096f61301, 0xa02fbb7547096f3d,
     0xa85811db5a211a59},
    {0xf5d3de5c1a0b0d61, 0xf5d3de5c1a0b0d61, 0x5928f7da7738c4fa, 0x335973810b44a10a, 0x841ee91abcb24755,
     0xb792416d44181310},
    {0x8130f8746f9a7d33, 0x8130f8746f9a7d33, 0x31a8fe2f87b5b27d, 0xeb8937ece03e8138, 0x73b616485474f0e5,
     0xb7d8df93a9ff62a9},
    {0x319fc6648fe36f57, 0x319fc6648fe36f57, 0x4457426378d69e5d, 0xd3eef8f99e169704, 0xb879cf25730ac435,
     0xace81a64ee4290b3},
    {0xc4a583669692108f, 0xc4a583669692108f, 0x77c9e5fd47233248, 0x4b17c7b21d2ccfb2, 0x92240b2a4846cfc0,
     0x3075faed824fa747},
    {0xb6ee4c1c5293172c, 0xb6ee4c1c5293172c, 0xd1f57db905d2ab1a, 0x71236c9466ab40db, 0xaecdcd03074fdfa0,
     0xab9a632e7e27711e},
    {0x0e16bd048e178202, 0x0e16bd048e178202, 0x87964c86c745e80b, 0x6b36c37a537c9a48, 0xed11977af49e73ec,
     0xdb5b833b4b3b20ed},
    {0x047117506f9d547c, 0x047117506f9d547c, 0x1ebbd8a0d874b6ac, 0x837c78dfa85eded1, 0xbdd252828b44aaa5,
     0x089bef22c6c9637f},
    {0x21562ccbad707e36, 0x21562ccbad707e36, 0x858186c966000fdb, 0xb1c614109afac332, 0x3bc4edabdb1f28fa,
     0x2776c85bc3a2656b},
};
