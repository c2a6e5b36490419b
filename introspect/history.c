/* See history.h. Goes back from what is there now, undoing one swap after the other. */
#include "introspect/history.h"
#include <stdlib.h>
#include <string.h>

/* Entry n's cells begin at at[n * cells]; what level l holds itself, while swaps are undone, at held[l * cells]. */
struct history {
    const struct view *view;
    struct namespace_ref *level; /* the namespace, its parent, and so on to the root */
    size_t levels;
    const char **name;
    struct history_cell *now, *at, *held;
    size_t cells;
    struct history_entry *entry;
    size_t entries;
};

/* ---- entries ---- */

static bool is_whole_swap(const struct view *v, const struct arena_swap *s)
{
    for (uint32_t i = 0; i < s->changes; i++)
        if (!view_change(v, s, i))
            return false;
    return true;
}

static bool changes_objects(const struct view *v, const struct arena_swap *s)
{
    for (uint32_t i = 0; i < s->changes; i++)
        if (view_change(v, s, i)->old_object != view_change(v, s, i)->new_object)
            return true;
    return false;
}

static void add_history_entry(struct history *h, enum history_kind kind, uint64_t commit, uint64_t time_ns,
                              struct namespace_ref namespace_, const struct arena_swap *swap)
{
    h->entry[h->entries++] = (struct history_entry){kind, commit, time_ns, namespace_, swap};
}

static void find_levels(struct history *h, struct namespace_ref namespace_)
{
    const struct arena_namespace *n;

    while ((n = view_namespace(h->view, namespace_))) { /* check_parents leaves no circle */
        h->level[h->levels++] = namespace_;
        namespace_ = n->parent;
    }
}

/* The level at which a swap was; the number of levels: at none. */
static size_t level_of(const struct history *h, struct namespace_ref namespace_)
{
    size_t l = 0;

    while (l < h->levels && !same(h->level[l], namespace_))
        l++;
    return l;
}

/* Steps over to the parent as soon as swaps from before the branching come up, or are all that is left. */
static size_t pass_branches(struct history *h, size_t level, uint64_t seq)
{
    const struct arena_namespace *n;

    while (level + 1 < h->levels && (n = view_namespace(h->view, h->level[level])) && seq <= n->since)
        add_history_entry(h, HISTORY_BRANCH, n->since, n->since_ns, h->level[level++], NULL);
    return level;
}

/* The number of swaps that are known: what is newer is being written. */
static size_t count_known(const struct history *h)
{
    uint64_t known = view_header(h->view)->swap_seq;
    size_t n = 0;

    while (view_swap(h->view, n) && view_swap(h->view, n)->seq <= known)
        n++;
    return n;
}

/* Whether the swap changed what the namespace, or one that it inherits from, held. Not one of a namespace that had the
 * same record before. */
static bool is_of_history(const struct history *h, const struct arena_swap *s)
{
    return s->took_effect && level_of(h, s->namespace_) < h->levels &&
           (same(s->namespace_, NAMESPACE_ROOT) || s->seq > view_namespace(h->view, s->namespace_)->since);
}

/* A gap in the log ends it: what the swaps there did, nobody knows. */
static void find_entries(struct history *h)
{
    uint64_t known = view_header(h->view)->swap_seq; /* what it was made of after this swap */
    size_t level = 0, n = count_known(h);

    while (n-- > 0) {
        const struct arena_swap *s = view_swap(h->view, n);

        if (s->seq != known)
            break;
        level = pass_branches(h, level, s->seq);
        if (is_of_history(h, s) && !is_whole_swap(h->view, s))
            break;
        if (is_of_history(h, s) && level_of(h, s->namespace_) == level && changes_objects(h->view, s))
            add_history_entry(h, HISTORY_CHANGE, s->seq, s->time_ns, h->level[level], s);
        known = s->seq - 1;
    }
    level = pass_branches(h, level, known);
    add_history_entry(h, HISTORY_START, known, 0, h->level[level], NULL);
}

