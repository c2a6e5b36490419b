/* See reclaim.h. Keeps no state but the functions that are bound. */
#include "cells/memory/reclaim/reclaim.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/edge/edge.h"
#include "cells/core/frame/frame.h"

CELL("reclaim", KERNEL, 1);
FOUNDATION();
EXPORT(reclaim_map, LIBRARY);
EXPORT(reclaim_caches, KERNEL);
EXPORT(reclaim_bind, KERNEL);
EXPORT(reclaim_bind_last, KERNEL);

#define GIVERS           8
#define RFLAGS_INTERRUPT 0x200

static void (*givers[GIVERS])(void);
static bool (*last_giver)(size_t frames, size_t tried);

enum err reclaim_bind(void (*give)(void))
{
    for (size_t i = 0; i < GIVERS; i++)
        if (!givers[i] || givers[i] == give)
            return edge_bind(&givers[i], give);
    return ERR_FULL;
}

enum err reclaim_bind_last(bool (*make_room)(size_t frames, size_t tried))
{
    return edge_bind(&last_giver, make_room);
}

static bool is_enough(size_t frames)
{
    return frames + frame_total_count() / RECLAIM_SYSTEM_PART <= frame_free_count();
}

/* Who holds a spin lock has interrupts off. */
static bool may_wait(void)
{
    uint64_t rflags;

    __asm__ volatile("pushfq; popq %0" : "=r"(rflags)::"memory");
    return rflags & RFLAGS_INTERRUPT && cpu_task() && !cpu_this()->preempt_off;
}

bool reclaim_caches(size_t frames)
{
    for (size_t i = 0; i < GIVERS && !is_enough(frames); i++)
        if (givers[i])
            givers[i]();
    return is_enough(frames);
}

struct mapped_pages *reclaim_map(size_t bytes, unsigned flags)
{
    size_t frames = (bytes + FRAME_BYTES - 1) / FRAME_BYTES;
    bool waits = !arena_may_use_reserve() && may_wait();

    if (waits && !is_enough(frames) && !reclaim_caches(frames) && last_giver)
        (void)last_giver(frames, RECLAIM_NOT_TRIED);
    for (;;) {
        size_t free = frame_free_count();
        struct mapped_pages *mp = page_map(bytes, flags);
        if (mp || !waits || !last_giver || !last_giver(frames, free))
            return mp;
    }
}
