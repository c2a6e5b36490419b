/* `cell`: makes, packs, shows and compares the objects that the guest loads. */
#include "cells/tool/verbs.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cells/tool/match.h"
#include "introspect/base/options.h"
#include "introspect/base/standard.h"

enum { USAGE = 2 }; /* exit status */

struct arguments {
    const char *output, *debug;
    bool json;
    struct option_list *words; /* uses of --drop and --rename, */
    struct match_word *word;   /* and what they say */
    char **operand;
    size_t operands;
};

#define OUTPUT                                                                                                         \
    {                                                                                                                  \
        "output", 'o', OPTION_TEXT, offsetof(struct arguments, output), "FILE", "what to write", 0, 0                  \
    }

static const struct option_rule output_options[] = {OUTPUT, {0}};
static const struct option_rule make_options[] = {
    OUTPUT, {"debug", 0, OPTION_TEXT, offsetof(struct arguments, debug), "FILE", "the same with DWARF", 0, 0}, {0}};
static const struct option_rule no_options[] = {{0}};
static const struct option_rule transfer_options[] = {
    OUTPUT,
    {"drop", 0, OPTION_LIST, offsetof(struct arguments, words), "FIELD", "it may be lost", 0, 0},
    {"rename", 0, OPTION_LIST, offsetof(struct arguments, words), "FIELD=NAME", "its new name", 0, 0},
    {"json", 'j', OPTION_FLAG, offsetof(struct arguments, json), NULL, "for scripts", 0, 0},
    {0}};

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

static enum err run_transfer_cells(const struct arguments *a)
{
    return transfer_cells(a->operand[0], a->operand[1], a->word, a->words->count, a->output, a->json);
}

static const struct verb {
    const char *name, *usage;
    size_t least, most; /* operands */
    bool needs_output;
    const struct option_rule *options;
    enum err (*run)(const struct arguments *arguments);
} verbs[] = {
    {"make", "make RAW.o -o OUT.o [--debug FULL.o]", 1, 1, true, make_options, run_make},
    {"describe", "describe KERNEL.elf KERNEL.map RAW.o -o OUT.o", 3, 3, true, output_options, run_describe},
    {"archive", "archive -o FILE CELL.o ...", 1, SIZE_MAX, true, output_options, run_archive},
    {"show", "show CELL.o", 1, 1, false, no_options, run_show},
    {"compare", "compare OLD.o NEW.o", 2, 2, false, no_options, run_compare},
    {"transfer", "transfer OLD.o[,...] NEW.o[,...] [--drop FIELD] [--rename FIELD=NAME] [-o FILE] [--json]", 2, 2,
     false, transfer_options, run_transfer_cells},
};

static void print_usage(FILE *to)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        fprintf(to, "%s cell %s\n", i ? "      " : "usage:", verbs[i].usage);
}

static int usage(const char *why)
{
    if (why)
        fprintf(stderr, "cell: %s\n", why);
    print_usage(stderr);
    return USAGE;
}

static const struct verb *find_tool_verb(const char *name)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(name, verbs[i].name) == 0)
            return &verbs[i];
    return NULL;
}

int main(int argc, char **argv)
{
    const struct verb *verb = argc > 1 ? find_tool_verb(argv[1]) : NULL;
    static struct match_word word[sizeof((struct option_list *)0)->use / sizeof(struct option_use)];
    struct option_list words = {0};
    struct arguments a = {.words = &words, .word = word};
    char why[OPTIONS_WHY];
    int first;

    standard_open();
    if (argc > 1 && strcmp(argv[argc - 1], "--help") == 0) {
        print_usage(stdout);
        return standard_finish("cell") ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    if (!verb)
        return usage(argc > 1 ? "there is no such verb" : NULL);
    if (!options_parse(argc - 1, argv + 1, verb->options, OPTIONS_ANYWHERE, &a, &first, why))
        return usage(why);
    if (match_read_words(&words, word))
        return usage("say --drop FIELD or --rename FIELD=NAME");
    a.operand = argv + 1 + first;
    a.operands = (size_t)(argc - 1 - first);
    if (a.operands < verb->least || a.operands > verb->most)
        return usage("too few operands, or too many");
    if (verb->needs_output && !a.output)
        return usage("-o FILE is missing");
    enum err e = verb->run(&a);
    return standard_finish("cell") && e == ERR_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
