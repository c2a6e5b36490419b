/* Judges the records of the rings, and puts them in the order of their sequence numbers. */
#include <stdlib.h>
#include <string.h>
#include "introspect/inside.h"

static uint64_t ring_seq(const struct view *v, enum arena_table table, uint32_t index)
{
    const uint8_t *r = record(v, table, index);
    uint64_t seq;

    memcpy(&seq, r + (table == ARENA_FAULTS ? offsetof(struct arena_fault, seq) : 0), sizeof seq);
    return seq;
}

static void check_fault(struct view *v, uint32_t i)
{
    struct arena_fault *f = record(v, ARENA_FAULTS, i);

    check_text(f->task_name, sizeof f->task_name);
    check_text(f->cell_name, sizeof f->cell_name);
    check_text(f->namespace_, sizeof f->namespace_);
    check_text(f->blamed_namespace, sizeof f->blamed_namespace);
    check_text(f->blamed, sizeof f->blamed);
    check_text(f->symbol, sizeof f->symbol);
    check_text(f->message, sizeof f->message);
    check_text(f->caller_cell, sizeof f->caller_cell);
    check_text(f->caller_symbol, sizeof f->caller_symbol);
    for (size_t s = 0; s < FAULT_STEPS_KEPT; s++)
        check_text(f->step[s].cell, sizeof f->step[s].cell);
}

static void check_event(struct view *v, uint32_t i)
{
    struct arena_event *e = record(v, ARENA_EVENTS, i);

    check_text(e->text, sizeof e->text);
}

static void check_done(struct view *v, enum arena_table table, uint32_t i, struct arena_completion *c)
{
    check_text(c->detail, sizeof c->detail);
    if (c->phases > ARENA_PHASES) {
        damage_add(v, table, i, "it counts %u phases", c->phases);
        c->phases = ARENA_PHASES;
    }
    for (size_t p = 0; p < ARENA_PHASES; p++)
        check_text(c->phase[p].name, sizeof c->phase[p].name);
}

static void check_completion(struct view *v, uint32_t i)
{
    check_done(v, ARENA_COMPLETIONS, i, record(v, ARENA_COMPLETIONS, i));
}

static void check_swap(struct view *v, uint32_t i)
{
    struct arena_swap *s = record(v, ARENA_SWAPS, i);

    check_done(v, ARENA_SWAPS, i, &s->done);
    if (s->changes >= ARENA_CHANGES_MAX) {
        damage_add(v, ARENA_SWAPS, i, "it counts %u changes", s->changes);
        s->changes = 0;
    }
}

static void check_change(struct view *v, uint32_t i)
{
    struct arena_change *c = record(v, ARENA_CHANGES, i);

    check_text(c->cell, sizeof c->cell);
}

struct by_seq {
    uint64_t seq;
    uint32_t index;
};

static int compare_seq(const void *a, const void *b)
{
    const struct by_seq *x = a, *y = b;

    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static enum err check_ring(struct view *v, enum arena_table table, void (*check)(struct view *v, uint32_t index))
{
    uint32_t used = v->used[table], count = 0;
    OWN(memory) struct by_seq *found = calloc((size_t)used + 1, sizeof *found);

    v->ring[table] = calloc((size_t)used + 1, sizeof **v->ring);
    if (!found || !v->ring[table])
        return ERR_NOMEM;
    for (uint32_t i = 1; i < used; i++) {
        uint64_t seq = ring_seq(v, table, i);

        if (seq == 0)
            continue;
        if (layout_ring_index(&v->layout, table, seq) != i) {
            damage_add(v, table, i, "its sequence number %lu belongs elsewhere", (unsigned long)seq);
            continue;
        }
        check(v, i);
        found[count++] = (struct by_seq){seq, i};
    }
    qsort(found, count, sizeof *found, compare_seq);
    for (uint32_t n = 0; n < count; n++)
        v->ring[table][n] = found[n].index;
    v->ring_count[table] = count;
    return ERR_OK;
}

enum err ring_check_all(struct view *v)
{
    enum err e = check_ring(v, ARENA_FAULTS, check_fault);

    if (!e)
        e = check_ring(v, ARENA_EVENTS, check_event);
    if (!e)
        e = check_ring(v, ARENA_COMPLETIONS, check_completion);
    if (!e)
        e = check_ring(v, ARENA_SWAPS, check_swap);
    return e ? e : check_ring(v, ARENA_CHANGES, check_change);
}
