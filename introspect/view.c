/* See view.h. Taking and asking; copy.c reads, check.c and ring.c judge, group.c relates. */
#include "introspect/view.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "introspect/inside.h"

/* ---- taking ---- */

/* Apart, and never inlined, so that the compiler pairs views with view_free and not with calloc. */
RELEASED_BY(view_free) static __attribute__((noinline)) struct view *view_new(void)
{
    return calloc(1, sizeof(struct view));
}

static struct view *take(const uint8_t *ram, size_t bytes, struct copy_patience patience, enum err *ret_err)
{
    struct view *v = view_new();

    if (!v) {
        *ret_err = ERR_NOMEM;
        return NULL;
    }
    v->ram = ram;
    v->ram_bytes = bytes;
    *ret_err = copy_take(v, &patience);
    if (!*ret_err)
        *ret_err = check_all(v);
    if (*ret_err) {
        view_free(v);
        return NULL;
    }
    return v;
}

struct view *view_take(const uint8_t *ram, size_t bytes, enum err *ret_err)
{
    return take(ram, bytes, (struct copy_patience){200, 1000, false}, ret_err);
}

struct view *view_take_anyway(const uint8_t *ram, size_t bytes, enum err *ret_err)
{
    return take(ram, bytes, (struct copy_patience){200, 1000, true}, ret_err);
}

