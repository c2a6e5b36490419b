/* See arena.h. This file has the lock, the tables with their free lists, edges, counters and events. Fields of tasks,
 * CPUs and faults are written by the cells whose records they are. */
#include "cells/core/arena/arena.h"
#include "cells/core/arena/inside.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/lock/lock.h"
#include "cells/core/page/page.h"
#include "cells/core/panic/panic.h"
#include "cells/lib/string/string.h"
#include "guest/abi/layout.h"

CELL("arena", KERNEL, 1);
CORE();
EXPORT(arena_plan, KERNEL);
EXPORT(arena_place, KERNEL);
EXPORT(arena_init, KERNEL);
EXPORT(arena_area, KERNEL);
EXPORT(arena_change, KERNEL);
EXPORT(arena_guard_end, KERNEL);
EXPORT(arena_header, APPLICATION);
EXPORT(arena_record, APPLICATION);
EXPORT(arena_reserve_user, KERNEL);
EXPORT(arena_may_use_reserve, KERNEL);
EXPORT(arena_refuse_full, KERNEL);
EXPORT(arena_new, KERNEL);
EXPORT(arena_new_named, KERNEL);
EXPORT(arena_record_free, KERNEL);
EXPORT(arena_record_seal, KERNEL);
EXPORT(arena_record_sound, KERNEL);
EXPORT(arena_hash, KERNEL);
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
EXPORT(arena_event_write, APPLICATION);

static const struct {
    uint32_t record_bytes, stable_bytes, base;
} shape[AREAS] = {
#define X(table, type, stable_bytes, base, most) [ARENA_##table] = {sizeof(type), stable_bytes, base},
    ARENA_SHAPES(X)
#undef X
        [AREA_CELL_SLOTS] = {INDEX_SLOT_BYTES, 0, ARENA_CELL_SLOTS},
    [AREA_SYMBOL_SLOTS] = {INDEX_SLOT_BYTES, 0, ARENA_SYMBOL_SLOTS},
    [AREA_PAGE_SLOTS] = {INDEX_SLOT_BYTES, 0, ARENA_PAGE_SLOTS},
    [AREA_STRING_SLOTS] = {STRING_SLOT_BYTES, 0, ARENA_STRING_SLOTS},
    [AREA_ARCHIVE] = {ARENA_ARCHIVE_SLOT_BYTES, 0, ARCHIVE_SLOTS},
};

#define RESERVED                                                                                                       \
    (1u << ARENA_OBJECTS | 1u << ARENA_CELLS | 1u << ARENA_SECTIONS | 1u << ARENA_SYMBOLS | 1u << ARENA_EDGES |        \
     1u << ARENA_TASKS | 1u << ARENA_STRINGS) /* tables with a reserve */

/* Tables that do not grow. */
enum {
#define X(table, type, stable_bytes, base, most) | (most(base) > (base) ? 0 : 1 << ARENA_##table)
    FIXED = 0 ARENA_SHAPES(X)
#undef X
};

static struct lock lock;
static uint64_t areas_phys; /* of the first area */
SET_ONCE(areas_phys);
static uint64_t early_visits, *visits = &early_visits; /* COUNTER_visits, once the arena is made */
struct area arena_areas[AREAS];
const union arena_contents *arena_contents;
SET_ONCE(arena_areas);
SET_ONCE(arena_contents);
const void *arena_reserve_user;

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
    /* the generation is odd already: a fault has ended a writer (lock_abandon) */
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

/* In the run of tables, in which the fault log is not. */
static uint64_t area_bytes(int a)
{
    return a == ARENA_FAULTS ? 0 : ((uint64_t)shape[a].record_bytes * arena_areas[a].capacity + 63) & ~63ul;
}

uint64_t arena_plan(uint64_t ram_bytes)
{
    uint64_t steps = ram_bytes > ARENA_RAM_BASE ? (ram_bytes - ARENA_RAM_BASE) / ARENA_RAM_STEP : 0, bytes = 0;

    if (steps > ARENA_STEPS_MAX)
        steps = ARENA_STEPS_MAX;
    for (int a = 0; a < AREAS; a++) {
        uint32_t base = shape[a].base;
        arena_areas[a].record_bytes = shape[a].record_bytes;
        arena_areas[a].capacity = FIXED >> a & 1 ? base : (uint32_t)ARENA_GROWN(base, steps);
        bytes += area_bytes(a);
    }
    return bytes;
}

void arena_place(uint64_t phys)
{
    areas_phys = phys;
}

