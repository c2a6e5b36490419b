/* See mend.h; mender.h has all that both menders do. */
#include "cells/recover/mender/mender.h"

CELL("mend", KERNEL, 1);
FOUNDATION();
EXPORT(mend_all, KERNEL);
EXPORT(mend_tables, KERNEL);
EXPORT(mend_cell, KERNEL);
EXPORT(mend_section, KERNEL);
EXPORT(mend_is_damaged, KERNEL);
EXPORT(mend_is_whole, KERNEL);
EXPORT(mend_find_damage, KERNEL);
EXPORT(mend_is_core, KERNEL);
EXPORT(mend_is_needed, KERNEL);

bool mend_is_core(struct cell_ref cell)
{
    return is_core(cell);
}

bool mend_is_needed(struct cell_ref cell)
{
    return is_needed(cell);
}

bool mend_is_damaged(struct section_ref section)
{
    return is_record_sound(ARENA_SECTIONS, section.index) && differs(section_record(section));
}

bool mend_section(struct section_ref section, struct mend_found *ret_found)
{
    const struct arena_section *s = section_record(section);

    return is_record_sound(ARENA_SECTIONS, section.index) && is_record_sound(ARENA_CELLS, s->cell.index) &&
           mend_sound_section(s, ret_found);
}

bool mend_is_whole(struct cell_ref cell)
{
    return is_whole(cell);
}

/* The cell's first datum that is set once and damaged. */
static struct section_ref first_wrong_set_once(struct cell_ref cell)
{
    const struct arena_cell *c = cell_record(cell);
    uint32_t left = c->data_bytes ? c->sections : 0;

    for (struct section_ref i = c->first_section; left && is_in_table(ARENA_SECTIONS, i.index);
         i = section_record(i)->next_in_cell, left--) {
        const struct arena_section *section = section_record(i);
        if (section->copy_phys && same(section->cell, cell) && is_record_sound(ARENA_SECTIONS, i.index) &&
            differs(section))
            return i;
    }
    return NO_SECTION;
}

struct section_ref mend_find_damage(struct cell_ref cell)
{
    bool whole;

    if (!is_record_sound(ARENA_CELLS, cell.index))
        return NO_SECTION;
    struct section_ref damaged = find_damage(cell, &whole);
    return damaged.index ? damaged : first_wrong_set_once(cell);
}

unsigned mend_all(const struct cell_ref *cells, unsigned count)
{
    return mend_many(cells, count);
}

unsigned mend_cell(struct cell_ref cell)
{
    return is_record_sound(ARENA_CELLS, cell.index) ? mend_whole_cell(cell) : 0;
}

unsigned mend_tables(struct cell_ref cell)
{
    return is_record_sound(ARENA_CELLS, cell.index) ? mend_its_tables(cell) : 0;
}
