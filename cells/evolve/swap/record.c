/* See record.h. Each record's number is written last, so that a reader never takes half of one. */
#include "cells/evolve/swap/record.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/evolve/history/history.h"
#include "cells/lib/string/string.h"

static struct arena_change *change_of(struct record *record, uint32_t name) NEEDS(loader_lock)
{
    const char *text = arena_string(name);

    for (uint32_t i = 0; i < record->changes; i++)
        if (string_equal(record->change[i].cell, text))
            return &record->change[i];
    struct arena_change *change = &record->change[record->changes++];
    *change = (struct arena_change){};
    string_copy(change->cell, text, sizeof change->cell);
    return change;
}

static void note_old(struct record *record, struct cell_ref cell) NEEDS(loader_lock)
{
    const struct arena_cell *c = arena_cell(cell);
    struct arena_change *change = change_of(record, c->name);

    change->old_version = c->version;
    change->old_side = same(c->namespace_, record->namespace_) ? CHANGE_OWN : CHANGE_INHERITED;
    change->old_object = c->object.index ? arena_object(c->object)->hash : 0;
}

static void note_inherited(struct record *record, struct cell_ref cell) NEEDS(loader_lock)
{
    const struct arena_cell *c = arena_cell(cell);
    struct arena_change *change = change_of(record, c->name);

    change->new_version = c->version;
    change->new_side = CHANGE_INHERITED;
    change->new_object = c->object.index ? arena_object(c->object)->hash : 0;
}

static void note_absence(struct record *record, struct cell_ref absence) NEEDS(loader_lock)
{
    struct arena_change *change = change_of(record, arena_cell(absence)->name);

    *(arena_cell(absence)->state == CELL_ABSENT ? &change->old_side : &change->new_side) = CHANGE_LACKED;
}

void record_begin(struct record *record, const struct swap_order *order)
{
    record->namespace_ = order->namespace_;
    record->changes = 0;
    record->took_effect = false;
    for (size_t i = 0; i < order->olds; i++)
        note_old(record, order->old[i]);
    for (size_t i = 0; i < order->hiddens; i++)
        note_old(record, order->hidden[i]);
    for (size_t i = 0; i < order->objects; i++) {
        const struct arena_object *o = arena_object(order->object[i]);
        change_of(record, o->name)->new_object = o->hash;
    }
    for (size_t i = 0; i < order->inheriteds; i++)
        note_inherited(record, order->inherited[i]);
    for (size_t i = 0; i < order->absences; i++)
        note_absence(record, order->absence[i]);
}

void record_staged(struct record *record, const struct cell_ref *new_, size_t news)
{
    for (size_t i = 0; i < news; i++)
        change_of(record, arena_cell(new_[i])->name)->new_version = arena_cell(new_[i])->version;
}

static uint64_t put_change(const struct arena_change *change, uint64_t swap) NEEDS(loader_lock)
{
    uint64_t seq = arena_header()->change_seq + 1;
    struct arena_change *to = arena_record(ARENA_CHANGES, arena_ring_index(seq, ARENA_CHANGES_MAX));

    __atomic_store_n(&to->seq, 0, __ATOMIC_SEQ_CST);
    *to = *change;
    to->swap = swap;
    __atomic_store_n(&to->seq, seq, __ATOMIC_RELEASE);
    __atomic_store_n(&arena_header()->change_seq, seq, __ATOMIC_RELEASE);
    return seq;
}

/* A reload names no object that was not named before; what it makes the log forget is dropped at the next swap. */
static bool changes_objects(const struct record *record)
{
    for (uint32_t i = 0; i < record->changes; i++)
        if (record->change[i].old_object != record->change[i].new_object)
            return true;
    return false;
}

void record_end(const struct record *record, const struct report *report)
{
    uint64_t seq = arena_header()->swap_seq + 1, first = arena_header()->change_seq + 1;
    struct arena_swap *to = arena_record(ARENA_SWAPS, arena_ring_index(seq, ARENA_SWAPS_MAX));

    for (uint32_t i = 0; i < record->changes; i++)
        (void)put_change(&record->change[i], seq);
    __atomic_store_n(&to->seq, 0, __ATOMIC_SEQ_CST);
    to->time_ns = cpu_ns();
    to->namespace_ = record->namespace_;
    to->changes = record->changes;
    to->first_change = first;
    to->took_effect = record->took_effect;
    report_publish(report, &to->done);
    __atomic_store_n(&to->seq, seq, __ATOMIC_RELEASE);
    __atomic_store_n(&arena_header()->swap_seq, seq, __ATOMIC_RELEASE);
    if (record->took_effect && changes_objects(record))
        history_keep();
}
