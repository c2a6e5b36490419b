/* What namespaces are made of, or were after a commit: log, diff, checkout. A commit is a swap in the log, known by its
 * number (introspect/history.h). */
#include "cli/commits.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/bundle.h"
#include "cli/cli.h"
#include "cli/reading.h"
#include "introspect/history.h"

/* ---- what operands mean ---- */

/* A namespace as it is, or as it was. */
struct point {
    uint32_t namespace_;
    struct history *history; /* owned; NULL: as it is */
    size_t entry;
};

static int find_namespace(const struct target *t, const char *name, uint32_t *ret)
{
    *ret = view_find_namespace(t->view, name);
    return *ret ? CLI_DONE
                : cli_fail(CLI_UNKNOWN, "machine %s has no namespace '%s'; `delias ns %s list` lists them", t->name,
                           name, t->name);
}

/* A number, which may stand behind @, where a namespace has the number for its name. */
static bool is_commit(const struct view *v, const char *word, uint64_t *ret)
{
    const char *digits = word + (word[0] == '@');
    size_t count = strspn(digits, "0123456789");

    if (!count || count > 19 || digits[count] || (digits == word && view_find_namespace(v, word)))
        return false;
    *ret = strtoull(digits, NULL, 10);
    return true;
}

static int find_commit(const struct target *t, uint32_t namespace_, uint64_t commit, struct point *ret)
{
    const char *name = view_namespace_name(t->view, namespace_);

    *ret = (struct point){.namespace_ = namespace_, .history = history_take(t->view, namespace_)};
    if (!ret->history)
        return cli_fail(CLI_FAILED, "out of memory");
    if (history_find(ret->history, commit, &ret->entry))
        return CLI_DONE;
    return cli_fail(CLI_UNKNOWN, "namespace %s has no commit %lu; `delias ns %s log %s` lists them", name,
                    (unsigned long)commit, t->name, name);
}

/* A namespace, or a commit of `of`. An exit status other than 0 was reported; point_free in every case. */
static int find_point(const struct target *t, const char *word, uint32_t of, struct point *ret)
{
    uint64_t commit;

    *ret = (struct point){0};
    if (of && is_commit(t->view, word, &commit))
        return find_commit(t, of, commit, ret);
    return find_namespace(t, word, &ret->namespace_);
}

static void point_free(struct point *p)
{
    history_free(p->history);
    p->history = NULL;
}

/* ---- two of them ---- */

/* What one of them has under a name; all zero: nothing. */
struct side {
    const char *held_by; /* "": no longer known */
    uint64_t object;
    uint32_t version, cell;
};

static struct side side_now(const struct view *v, uint32_t namespace_, const char *name)
{
    uint32_t cell = view_find_cell(v, namespace_, name);
    const struct arena_cell *c = cell ? view_cell(v, cell) : NULL;
    const struct arena_object *o = c ? view_object(v, c->object) : NULL;

    if (!c || c->state != CELL_LIVE)
        return (struct side){.held_by = ""};
    return (struct side){view_namespace_name(v, c->namespace_), o ? o->hash : 0, c->version, cell};
}

static struct side side_of(const struct view *v, const struct point *p, const char *name)
{
    struct history_cell was;

    if (!p->history || !history_cell(p->history, p->entry, name, &was) || was.cell)
        return side_now(v, p->namespace_, name);
    return (struct side){"", was.object, was.version, 0};
}

/* With `copies` also cells that are there twice, from the same object. */
static bool differ(const struct side *a, const struct side *b, bool copies)
{
    if (!a->version != !b->version || a->object != b->object)
        return true;
    return copies && a->cell && b->cell && a->cell != b->cell;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names of cells that are there or, with a history, were: each once, in order. NULL: no memory, which was reported. */
static const char **all_names(const struct view *v, const struct history *h, size_t *ret_count)
{
    size_t count = 0, once = 0, were = h ? history_cells(h) : 0;
    const char **names = calloc(view_count(v, ARENA_CELLS) + were + 1, sizeof *names);

    if (!names) {
        (void)cli_fail(CLI_FAILED, "out of memory");
        return NULL;
    }
    for (uint32_t i = 0; (i = view_next(v, ARENA_CELLS, i));)
        names[count++] = view_cell_name(v, i);
    for (size_t i = 0; i < were; i++)
        names[count++] = history_name(h, i);
    qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 0; i < count; i++)
        if (!once || strcmp(names[i], names[once - 1]) != 0)
            names[once++] = names[i];
    *ret_count = once;
    return names;
}

/* ---- log ---- */

static const struct column log_columns[] = {
    {"commit", COLUMN_NUMBER, 0},
    {"time_ns", COLUMN_NUMBER, 0},
    {"namespace", COLUMN_TEXT, 0},
    {"what", COLUMN_TEXT, 0},
    {"cells", COLUMN_TEXT, 0},
    {"checkout", COLUMN_TEXT, 0},
    {0},
};

/* "channel 1>2,talker 0>1", of those that became others; version 0: it was not there. */
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

