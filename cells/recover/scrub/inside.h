/* What the scrubber's parts share. Each part is compared step by step; a step looks at little, and the task that takes
 * the steps may be preempted at any time. */
#pragma once
#include "cells/recover/fault/fault.h"

/* Takes a part's next step. Returns how much it was, in bytes compared or as many instructions; 0: the part's pass has
 * ended, and the next step begins another. */
typedef uint32_t scrub_step(void);
scrub_step scrub_cells;       /* cells.c */
scrub_step scrub_data;        /* cells.c: bound pointers, data that are set once */
scrub_step scrub_descriptors; /* descriptors.c */
scrub_step scrub_tables;      /* tables.c */
scrub_step scrub_records;     /* records.c */

/* Gives copies to all data that are set once and have none; cells.c. */
void scrub_copy_data(void);

/* Takes the next step of the slow pass over all pristine objects; objects.c. */
void scrub_objects(void);

/* Get memory, before the first step. ERR_NOMEM. */
enum err cells_init(void);
enum err tables_init(void);

/* Logs and counts a repair. `differed`: how many bytes, or other units as `unit` says. From a task, no lock held. */
void scrub_report(struct fault_damage damage, uint32_t differed, const char *unit);

/* ---- cells.c ---- */

/* The section of that name in a cell, or none; for the live cell of a name. */
struct section_ref scrub_section(const char *cell, const char *section);
