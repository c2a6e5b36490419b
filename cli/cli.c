/* See cli.h. */
#include "cli/cli.h"
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "vmm/machine/machine.h"

const struct verb *cli_verb;

static void say(const char *format, va_list args)
{
    fprintf(stderr, "delias %s: ", cli_verb->name);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

int cli_fail(enum cli_status status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(format, args);
    va_end(args);
    if (status == CLI_USAGE)
        fprintf(stderr, "usage: delias %s %s\n", cli_verb->name, cli_verb->usage);
    return status;
}

void cli_warn(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(format, args);
    va_end(args);
}

int cli_number(const char *what, const char *word, uint64_t max, uint64_t *ret)
{
    char *end;

    errno = 0;
    unsigned long long n = strtoull(word, &end, 10);
    if (*word < '0' || *word > '9' || *end || errno || n < 1 || n > max)
        return max == UINT64_MAX ? cli_fail(CLI_USAGE, "%s wants a number from 1, not '%s'", what, word)
                                 : cli_fail(CLI_USAGE, "%s wants a number from 1 to %llu, not '%s'", what,
                                            (unsigned long long)max, word);
    *ret = n;
    return CLI_DONE;
}

int cli_parse_json(int argc, char **argv, bool *ret_json)
{
    static const struct option longs[] = {{"json", no_argument, NULL, 'j'}, {0}};
    bool json = false;
    int c;

    opterr = 0;
    while ((c = getopt_long(argc, argv, "j", longs, NULL)) != -1) {
        if (c != 'j')
            return cli_fail(CLI_USAGE, "unknown option '%s'", argv[optind - 1]);
        json = true;
    }
    if (optind < argc)
        return cli_fail(CLI_USAGE, "'%s' is one operand too many", argv[optind]);
    *ret_json = json;
    return CLI_DONE;
}

void cli_build_file(const char *name, char *ret_path, size_t bytes)
{
    char self[MACHINE_PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    self[n > 0 ? n : 0] = '\0';
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(self, '/');
        if (slash)
            *slash = '\0';
    }
    snprintf(ret_path, bytes, "%.480s/%s", self, name);
}
