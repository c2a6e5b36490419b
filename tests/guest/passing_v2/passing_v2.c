/* The second version of the passing cell: a call more, and other data beside the same. */
#include "tests/guest/passing/passing.h"
#include "cells/kernel/channel/channel.h"
#include "cells/kernel/heap/heap.h"
#include "cells/kernel/lock/lock.h"
#include "cells/lib/format/format.h"

CELL("passing", LIBRARY, 2);
EXPORT(passing_call, LIBRARY);

static const char *const words[] = {"a", "cell", "that", "passes"};
static struct lock lock;
static uint32_t calls = 0;
static const uint32_t version = 2;
static uint64_t largest;
static char *kept;

/* What is new begins as it is; the rest has been copied. */
static enum err passing_transfer(const struct cell_transfer *)
{
    return ERR_OK;
}
TRANSFER(passing_transfer);

struct passing passing_call(uint64_t n)
{
    GUARD(lock) held = lock_take(&lock);
    struct channel_totals totals;

    channel_totals(&totals);
    largest = n > largest ? n : largest;
    format_print(kept, 32, "%s %lu", words[n % array_size(words)], totals.messages);
    return (struct passing){version, ++calls};
}

static enum err passing_init(void)
{
    kept = heap_alloc(32);
    return kept ? ERR_OK : ERR_NOMEM;
}
INIT(passing_init);

static enum err passing_done(void)
{
    heap_free(kept);
    kept = NULL;
    return ERR_OK;
}
DONE(passing_done);
