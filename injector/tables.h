/* A campaign's results as tables of Markdown: by model, workload, kind of memory and cause, beside those of the thesis
 * (table 9.1), and the list of what was lost. */
#pragma once
#include "injector/database.h"
#include <stdio.h>

/* On failure `why` says what could not be read, and part of the tables may be printed. ERR_UNSUPPORTED: the database
 * has an earlier format. */
enum err tables_print(struct database *database, FILE *to, struct why *why);
