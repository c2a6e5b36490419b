/* See ledger.h. */
#include "tests/guest/ledger/ledger.h"
#include "cells/kernel/lock/lock.h"

CELL("ledger", DRIVER, 1);
EXPORT(ledger_book, APPLICATION);
EXPORT(ledger_agrees, APPLICATION);
EXPORT(ledger_balance, APPLICATION);
EXPORT(ledger_calls, APPLICATION);
EXPORT(ledger_last, APPLICATION);
EXPORT(ledger_own, APPLICATION);

static int64_t total;

static int64_t whole(int64_t amount)
{
    return amount;
}

static struct {
    struct lock lock;
    uint32_t calls;
    int16_t last;
    uint64_t forgotten;
    struct {
        uint8_t kind;
        bool open : 1;
        int32_t balance;
    } account[LEDGER_ACCOUNTS];
    int64_t *total;
    int64_t (*rate)(int64_t amount);
} books = {.total = &total, .rate = whole};

void ledger_book(uint32_t account, int32_t amount)
{
    GUARD(lock) held = lock_take(&books.lock);

    books.calls++;
    books.last = (int16_t)amount;
    books.forgotten += account;
    books.account[account].kind = (uint8_t)account;
    books.account[account].open = true;
    books.account[account].balance += (int32_t)books.rate(amount);
    *books.total += books.rate(amount);
}

bool ledger_agrees(void)
{
    GUARD(lock) held = lock_take(&books.lock);
    int64_t sum = 0;

    for (uint32_t i = 0; i < LEDGER_ACCOUNTS; i++) {
        if (books.account[i].open && books.account[i].kind != i)
            return false;
        sum += books.account[i].balance;
    }
    return sum == total;
}

int64_t ledger_balance(uint32_t account)
{
    return books.account[account].balance;
}

uint64_t ledger_calls(void)
{
    return books.calls;
}

int64_t ledger_last(void)
{
    return books.last;
}

uint64_t ledger_own(void)
{
    return books.forgotten;
}
