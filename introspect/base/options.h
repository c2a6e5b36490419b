/* One parser of command lines for all host programs. A table says which options there are, what they mean, and which
 * member of a struct receives their value; the help is printed from the same table. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum option_kind {
    OPTION_FLAG,   /* for a bool; takes no value */
    OPTION_TEXT,   /* for a const char *: borrowed from argv */
    OPTION_NUMBER, /* for a struct option_number, from `min` to `max` (0: no limit) */
    OPTION_SIZE,   /* the same for bytes, with a unit or without */
    OPTION_LIST,   /* for a struct option_list *, which may be shared: each use appends */
};

struct option_number {
    bool given;
    uint64_t value;
};

struct option_use {
    const char *name, *value;
};

struct option_list {
    size_t count;
    struct option_use use[256];
};

struct option_rule {
    const char *name; /* for --name; NULL ends a table */
    char letter;      /* for -l; 0: there is none */
    enum option_kind kind;
    size_t offset;     /* of the member */
    const char *value; /* what the help calls the value; NULL for a flag */
    const char *help;  /* lines without the last newline */
    uint64_t min, max;
};

enum option_order {
    OPTIONS_ANYWHERE, /* between operands too; "--" ends them */
    OPTIONS_FIRST,    /* the first operand ends them, and what follows belongs to somebody else */
};

enum { OPTIONS_WHY = 256 };

/* Parses argv[1] and on into the struct `ret`, which holds the defaults, and moves the operands to the end:
 * *ret_operands is the index of the first one. False: wrong usage, described in ret_why. */
bool options_parse(int argc, char **argv, const struct option_rule *rules, enum option_order order, void *ret,
                   int *ret_operands, char ret_why[OPTIONS_WHY]);

/* Prints one option and its help; `prefix` stands before the help text. */
void options_print(FILE *file, const struct option_rule *rule, const char *prefix);
/* Prints a word and its help in the columns of options_print. */
void options_print_word(FILE *file, const char *word, const char *prefix, const char *help);
