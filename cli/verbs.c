/* See verbs.h. The order is the one of `delias --help`. */
#include "cli/verbs.h"
#include <stddef.h>

static const char run_help[] =
    "  MACHINE.yaml     the machine (default: the kernel and archive beside this program, 2 CPUs, 64 MiB)\n"
    "  --name N         call it N\n"
    "  --accel A        auto, kvm or tcg; auto takes KVM where /dev/kvm works, and says which and why\n"
    "  --cpus N         number of CPUs\n"
    "  --kernel FILE    the nano_core image\n"
    "  --archive FILE   the cells beside it\n"
    "  --append TEXT    more of the guest's command line\n"
    "  --detach         wait until the guest is ready, then leave it running\n"
    "  --tui            the same, then open the TUI on it (the default on a terminal)\n"
    "  --console        connect this terminal to its serial line; Ctrl-] leaves it running\n"
    "  --timeout S      how long the guest may take to get ready (default 60)\n";
static const char reading_help[] = CLI_READING_HELP;
static const char all_help[] =
    CLI_READING_HELP "  -a, --all        also cells that are loading or old, and private symbols\n";
static const char cell_help[] =
    CLI_READING_HELP "  -a, --all        also private symbols, and every edge with its relocation\n";
static const char deps_help[] =
    CLI_READING_HELP "  -i, --in         edges that lead here, in place of those that leave\n"
                     "  -a, --all        also of cells that are loading or old\n";
static const char last_help[] = CLI_READING_HELP "  -n, --last N     only the newest N\n";
static const char machine_help[] = "  -m, --machine N  the machine, in place of the operand\n"
                                   "\nN may be left out when exactly one machine runs.\n";
#define REQUEST_HELP                                                                                                   \
    "  -m, --machine N  the machine, when it is not the first operand\n"                                               \
    "  -t, --timeout S  how long the guest may take (default 10)\n"                                                    \
    "  -j, --json       for scripts\n"
#define SPACE_HELP "  -s, --namespace NS\n                   in that one, in place of the root\n"
static const char request_help[] = REQUEST_HELP;
static const char reload_help[] = "  -n, --dry-run    print the plan, change nothing\n" SPACE_HELP REQUEST_HELP;
static const char space_help[] = SPACE_HELP REQUEST_HELP;
static const char verify_help[] = CLI_READING_HELP
    "\nText, read-only data and unwind tables of every cell; its static data changes by right. Status 1: something\n"
    "differs, or a record of the arena is damaged.\n";
static const char swap_help[] =
    "  -n, --dry-run    load in isolation, verify, print the plan and what it would touch, change nothing\n"
    "  -r, --recipes F  take static data of another type over as F says, from `cell transfer`\n" SPACE_HELP REQUEST_HELP
    "\nAll operands are one transaction: all cells are swapped, or none. With several names on either side cells are\n"
    "merged, split or renamed; without a name they are added, without an object removed.\n";

static const char ns_help[] =
    "  list             namespaces, what they come from, cells that they hold themselves, tasks\n"
    "  log [NS]         commits of NS (default: root), newest first, and whether they can be checked out\n"
    "  branch NS [OF]   make NS, which has all that OF (default: root) has\n"
    "  diff NS NS       cells that are not of the same object in both; with --all also copies of the same\n"
    "  diff NS COMMIT [COMMIT]\n"
    "                   the same of NS and what it was after a commit, or of what it was after two\n"
    "  checkout NS COMMIT|OTHER\n"
    "                   make NS of what it was made of then, or of what OTHER has, in one transaction\n"
    "  rm NS            remove it; not while tasks run in it or branches of it are there\n"
    "  --cpu K          branch: its tasks run on CPU K only\n"
    "  --simd           branch: its tasks save SIMD registers, and its cells may use them\n"
    "  -n, --dry-run    checkout: verify, print the plan, change nothing\n"
    "  -r, --recipes F  checkout: take static data of another type over as F says\n" REQUEST_HELP
    "\nA commit is a number in `delias swaps`. `delias swap --namespace NS` makes one; `delias spawn --namespace NS` "
    "runs\n"
    "something there.\n";

static const char evolve_help[] =
    "Of diff, which compares two build folders and says what it takes to go from one to the other:\n"
    "  -o, --output F   write the manifest\n"
    "  --drop FIELD     what the field, or the datum, holds may be lost\n"
    "  --rename FIELD=NAME  the field is called NAME in the new build\n"
    "  -j, --json       print the manifest\n"
    "\nElse, to apply a manifest as one transaction:\n"
    "  -n, --dry-run    load in isolation, verify, print the plan and what it would touch, change "
    "nothing\n" REQUEST_HELP;

