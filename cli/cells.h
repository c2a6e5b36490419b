/* Rows about a cell that more than one verb prints. */
#pragma once
#include "cli/reading.h"

/* Add a row per section, symbol (exported; with --all every one) or edge (that leaves; with reading->in, that
 * arrives), to an `out` with the columns table_sections, table_symbols or table_edges. */
void cells_add_sections(struct reading *reading, struct cell_ref cell);
void cells_add_symbols(struct reading *reading, struct cell_ref cell);
void cells_add_edges(struct reading *reading, struct cell_ref cell);
