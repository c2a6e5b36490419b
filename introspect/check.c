/* Judges every record of a copied arena: check words, references, ranges, lists. A record whose owner does not exist
 * becomes unusable, optional references to missing records are emptied, and each finding is listed as damage. Rings
 * are left to ring.c. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "guest/abi/layout.h"
#include "guest/abi/note.h"
#include "guest/abi/elf.h"
#include "introspect/base/ram_map.h"
#include "introspect/inside.h"
#include "introspect/name.h"

void damage_add(struct view *v, enum arena_table table, uint32_t index, const char *format, ...)
{
    va_list args;

    if (v->damages < VIEW_DAMAGE_MAX) {
        struct view_damage *d = &v->damage[v->damages];

        d->table = table;
        d->index = index;
        va_start(args, format);
        vsnprintf(d->text, sizeof d->text, format, args);
        va_end(args);
    }
    v->damages++;
}

void check_text(char *text, size_t bytes)
{
    text[bytes - 1] = '\0';
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
}

/* ---- one record's state ---- */

static void mark_status(struct view *v, enum arena_table table, uint32_t index, enum status status)
{
    if (v->status[table][index] > status)
        v->status[table][index] = (uint8_t)status;
}

#define DAMAGED(v, table, index, ...)                                                                                  \
    (damage_add(v, table, index, __VA_ARGS__), mark_status(v, table, index, STATUS_DAMAGED))
#define UNUSABLE(v, table, index, ...)                                                                                 \
    (damage_add(v, table, index, __VA_ARGS__), mark_status(v, table, index, STATUS_UNUSABLE))

static bool is_zero(const uint8_t *p, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (p[i])
            return false;
    return true;
}

/* Free, sound or damaged, by the check word alone. The second word of a free record is the guest's free list. */
static void check_check_words(struct view *v, enum arena_table table)
{
    size_t stable = layout_rules[table].stable_bytes;

    for (uint32_t i = 1; i < v->used[table]; i++) {
        const uint8_t *r = record(v, table, i);
        uint32_t check;

        memcpy(&check, r, sizeof check);
        v->status[table][i] = STATUS_SOUND;
        if (check == 0 && is_zero(r + 8, stable - 8))
            v->status[table][i] = STATUS_FREE;
        else if (check != arena_check(r + 4, stable - 4))
            DAMAGED(v, table, i, "its check word does not fit");
    }
}

/* Tasks and CPUs may be sealed while they are copied: a wrong check word is believed when a fresh copy has it too. */
static void refresh(struct view *v, enum arena_table table)
{
    size_t size = layout_rules[table].record_bytes, stable = layout_rules[table].stable_bytes;

    for (uint32_t i = 1; i < v->used[table]; i++) {
        uint8_t *r = record(v, table, i);
        uint32_t check;

        memcpy(&check, r, sizeof check);
        if (check != 0 && check != arena_check(r + 4, stable - 4))
            memcpy(r, v->ram + layout_phys(&v->layout, table, i), size);
    }
}

/* ---- references ---- */

static bool string_fits(const struct view *v, uint32_t offset)
{
    uint32_t used = v->used[ARENA_STRINGS];

    if (offset == 0)
        return true;
    if (offset >= used || v->table[ARENA_STRINGS][offset - 1] != 0)
        return false;
    return strnlen((const char *)v->table[ARENA_STRINGS] + offset, STRING_MAX) < STRING_MAX;
}

static void check_string(struct view *v, enum arena_table table, uint32_t index, uint32_t *offset)
{
    if (string_fits(v, *offset))
        return;
    DAMAGED(v, table, index, "its name is at offset %#x, where no string starts", *offset);
    *offset = 0;
}

/* An optional reference: emptied when there is no such record. */
static void check_link(struct view *v, enum arena_table table, uint32_t index, const char *what, enum arena_table to,
                       uint32_t *link)
{
    if (*link == 0 || usable(v, to, *link))
        return;
    DAMAGED(v, table, index, "%s is %s %u, which is not there", what, name_table(to), *link);
    *link = 0;
}

/* A reference without which the record says nothing. */
static bool check_anchor(struct view *v, enum arena_table table, uint32_t index, const char *what, enum arena_table to,
                         uint32_t link)
{
    if (usable(v, to, link))
        return true;
    UNUSABLE(v, table, index, "%s is %s %u, which is not there", what, name_table(to), link);
    return false;
}

static bool in_ram(const struct view *v, uint64_t phys, uint64_t bytes)
{
    return ram_map_has(v->ram_bytes, phys, bytes);
}

static void check_region(struct view *v, enum arena_table table, uint32_t index, const char *what, uint64_t phys,
                         uint64_t bytes)
{
    if (bytes && !in_ram(v, phys, bytes))
        DAMAGED(v, table, index, "%s at physical %#lx is outside of memory", what, (unsigned long)phys);
}

