/* See mend_second.h. */
#include "cells/recover/mend_second/mend_second.h"
#include "cells/recover/mender/mender.h"

CELL("mend_second", KERNEL, 1);
FOUNDATION();
EXPORT(mend_second_all, KERNEL);
EXPORT(mend_second_is_first_right, KERNEL);
EXPORT(mend_second_first, KERNEL);

unsigned mend_second_all(const struct cell_ref *cells, unsigned count)
{
    return mend_many(cells, count);
}

/* The checksum of the first mender when this one last found it right. What its record says the first may have written
 * while it was damaged. */
static uint64_t right;

static bool is_first_mender(struct cell_ref cell)
{
    const struct arena_cell *c = cell_record(cell);

    return c->state == CELL_LIVE && (uint64_t)mend_cell - c->text_virt < c->text_bytes;
}

static struct cell_ref first_mender(void)
{
    static struct cell_ref last; /* where it was */
    uint32_t used = header_direct()->table[ARENA_CELLS].used;

    if (is_in_table(ARENA_CELLS, last.index) && is_first_mender(last))
        return last;
    for (struct cell_ref cell = {1}; cell.index < used; cell.index++)
        if (is_first_mender(cell))
            return last = cell;
    return NO_CELL;
}

bool mend_second_is_first_right(void)
{
    struct cell_ref cell = first_mender();
    bool sealed;

    if (!is_record_sound(ARENA_CELLS, cell.index))
        return true;
    uint64_t sum = sum_of(cell_record(cell));
    if (sum == right)
        return true;
    if (first_damaged(cell, &sealed).index)
        return false;
    if (sealed)
        right = sum;
    return true;
}

unsigned mend_second_first(void)
{
    uint32_t used = header_direct()->table[ARENA_CELLS].used;
    unsigned mended = mend_second_is_first_right() ? 0 : mend_sections(first_mender(), false);

    for (struct cell_ref cell = {1}; mended && cell.index < used; cell.index++)
        cell_record(cell)->sum = 0; /* kept by a mender that was damaged */
    return mended;
}
