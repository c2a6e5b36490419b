/* See arena.h. What other cells write into their records (tasks, CPUs, faults) is left to them. */
#include "cells/kernel/arena/arena.h"
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

#define SYMBOL_BUCKETS 1024
#define STRING_SLOTS   32768 /* open addressing, power of two; kept under three quarters full */

static const struct {
    uint32_t record_bytes, stable_bytes, capacity;
} shape[ARENA_TABLES] = {
#define X(table, record_bytes, stable_bytes, capacity) [ARENA_##table] = {record_bytes, stable_bytes, capacity},
    ARENA_SHAPES(X)
#undef X
};

static struct lock lock;
static uint32_t symbol_bucket[SYMBOL_BUCKETS];
static struct {
    uint32_t offset; /* in the string table; 0: empty */
    uint32_t references;
} string_slot[STRING_SLOTS];
static uint32_t strings GUARDED_BY(arena_writer);    /* slots in use */
static uint32_t string_gap GUARDED_BY(arena_writer); /* where the next search for room begins */

/* Tables whose records have a name, and where it stands. */
#define NAMED_TABLES (ARENA_SYMBOLS + 1)
#define NAME_WORD    2
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
    __atomic_fetch_or(&arena_header()->generation, 1, __ATOMIC_SEQ_CST);
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

/* ---- tables and records ---- */

static uint32_t string_intern(const char *text) NEEDS(arena_writer);
static void string_release(uint32_t offset) NEEDS(arena_writer);

struct arena_header *arena_header(void)
{
    return page_direct(LAYOUT_ARENA_PHYS);
}

