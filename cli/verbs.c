/* See verbs.h. The order is the one of `delias --help`; docs/delias.1 is compared with it. */
#include "cli/verbs.h"
#include <stddef.h>
#include "guest/abi/arena.h"
#include "injector/campaign.h"
#include "vmm/machine/machine.h"

/* ---- options ---- */

#define FLAG(letter, name, member, help)                                                                               \
    {                                                                                                                  \
        name, letter, OPTION_FLAG, offsetof(struct call, member), NULL, help, 0, 0                                     \
    }
#define TEXT(letter, name, member, value, help)                                                                        \
    {                                                                                                                  \
        name, letter, OPTION_TEXT, offsetof(struct call, member), value, help, 0, 0                                    \
    }
#define WORDS(name, value, help)                                                                                       \
    {                                                                                                                  \
        name, 0, OPTION_LIST, offsetof(struct call, words), value, help, 0, 0                                          \
    }
#define NUMBER(letter, name, member, value, min, max, help)                                                            \
    {                                                                                                                  \
        name, letter, OPTION_NUMBER, offsetof(struct call, member), value, help, min, max                              \
    }

enum { TIMEOUT_MAX_S = 3600, HOLD_MAX_MS = 86400000 };

#define MACHINE      TEXT('m', "machine", machine, "N", "the machine, when it is not the first operand")
#define JSON         FLAG('j', "json", json, "for scripts")
#define OUTPUT(help) TEXT('o', "output", output, "F", help)

/* Of the verbs that read, and of those that ask the guest for something. */
#define READING                                                                                                        \
    MACHINE, FLAG('f', "follow", follow, "print again every second (or what is new), until interrupted"), JSON
#define REQUEST                                                                                                        \
    MACHINE, NUMBER('t', "timeout", timeout, "S", 1, TIMEOUT_MAX_S, "how long the guest may take (default 10)"), JSON
#define NAMESPACE TEXT('s', "namespace", namespace_, "NS", "in that one, in place of the root")
#define DRY_RUN   FLAG('n', "dry-run", dry_run, "verify, print the plan, change nothing")
#define RECIPES                                                                                                        \
    TEXT('r', "recipes", recipes, "F", "take over static data of another type as F says (from `cell transfer`)")
#define TRANSFER_MS                                                                                                    \
    NUMBER(0, "transfer-ms", transfer_ms, "MS", 1, REQUEST_TRANSFER_MS_MAX,                                            \
           "how long each TRANSFER function may take (default 2000)")
#define LAST NUMBER('n', "last", last, "N", 1, 0, "only the newest N")

static const struct option_rule json_options[] = {JSON, {0}};
static const struct option_rule machine_options[] = {
    TEXT('m', "machine", machine, "N", "the machine, in place of the operand"), {0}};
static const struct option_rule steering_json_options[] = {MACHINE, JSON, {0}};
static const struct option_rule restore_options[] = {
    FLAG('a', "audit", audit, "then compare all of it with the snapshot; status 1 if something differs"),
    MACHINE,
    JSON,
    {0}};
static const struct option_rule tui_options[] = {
    TEXT('m', "machine", machine, "N", "the machine, in place of the operand"),
    FLAG(0, "readonly", readonly, "no key changes anything"),
    {0}};
static const struct option_rule reading_options[] = {READING, {0}};
static const struct option_rule all_options[] = {
    READING, FLAG('a', "all", all, "also cells that are loading or old, and private symbols"), {0}};
static const struct option_rule cell_options[] = {
    READING, FLAG('a', "all", all, "also private symbols, and every edge with its relocation"), {0}};
static const struct option_rule deps_options[] = {
    READING,
    FLAG('i', "in", in, "edges that arrive, in place of those that leave"),
    FLAG('a', "all", all, "also of cells that are loading or old"),
    {0}};
static const struct option_rule last_options[] = {READING, LAST, {0}};
static const struct option_rule request_options[] = {REQUEST, {0}};
static const struct option_rule namespace_options[] = {NAMESPACE, REQUEST, {0}};
static const struct option_rule reload_options[] = {DRY_RUN, TRANSFER_MS, NAMESPACE, REQUEST, {0}};
static const struct option_rule swap_options[] = {DRY_RUN, RECIPES, TRANSFER_MS, NAMESPACE, REQUEST, {0}};
#define CONNECT(help) TEXT(0, "connect", connect, "URI", help)
static const struct option_rule attach_options[] = {CONNECT("where libvirt has it, as qemu:///session"),
                                                    TEXT(0, "name", name, "N", "call it N (default: as the domain)"),
                                                    {0}};
