/* See passing.h. */
#include "tests/guest/passing/passing.h"
#include "cells/kernel/channel/channel.h"
#include "cells/kernel/heap/heap.h"
#include "cells/kernel/lock/lock.h"
#include "cells/lib/format/format.h"

CELL("passing", LIBRARY, 1);
EXPORT(passing_call, LIBRARY);

static const char *const words[] = {"a", "cell", "that", "passes"};
static struct lock lock;
static uint32_t calls = 0;
static uint32_t version = 1;
static char *kept;

struct passing passing_call(uint64_t n)
{
    GUARD(lock) held = lock_take(&lock);
    struct channel_totals totals;

    channel_totals(&totals);
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
