/* A good second version of fragile: other data, taken over by a transfer function, and other code. */
#include "tests/guest/fragile/fragile.h"
#include "cells/kernel/loader/loader.h"
#include "cells/kernel/lock/lock.h"
#include "cells/kernel/panic/panic.h"
#include "cells/lib/string/string.h"

CELL("fragile", DRIVER, 2);
EXPORT(fragile_add, APPLICATION);
EXPORT(fragile_calls, APPLICATION);
EXPORT(fragile_word, APPLICATION);
EXPORT(fragile_call, APPLICATION);
EXPORT(fragile_bind, APPLICATION);

static const char *const words[] = {"one", "two", "three"};
static struct {
    uint64_t calls, total, largest;
    struct lock lock;
} counts_v2;

/* As in version 1. */
struct counts_v1 {
    struct lock lock;
    uint64_t total, calls;
};
static const char *const *words_now = words;

static uint64_t itself(uint64_t n)
{
    return n;
}

static uint64_t (*convert)(uint64_t n) = itself;

uint64_t fragile_add(uint64_t n)
{
    GUARD(lock) held = lock_take(&counts_v2.lock);

    if (n > counts_v2.largest)
        counts_v2.largest = n;
    counts_v2.calls++;
    counts_v2.total += convert(n);
    return counts_v2.total;
}

uint64_t fragile_calls(void)
{
    GUARD(lock) held = lock_take(&counts_v2.lock);

    return counts_v2.calls;
}

const char *fragile_word(unsigned i)
{
    return i < array_size(words) ? words_now[i] : NULL;
}

void fragile_call(void (*function)(uint64_t), uint64_t argument)
{
    if (argument > counts_v2.largest)
        counts_v2.largest = argument;
    function(argument);
    counts_v2.calls++;
}

enum err fragile_bind(uint64_t (*function)(uint64_t))
{
    return loader_bind(&convert, function);
}

static enum err fragile_transfer(const struct cell_transfer *transfer)
{
    size_t bytes;
    const struct counts_v1 *old = transfer->find(transfer, ".bss.counts", &bytes);

    if (transfer->from_version != 1 || !old || bytes < sizeof *old)
        return ERR_INVALID;
    if (old->total >= FRAGILE_TOO_MUCH)
        panic("more than this version can count");
    counts_v2.calls = old->calls;
    counts_v2.total = old->total;
    return ERR_OK;
}
TRANSFER(fragile_transfer);
