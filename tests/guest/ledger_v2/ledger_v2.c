/* The ledger of the next year: fields wider, elsewhere, gone and new, more accounts. */
#include "cells/kernel/lock/lock.h"
#include "tests/guest/ledger/ledger.h"

CELL("ledger", DRIVER, 2);
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
    uint64_t calls;
    int64_t (*rate)(int64_t amount);
    struct {
        int64_t balance, limit;
        bool closed : 1, open : 1;
        uint8_t kind;
    } account[LEDGER_ACCOUNTS + 2];
    int32_t last;
    struct lock lock;
    uint64_t year;
    int64_t *total;
} books = {.total = &total, .rate = whole, .year = 2021, .account[0] = {.limit = 5}, .account[5] = {.limit = 6}};

void ledger_book(uint32_t account, int32_t amount)
{
    GUARD(lock) held = lock_take(&books.lock);

    books.calls++;
    books.last = (int16_t)amount;
    books.account[account].balance += books.rate(amount);
    *books.total += books.rate(amount);
}

/* What is new is as this version began with. */
bool ledger_agrees(void)
{
    GUARD(lock) held = lock_take(&books.lock);
    int64_t sum = 0;

    for (uint32_t i = 0; i < LEDGER_ACCOUNTS + 2; i++) {
        bool open = i < LEDGER_ACCOUNTS;
        if (books.account[i].limit != (i == 0 ? 5 : i == 5 ? 6 : 0) || books.account[i].closed)
            return false;
        if (books.account[i].open != open || books.account[i].kind != (open ? i : 0))
            return false;
        sum += books.account[i].balance;
    }
    return sum == total && books.total == &total && books.rate == whole;
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
    return books.year;
}
