/* See flash.h. */
#include "tui/flash.h"
#include <stdlib.h>
#include <string.h>

void flash_done(struct flash *flash)
{
    free(flash->item);
    *flash = (struct flash){0};
}

/* The first item whose id is not smaller. */
static size_t place_of(const struct flash *flash, uint64_t id)
{
    size_t low = 0, high = flash->items;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (flash->item[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool make_room(struct flash *flash, size_t at)
{
    if (flash->items == flash->capacity) {
        size_t capacity = flash->capacity ? 2 * flash->capacity : 64;
        struct flash_item *item = reallocarray(flash->item, capacity, sizeof *item);
        if (!item)
            return false;
        flash->item = item;
        flash->capacity = capacity;
    }
    memmove(flash->item + at + 1, flash->item + at, (flash->items - at) * sizeof *flash->item);
    flash->items++;
    return true;
}

bool flash_see(struct flash *flash, uint64_t id, uint64_t state, int64_t now_ms)
{
    size_t at = place_of(flash, id);
    struct flash_item *item;

    if (at < flash->items && flash->item[at].id == id) {
        item = &flash->item[at];
        if (item->state != state)
            item->changed_ms = now_ms;
        item->state = state;
    } else {
        if (!make_room(flash, at))
            return false;
        item = &flash->item[at];
        *item = (struct flash_item){id, state, flash->begun ? now_ms : 0};
    }
    return item->changed_ms && now_ms - item->changed_ms < FLASH_MS;
}