UNCHECKED void arena_init(void)
{
    struct arena_header *header = arena_header();
    uint64_t offset = 4096;

    memset(header, 0, 4096);
    memset(symbol_bucket, 0, sizeof symbol_bucket);
    memset(string_slot, 0, sizeof string_slot);
    strings = 0;
    string_gap = 1;
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

/* The record, or NULL: for lookups on the way of a fault, which must not fault again on a bad index. Capacities and sizes
 * come from `shape`, not from the descriptors, which lie in memory that anybody may have hit. */
static void *peek(enum arena_table table, uint32_t index)
{
    if ((unsigned)table >= ARENA_TABLES || index == 0 || index >= shape[table].capacity)
        return NULL;
    return (uint8_t *)arena_header() + arena_header()->table[table].offset +
           (uint64_t)index * shape[table].record_bytes;
}

void *arena_record(enum arena_table table, uint32_t index)
{
    void *record = peek(table, index);

    assert(record);
    return record;
}

uint32_t arena_new(enum arena_table table)
{
    struct arena_table_desc *desc = &arena_header()->table[table];
    uint32_t *record = peek(table, desc->free_head);
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
}

bool arena_sound(enum arena_table table, uint32_t index)
{
    const uint32_t *record = peek(table, index);

    return record && record[0] == check_of(table, (const uint8_t *)record);
}

/* ---- strings ---- */

const char *arena_string(uint32_t offset)
{
    const struct arena_table_desc *desc = &arena_header()->table[ARENA_STRINGS];
    const char *text = (const char *)arena_header() + desc->offset;

    return offset < ARENA_STRINGS_BYTES ? text + offset : text;
}

static uint32_t slot_of(const char *text)
{
    return arena_check(text, string_length(text)) % STRING_SLOTS;
}

/* The slot that holds `text`, or the empty one where it would go. */
static uint32_t string_find(const char *text)
{
    uint32_t i = slot_of(text);

    while (string_slot[i].offset && !string_equal(arena_string(string_slot[i].offset), text))
        i = (i + 1) % STRING_SLOTS;
    return i;
}

/* Between strings that were released and those that were not there are runs of zeros. Room for `bytes` in one of them,
 * from `string_gap` on and around once; 0: none. */
static uint32_t find_gap(size_t bytes) NEEDS(arena_writer)
{
    const char *text = arena_string(0);
    uint32_t used = arena_header()->table[ARENA_STRINGS].used;
    size_t run = 0;

    for (uint32_t steps = 0, i = string_gap; steps < ARENA_STRINGS_BYTES + bytes; steps++, i++) {
        if (i == 0 || i >= used || i >= ARENA_STRINGS_BYTES)
            i = 1, run = 0;
        run = text[i] || text[i - 1] ? 0 : run + 1;
        if (run == bytes) {
            string_gap = i + 1;
            return i + 1 - (uint32_t)bytes;
        }
    }
    return 0;
}

/* Where a string of so many bytes, its NUL included, goes; 0: nowhere. */
static uint32_t find_room(size_t bytes) NEEDS(arena_writer)
{
    struct arena_table_desc *desc = &arena_header()->table[ARENA_STRINGS];
    uint32_t at = desc->used;

    /* one byte is left over, so that the last string ends even when its NUL is hit */
    if (at + bytes + 1 > ARENA_STRINGS_BYTES)
        return find_gap(bytes);
    desc->used += (uint32_t)bytes;
    return at;
}

/* The string's place, with one more reference; 0: it is empty, or the table is full. */
static uint32_t string_intern(const char *text)
{
    size_t bytes = string_length(text) + 1;

    if (bytes == 1)
        return 0;
    uint32_t i = string_find(text);
    if (!string_slot[i].offset) {
        uint32_t at = strings < STRING_SLOTS / 4 * 3 ? find_room(bytes) : 0;
        if (!at)
            return 0;
        memcpy((char *)arena_string(0) + at, text, bytes);
        string_slot[i].offset = at;
        string_slot[i].references = 0;
        arena_header()->counter[COUNTER_strings] = ++strings;
    }
    string_slot[i].references++;
    return string_slot[i].offset;
}

/* Empties a slot; later ones of its run move up, as a search ends at the first empty slot. */
static void empty_slot(uint32_t i)
{
    for (uint32_t k = (i + 1) % STRING_SLOTS; string_slot[k].offset; k = (k + 1) % STRING_SLOTS) {
        uint32_t home = slot_of(arena_string(string_slot[k].offset));
        if ((k - home) % STRING_SLOTS < (k - i) % STRING_SLOTS)
            continue;
        string_slot[i] = string_slot[k];
        i = k;
    }
    string_slot[i].offset = 0;
}

static void string_release(uint32_t offset)
{
    const char *text = arena_string(offset);
    uint32_t i = string_find(text);

    if (!offset || string_slot[i].offset != offset || --string_slot[i].references)
        return; /* not the last one, or a string that has been hit: it stays */
    empty_slot(i);
    memset((char *)text, 0, string_length(text));
    arena_header()->counter[COUNTER_strings] = --strings;
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
    if (e->prev_in)
        arena_edge(e->prev_in)->next_in = e->next_in;
    else
        to->first_in = e->next_in;
    if (e->next_in)
        arena_edge(e->next_in)->prev_in = e->prev_in;
    to->incoming--;
    e->next_out = e->prev_out = e->next_in = e->prev_in = 0;
}

/* ---- symbols ---- */

static uint32_t *bucket_of(uint32_t namespace_, uint32_t name)
{
    return &symbol_bucket[(name * 0x9e3779b1u + namespace_ * 0x85ebca6bu) % SYMBOL_BUCKETS];
}

void arena_symbol_publish(uint32_t symbol)
{
    struct arena_symbol *s = arena_symbol(symbol);
    uint32_t *bucket = bucket_of(s->namespace_, s->name);

    assert(lock_held(&lock));
    s->next_in_hash = *bucket;
    __atomic_store_n(bucket, symbol, __ATOMIC_RELEASE);
}

void arena_symbol_retract(uint32_t symbol)
{
    struct arena_symbol *s = arena_symbol(symbol);
    uint32_t *link = bucket_of(s->namespace_, s->name);

    assert(lock_held(&lock));
    while (*link && *link != symbol)
        link = &arena_symbol(*link)->next_in_hash;
    if (*link)
        *link = s->next_in_hash;
    s->next_in_hash = 0;
}

uint32_t arena_symbol_find(uint32_t namespace_, const char *name)
{
    uint32_t text = string_slot[string_find(name)].offset;
    const struct arena_namespace *ns;

    for (int depth = 0; text && depth < ARENA_NAMESPACES_MAX && (ns = peek(ARENA_NAMESPACES, namespace_)); depth++) {
        const struct arena_symbol *s;
        uint32_t i = *bucket_of(namespace_, text);

        for (int steps = 0; steps < ARENA_SYMBOLS_MAX && (s = peek(ARENA_SYMBOLS, i)); steps++, i = s->next_in_hash)
            if (s->name == text && s->namespace_ == namespace_)
                return i;
        namespace_ = ns->parent;
    }
    return 0;
}

/* ---- lookups ---- */

uint32_t arena_cell_find(uint32_t namespace_, const char *name)
{
    uint32_t used = arena_header()->table[ARENA_CELLS].used;
    const struct arena_namespace *ns;

    for (int depth = 0; depth < ARENA_NAMESPACES_MAX && (ns = peek(ARENA_NAMESPACES, namespace_)); depth++) {
        uint32_t loading = 0;
        const struct arena_cell *c;

        for (uint32_t i = 1; i < used && (c = peek(ARENA_CELLS, i)); i++) {
            if (c->namespace_ != namespace_ || (c->state != CELL_LIVE && c->state != CELL_LOADING) ||
                !string_equal(arena_string(c->name), name))
                continue;
            if (c->state == CELL_LIVE)
                return i;
            loading = i;
        }
        if (loading)
            return loading;
        namespace_ = ns->parent;
    }
    return 0;
}

static bool within(uint64_t virt, uint64_t start, uint64_t bytes)
{
    return virt - start < bytes;
}

uint32_t arena_cell_at(uint64_t virt)
{
    uint32_t used = arena_header()->table[ARENA_CELLS].used;
    const struct arena_cell *c;

    for (uint32_t i = 1; i < used && (c = peek(ARENA_CELLS, i)); i++)
        if (c->state != CELL_FREE &&
            (within(virt, c->text_virt, c->text_bytes) || within(virt, c->rodata_virt, c->rodata_bytes) ||
             within(virt, c->data_virt, c->data_bytes)))
            return i;
    return 0;
}

uint32_t arena_section_at(uint64_t virt)
{
    const struct arena_cell *cell = peek(ARENA_CELLS, arena_cell_at(virt));
    uint32_t i = cell ? cell->first_section : 0;
    const struct arena_section *s;

    for (int steps = 0; steps < ARENA_SECTIONS_MAX && (s = peek(ARENA_SECTIONS, i)); steps++, i = s->next_in_cell)
        if (within(virt, s->virt, s->bytes))
            return i;
    return 0;
}

void arena_name_at(uint64_t virt, char *ret_name, size_t bytes)
{
    uint32_t section = arena_section_at(virt);
    const struct arena_section *s = peek(ARENA_SECTIONS, section);
    const struct arena_cell *cell = s ? peek(ARENA_CELLS, s->cell) : NULL;
    uint32_t i = cell ? cell->first_symbol : 0;
    const struct arena_symbol *symbol;
    uint32_t name = s ? s->name : 0;

    for (int steps = 0; steps < ARENA_SYMBOLS_MAX && (symbol = peek(ARENA_SYMBOLS, i)); steps++) {
        if (symbol->section == section && within(virt - s->virt, symbol->offset, symbol->bytes)) {
            name = symbol->name;
            break;
        }
        i = symbol->next_in_cell;
    }
    string_copy(ret_name, arena_string(name), bytes);
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
