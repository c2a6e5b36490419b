/* Namespaces as git has branches: list, log, branch, diff, checkout, rm. */
#include <stdio.h>
#include <string.h>
#include "cli/asking.h"
#include "cli/cli.h"
#include "cli/commits.h"
#include "cli/verbs.h"

/* ---- branch, rm ---- */

static int ns_branch(int argc, char **argv)
{
    struct asking a = {0};
    struct arena_completion c = {0};
    uint64_t cpu = 0;
    int status = asking_open(argc, argv, "m:t:jc:S", 1, 2, &a);

    if (status)
        return status;
    if (a.cpu && strcmp(a.cpu, "0") != 0)
        status = cli_number("--cpu", a.cpu, UINT32_MAX - 1, &cpu);
    const struct request r = {.kind = REQUEST_BRANCH,
                              .target = a.argv[0],
                              .flags = a.simd ? REQUEST_SIMD : 0,
                              .namespace_ = a.argc > 1 ? a.argv[1] : NULL,
                              .argument = a.cpu ? (uint32_t)cpu + 1 : 0};
    if (!status)
        status = asking_post(&a, &r, a.argv[0], &c);
    if (!status && !a.json)
        printf("%s is a branch of %s\n", r.target, r.namespace_ ? r.namespace_ : "root");
    asking_close(&a);
    return status;
}

static int ns_rm(int argc, char **argv)
{
    struct asking a = {0};
    struct arena_completion c = {0};
    int status = asking_open(argc, argv, "m:t:j", 1, 1, &a);

    if (status)
        return status;
    status = asking_post(&a, &(struct request){.kind = REQUEST_REMOVE, .target = a.argv[0]}, a.argv[0], &c);
    if (!status && !a.json)
        printf("removed %s%s%s\n", a.argv[0], *c.detail ? ": " : "", c.detail);
    asking_close(&a);
    return status;
}

/* ---- the verb ---- */

static const struct sub {
    const char *name;
    int (*run)(int argc, char **argv);
} subs[] = {{"list", verb_namespaces}, {"log", ns_log},           {"branch", ns_branch},
            {"diff", ns_diff},         {"checkout", ns_checkout}, {"rm", ns_rm}};

static const struct sub *find_sub(const char *word)
{
    for (size_t i = 0; i < sizeof subs / sizeof *subs; i++)
        if (strcmp(word, subs[i].name) == 0)
            return &subs[i];
    return NULL;
}

/* `ns [N] SUB ...`: the machine comes before, options anywhere. */
static int find_sub_at(int argc, char **argv)
{
    int operands = 0;

    for (int i = 1; i < argc && operands < 2; i++) {
        if (strcmp(argv[i], "-m") == 0 || strcmp(argv[i], "--machine") == 0) {
            i++;
            continue;
        }
        if (argv[i][0] == '-')
            continue;
        if (find_sub(argv[i]))
            return i;
        operands++;
    }
    return 0;
}

int verb_ns(int argc, char **argv)
{
    int at = find_sub_at(argc, argv);

    if (!at)
        return cli_fail(CLI_USAGE, "say list, log, branch, diff, checkout or rm");
    const struct sub *sub = find_sub(argv[at]);
    memmove(&argv[at], &argv[at + 1], (size_t)(argc - at) * sizeof *argv);
    return sub->run(argc - 1, argv);
}
