/* Room for one element more in an array that doubles. */
#pragma once
#include <stddef.h>
#include <stdlib.h>

/* `array` or what takes its place; NULL: no memory, and `array` is as it was. */
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
