/* See targets.h. */
#include "injector/targets.h"
#include "introspect/base/ram_map.h"
#include "introspect/objects.h"
#include "introspect/qualified.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct aim {
    const struct objects *objects;
    const struct plan *plan;
    const struct place *place;
    struct why *why;
};

static void list_cells(const struct objects *objects, char *ret_text, size_t bytes)
{
    const char *name;
    size_t at = 0;

    *ret_text = '\0';
    for (size_t i = 0; (name = objects_cell(objects, i)) != NULL && at < bytes; i++)
        at += (size_t)snprintf(ret_text + at, bytes - at, "%s%s", i ? " " : "", name);
}

static bool fits(void *context, const char *name, enum arena_section_kind kind)
{
    const struct place *place = context;

    return place_fits(place, kind, name);
}

static enum err no_cell(const struct aim *a, const char *name)
{
    char cells[256];

    list_cells(a->objects, cells, sizeof cells);
    return why_set(a->why, ERR_NOT_FOUND, "there is no cell '%s' in archive %s; there are: %s", name,
                   a->plan->machine.archive, cells);
}

/* A namespace other than the root is made by what runs in the guest: whether it holds the cell is seen when a place in
 * it is looked for. */
static enum err check_cell(const struct aim *a)
{
    bool all = strcmp(a->place->name, "*") == 0, found = false;
    const char *archive = a->plan->machine.archive;
    struct qualified name;

    if (!qualified_parse(a->place->name, &name))
        return no_cell(a, a->place->name);
    int cell = all ? 0 : objects_find(a->objects, name.cell);
    if (cell < 0)
        return no_cell(a, name.cell);
    if (!all && strcmp(name.cell, "nano_core") == 0 && !strstr(a->plan->machine.cmdline, "renew=no"))
        return why_set(a->why, ERR_NOT_FOUND, "cell nano_core is gone when the services are up, unless renew=no");
    for (size_t i = (size_t)cell; !found && objects_cell(a->objects, i) && (all || i == (size_t)cell); i++)
        found = objects_each_section(a->objects, i, fits, (void *)a->place);
    return found ? ERR_OK
                 : why_set(a->why, ERR_NOT_FOUND, "cell %s has nothing in %s in archive %s", a->place->name,
                           a->place->section, archive);
}

static enum err check_symbol(const struct aim *a)
{
    const char *words = a->place->name, *slash = strchr(words, '/'), *dot = strchr(words, '.');
    uint64_t bytes = slash ? 0 : objects_symbol_bytes(a->objects, -1, words);
    struct qualified name;

    if (!bytes && dot) { /* [NAMESPACE/]CELL.SYMBOL */
        char cell_words[sizeof a->place->name];

        snprintf(cell_words, sizeof cell_words, "%.*s", (int)(dot - words), words);
        int cell = qualified_parse(cell_words, &name) ? objects_find(a->objects, name.cell) : -1;
        if (cell < 0)
            return no_cell(a, cell_words);
        bytes = objects_symbol_bytes(a->objects, cell, dot + 1);
    }
    if (!bytes)
        return why_set(a->why, ERR_NOT_FOUND, "there is no symbol '%s' in archive %s", a->place->name,
                       a->plan->machine.archive);
    if (a->place->bytes && (a->place->phys >= bytes || a->place->bytes > bytes - a->place->phys))
        return why_set(a->why, ERR_RANGE, "symbol %s has %" PRIu64 " bytes", a->place->name, bytes);
    return ERR_OK;
}

/* A task is named by a text of the cell that makes it, perhaps with a number behind it, or like an application. Numbers
 * of tasks are not known before. */
static enum err check_task(const struct aim *a)
{
    const char *name = a->place->name;
    size_t digits = strspn(name, "0123456789"), stem = strlen(name);

    while (stem && name[stem - 1] >= '0' && name[stem - 1] <= '9')
        stem--;
    if (strcmp(name, "*") == 0 || name[digits] == '\0' || objects_find(a->objects, name) >= 0 ||
        objects_have_text(a->objects, name, strlen(name)) || objects_have_text(a->objects, name, stem))
        return ERR_OK;
    return why_set(a->why, ERR_NOT_FOUND, "no cell in archive %s makes a task '%s'", a->plan->machine.archive, name);
}

static enum err check_phys(const struct aim *a)
{
    uint64_t ram = a->plan->machine.ram_bytes;

    if (ram_map_has(ram_map_end(ram), a->place->phys, a->place->bytes))
        return ERR_OK;
    return why_set(a->why, ERR_RANGE,
                   "phys:%#" PRIx64 "+%" PRIu64 " is not within the machine's %" PRIu64 " MiB of RAM", a->place->phys,
                   a->place->bytes, ram >> 20);
}

static enum err check_target(const struct aim *a)
{
    switch (a->place->kind) {
    case PLACE_CELL:
        return a->objects ? check_cell(a) : ERR_OK;
    case PLACE_SYMBOL:
        return a->objects ? check_symbol(a) : ERR_OK;
    case PLACE_TASK:
        return a->objects ? check_task(a) : ERR_OK;
    case PLACE_PHYS:
        return check_phys(a);
    case PLACE_BEHIND:
        return a->objects ? check_cell(a) : ERR_OK;
    case PLACE_HEAP:
    case PLACE_ARENA:
    case PLACE_RANDOM:
    case PLACE_REGISTER:
        return ERR_OK;
    }
    return ERR_OK;
}

/* The items of one key of the file. */
static enum err check_list(const char *name, const struct plan *plan, const struct objects *objects, const char *key,
                           const struct plan_target *target, unsigned count, struct why *why)
{
    enum err e = ERR_OK;

    for (unsigned i = 0; i < count && e == ERR_OK; i++) {
        struct why inner = {0};
        const struct aim aim = {objects, plan, &target[i].place, &inner};
        e = target[i].here ? ERR_OK : check_target(&aim);
        if (e != ERR_OK)
            why_fill(why, "%s: line %u: %s: %s: %s", name, target[i].line, key, target[i].words, inner.text);
    }
    return e;
}

static enum err check_plan(const char *name, const struct plan *plan, struct why *why)
{
    OWN(objects) struct objects *objects = NULL;
    enum err e = plan->machine.archive[0] ? objects_read(plan->machine.archive, &objects) : ERR_OK;

    if (e != ERR_OK)
        return why_set(why, e, "%s: archive %s: %s", name, plan->machine.archive,
                       e == ERR_CORRUPT ? "has no cells" : err_text(e));
    const struct plan_moment *m = &plan->moment;
    e = check_list(name, plan, objects, "targets", plan->target, plan->targets, why);
    if (e == ERR_OK)
        e = check_list(name, plan, objects, "moments", m->function, m->functions, why);
    return e == ERR_OK ? check_list(name, plan, objects, "first", m->first, m->firsts, why) : e;
}

enum err targets_check(const char *name, const struct plan *plan, struct why *why)
{
    enum err e = plan->parts ? ERR_OK : check_plan(name, plan, why);

    for (unsigned i = 0; i < plan->parts && e == ERR_OK; i++)
        e = check_plan(plan->part[i].file, &plan->part[i], why);
    return e;
}
