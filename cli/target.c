/* See target.h. */
#include "cli/target.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/cli.h"
#include "introspect/name.h"

enum { MANY = 1024 };

/* Adds ", word" to a list in a fixed buffer; what does not fit is left out. */
static void append(char *list, size_t bytes, const char *word)
{
    size_t used = strlen(list);

    snprintf(list + used, bytes - used, "%s%s", used ? ", " : "", word);
}

static bool is_dead(const struct machine_info *info)
{
    return strcmp(info->state, "dead") == 0;
}

static const struct machine_info *find(const struct machine_info *infos, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(infos[i].name, name) == 0)
            return &infos[i];
    return NULL;
}

static int no_machine(const struct machine_info *infos, size_t count, const char *name)
{
    char running[MANY] = "";

    for (size_t i = 0; i < count; i++)
        if (!is_dead(&infos[i]))
            append(running, sizeof running, infos[i].name);
    if (!*running)
        return cli_fail(CLI_UNKNOWN, "machine '%s' does not run, nor does any other; start one with `delias run`",
                        name);
    return cli_fail(CLI_UNKNOWN, "there is no machine '%s'; running: %s", name, running);
}

/* The name of the only one that runs. */
static int only_machine(const struct machine_info *infos, size_t count, char *ret_name, size_t bytes)
{
    const struct machine_info *only = NULL;
    char running[MANY] = "";
    size_t alive = 0;

    for (size_t i = 0; i < count; i++)
        if (!is_dead(&infos[i])) {
            only = &infos[i];
            alive++;
            append(running, sizeof running, infos[i].name);
        }
    if (alive == 0)
        return cli_fail(CLI_UNKNOWN, "no machine runs; start one with `delias run`");
    if (alive > 1)
        return cli_fail(CLI_UNKNOWN, "several machines run; name one of: %s", running);
    snprintf(ret_name, bytes, "%s", only->name);
    return CLI_DONE;
}

static int pick(const struct machine_info *infos, size_t count, const char *option, int *argc, char ***argv, int min,
                int max, char *ret_name, size_t bytes)
{
    const char *first = *argc > 0 ? (*argv)[0] : NULL;

    if (!option && first && (find(infos, count, first) || *argc > max)) {
        option = first;
        ++*argv;
        --*argc;
    }
    if (*argc > max)
        return cli_fail(CLI_USAGE, "'%s' is one operand too many", (*argv)[max]);
    if (*argc < min)
        return cli_fail(CLI_USAGE, "an operand is missing");
    if (!option)
        return only_machine(infos, count, ret_name, bytes);
    if (!find(infos, count, option) || is_dead(find(infos, count, option)))
        return no_machine(infos, count, option);
    snprintf(ret_name, bytes, "%s", option);
    return CLI_DONE;
}

int target_open(struct target *ret, const char *option, int *argc, char ***argv, int min, int max)
{
    struct machine_info *infos = NULL;
    size_t count = 0;
    struct target t = {0};

    if (machine_list(&infos, &count))
        return cli_fail(CLI_FAILED, "%s", machine_last_error());
    int status = pick(infos, count, option, argc, argv, min, max, t.name, sizeof t.name);
    free(infos);
    if (status)
        return status;
    enum err e = machine_open(t.name, &t.machine);
    if (e)
        return cli_fail(e == ERR_NOT_FOUND ? CLI_UNKNOWN : CLI_FAILED, "%s", machine_last_error());
    *ret = t;
    return CLI_DONE;
}

int target_parse(struct target *ret, int argc, char **argv)
{
    static const struct option longs[] = {{"machine", required_argument, NULL, 'm'}, {0}};
    const char *option = NULL;
    int c;

    opterr = 0;
    while ((c = getopt_long(argc, argv, "m:", longs, NULL)) != -1) {
        if (c != 'm')
            return cli_fail(CLI_USAGE, "option '%s' is unknown or lacks its value", argv[optind - 1]);
        option = optarg;
    }
    argc -= optind;
    argv += optind;
    return target_open(ret, option, &argc, &argv, 0, 0);
}