/* ---- names ---- */

static int compare_cell_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void gather_names(struct history *h)
{
    const struct arena_swap *s;
    size_t count = 0;

    view_each_cell (cell, h->view)
        if (view_cell(h->view, cell)->state == CELL_LIVE &&
            level_of(h, view_cell(h->view, cell)->namespace_) < h->levels)
            h->name[count++] = view_cell_name(h->view, cell);
    for (size_t n = 0; (s = view_swap(h->view, n)); n++)
        for (uint32_t i = 0; is_of_history(h, s) && i < s->changes; i++)
            if (view_change(h->view, s, i))
                h->name[count++] = view_change(h->view, s, i)->cell;
    qsort(h->name, count, sizeof *h->name, compare_cell_names);
    for (size_t i = 0; i < count; i++)
        if (h->cells == 0 || strcmp(h->name[h->cells - 1], h->name[i]) != 0)
            h->name[h->cells++] = h->name[i];
}

/* The number of cells: there is none of that name. */
static size_t index_of(const struct history *h, const char *name)
{
    const char *const *found = bsearch(&name, h->name, h->cells, sizeof *h->name, compare_cell_names);

    return found ? (size_t)(found - (const char *const *)h->name) : h->cells;
}

/* ---- cells ---- */

/* What a namespace holds itself now. */
static struct history_cell held_now(const struct history *h, struct namespace_ref namespace_, const char *name)
{
    struct cell_ref cell = view_find_held(h->view, namespace_, name);
    const struct arena_cell *c = view_cell(h->view, cell);

    if (!c || c->state != CELL_LIVE)
        return (struct history_cell){.lacked = c && c->state == CELL_ABSENT};
    const struct arena_object *o = view_object(h->view, c->object);
    return (struct history_cell){.object = o ? o->hash : 0, .version = c->version, .cell = cell};
}

static void find_held(struct history *h)
{
    for (size_t l = 0; l < h->levels; l++)
        for (size_t i = 0; i < h->cells; i++)
            h->held[l * h->cells + i] = held_now(h, h->level[l], h->name[i]);
}

/* What level `from` has: its own cell, else the one that the next level has, unless there is an absence. */
static struct history_cell visible(const struct history *h, size_t from, size_t i)
{
    struct history_cell cell = {0};

    for (size_t l = from; l < h->levels && !cell.version && !cell.lacked; l++) {
        cell = h->held[l * h->cells + i];
        cell.inherited = cell.version && l > 0;
    }
    return cell;
}

static void undo(struct history *h, const struct arena_swap *s)
{
    struct history_cell *held = h->held + level_of(h, s->namespace_) * h->cells;

    for (uint32_t i = 0; i < s->changes; i++) {
        const struct arena_change *c = view_change(h->view, s, i);
        size_t name = index_of(h, c->cell);

        if (c->old_side != CHANGE_OWN)
            held[name] = (struct history_cell){.lacked = c->old_side == CHANGE_LACKED};
        else if (c->old_object != c->new_object || !c->old_version || c->new_side != CHANGE_OWN)
            held[name] = (struct history_cell){.object = c->old_object, .version = c->old_version};
    }
}

/* Undoes swaps, of which `n` are left, until `seq` is the newest. Returns how many are left. */
static size_t go_back_to(struct history *h, size_t n, uint64_t seq)
{
    for (; n > 0 && view_swap(h->view, n - 1)->seq > seq; n--)
        if (is_of_history(h, view_swap(h->view, n - 1)))
            undo(h, view_swap(h->view, n - 1));
    return n;
}

/* What the entry's namespace had. A cell that is not the one that the history's namespace has now is known by its
 * object only. */
