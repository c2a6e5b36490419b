/* The verbs about what is loaded: namespaces, cells, cell, sections, symbols, deps, memory. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/cli.h"
#include "cli/reading.h"
#include "cli/verbs.h"
#include "guest/abi/layout.h"
#include "introspect/name.h"

enum { LABEL = 256, CELLS = ARENA_CELLS_MAX };

/* ---- namespaces ---- */

static const struct column namespace_columns[] = {
    {"name", COLUMN_TEXT, 0},    {"parent", COLUMN_TEXT, 0}, {"cells", COLUMN_NUMBER, 0},
    {"tasks", COLUMN_NUMBER, 0}, {"cpu", COLUMN_TEXT, 0},    {0},
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

static uint64_t cell_bytes(const struct arena_cell *c)
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
    out_number(r->out, cell_bytes(c));
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

static const struct column section_columns[] = {
    {"cell", COLUMN_TEXT, 0},       {"name", COLUMN_TEXT, 0},
    {"address", COLUMN_ADDRESS, 0}, {"bytes", COLUMN_NUMBER, 0},
    {"kind", COLUMN_TEXT, 0},       {"outgoing", COLUMN_NUMBER, 0},
    {"incoming", COLUMN_NUMBER, 0}, {0},
};

static void add_sections(struct reading *r, uint32_t cell)
{
    struct view_list list = view_sections_of(r->view, cell);

    for (size_t n = 0; n < list.count; n++) {
        const struct arena_section *s = view_section(r->view, list.item[n]);

        out_text(r->out, view_cell_name(r->view, cell));
        out_text(r->out, view_section_name(r->view, list.item[n]));
        out_number(r->out, s->virt);
        out_number(r->out, s->bytes);
        out_text(r->out, name_section_kind(s->kind));
        out_number(r->out, view_edges_out(r->view, list.item[n]).count);
        out_number(r->out, view_edges_in(r->view, list.item[n]).count);
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
    return each_cell(r, add_sections);
}

int verb_sections(int argc, char **argv)
{
    static const struct reading_rule rule = {0, 1, "a", section_columns, fill_sections, false, NULL};

    return reading_run(argc, argv, &rule);
}

/* ---- symbols ---- */

static const struct column symbol_columns[] = {
    {"name", COLUMN_TEXT, 0},
    {"cell", COLUMN_TEXT, 0},
    {"section", COLUMN_TEXT, COLUMN_JSON},
    {"address", COLUMN_ADDRESS, 0},
    {"bytes", COLUMN_NUMBER, 0},
    {"access", COLUMN_TEXT, 0},
    {"type", COLUMN_ADDRESS, 0},
    {0},
};

static void add_symbols(struct reading *r, uint32_t cell)
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
    return each_cell(r, add_symbols);
}

int verb_symbols(int argc, char **argv)
{
    static const struct reading_rule rule = {0, 1, "a", symbol_columns, fill_symbols, false, NULL};

    return reading_run(argc, argv, &rule);
}

/* ---- deps ---- */

static const struct column edge_columns[] = {
    {"from", COLUMN_TEXT, 0}, {"to", COLUMN_TEXT, 0}, {"type", COLUMN_TEXT, 0}, {"address", COLUMN_ADDRESS, 0}, {0},
};

static void section_label(const struct view *v, uint32_t section, char *ret, size_t bytes)
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

        section_label(r->view, e->from, from, sizeof from);
        section_label(r->view, e->to, to, sizeof to);
        out_text(r->out, from);
        out_text(r->out, to);
        out_text(r->out, name_relocation(e->type));
        out_number(r->out, view_section(r->view, e->from)->virt + e->offset);
    }
}

static void add_cell_edges(struct reading *r, uint32_t cell)
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
    return each_cell(r, add_cell_edges);
}