UNCHECKED void arena_init(void)
{
    struct arena_header *header = arena_header();
    uint64_t phys = areas_phys;

    memset(header, 0, ARENA_HEADER_ROOM);
    for (int a = 0; a < AREAS; phys += area_bytes(a), a++) {
        uint64_t at = a == ARENA_FAULTS ? LAYOUT_FAULTS_PHYS : phys;
        arena_areas[a].start = page_direct(at);
        if (a >= ARENA_TABLES)
            continue;
        header->table[a] = (struct arena_table_desc){
            .offset = (uint32_t)(at - LAYOUT_ARENA_PHYS),
            .record_bytes = shape[a].record_bytes,
            .stable_bytes = shape[a].stable_bytes,
            .capacity = arena_areas[a].capacity,
            .used = 1,
            .in_use = 1,
            .reserve = RESERVED >> a & 1 ? arena_areas[a].capacity / ARENA_RESERVE_PART : 0,
        };
        /* records are cleared when they are taken, so a large table need not be */
        memset(arena_areas[a].start, 0, shape[a].stable_bytes ? shape[a].record_bytes * shape[a].base : area_bytes(a));
    }
    arena_contents = (const void *)header;
    index_init();
    strings_init();
    visits = &header->counter[COUNTER_visits];
    header->version = ARENA_VERSION;
    header->header_bytes = sizeof *header;
    header->arena_bytes = phys - LAYOUT_ARENA_PHYS;
    __atomic_store_n(&header->magic, ARENA_MAGIC, __ATOMIC_RELEASE);
}

void *arena_area(enum arena_area area, uint32_t *ret_slots)
{
    *ret_slots = arena_areas[area].capacity;
    return arena_areas[area].start;
}

