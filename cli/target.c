/* See target.h. */
#include "cli/target.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "introspect/name.h"

enum { MANY = 1024 };

/* Adds ", word" to a list in a fixed buffer; what does not fit is left out. */
static void append_name(char *list, size_t bytes, const char *word)
{
    size_t used = strlen(list);

    snprintf(list + used, bytes - used, "%s%s", used ? ", " : "", word);
}

static bool is_dead(const struct machine_info *info)
{
    return strcmp(info->state, "dead") == 0;
}

static const struct machine_info *find_machine(const struct machine_info *infos, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(infos[i].name, name) == 0)
            return &infos[i];
    return NULL;
}

static enum cli_status no_machine(const struct machine_info *infos, size_t count, const char *name)
{
    char running[MANY] = "";

    for (size_t i = 0; i < count; i++)
        if (!is_dead(&infos[i]))
            append_name(running, sizeof running, infos[i].name);
    if (!*running)
        return cli_fail(CLI_UNKNOWN, "machine '%s' does not run, nor does any other; start one with `delias run`",
                        name);
    return cli_fail(CLI_UNKNOWN, "there is no machine '%s'; running: %s", name, running);
}

/* Finds the name of the only machine that runs. */
static enum cli_status only_machine(const struct machine_info *infos, size_t count, char *ret_name, size_t bytes)
{
    const struct machine_info *only = NULL;
    char running[MANY] = "";
    size_t alive = 0;

    for (size_t i = 0; i < count; i++)
        if (!is_dead(&infos[i])) {
            only = &infos[i];
            alive++;
            append_name(running, sizeof running, infos[i].name);
        }
    if (alive == 0)
        return cli_fail(CLI_UNKNOWN, "no machine runs; start one with `delias run`");
    if (alive > 1)
        return cli_fail(CLI_UNKNOWN, "several machines run; name one of: %s", running);
    snprintf(ret_name, bytes, "%s", only->name);
    return CLI_DONE;
}

static enum cli_status pick_machine(const struct machine_info *infos, size_t count, struct call *call, char *ret_name,
                                    size_t bytes)
{
    const char *name = call->machine, *first = call->argc > 0 ? call->argv[0] : NULL;
    bool many = call->most != ANY_NUMBER && call->argc > call->most;

    if (!name && first && (find_machine(infos, count, first) || many)) {
        name = first;
        call->argv++;
        call->argc--;
    }
    enum cli_status status = cli_check_operands(call);
    if (status)
        return status;
    if (!name)
        return only_machine(infos, count, ret_name, bytes);
    const struct machine_info *info = find_machine(infos, count, name);
    if (!info || is_dead(info))
        return no_machine(infos, count, name);
    snprintf(ret_name, bytes, "%s", name);
    return CLI_DONE;
}

enum cli_status target_open(struct target *ret, struct call *call)
{
    OWN(memory) struct machine_info *infos = NULL;
    size_t count = 0;
    struct target t = {0};

    if (machine_list(&infos, &count))
        return cli_fail(CLI_FAILED, "%s", machine_last_error());
    enum cli_status status = pick_machine(infos, count, call, t.name, sizeof t.name);
    if (status)
        return status;
    enum err e = machine_open(t.name, &t.machine);
    if (e)
        return cli_fail(e == ERR_NOT_FOUND ? CLI_UNKNOWN : CLI_FAILED, "%s", machine_last_error());
    *ret = t;
    return CLI_DONE;
}

enum cli_status target_map(struct target *t, bool writable)
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
        return "the header of its arena is destroyed; `delias reset` restarts the guest";
    case ERR_RANGE:
        return "its memory is too small for an arena";
    default:
        return err_text(e);
    }
}

static void warn_damage(const struct target *t)
{
    const struct view_damage *first = view_damage(t->view, 0);

    if (!view_header(t->view)->ready)
        cli_warn("machine %s is still booting: this is what there is so far", t->name);
    else if (first)
        cli_warn("machine %s: %zu damages in the arena, the first: %s %u: %s (`delias verify` lists them)", t->name,
                 view_damage_count(t->view), first->table == ARENA_TABLES ? "header" : name_table(first->table),
                 first->index, first->text);
}

