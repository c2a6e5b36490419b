/* See reference.h. Edges and tasks are counted here; what the guest has counted stands beside. */
#include "introspect/reference.h"

static bool is_of(const struct view *v, struct section_ref section, struct cell_ref cell)
{
    const struct arena_section *s = view_section(v, section);

    return s && same(s->cell, cell);
}

static void count_edges(const struct view *v, struct cell_ref cell, struct references *r)
{
    struct view_sections sections = view_sections_of(v, cell);

    for (size_t i = 0; i < sections.count; i++) {
        struct view_edges out = view_edges_out(v, sections.item[i]), in = view_edges_in(v, sections.item[i]);

        for (size_t n = 0; n < out.count; n++)
            if (is_of(v, view_edge(v, out.item[n])->to, cell))
                r->inside++;
            else
                r->out++;
        for (size_t n = 0; n < in.count; n++)
            r->in += !is_of(v, view_edge(v, in.item[n])->from, cell);
    }
}

struct references references_of(const struct view *v, struct cell_ref cell)
{
    const struct arena_cell *c = view_cell(v, cell);
    const struct arena_object *object = c ? view_object(v, c->object) : NULL;
    struct references r = {0};

    if (!c)
        return r;
    count_edges(v, cell, &r);
    r.tasks = view_tasks_in(v, cell);
    r.holders = c->holders;
    r.object_cells = object ? object->cells : 0;
    return r;
}