int target_map(struct target *t, bool writable)
{
    void *base;

    if (machine_ram_map(t->machine, writable, &base, &t->ram_bytes))
        return cli_fail(CLI_FAILED, "%s", machine_last_error());
    t->ram = base;
    return CLI_DONE;
}

static const char *why_no_view(enum err e)
{
    switch (e) {
    case ERR_NOT_FOUND:
        return "its guest has no arena yet: it is still booting, or did not get that far (see `delias console`)";
    case ERR_WRONG_ABI:
        return "its guest was built with another version of guest/abi/arena.h; rebuild both";
    case ERR_CORRUPT:
        return "the header of its arena is destroyed; `delias reset` starts the guest anew";
    case ERR_RANGE:
        return "its memory is too small for an arena";
    default:
        return err_text(e);
    }
}

static void warn_damage(const struct target *t)
{
    const struct view_damage *first = view_damage(t->view, 0);

    if (first)
        cli_warn("machine %s: %zu damaged records in the arena, the first: %s %u: %s (`delias verify` lists them)",
                 t->name, view_damage_count(t->view),
                 first->table == ARENA_TABLES ? "header" : name_table(first->table), first->index, first->text);
}

static enum err look(struct target *t)
{
    bool first = !t->view;
    enum err e;
    struct view *fresh = view_take_anyway(t->ram, t->ram_bytes, &e);

    if (!fresh)
        return e;
    view_free(t->view);
    t->view = fresh;
    if (first)
        warn_damage(t);
    return ERR_OK;
}

int target_look(struct target *t)
{
    enum err e = look(t);

    return e ? cli_fail(CLI_FAILED, "machine %s: %s", t->name, why_no_view(e)) : CLI_DONE;
}

int target_look_again(struct target *t, bool *ret_booting)
{
    enum err e = look(t);

    *ret_booting = e == ERR_NOT_FOUND;
    return e && !*ret_booting ? cli_fail(CLI_FAILED, "machine %s: %s", t->name, why_no_view(e)) : CLI_DONE;
}

void target_close(struct target *t)
{
    view_free(t->view);
    if (t->ram)
        machine_ram_unmap(t->ram, t->ram_bytes);
    machine_close(t->machine);
}

/* ---- cells and sections ---- */

static int no_cell(const struct target *t, const char *word)
{
    char cells[MANY] = "";

    for (uint32_t i = 0; (i = view_next(t->view, ARENA_CELLS, i));)
        if (view_cell(t->view, i)->state == CELL_LIVE)
            append(cells, sizeof cells, view_cell_name(t->view, i));
    return cli_fail(CLI_UNKNOWN, "machine %s has no cell '%s'; its cells: %s", t->name, word, *cells ? cells : "none");
}

uint32_t target_cell(const struct target *t, const char *word, int *ret_status)
{
    const char *slash = strchr(word, '/');
    uint32_t cell = 0;
    char name[64];

    *ret_status = CLI_DONE;
    if (word[0] == '#') {
        cell = (uint32_t)strtoul(word + 1, NULL, 10);
        if (!view_cell(t->view, cell))
            cell = 0;
    } else if (slash) {
        snprintf(name, sizeof name, "%.*s", (int)(slash - word), word);
        uint32_t namespace_ = view_find_namespace(t->view, name);
        cell = namespace_ ? view_find_cell(t->view, namespace_, slash + 1) : 0;
    } else {
        cell = view_find_cell(t->view, 0, word);
    }
    if (!cell)
        *ret_status = no_cell(t, word);
    return cell;
}

uint32_t target_section(const struct target *t, const char *word, uint32_t *ret_section, int *ret_status)
{
    const char *colon = strchr(word, ':');
    char name[128];

    *ret_section = 0;
    if (!colon)
        return target_cell(t, word, ret_status);
    snprintf(name, sizeof name, "%.*s", (int)(colon - word), word);
    uint32_t cell = target_cell(t, name, ret_status);
    if (!cell)
        return 0;
    *ret_section = view_find_section(t->view, cell, colon + 1);
    if (*ret_section)
        return cell;
    *ret_status = cli_fail(CLI_UNKNOWN, "cell %s has no section '%s'; `delias sections %s %s` lists them", name,
                           colon + 1, t->name, name);
    return 0;
}
