/* See verify.h. */
#include "introspect/verify.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "guest/abi/elf.h"
#include "guest/abi/object.h"
#include "introspect/pristine.h"
#include "introspect/read.h"

/* No cell comes near the sizes; they bound what hostile records can make us do. */
enum { TRIES = 5, TRIES_TORN = 2, PIECE_MAX = 8 << 20, WORK_MAX = 512 << 20 };

struct run {
    const struct view *view;
    struct pristine kernel, archive;
    const char *no_kernel; /* why there is none */
    struct verify_report *report;
    struct cell_ref cell; /* that is compared */
    uint64_t work;        /* bytes looked at so far */
    enum err error;
};

/* What is compared, byte by byte; of ignored bytes the expected value is not known. */
struct bytes {
    uint8_t *expected, *found, *ignored;
    size_t count;
};

static void bytes_done(struct bytes *b)
{
    free(b->expected);
    free(b->found);
    free(b->ignored);
}

/* False: out of memory. Needs bytes_done also then. */
static bool bytes_init(struct bytes *b, size_t count)
{
    *b = (struct bytes){malloc(count + 1), malloc(count + 1), calloc(count + 1, 1), count};
    return b->expected && b->found && b->ignored;
}

/* ---- the report ---- */

/* Name and namespace of the cell that is compared. */
static void copy_names(const struct run *r, char ret_cell[64], char ret_namespace[32])
{
    const struct arena_cell *c = view_cell(r->view, r->cell);

    snprintf(ret_cell, 64, "%s", view_cell_name(r->view, r->cell));
    snprintf(ret_namespace, 32, "%s", view_namespace_name(r->view, c->namespace_));
}

static void report_differences(struct run *r, struct section_ref live, const char *section, const struct bytes *b)
{
    struct verify_report *report = r->report;

    for (size_t i = 0; i < b->count; i++) {
        if (b->ignored[i] || b->expected[i] == b->found[i])
            continue;
        report->differing_count++;
        if (report->differing_kept == VERIFY_MAX)
            continue;
        struct verify_difference *d = &report->differing[report->differing_kept++];
        *d = (struct verify_difference){.live = live, .offset = i, .expected = b->expected[i], .found = b->found[i]};
        copy_names(r, d->cell, d->namespace_);
        snprintf(d->section, sizeof d->section, "%s", section);
    }
}

static void skip(struct run *r, const char *section, const char *why)
{
    struct verify_report *report = r->report;

    report->skipped_count++;
    if (report->skipped_kept == VERIFY_MAX)
        return;
    struct verify_skip *s = &report->skipped[report->skipped_kept++];
    copy_names(r, s->cell, s->namespace_);
    snprintf(s->section, sizeof s->section, "%s", section);
    snprintf(s->why, sizeof s->why, "%s", why);
}

/* Counts the bytes as work. False: more than there can be. */
static bool is_affordable(struct run *r, uint64_t bytes)
{
    if (bytes > PIECE_MAX || bytes > WORK_MAX - r->work)
        return false;
    r->work += bytes;
    return true;
}

/* ---- the pristine object of a cell ---- */

/* Copies the pristine object, from guest memory, or from the archive when that one is damaged; the damage is
 * reported byte by byte. *ret is untouched when neither is sound. */
static void object_truth(struct run *r, const struct arena_object *o, struct pristine *ret)
{
    CLOSED_BY(bytes_done) struct bytes b = {0};
    const uint8_t *data;
    size_t bytes;

    if (!is_affordable(r, o->bytes)) {
        skip(r, "object", "its pristine object is larger than any can be");
        return;
    }
    if (!bytes_init(&b, o->bytes)) {
        r->error = ERR_NOMEM;
        return;
    }
    if (read_phys(r->view, o->phys, b.found, o->bytes)) {
        skip(r, "object", "its pristine object is outside of memory");
    } else if (object_hash(b.found, o->bytes) == o->hash) {
        ret->data = MOVE(b.found);
        ret->bytes = o->bytes;
    } else if (r->archive.data && pristine_member(&r->archive, view_string(r->view, o->name), &data, &bytes) &&
               bytes == o->bytes && object_hash(data, bytes) == o->hash) {
        memcpy(b.expected, data, bytes);
        report_differences(r, NO_SECTION, "object", &b);
        ret->data = MOVE(b.expected);
        ret->bytes = bytes;
    } else {
        skip(r, "object", "its pristine object is damaged, and the archive file has no other of it");
    }
}

/* ---- relocations ---- */

