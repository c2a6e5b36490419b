/* The verbs about what is loaded: namespaces, cells, sections, symbols, deps, memory. */
#include "cli/cells.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/cli.h"
#include "cli/verbs.h"
#include "guest/abi/layout.h"
#include "introspect/name.h"
#include "introspect/read.h"

enum { LABEL = 256 };

/* ---- namespaces ---- */

static const struct column namespace_columns[] = {
    {"name", COLUMN_TEXT, 0},
    {"parent", COLUMN_TEXT, 0},
    {"cells", COLUMN_NUMBER, 0},
    {"tasks", COLUMN_NUMBER, 0},
    {"cpu", COLUMN_TEXT, 0},
    {"simd", COLUMN_TEXT, 0},
    {0},
};

static void add_namespace(struct reading *r, uint32_t namespace_)
{
    const struct arena_namespace *n = view_namespace(r->view, namespace_);
    uint64_t cells = 0, tasks = 0;
    char cpu[16] = "";

    for (uint32_t c = 0; (c = view_next(r->view, ARENA_CELLS, c));)
        cells += view_cell(r->view, c)->namespace_ == namespace_;
    for (uint32_t t = 0; (t = view_next(r->view, ARENA_TASKS, t));)
        tasks += view_task(r->view, t)->namespace_ == namespace_;
    if (n->cpu)
        snprintf(cpu, sizeof cpu, "%u", n->cpu - 1);
    out_text(r->out, view_namespace_name(r->view, namespace_));
    out_text(r->out, n->parent ? view_namespace_name(r->view, n->parent) : "");
    out_number(r->out, cells);
    out_number(r->out, tasks);
    out_text(r->out, cpu);
    out_text(r->out, n->flags & NAMESPACE_SIMD ? "yes" : "");
}

static int fill_namespaces(struct reading *r)
{
    for (uint32_t i = 0; (i = view_next(r->view, ARENA_NAMESPACES, i));)
        if (view_namespace(r->view, i)->state == NAMESPACE_LIVE)
            add_namespace(r, i);
    return CLI_DONE;
}

int verb_namespaces(int argc, char **argv)
{
    static const struct reading_rule rule = {0, 0, "", namespace_columns, fill_namespaces, false, NULL};

    return reading_run(argc, argv, &rule);
}

/* ---- cells ---- */

static const struct column cell_columns[] = {
    {"name", COLUMN_TEXT, 0},
    {"namespace", COLUMN_TEXT, 0},
    {"version", COLUMN_NUMBER, 0},
    {"kind", COLUMN_TEXT, 0},
    {"state", COLUMN_TEXT, COLUMN_TABLE},
    {"bytes", COLUMN_NUMBER, 0},
    {"sections", COLUMN_NUMBER, 0},
    {"dependencies", COLUMN_NUMBER, 0},
    {"dependents", COLUMN_NUMBER, 0},
    {"tasks", COLUMN_NUMBER, 0},
    {0},
};

uint64_t cells_bytes(const struct arena_cell *c)
{
    return (uint64_t)c->text_bytes + c->rodata_bytes + c->data_bytes;
}

static void add_cell(struct reading *r, uint32_t cell)
{
    const struct arena_cell *c = view_cell(r->view, cell);

    out_text(r->out, view_cell_name(r->view, cell));
    out_text(r->out, view_namespace_name(r->view, c->namespace_));
    out_number(r->out, c->version);
    out_text(r->out, name_cell_kind(c->kind));
    out_text(r->out, name_cell_state(c->state));
    out_number(r->out, cells_bytes(c));
    out_number(r->out, view_sections_of(r->view, cell).count);
    out_number(r->out, view_dependencies(r->view, cell, NULL, 0));
    out_number(r->out, view_dependents(r->view, cell, NULL, 0));
    out_number(r->out, view_tasks_in(r->view, cell));
}

static int fill_cells(struct reading *r)
{
    for (uint32_t i = 0; (i = view_next(r->view, ARENA_CELLS, i));)
        if (r->all || view_cell(r->view, i)->state == CELL_LIVE)
            add_cell(r, i);
    return CLI_DONE;
}

int verb_cells(int argc, char **argv)
{
    static const struct reading_rule rule = {0, 0, "a", cell_columns, fill_cells, false, NULL};

    return reading_run(argc, argv, &rule);
}

/* ---- sections ---- */

