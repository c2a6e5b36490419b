/* See cli.h. */
#include "cli/cli.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct verb *cli_verb;
static const struct verb *cli_subverb; /* of cli_verb; NULL: none was said */

/* ---- messages ---- */

static void print_message(const char *format, va_list args)
{
    fprintf(stderr, "delias %s: ", cli_verb->name);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

static void print_usage(void)
{
    const struct verb *sub = cli_subverb;

    if (sub)
        fprintf(stderr, "usage: delias %s%s %s %s\n", cli_verb->name, sub->of_machine ? " [N]" : "", sub->name,
                sub->usage);
    else
        fprintf(stderr, "usage: delias %s %s\n", cli_verb->name, cli_verb->usage);
}

enum cli_status cli_fail(enum cli_status status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print_message(format, args);
    va_end(args);
    if (status == CLI_USAGE)
        print_usage();
    return status;
}

void cli_warn(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print_message(format, args);
    va_end(args);
}

enum cli_status cli_check_operands(const struct call *c)
{
    if (c->most != ANY_NUMBER && c->argc > c->most)
        return cli_fail(CLI_USAGE, "'%s' is one operand too many", c->argv[c->most]);
    if (c->argc < c->least)
        return cli_fail(CLI_USAGE, "an operand is missing");
    return CLI_DONE;
}

/* ---- help ---- */

static bool has_option(const struct verb *verb, const struct option_rule *rule)
{
    for (const struct option_rule *r = verb->options; r && r->name; r++)
        if (strcmp(r->name, rule->name) == 0 && strcmp(r->help, rule->help) == 0)
            return true;
    return false;
}

/* Prints an option of subverb `first`, once; if only some subverbs have it, with their names. */
static void help_suboption(const struct verb *subverbs, const struct verb *first, const struct option_rule *rule)
{
    char names[128] = "";
    size_t at = 0;
    bool all = true;

    for (const struct verb *v = subverbs; v->name; v++) {
        if (v < first && has_option(v, rule))
            return; /* printed already */
        if (has_option(v, rule))
            at += (size_t)snprintf(names + at, sizeof names - at, "%s%s", at ? ", " : "", v->name);
        else
            all = false;
    }
    snprintf(names + at, sizeof names - at, ": ");
    options_print(stdout, rule, all ? "" : names);
}

static void help_subverbs(const struct verb *subverbs)
{
    char words[64];

    for (const struct verb *v = subverbs; v->name; v++) {
        snprintf(words, sizeof words, "%s%s%s", v->name, *v->usage ? " " : "", v->usage);
        options_print_word(stdout, words, "", v->summary);
    }
    for (const struct verb *v = subverbs; v->name; v++)
        for (const struct option_rule *rule = v->options; rule && rule->name; rule++)
            help_suboption(subverbs, v, rule);
}

void cli_help(const struct verb *verb)
{
    printf("usage: delias %s %s\n\n%s.\n", verb->name, verb->usage, verb->summary);
    if (verb->options || verb->subverbs)
        putchar('\n');
    if (verb->subverbs)
        help_subverbs(verb->subverbs);
    if (verb->subverbs && verb->options)
        puts("\nWithout one of these words:");
    for (const struct option_rule *rule = verb->options; rule && rule->name; rule++)
        options_print(stdout, rule, "");
    if (verb->print_lists)
        verb->print_lists();
    if (verb->remarks)
        printf("\n%s", verb->remarks);
}

/* ---- running a verb ---- */

static const struct verb *find_subverb(const struct verb *verb, const char *word)
{
    for (const struct verb *v = verb->subverbs; v->name; v++)
        if (strcmp(word, v->name) == 0)
            return v;
    return NULL;
}

/* The index of the subverb in argv, 0: there is none. A machine's name and options may come before it; but where the
 * verb can do without a subverb, the second word is another operand. */
static int find_subverb_at(const struct verb *verb, int argc, char **argv)
{
    int words = verb->run ? 1 : 2;

    for (int i = 1; i < argc && words; i++) {
        if (strcmp(argv[i], "-m") == 0 || strcmp(argv[i], "--machine") == 0) {
            i++;
            continue;
        }
        if (argv[i][0] == '-')
            continue;
        if (find_subverb(verb, argv[i]))
            return i;
        words--;
    }
    return 0;
}

static enum cli_status fail_without_subverb(const struct verb *verb)
{
    char names[256] = "";
    size_t at = 0;

    for (const struct verb *v = verb->subverbs; v->name; v++)
        at += (size_t)snprintf(names + at, sizeof names - at, "%s%s", !at ? "" : v[1].name ? ", " : " or ", v->name);
    return cli_fail(CLI_USAGE, "say %s", names);
}

static enum cli_status run_parsed(const struct verb *verb, int argc, char **argv)
{
    static const struct option_rule none[] = {{0}};
    struct option_list words = {0};
    struct call call = {.verb = verb, .least = verb->least, .most = verb->most, .words = &words};
    char why[OPTIONS_WHY];
    int operands;

    if (!options_parse(argc, argv, verb->options ? verb->options : none, verb->order, &call, &operands, why))
        return cli_fail(CLI_USAGE, "%s", why);
    call.argc = argc - operands;
    call.argv = argv + operands;
    enum cli_status status = verb->of_machine ? CLI_DONE : cli_check_operands(&call);
    return status ? status : verb->run(&call);
}

enum cli_status cli_run(const struct verb *verb, int argc, char **argv)
{
    int at = verb->subverbs ? find_subverb_at(verb, argc, argv) : 0;

    if (!at)
        return verb->run ? run_parsed(verb, argc, argv) : fail_without_subverb(verb);
    const struct verb *subverb = cli_subverb = find_subverb(verb, argv[at]);
    memmove(&argv[at], &argv[at + 1], (size_t)(argc - at) * sizeof *argv);
    return run_parsed(subverb, argc - 1, argv);
}
