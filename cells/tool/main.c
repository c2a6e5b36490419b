/* `cell`: makes, packs, shows and compares the objects that the guest loads. */
#include "cells/tool/verbs.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct arguments {
    const char *output, *debug;
    char **operand;
    size_t operands;
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

static const struct verb {
    const char *name, *usage;
    size_t least, most; /* operands */
    bool output;
    enum err (*run)(const struct arguments *arguments);
} verbs[] = {
    {"make", "make RAW.o -o OUT.o [--debug FULL.o]", 1, 1, true, run_make},
    {"describe", "describe KERNEL.elf KERNEL.map RAW.o -o OUT.o", 3, 3, true, run_describe},
    {"archive", "archive -o FILE CELL.o ...", 1, SIZE_MAX, true, run_archive},
    {"show", "show CELL.o", 1, 1, false, run_show},
    {"compare", "compare OLD.o NEW.o", 2, 2, false, run_compare},
};

static int usage(void)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        fprintf(stderr, "%s cell %s\n", i ? "      " : "usage:", verbs[i].usage);
    return 2;
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
        else if (argv[i][0] != '-')
            argv[a->operands++] = argv[i];
        else
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct arguments a = {0};

    if (argc < 2 || !parse(argc - 2, argv + 2, &a))
        return usage();
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        const struct verb *v = &verbs[i];

        if (strcmp(argv[1], v->name) != 0)
            continue;
        if (a.operands < v->least || a.operands > v->most || v->output != (a.output != NULL))
            return usage();
        return v->run(&a) == ERR_OK ? 0 : 1;
    }
    return usage();
}