static inline __attribute__((always_inline)) void count_visit(void)
{
    __atomic_store_n(visits, __atomic_load_n(visits, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
}

void arena_visit(void)
{
    count_visit();
}

/* Places and capacities come from `arena_areas`, not from the descriptors, which the host reads. A quarter of a swap's
 * instructions are spent here, so that nothing is called. */
static inline __attribute__((always_inline)) void *peek(enum arena_table table, uint32_t index)
{
    count_visit();
    if ((unsigned)table >= ARENA_TABLES || index == 0 || index >= arena_areas[table].capacity)
        return NULL;
    return arena_areas[table].start + (uint64_t)index * arena_areas[table].record_bytes;
}

void *arena_peek(enum arena_table table, uint32_t index)
{
    return peek(table, index);
}

void *arena_record(enum arena_table table, uint32_t index)
{
    void *record = peek(table, index);

    assert(record);
    return record;
}

bool arena_may_use_reserve(void)
{
    const void *user = __atomic_load_n(&arena_reserve_user, __ATOMIC_RELAXED);

    return user && user == cpu_task();
}

bool arena_has_room(enum arena_table table, uint32_t more)
{
    const struct arena_table_desc *desc = &arena_header()->table[table];
    uint64_t after = (uint64_t)desc->in_use + more;

    return after + desc->reserve <= arena_areas[table].capacity ||
           (after <= arena_areas[table].capacity && arena_may_use_reserve());
}

void arena_recount(void)
{
    for (enum arena_table t = 0; t <= ARENA_TASKS; t++) {
        struct arena_table_desc *desc = &arena_header()->table[t];
        const uint32_t *record;
        desc->in_use = desc->used;
        for (uint32_t at = desc->free_head; (record = arena_peek(t, at)) && !record[0] && desc->in_use; at = record[1])
            desc->in_use--;
    }
}

enum err arena_refuse_full(enum arena_table table, struct report *report)
{
    static const char names[][11] = {[ARENA_NAMESPACES] = "namespaces",
                                     [ARENA_OBJECTS] = "objects",
                                     [ARENA_CELLS] = "cells",
                                     [ARENA_SECTIONS] = "sections",
                                     [ARENA_SYMBOLS] = "symbols",
                                     [ARENA_EDGES] = "edges",
                                     [ARENA_TASKS] = "tasks"};
    bool strings = table >= array_size(names) || arena_has_room(table, 1);
    const struct arena_table_desc *desc = &arena_header()->table[strings ? ARENA_STRINGS : table];

    return report_refuse(report, ERR_FULL, "no room for %s: %u of %u in use, %u are for recovery; unload something",
                         strings ? "names" : names[table], desc->in_use - 1, desc->capacity - 1, desc->reserve);
}

uint32_t arena_new(enum arena_table table)
{
    struct arena_table_desc *desc = &arena_header()->table[table];
    uint32_t *record = arena_peek(table, desc->free_head);
    uint32_t index;

    assert(lock_held(&lock));
    if (!arena_has_room(table, 1))
        return 0;
    if (record && record[0] == 0) {
        index = desc->free_head;
        desc->free_head = record[1];
    } else {
        if (desc->used >= arena_areas[table].capacity)
            return 0;
        index = desc->used++;
    }
    desc->in_use++;
    memset(arena_record(table, index), 0, shape[table].record_bytes);
    return index;
}

void arena_record_free(enum arena_table table, uint32_t index)
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
    desc->in_use--;
}

uint32_t arena_new_named(enum arena_table table, const char *name)
{
    uint32_t index = arena_new(table), text = index ? string_intern(name) : 0;

    assert(table < NAMED_TABLES);
    if (text)
        ((uint32_t *)arena_record(table, index))[NAME_WORD] = text;
    else if (index)
        arena_record_free(table, index);
    return text ? index : 0;
}

uint32_t arena_hash(const void *data, size_t bytes)
{
    return arena_check(data, bytes);
}

static uint32_t check_of(enum arena_table table, const uint8_t *record)
{
    return arena_hash(record + 4, shape[table].stable_bytes - 4);
}

void arena_record_seal(enum arena_table table, uint32_t index)
{
    uint32_t *record = arena_record(table, index);

    record[0] = check_of(table, (const uint8_t *)record);
    find_add(table, index);
}

bool arena_record_sound(enum arena_table table, uint32_t index)
{
    const uint32_t *record = arena_peek(table, index);

    return record && record[0] == check_of(table, (const uint8_t *)record);
}

/* ---- edges ---- */

void arena_edge_link(struct edge_ref edge)
{
    struct arena_edge *e = arena_edge(edge);
    struct arena_section *from = arena_section(e->from), *to = arena_section(e->to);

    assert(lock_held(&lock));
    e->prev_out = e->prev_in = NO_EDGE;
    e->next_out = from->first_out;
    if (from->first_out.index)
        arena_edge(from->first_out)->prev_out = edge;
    from->first_out = edge;
    from->outgoing++;
    if (!same(from->cell, to->cell))
        arena_cell(to->cell)->holders++;
    e->next_in = to->first_in;
    if (to->first_in.index)
        arena_edge(to->first_in)->prev_in = edge;
    to->first_in = edge;
    to->incoming++;
}

void arena_edge_unlink(struct edge_ref edge)
{
    struct arena_edge *e = arena_edge(edge);
    struct arena_section *from = arena_section(e->from), *to = arena_section(e->to);

    assert(lock_held(&lock));
    if (e->prev_out.index)
        arena_edge(e->prev_out)->next_out = e->next_out;
    else
        from->first_out = e->next_out;
    if (e->next_out.index)
        arena_edge(e->next_out)->prev_out = e->prev_out;
    from->outgoing--;
    if (!same(from->cell, to->cell))
        arena_cell(to->cell)->holders--;
    if (e->prev_in.index)
        arena_edge(e->prev_in)->next_in = e->next_in;
    else
        to->first_in = e->next_in;
    if (e->next_in.index)
        arena_edge(e->next_in)->prev_in = e->prev_in;
    to->incoming--;
    e->next_out = e->prev_out = e->next_in = e->prev_in = NO_EDGE;
}

/* ---- counters and events ---- */

void arena_count(enum arena_counter counter, int64_t change)
{
    if ((unsigned)counter < COUNTERS)
        __atomic_add_fetch(&arena_header()->counter[counter], (uint64_t)change, __ATOMIC_RELAXED);
}

uint64_t arena_event_write(enum event_kind kind, uint64_t a, uint64_t b, const char *text)
{
    uint64_t seq = __atomic_add_fetch(&arena_header()->event_seq, 1, __ATOMIC_SEQ_CST);
    struct arena_event *e = arena_event_slot(seq);

    __atomic_store_n(&e->seq, 0, __ATOMIC_SEQ_CST);
    e->time_ns = cpu_ns();
    e->kind = kind;
    e->cpu = cpu_this()->index;
    e->a = a;
    e->b = b;
    string_copy(e->text, text ? text : "", sizeof e->text);
    return seq;
}

void arena_event(enum event_kind kind, uint64_t a, uint64_t b, const char *text)
{
    arena_event_publish(arena_event_write(kind, a, b, text));
}