static const struct option_rule run_options[] = {
    TEXT(0, "name", name, "N", "call it N"),
    TEXT(0, "accel", accel, "A", "auto, kvm or tcg; auto takes KVM where /dev/kvm works, and says which and why"),
    CONNECT("have libvirt run it in QEMU, with a URI as qemu:///session"),
    NUMBER(0, "cpus", cpus, "N", 1, MACHINE_CPUS_MAX, "number of CPUs"),
    {"ram", 0, OPTION_SIZE, offsetof(struct call, ram), "SIZE", "memory: bytes, or with K, M or G", 0, 0},
    TEXT(0, "kernel", kernel, "FILE", "the nano_core image"),
    TEXT(0, "archive", archive, "FILE", "the cells beside it"),
    TEXT(0, "append", append, "TEXT", "more of the guest's command line"),
    FLAG('d', "detach", detach, "wait until the guest is ready, then leave it running"),
    FLAG(0, "tui", tui, "the same, then open the TUI on it (the default on a terminal)"),
    FLAG(0, "console", console, "connect this terminal to its serial line; Ctrl-] leaves it running"),
    NUMBER('t', "timeout", timeout, "S", 1, TIMEOUT_MAX_S, "how long the guest may take to get ready (default 60)"),
    {0}};
static const struct option_rule gdb_options[] = {
    TEXT('l', "listen", listen, "SOCKET", "start no GDB, and listen for one there until interrupted"), MACHINE, {0}};
static const struct option_rule ns_branch_options[] = {
    NUMBER('c', "cpu", cpu, "K", 0, UINT32_MAX - 1, "its tasks run on CPU K only"),
    FLAG(0, "simd", simd, "its tasks save SIMD registers, and its cells may use them"),
    REQUEST,
    {0}};
static const struct option_rule ns_diff_options[] = {
    FLAG('a', "all", all, "also cells that each has a copy of its own of, from the same object"), READING, {0}};
static const struct option_rule ns_checkout_options[] = {DRY_RUN, RECIPES, TRANSFER_MS, REQUEST, {0}};
static const struct option_rule evolve_options[] = {DRY_RUN, TRANSFER_MS, NAMESPACE, REQUEST, {0}};
static const struct option_rule evolve_diff_options[] = {
    OUTPUT("write the manifest"),
    WORDS("drop", "FIELD", "what the field, or the datum, holds may be lost"),
    WORDS("rename", "FIELD=NAME", "the field is called NAME in the new build"),
    TEXT(0, "only", only, "CELL,...", "these cells, and what has to come with them"),
    FLAG('j', "json", json, "print the manifest"),
    {0}};
static const struct option_rule inject_options[] = {
    TEXT(0, "into", into, "TARGET", "what to hit, see below"),
    TEXT(0, "model", model, "MODEL", "how, see below (default: flip)"),
    TEXT(0, "at", at, "TRIGGER", "now (default), rounds:N of the workload from now, ms:N from now"),
    NUMBER(0, "seed", seed, "S", 0, 0, "which place and bit; the same seed picks the same in the same guest"),
    NUMBER(0, "hold", hold, "MS", 0, HOLD_MAX_MS, "go on asserting what was changed for so long (stuck0, stuck1)"),
    FLAG('n', "dry-run", dry_run, "print what would be changed, change nothing"),
    MACHINE,
    JSON,
    {0}};
#define MANIFESTED NUMBER(0, "manifested", manifested, "N", 1, 0, "until so many faults have manifested")
#define WORKERS                                                                                                        \
    NUMBER(0, "workers", workers, "N", 1, CAMPAIGN_WORKERS_MAX,                                                        \
           "so many machines side by side (default: one for each CPU, if the campaign is exact)")
static const struct option_rule campaign_run_options[] = {
    OUTPUT("the database (default: the campaign's name, here, with .db)"), MANIFESTED, WORKERS, JSON, {0}};
static const struct option_rule campaign_resume_options[] = {MANIFESTED, WORKERS, JSON, {0}};

/* ---- subverbs ---- */

static const struct verb ns_verbs[] = {
    {"list", "", "namespaces, what they come from, cells that they hold themselves, tasks", reading_options,
     .of_machine = true, .run = verb_namespaces},
    {"log", "[NS]", "commits of NS (default: root), newest first, and whether they can be checked out", reading_options,
     .of_machine = true, .most = 1, .run = ns_log},
    {"branch", "NS [OF]", "make NS, which has all that OF (default: root) has", ns_branch_options, .of_machine = true,
     .least = 1, .most = 2, .run = ns_branch},
    {"diff", "NS NS | NS COMMIT [COMMIT]",
     "cells that are not of the same object in two namespaces, in one and\n"
     "in what it was after a commit, or in what it was after two",
     ns_diff_options, .of_machine = true, .least = 2, .most = 3, .run = ns_diff},
    {"checkout", "NS COMMIT|OTHER", "make NS of what it was made of then, or of what OTHER has, in one transaction",
     ns_checkout_options, .of_machine = true, .least = 2, .most = 2, .run = ns_checkout},
    {"rm", "NS", "remove it; not while tasks run in it or branches of it are there", request_options,
     .of_machine = true, .least = 1, .most = 1, .run = ns_rm},
    {0},
};
static const char ns_remarks[] = "A commit is a number in `delias swaps`. `delias swap --namespace NS` makes one; "
                                 "`delias spawn --namespace NS` runs\n"
                                 "something there.\n";