const struct column cells_section_columns[] = {
    {"cell", COLUMN_TEXT, 0},
    {"name", COLUMN_TEXT, 0},
    {"address", COLUMN_ADDRESS, 0},
    {"bytes", COLUMN_NUMBER, 0},
    {"kind", COLUMN_TEXT, 0},
    {"outgoing", COLUMN_NUMBER, 0},
    {"incoming", COLUMN_NUMBER, 0},
    {"physical", COLUMN_ADDRESS, 0},
    {"pages", COLUMN_NUMBER, 0},
    {"permissions", COLUMN_TEXT, 0},
    {0},
};

void cells_add_sections(struct reading *r, uint32_t cell)
{
    struct view_list list = view_sections_of(r->view, cell);

    for (size_t n = 0; n < list.count; n++) {
        const struct arena_section *s = view_section(r->view, list.item[n]);
        struct read_pages pages = read_pages(r->view, s->virt, s->bytes);

        out_text(r->out, view_cell_name(r->view, cell));
        out_text(r->out, view_section_name(r->view, list.item[n]));
        out_number(r->out, s->virt);
        out_number(r->out, s->bytes);
        out_text(r->out, name_section_kind(s->kind));
        out_number(r->out, view_edges_out(r->view, list.item[n]).count);
        out_number(r->out, view_edges_in(r->view, list.item[n]).count);
        out_number(r->out, pages.phys + (s->virt - pages.first));
        out_number(r->out, pages.pages);
        out_text(r->out, read_permissions(&pages));
    }
}

/* For the cell that the operand names, or for every live one. */
static int each_cell(struct reading *r, void (*add)(struct reading *r, uint32_t cell))
{
    int status = CLI_DONE;
    uint32_t cell = 0;

    if (r->argc) {
        cell = target_cell(r->target, r->argv[0], &status);
        if (cell)
            add(r, cell);
        return status;
    }
    while ((cell = view_next(r->view, ARENA_CELLS, cell)))
        if (r->all || view_cell(r->view, cell)->state == CELL_LIVE)
            add(r, cell);
    return CLI_DONE;
}

static int fill_sections(struct reading *r)
{
    return each_cell(r, cells_add_sections);
}

int verb_sections(int argc, char **argv)
{
    static const struct reading_rule rule = {0, 1, "a", cells_section_columns, fill_sections, false, NULL};

    return reading_run(argc, argv, &rule);
}

/* ---- symbols ---- */

const struct column cells_symbol_columns[] = {
    {"name", COLUMN_TEXT, 0},
    {"cell", COLUMN_TEXT, 0},
    {"section", COLUMN_TEXT, COLUMN_JSON},
    {"address", COLUMN_ADDRESS, 0},
    {"bytes", COLUMN_NUMBER, 0},
    {"access", COLUMN_TEXT, 0},
    {"type", COLUMN_ADDRESS, 0},
    {0},
};

void cells_add_symbols(struct reading *r, uint32_t cell)
{
    struct view_list list = view_symbols_of(r->view, cell);

    for (size_t n = 0; n < list.count; n++) {
        const struct arena_symbol *s = view_symbol(r->view, list.item[n]);

        if (!s->access && !r->all)
            continue;
        out_text(r->out, view_string(r->view, s->name));
        out_text(r->out, view_cell_name(r->view, cell));
        out_text(r->out, view_section_name(r->view, s->section));
        out_number(r->out, view_section(r->view, s->section)->virt + s->offset);
        out_number(r->out, s->bytes);
        out_text(r->out, name_access(s->access));
        out_number(r->out, s->type_hash);
    }
}

static int fill_symbols(struct reading *r)
{
    return each_cell(r, cells_add_symbols);
}

int verb_symbols(int argc, char **argv)
{
    static const struct reading_rule rule = {0, 1, "a", cells_symbol_columns, fill_symbols, false, NULL};

    return reading_run(argc, argv, &rule);
}

/* ---- deps ---- */

const struct column cells_edge_columns[] = {
    {"from", COLUMN_TEXT, 0},     {"to", COLUMN_TEXT, 0},
    {"type", COLUMN_TEXT, 0},     {"address", COLUMN_ADDRESS, 0},
    {"offset", COLUMN_NUMBER, 0}, {"target", COLUMN_NUMBER, 0},
    {"addend", COLUMN_SIGNED, 0}, {0},
};

