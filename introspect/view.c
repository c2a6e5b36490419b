/* See view.h. Takes views and looks records up; copy.c reads guest memory, check.c and ring.c judge records, group.c
 * lists related ones. */
#include "introspect/view.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "introspect/inside.h"
#include "introspect/qualified.h"

/* ---- taking ---- */

/* Not inlined, so that the compiler pairs views with view_free, and not with calloc. */
RELEASED_BY(view_free) static __attribute__((noinline)) struct view *view_new(void)
{
    return calloc(1, sizeof(struct view));
}

static struct view *take_view(const uint8_t *ram, size_t bytes, struct copy_patience patience, enum err *ret_err)
{
    OWN(view) struct view *v = view_new();

    *ret_err = ERR_NOMEM;
    if (!v)
        return NULL;
    v->ram = ram;
    v->ram_bytes = bytes;
    *ret_err = copy_take(v, &patience);
    if (!*ret_err)
        *ret_err = check_all(v);
    return *ret_err ? NULL : MOVE(v);
}

struct view *view_take(const uint8_t *ram, size_t bytes, enum err *ret_err)
{
    return take_view(ram, bytes, (struct copy_patience){200, 1000, false}, ret_err);
}

struct view *view_take_anyway(const uint8_t *ram, size_t bytes, enum err *ret_err)
{
    return take_view(ram, bytes, (struct copy_patience){200, 1000, true}, ret_err);
}

struct view *view_take_patiently(const uint8_t *ram, size_t bytes, enum err *ret_err)
{
    return take_view(ram, bytes, (struct copy_patience){3000, 6000, true}, ret_err);
}

struct view *view_take_soon(const uint8_t *ram, size_t bytes, enum err *ret_err)
{
    return take_view(ram, bytes, (struct copy_patience){20, 20, true}, ret_err);
}

void view_free(struct view *v)
{
    if (!v)
        return;
    group_free(v);
    for (unsigned t = 0; t < ARENA_TABLES; t++) {
        free(v->table[t]);
        free(v->ring[t]);
    }
    for (unsigned t = 0; t < RECORD_TABLES; t++)
        free(v->status[t]);
    free(v);
}

/* ---- the whole ---- */

bool view_is_torn(const struct view *v)
{
    return v->torn;
}

const struct arena_header *view_header(const struct view *v)
{
    return &v->layout.header;
}

const uint8_t *view_ram(const struct view *v, size_t *ret_bytes)
{
    *ret_bytes = v->ram_bytes;
    return v->ram;
}

bool view_is_in_arena(const struct view *v, uint64_t phys, uint64_t bytes)
{
    return layout_overlaps(&v->layout, phys, bytes);
}

void view_arena_span(const struct view *v, uint64_t *ret_phys, uint64_t *ret_bytes)
{
    layout_span(&v->layout, ret_phys, ret_bytes);
}

uint64_t view_counter(const struct view *v, enum arena_counter counter)
{
    return (unsigned)counter < COUNTERS ? v->layout.header.counter[counter] : 0;
}

bool view_is_current(const struct view *v)
{
    return copy_generation(v->ram) == v->layout.header.generation;
}

size_t view_damage_count(const struct view *v)
{
    return v->damages;
}

const struct view_damage *view_damage(const struct view *v, size_t n)
{
    return n < v->damages && n < VIEW_DAMAGE_MAX ? &v->damage[n] : NULL;
}

/* ---- records ---- */

uint32_t view_next(const struct view *v, enum arena_table table, uint32_t index)
{
    if ((unsigned)table >= RECORD_TABLES)
        return 0;
    while (++index < v->used[table])
        if (usable(v, table, index))
            return index;
    return 0;
}

size_t view_count(const struct view *v, enum arena_table table)
{
    size_t n = 0;

    for (uint32_t i = 0; (i = view_next(v, table, i));)
        n++;
    return n;
}

bool view_is_sound(const struct view *v, enum arena_table table, uint32_t index)
{
    return (unsigned)table < RECORD_TABLES && usable(v, table, index) && v->status[table][index] == STATUS_SOUND;
}

