/* The table of verbs. The function of a verb is verb_NAME, in the file of its subject. */
#pragma once
#include "cli/cli.h"

extern const struct verb verbs[]; /* ends with a NULL name */

/* machines.c */
int verb_ps(int argc, char **argv);
int verb_stop(int argc, char **argv);
int verb_pause(int argc, char **argv);
int verb_resume(int argc, char **argv);
int verb_reset(int argc, char **argv);
int verb_console(int argc, char **argv);
/* run.c */
int verb_run(int argc, char **argv);
/* cells.c */
int verb_namespaces(int argc, char **argv);
int verb_ns(int argc, char **argv);
int verb_cells(int argc, char **argv);
int verb_sections(int argc, char **argv);
int verb_symbols(int argc, char **argv);
int verb_deps(int argc, char **argv);
int verb_memory(int argc, char **argv);
/* cell.c */
int verb_cell(int argc, char **argv);
/* tasks.c */
int verb_tasks(int argc, char **argv);
int verb_faults(int argc, char **argv);
int verb_events(int argc, char **argv);
int verb_counters(int argc, char **argv);
/* verify.c, disasm.c, doctor.c, tui.c */
int verb_verify(int argc, char **argv);
int verb_disasm(int argc, char **argv);
int verb_doctor(int argc, char **argv);
int verb_tui(int argc, char **argv);
/* requests.c */
int verb_swap(int argc, char **argv);
int verb_swaps(int argc, char **argv);
int verb_reload(int argc, char **argv);
int verb_load(int argc, char **argv);
int verb_unload(int argc, char **argv);
int verb_spawn(int argc, char **argv);
int verb_ping(int argc, char **argv);
/* evolve.c */
int verb_evolve(int argc, char **argv);
/* inject.c */
int verb_inject(int argc, char **argv);
/* campaign.c */
int verb_campaign(int argc, char **argv);
