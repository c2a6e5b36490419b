/* What namespaces are made of, or were after a commit: log, diff, checkout. A commit is a swap in the log, known by its
 * number (introspect/history.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/bundle.h"
#include "cli/cli.h"
#include "cli/reading.h"
#include "cli/verbs.h"
#include "introspect/history.h"

/* ---- what operands mean ---- */

/* A namespace as it is, or as it was. */
struct point {
    struct namespace_ref namespace_;
    struct history *history; /* owned; NULL: as it is */
    size_t entry;
};

static enum cli_status find_namespace(const struct target *t, const char *name, struct namespace_ref *ret)
{
    *ret = view_find_namespace(t->view, name);
    return ret->index ? CLI_DONE
                      : cli_fail(CLI_UNKNOWN, "machine %s has no namespace '%s'; `delias ns %s list` lists them",
                                 t->name, name, t->name);
}

/* Whether a word is the number of a commit; @NUMBER is, even if a namespace has that name. */
static bool is_commit(const struct view *v, const char *word, uint64_t *ret)
{
    const char *digits = word + (word[0] == '@');
    size_t count = strspn(digits, "0123456789");

    if (!count || count > 19 || digits[count] || (digits == word && view_find_namespace(v, word).index))
        return false;
    *ret = strtoull(digits, NULL, 10);
    return true;
}

static enum cli_status find_commit(const struct target *t, struct namespace_ref namespace_, uint64_t commit,
                                   struct point *ret)
{
    const char *name = view_namespace_name(t->view, namespace_);

    *ret = (struct point){.namespace_ = namespace_, .history = history_take(t->view, namespace_)};
    if (!ret->history)
        return cli_fail(CLI_FAILED, "out of memory");
    if (history_find_commit(ret->history, commit, &ret->entry))
        return CLI_DONE;
    return cli_fail(CLI_UNKNOWN, "namespace %s has no commit %lu; `delias ns %s log %s` lists them", name,
                    (unsigned long)commit, t->name, name);
}

/* Finds a namespace or, with `of`, one of its commits. Needs point_free also after a failure, which was reported. */
static enum cli_status find_point(const struct target *t, const char *word, struct namespace_ref of, struct point *ret)
{
    uint64_t commit;

    *ret = (struct point){0};
    if (of.index && is_commit(t->view, word, &commit))
        return find_commit(t, of, commit, ret);
    return find_namespace(t, word, &ret->namespace_);
}

static void point_free(struct point *p)
{
    history_free(p->history);
    p->history = NULL;
}

/* ---- two of them ---- */

/* The cell of a name at one point; all zero: none. */
struct side {
    const char *held_by; /* "": no longer known */
    uint64_t object;
    uint32_t version;
    struct cell_ref cell;
    bool inherited; /* not the namespace's own */
};

static struct side side_now(const struct view *v, struct namespace_ref namespace_, const char *name)
{
    struct cell_ref cell = view_find_cell(v, namespace_, name);
    const struct arena_cell *c = view_cell(v, cell);
    const struct arena_object *o = c ? view_object(v, c->object) : NULL;

    if (!c || c->state != CELL_LIVE)
        return (struct side){.held_by = ""};
    bool inherited = !same(c->namespace_, namespace_);
    return (struct side){view_namespace_name(v, c->namespace_), o ? o->hash : 0, c->version, cell, inherited};
}

static struct side side_at(const struct view *v, const struct point *p, const char *name)
{
    struct history_cell was;

    if (!p->history || !history_cell(p->history, p->entry, name, &was) || was.cell.index)
        return side_now(v, p->namespace_, name);
    return (struct side){"", was.object, was.version, {}, was.inherited};
}

/* Whether two cells are from different objects; with `copies` also when they are two cells from the same one. */
static bool sides_differ(const struct side *a, const struct side *b, bool copies)
{
    if (!a->version != !b->version || a->object != b->object)
        return true;
    return copies && a->cell.index && b->cell.index && !same(a->cell, b->cell);
}