const struct arena_namespace *view_namespace(const struct view *v, struct namespace_ref namespace_)
{
    return usable(v, ARENA_NAMESPACES, namespace_.index);
}

const struct arena_object *view_object(const struct view *v, struct object_ref object)
{
    return usable(v, ARENA_OBJECTS, object.index);
}

const struct arena_cell *view_cell(const struct view *v, struct cell_ref cell)
{
    return usable(v, ARENA_CELLS, cell.index);
}

const struct arena_section *view_section(const struct view *v, struct section_ref section)
{
    return usable(v, ARENA_SECTIONS, section.index);
}

const struct arena_symbol *view_symbol(const struct view *v, struct symbol_ref symbol)
{
    return usable(v, ARENA_SYMBOLS, symbol.index);
}

const struct arena_edge *view_edge(const struct view *v, struct edge_ref edge)
{
    return usable(v, ARENA_EDGES, edge.index);
}

const struct arena_task *view_task(const struct view *v, struct task_ref task)
{
    return usable(v, ARENA_TASKS, task.index);
}

const struct arena_cpu *view_cpu(const struct view *v, uint32_t index)
{
    return usable(v, ARENA_CPUS, index);
}

static const void *ring_record_at(const struct view *v, enum arena_table table, size_t n)
{
    return n < v->ring_count[table] ? record(v, table, v->ring[table][n]) : NULL;
}

const struct arena_fault *view_fault(const struct view *v, size_t n)
{
    return ring_record_at(v, ARENA_FAULTS, n);
}

const struct arena_event *view_event(const struct view *v, size_t n)
{
    return ring_record_at(v, ARENA_EVENTS, n);
}

const struct arena_completion *view_completion(const struct view *v, size_t n)
{
    return ring_record_at(v, ARENA_COMPLETIONS, n);
}

const struct arena_swap *view_swap(const struct view *v, size_t n)
{
    return ring_record_at(v, ARENA_SWAPS, n);
}

const struct arena_change *view_change(const struct view *v, const struct arena_swap *swap, uint32_t i)
{
    uint64_t seq = swap->first_change + i;
    uint32_t index = layout_ring_index(&v->layout, ARENA_CHANGES, seq);

    if (i >= swap->changes || index == 0 || index >= v->used[ARENA_CHANGES])
        return NULL;
    const struct arena_change *change = record(v, ARENA_CHANGES, index);
    return change->seq == seq && change->swap == swap->seq ? change : NULL;
}

/* ---- relations ---- */

/* A group's items are indices of one table, so references to it. */
static struct view_sections list_sections(struct group_items items)
{
    return (struct view_sections){(const struct section_ref *)items.item, items.count};
}

static struct view_symbols list_symbols(struct group_items items)
{
    return (struct view_symbols){(const struct symbol_ref *)items.item, items.count};
}

static struct view_edges list_edges(struct group_items items)
{
    return (struct view_edges){(const struct edge_ref *)items.item, items.count};
}

struct view_sections view_sections_of(const struct view *v, struct cell_ref cell)
{
    return list_sections(group_list(&v->sections_of, cell.index));
}

struct view_symbols view_symbols_of(const struct view *v, struct cell_ref cell)
{
    return list_symbols(group_list(&v->symbols_of, cell.index));
}

struct view_symbols view_symbols_in(const struct view *v, struct section_ref section)
{
    return list_symbols(group_list(&v->symbols_in, section.index));
}

struct view_edges view_edges_out(const struct view *v, struct section_ref section)
{
    return list_edges(group_list(&v->edges_out, section.index));
}

struct view_edges view_edges_in(const struct view *v, struct section_ref section)
{
    return list_edges(group_list(&v->edges_in, section.index));
}

static struct view_edges edges_of(const struct view *v, struct section_ref section, bool out)
{
    return out ? view_edges_out(v, section) : view_edges_in(v, section);
}

static int compare_cells(const void *a, const void *b)
{
    uint32_t x = ((const struct cell_ref *)a)->index, y = ((const struct cell_ref *)b)->index;

    return (x > y) - (x < y);
}

struct edge_walk view_walk_edges(const struct view *v, struct cell_ref cell, bool outgoing)
{
    return (struct edge_walk){.view = v, .cell = cell, .outgoing = outgoing};
}

