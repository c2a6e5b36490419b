/* A bad version of fragile: fragile_word is missing. */
#include "tests/guest/fragile/version.h"

CELL("fragile", DRIVER, 3);
EXPORT(fragile_call, APPLICATION);

void fragile_call(void (*function)(uint64_t), uint64_t argument)
{
    function(argument);
    counts.calls++;
}