void cells_section_label(const struct view *v, uint32_t section, char *ret, size_t bytes)
{
    const struct arena_section *s = view_section(v, section);

    snprintf(ret, bytes, "%s:%s", s ? view_cell_name(v, s->cell) : "?", view_section_name(v, section));
}

static void add_edges(struct reading *r, uint32_t section)
{
    struct view_list list = r->in ? view_edges_in(r->view, section) : view_edges_out(r->view, section);
    char from[LABEL], to[LABEL];

    for (size_t n = 0; n < list.count; n++) {
        const struct arena_edge *e = view_edge(r->view, list.item[n]);

        cells_section_label(r->view, e->from, from, sizeof from);
        cells_section_label(r->view, e->to, to, sizeof to);
        out_text(r->out, from);
        out_text(r->out, to);
        out_text(r->out, name_relocation(e->type));
        out_number(r->out, view_section(r->view, e->from)->virt + e->offset);
        out_number(r->out, e->offset);
        out_number(r->out, e->target);
        out_number(r->out, (uint64_t)e->addend);
    }
}

void cells_add_edges(struct reading *r, uint32_t cell)
{
    struct view_list sections = view_sections_of(r->view, cell);

    for (size_t n = 0; n < sections.count; n++)
        add_edges(r, sections.item[n]);
}

static int fill_deps(struct reading *r)
{
    uint32_t section = 0;
    int status = CLI_DONE;

    if (r->argc && strchr(r->argv[0], ':')) {
        target_section(r->target, r->argv[0], &section, &status);
        if (section)
            add_edges(r, section);
        return status;
    }
    return each_cell(r, cells_add_edges);
}

int verb_deps(int argc, char **argv)
{
    static const struct reading_rule rule = {0, 1, "ai", cells_edge_columns, fill_deps, false, NULL};

    return reading_run(argc, argv, &rule);
}

/* ---- memory ---- */

static const struct column memory_columns[] = {
    {"owner", COLUMN_TEXT, 0},       {"region", COLUMN_TEXT, 0},  {"virtual", COLUMN_ADDRESS, 0},
    {"physical", COLUMN_ADDRESS, 0}, {"bytes", COLUMN_NUMBER, 0}, {0},
};

static void add_region(struct reading *r, const char *owner, const char *region, uint64_t virt, uint64_t phys,
                       uint64_t bytes)
{
    if (!bytes)
        return;
    out_text(r->out, owner);
    out_text(r->out, region);
    out_number(r->out, virt);
    out_number(r->out, phys);
    out_number(r->out, bytes);
}

static void add_cell_memory(struct reading *r, uint32_t cell)
{
    const struct arena_cell *c = view_cell(r->view, cell);
    const struct arena_object *o = view_object(r->view, c->object);
    const char *name = view_cell_name(r->view, cell);

    add_region(r, name, "text", c->text_virt, c->text_phys, c->text_bytes);
    add_region(r, name, "rodata", c->rodata_virt, c->rodata_phys, c->rodata_bytes);
    add_region(r, name, "data", c->data_virt, c->data_phys, c->data_bytes);
    if (o)
        add_region(r, name, "object", 0, o->phys, o->bytes);
}

/* Objects that are there for commits of namespaces only. */
static void add_kept_objects(struct reading *r)
{
    for (uint32_t i = 0; (i = view_next(r->view, ARENA_OBJECTS, i));) {
        const struct arena_object *o = view_object(r->view, i);

        if (o->kept && !o->cells)
            add_region(r, view_string(r->view, o->name), "kept", 0, o->phys, o->bytes);
    }
}

static int fill_memory(struct reading *r)
{
    int status = each_cell(r, add_cell_memory);

    if (status || r->argc)
        return status;
    for (uint32_t i = 0; (i = view_next(r->view, ARENA_TASKS, i));) {
        const struct arena_task *t = view_task(r->view, i);

        add_region(r, t->name, "stack", t->stack_virt, t->stack_phys, t->stack_bytes);
    }
    add_kept_objects(r);
    add_region(r, "arena", "tables", LAYOUT_IMAGE_VIRT + LAYOUT_ARENA_PHYS, LAYOUT_ARENA_PHYS, LAYOUT_ARENA_BYTES);
    return CLI_DONE;
}

int verb_memory(int argc, char **argv)
{
    static const struct reading_rule rule = {0, 1, "a", memory_columns, fill_memory, false, NULL};

    return reading_run(argc, argv, &rule);
}
