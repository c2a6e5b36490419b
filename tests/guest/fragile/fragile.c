/* See fragile.h. */
#include "tests/guest/fragile/fragile.h"
#include "cells/kernel/loader/loader.h"
#include "cells/kernel/lock/lock.h"

CELL("fragile", DRIVER, 1);
EXPORT(fragile_add, APPLICATION);
EXPORT(fragile_calls, APPLICATION);
EXPORT(fragile_word, APPLICATION);
EXPORT(fragile_call, APPLICATION);
EXPORT(fragile_bind, APPLICATION);

static const char *const words[] = {"one", "two", "three"};
static struct {
    struct lock lock;
    uint64_t total, calls;
} counts;
static const char *const *words_now = words;

static uint64_t itself(uint64_t n)
{
    return n;
}

static uint64_t (*convert)(uint64_t n) = itself;

uint64_t fragile_add(uint64_t n)
{
    GUARD(lock) held = lock_take(&counts.lock);

    counts.calls++;
    counts.total += convert(n);
    return counts.total;
}

uint64_t fragile_calls(void)
{
    GUARD(lock) held = lock_take(&counts.lock);

    return counts.calls;
}

const char *fragile_word(unsigned i)
{
    return i < array_size(words) ? words_now[i] : NULL;
}

void fragile_call(void (*function)(uint64_t), uint64_t argument)
{
    function(argument);
    counts.calls++;
}

enum err fragile_bind(uint64_t (*function)(uint64_t))
{
    return loader_bind(&convert, function);
}

static enum err fragile_transfer(const struct cell_transfer *transfer)
{
    const uint64_t *of_v2; /* calls, total */
    size_t bytes;

    if (transfer->from_version != 2) /* the same data */
        return ERR_OK;
    of_v2 = transfer->find(transfer, ".bss.counts_v2", &bytes);
    if (!of_v2 || bytes < 2 * sizeof *of_v2)
        return ERR_INVALID;
    counts.calls = of_v2[0];
    counts.total = of_v2[1];
    return ERR_OK;
}
TRANSFER(fragile_transfer);