static int compare_name_pointers(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names of all cells of now and of the history (or NULL), sorted, each once. NULL: no memory, which was
 * reported. */
static const char **all_names(const struct view *v, const struct history *h, size_t *ret_count)
{
    size_t count = 0, once = 0, were = h ? history_cells(h) : 0;
    const char **names = calloc(view_count(v, ARENA_CELLS) + were + 1, sizeof *names);

    if (!names) {
        (void)cli_fail(CLI_FAILED, "out of memory");
        return NULL;
    }
    view_each_cell (cell, v)
        names[count++] = view_cell_name(v, cell);
    for (size_t i = 0; i < were; i++)
        names[count++] = history_name(h, i);
    qsort(names, count, sizeof *names, compare_name_pointers);
    for (size_t i = 0; i < count; i++)
        if (!once || strcmp(names[i], names[once - 1]) != 0)
            names[once++] = names[i];
    *ret_count = once;
    return names;
}

/* ---- log ---- */

static const struct column log_columns[] = {
    {.key = "commit", .kind = COLUMN_NUMBER},
    {.key = "time_ns", .kind = COLUMN_NUMBER},
    {.key = "namespace"},
    {.key = "what"},
    {.key = "cells"},
    {.key = "checkout"},
    {0},
};

/* Writes the cells whose object has changed: "channel 1>2,talker 0>1". Version 0: there was none. */
static void cells_text(const struct view *v, const struct arena_swap *s, char *ret, size_t bytes)
{
    size_t at = 0;

    *ret = '\0';
    for (uint32_t i = 0; s && i < s->changes && at < bytes; i++) {
        const struct arena_change *c = view_change(v, s, i);
        if (c && c->old_object != c->new_object)
            at += (size_t)snprintf(ret + at, bytes - at, "%s%s %u>%u", at ? "," : "", c->cell, c->old_version,
                                   c->new_version);
    }
}

static void add_log_entry(struct reading *r, const struct history *h, size_t n)
{
    const struct history_entry *e = history_entry(h, n);
    const struct arena_namespace *made = view_namespace(r->view, e->namespace_);
    char what[64] = "change", cells[512], gone[64] = "yes";
    const char *cell;
    uint32_t version;

    if (e->kind == HISTORY_BRANCH)
        snprintf(what, sizeof what, "branch of %s", view_namespace_name(r->view, made ? made->parent : NO_NAMESPACE));
    if (e->kind == HISTORY_START)
        snprintf(what, sizeof what, "%s", e->commit ? "the log begins" : "start");
    cells_text(r->view, e->swap, cells, sizeof cells);
    if (!history_is_whole(h, n, &cell, &version))
        snprintf(gone, sizeof gone, "%s %u is gone", cell, version);
    out_number(r->out, e->commit);
    out_number(r->out, e->time_ns);
    out_text(r->out, view_namespace_name(r->view, e->namespace_));
    out_text(r->out, what);
    out_text(r->out, cells);
    out_text(r->out, gone);
}

static enum cli_status fill_log(struct reading *r)
{
    struct namespace_ref namespace_;
    enum cli_status status = find_namespace(r->target, r->call->argc ? r->call->argv[0] : "root", &namespace_);

    if (status)
        return status;
    OWN(history) struct history *h = history_take(r->view, namespace_);
    if (!h)
        return cli_fail(CLI_FAILED, "out of memory");
    for (size_t n = 0; history_entry(h, n); n++)
        add_log_entry(r, h, n);
    return CLI_DONE;
}

enum cli_status ns_log(struct call *call)
{
    static const struct reading_rule rule = {log_columns, fill_log, false, NULL};

    return reading_run(call, &rule);
}

/* ---- diff ---- */

static const struct column diff_columns[] = {
    {.key = "cell"},
    {.key = "held_by"},
    {.key = "version", .kind = COLUMN_NUMBER},
    {.key = "object", .kind = COLUMN_ADDRESS},
    {.key = "other_held_by"},
    {.key = "other_version", .kind = COLUMN_NUMBER},
    {.key = "other_object", .kind = COLUMN_ADDRESS},
    {0},
};

static void print_side(struct out *out, const struct side *side)
{
    out_text(out, side->held_by);
    out_number(out, side->version);
    out_number(out, side->object);
}

static enum cli_status add_differences(struct reading *r, const struct point *one, const struct point *other)
{
    size_t count;
    OWN(memory) const char **names = all_names(r->view, other->history, &count);

    if (!names)
        return CLI_FAILED;
    for (size_t i = 0; i < count; i++) {
        struct side a = side_at(r->view, one, names[i]), b = side_at(r->view, other, names[i]);

        if (!sides_differ(&a, &b, r->call->all))
            continue;
        out_text(r->out, names[i]);
        print_side(r->out, &a);
        print_side(r->out, &b);
    }
    return CLI_DONE;
}

/* NS OTHER, NS COMMIT or NS COMMIT COMMIT. */
static enum cli_status fill_diff(struct reading *r)
{
    CLOSED_BY(point_free) struct point one = {0};
    CLOSED_BY(point_free) struct point other = {0};
    char **operand = r->call->argv;
    int operands = r->call->argc;
    struct namespace_ref namespace_;
    uint64_t commit;
    enum cli_status status = find_namespace(r->target, operand[0], &namespace_);

    if (status)
        return status;
    one.namespace_ = namespace_;
    if (operands == 3 && (!is_commit(r->view, operand[1], &commit) || !is_commit(r->view, operand[2], &commit)))
        return cli_fail(CLI_USAGE, "diff compares two namespaces, or one with a commit, or two of its commits");
    if (operands == 3)
        status = find_point(r->target, operand[1], namespace_, &one);
    if (!status)
        status = find_point(r->target, operand[operands - 1], namespace_, &other);
    return status ? status : add_differences(r, &one, &other);
}

enum cli_status ns_diff(struct call *call)
{
    static const struct reading_rule rule = {diff_columns, fill_diff, false, NULL};

    return reading_run(call, &rule);
}

/* ---- checkout ---- */

/* A checkout, name by name. */
struct step {
    const char *name;
    struct side is, was;
    bool inherits; /* the parent's cell is what it was, and so is to be inherited again where it can be */
};

static struct side parents_side(const struct view *v, struct namespace_ref namespace_, const char *name)
{
    const struct arena_namespace *n = view_namespace(v, namespace_);

    return side_now(v, n ? n->parent : NO_NAMESPACE, name);
}

static struct step step_of(const struct view *v, const struct point *now, const struct point *then, const char *name)
{
    struct side parents = parents_side(v, now->namespace_, name);
    struct step step = {.name = name, .is = side_at(v, now, name), .was = side_at(v, then, name)};
    bool was_inherited = then->history ? step.was.inherited : same(step.was.cell, parents.cell);

    step.inherits = step.was.version && was_inherited && parents.version && parents.object == step.was.object;
    return step;
}

/* Whether it holds the cell itself that it is to inherit, and loses nothing with it. Such a step may be left out. */
static bool is_copy(const struct view *v, const struct step *step)
{
    const struct arena_cell *c = view_cell(v, step->is.cell);

    return step->inherits && c && !step->is.inherited && !c->data_bytes;
}

static enum cli_status add_step(struct asking *a, struct bundle *b, const struct step *step)
{
    const struct side *is = &step->is, *was = &step->was;
    enum cli_status status = CLI_DONE;

    if (was->version && !history_has_object(a->target.view, step->name, was->object))
        return cli_fail(CLI_FAILED, "refused: version %u of %s, object %#lx, is not kept any more", was->version,
                        step->name, (unsigned long)was->object);
    if (!a->call->json)
        printf("%s %u>%u%s\n", step->name, is->version, was->version, step->inherits ? " inherited" : "");
    if (is->version)
        status = bundle_old(a, b, step->name);
    if (!status && was->version)
        status = bundle_kept(b, step->name, was->object);
    b->set->inherits += !status && step->inherits;
    return status;
}

/* Adds all cells that differ to the set of one swap; those that are to be inherited come last. */
static enum cli_status add_steps(struct asking *a, struct bundle *b, const struct point *now, const struct point *then)
{
    const struct view *v = a->target.view;
    size_t count;
    OWN(memory) const char **names = all_names(v, then->history, &count);
    enum cli_status status = names ? CLI_DONE : CLI_FAILED;

    for (size_t i = 0; !status && i < 2 * count; i++) {
        struct step step = step_of(v, now, then, names[i % count]);
        bool room = b->set->olds < SWAP_SET_MAX && b->set->objects < SWAP_SET_MAX;

        if (step.inherits == (i >= count) && (sides_differ(&step.is, &step.was, false) || (is_copy(v, &step) && room)))
            status = add_step(a, b, &step);
    }
    return status || !a->call->recipes ? status : bundle_add(b, a->call->recipes, bundle_recipes);
}

static enum cli_status swap_difference(struct asking *a, const struct point *now, const struct point *then)
{
    CLOSED_BY(bundle_close) struct bundle b = {0};
    char what[64];

    snprintf(what, sizeof what, "cells of %s", a->call->argv[0]);
    enum cli_status status = bundle_open(a, &b, what);
    if (!status)
        status = add_steps(a, &b, now, then);
    if (status)
        return status;
    if (b.set->olds || b.set->objects)
        return bundle_swap(a, &b);
    if (a->call->json)
        asking_print(&(struct arena_completion){.detail = "nothing differs"});
    else
        printf("%s is like that already\n", a->call->argv[0]);
    return CLI_DONE;
}

enum cli_status ns_checkout(struct call *call)
{
    CLOSED_BY(asking_close) struct asking a = {0};
    CLOSED_BY(point_free) struct point now = {0};
    CLOSED_BY(point_free) struct point then = {0};
    enum cli_status status = asking_open(&a, call);

    if (status)
        return status;
    a.namespace_ = a.given = call->argv[0];
    status = target_look(&a.target);
    if (!status)
        status = find_namespace(&a.target, call->argv[0], &now.namespace_);
    if (!status)
        status = find_point(&a.target, call->argv[1], now.namespace_, &then);
    return status ? status : swap_difference(&a, &now, &then);
}