/* ---- the tables ---- */

static void check_namespace(struct view *v, uint32_t i)
{
    struct arena_namespace *n = record(v, ARENA_NAMESPACES, i);

    check_string(v, ARENA_NAMESPACES, i, &n->name);
    check_link(v, ARENA_NAMESPACES, i, "its parent", ARENA_NAMESPACES, &n->parent.index);
}

static void check_parents(struct view *v)
{
    for (uint32_t i = 1; i < v->used[ARENA_NAMESPACES]; i++) {
        struct arena_namespace *n = usable(v, ARENA_NAMESPACES, i);
        uint32_t steps = 0;

        for (struct arena_namespace *p = n; p && steps <= v->used[ARENA_NAMESPACES]; steps++)
            p = usable(v, ARENA_NAMESPACES, p->parent.index);
        if (n && steps > v->used[ARENA_NAMESPACES]) {
            DAMAGED(v, ARENA_NAMESPACES, i, "it is its own ancestor");
            n->parent = NO_NAMESPACE;
        }
    }
}

static void check_object_record(struct view *v, uint32_t i)
{
    struct arena_object *o = record(v, ARENA_OBJECTS, i);

    check_string(v, ARENA_OBJECTS, i, &o->name);
    check_region(v, ARENA_OBJECTS, i, "its file", o->phys, o->bytes);
}

static void check_cell(struct view *v, uint32_t i)
{
    struct arena_cell *c = record(v, ARENA_CELLS, i);

    check_string(v, ARENA_CELLS, i, &c->name);
    check_link(v, ARENA_CELLS, i, "its namespace", ARENA_NAMESPACES, &c->namespace_.index);
    check_link(v, ARENA_CELLS, i, "its object", ARENA_OBJECTS, &c->object.index);
    check_region(v, ARENA_CELLS, i, "its text", c->text_phys, c->text_bytes);
    check_region(v, ARENA_CELLS, i, "its read-only data", c->rodata_phys, c->rodata_bytes);
    check_region(v, ARENA_CELLS, i, "its data", c->data_phys, c->data_bytes);
    if (c->kind < CELL_KERNEL || c->kind > CELL_APPLICATION)
        DAMAGED(v, ARENA_CELLS, i, "it is of unknown kind %u", c->kind);
    if (c->state < CELL_LOADING || c->state > CELL_ABSENT)
        DAMAGED(v, ARENA_CELLS, i, "it is in unknown state %u", c->state);
}

static void check_section_record(struct view *v, uint32_t i)
{
    struct arena_section *s = record(v, ARENA_SECTIONS, i);

    check_string(v, ARENA_SECTIONS, i, &s->name);
    if (!check_anchor(v, ARENA_SECTIONS, i, "its cell", ARENA_CELLS, s->cell.index))
        return;
    check_region(v, ARENA_SECTIONS, i, "it", s->phys, s->bytes);
    if (s->kind < SECTION_TEXT || s->kind > SECTION_EXCEPT)
        DAMAGED(v, ARENA_SECTIONS, i, "it is of unknown kind %u", s->kind);
    if (s->virt + s->bytes < s->virt)
        UNUSABLE(v, ARENA_SECTIONS, i, "it wraps around the end of addresses");
}

static void check_symbol(struct view *v, uint32_t i)
{
    struct arena_symbol *s = record(v, ARENA_SYMBOLS, i);

    check_string(v, ARENA_SYMBOLS, i, &s->name);
    check_link(v, ARENA_SYMBOLS, i, "its namespace", ARENA_NAMESPACES, &s->namespace_.index);
    if (!check_anchor(v, ARENA_SYMBOLS, i, "its section", ARENA_SECTIONS, s->section.index))
        return;
    const struct arena_section *section = usable(v, ARENA_SECTIONS, s->section.index);
    if (s->offset > section->bytes || s->bytes > section->bytes - s->offset)
        DAMAGED(v, ARENA_SYMBOLS, i, "it reaches beyond the end of its section");
}

static void check_edge_record(struct view *v, uint32_t i)
{
    struct arena_edge *e = record(v, ARENA_EDGES, i);

    check_link(v, ARENA_EDGES, i, "its symbol", ARENA_SYMBOLS, &e->symbol.index);
    if (!check_anchor(v, ARENA_EDGES, i, "where it comes from", ARENA_SECTIONS, e->from.index) ||
        !check_anchor(v, ARENA_EDGES, i, "its target", ARENA_SECTIONS, e->to.index))
        return;
    const struct arena_section *from = usable(v, ARENA_SECTIONS, e->from.index);
    const struct arena_section *to = usable(v, ARENA_SECTIONS, e->to.index);
    size_t width = relocation_bytes(e->type);

    if (width == 0)
        DAMAGED(v, ARENA_EDGES, i, "it is a relocation of unknown type %u", e->type);
    if (e->offset > from->bytes || width > from->bytes - e->offset)
        UNUSABLE(v, ARENA_EDGES, i, "it lies beyond the end of its section");
    if (e->target > to->bytes)
        DAMAGED(v, ARENA_EDGES, i, "its target is beyond the end of section %u", e->to.index);
}

