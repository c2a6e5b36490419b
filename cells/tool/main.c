/* `cell`: makes, packs, shows and compares the objects that the guest loads. */
#include "cells/tool/verbs.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arguments {
    const char *output, *debug;
    char **operand, **word; /* of --drop and --rename */
    size_t operands, words;
    bool json;
};

static enum err run_make(const struct arguments *a)
{
    return make_cell(a->operand[0], a->output, a->debug);
}

static enum err run_describe(const struct arguments *a)
{
    return describe_image(a->operand[0], a->operand[1], a->operand[2], a->output);
}

static enum err run_archive(const struct arguments *a)
{
    return make_archive(a->output, a->operand, a->operands);
}

static enum err run_show(const struct arguments *a)
{
    return show_cell(a->operand[0]);
}

static enum err run_compare(const struct arguments *a)
{
    return compare_cells(a->operand[0], a->operand[1]);
}

static enum err run_transfer(const struct arguments *a)
{
    return transfer_cells(a->operand[0], a->operand[1], a->word, a->words, a->output, a->json);
}

enum output { NO_OUTPUT, OUTPUT, MAY_OUTPUT };

static const struct verb {
    const char *name, *usage;
    size_t least, most; /* operands */
    enum output output;
    enum err (*run)(const struct arguments *arguments);
} verbs[] = {
    {"make", "make RAW.o -o OUT.o [--debug FULL.o]", 1, 1, OUTPUT, run_make},
    {"describe", "describe KERNEL.elf KERNEL.map RAW.o -o OUT.o", 3, 3, OUTPUT, run_describe},
    {"archive", "archive -o FILE CELL.o ...", 1, SIZE_MAX, OUTPUT, run_archive},
    {"show", "show CELL.o", 1, 1, NO_OUTPUT, run_show},
    {"compare", "compare OLD.o NEW.o", 2, 2, NO_OUTPUT, run_compare},
    {"transfer", "transfer OLD.o[,...] NEW.o[,...] [--drop FIELD] [--rename FIELD=NAME] [-o FILE] [--json]", 2, 2,
     MAY_OUTPUT, run_transfer},
};

static int usage(void)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        fprintf(stderr, "%s cell %s\n", i ? "      " : "usage:", verbs[i].usage);
    return 2;
}

static bool is_word(const char *option, const char *value)
{
    return (strcmp(option, "--drop") == 0 && !strchr(value, '=')) ||
           (strcmp(option, "--rename") == 0 && strchr(value, '='));
}

/* Operands are moved to the front of argv. */
static bool parse(int argc, char **argv, struct arguments *a)
{
    a->operand = argv;
    for (int i = 0; i < argc; i++) {
        const char **value = strcmp(argv[i], "-o") == 0        ? &a->output
                             : strcmp(argv[i], "--debug") == 0 ? &a->debug
                                                               : NULL;

        if (value && i + 1 < argc)
            *value = argv[++i];
        else if (strcmp(argv[i], "--json") == 0)
            a->json = true;
        else if (i + 1 < argc && is_word(argv[i], argv[i + 1]))
            a->word[a->words++] = argv[++i];
        else if (argv[i][0] != '-')
            argv[a->operands++] = argv[i];
        else
            return false;
    }
    return true;
}

static int run(int argc, char **argv, struct arguments *a)
{
    if (argc < 2 || !parse(argc - 2, argv + 2, a))
        return usage();
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        const struct verb *v = &verbs[i];

        if (strcmp(argv[1], v->name) != 0)
            continue;
        if (a->operands < v->least || a->operands > v->most || (v->output == OUTPUT && !a->output) ||
            (v->output == NO_OUTPUT && a->output) || (v->run != run_transfer && (a->words || a->json)))
            return usage();
        return v->run(a) == ERR_OK ? 0 : 1;
    }
    return usage();
}

int main(int argc, char **argv)
{
    struct arguments a = {.word = calloc((size_t)argc + 1, sizeof *a.word)};
    int status = a.word ? run(argc, argv, &a) : 1;

    free(a.word);
    return status;
}
