/* The table of verbs. The function of a verb is verb_NAME, in the file of its subject. */
#pragma once
#include "cli/cli.h"

extern const struct verb verbs[]; /* ends with a NULL name */

/* machines.c */
enum cli_status verb_attach(struct call *call);
enum cli_status verb_detach(struct call *call);
enum cli_status verb_ps(struct call *call);
enum cli_status verb_stop(struct call *call);
enum cli_status verb_pause(struct call *call);
enum cli_status verb_resume(struct call *call);
enum cli_status verb_reset(struct call *call);
enum cli_status verb_snapshot(struct call *call);
enum cli_status verb_restore(struct call *call);
enum cli_status verb_snapshots(struct call *call);
enum cli_status verb_console(struct call *call);
/* run.c, gdb.c */
enum cli_status verb_run(struct call *call);
enum cli_status verb_gdb(struct call *call);
/* cells.c */
enum cli_status verb_namespaces(struct call *call);
enum cli_status verb_cells(struct call *call);
enum cli_status verb_sections(struct call *call);
enum cli_status verb_symbols(struct call *call);
enum cli_status verb_deps(struct call *call);
enum cli_status verb_memory(struct call *call);
/* cell.c */
enum cli_status verb_cell(struct call *call);
/* tasks.c */
enum cli_status verb_tasks(struct call *call);
enum cli_status verb_faults(struct call *call);
enum cli_status verb_events(struct call *call);
enum cli_status verb_swaps(struct call *call);
enum cli_status verb_counters(struct call *call);
/* verify.c, disasm.c, doctor.c, tui.c */
enum cli_status verb_verify(struct call *call);
enum cli_status verb_disasm(struct call *call);
enum cli_status verb_doctor(struct call *call);
enum cli_status verb_tui(struct call *call);
/* requests.c */
enum cli_status verb_swap(struct call *call);
enum cli_status verb_reload(struct call *call);
enum cli_status verb_load(struct call *call);
enum cli_status verb_unload(struct call *call);
enum cli_status verb_spawn(struct call *call);
enum cli_status verb_kill(struct call *call);
enum cli_status verb_ping(struct call *call);
/* ns.c, commits.c */
enum cli_status ns_log(struct call *call);
enum cli_status ns_branch(struct call *call);
enum cli_status ns_diff(struct call *call);
enum cli_status ns_checkout(struct call *call);
enum cli_status ns_rm(struct call *call);
/* evolve.c */
enum cli_status evolve_diff_builds(struct call *call);
enum cli_status verb_evolve(struct call *call);
/* inject.c */
enum cli_status verb_inject(struct call *call);
void inject_print_lists(void); /* models and targets */
/* campaign.c */
enum cli_status campaign_check(struct call *call);
enum cli_status campaign_start(struct call *call);
enum cli_status campaign_resume(struct call *call);
enum cli_status campaign_report(struct call *call);
enum cli_status campaign_tables(struct call *call);
enum cli_status campaign_compare(struct call *call);
enum cli_status campaign_replay_one(struct call *call);
