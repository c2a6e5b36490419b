/* See arena.h; names, indexes and lookups are in files of their own. What other cells write into their records (tasks,
 * CPUs, faults) is left to them. */
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/arena/inside.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/lock/lock.h"
#include "cells/kernel/page/page.h"
#include "cells/kernel/panic/panic.h"
#include "cells/lib/string/string.h"
#include "guest/abi/layout.h"

CELL("arena", KERNEL, 1);
EXPORT(arena_init, KERNEL);
EXPORT(arena_change, KERNEL);
EXPORT(arena_guard_end, KERNEL);
EXPORT(arena_header, APPLICATION);
EXPORT(arena_record, APPLICATION);
EXPORT(arena_new, KERNEL);
EXPORT(arena_new_named, KERNEL);
EXPORT(arena_free, KERNEL);
EXPORT(arena_seal, KERNEL);
EXPORT(arena_sound, KERNEL);
EXPORT(arena_string, APPLICATION);
EXPORT(arena_edge_link, KERNEL);
EXPORT(arena_edge_unlink, KERNEL);
EXPORT(arena_symbol_publish, KERNEL);
EXPORT(arena_symbol_retract, KERNEL);
EXPORT(arena_symbol_find, APPLICATION);
EXPORT(arena_cell_find, APPLICATION);
EXPORT(arena_cell_at, APPLICATION);
EXPORT(arena_section_at, APPLICATION);
EXPORT(arena_name_at, APPLICATION);
EXPORT(arena_count, APPLICATION);
EXPORT(arena_event, APPLICATION);

static const struct {
    uint32_t record_bytes, stable_bytes, capacity;
} shape[ARENA_TABLES] = {
#define X(table, record_bytes, stable_bytes, capacity) [ARENA_##table] = {record_bytes, stable_bytes, capacity},
    ARENA_SHAPES(X)
#undef X
};

static struct lock lock;

_Static_assert(offsetof(struct arena_namespace, name) == NAME_WORD * 4);
_Static_assert(offsetof(struct arena_object, name) == NAME_WORD * 4);
_Static_assert(offsetof(struct arena_cell, name) == NAME_WORD * 4);
_Static_assert(offsetof(struct arena_section, name) == NAME_WORD * 4);
_Static_assert(offsetof(struct arena_symbol, name) == NAME_WORD * 4);

/* ---- the writer section ---- */

struct arena_guard arena_change(void)
{
    if (lock_held(&lock))
        return (struct arena_guard){.outermost = false};
    struct lock_guard held = lock_take(&lock);
    /* odd already: a writer was abandoned in the middle (lock_abandon) */
    uint64_t before = __atomic_fetch_or(&arena_header()->generation, 1, __ATOMIC_SEQ_CST);
    if (before & 1 || index_is_suspect())
        find_rebuild();
    return (struct arena_guard){.outermost = true, .rflags = held.rflags};
}

void arena_guard_end(struct arena_guard *guard)
{
    if (!guard->outermost)
        return;
    __atomic_add_fetch(&arena_header()->generation, 1, __ATOMIC_SEQ_CST);
    struct lock_guard held = {.lock = &lock, .rflags = guard->rflags};
    lock_guard_end(&held);
}

bool arena_changes(void)
{
    return lock_held(&lock);
}

/* ---- tables and records ---- */

struct arena_header *arena_header(void)
{
    return page_direct(LAYOUT_ARENA_PHYS);
}

UNCHECKED void arena_init(void)
{
    struct arena_header *header = arena_header();
    uint64_t offset = 4096;

    memset(header, 0, 4096);
    strings_init();
    index_init();
    for (int t = 0; t < ARENA_TABLES; t++) {
        uint64_t bytes = (uint64_t)shape[t].record_bytes * shape[t].capacity;
        header->table[t] = (struct arena_table_desc){
            .offset = (uint32_t)offset,
            .record_bytes = shape[t].record_bytes,
            .stable_bytes = shape[t].stable_bytes,
            .capacity = shape[t].capacity,
            .used = 1,
        };
        memset((uint8_t *)header + offset, 0, bytes);
        offset = (offset + bytes + 63) & ~63ul;
    }
    assert(offset <= LAYOUT_ARENA_BYTES);
    header->version = ARENA_VERSION;
    header->header_bytes = sizeof *header;
    header->arena_bytes = LAYOUT_ARENA_BYTES;
    __atomic_store_n(&header->magic, ARENA_MAGIC, __ATOMIC_RELEASE);
}

