/* See verify.h. */
#include "introspect/verify.h"
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "introspect/pristine.h"
#include "introspect/read.h"

/* No cell comes near the sizes; they bound what hostile records can make us do. */
enum { TRIES = 5, PIECE_MAX = 8 << 20, WORK_MAX = 512 << 20 };

struct run {
    const struct view *view;
    struct pristine kernel, archive;
    const char *no_kernel; /* why there is none */
    struct verify_report *report;
    uint64_t work; /* bytes looked at so far */
    enum err error;
};

/* What is compared, byte by byte; ignored bytes have no truth. */
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

static bool bytes_init(struct bytes *b, size_t count)
{
    *b = (struct bytes){malloc(count + 1), malloc(count + 1), calloc(count + 1, 1), count};
    if (b->expected && b->found && b->ignored)
        return true;
    bytes_done(b);
    return false;
}

/* ---- the report ---- */

static void differ(struct run *r, uint32_t section_index, const char *cell, const char *section, const struct bytes *b)
{
    struct verify_report *report = r->report;

    for (size_t i = 0; i < b->count; i++) {
        if (b->ignored[i] || b->expected[i] == b->found[i])
            continue;
        report->differing_count++;
        if (report->differing_kept == VERIFY_MAX)
            continue;
        struct verify_difference *d = &report->differing[report->differing_kept++];
        *d = (struct verify_difference){
            .section_index = section_index, .offset = i, .expected = b->expected[i], .found = b->found[i]};
        snprintf(d->cell, sizeof d->cell, "%s", cell);
        snprintf(d->section, sizeof d->section, "%s", section);
    }
}

static void skip(struct run *r, const char *cell, const char *section, const char *why)
{
    struct verify_report *report = r->report;

    report->skipped_count++;
    if (report->skipped_kept == VERIFY_MAX)
        return;
    struct verify_skip *s = &report->skipped[report->skipped_kept++];
    snprintf(s->cell, sizeof s->cell, "%s", cell);
    snprintf(s->section, sizeof s->section, "%s", section);
    snprintf(s->why, sizeof s->why, "%s", why);
}

/* False: more than there can be. */
static bool affordable(struct run *r, uint64_t bytes)
{
    if (bytes > PIECE_MAX || bytes > WORK_MAX - r->work)
        return false;
    r->work += bytes;
    return true;
}

/* ---- the truth about one cell ---- */

/* A private copy of the pristine object, from guest memory, or from the archive when that one is damaged; the damage
 * is reported byte by byte. Nothing in *ret: there is no truth. */
static void object_truth(struct run *r, const char *cell, const struct arena_object *o, struct pristine *ret)
{
    const uint8_t *data;
    struct bytes b;
    size_t bytes;

    if (!affordable(r, o->bytes)) {
        skip(r, cell, "object", "its pristine object is larger than any can be");
        return;
    }
    if (!bytes_init(&b, o->bytes)) {
        r->error = ERR_NOMEM;
        return;
    }
    if (read_phys(r->view, o->phys, b.found, o->bytes)) {
        skip(r, cell, "object", "its pristine object is outside of memory");
    } else if (pristine_hash(b.found, o->bytes) == o->hash) {
        *ret = (struct pristine){b.found, o->bytes};
        b.found = NULL;
    } else if (r->archive.data && pristine_member(&r->archive, view_string(r->view, o->name), &data, &bytes) &&
               bytes == o->bytes && pristine_hash(data, bytes) == o->hash) {
        memcpy(b.expected, data, bytes);
        differ(r, 0, cell, "object", &b);
        *ret = (struct pristine){b.expected, bytes};
        b.expected = NULL;
    } else {
        skip(r, cell, "object", "its pristine object is damaged, and the archive file has no other of it");
    }
    bytes_done(&b);
}

/* ---- relocations ---- */

static unsigned relocation_bytes(uint32_t type)
{
    return type == R_X86_64_64 || type == R_X86_64_PC64 ? 8 : 4;
}

static void apply_edge(const struct view *v, const struct arena_section *from, uint32_t edge, struct bytes *b)
{
    const struct arena_edge *e = view_edge(v, edge);
    const struct arena_section *to = view_section(v, e->to);
    unsigned width = relocation_bytes(e->type);
    uint64_t value = to->virt + e->target + (uint64_t)e->addend;

    if (e->type == R_X86_64_PC32 || e->type == R_X86_64_PLT32 || e->type == R_X86_64_PC64)
        value -= from->virt + e->offset;
    if (e->offset > b->count || width > b->count - e->offset)
        return;
    memcpy(b->expected + e->offset, &value, width);
    if (!view_is_sound(v, ARENA_EDGES, edge) || !view_is_sound(v, ARENA_SECTIONS, e->to))
        memset(b->ignored + e->offset, 1, width);
}

/* The linker has resolved what lies within the image; edges that lead out of it were written at run time. */
static void apply_edges(const struct view *v, uint32_t section, bool in_image, struct bytes *b)
{
    const struct arena_section *from = view_section(v, section);
    struct view_list edges = view_edges_out(v, section);

    for (size_t n = 0; n < edges.count; n++) {
        const struct arena_section *to = view_section(v, view_edge(v, edges.item[n])->to);

        if (!in_image || to->cell != from->cell)
            apply_edge(v, from, edges.item[n], b);
    }
}

