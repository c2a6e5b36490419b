/* See options.h. Splitting argv is left to getopt_long. */
#include "introspect/base/options.h"
#include <getopt.h>
#include <string.h>
#include "introspect/base/number.h"

enum {
    RULES_MAX = 32,
    HELP_COLUMN = 19,
    FIRST_CODE = 256, /* getopt_long's result for rule n is FIRST_CODE + n */
};

struct getopt_tables {
    char letters[2 * RULES_MAX + 3];
    struct option longs[RULES_MAX + 1];
};

static void make_getopt_tables(const struct option_rule *rules, enum option_order order, struct getopt_tables *ret)
{
    char *letter = ret->letters;

    *ret = (struct getopt_tables){0};
    if (order == OPTIONS_FIRST)
        *letter++ = '+';
    *letter++ = ':'; /* getopt_long tells a value that is missing from an option that is unknown */
    for (int n = 0; n < RULES_MAX && rules[n].name; n++) {
        int value = rules[n].kind == OPTION_FLAG ? no_argument : required_argument;

        ret->longs[n] = (struct option){rules[n].name, value, NULL, FIRST_CODE + n};
        if (rules[n].letter)
            *letter++ = rules[n].letter;
        if (rules[n].letter && value == required_argument)
            *letter++ = ':';
    }
}

/* The rule for a result of getopt_long; NULL: there is none. */
static const struct option_rule *find_rule(const struct option_rule *rules, int code)
{
    if (code >= FIRST_CODE)
        return &rules[code - FIRST_CODE];
    for (const struct option_rule *rule = rules; rule->name; rule++)
        if (rule->letter == code)
            return rule;
    return NULL;
}

static bool store_number(const struct option_rule *rule, const char *word, struct option_number *ret, char *ret_why)
{
    bool size = rule->kind == OPTION_SIZE;
    uint64_t max = rule->max ? rule->max : UINT64_MAX;

    ret->given = (size ? number_parse_size : number_parse)(word, rule->min, max, &ret->value);
    if (ret->given)
        return true;
    int n = snprintf(ret_why, OPTIONS_WHY, "--%s wants a number%s", rule->name,
                     size ? " of bytes, or one with K, M or G" : "");
    if (rule->max)
        n += snprintf(ret_why + n, OPTIONS_WHY - (size_t)n, " from %llu to %llu", (unsigned long long)rule->min,
                      (unsigned long long)rule->max);
    else if (rule->min)
        n += snprintf(ret_why + n, OPTIONS_WHY - (size_t)n, " from %llu", (unsigned long long)rule->min);
    snprintf(ret_why + n, OPTIONS_WHY - (size_t)n, ", not '%.60s'", word);
    return false;
}

static bool store(const struct option_rule *rule, const char *value, void *ret, char *ret_why)
{
    void *member = (char *)ret + rule->offset;
    struct option_list *list;

    switch (rule->kind) {
    case OPTION_FLAG:
        *(bool *)member = true;
        return true;
    case OPTION_TEXT:
        *(const char **)member = value;
        return true;
    case OPTION_NUMBER:
    case OPTION_SIZE:
        return store_number(rule, value, member, ret_why);
    case OPTION_LIST:
        list = *(struct option_list **)member;
        if (list->count == sizeof list->use / sizeof *list->use) {
            snprintf(ret_why, OPTIONS_WHY, "--%s and its like are given more than %zu times", rule->name, list->count);
            return false;
        }
        list->use[list->count++] = (struct option_use){rule->name, value};
        return true;
    }
    return false;
}

/* Says what is wrong with the option that getopt_long returned `code` for. A letter may stand among others in a word,
 * and a long option may be shortened: where `optopt` has one of ours, it is named as the table has it. */
static void refuse_option(const struct option_rule *rules, int code, const char *word, char *ret_why)
{
    const struct option_rule *rule = optopt ? find_rule(rules, optopt) : NULL;

    if (rule)
        snprintf(ret_why, OPTIONS_WHY, "--%s %s", rule->name, code == ':' ? "lacks its value" : "takes no value");
    else if (optopt)
        snprintf(ret_why, OPTIONS_WHY, "there is no option -%c", optopt);
    else
        snprintf(ret_why, OPTIONS_WHY, "option '%.60s' is unknown, or short for several", word);
}

bool options_parse(int argc, char **argv, const struct option_rule *rules, enum option_order order, void *ret,
                   int *ret_operands, char ret_why[OPTIONS_WHY])
{
    struct getopt_tables tables;
    int code;

    make_getopt_tables(rules, order, &tables);
    opterr = 0;
    optind = 0; /* glibc: begin with a new argv */
    while ((code = getopt_long(argc, argv, tables.letters, tables.longs, NULL)) != -1) {
        const struct option_rule *rule = find_rule(rules, code);

        if (!rule) {
            refuse_option(rules, code, argv[optind - 1], ret_why);
            return false;
        }
        if (!store(rule, optarg, ret, ret_why))
            return false;
    }
    *ret_operands = optind;
    return true;
}

void options_print_word(FILE *file, const char *word, const char *prefix, const char *help)
{
    int column = fprintf(file, "  %s", word);

    if (column > HELP_COLUMN - 2) {
        fputc('\n', file);
        column = 0;
    }
    fprintf(file, "%*s%s", HELP_COLUMN - column, "", prefix);
    for (; *help; help++) {
        fputc(*help, file);
        if (*help == '\n')
            fprintf(file, "%*s", HELP_COLUMN, "");
    }
    fputc('\n', file);
}

void options_print(FILE *file, const struct option_rule *rule, const char *prefix)
{
    char word[64], letter[8] = "";

    if (rule->letter)
        snprintf(letter, sizeof letter, "-%c, ", rule->letter);
    snprintf(word, sizeof word, "%s--%s%s%s", letter, rule->name, rule->value ? " " : "",
             rule->value ? rule->value : "");
    options_print_word(file, word, prefix, rule->help);
}