static void apply_edge(const struct view *v, const struct arena_section *from, struct edge_ref edge, struct bytes *b)
{
    const struct arena_edge *e = view_edge(v, edge);
    const struct arena_section *to = view_section(v, e->to);
    size_t width = relocation_bytes(e->type);
    uint64_t value = relocation_value(e->type, arena_edge_target(e, to), from->virt + e->offset);

    if (width == 0 || e->offset > b->count || width > b->count - e->offset)
        return;
    memcpy(b->expected + e->offset, &value, width);
    if (!view_is_sound(v, ARENA_EDGES, edge.index) || !view_is_sound(v, ARENA_SECTIONS, e->to.index))
        memset(b->ignored + e->offset, 1, width);
}

/* The linker has resolved relocations within the image; those to other cells were written at run time. */
static void apply_edges(const struct view *v, struct section_ref section, bool in_image, struct bytes *b)
{
    const struct arena_section *from = view_section(v, section);
    struct view_edges edges = view_edges_out(v, section);

    for (size_t n = 0; n < edges.count; n++) {
        const struct arena_section *to = view_section(v, view_edge(v, edges.item[n])->to);

        if (!in_image || !same(to->cell, from->cell))
            apply_edge(v, from, edges.item[n], b);
    }
}

/* The call that a closed gate has written over an entry, while a swap waits, is no damage. */
static void ignore_gate(const struct arena_section *s, struct bytes *b)
{
    uint32_t at;

    if (arena_section_gate(s, b->found, &at))
        memset(b->ignored + at, 1, ARENA_GATE_BYTES);
}

/* ---- sections ---- */

static bool is_constant(uint32_t kind)
{
    return kind == SECTION_TEXT || kind == SECTION_RODATA || kind == SECTION_EH_FRAME || kind == SECTION_EXCEPT;
}

/* Fills in expected and found bytes of a section. False: it cannot be compared, and why is in the report. */
static bool expect(struct run *r, struct section_ref section, const struct pristine *object, bool in_image,
                   struct bytes *b)
{
    const struct arena_section *s = view_section(r->view, section);
    const char *name = view_section_name(r->view, section);

    if (read_phys(r->view, s->phys, b->found, b->count)) {
        skip(r, name, "it lies outside of memory");
        return false;
    }
    if (in_image) {
        if (!pristine_image(&r->kernel, s->virt, b->expected, b->count)) {
            skip(r, name, r->kernel.data ? "the kernel file has nothing at its address" : r->no_kernel);
            return false;
        }
    } else {
        const uint8_t *data = pristine_section(object->data, object->bytes, s->object_index, b->count);

        if (!data) {
            skip(r, name, "its object has no such section");
            return false;
        }
        memcpy(b->expected, data, b->count);
    }
    apply_edges(r->view, section, in_image, b);
    ignore_gate(s, b);
    return true;
}

static void verify_section(struct run *r, struct section_ref section, const struct pristine *object, bool in_image)
{
    const struct arena_section *s = view_section(r->view, section);
    const char *name = view_section_name(r->view, section);
    CLOSED_BY(bytes_done) struct bytes b = {0};

    if (!is_constant(s->kind) || s->bytes == 0)
        return;
    if (!view_is_sound(r->view, ARENA_SECTIONS, section.index) || !is_affordable(r, s->bytes)) {
        skip(r, name, "its record in the arena is damaged");
        return;
    }
    if (!bytes_init(&b, s->bytes)) {
        r->error = ERR_NOMEM;
        return;
    }
    if (expect(r, section, object, in_image, &b)) {
        r->report->sections++;
        r->report->bytes += b.count;
        report_differences(r, section, name, &b);
    }
}

/* A replaced cell loses its edges first, with all that are freed together with it; its memory follows later. */
static bool is_being_freed(const struct view *v, struct cell_ref cell)
{
    struct view_sections sections = view_sections_of(v, cell);

    if (view_cell(v, cell)->state != CELL_OLD)
        return false;
    for (size_t n = 0; n < sections.count; n++)
        if (view_section(v, sections.item[n])->first_out.index)
            return false;
    return true;
}

static void verify_cell(struct run *r, struct cell_ref cell)
{
    const struct arena_cell *c = view_cell(r->view, cell);
    const struct arena_object *o = view_object(r->view, c->object);
    struct view_sections sections = view_sections_of(r->view, cell);
    CLOSED_BY(pristine_done) struct pristine object = {0};

    r->cell = cell;
    if (c->state == CELL_LOADING || is_being_freed(r->view, cell))
        return;
    if (!view_is_sound(r->view, ARENA_CELLS, cell.index)) {
        skip(r, "", "its record in the arena is damaged");
        return;
    }
    if (c->object.index && !view_is_sound(r->view, ARENA_OBJECTS, c->object.index)) {
        skip(r, "object", "the record of its pristine object is damaged");
        return;
    }
    if (o)
        object_truth(r, o, &object);
    for (size_t n = 0; (!o || object.data) && n < sections.count && !r->error; n++)
        verify_section(r, sections.item[n], &object, !o);
}

