/* A swap of several cells by members of the archive, for tests that do it again and again. */
#pragma once
#include "cells/kernel/archive/archive.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/loader/loader.h"
#include "cells/kernel/log/log.h"
#include "cells/kernel/swap/swap.h"

/* Both lists end with NULL. */
static inline enum err exchange_cells(const char *const *old, const char *const *member, unsigned flags,
                                      struct arena_completion *report)
{
    GUARD(loader) turn = loader_hold();
    struct swap_order order = {.namespace_ = NAMESPACE_ROOT, .flags = flags};
    struct loader_detail detail;
    struct archive_member found;

    for (; *old; old++)
        order.old[order.olds++] = arena_cell_find(NAMESPACE_ROOT, *old);
    for (; *member; member++) {
        enum err e = archive_find(*member, &found);
        if (!e)
            e = loader_keep_object(found.data, found.bytes, &order.object[order.objects], &detail);
        if (e) {
            log_warn("%s: %s", *member, err_text(e));
            while (order.objects)
                loader_drop_object(order.object[--order.objects]);
            return e;
        }
        order.objects++;
    }
    enum err e = swap_cells(&order, report);
    if (e)
        log_warn("swap: %s: %s", err_text(e), report->detail);
    return e;
}
