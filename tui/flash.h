/* Which things have changed lately, so that the screen can mark them. A thing is known by its id, and its state by a
 * number that differs when it has changed. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FLASH_MS = 3000 };

struct flash_item {
    uint64_t id, state;
    int64_t changed_ms; /* 0: it has not changed since it was first seen */
};

struct flash {
    struct flash_item *item; /* owned, in order of id */
    size_t items, capacity;
    bool begun; /* what is seen for the first time is new */
};

void flash_done(struct flash *flash);
/* Says what state a thing is in now; returns whether it has changed within the last FLASH_MS. */
bool flash_see(struct flash *flash, uint64_t id, uint64_t state, int64_t now_ms);