static enum err verify_named(struct run *r, const struct qualified *name)
{
    struct qualified_text text;
    struct cell_ref cell;
    enum err e = qualified_cell(r->view, name, QUALIFIED_HELD, &cell, &text);

    if (e)
        return e;
    verify_cell(r, cell);
    return r->error;
}

/* ---- all of it ---- */

void verify_done(struct verify_report *report)
{
    free(report->differing);
    free(report->skipped);
    *report = (struct verify_report){0};
}

/* Without the file, sections that need it are reported as not compared. */
static void read_optional(const char *path, struct pristine *ret)
{
    if (path && *path && pristine_read(path, ret))
        *ret = (struct pristine){0};
}

static void close_files(struct run *r)
{
    pristine_done(&r->kernel);
    pristine_done(&r->archive);
}

enum err verify_view(const struct view *view, const struct verify_scope *scope, struct verify_report *ret)
{
    CLOSED_BY(verify_done)
    struct verify_report report = {.differing = calloc(VERIFY_MAX, sizeof *report.differing),
                                   .skipped = calloc(VERIFY_MAX, sizeof *report.skipped)};
    CLOSED_BY(close_files) struct run r = {.view = view, .no_kernel = "there is no kernel file", .report = &report};

    if (!report.differing || !report.skipped)
        return ERR_NOMEM;
    read_optional(scope->kernel, &r.kernel);
    read_optional(scope->archive, &r.archive);
    if (!pristine_is_build(&r.kernel, view_header(view)->build_id)) {
        r.no_kernel = "the kernel file is of another build than what runs";
        pristine_done(&r.kernel);
    }
    if (scope->only)
        r.error = verify_named(&r, scope->only);
    view_each_cell (cell, view)
        if (!r.error && !scope->only)
            verify_cell(&r, cell);
    if (r.error)
        return r.error;
    *ret = report;
    report = (struct verify_report){0};
    return ERR_OK;
}

/* ---- a guest that changes meanwhile ---- */

static bool is_same_difference(const struct verify_difference *a, const struct verify_difference *b)
{
    return same(a->live, b->live) && a->offset == b->offset && a->expected == b->expected && a->found == b->found &&
           strcmp(a->cell, b->cell) == 0 && strcmp(a->namespace_, b->namespace_) == 0 &&
           strcmp(a->section, b->section) == 0;
}

static bool has_difference(const struct verify_report *report, const struct verify_difference *difference)
{
    for (size_t i = 0; i < report->differing_kept; i++)
        if (is_same_difference(&report->differing[i], difference))
            return true;
    return false;
}

/* Keeps those differences that were found before too: what the guest wrote between the copy of its tables and the
 * comparison differs once. */
static void keep_common(struct verify_report *report, const struct verify_report *before)
{
    size_t kept = 0;

    for (size_t i = 0; i < report->differing_kept; i++)
        if (has_difference(before, &report->differing[i]))
            report->differing[kept++] = report->differing[i];
    report->differing_kept = report->differing_count = kept;
}

/* Compares once. *ret_tries: how often it is to be done in all; 1: the guest has changed nothing meanwhile. */
static enum err verify_once(const uint8_t *ram, size_t bytes, const struct verify_scope *scope,
                            struct verify_report *ret, int *ret_tries)
{
    enum err e;
    OWN(view) struct view *view = view_take_patiently(ram, bytes, &e);

    if (view)
        e = verify_view(view, scope, ret);
    if (!e)
        *ret_tries = view_is_torn(view) ? TRIES_TORN : view_is_current(view) ? 1 : TRIES;
    return e;
}

enum err verify_run(const uint8_t *ram, size_t bytes, const struct verify_scope *scope, struct verify_report *ret)
{
    CLOSED_BY(verify_done) struct verify_report before = {0};

    for (int i = 0;; i++) {
        CLOSED_BY(verify_done) struct verify_report report = {0};
        int tries = 1;
        enum err e = verify_once(ram, bytes, scope, &report, &tries);

        if (e)
            return e;
        report.changing = tries > 1;
        if (report.changing && i > 0)
            keep_common(&report, &before);
        if (report.differing_count == 0 || i + 1 >= tries) {
            *ret = report;
            report = (struct verify_report){0};
            return ERR_OK;
        }
        verify_done(&before);
        before = report;
        report = (struct verify_report){0};
    }
}