static const char inject_help[] =
    "  --into TARGET    cell:NAME[:SECTION], symbol:NAME[+OFFSET[+BYTES]], task:NAME:stack,\n"
    "                   phys:ADDRESS[+BYTES] or random;\n"
    "                   SECTION .text, .rodata, .data, .bss is all of that kind; NAME * is every one\n"
    "  --model MODEL    flip (default), flips:N, stuck0, stuck1, byte, overwrite64, zero, trap\n"
    "  --at TRIGGER     now (default), rounds:N of the workload from now, ms:N from now\n"
    "  --seed S         which place and bit; the same seed picks the same in the same guest\n"
    "  --hold MS        go on asserting what was changed for so long (stuck0, stuck1)\n"
    "  -n, --dry-run    print what would be changed, change nothing\n"
    "  -m, --machine N  the machine, when it is not the first operand\n"
    "  -j, --json       for scripts\n";
static const char campaign_help[] =
    "  check FILE       whether a campaign file is good\n"
    "  run FILE         run it into a new database\n"
    "  resume DB        run what is missing in it\n"
    "  report DB        outcomes, and the rate of recovery with its interval; also while it runs\n"
    "  replay DB INDEX  do one experiment again\n"
    "  -o, --output DB  the database of `run` (default: the file's name, here, with .db)\n"
    "  -j, --json       for scripts\n";

const struct verb verbs[] = {
    {"run", "[MACHINE.yaml] [--name N] [--accel auto|kvm|tcg] [--detach|--tui|--console]", "Start a machine", run_help,
     verb_run},
    {"ps", "[--json]", "List the machines of this user", NULL, verb_ps},
    {"stop", "[N]", "End a machine", machine_help, verb_stop},
    {"pause", "[N]", "Halt its CPUs", machine_help, verb_pause},
    {"resume", "[N]", "Let its CPUs go on", machine_help, verb_resume},
    {"reset", "[N]", "Start its guest anew, as from power-on", machine_help, verb_reset},
    {"console", "[N]", "Connect the terminal to its serial line; Ctrl-] leaves", machine_help, verb_console},
    {"namespaces", "[N]", "List namespaces", reading_help, verb_namespaces},
    {"cells", "[N]", "List cells", all_help, verb_cells},
    {"cell", "[N] CELL", "All about one cell", cell_help, verb_cell},
    {"sections", "[N] [CELL]", "List sections, the pages that hold them, and how many edges they have", all_help,
     verb_sections},
    {"symbols", "[N] [CELL]", "List exported symbols", all_help, verb_symbols},
    {"deps", "[N] [CELL[:SECTION]]", "List dependencies between sections, each with its relocation", deps_help,
     verb_deps},
    {"memory", "[N] [CELL]", "List regions of memory by owner", all_help, verb_memory},
    {"tasks", "[N]", "List tasks", reading_help, verb_tasks},
    {"faults", "[N]", "List logged faults and what was done about them", last_help, verb_faults},
    {"events", "[N]", "List events", last_help, verb_events},
    {"counters", "[N]", "Print counters", reading_help, verb_counters},
    {"verify", "[N]", "Compare every loaded section with what the loader should have written", verify_help,
     verb_verify},
    {"disasm", "[N] CELL[:SECTION]", "Disassemble live code, relocations named", reading_help, verb_disasm},
    {"ns", "[N] list|log|branch|diff|checkout|rm [OPERAND ...]", "List, make, compare, lead back and remove namespaces",
     ns_help, verb_ns},
    {"swap", "[N] OLD[,OLD]=NEW.o[,NEW.o] ... [--recipes FILE] [--dry-run]", "Replace cells of a running guest",
     swap_help, verb_swap},
    {"evolve", "diff OLDBUILD NEWBUILD [-o MANIFEST] | [N] MANIFEST [--dry-run]",
     "Lead a running guest from one build to another", evolve_help, verb_evolve},
    {"swaps", "[N]", "List the swaps that were tried, and how they went", last_help, verb_swaps},
    {"reload", "[N] CELL [--dry-run]", "Replace a cell by a fresh copy of itself", reload_help, verb_reload},
    {"load", "[N] CELL.o", "Load one more cell from a file", space_help, verb_load},
    {"unload", "[N] CELL", "Unload a cell that nothing needs", space_help, verb_unload},
    {"spawn", "[N] CELL [ARG ...]", "Run an application cell", space_help, verb_spawn},
    {"ping", "[N]", "Ask the guest whether it answers", request_help, verb_ping},
    {"doctor", "[--json]", "Check what machines need here, and how those that run are", NULL, verb_doctor},
    {"tui", "[N]", "Browse a machine in the terminal", machine_help, verb_tui},
    {"inject", "[N] --into TARGET [--model MODEL] [--at TRIGGER] [--seed S]", "Change memory of a running guest",
     inject_help, verb_inject},
    {"campaign", "check|run|resume|report|replay FILE|DB [INDEX]", "Run and report fault-injection campaigns",
     campaign_help, verb_campaign},
    {0},
};
