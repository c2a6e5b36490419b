/* Rows about cells that more than one verb prints. */
#pragma once
#include "cli/reading.h"

extern const struct column cells_section_columns[], cells_symbol_columns[], cells_edge_columns[];

/* One row per section, symbol (exported, with --all every one) or edge (that leaves, with --in that leads there). */
void cells_add_sections(struct reading *r, uint32_t cell);
void cells_add_symbols(struct reading *r, uint32_t cell);
void cells_add_edges(struct reading *r, uint32_t cell);

uint64_t cells_bytes(const struct arena_cell *cell); /* in memory */
/* "cell:.text.function" */
void cells_section_label(const struct view *view, uint32_t section, char *ret_label, size_t bytes);