bool edge_walk_next(struct edge_walk *walk, struct edge_ref *ret_edge, struct section_ref *ret_there)
{
    const struct view *v = walk->view;
    struct view_sections sections = view_sections_of(v, walk->cell);

    for (; walk->section < sections.count; walk->section++, walk->edge = 0) {
        struct view_edges edges = edges_of(v, sections.item[walk->section], walk->outgoing);

        while (walk->edge < edges.count) {
            *ret_edge = edges.item[walk->edge++];
            const struct arena_edge *e = record(v, ARENA_EDGES, ret_edge->index);
            *ret_there = walk->outgoing ? e->to : e->from;
            const struct arena_section *there = view_section(v, *ret_there);
            if (there && view_cell(v, there->cell) && !same(there->cell, walk->cell))
                return true;
        }
    }
    return false;
}

/* Cells at the other ends of the edges of `cell`, one for each edge, sorted; for the caller to free. NULL: none. */
static struct cell_ref *other_ends(const struct view *v, struct cell_ref cell, bool out, size_t *ret_count)
{
    struct edge_walk all = view_walk_edges(v, cell, out), walk = all;
    struct section_ref there;
    struct edge_ref edge;
    size_t edges = 0, count = 0;

    while (edge_walk_next(&all, &edge, &there))
        edges++;
    struct cell_ref *ends = edges ? calloc(edges, sizeof *ends) : NULL;
    while (ends && edge_walk_next(&walk, &edge, &there))
        ends[count++] = view_section(v, there)->cell;
    if (count > 1)
        qsort(ends, count, sizeof *ends, compare_cells);
    *ret_count = count;
    return ends;
}

/* `out` says which direction. What it costs depends on the cell's edges, not on how many cells there are. */
static size_t neighbours(const struct view *v, struct cell_ref cell, bool out, struct cell_ref *ret, size_t max)
{
    size_t ends, count = 0;
    OWN(memory) struct cell_ref *end = other_ends(v, cell, out, &ends);

    for (size_t i = 0; i < ends; i++) {
        if (i > 0 && same(end[i], end[i - 1]))
            continue;
        if (ret && count < max)
            ret[count] = end[i];
        count++;
    }
    return count;
}

size_t view_dependencies(const struct view *v, struct cell_ref cell, struct cell_ref *ret, size_t max)
{
    return neighbours(v, cell, true, ret, max);
}

size_t view_dependents(const struct view *v, struct cell_ref cell, struct cell_ref *ret, size_t max)
{
    return neighbours(v, cell, false, ret, max);
}

size_t view_tasks_in(const struct view *v, struct cell_ref cell)
{
    size_t n = 0;

    view_each_task (task, v) {
        const struct arena_section *entry = view_section(v, view_task(v, task)->entry_section);

        n += entry && same(entry->cell, cell);
    }
    return n;
}

/* ---- names ---- */

const char *view_string(const struct view *v, uint32_t offset)
{
    return offset < v->used[ARENA_STRINGS] ? (const char *)v->table[ARENA_STRINGS] + offset : "";
}

const char *view_cell_name(const struct view *v, struct cell_ref cell)
{
    const struct arena_cell *c = view_cell(v, cell);

    return c ? view_string(v, c->name) : "?";
}

const char *view_section_name(const struct view *v, struct section_ref section)
{
    const struct arena_section *s = view_section(v, section);

    return s ? view_string(v, s->name) : "?";
}

const char *view_namespace_name(const struct view *v, struct namespace_ref namespace_)
{
    const struct arena_namespace *n = view_namespace(v, namespace_);

    return n ? view_string(v, n->name) : "?";
}

struct cell_ref view_find_held(const struct view *v, struct namespace_ref namespace_, const char *name)
{
    struct cell_ref other = {};

    view_each_cell (cell, v) {
        const struct arena_cell *c = view_cell(v, cell);

        if (!same(c->namespace_, namespace_) || strcmp(view_string(v, c->name), name) != 0)
            continue;
        if (c->state == CELL_LIVE)
            return cell;
        if (!other.index || c->state == CELL_ABSENT)
            other = cell;
    }
    return other;
}

