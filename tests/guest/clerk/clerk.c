/* Books into the ledger for ever, and panics as soon as a booking is lost or the books disagree: for tests that swap the
 * ledger from the host. */
#include "cells/kernel/panic/panic.h"
#include "cells/kernel/scheduler/scheduler.h"
#include "tests/guest/ledger/ledger.h"

CELL("clerk", APPLICATION, 1);

#define REST_NS 300000

static int clerk_main(int argc, char **argv)
{
    int64_t balance[LEDGER_ACCOUNTS] = {0};

    (void)argc;
    (void)argv;
    for (uint64_t n = 0;; n++) {
        uint32_t account = n % LEDGER_ACCOUNTS;
        balance[account] -= account + 1;
        ledger_book(account, -(int32_t)account - 1);
        if (ledger_calls() != n + 1 || ledger_balance(account) != balance[account])
            panic("a booking is lost");
        if (n >= LEDGER_ACCOUNTS && (!ledger_agrees() || ledger_last() != -(int64_t)account - 1))
            panic("the books disagree");
        scheduler_sleep_ns(REST_NS);
    }
}
MAIN(clerk_main);
