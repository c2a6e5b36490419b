/* Whether the arena's records of cells, sections, symbols, edges and objects agree with each other. */
#pragma once

/* What is wrong, for people; NULL: nothing. */
const char *audit(void);