static void add_entry(struct reading *r, const struct history *h, size_t n)
{
    const struct history_entry *e = history_entry(h, n);
    const struct arena_namespace *made = view_namespace(r->view, e->namespace_);
    char what[64] = "change", cells[512], gone[64] = "yes";
    const char *cell;
    uint32_t version;

    if (e->kind == HISTORY_BRANCH)
        snprintf(what, sizeof what, "branch of %s", view_namespace_name(r->view, made ? made->parent : 0));
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

static int fill_log(struct reading *r)
{
    uint32_t namespace_;
    int status = find_namespace(r->target, r->argc ? r->argv[0] : "root", &namespace_);
    struct history *h = status ? NULL : history_take(r->view, namespace_);

    if (!status && !h)
        return cli_fail(CLI_FAILED, "out of memory");
    for (size_t n = 0; h && history_entry(h, n); n++)
        add_entry(r, h, n);
    history_free(h);
    return status;
}

int ns_log(int argc, char **argv)
{
    static const struct reading_rule rule = {0, 1, "", log_columns, fill_log, false, NULL};

    return reading_run(argc, argv, &rule);
}

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

static void add_side(struct out *out, const struct side *side)
{
    out_text(out, side->held_by);
    out_number(out, side->version);
    out_number(out, side->object);
}

static int add_differences(struct reading *r, const struct point *one, const struct point *other)
{
    size_t count;
    const char **names = all_names(r->view, other->history, &count);

    if (!names)
        return CLI_FAILED;
    for (size_t i = 0; i < count; i++) {
        struct side a = side_of(r->view, one, names[i]), b = side_of(r->view, other, names[i]);

        if (!differ(&a, &b, r->all))
            continue;
        out_text(r->out, names[i]);
        add_side(r->out, &a);
        add_side(r->out, &b);
    }
    free(names);
    return CLI_DONE;
}

/* NS OTHER, NS COMMIT or NS COMMIT COMMIT. */
static int fill_diff(struct reading *r)
{
    struct point one = {0}, other = {0};
    uint32_t namespace_;
    uint64_t commit;
    int status = find_namespace(r->target, r->argv[0], &namespace_);

    one.namespace_ = namespace_;
    if (!status && r->argc == 3 &&
        (!is_commit(r->view, r->argv[1], &commit) || !is_commit(r->view, r->argv[2], &commit)))
        status = cli_fail(CLI_USAGE, "diff compares two namespaces, or one with a commit, or two of its commits");
    if (!status && r->argc == 3)
        status = find_point(r->target, r->argv[1], namespace_, &one);
    if (!status)
        status = find_point(r->target, r->argv[r->argc - 1], namespace_, &other);
    if (!status)
        status = add_differences(r, &one, &other);
    point_free(&one);
    point_free(&other);
    return status;
}

int ns_diff(int argc, char **argv)
{
    static const struct reading_rule rule = {2, 3, "a", diff_columns, fill_diff, false, NULL};

    return reading_run(argc, argv, &rule);
}

/* ---- checkout ---- */

static int add_difference(struct asking *a, struct bundle *b, const char *name, const struct side *is,
                          const struct side *was)
{
    int status = CLI_DONE;

    if (was->version && !history_has_object(a->target.view, name, was->object))
        return cli_fail(CLI_FAILED, "refused: version %u of %s, object %#lx, is not kept any more", was->version, name,
                        (unsigned long)was->object);
    if (!a->json)
        printf("%s %u>%u\n", name, is->version, was->version);
    if (is->version)
        status = bundle_old(a, b, name);
    if (!status && was->version)
        status = bundle_kept(b, name, was->object);
    return status;
}

/* What differs, as one swap. */
static int fill_bundle(struct asking *a, struct bundle *b, const struct point *now, const struct point *then)
{
    const struct view *v = a->target.view;
    size_t count;
    const char **names = all_names(v, then->history, &count);
    int status = names ? CLI_DONE : CLI_FAILED;

    for (size_t i = 0; names && !status && i < count; i++) {
        struct side is = side_of(v, now, names[i]), was = side_of(v, then, names[i]);

        if (differ(&is, &was, false))
            status = add_difference(a, b, names[i], &is, &was);
    }
    free(names);
    if (!status && a->recipes)
        status = bundle_add(b, a->recipes, bundle_recipes);
    return status;
}

static int swap_difference(struct asking *a, const struct point *now, const struct point *then)
{
    struct bundle b = {0};
    char what[64];

    snprintf(what, sizeof what, "cells of %s", a->argv[0]);
    int status = bundle_open(a, &b, what);
    if (!status)
        status = fill_bundle(a, &b, now, then);
    if (!status && (b.set->olds || b.set->objects))
        status = bundle_swap(a, &b);
    else if (!status && a->json)
        asking_print(&(struct arena_completion){.detail = "nothing differs"});
    else if (!status)
        printf("%s is like that already\n", a->argv[0]);
    bundle_close(&b);
    return status;
}

int ns_checkout(int argc, char **argv)
{
    struct asking a = {0};
    struct point now = {0}, then = {0};
    int status = asking_open(argc, argv, "m:t:jnr:", 2, 2, &a);

    if (status)
        return status;
    a.namespace_ = a.argv[0];
    status = target_look(&a.target);
    if (!status)
        status = find_namespace(&a.target, a.argv[0], &now.namespace_);
    if (!status)
        status = find_point(&a.target, a.argv[1], now.namespace_, &then);
    if (!status)
        status = swap_difference(&a, &now, &then);
    point_free(&then);
    asking_close(&a);
    return status;
}
