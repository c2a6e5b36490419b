/* See mend.h. A section is composed beside and compared with its hash, and only then copied over the damaged one. */
#include "cells/kernel/mend/mend.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/loader/elf.h"
#include "guest/abi/arena.h"
#include "guest/abi/layout.h"

CELL("mend", KERNEL, 1);
EXPORT(mend_cell, KERNEL);
EXPORT(mend_is_core, KERNEL);
EXPORT(mend_is_needed, KERNEL);

#define BYTES_MAX  8192 /* of a section */
#define WAIT_TURNS 1000000

static const char *const core[] = {
    "boot", "frame", "page", "arena", "archive", "loader", "exception", "panic", "cpu", "lock", "string",
};

/* Without these and those nothing is scheduled, unwound, reloaded or said. */
static const char *const foundations[] = {
    "task",   "scheduler", "run_queue", "wait_queue", "timer", "apic",   "shootdown", "park",        "fault",
    "unwind", "simd",      "swap",      "recovery",   "log",   "format", "serial",    "text_screen", "frame_buffer",
};

/* ---- what others would be called for ---- */

static void copy(void *to, const void *from, size_t bytes)
{
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes)::"memory");
}

static bool same_name(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

static void *direct(uint64_t phys)
{
    return (void *)(LAYOUT_DIRECT_VIRT + phys);
}

static struct arena_header *header(void)
{
    return (struct arena_header *)(LAYOUT_IMAGE_VIRT + LAYOUT_ARENA_PHYS);
}

static const struct {
    uint32_t record_bytes, stable_bytes, capacity;
} shape[ARENA_TABLES] = {
#define X(table, record, stable, count) [ARENA_##table] = {record, stable, count},
    ARENA_SHAPES(X)
#undef X
};

/* By an index that is in range, or by 0 instead. */
static void *record(enum arena_table table, uint32_t index)
{
    uint8_t *records = (uint8_t *)header() + header()->table[table].offset;

    return records + (size_t)(index < shape[table].capacity ? index : 0) * shape[table].record_bytes;
}

static bool is_sound(enum arena_table table, uint32_t index)
{
    const uint8_t *bytes = record(table, index);

    return index && index < shape[table].capacity &&
           *(const uint32_t *)bytes == arena_check(bytes + 4, shape[table].stable_bytes - 4);
}

static struct arena_cell *cell_at(uint32_t index)
{
    return record(ARENA_CELLS, index);
}

static struct arena_section *section_at(uint32_t index)
{
    return record(ARENA_SECTIONS, index);
}

static struct arena_edge *edge_at(uint32_t index)
{
    return record(ARENA_EDGES, index);
}

/* ---- */

static struct bench {
    uint32_t holder; /* CPU index plus one */
    uint8_t bytes[BYTES_MAX];
} bench;

/* The one bench, for as long as the scope lasts; not a lock, since a fault in here must not wait for itself. */
struct bench_guard {
    bool taken;
};

static struct bench_guard bench_take(void)
{
    uint32_t self = cpu_this()->index + 1;

    for (unsigned turns = 0; turns < WAIT_TURNS; turns++, cpu_relax()) {
        uint32_t nobody = 0;
        if (__atomic_compare_exchange_n(&bench.holder, &nobody, self, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return (struct bench_guard){true};
        if (nobody == self)
            break;
    }
    return (struct bench_guard){false};
}

static void bench_guard_end(struct bench_guard *guard)
{
    if (guard->taken)
        __atomic_store_n(&bench.holder, 0, __ATOMIC_RELEASE);
}

static bool is_among(uint32_t cell, const char *const *names, size_t count)
{
    const char *name = (const char *)header() + header()->table[ARENA_STRINGS].offset;

    name += cell_at(cell)->name < ARENA_STRINGS_BYTES ? cell_at(cell)->name : 0;
    for (size_t i = 0; i < count; i++)
        if (same_name(name, names[i]))
            return true;
    return false;
}

bool mend_is_core(uint32_t cell)
{
    return is_among(cell, core, array_size(core));
}

bool mend_is_needed(uint32_t cell)
{
    return mend_is_core(cell) || is_among(cell, foundations, array_size(foundations));
}

/* The section's bytes in the object, before relocation; NULL when the object does not have them. */
static const uint8_t *pristine(const struct arena_object *object, const struct arena_section *section)
{
    const uint8_t *data = direct(object->phys);
    const struct elf_header *header = (const struct elf_header *)data;
    struct elf_section found;

    if (object->bytes < sizeof *header || section->object_index >= header->sections ||
        header->section_offset > object->bytes ||
        (section->object_index + 1) * sizeof found > object->bytes - header->section_offset)
        return NULL;
    copy(&found, data + header->section_offset + section->object_index * sizeof found, sizeof found);
    if (found.type == ELF_NOBITS || found.size != section->bytes || found.offset > object->bytes ||
        found.size > object->bytes - found.offset)
        return NULL;
    return data + found.offset;
}

static uint64_t target_of(const struct arena_edge *edge)
{
    return section_at(edge->to)->virt + edge->target + (uint64_t)edge->addend;
}

static void write_edge(const struct arena_section *from, const struct arena_edge *edge, uint8_t *bytes)
{
    size_t wide = relocation_bytes(edge->type);
    uint64_t value = target_of(edge);

    if (relocation_is_relative(edge->type))
        value -= from->virt + edge->offset;
    if (edge->offset <= from->bytes && wide <= from->bytes - edge->offset)
        copy(bytes + edge->offset, &value, wide);
}

static bool mend_section(const struct arena_object *object, const struct arena_section *section)
{
    const uint8_t *from = section->bytes <= BYTES_MAX ? pristine(object, section) : NULL;

    if (!from)
        return false;
    copy(bench.bytes, from, section->bytes);
    uint32_t left = section->outgoing;
    for (uint32_t i = section->first_out; i && left; i = edge_at(i)->next_out, left--)
        write_edge(section, edge_at(i), bench.bytes);
    if (arena_check(bench.bytes, section->bytes) != section->hash)
        return false;
    copy(direct(section->phys), bench.bytes, section->bytes);
    return true;
}

/* Nothing is relocated in what begins as zeros: an edge from there is a pointer that was bound, and nobody else writes. */
static unsigned mend_pointers(const struct arena_section *section)
{
    uint32_t left = section->outgoing;
    unsigned mended = 0;

    for (uint32_t i = section->first_out; left && is_sound(ARENA_EDGES, i); i = edge_at(i)->next_out, left--) {
        const struct arena_edge *edge = edge_at(i);
        if (edge->type != R_X86_64_64 || edge->offset > section->bytes || section->bytes - edge->offset < 8)
            continue;
        uint64_t *slot = (uint64_t *)((uint8_t *)direct(section->phys) + edge->offset);
        mended += __atomic_exchange_n(slot, target_of(edge), __ATOMIC_ACQ_REL) != target_of(edge);
    }
    return mended;
}

unsigned mend_cell(uint32_t cell)
{
    const struct arena_cell *c = cell_at(cell);
    GUARD(bench) mine = bench_take();
    unsigned mended = 0;

    if (!mine.taken || !is_sound(ARENA_CELLS, cell))
        return 0;
    uint32_t left = c->sections; /* a list that has been hit may lead anywhere, and round in a circle */
    for (uint32_t i = c->first_section; left && is_sound(ARENA_SECTIONS, i); i = section_at(i)->next_in_cell, left--) {
        const struct arena_section *section = section_at(i);
        if (section->kind == SECTION_BSS)
            mended += mend_pointers(section);
        else if (c->object && section->hash && !section->rewritten &&
                 section->hash != arena_check(direct(section->phys), section->bytes))
            mended += mend_section(record(ARENA_OBJECTS, c->object), section);
    }
    return mended;
}
