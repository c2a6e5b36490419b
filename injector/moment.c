/* See moment.h. */
#include "injector/moment.h"
#include "introspect/base/own.h"
#include "introspect/disasm.h"
#include "introspect/request.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH_UNKNOWN = 4 };

/* Reads the new object. NULL: `why` says so. */
static uint8_t *read_object(const char *path, size_t room, size_t *ret_bytes, struct why *why)
{
    OWN(file) FILE *f = fopen(path, "rbe");
    OWN(memory) uint8_t *object = malloc(room + 1);

    if (!f || !object) {
        why_fill(why, "object %s: %s", path, f ? "out of memory" : strerror(errno));
        return NULL;
    }
    *ret_bytes = fread(object, 1, room + 1, f);
    if (*ret_bytes && *ret_bytes <= room && !ferror(f))
        return MOVE(object);
    why_fill(why, "object %s: has no bytes, or more than the guest's mailbox", path);
    return NULL;
}

static enum err ask(const struct inject_target *t, const struct plan_moment *m, uint64_t *ret_seq, struct why *why)
{
    struct request request = {.kind = m->during == DURING_SWAP ? REQUEST_SWAP : REQUEST_RELOAD, .target = m->cell};
    OWN(memory) uint8_t *object = NULL;

    if (m->during == DURING_SWAP) {
        object = read_object(m->object, request_room(t->ram, t->bytes), &request.mailbox_bytes, why);
        if (!object)
            return ERR_IO;
        request.mailbox = object;
    }
    enum err e = request_begin(t->ram, t->bytes, &request, ret_seq);
    return e ? why_set(why, e, "the guest could not be asked for a swap of %s: %s", m->cell, err_text(e)) : ERR_OK;
}

enum err moment_ask(const struct inject_target *target, const struct plan_moment *moment,
                    struct moment_request *request, struct why *why)
{
    enum err e = ask(target, moment, &request->seq, why);

    if (e == ERR_OK) {
        request->asked++;
        request->answered = false;
    }
    return e;
}

/* The fault may come in the second one as well, which says nothing of what comes after it. */
static bool is_asked_again(const struct moment_request *r)
{
    return r->asked == 1 || (r->asked == 2 && r->error != ERR_OK);
}

bool moment_is_answered(const struct inject_target *target, const struct plan_moment *moment, bool stands,
                        struct moment_request *r)
{
    struct arena_completion answer;
    struct why why = {0};

    if (!r->seq)
        return true;
    if (!r->answered && request_answer(target->ram, target->bytes, r->seq, &answer) == ERR_OK) {
        r->answered = true;
        r->error = answer.error;
    }
    if (r->answered && is_asked_again(r) && stands)
        (void)moment_ask(target, moment, r, &why); /* ERR_BUSY: the answer is not counted yet */
    return r->answered && !is_asked_again(r);
}

bool moment_was_served(const struct moment_request *r)
{
    return !r->seq || (r->answered && !is_asked_again(r) && r->error == ERR_OK);
}

enum err moment_function(const struct view *view, const struct plan_target *function, uint64_t *ret_gva,
                         struct why *why)
{
    CLOSED_BY(place_ranges_done) struct place_ranges ranges = {0};
    enum err e = place_resolve(&function->place, view, &ranges, why);

    if (e != ERR_OK)
        return e;
    const struct arena_section *s = view_section(view, ranges.range[0].section);
    if (!s || s->kind != SECTION_TEXT)
        return why_set(why, ERR_NOT_FOUND, "%s is no function", function->words);
    *ret_gva = s->virt + ranges.range[0].offset;
    return ERR_OK;
}

struct length_search {
    uint32_t offset, bytes;
};

static void find_length(const struct disasm_line *line, void *context)
{
    struct length_search *search = context;

    if (line->offset == search->offset && line->valid)
        search->bytes = line->bytes;
}

enum err moment_plan_here(const struct view *view, uint64_t ip, const struct model_use *use, struct prng *prng,
                          struct injection *ret_injection)
{
    struct section_ref section = view_section_at(view, ip);
    const struct arena_section *s = view_section(view, section);

    if (!s)
        return ERR_NOT_FOUND;
    struct length_search search = {.offset = (uint32_t)(ip - s->virt), .bytes = LENGTH_UNKNOWN};
    (void)!disasm_section(view, section, find_length, &search);
    struct place_range range = {.phys = s->phys + search.offset,
                                .bytes = s->bytes - search.offset,
                                .section = section,
                                .offset = search.offset};
    uint64_t room = use->model->replaces ? 1 : search.bytes;
    const struct place_ranges ranges = {.range = &range, .count = 1, .bytes = room < range.bytes ? room : range.bytes};
    ret_injection->changes = model_plan(use, &ranges, prng, ret_injection->change);
    return ERR_OK;
}

void moment_place(const struct view *view, uint64_t ip, char *ret_text, size_t bytes)
{
    struct section_ref section = view_section_at(view, ip);
    const struct arena_section *s = view_section(view, section);
    struct change change = {.section = section, .offset = s ? (uint32_t)(ip - s->virt) : 0};

    if (s)
        inject_where(view, &change, ret_text, bytes);
    else
        snprintf(ret_text, bytes, "%#llx", (unsigned long long)ip);
}
