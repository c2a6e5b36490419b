/* See activation.h. */
#include "injector/activation.h"
#include "injector/watch.h"
#include "introspect/base/ram_map.h"
#include "introspect/disasm.h"
#include <string.h>

static void add_point(struct activation *a, enum stop_kind kind, uint64_t gva, unsigned bytes)
{
    a->known &= a->touch.points < STOP_POINTS_MAX;
    if (a->known)
        a->touch.point[a->touch.points++] = (struct stop_point){kind, gva, bytes};
}

struct span {
    struct activation *activation;
    uint32_t offset, bytes;
};

/* Told of each instruction of a section. */
static void add_instruction(const struct disasm_line *line, void *context)
{
    const struct span *span = context;

    if (line->offset < span->offset + span->bytes && span->offset < line->offset + line->bytes)
        add_point(span->activation, STOP_BEFORE, line->address, 1);
}

/* What the CPU itself reads when it enters an interrupt: IDT, GDT and TSS. */
static bool is_descriptor(const struct change *c)
{
    return strncmp(c->behind, "exception:", 10) == 0 || strncmp(c->behind, "cpu:", 4) == 0;
}

/* QEMU must not meet a point while it enters an interrupt: it drops the interrupt, and ends at the next point that it
 * meets ("Raised interrupt while not in I/O function"). So neither writes to stacks are watched nor reads of
 * descriptors. */
static void add_change(struct activation *a, const struct view *view, const struct change *c)
{
    const struct arena_section *s = view_section(view, c->section);
    struct span span = {a, c->offset, c->reg ? 1 : c->bytes};

    if (c->reg && !change_waits(c)) {
        a->used = true;
        return;
    }
    if (s && s->kind == SECTION_TEXT) {
        if (disasm_section(view, c->section, add_instruction, &span) != ERR_OK)
            a->known = false;
        return;
    }
    if (is_descriptor(c)) {
        a->known = false;
        return;
    }
    add_point(a, STOP_READ, inject_gva(view, c), c->bytes);
    if (strcmp(inject_kind(view, c), "stack") != 0)
        add_point(a, STOP_WRITE, inject_gva(view, c), c->bytes);
}

/* Whether a byte that was changed still is as the injection has left it. */
static bool is_left(const struct activation *a, const struct change *c)
{
    for (unsigned i = 0; i < c->bytes && ram_map_has(a->target->bytes, c->phys + i, 1); i++) {
        uint8_t before = (uint8_t)(c->before >> 8 * i), after = (uint8_t)(c->after >> 8 * i);
        if (before != after && a->target->ram[c->phys + i] == after)
            return true;
    }
    return false;
}

static bool is_any_left(const struct activation *a)
{
    for (size_t i = 0; i < a->injection->changes; i++)
        if (is_left(a, &a->injection->change[i]))
            return true;
    return false;
}

static enum err touched(void *context, struct stop *stop, const struct stop_reason *reason, bool *ret_enough)
{
    struct activation *a = context;
    struct change *first = a->injection->change;

    *ret_enough = true;
    if (change_waits(first)) {
        a->used = true;
        return inject_stopped(stop, first, reason->gva);
    }
    if (!is_any_left(a))
        return ERR_OK;
    *ret_enough = a->used = reason->kind != STOP_WRITE && !watch_is_running(a->target->ram, a->target->bytes, "scrub");
    return ERR_OK;
}

void activation_begin(struct activation *ret_activation, const struct inject_target *target, const struct view *view,
                      struct injection *injection)
{
    *ret_activation = (struct activation){.known = true, .target = target, .injection = injection};
    ret_activation->touch.touched = touched;
    ret_activation->touch.context = ret_activation;
    for (size_t i = 0; i < injection->changes; i++)
        add_change(ret_activation, view, &injection->change[i]);
    if (!ret_activation->known)
        ret_activation->touch.points = 0;
}
