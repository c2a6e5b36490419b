/* What the verbs of `delias` share: the table of verbs, messages and exit statuses. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct verb {
    const char *name;
    const char *usage;                 /* what follows the name */
    const char *summary;               /* one line */
    const char *help;                  /* options and remarks, lines that end with a newline; may be NULL */
    int (*run)(int argc, char **argv); /* argv[0] is the verb; returns the exit status */
};

enum cli_status {
    CLI_DONE = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,   /* wrong usage */
    CLI_UNKNOWN = 3, /* no such machine or cell */
};

/* The verb that runs; set by main before anything else. */
extern const struct verb *cli_verb;

/* Prints "delias VERB: message" to standard error and returns `status`; wrong usage adds the usage line. */
int cli_fail(enum cli_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cli_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A decimal number from 1 to `max`; wrong usage names `what`, and was reported. */
int cli_number(const char *what, const char *word, uint64_t max, uint64_t *ret);

/* The command line of a verb without operands, whose one option is --json. An exit status other than 0 was reported. */
int cli_parse_json(int argc, char **argv, bool *ret_json);

/* The file `name` of the build that this program is part of: beside build/bin/delias, build/NAME. */
void cli_build_file(const char *name, char *ret_path, size_t bytes);

/* The options of every reading verb, for its help. */
#define CLI_READING_HELP                                                                                               \
    "  -m, --machine N  the machine, when it is not the first operand\n"                                               \
    "  -f, --follow     print again every second (or what is new), until interrupted\n"                                \
    "  -j, --json       for scripts\n"