struct view *view_take_soon(const uint8_t *ram, size_t bytes, enum err *ret_err)
{
    return take(ram, bytes, (struct copy_patience){20, 20, true}, ret_err);
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

const struct arena_namespace *view_namespace(const struct view *v, uint32_t index)
{
    return usable(v, ARENA_NAMESPACES, index);
}

const struct arena_object *view_object(const struct view *v, uint32_t index)
{
    return usable(v, ARENA_OBJECTS, index);
}

const struct arena_cell *view_cell(const struct view *v, uint32_t index)
{
    return usable(v, ARENA_CELLS, index);
}

const struct arena_section *view_section(const struct view *v, uint32_t index)
{
    return usable(v, ARENA_SECTIONS, index);
}

const struct arena_symbol *view_symbol(const struct view *v, uint32_t index)
{
    return usable(v, ARENA_SYMBOLS, index);
}

const struct arena_edge *view_edge(const struct view *v, uint32_t index)
{
    return usable(v, ARENA_EDGES, index);
}

const struct arena_task *view_task(const struct view *v, uint32_t index)
{
    return usable(v, ARENA_TASKS, index);
}

const struct arena_cpu *view_cpu(const struct view *v, uint32_t index)
{
    return usable(v, ARENA_CPUS, index);
}

static const void *ring_record(const struct view *v, enum arena_table table, size_t n)
{
    return n < v->ring_count[table] ? record(v, table, v->ring[table][n]) : NULL;
}

const struct arena_fault *view_fault(const struct view *v, size_t n)
{
    return ring_record(v, ARENA_FAULTS, n);
}

const struct arena_event *view_event(const struct view *v, size_t n)
{
    return ring_record(v, ARENA_EVENTS, n);
}

const struct arena_completion *view_completion(const struct view *v, size_t n)
{
    return ring_record(v, ARENA_COMPLETIONS, n);
}

const struct arena_swap *view_swap(const struct view *v, size_t n)
{
    return ring_record(v, ARENA_SWAPS, n);
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

struct view_list view_sections_of(const struct view *v, uint32_t cell)
{
    return group_list(&v->sections_of, cell);
}

struct view_list view_symbols_of(const struct view *v, uint32_t cell)
{
    return group_list(&v->symbols_of, cell);
}

struct view_list view_symbols_in(const struct view *v, uint32_t section)
{
    return group_list(&v->symbols_in, section);
}

struct view_list view_edges_out(const struct view *v, uint32_t section)
{
    return group_list(&v->edges_out, section);
}

struct view_list view_edges_in(const struct view *v, uint32_t section)
{
    return group_list(&v->edges_in, section);
}

/* Cells at the other ends of the edges of `cell`; `out` says which direction. */
static size_t neighbours(const struct view *v, uint32_t cell, bool out, uint32_t *ret, size_t max)
{
    uint32_t cells = v->used[ARENA_CELLS];
    bool *seen = calloc((size_t)cells + 1, sizeof *seen);
    struct view_list sections = view_sections_of(v, cell);
    size_t count = 0;

    for (size_t s = 0; seen && s < sections.count; s++) {
        struct view_list edges = group_list(out ? &v->edges_out : &v->edges_in, sections.item[s]);

        for (size_t n = 0; n < edges.count; n++) {
            const struct arena_edge *e = record(v, ARENA_EDGES, edges.item[n]);
            const struct arena_section *other = usable(v, ARENA_SECTIONS, out ? e->to : e->from);

            if (other)
                seen[other->cell] = true;
        }
    }
    for (uint32_t c = 1; seen && c < cells; c++)
        if (seen[c] && c != cell) {
            if (ret && count < max)
                ret[count] = c;
            count++;
        }
    free(seen);
    return count;
}

size_t view_dependencies(const struct view *v, uint32_t cell, uint32_t *ret, size_t max)
{
    return neighbours(v, cell, true, ret, max);
}

size_t view_dependents(const struct view *v, uint32_t cell, uint32_t *ret, size_t max)
{
    return neighbours(v, cell, false, ret, max);
}

size_t view_tasks_in(const struct view *v, uint32_t cell)
{
    size_t n = 0;

    for (uint32_t i = 0; (i = view_next(v, ARENA_TASKS, i));) {
        const struct arena_section *entry = view_section(v, view_task(v, i)->entry_section);

        n += entry && entry->cell == cell;
    }
    return n;
}

/* ---- names ---- */

const char *view_string(const struct view *v, uint32_t offset)
{
    return offset < v->used[ARENA_STRINGS] ? (const char *)v->table[ARENA_STRINGS] + offset : "";
}

const char *view_cell_name(const struct view *v, uint32_t cell)
{
    const struct arena_cell *c = view_cell(v, cell);

    return c ? view_string(v, c->name) : "?";
}

const char *view_section_name(const struct view *v, uint32_t section)
{
    const struct arena_section *s = view_section(v, section);

    return s ? view_string(v, s->name) : "?";
}

const char *view_namespace_name(const struct view *v, uint32_t namespace_)
{
    const struct arena_namespace *n = view_namespace(v, namespace_);

    return n ? view_string(v, n->name) : "?";
}

static uint32_t find_held(const struct view *v, uint32_t namespace_, const char *name)
{
    uint32_t other = 0;

    for (uint32_t i = 0; (i = view_next(v, ARENA_CELLS, i));) {
        const struct arena_cell *c = view_cell(v, i);

        if ((namespace_ && c->namespace_ != namespace_) || strcmp(view_string(v, c->name), name) != 0)
            continue;
        if (c->state == CELL_LIVE)
            return i;
        if (!other)
            other = i;
    }
    return other;
}

uint32_t view_find_cell(const struct view *v, uint32_t namespace_, const char *name)
{
    const struct arena_namespace *n = view_namespace(v, namespace_);
    uint32_t cell = find_held(v, namespace_, name), inherited = 0;

    /* check_parents leaves no circle */
    if (n && n->parent && (!cell || view_cell(v, cell)->state != CELL_LIVE))
        inherited = view_find_cell(v, n->parent, name);
    return inherited && (!cell || view_cell(v, inherited)->state == CELL_LIVE) ? inherited : cell;
}

uint32_t view_find_namespace(const struct view *v, const char *name)
{
    for (uint32_t i = 0; (i = view_next(v, ARENA_NAMESPACES, i));)
        if (view_namespace(v, i)->state == NAMESPACE_LIVE && strcmp(view_namespace_name(v, i), name) == 0)
            return i;
    return 0;
}

/* The part of ".text.channel_send" after its kind. */
static const char *short_name(const char *section)
{
    const char *dot = section[0] == '.' ? strchr(section + 1, '.') : NULL;

    return dot ? dot + 1 : section;
}

uint32_t view_find_section(const struct view *v, uint32_t cell, const char *name)
{
    struct view_list sections = view_sections_of(v, cell);

    for (size_t n = 0; n < sections.count; n++)
        if (strcmp(view_section_name(v, sections.item[n]), name) == 0)
            return sections.item[n];
    for (size_t n = 0; n < sections.count; n++)
        if (strcmp(short_name(view_section_name(v, sections.item[n])), name) == 0)
            return sections.item[n];
    return 0;
}

static bool is_live(const struct view *v, const struct arena_symbol *symbol)
{
    const struct arena_section *section = view_section(v, symbol->section);
    const struct arena_cell *cell = section ? view_cell(v, section->cell) : NULL;

    return cell && cell->state == CELL_LIVE;
}

uint32_t view_find_symbol(const struct view *v, const char *name)
{
    uint32_t other = 0;

    for (uint32_t i = 0; (i = view_next(v, ARENA_SYMBOLS, i));) {
        const struct arena_symbol *s = view_symbol(v, i);

        if (strcmp(view_string(v, s->name), name) != 0)
            continue;
        if (is_live(v, s))
            return i;
        if (!other)
            other = i;
    }
    return other;
}

uint32_t view_find_task(const struct view *v, const char *name)
{
    char *end;
    unsigned long id = strtoul(name, &end, 10);
    bool is_id = *name >= '0' && *name <= '9' && *end == '\0';

    for (uint32_t i = 0; (i = view_next(v, ARENA_TASKS, i));) {
        const struct arena_task *t = view_task(v, i);

        if (strcmp(t->name, name) == 0 || (is_id && t->id == id))
            return i;
    }
    return 0;
}

/* ---- addresses ---- */

uint32_t view_section_at(const struct view *v, uint64_t virt)
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
        return 0;
    const struct arena_section *s = record(v, ARENA_SECTIONS, v->by_virt[low - 1]);
    return virt - s->virt < s->bytes ? v->by_virt[low - 1] : 0;
}

void view_describe(const struct view *v, uint64_t virt, char *ret_text, size_t bytes)
{
    uint32_t section = view_section_at(v, virt);
    const struct arena_section *s = view_section(v, section);

    if (bytes)
        *ret_text = '\0';
    if (!s)
        return;
    uint64_t offset = virt - s->virt;
    const char *name = view_section_name(v, section);
    struct view_list symbols = view_symbols_in(v, section);

    for (size_t n = symbols.count; n-- > 0;) {
        const struct arena_symbol *symbol = view_symbol(v, symbols.item[n]);

        if (symbol->offset <= offset) {
            name = view_string(v, symbol->name);
            offset -= symbol->offset;
            break;
        }
    }
    int n = snprintf(ret_text, bytes, "%s:%s", view_cell_name(v, s->cell), name);
    if (offset && n > 0 && (size_t)n < bytes)
        snprintf(ret_text + n, bytes - (size_t)n, "+%#lx", (unsigned long)offset);
}