void arena_visit(void)
{
    uint64_t *visits = &arena_header()->counter[COUNTER_visits];

    __atomic_store_n(visits, __atomic_load_n(visits, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
}

/* Capacities and sizes come from `shape`, not from the descriptors, which lie in memory that anybody may have hit. */
void *arena_peek(enum arena_table table, uint32_t index)
{
    arena_visit();
    if ((unsigned)table >= ARENA_TABLES || index == 0 || index >= shape[table].capacity)
        return NULL;
    return (uint8_t *)arena_header() + arena_header()->table[table].offset +
           (uint64_t)index * shape[table].record_bytes;
}

void *arena_record(enum arena_table table, uint32_t index)
{
    void *record = arena_peek(table, index);

    assert(record);
    return record;
}

uint32_t arena_new(enum arena_table table)
{
    struct arena_table_desc *desc = &arena_header()->table[table];
    uint32_t *record = arena_peek(table, desc->free_head);
    uint32_t index;

    assert(lock_held(&lock));
    if (record && record[0] == 0) {
        index = desc->free_head;
        desc->free_head = record[1];
    } else {
        if (desc->used >= shape[table].capacity)
            return 0;
        index = desc->used++;
    }
    memset(arena_record(table, index), 0, shape[table].record_bytes);
    return index;
}

void arena_free(enum arena_table table, uint32_t index)
{
    struct arena_table_desc *desc = &arena_header()->table[table];
    uint32_t *record = arena_record(table, index);

    assert(lock_held(&lock));
    find_drop(table, index);
    if (table < NAMED_TABLES)
        string_release(record[NAME_WORD]);
    memset(record, 0, shape[table].record_bytes);
    record[1] = desc->free_head;
    desc->free_head = index;
}

uint32_t arena_new_named(enum arena_table table, const char *name)
{
    uint32_t index = arena_new(table), text = index ? string_intern(name) : 0;

    assert(table < NAMED_TABLES);
    if (text)
        ((uint32_t *)arena_record(table, index))[NAME_WORD] = text;
    else if (index)
        arena_free(table, index);
    return text ? index : 0;
}

static uint32_t check_of(enum arena_table table, const uint8_t *record)
{
    return arena_check(record + 4, shape[table].stable_bytes - 4);
}

void arena_seal(enum arena_table table, uint32_t index)
{
    uint32_t *record = arena_record(table, index);

    record[0] = check_of(table, (const uint8_t *)record);
    find_add(table, index);
}

bool arena_sound(enum arena_table table, uint32_t index)
{
    const uint32_t *record = arena_peek(table, index);

    return record && record[0] == check_of(table, (const uint8_t *)record);
}

/* ---- edges ---- */

void arena_edge_link(uint32_t edge)
{
    struct arena_edge *e = arena_edge(edge);
    struct arena_section *from = arena_section(e->from), *to = arena_section(e->to);

    assert(lock_held(&lock));
    e->prev_out = e->prev_in = 0;
    e->next_out = from->first_out;
    if (from->first_out)
        arena_edge(from->first_out)->prev_out = edge;
    from->first_out = edge;
    from->outgoing++;
    if (from->cell != to->cell)
        arena_cell(to->cell)->holders++;
    e->next_in = to->first_in;
    if (to->first_in)
        arena_edge(to->first_in)->prev_in = edge;
    to->first_in = edge;
    to->incoming++;
}

void arena_edge_unlink(uint32_t edge)
{
    struct arena_edge *e = arena_edge(edge);
    struct arena_section *from = arena_section(e->from), *to = arena_section(e->to);

    assert(lock_held(&lock));
    if (e->prev_out)
        arena_edge(e->prev_out)->next_out = e->next_out;
    else
        from->first_out = e->next_out;
    if (e->next_out)
        arena_edge(e->next_out)->prev_out = e->prev_out;
    from->outgoing--;
    if (from->cell != to->cell)
        arena_cell(to->cell)->holders--;
    if (e->prev_in)
        arena_edge(e->prev_in)->next_in = e->next_in;
    else
        to->first_in = e->next_in;
    if (e->next_in)
        arena_edge(e->next_in)->prev_in = e->prev_in;
    to->incoming--;
    e->next_out = e->prev_out = e->next_in = e->prev_in = 0;
}

/* ---- counters and events ---- */

void arena_count(enum arena_counter counter, int64_t change)
{
    if ((unsigned)counter < COUNTERS)
        __atomic_add_fetch(&arena_header()->counter[counter], (uint64_t)change, __ATOMIC_RELAXED);
}

void arena_event(enum event_kind kind, uint64_t a, uint64_t b, const char *text)
{
    uint64_t seq = __atomic_add_fetch(&arena_header()->event_seq, 1, __ATOMIC_SEQ_CST);
    struct arena_event *e = arena_record(ARENA_EVENTS, (uint32_t)(seq % (ARENA_EVENTS_MAX - 1)) + 1);

    __atomic_store_n(&e->seq, 0, __ATOMIC_SEQ_CST);
    e->time_ns = cpu_ns();
    e->kind = kind;
    e->cpu = cpu_this()->index;
    e->a = a;
    e->b = b;
    string_copy(e->text, text ? text : "", sizeof e->text);
    __atomic_store_n(&e->seq, seq, __ATOMIC_RELEASE);
}