static void fill_entry(struct history *h, size_t entry)
{
    size_t level = level_of(h, h->entry[entry].namespace_);

    if (h->entry[entry].kind == HISTORY_BRANCH) /* nothing yet, whatever of it was not logged */
        memset(h->held + level * h->cells, 0, h->cells * sizeof *h->held);
    for (size_t i = 0; i < h->cells; i++) {
        struct history_cell *to = &h->at[entry * h->cells + i];

        *to = visible(h, level, i);
        if (!same(to->cell, h->now[i].cell))
            to->cell = NO_CELL;
    }
}

static void fill_cells(struct history *h)
{
    size_t left = count_known(h);

    find_held(h);
    for (size_t i = 0; i < h->cells; i++)
        h->now[i] = visible(h, 0, i);
    for (size_t n = 0; n < h->entries; n++) {
        left = go_back_to(h, left, h->entry[n].commit);
        fill_entry(h, n);
    }
}

/* ---- the whole ---- */

void history_free(struct history *h)
{
    if (!h)
        return;
    free(h->name);
    free(h->now);
    free(h->at);
    free(h->held);
    free(h->level);
    free(h->entry);
    free(h);
}

/* The analyzer loses what a history owns once another member of it is allocated. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"

static bool allocate_names(struct history *h)
{
    size_t names = view_count(h->view, ARENA_CELLS) + 1, swaps = 0;
    const struct arena_swap *s;

    for (; (s = view_swap(h->view, swaps)); swaps++)
        names += s->changes;
    h->level = calloc(view_count(h->view, ARENA_NAMESPACES) + 1, sizeof *h->level);
    h->entry = calloc(swaps + view_count(h->view, ARENA_NAMESPACES) + 1, sizeof *h->entry);
    h->name = calloc(names, sizeof *h->name);
    return h->entry && h->name && h->level;
}

static bool allocate_cells(struct history *h)
{
    h->now = calloc(h->cells + 1, sizeof *h->now);
    h->at = calloc(h->entries * h->cells + 1, sizeof *h->at);
    h->held = calloc(h->levels * h->cells + 1, sizeof *h->held);
    return h->now && h->at && h->held;
}

struct history *history_take(const struct view *view, struct namespace_ref namespace_)
{
    OWN(history) struct history *h = calloc(1, sizeof *h);

    if (!h)
        return NULL;
    h->view = view;
    if (!allocate_names(h))
        return NULL;
    find_levels(h, namespace_);
    find_entries(h);
    gather_names(h);
    if (!allocate_cells(h))
        return NULL;
    fill_cells(h);
    return MOVE(h);
}

#pragma GCC diagnostic pop

const struct history_entry *history_entry(const struct history *h, size_t n)
{
    return n < h->entries ? &h->entry[n] : NULL;
}

bool history_find_commit(const struct history *h, uint64_t commit, size_t *ret_n)
{
    for (size_t n = 0; n < h->entries; n++)
        if (h->entry[n].commit == commit) {
            *ret_n = n;
            return true;
        }
    return false;
}

size_t history_cells(const struct history *h)
{
    return h->cells;
}

const char *history_name(const struct history *h, size_t i)
{
    return h->name[i];
}

bool history_cell(const struct history *h, size_t n, const char *name, struct history_cell *ret)
{
    size_t i = index_of(h, name);

    if (i < h->cells)
        *ret = h->at[n * h->cells + i];
    return i < h->cells;
}

bool history_has_object(const struct view *v, const char *cell, uint64_t hash)
{
    view_each_object (object, v)
        if (view_object(v, object)->hash == hash && strcmp(view_string(v, view_object(v, object)->name), cell) == 0)
            return true;
    return false;
}

bool history_is_whole(const struct history *h, size_t n, const char **ret_cell, uint32_t *ret_version)
{
    for (size_t i = 0; i < h->cells; i++) {
        struct history_cell was = h->at[n * h->cells + i];

        if (!was.object || was.object == h->now[i].object || history_has_object(h->view, h->name[i], was.object))
            continue;
        *ret_cell = h->name[i];
        *ret_version = was.version;
        return false;
    }
    return true;
}