static const struct verb evolve_verbs[] = {
    {"diff", "OLDBUILD NEWBUILD", "compare two build folders, and say what it takes to go from one to the other",
     evolve_diff_options, .least = 2, .most = 2, .run = evolve_diff_builds},
    {0},
};

static const struct verb campaign_verbs[] = {
    {"check", "FILE", "whether a campaign file is good", json_options, .least = 1, .most = 1, .run = campaign_check},
    {"run", "FILE", "run it into a new database", campaign_run_options, .least = 1, .most = 1, .run = campaign_start},
    {"resume", "DB", "run what is missing in it", campaign_resume_options, .least = 1, .most = 1,
     .run = campaign_resume},
    {"report", "DB", "outcomes, and the rate of recovery with its interval; also while it runs", json_options,
     .least = 1, .most = 1, .run = campaign_report},
    {"tables", "DB", "results in Markdown, beside those of the thesis, and what was lost", NULL, .least = 1, .most = 1,
     .run = campaign_tables},
    {"compare", "A B", "the same faults into two builds: fails if the second loses more, beyond chance", json_options,
     .least = 2, .most = 2, .run = campaign_compare},
    {"replay", "DB INDEX", "do one experiment again", json_options, .least = 2, .most = 2, .run = campaign_replay_one},
    {0},
};

/* ---- verbs ---- */

static const char machine_remarks[] = "N may be left out when exactly one machine runs.\n";
static const char restore_remarks[] =
    "A machine that runs goes on from there, one that is paused stays paused. Mappings of its memory stay valid.\n";
static const char run_remarks[] =
    "MACHINE.yaml describes the machine (default: the kernel and archive beside this program, 2 CPUs, 64 MiB).\n";
static const char gdb_remarks[] = "Each ARGUMENT is one of GDB's; without N, write -- before them. The machine stands "
                                  "still while GDB does, and runs\n"
                                  "on when GDB has ended, if it ran before.\n";
static const char attach_remarks[] =
    "DOMAIN is its name or UUID. Without shared memory it can be read only, slowly, and is halted meanwhile.\n";
static const char verify_remarks[] =
    "Text, read-only data and unwind tables of every cell; its static data changes by right. Status 1: something\n"
    "differs, or a record of the arena is damaged.\n";
static const char swap_remarks[] =
    "All operands are one transaction: all cells are swapped, or none. With several names on either side cells are\n"
    "merged, split or renamed; without a name they are added, without an object removed.\n";

/* A verb that reads one machine, with up to `operands` operands. */
#define READS(name, usage, summary, options, operands, function)                                                       \
    {                                                                                                                  \
        name, usage, summary, options, .of_machine = true, .most = operands, .run = function                           \
    }
#define STEERS(name, summary, function)                                                                                \
    {                                                                                                                  \
        name, "[N]", summary, machine_options, .remarks = machine_remarks, .of_machine = true, .run = function         \
    }