struct cell_ref view_find_cell(const struct view *v, struct namespace_ref namespace_, const char *name)
{
    const struct arena_namespace *n = view_namespace(v, namespace_);
    struct cell_ref cell = view_find_held(v, namespace_, name), inherited = {};

    if (cell.index && view_cell(v, cell)->state == CELL_ABSENT)
        return NO_CELL;
    /* check_parents leaves no circle */
    if (n && n->parent.index && (!cell.index || view_cell(v, cell)->state != CELL_LIVE))
        inherited = view_find_cell(v, n->parent, name);
    return inherited.index && (!cell.index || view_cell(v, inherited)->state == CELL_LIVE) ? inherited : cell;
}

struct namespace_ref view_find_namespace(const struct view *v, const char *name)
{
    view_each_namespace (namespace_, v)
        if (view_namespace(v, namespace_)->state == NAMESPACE_LIVE &&
            strcmp(view_namespace_name(v, namespace_), name) == 0)
            return namespace_;
    return NO_NAMESPACE;
}

/* The part of ".text.channel_send" after its kind. */
static const char *name_without_kind(const char *section)
{
    const char *dot = section[0] == '.' ? strchr(section + 1, '.') : NULL;

    return dot ? dot + 1 : section;
}

struct section_ref view_find_section(const struct view *v, struct cell_ref cell, const char *name)
{
    struct view_sections sections = view_sections_of(v, cell);

    for (size_t n = 0; n < sections.count; n++)
        if (strcmp(view_section_name(v, sections.item[n]), name) == 0)
            return sections.item[n];
    for (size_t n = 0; n < sections.count; n++)
        if (strcmp(name_without_kind(view_section_name(v, sections.item[n])), name) == 0)
            return sections.item[n];
    return NO_SECTION;
}

struct task_ref view_find_task(const struct view *v, const char *name)
{
    char *end;
    unsigned long id = strtoul(name, &end, 10);
    bool is_id = *name >= '0' && *name <= '9' && *end == '\0';

    view_each_task (task, v) {
        const struct arena_task *t = view_task(v, task);

        if (strcmp(t->name, name) == 0 || (is_id && t->id == id))
            return task;
    }
    return NO_TASK;
}

/* ---- addresses ---- */

struct section_ref view_section_at(const struct view *v, uint64_t virt)
{
    uint32_t low = 0, high = v->by_virt_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct arena_section *s = record(v, ARENA_SECTIONS, v->by_virt[middle]);

        if (s->virt <= virt)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return NO_SECTION;
    const struct arena_section *s = record(v, ARENA_SECTIONS, v->by_virt[low - 1]);
    return (struct section_ref){virt - s->virt < s->bytes ? v->by_virt[low - 1] : 0};
}

void view_section_label(const struct view *v, struct section_ref section, char *ret_label, size_t bytes)
{
    const struct arena_section *s = view_section(v, section);

    char cell[QUALIFIED_BYTES];

    qualified_name(v, s ? s->cell : NO_CELL, cell, sizeof cell);
    snprintf(ret_label, bytes, "%s:%s", cell, view_section_name(v, section));
}

void view_describe(const struct view *v, uint64_t virt, char *ret_text, size_t bytes)
{
    struct section_ref section = view_section_at(v, virt);
    const struct arena_section *s = view_section(v, section);

    if (bytes)
        *ret_text = '\0';
    if (!s)
        return;
    uint64_t offset = virt - s->virt;
    const char *name = view_section_name(v, section);
    struct view_symbols symbols = view_symbols_in(v, section);

    for (size_t n = symbols.count; n-- > 0;) {
        const struct arena_symbol *symbol = view_symbol(v, symbols.item[n]);

        if (symbol->offset <= offset) {
            name = view_string(v, symbol->name);
            offset -= symbol->offset;
            break;
        }
    }
    char cell[QUALIFIED_BYTES];

    qualified_name(v, s->cell, cell, sizeof cell);
    int n = snprintf(ret_text, bytes, "%s:%s", cell, name);
    if (offset && n > 0 && (size_t)n < bytes)
        snprintf(ret_text + n, bytes - (size_t)n, "+%#lx", (unsigned long)offset);
}
