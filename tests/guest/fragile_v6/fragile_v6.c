/* Fragile with other code, and the same data. */
#include "tests/guest/fragile/version.h"

CELL("fragile", DRIVER, 6);
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
    if (function)
        function(argument);
    counts.calls++;
}
