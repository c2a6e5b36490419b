/* The verb `cell`: all about one cell (thesis, figure 5.2). */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/cells.h"
#include "cli/cli.h"
#include "cli/verbs.h"
#include "introspect/name.h"
#include "introspect/read.h"
#include "introspect/reference.h"

enum { LABEL = 256 };

/* For the caller to free. NULL: none, or memory is out; *ret_count is 0 then. */
static struct cell_ref *cells_near(const struct view *v, struct cell_ref cell, bool out, size_t *ret_count)
{
    size_t (*list)(const struct view *, struct cell_ref, struct cell_ref *, size_t) =
        out ? view_dependencies : view_dependents;
    size_t count = list(v, cell, NULL, 0);
    struct cell_ref *near = calloc(count + 1, sizeof *near);

    *ret_count = near ? list(v, cell, near, count) : 0;
    return near;
}

/* ---- JSON ---- */

static json_t *address(uint64_t number)
{
    return json_sprintf("0x%lx", (unsigned long)number);
}

static json_t *cell_names(const struct view *v, struct cell_ref cell, bool out)
{
    size_t count;
    OWN(memory) struct cell_ref *near = cells_near(v, cell, out, &count);
    json_t *names = json_array();
    char name[QUALIFIED_BYTES];

    for (size_t i = 0; i < count; i++) {
        qualified_name(v, near[i], name, sizeof name);
        json_array_append_new(names, json_string(name));
    }
    return names;
}

static json_t *exports(const struct view *v, struct cell_ref cell)
{
    struct view_symbols list = view_symbols_of(v, cell);
    json_t *all = json_array();

    for (size_t n = 0; n < list.count; n++) {
        const struct arena_symbol *s = view_symbol(v, list.item[n]);

        if (s->access)
            json_array_append_new(
                all, json_pack("{s:s, s:s}", "name", view_string(v, s->name), "access", name_access(s->access)));
    }
    return all;
}

/* The edges of one section, each with its relocation record; `out`: those that leave. */
static json_t *edges(const struct view *v, struct section_ref section, bool out)
{
    struct view_edges list = out ? view_edges_out(v, section) : view_edges_in(v, section);
    json_t *all = json_array();
    char label[LABEL];

    for (size_t n = 0; n < list.count; n++) {
        const struct arena_edge *e = view_edge(v, list.item[n]);
        const struct arena_symbol *symbol = view_symbol(v, e->symbol);

        view_section_label(v, out ? e->to : e->from, label, sizeof label);
        json_array_append_new(all, json_pack("{s:s, s:s, s:I, s:I, s:I, s:s?}", out ? "to" : "from", label, "type",
                                             name_relocation(e->type), "offset", (json_int_t)e->offset, "target",
                                             (json_int_t)e->target, "addend", (json_int_t)e->addend, "symbol",
                                             symbol ? view_string(v, symbol->name) : NULL));
    }
    return all;
}

static json_t *section_json(const struct view *v, struct section_ref section)
{
    const struct arena_section *s = view_section(v, section);
    struct read_pages pages = read_pages(v, s->virt, s->bytes);
    json_t *o = json_pack("{s:s, s:s, s:o, s:I, s:I}", "name", view_section_name(v, section), "kind",
                          name_section_kind(s->kind), "address", address(s->virt), "bytes", (json_int_t)s->bytes,
                          "align", (json_int_t)s->align);

    json_object_set_new(o, "pages",
                        json_pack("{s:o, s:I, s:o, s:s}", "first", address(pages.first), "count",
                                  (json_int_t)pages.pages, "physical", address(pages.phys), "permissions",
                                  read_permissions(&pages)));
    json_object_set_new(o, "outgoing", edges(v, section, true));
    json_object_set_new(o, "incoming", edges(v, section, false));
    return o;
}

static json_t *sections_json(const struct view *v, struct cell_ref cell)
{
    struct view_sections list = view_sections_of(v, cell);
    json_t *all = json_array();

    for (size_t n = 0; n < list.count; n++)
        json_array_append_new(all, section_json(v, list.item[n]));
    return all;
}

static const char *object_origin(const struct arena_object *object)
{
    return object->from_mailbox ? "host" : "archive";
}

/* JSON null for a cell of the boot image. */
static json_t *object_json(const struct view *v, struct object_ref ref)
{
    const struct arena_object *object = view_object(v, ref);

    if (!object)
        return json_null();
    return json_pack("{s:s, s:s, s:o, s:I, s:o}", "cell", view_string(v, object->name), "from", object_origin(object),
                     "hash", address(object->hash), "bytes", (json_int_t)object->bytes, "physical",
                     address(object->phys));
}

