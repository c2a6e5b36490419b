/* Whether the set of loaded cells has changed, read from the guest's memory. */
#include <stddef.h>
#include "debugger/internal.h"
#include "guest/abi/arena.h"

uint64_t proxy_watched(void)
{
    return LAYOUT_DIRECT_VIRT + LAYOUT_ARENA_PHYS + offsetof(struct arena_header, swap_number);
}

static uint64_t generation(const struct debugger *d)
{
    const struct arena_header *header = (const void *)(d->ram + LAYOUT_ARENA_PHYS);

    if (d->ram_bytes < LAYOUT_ARENA_PHYS + sizeof *header)
        return 0;
    return __atomic_load_n(&header->generation, __ATOMIC_ACQUIRE);
}

bool proxy_is_stale(const struct proxy *p)
{
    return generation(p->debugger) != p->generation;
}

void proxy_look(struct proxy *p)
{
    struct debugger *d = p->debugger;
    uint64_t now = generation(d);
    enum err e = ERR_OK;
    OWN(view) struct view *view = view_take_soon(d->ram, d->ram_bytes, &e);

    /* It is in the middle of a change: soon it will not be. */
    if (p->running && (e == ERR_BUSY || (view && view_is_torn(view))))
        return;
    p->generation = now;
    if (view || e == ERR_NOT_FOUND)
        p->untold |= libraries_look(d->libraries, view);
}
