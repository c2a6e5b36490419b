/* See imports.h. */
#include "cells/recover/recovery/imports.h"
#include "cells/core/arena/arena.h"
#include "cells/recover/mend/mend.h"

static bool has_data(struct cell_ref cell)
{
    for_each_section_of (s, cell)
        if (section_kind_is_data(arena_section(s)->kind) && arena_section(s)->bytes)
            return true;
    return false;
}

bool imports_has(const struct cell_ref *cells, size_t count, struct cell_ref cell)
{
    for (size_t i = 0; i < count; i++)
        if (same(cells[i], cell))
            return true;
    return false;
}

/* Appends the cell to the first `count` of `reached` if its data may be replaced. Returns the new count. */
static size_t add_cell(struct cell_ref cell, struct cell_ref reached[IMPORTS_MAX], size_t count)
{
    if (count < IMPORTS_MAX && arena_cell(cell)->state == CELL_LIVE && arena_cell(cell)->object.index &&
        !mend_is_needed(cell) && !imports_has(reached, count, cell))
        reached[count++] = cell;
    return count;
}

/* The same with what `cell` imports from. */
static size_t add_imports(struct cell_ref cell, struct cell_ref reached[IMPORTS_MAX], size_t count)
{
    for_each_section_of (s, cell)
        for_each_edge_from (e, s)
            count = add_cell(arena_section(arena_edge(e)->to)->cell, reached, count);
    return count;
}

size_t imports_all(const struct cell_ref *cells, size_t count, struct cell_ref ret_cells[IMPORTS_MAX])
{
    size_t reached = 0;

    for (size_t i = 0; i < count; i++)
        reached = add_cell(cells[i], ret_cells, reached);
    for (size_t done = 0; done < reached; done++)
        reached = add_imports(ret_cells[done], ret_cells, reached);
    return reached;
}

size_t imports_with_data(struct cell_ref cell, unsigned depth, struct cell_ref ret_cells[IMPORTS_MAX])
{
    struct cell_ref reached[IMPORTS_MAX] = {cell};
    size_t count = 1, done = 0, found = 0;

    for (; depth > 0; depth--)
        for (size_t end = count; done < end; done++)
            count = add_imports(reached[done], reached, count);
    for (size_t i = 1; i < count; i++)
        if (has_data(reached[i]))
            ret_cells[found++] = reached[i];
    return found;
}