static void check_task_record(struct view *v, uint32_t i)
{
    struct arena_task *t = record(v, ARENA_TASKS, i);

    check_text(t->name, sizeof t->name);
    check_link(v, ARENA_TASKS, i, "its entry", ARENA_SECTIONS, &t->entry_section.index);
    check_link(v, ARENA_TASKS, i, "its namespace", ARENA_NAMESPACES, &t->namespace_.index);
    check_region(v, ARENA_TASKS, i, "its stack", t->stack_phys, t->stack_bytes);
    if (t->state > TASK_NEW)
        DAMAGED(v, ARENA_TASKS, i, "it is in unknown state %u", t->state);
}

static void check_cpu(struct view *v, uint32_t i)
{
    struct arena_cpu *c = record(v, ARENA_CPUS, i);

    /* The task may have ended between the copies of the two tables: no damage. */
    if (!usable(v, ARENA_TASKS, c->current_task.index))
        c->current_task = NO_TASK;
}

typedef void check_function(struct view *v, uint32_t index);

static void each(struct view *v, enum arena_table table, check_function *check)
{
    for (uint32_t i = 1; i < v->used[table]; i++)
        if (v->status[table][i] >= STATUS_DAMAGED)
            check(v, i);
}

/* In the boot image all cells have one unwind table, which the linker has made; it belongs to the entry point. */
static bool in_image(uint64_t virt)
{
    uint64_t offset = virt - (LAYOUT_IMAGE_VIRT + LAYOUT_IMAGE_PHYS);

    return offset < LAYOUT_ARENA_PHYS - LAYOUT_IMAGE_PHYS;
}

/* Links of a cell to its own sections, once all sections are known. */
static void check_cell_links(struct view *v, uint32_t i)
{
    struct arena_cell *c = record(v, ARENA_CELLS, i);
    const struct {
        const char *what;
        struct section_ref *link;
    } links[] = {
        {"its init function", &c->init_section},         {"its main function", &c->main_section},
        {"its transfer function", &c->transfer_section}, {"its done function", &c->done_section},
        {"its unwind table", &c->eh_frame_section},
    };

    for (size_t n = 0; n < sizeof links / sizeof *links; n++) {
        check_link(v, ARENA_CELLS, i, links[n].what, ARENA_SECTIONS, &links[n].link->index);
        const struct arena_section *s = view_section(v, *links[n].link);
        bool shared = s && links[n].link == &c->eh_frame_section && in_image(s->virt) && in_image(c->text_virt);
        if (s && s->cell.index != i && !shared)
            DAMAGED(v, ARENA_CELLS, i, "%s is in cell %u", links[n].what, s->cell.index);
    }
}

/* What a section says of its cell's unwind table. */
static void check_unwind_entry(struct view *v, uint32_t i)
{
    const struct arena_section *s = usable(v, ARENA_SECTIONS, i);
    const struct arena_cell *c = s ? usable(v, ARENA_CELLS, s->cell.index) : NULL;
    const struct arena_section *table = c ? view_section(v, c->eh_frame_section) : NULL;

    if (s && s->unwind_entry && (s->kind != SECTION_TEXT || !table || s->unwind_entry > table->bytes))
        DAMAGED(v, ARENA_SECTIONS, i, "its entry in the unwind table is beyond the end of that");
}

/* ---- lists: what the guest would find by walking must be what the records say ---- */

/* One list: starts at `first`, goes on through the word at `next` of each record, whose word at `owner` names its
 * owner. `count` is the length that the guest has written down, or UINT32_MAX. */
static void check_record_list(struct view *v, enum arena_table owner_table, uint32_t owner, const char *what,
                              enum arena_table table, uint32_t first, size_t next, size_t members, uint32_t count)
{
    size_t length = 0;
    uint32_t i = first;

    while (i && length <= members && usable(v, table, i)) {
        memcpy(&i, (uint8_t *)record(v, table, i) + next, sizeof i);
        length++;
    }
    if (i && length > members)
        damage_add(v, owner_table, owner, "its list of %s does not end", what);
    else if (i)
        damage_add(v, owner_table, owner, "its list of %s names %s %u, which does not exist", what, name_table(table),
                   i);
    else if (length != members)
        damage_add(v, owner_table, owner, "its list of %s holds %zu of %zu", what, length, members);
    else if (count != UINT32_MAX && count != length)
        damage_add(v, owner_table, owner, "it counts %u %s and has %zu", count, what, length);
}

