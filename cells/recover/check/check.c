/* See check.h. All memory that the walk needs is there from the beginning, since memory may be what is out. */
#include "cells/recover/check/check.h"
#include "cells/core/page/page.h"
#include "cells/lib/string/string.h"
#include "cells/recover/check/inside.h"
#include "cells/recover/mend/mend.h"
#include "cells/task/park/park.h"
#include "cells/task/scheduler/scheduler.h"

CELL("check", KERNEL, 1);
FOUNDATION();
EXPORT(check_data, KERNEL);

#define LOOKS        3
#define LOOK_APART   5000000ull /* ns */
#define FINDINGS_MAX 8          /* of one look */

static struct mapped_pages *walk_pages;
SET_ONCE(walk_pages);
static struct check_finding found[FINDINGS_MAX], before[FINDINGS_MAX];

static size_t look(struct walk *walk)
{
    GUARD(park) parked = park_all();

    walk->finding = found;
    walk->max = FINDINGS_MAX;
    walk_all(walk);
    return walk->findings < walk->max ? walk->findings : walk->max;
}

/* The addresses would keep cells that have been replaced since: whoever looks for references finds them here. */
static void forget(void)
{
    memset(found, 0, sizeof found);
    memset(before, 0, sizeof before);
}

/* Keeps those of the looks before that have been found again. */
static size_t keep_same(size_t count, size_t again)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < again; k++)
            if (before[i].address == found[k].address && before[i].value == found[k].value) {
                before[kept++] = before[i];
                break;
            }
    return kept;
}

size_t check_data(const struct cell_ref *cells, size_t count, struct check_finding *ret_findings, size_t max)
{
    struct walk *walk = page_start(walk_pages);

    walk->notes = 0;
    for (size_t i = 0; i < count && walk->notes < NOTES_MAX; i++)
        if (!mend_is_needed(cells[i]) && rules_of_cell(cells[i], &walk->note[walk->notes]))
            walk->notes++;
    size_t wrong = look(walk);
    memcpy(before, found, sizeof before);
    for (unsigned i = 1; wrong && i < LOOKS; i++) {
        scheduler_sleep_ns(LOOK_APART);
        wrong = keep_same(wrong, look(walk));
    }
    for (size_t i = 0; i < wrong && i < max; i++)
        ret_findings[i] = before[i];
    forget();
    return wrong;
}

static enum err check_init(void)
{
    if (!walk_pages)
        walk_pages = page_map(sizeof(struct walk), PAGE_WRITE | PAGE_OPAQUE);
    return walk_pages ? ERR_OK : ERR_NOMEM;
}
INIT(check_init);