/* ---- sections ---- */

static bool is_constant(uint32_t kind)
{
    return kind == SECTION_TEXT || kind == SECTION_RODATA || kind == SECTION_EH_FRAME || kind == SECTION_EXCEPT;
}

/* False: nothing can be said, and why has been noted. */
static bool expect(struct run *r, uint32_t index, const struct pristine *object, bool in_image, struct bytes *b)
{
    const struct arena_section *s = view_section(r->view, index);
    const char *cell = view_cell_name(r->view, s->cell), *name = view_section_name(r->view, index);

    if (read_phys(r->view, s->phys, b->found, b->count)) {
        skip(r, cell, name, "it lies outside of memory");
        return false;
    }
    if (in_image) {
        if (!pristine_image(&r->kernel, s->virt, b->expected, b->count)) {
            skip(r, cell, name, r->kernel.data ? "the kernel file has nothing at its address" : r->no_kernel);
            return false;
        }
    } else {
        const uint8_t *data = pristine_section(object->data, object->bytes, s->object_index, b->count);

        if (!data) {
            skip(r, cell, name, "its object has no such section");
            return false;
        }
        memcpy(b->expected, data, b->count);
    }
    apply_edges(r->view, index, in_image, b);
    return true;
}

static void verify_section(struct run *r, uint32_t index, const struct pristine *object, bool in_image)
{
    const struct arena_section *s = view_section(r->view, index);
    const char *cell = view_cell_name(r->view, s->cell), *name = view_section_name(r->view, index);
    struct bytes b;

    if (!is_constant(s->kind) || s->bytes == 0)
        return;
    if (!view_is_sound(r->view, ARENA_SECTIONS, index) || !affordable(r, s->bytes)) {
        skip(r, cell, name, "its record in the arena is damaged");
        return;
    }
    if (!bytes_init(&b, s->bytes)) {
        r->error = ERR_NOMEM;
        return;
    }
    if (expect(r, index, object, in_image, &b)) {
        r->report->sections++;
        r->report->bytes += b.count;
        differ(r, index, cell, name, &b);
    }
    bytes_done(&b);
}

static void verify_cell(struct run *r, uint32_t index)
{
    const struct arena_cell *c = view_cell(r->view, index);
    const struct arena_object *o = view_object(r->view, c->object);
    struct view_list sections = view_sections_of(r->view, index);
    const char *name = view_cell_name(r->view, index);
    struct pristine object = {0};

    if (c->state == CELL_LOADING)
        return;
    if (!view_is_sound(r->view, ARENA_CELLS, index)) {
        skip(r, name, "", "its record in the arena is damaged");
        return;
    }
    if (c->object && !view_is_sound(r->view, ARENA_OBJECTS, c->object)) {
        skip(r, name, "object", "the record of its pristine object is damaged");
        return;
    }
    if (o)
        object_truth(r, name, o, &object);
    for (size_t n = 0; (!o || object.data) && n < sections.count && !r->error; n++)
        verify_section(r, sections.item[n], &object, !o);
    pristine_done(&object);
}

/* ---- all of it ---- */

void verify_done(struct verify_report *report)
{
    free(report->differing);
    free(report->skipped);
    *report = (struct verify_report){0};
}

/* A file that is missing only leaves something out: what, is said section by section. */
static void read_optional(const char *path, struct pristine *ret)
{
    if (path && *path && pristine_read(path, ret))
        *ret = (struct pristine){0};
}

enum err verify_view(const struct view *view, const struct verify_files *files, struct verify_report *ret)
{
    struct verify_report report = {.differing = calloc(VERIFY_MAX, sizeof *report.differing),
                                   .skipped = calloc(VERIFY_MAX, sizeof *report.skipped)};
    struct run r = {.view = view, .no_kernel = "there is no kernel file", .report = &report};

    if (!report.differing || !report.skipped) {
        verify_done(&report);
        return ERR_NOMEM;
    }
    read_optional(files->kernel, &r.kernel);
    read_optional(files->archive, &r.archive);
    if (!pristine_is_build(&r.kernel, view_header(view)->build_id)) {
        r.no_kernel = "the kernel file is of another build than what runs";
        pristine_done(&r.kernel);
        r.kernel = (struct pristine){0};
    }
    for (uint32_t i = 0; (i = view_next(view, ARENA_CELLS, i)) && !r.error;)
        verify_cell(&r, i);
    pristine_done(&r.kernel);
    pristine_done(&r.archive);
    if (r.error)
        verify_done(&report);
    *ret = report;
    return r.error;
}

enum err verify_run(const uint8_t *ram, size_t bytes, const struct verify_files *files, struct verify_report *ret)
{
    for (int i = 0;; i++) {
        struct verify_report report;
        enum err e;
        struct view *view = view_take_anyway(ram, bytes, &e);

        if (!view)
            return e;
        e = verify_view(view, files, &report);
        bool settled = !view_is_torn(view) && view_is_current(view);
        view_free(view);
        if (e)
            return e;
        if (report.differing_count == 0 || settled || i == TRIES - 1) {
            report.unsettled = !settled;
            *ret = report;
            return ERR_OK;
        }
        verify_done(&report);
    }
}