/* Takes a view. A copy of memory may be one of a guest in the middle of a change, which only another copy shows to be
 * over. */
static struct view *take_view(struct target *t, enum err *ret_err)
{
    enum { COPIES = 20 };
    struct view *view = NULL;

    *ret_err = ERR_OK;
    for (int i = 0; i < COPIES && !*ret_err && (!view || view_is_torn(view)); i++) {
        view_free(view);
        view = NULL;
        if (t->view || i > 0) /* what target_map has copied is fresh */
            *ret_err = machine_ram_refresh(t->machine, t->ram, t->ram_bytes);
        if (!*ret_err)
            view = view_take_patiently(t->ram, t->ram_bytes, ret_err);
        if (!machine_ram_is_copied(t->machine))
            break;
    }
    return view;
}

static enum err replace_view(struct target *t)
{
    bool first = !t->view;
    enum err e;
    struct view *fresh = take_view(t, &e);

    if (!fresh)
        return e;
    view_free(t->view);
    t->view = fresh;
    if (first)
        warn_damage(t);
    return ERR_OK;
}

enum cli_status target_look(struct target *t)
{
    enum err e = replace_view(t);

    return e ? cli_fail(CLI_FAILED, "machine %s: %s", t->name, why_no_view(e)) : CLI_DONE;
}

enum cli_status target_look_again(struct target *t, bool *ret_booting)
{
    enum err e = replace_view(t);

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

/* The words are no name, or name nothing. */
static enum cli_status no_cell(const struct target *t, const char *what)
{
    return cli_fail(CLI_UNKNOWN, "machine %s has %s", t->name, what);
}

enum cli_status target_named(struct target *t, const struct qualified *name, enum qualified_reach reach,
                             struct cell_ref *ret_cell)
{
    struct qualified_text text;

    if (qualified_cell(t->view, name, reach, ret_cell, &text))
        return no_cell(t, text.text);
    if (*text.text && !t->told) /* once, also when it is looked up again and again */
        cli_warn("%s", text.text);
    t->told = t->told || *text.text;
    return CLI_DONE;
}

enum cli_status target_parse(const char *words, struct qualified *ret_name)
{
    if (qualified_parse(words, ret_name))
        return CLI_DONE;
    return cli_fail(CLI_UNKNOWN, "there can be no cell '%.128s'; say CELL or NAMESPACE/CELL", words);
}

/* A section is refused where a cell is asked for. */
static enum cli_status refuse_rest(const struct qualified *name)
{
    return cli_fail(CLI_UNKNOWN, "there can be no cell '%s:%s'; a cell is asked for, not a section", name->cell,
                    name->rest);
}

struct cell_ref target_cell(struct target *t, const char *word, enum cli_status *ret_status)
{
    struct cell_ref cell = NO_CELL;
    struct qualified name;

    *ret_status = target_parse(word, &name);
    if (!*ret_status)
        *ret_status = *name.rest ? refuse_rest(&name) : target_named(t, &name, QUALIFIED_HELD, &cell);
    return cell;
}

struct cell_ref target_section(struct target *t, const char *word, struct section_ref *ret_section,
                               enum cli_status *ret_status)
{
    struct cell_ref cell = NO_CELL;
    struct qualified name;

    *ret_section = NO_SECTION;
    *ret_status = target_parse(word, &name);
    if (!*ret_status)
        *ret_status = target_named(t, &name, QUALIFIED_HELD, &cell);
    if (*ret_status || !*name.rest)
        return cell;
    *ret_section = view_find_section(t->view, cell, name.rest);
    if (ret_section->index)
        return cell;
    const char *space = name.namespace_;
    *ret_status =
        cli_fail(CLI_UNKNOWN, "cell %s%s%s has no section '%s'; `delias sections %s %s%s%s` lists them", space,
                 *space ? "/" : "", name.cell, name.rest, t->name, space, *space ? "/" : "", name.cell);
    return NO_CELL;
}
