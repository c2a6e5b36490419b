/* See history.h. Goes back from what is there now, undoing one swap after the other. */
#include "introspect/history.h"
#include <stdlib.h>
#include <string.h>

/* Entry n's cells begin at at[n * cells]. */
struct history {
    const struct view *view;
    uint32_t namespace_;
    const char **name;
    struct history_cell *now, *at;
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

static void add_entry(struct history *h, enum history_kind kind, uint64_t commit, uint64_t time_ns, uint32_t namespace_,
                      const struct arena_swap *swap)
{
    h->entry[h->entries++] = (struct history_entry){kind, commit, time_ns, namespace_, swap};
}

/* Steps over to the parent as soon as swaps from before the branching come up, or are all that is left. */
static uint32_t pass_branches(struct history *h, uint32_t namespace_, uint64_t seq)
{
    const struct arena_namespace *n;

    while ((n = view_namespace(h->view, namespace_)) && n->parent && seq <= n->since) {
        add_entry(h, HISTORY_BRANCH, n->since, n->since_ns, namespace_, NULL);
        namespace_ = n->parent;
    }
    return namespace_;
}

/* A gap in the log ends it: what the swaps there did, nobody knows. */
static void find_entries(struct history *h)
{
    uint32_t namespace_ = h->namespace_;
    uint64_t known = view_header(h->view)->swap_seq; /* what it was made of after this swap */
    size_t n = 0;

    while (view_swap(h->view, n) && view_swap(h->view, n)->seq <= known)
        n++;
    while (n-- > 0) {
        const struct arena_swap *s = view_swap(h->view, n);

        if (s->seq != known)
            break;
        namespace_ = pass_branches(h, namespace_, s->seq);
        bool counts = s->namespace_ == namespace_ && s->took_effect;
        if (counts && !is_whole_swap(h->view, s))
            break;
        if (counts && changes_objects(h->view, s))
            add_entry(h, HISTORY_CHANGE, s->seq, s->time_ns, namespace_, s);
        known = s->seq - 1;
    }
    namespace_ = pass_branches(h, namespace_, known);
    add_entry(h, HISTORY_START, known, 0, namespace_, NULL);
}

/* ---- names ---- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_ancestor(const struct view *v, uint32_t outer, uint32_t inner)
{
    const struct arena_namespace *n;

    while (inner && inner != outer && (n = view_namespace(v, inner)))
        inner = n->parent;
    return inner == outer;
}

static void gather_names(struct history *h)
{
    size_t count = 0;

    for (uint32_t i = 0; (i = view_next(h->view, ARENA_CELLS, i));)
        if (view_cell(h->view, i)->state == CELL_LIVE &&
            is_ancestor(h->view, view_cell(h->view, i)->namespace_, h->namespace_))
            h->name[count++] = view_cell_name(h->view, i);
    for (size_t n = 0; n < h->entries; n++)
        for (uint32_t i = 0; h->entry[n].swap && i < h->entry[n].swap->changes; i++)
            h->name[count++] = view_change(h->view, h->entry[n].swap, i)->cell;
    qsort(h->name, count, sizeof *h->name, compare_names);
    for (size_t i = 0; i < count; i++)
        if (h->cells == 0 || strcmp(h->name[h->cells - 1], h->name[i]) != 0)
            h->name[h->cells++] = h->name[i];
}

/* The number of cells: there is none of that name. */
static size_t index_of(const struct history *h, const char *name)
{
    const char *const *found = bsearch(&name, h->name, h->cells, sizeof *h->name, compare_names);

    return found ? (size_t)(found - (const char *const *)h->name) : h->cells;
}

/* ---- cells ---- */

static struct history_cell now(const struct history *h, const char *name)
{
    uint32_t cell = view_find_cell(h->view, h->namespace_, name);
    const struct arena_cell *c = cell ? view_cell(h->view, cell) : NULL;

    if (!c || c->state != CELL_LIVE)
        return (struct history_cell){0};
    const struct arena_object *o = view_object(h->view, c->object);
    return (struct history_cell){o ? o->hash : 0, c->version, cell};
}

static void undo(const struct history *h, const struct arena_swap *s, struct history_cell *cells)
{
    for (uint32_t i = 0; i < s->changes; i++) {
        const struct arena_change *c = view_change(h->view, s, i);
        if (c->old_object != c->new_object)
            cells[index_of(h, c->cell)] = (struct history_cell){c->old_object, c->old_version, 0};
    }
}

static void go_back(struct history *h)
{
    const struct history_cell *from = h->now;

    for (size_t n = 0; n < h->entries; n++) {
        struct history_cell *to = h->at + n * h->cells;

        memcpy(to, from, h->cells * sizeof *to);
        if (n && h->entry[n - 1].swap)
            undo(h, h->entry[n - 1].swap, to);
        from = to;
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
    free(h->entry);
    free(h);
}

static bool allocate_names(struct history *h)
{
    size_t names = view_count(h->view, ARENA_CELLS) + 1, swaps = 0;
    const struct arena_swap *s;

    for (; (s = view_swap(h->view, swaps)); swaps++)
        names += s->changes;
    h->entry = calloc(swaps + view_count(h->view, ARENA_NAMESPACES) + 1, sizeof *h->entry);
    h->name = calloc(names, sizeof *h->name);
    return h->entry && h->name;
}

static bool allocate_cells(struct history *h)
{
    h->now = calloc(h->cells + 1, sizeof *h->now);
    h->at = calloc(h->entries * h->cells + 1, sizeof *h->at);
    return h->now && h->at;
}

struct history *history_take(const struct view *view, uint32_t namespace_)
{
    struct history *h = calloc(1, sizeof *h);

    if (!h)
        return NULL;
    h->view = view;
    h->namespace_ = namespace_;
    if (allocate_names(h)) {
        find_entries(h);
        gather_names(h);
        if (allocate_cells(h)) {
            for (size_t i = 0; i < h->cells; i++)
                h->now[i] = now(h, h->name[i]);
            go_back(h);
            return h;
        }
    }
    history_free(h);
    return NULL;
}

const struct history_entry *history_entry(const struct history *h, size_t n)
{
    return n < h->entries ? &h->entry[n] : NULL;
}

bool history_find(const struct history *h, uint64_t commit, size_t *ret_n)
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
    for (uint32_t i = 0; (i = view_next(v, ARENA_OBJECTS, i));)
        if (view_object(v, i)->hash == hash && strcmp(view_string(v, view_object(v, i)->name), cell) == 0)
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
