/* The verbs about what is loaded: namespaces, cells, sections, symbols, deps, memory. */
#include "cli/cells.h"
#include <string.h>
#include "cli/verbs.h"
#include "guest/abi/layout.h"
#include "introspect/table.h"

/* ---- namespaces, cells ---- */

static enum cli_status fill_namespaces(struct reading *r)
{
    view_each_namespace (namespace_, r->view)
        if (view_namespace(r->view, namespace_)->state == NAMESPACE_LIVE)
            out_record(r->out, r->view, namespace_.index);
    return CLI_DONE;
}

enum cli_status verb_namespaces(struct call *call)
{
    static const struct reading_rule rule = {table_namespaces, fill_namespaces, false, NULL};

    return reading_run(call, &rule);
}

static bool is_cell_listed(const struct reading *r, struct cell_ref cell)
{
    return r->call->all || view_cell(r->view, cell)->state == CELL_LIVE;
}

static enum cli_status fill_cell_rows(struct reading *r)
{
    view_each_cell (cell, r->view)
        if (is_cell_listed(r, cell))
            out_record(r->out, r->view, cell.index);
    return CLI_DONE;
}

enum cli_status verb_cells(struct call *call)
{
    static const struct reading_rule rule = {table_cells, fill_cell_rows, false, NULL};

    return reading_run(call, &rule);
}

/* ---- what belongs to a cell: sections, symbols, deps ---- */

/* Calls `add` for the cell that the operand names, or without one for every listed cell. */
static enum cli_status each_cell(struct reading *r, void (*add)(struct reading *r, struct cell_ref cell))
{
    enum cli_status status = CLI_DONE;

    if (r->call->argc) {
        struct cell_ref cell = target_cell(r->target, r->call->argv[0], &status);

        if (cell.index)
            add(r, cell);
        return status;
    }
    view_each_cell (cell, r->view)
        if (is_cell_listed(r, cell))
            add(r, cell);
    return CLI_DONE;
}

void cells_add_sections(struct reading *r, struct cell_ref cell)
{
    struct view_sections list = view_sections_of(r->view, cell);

    for (size_t n = 0; n < list.count; n++)
        out_record(r->out, r->view, list.item[n].index);
}

static enum cli_status fill_section_rows(struct reading *r)
{
    return each_cell(r, cells_add_sections);
}

enum cli_status verb_sections(struct call *call)
{
    static const struct reading_rule rule = {table_sections, fill_section_rows, false, NULL};

    return reading_run(call, &rule);
}

void cells_add_symbols(struct reading *r, struct cell_ref cell)
{
    struct view_symbols list = view_symbols_of(r->view, cell);

    for (size_t n = 0; n < list.count; n++)
        if (r->call->all || view_symbol(r->view, list.item[n])->access)
            out_record(r->out, r->view, list.item[n].index);
}

static enum cli_status fill_symbols(struct reading *r)
{
    return each_cell(r, cells_add_symbols);
}

enum cli_status verb_symbols(struct call *call)
{
    static const struct reading_rule rule = {table_symbols, fill_symbols, false, NULL};

    return reading_run(call, &rule);
}

static void add_edges(struct reading *r, struct section_ref section)
{
    struct view_edges list = r->in ? view_edges_in(r->view, section) : view_edges_out(r->view, section);

    for (size_t n = 0; n < list.count; n++)
        out_record(r->out, r->view, list.item[n].index);
}

void cells_add_edges(struct reading *r, struct cell_ref cell)
{
    struct view_sections sections = view_sections_of(r->view, cell);

    for (size_t n = 0; n < sections.count; n++)
        add_edges(r, sections.item[n]);
}

static enum cli_status fill_deps(struct reading *r)
{
    struct section_ref section = {};
    enum cli_status status = CLI_DONE;

    if (r->call->argc && strchr(r->call->argv[0], ':')) {
        target_section(r->target, r->call->argv[0], &section, &status);
        if (section.index)
            add_edges(r, section);
        return status;
    }
    return each_cell(r, cells_add_edges);
}

enum cli_status verb_deps(struct call *call)
{
    static const struct reading_rule rule = {table_edges, fill_deps, false, NULL};

    return reading_run(call, &rule);
}

/* ---- memory ---- */

static const struct column memory_columns[] = {
    {.key = "owner"},
    {.key = "namespace"},
    {.key = "region"},
    {.key = "virtual", .kind = COLUMN_ADDRESS},
    {.key = "physical", .kind = COLUMN_ADDRESS},
    {.key = "bytes", .kind = COLUMN_NUMBER},
    {0},
};

/* Of no namespace: one that all have. */
static void add_region(struct reading *r, const char *owner, struct namespace_ref namespace_, const char *region,
                       uint64_t virt, uint64_t phys, uint64_t bytes)
{
    if (!bytes)
        return;
    out_text(r->out, owner);
    out_text(r->out, namespace_.index ? view_namespace_name(r->view, namespace_) : "");
    out_text(r->out, region);
    out_number(r->out, virt);
    out_number(r->out, phys);
    out_number(r->out, bytes);
}

static void add_cell_memory(struct reading *r, struct cell_ref cell)
{
    const struct arena_cell *c = view_cell(r->view, cell);
    const struct arena_object *o = view_object(r->view, c->object);
    const char *name = view_cell_name(r->view, cell);

    add_region(r, name, c->namespace_, "text", c->text_virt, c->text_phys, c->text_bytes);
    add_region(r, name, c->namespace_, "rodata", c->rodata_virt, c->rodata_phys, c->rodata_bytes);
    add_region(r, name, c->namespace_, "data", c->data_virt, c->data_phys, c->data_bytes);
    if (o)
        add_region(r, name, c->namespace_, "object", 0, o->phys, o->bytes);
}

/* Adds objects that are kept only because commits of namespaces name them. */
static void add_kept_objects(struct reading *r)
{
    view_each_object (object, r->view) {
        const struct arena_object *o = view_object(r->view, object);

        if (o->kept && !o->cells)
            add_region(r, view_string(r->view, o->name), NO_NAMESPACE, "kept", 0, o->phys, o->bytes);
    }
}

static enum cli_status fill_memory(struct reading *r)
{
    enum cli_status status = each_cell(r, add_cell_memory);
    uint64_t phys, bytes;

    if (status || r->call->argc)
        return status;
    view_each_task (task, r->view) {
        const struct arena_task *t = view_task(r->view, task);

        add_region(r, t->name, t->namespace_, "stack", t->stack_virt, t->stack_phys, t->stack_bytes);
    }
    add_kept_objects(r);
    view_arena_span(r->view, &phys, &bytes);
    add_region(r, "arena", NO_NAMESPACE, "header", LAYOUT_DIRECT_VIRT + LAYOUT_ARENA_PHYS, LAYOUT_ARENA_PHYS,
               sizeof(struct arena_header));
    add_region(r, "arena", NO_NAMESPACE, "tables", LAYOUT_DIRECT_VIRT + phys, phys, bytes);
    return CLI_DONE;
}

enum cli_status verb_memory(struct call *call)
{
    static const struct reading_rule rule = {memory_columns, fill_memory, false, NULL};

    return reading_run(call, &rule);
}
