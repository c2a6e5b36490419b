/* What the verbs of `delias` share: how a verb is declared, the parsed command line, messages and exit statuses. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "introspect/base/options.h"

/* Exit statuses: done, failed, wrong usage, no such machine or cell. */
enum [[nodiscard]] cli_status{CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_UNKNOWN = 3};

/* A command line after parsing. Each verb reads the options that its table has; the others are zero. */
struct call {
    const struct verb *verb; /* or the subverb */
    int argc;                /* operands; the machine's name is among them until target_open */
    char **argv;             /* may be changed: verbs cut words in place */
    int least, most;         /* operands beside the machine's name; from the verb's table */

    const char *machine, *namespace_, *recipes, *output;
    const char *into, *model, *at;                             /* of inject */
    const char *name, *accel, *kernel, *archive, *append;      /* of run */
    bool audit;                                                /* of restore */
    const char *connect;                                       /* of run and attach */
    bool all, in, json, follow, dry_run, simd, readonly;       /* switches */
    bool detach, tui, console;                                 /* of run */
    struct option_number cpu, cpus, hold, last, seed, timeout; /* timeout in seconds, hold in milliseconds */
    struct option_number ram;                                  /* of run, bytes */
    struct option_list *words;                                 /* of evolve diff: --drop and --rename, in order */
    const char *listen;                                        /* of gdb */
    const char *only;                                          /* of evolve diff */
    struct option_number transfer_ms;
    struct option_number manifested, workers; /* of campaign */
};

enum { ANY_NUMBER = -1 }; /* of operands */

struct verb {
    const char *name;
    const char *usage;                 /* what follows the name */
    const char *summary;               /* one line */
    const struct option_rule *options; /* offsets in struct call; NULL: none */
    const struct verb *subverbs;       /* ends with a NULL name; NULL: none */
    const char *remarks;               /* the end of the help, lines that end with a newline; may be NULL */
    void (*print_lists)(void);         /* prints what operands and options may name, after the options; may be NULL */
    int least, most;                   /* operands, without the machine's name */
    bool of_machine;                   /* the machine's name may come first among the operands */
    enum option_order order;
    enum cli_status (*run)(struct call *call); /* returns the exit status; NULL: a subverb is needed */
};

/* The verb that runs; set by main before anything else. */
extern const struct verb *cli_verb;

/* Finds the subverb, if the verb has any, parses and runs it. argv[0] is the verb. Returns the exit status. */
enum cli_status cli_run(const struct verb *verb, int argc, char **argv);

/* Prints "delias VERB: message" to standard error and returns `status`; wrong usage adds the usage line of the verb, or
 * of its subverb. */
enum cli_status cli_fail(enum cli_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cli_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Wrong usage unless the call has from `least` to `most` operands. */
enum cli_status cli_check_operands(const struct call *call);

/* Prints usage, summary, subverbs, options and remarks of a verb. */
void cli_help(const struct verb *verb);

/* Ends the program: there is no memory for what it was about to print. */
_Noreturn void cli_no_memory(void);
