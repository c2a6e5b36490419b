/* A cell with static data of all kinds, and a second version in which their type has changed: test_recipe swaps them while
 * tasks book. */
#pragma once
#include "cells/cell.h"

#define LEDGER_ACCOUNTS 4 /* in the first version; the second one has more */

void ledger_book(uint32_t account, int32_t amount); /* counts its calls, and adds up in two places */
bool ledger_agrees(void);                           /* whether the sum of the accounts is what was added up */
int64_t ledger_balance(uint32_t account);
uint64_t ledger_calls(void);
int64_t ledger_last(void); /* the amount that was booked last, in 16 bits */
/* Whatever a version has that the other lacks. */
uint64_t ledger_own(void);