static json_t *references_json(const struct references *r)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "holders", (json_int_t)r->holders, "object_cells",
                     (json_int_t)r->object_cells, "tasks", (json_int_t)r->tasks, "edges_out", (json_int_t)r->out,
                     "edges_in", (json_int_t)r->in, "edges_inside", (json_int_t)r->inside);
}

static void print_cell_json(const struct view *v, struct cell_ref cell)
{
    const struct arena_cell *c = view_cell(v, cell);
    struct references references = references_of(v, cell);
    json_t *o = json_pack("{s:s, s:s, s:I, s:s, s:s, s:I, s:I, s:I, s:I}", "name", view_cell_name(v, cell), "namespace",
                          view_namespace_name(v, c->namespace_), "version", (json_int_t)c->version, "kind",
                          name_cell_kind(c->kind), "state", name_cell_state(c->state), "bytes",
                          (json_int_t)table_cell_bytes(c), "tasks", (json_int_t)references.tasks, "faults",
                          (json_int_t)c->faults, "reloads", (json_int_t)c->reloads);

    json_object_set_new(o, "object", object_json(v, c->object));
    json_object_set_new(o, "references", references_json(&references));
    json_object_set_new(o, "sections", sections_json(v, cell));
    json_object_set_new(o, "exports", exports(v, cell));
    json_object_set_new(o, "dependencies", cell_names(v, cell, true));
    json_object_set_new(o, "dependents", cell_names(v, cell, false));
    out_json(o);
}

/* ---- text ---- */

static void print_names(const struct view *v, const char *title, struct cell_ref cell, bool out)
{
    size_t count;
    OWN(memory) struct cell_ref *near = cells_near(v, cell, out, &count);
    char name[QUALIFIED_BYTES];

    printf("%-13s", title);
    for (size_t i = 0; i < count; i++) {
        qualified_name(v, near[i], name, sizeof name);
        printf("%s%s", i ? ", " : "", name);
    }
    printf("%s\n", count ? "" : "none");
}

static void print_object(const struct view *v, struct object_ref ref)
{
    const struct arena_object *object = view_object(v, ref);

    if (object)
        printf("%-13s%u bytes at physical 0x%lx, hash 0x%lx, from the %s; cells made from it: %u\n", "object",
               object->bytes, (unsigned long)object->phys, (unsigned long)object->hash, object_origin(object),
               object->cells);
    else
        printf("%-13snone: it is of the boot image\n", "object");
}

static void print_head(const struct view *v, struct cell_ref cell)
{
    const struct arena_cell *c = view_cell(v, cell);
    struct references r = references_of(v, cell);

    printf("%-13s%s, version %u, %s, in namespace %s, %s\n", "cell", view_cell_name(v, cell), c->version,
           name_cell_kind(c->kind), view_namespace_name(v, c->namespace_), name_cell_state(c->state));
    printf("%-13s%u text, %u rodata, %u data\n", "bytes", c->text_bytes, c->rodata_bytes, c->data_bytes);
    print_object(v, c->object);
    printf("%-13s%u edges of other cells, %zu tasks that begin in it\n", "held by", r.holders, r.tasks);
    printf("%-13s%zu out, %zu in, %zu inside\n", "edges", r.out, r.in, r.inside);
    printf("%-13s%u, %u reloads\n", "faults", c->faults, c->reloads);
    print_names(v, "needs", cell, true);
    print_names(v, "needed by", cell, false);
}

/* Prints a table with a title, if it has rows. */
static void print_rows(struct reading *r, const char *title, const struct column *columns, struct cell_ref cell,
                       void (*add)(struct reading *r, struct cell_ref cell))
{
    OWN(out) struct out *rows = out_new(columns, false);
    struct out *before = r->out;

    r->out = rows;
    add(r, cell);
    r->out = before;
    if (out_rows(rows)) {
        printf("\n%s", title);
        out_print(rows);
    }
}

static void print_cell_text(struct reading *r, struct cell_ref cell)
{
    print_head(r->view, cell);
    print_rows(r, "", table_sections, cell, cells_add_sections);
    print_rows(r, "", table_symbols, cell, cells_add_symbols);
    if (!r->call->all)
        return;
    print_rows(r, "outgoing\n", table_edges, cell, cells_add_edges);
    r->in = true;
    print_rows(r, "incoming\n", table_edges, cell, cells_add_edges);
    r->in = false;
}

static enum cli_status check_operand(struct reading *r)
{
    enum cli_status status;

    target_cell(r->target, r->call->argv[0], &status);
    return status;
}

static void print_cell(struct reading *r)
{
    enum cli_status status;
    struct cell_ref cell = target_cell(r->target, r->call->argv[0], &status);

    if (r->call->json)
        print_cell_json(r->view, cell);
    else
        print_cell_text(r, cell);
}

enum cli_status verb_cell(struct call *call)
{
    static const struct reading_rule rule = {table_sections, check_operand, false, print_cell};

    return reading_run(call, &rule);
}
