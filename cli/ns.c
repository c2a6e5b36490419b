/* Namespaces as git has branches: list, log, branch, diff, checkout, rm. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/asking.h"
#include "cli/cli.h"
#include "cli/reading.h"
#include "cli/verbs.h"

/* ---- diff ---- */

static const struct column diff_columns[] = {
    {"cell", COLUMN_TEXT, 0},
    {"held_by", COLUMN_TEXT, 0},
    {"version", COLUMN_NUMBER, 0},
    {"object", COLUMN_ADDRESS, 0},
    {"other_held_by", COLUMN_TEXT, 0},
    {"other_version", COLUMN_NUMBER, 0},
    {"other_object", COLUMN_ADDRESS, 0},
    {0},
};

/* What a namespace has under a name; all zero: nothing. */
struct side {
    const char *held_by;
    uint64_t object;
    uint32_t version, cell;
};

static struct side side_of(const struct view *v, uint32_t namespace_, const char *name)
{
    uint32_t cell = view_find_cell(v, namespace_, name);
    const struct arena_cell *c = cell ? view_cell(v, cell) : NULL;
    const struct arena_object *o = c ? view_object(v, c->object) : NULL;

    if (!c || c->state != CELL_LIVE)
        return (struct side){.held_by = ""};
    return (struct side){view_namespace_name(v, c->namespace_), o ? o->hash : 0, c->version, cell};
}

static void add_side(struct out *out, const struct side *side)
{
    out_text(out, side->held_by);
    out_number(out, side->version);
    out_number(out, side->object);
}

/* Copies of the same object are no difference, but with --all. */
static void add_difference(struct reading *r, const char *name, uint32_t one, uint32_t other)
{
    struct side a = side_of(r->view, one, name), b = side_of(r->view, other, name);

    if (a.cell == b.cell || (!r->all && a.cell && b.cell && a.object == b.object))
        return;
    out_text(r->out, name);
    add_side(r->out, &a);
    add_side(r->out, &b);
}

static int find_namespace(const struct reading *r, const char *name, uint32_t *ret)
{
    *ret = view_find_namespace(r->view, name);
    return *ret ? CLI_DONE
                : cli_fail(CLI_UNKNOWN, "machine %s has no namespace '%s'; `delias ns %s list` lists them",
                           r->target->name, name, r->target->name);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int fill_diff(struct reading *r)
{
    size_t count = 0;
    uint32_t one, other;
    int status = find_namespace(r, r->argv[0], &one);

    if (!status)
        status = find_namespace(r, r->argv[1], &other);
    if (status)
        return status;
    const char **names = calloc(view_count(r->view, ARENA_CELLS) + 1, sizeof *names);
    if (!names)
        return cli_fail(CLI_FAILED, "out of memory");
    for (uint32_t i = 0; (i = view_next(r->view, ARENA_CELLS, i));)
        names[count++] = view_cell_name(r->view, i);
    qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || strcmp(names[i], names[i - 1]) != 0)
            add_difference(r, names[i], one, other);
    free(names);
    return CLI_DONE;
}

static int ns_diff(int argc, char **argv)
{
    static const struct reading_rule rule = {2, 2, "a", diff_columns, fill_diff, false, NULL};

    return reading_run(argc, argv, &rule);
}

/* ---- branch, rm ---- */

static int ns_branch(int argc, char **argv)
{
    struct asking a = {0};
    struct arena_completion c = {0};
    uint64_t cpu = 0;
    int status = asking_open(argc, argv, "m:t:jc:", 1, 2, &a);

    if (status)
        return status;
    if (a.cpu && strcmp(a.cpu, "0") != 0)
        status = cli_number("--cpu", a.cpu, UINT32_MAX - 1, &cpu);
    const struct request r = {.kind = REQUEST_BRANCH,
                              .target = a.argv[0],
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
} subs[] = {{"list", verb_namespaces}, {"branch", ns_branch}, {"diff", ns_diff}, {"rm", ns_rm}};

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
        return cli_fail(CLI_USAGE, "say list, branch, diff or rm");
    const struct sub *sub = find_sub(argv[at]);
    memmove(&argv[at], &argv[at + 1], (size_t)(argc - at) * sizeof *argv);
    return sub->run(argc - 1, argv);
}
