/* Arrays that grow by doubling. */
#pragma once
#include <stddef.h>
#include <stdlib.h>

/* Makes room for one more element. Returns the array, perhaps moved; NULL: no memory, and `array` is unchanged. */
static inline void *list_room(void *array, size_t used, size_t *capacity, size_t each)
{
    size_t more = *capacity ? 2 * *capacity : 64;

    if (used < *capacity)
        return array;
    void *grown = reallocarray(array, more, each);
    if (grown)
        *capacity = more;
    return grown;
}