const struct verb verbs[] = {
    {"run", "[MACHINE.yaml] [--name N] [--accel auto|kvm|tcg] [--connect URI] [--detach|--tui|--console]",
     "Start a machine", run_options, .remarks = run_remarks, .most = 1, .run = verb_run},
    {"attach", "DOMAIN --connect URI [--name N]", "Take a running domain of libvirt as a machine", attach_options,
     .remarks = attach_remarks, .least = 1, .most = 1, .run = verb_attach},
    {"detach", "N", "Give up a machine that was attached to; its domain runs on", .least = 1, .most = 1,
     .run = verb_detach},
    {"ps", "[--json]", "List the machines of this user", json_options, .run = verb_ps},
    {"stop", "[N]", "End a machine", machine_options, .remarks = machine_remarks, .most = 1, .run = verb_stop},
    STEERS("pause", "Halt its CPUs", verb_pause),
    STEERS("resume", "Let its CPUs go on", verb_resume),
    STEERS("reset", "Restart its guest, as from power-on", verb_reset),
    {"snapshot", "[N] [NAME]", "Keep all of a machine as it is now", steering_json_options, .of_machine = true,
     .most = 1, .run = verb_snapshot},
    {"restore", "[N] NAME [--audit]", "Put a machine back to a snapshot", restore_options, .remarks = restore_remarks,
     .of_machine = true, .least = 1, .most = 1, .run = verb_restore},
    {"snapshots", "[N]", "List the snapshots of a machine, each below its parent", steering_json_options, .most = 1,
     .run = verb_snapshots},
    STEERS("console", "Connect the terminal to its serial line; Ctrl-] leaves", verb_console),
    {"gdb", "[--listen SOCKET] [N] [ARGUMENT ...]", "Start GDB on it, with the loaded cells as libraries", gdb_options,
     .remarks = gdb_remarks, .of_machine = true, .most = ANY_NUMBER, .order = OPTIONS_FIRST, .run = verb_gdb},
    READS("namespaces", "[N]", "List namespaces", reading_options, 0, verb_namespaces),
    READS("cells", "[N]", "List cells", all_options, 0, verb_cells),
    {"cell", "[N] CELL", "All about one cell", cell_options, .of_machine = true, .least = 1, .most = 1,
     .run = verb_cell},
    READS("sections", "[N] [CELL]", "List sections, the pages that hold them, and how many edges they have",
          all_options, 1, verb_sections),
    READS("symbols", "[N] [CELL]", "List exported symbols", all_options, 1, verb_symbols),
    READS("deps", "[N] [CELL[:SECTION]]", "List dependencies between sections, each with its relocation", deps_options,
          1, verb_deps),
    READS("memory", "[N] [CELL]", "List regions of memory by owner", all_options, 1, verb_memory),
    READS("tasks", "[N]", "List tasks", reading_options, 0, verb_tasks),
    READS("faults", "[N] [CELL|SEQ]", "List logged faults, or those in a cell, or tell all about one", last_options, 1,
          verb_faults),
    READS("events", "[N]", "List events", last_options, 0, verb_events),
    READS("counters", "[N]", "Print counters", reading_options, 0, verb_counters),
    {"verify", "[N] [CELL]", "Compare every loaded section with what the loader should have written", reading_options,
     .remarks = verify_remarks, .of_machine = true, .most = 1, .run = verb_verify},
    {"disasm", "[N] CELL[:SECTION]", "Disassemble live code, relocations named", reading_options, .of_machine = true,
     .least = 1, .most = 1, .run = verb_disasm},
    {"ns", "[N] list|log|branch|diff|checkout|rm [OPERAND ...]", "List, make, compare, restore and remove namespaces",
     .subverbs = ns_verbs, .remarks = ns_remarks},
    {"swap", "[N] OLD[,OLD]=NEW.o[,NEW.o] ... [--recipes FILE] [--dry-run]", "Replace cells of a running guest",
     swap_options, .remarks = swap_remarks, .of_machine = true, .least = 1, .most = ANY_NUMBER, .run = verb_swap},
    {"evolve", "diff OLDBUILD NEWBUILD [-o MANIFEST] | [N] MANIFEST [--dry-run]",
     "Bring a running guest from one build to another", evolve_options, evolve_verbs, .of_machine = true, .least = 1,
     .most = 1, .run = verb_evolve},
    READS("swaps", "[N]", "List the swaps that were tried, and how they went", last_options, 0, verb_swaps),
    {"reload", "[N] CELL [--dry-run]", "Replace a cell by a fresh copy of itself", reload_options, .of_machine = true,
     .least = 1, .most = 1, .run = verb_reload},
    {"load", "[N] CELL.o ...", "Load more cells from files", namespace_options, .of_machine = true, .least = 1,
     .most = ANY_NUMBER, .run = verb_load},
    {"unload", "[N] CELL", "Unload a cell that nothing needs, and end the tasks in it", namespace_options,
     .of_machine = true, .least = 1, .most = 1, .run = verb_unload},
    {"spawn", "[N] CELL [ARG ...]", "Run an application cell", namespace_options, .of_machine = true, .least = 1,
     .most = ANY_NUMBER, .order = OPTIONS_FIRST, .run = verb_spawn},
    {"kill", "[N] TASK", "End a task of an application", request_options, .of_machine = true, .least = 1, .most = 1,
     .run = verb_kill},
    {"ping", "[N]", "Ask the guest whether it answers", request_options, .of_machine = true, .run = verb_ping},
    {"doctor", "[--json]", "Check what machines need here, and how those that run are", json_options,
     .run = verb_doctor},
    {"tui", "[N] [--readonly]", "Browse a machine in the terminal, swap its cells, watch it recover", tui_options,
     .remarks = machine_remarks, .of_machine = true, .run = verb_tui},
    {"inject", "[N] --into TARGET [--model MODEL] [--at TRIGGER] [--seed S]", "Change memory of a running guest",
     inject_options, .print_lists = inject_print_lists, .of_machine = true, .run = verb_inject},
    {"campaign", "check|run|resume|report|tables|compare|replay FILE|DB [INDEX|DB]",
     "Run and report fault-injection campaigns", .subverbs = campaign_verbs},
    {0},
};