static void check_lists(struct view *v)
{
    for (uint32_t i = 1; i < v->used[ARENA_CELLS]; i++) {
        const struct arena_cell *c = usable(v, ARENA_CELLS, i);
        const struct cell_ref cell = {i};

        if (!c)
            continue;
        check_record_list(v, ARENA_CELLS, i, "sections", ARENA_SECTIONS, c->first_section.index,
                          offsetof(struct arena_section, next_in_cell), view_sections_of(v, cell).count, c->sections);
        check_record_list(v, ARENA_CELLS, i, "symbols", ARENA_SYMBOLS, c->first_symbol.index,
                          offsetof(struct arena_symbol, next_in_cell), view_symbols_of(v, cell).count, UINT32_MAX);
    }
    for (uint32_t i = 1; i < v->used[ARENA_SECTIONS]; i++) {
        const struct arena_section *s = usable(v, ARENA_SECTIONS, i);
        const struct section_ref section = {i};

        if (!s)
            continue;
        check_record_list(v, ARENA_SECTIONS, i, "outgoing edges", ARENA_EDGES, s->first_out.index,
                          offsetof(struct arena_edge, next_out), view_edges_out(v, section).count, s->outgoing);
        check_record_list(v, ARENA_SECTIONS, i, "incoming edges", ARENA_EDGES, s->first_in.index,
                          offsetof(struct arena_edge, next_in), view_edges_in(v, section).count, s->incoming);
    }
}

/* ---- all of it ---- */

static void check_arena_header(struct view *v)
{
    const struct layout *l = &v->layout;

    if (l->bad_bytes)
        damage_add(v, ARENA_TABLES, 0, "the sizes of arena and header are not to be believed");
    if (v->torn)
        damage_add(v, ARENA_TABLES, 0, "the guest never finished its last change: tables may not fit each other");
    for (unsigned t = 0; t < ARENA_TABLES; t++) {
        if (l->bad_tables >> t & 1)
            damage_add(v, ARENA_TABLES, t,
                       "table %s lies outside of the arena, or has records of another size or too many", name_table(t));
        if (l->bad_used >> t & 1)
            damage_add(v, ARENA_TABLES, t, "table %s says that it uses more than it has", name_table(t));
    }
}

static void check_strings(struct view *v)
{
    uint8_t *p = v->table[ARENA_STRINGS];
    uint32_t used = v->used[ARENA_STRINGS], bad = 0;

    p[used] = 0; /* copy_table leaves room for one more */
    for (uint32_t i = 0; i < used; i++)
        if (p[i] && (p[i] < ' ' || p[i] > '~')) {
            p[i] = '?';
            bad++;
        }
    if (bad)
        damage_add(v, ARENA_STRINGS, 0, "%u bytes are no printable text", bad);
    if (used && p[used - 1])
        damage_add(v, ARENA_STRINGS, 0, "the last string does not end");
}

/* How many records the guest says that it has in use. Of tasks, the number changes while they are copied. */
static void check_in_use(struct view *v, enum arena_table table)
{
    uint32_t in_use = 1;

    for (uint32_t i = 1; i < v->used[table]; i++)
        in_use += v->status[table][i] != STATUS_FREE;
    if (!v->torn && v->used[table] && v->layout.header.table[table].in_use != in_use)
        damage_add(v, ARENA_TABLES, table, "table %s says that %u records are in use, and has %u", name_table(table),
                   v->layout.header.table[table].in_use, in_use);
}

enum err check_all(struct view *v)
{
    static const struct {
        enum arena_table table;
        check_function *check;
    } steps[] = {
        {ARENA_NAMESPACES, check_namespace}, {ARENA_OBJECTS, check_object_record},
        {ARENA_CELLS, check_cell},           {ARENA_SECTIONS, check_section_record},
        {ARENA_SYMBOLS, check_symbol},       {ARENA_EDGES, check_edge_record},
        {ARENA_TASKS, check_task_record},    {ARENA_CPUS, check_cpu},
    };

    check_arena_header(v);
    check_strings(v);
    refresh(v, ARENA_TASKS);
    refresh(v, ARENA_CPUS);
    for (unsigned t = 0; t < RECORD_TABLES; t++) {
        v->status[t] = calloc((size_t)v->used[t] + 1, 1);
        if (!v->status[t])
            return ERR_NOMEM;
        check_check_words(v, t);
        if (t <= ARENA_EDGES)
            check_in_use(v, t);
    }
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        each(v, steps[i].table, steps[i].check);
    check_parents(v);
    each(v, ARENA_CELLS, check_cell_links);
    each(v, ARENA_SECTIONS, check_unwind_entry);

    enum err e = group_all(v);
    if (e)
        return e;
    check_lists(v);
    return ring_check_all(v);
}
