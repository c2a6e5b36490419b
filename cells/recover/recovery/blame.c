/* See blame.h. */
#include "cells/recover/recovery/blame.h"
#include "cells/core/arena/arena.h"
#include "cells/recover/check/check.h"
#include "cells/recover/fault/fault.h"
#include "cells/recover/recovery/imports.h"
#include "cells/recover/recovery/lines.h"

static void log_finding(const struct check_finding *finding)
{
    const struct fault_damage damage = {.cell = finding->cell,
                                        .address = finding->address,
                                        .place = finding->path,
                                        .message = finding->what,
                                        .action = FAULT_ACTION_RELOAD};

    fault_log_damage(&damage);
    lines_later("recovery: cell %s: %s at %lx is wrong: %s", arena_string(arena_cell(finding->cell)->name),
                finding->path, finding->address, finding->what);
}

size_t blame_data(const struct arena_fault *fault, struct cell_ref cell, struct cell_ref ret_cells[BLAMED_MAX])
{
    struct cell_ref cells[FAULT_CELLS + 1], reached[IMPORTS_MAX];
    struct check_finding findings[BLAMED_MAX];
    unsigned count = fault_cells(fault->seq, cells);
    size_t blamed = 0;

    if (cell.index)
        cells[count++] = cell;
    size_t wrong = check_data(reached, imports_all(cells, count, reached), findings, BLAMED_MAX);
    for (size_t i = 0; i < wrong && i < BLAMED_MAX; i++) {
        log_finding(&findings[i]);
        if (!imports_has(ret_cells, blamed, findings[i].cell))
            ret_cells[blamed++] = findings[i].cell;
    }
    return blamed;
}
