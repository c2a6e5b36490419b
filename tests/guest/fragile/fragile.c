/* See fragile.h. */
#include "tests/guest/fragile/version.h"

CELL("fragile", DRIVER, 1);
EXPORT(fragile_word, APPLICATION);
EXPORT(fragile_call, APPLICATION);

static const char *const words[] = {"one", "two", "three"};
static const char *const *words_now = words;

const char *fragile_word(unsigned i)
{
    return i < array_size(words) ? words_now[i] : NULL;
}

void fragile_call(void (*function)(uint64_t), uint64_t argument)
{
    function(argument);
    counts.calls++;
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