int verb_deps(int argc, char **argv)
{
    static const struct reading_rule rule = {0, 1, "ai", edge_columns, fill_deps, false, NULL};

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

static int fill_memory(struct reading *r)
{
    int status = each_cell(r, add_cell_memory);

    if (status || r->argc)
        return status;
    for (uint32_t i = 0; (i = view_next(r->view, ARENA_TASKS, i));) {
        const struct arena_task *t = view_task(r->view, i);

        add_region(r, t->name, "stack", t->stack_virt, t->stack_phys, t->stack_bytes);
    }
    add_region(r, "arena", "tables", LAYOUT_IMAGE_VIRT + LAYOUT_ARENA_PHYS, LAYOUT_ARENA_PHYS, LAYOUT_ARENA_BYTES);
    return CLI_DONE;
}

int verb_memory(int argc, char **argv)
{
    static const struct reading_rule rule = {0, 1, "a", memory_columns, fill_memory, false, NULL};

    return reading_run(argc, argv, &rule);
}

/* ---- cell: all about one ---- */

static json_t *cell_names(const struct view *v, const uint32_t *cells, size_t count)
{
    json_t *names = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(names, json_string(view_cell_name(v, cells[i])));
    return names;
}

static size_t cells_near(const struct view *v, uint32_t cell, bool out, uint32_t *ret)
{
    size_t n = out ? view_dependencies(v, cell, ret, CELLS) : view_dependents(v, cell, ret, CELLS);

    return n < CELLS ? n : CELLS;
}

static void print_names(const struct view *v, const char *title, const uint32_t *cells, size_t count)
{
    printf("%-13s", title);
    for (size_t i = 0; i < count; i++)
        printf("%s%s", i ? ", " : "", view_cell_name(v, cells[i]));
    printf("%s\n", count ? "" : "none");
}

static json_t *exports_json(const struct view *v, uint32_t cell)
{
    struct view_list list = view_symbols_of(v, cell);
    json_t *all = json_array();

    for (size_t n = 0; n < list.count; n++) {
        const struct arena_symbol *s = view_symbol(v, list.item[n]);

        if (s->access)
            json_array_append_new(
                all, json_pack("{s:s, s:s}", "name", view_string(v, s->name), "access", name_access(s->access)));
    }
    return all;
}

static void print_cell_json(const struct view *v, uint32_t cell)
{
    const struct arena_cell *c = view_cell(v, cell);
    uint32_t near[CELLS];
    json_t *sections = json_array(), *o;
    struct view_list list = view_sections_of(v, cell);

    for (size_t n = 0; n < list.count; n++)
        json_array_append_new(sections, json_string(view_section_name(v, list.item[n])));
    o = json_pack("{s:s, s:s, s:I, s:s, s:s, s:I, s:I, s:I, s:I}", "name", view_cell_name(v, cell), "namespace",
                  view_namespace_name(v, c->namespace_), "version", (json_int_t)c->version, "kind",
                  name_cell_kind(c->kind), "state", name_cell_state(c->state), "bytes", (json_int_t)cell_bytes(c),
                  "tasks", (json_int_t)view_tasks_in(v, cell), "faults", (json_int_t)c->faults, "reloads",
                  (json_int_t)c->reloads);
    json_object_set_new(o, "sections", sections);
    json_object_set_new(o, "exports", exports_json(v, cell));
    size_t n = cells_near(v, cell, true, near);
    json_object_set_new(o, "dependencies", cell_names(v, near, n));
    n = cells_near(v, cell, false, near);
    json_object_set_new(o, "dependents", cell_names(v, near, n));
    json_dumpf(o, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(o);
}

static void print_cell_text(struct reading *r, uint32_t cell)
{
    const struct view *v = r->view;
    const struct arena_cell *c = view_cell(v, cell);
    uint32_t near[CELLS];
    size_t n;

    printf("%-13s%s, version %u, %s, in namespace %s, %s\n", "cell", view_cell_name(v, cell), c->version,
           name_cell_kind(c->kind), view_namespace_name(v, c->namespace_), name_cell_state(c->state));
    printf("%-13s%u text, %u rodata, %u data\n", "bytes", c->text_bytes, c->rodata_bytes, c->data_bytes);
    printf("%-13s%zu\n", "tasks", view_tasks_in(v, cell));
    printf("%-13s%u, %u reloads\n", "faults", c->faults, c->reloads);
    n = cells_near(v, cell, true, near);
    print_names(v, "needs", near, n);
    n = cells_near(v, cell, false, near);
    print_names(v, "needed by", near, n);
    printf("\n");
    add_sections(r, cell);
    out_print(r->out);
    struct out *symbols = out_new(symbol_columns, false), *sections = r->out;
    r->out = symbols;
    add_symbols(r, cell);
    if (out_rows(symbols)) {
        printf("\n");
        out_print(symbols);
    }
    r->out = sections;
    out_free(symbols);
}

static int check_cell_operand(struct reading *r)
{
    int status;

    target_cell(r->target, r->argv[0], &status);
    return status;
}

static void print_cell(struct reading *r)
{
    int status;
    uint32_t cell = target_cell(r->target, r->argv[0], &status);

    if (r->json)
        print_cell_json(r->view, cell);
    else
        print_cell_text(r, cell);
}

int verb_cell(int argc, char **argv)
{
    static const struct reading_rule rule = {1, 1, "a", section_columns, check_cell_operand, false, print_cell};

    return reading_run(argc, argv, &rule);
}
