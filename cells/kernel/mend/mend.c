/* See mend.h. A section is composed beside and compared with its hash, and only then copied over the damaged one. */
#include "cells/kernel/mend/mend.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/loader/elf.h"
#include "cells/kernel/page/page.h"
#include "cells/lib/string/string.h"

CELL("mend", KERNEL, 1);
EXPORT(mend_cell, KERNEL);
EXPORT(mend_is_needed, KERNEL);

#define BYTES_MAX 8192 /* of a section */
#define WAIT_NS   10000000

/* Without these nothing is scheduled, unwound, reloaded or said. */
static const char *const foundations[] = {
    "nano_core", "task",   "scheduler", "run_queue", "wait_queue", "timer",  "apic",   "shootdown",   "park",
    "fault",     "unwind", "swap",      "recovery",  "log",        "format", "serial", "text_screen", "frame_buffer",
};

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

    for (uint64_t begin = cpu_ns(); cpu_ns() - begin < WAIT_NS; cpu_relax()) {
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

bool mend_is_needed(uint32_t cell)
{
    const char *name = arena_string(arena_cell(cell)->name);

    for (size_t i = 0; i < array_size(foundations); i++)
        if (string_equal(name, foundations[i]))
            return true;
    return false;
}

/* The section's bytes in the object, before relocation; NULL when the object does not have them. */
static const uint8_t *pristine(const struct arena_object *object, const struct arena_section *section)
{
    const uint8_t *data = page_direct(object->phys);
    const struct elf_header *header = (const struct elf_header *)data;
    struct elf_section found;

    if (object->bytes < sizeof *header || section->object_index >= header->sections ||
        header->section_offset > object->bytes ||
        (section->object_index + 1) * sizeof found > object->bytes - header->section_offset)
        return NULL;
    memcpy(&found, data + header->section_offset + section->object_index * sizeof found, sizeof found);
    if (found.type == ELF_NOBITS || found.size != section->bytes || found.offset > object->bytes ||
        found.size > object->bytes - found.offset)
        return NULL;
    return data + found.offset;
}

static uint64_t target_of(const struct arena_edge *edge)
{
    return arena_section(edge->to)->virt + edge->target + (uint64_t)edge->addend;
}

static void write_edge(const struct arena_section *from, const struct arena_edge *edge, uint8_t *bytes)
{
    bool relative = edge->type == R_X86_64_PC32 || edge->type == R_X86_64_PLT32 || edge->type == R_X86_64_PC64;
    size_t wide = edge->type == R_X86_64_64 || edge->type == R_X86_64_PC64 ? 8 : 4;
    uint64_t value = target_of(edge);

    if (relative)
        value -= from->virt + edge->offset;
    if (edge->offset <= from->bytes && wide <= from->bytes - edge->offset)
        memcpy(bytes + edge->offset, &value, wide);
}

static bool mend_section(const struct arena_object *object, const struct arena_section *section)
{
    const uint8_t *from = section->bytes <= BYTES_MAX ? pristine(object, section) : NULL;

    if (!from)
        return false;
    memcpy(bench.bytes, from, section->bytes);
    uint32_t left = section->outgoing;
    for (uint32_t i = section->first_out; i && left; i = arena_edge(i)->next_out, left--)
        write_edge(section, arena_edge(i), bench.bytes);
    if (arena_check(bench.bytes, section->bytes) != section->hash)
        return false;
    memcpy(page_direct(section->phys), bench.bytes, section->bytes);
    return true;
}

/* Nothing is relocated in what begins as zeros: an edge from there is a pointer that was bound, and nobody else writes. */
static unsigned mend_pointers(const struct arena_section *section)
{
    uint32_t left = section->outgoing;
    unsigned mended = 0;

    for (uint32_t i = section->first_out; left && arena_sound(ARENA_EDGES, i); i = arena_edge(i)->next_out, left--) {
        const struct arena_edge *edge = arena_edge(i);
        if (edge->type != R_X86_64_64 || edge->offset > section->bytes || section->bytes - edge->offset < 8)
            continue;
        uint64_t *slot = (uint64_t *)((uint8_t *)page_direct(section->phys) + edge->offset);
        mended += __atomic_exchange_n(slot, target_of(edge), __ATOMIC_ACQ_REL) != target_of(edge);
    }
    return mended;
}

unsigned mend_cell(uint32_t cell)
{
    const struct arena_cell *c = arena_cell(cell);
    GUARD(bench) mine = bench_take();
    unsigned mended = 0;

    if (!mine.taken || !arena_sound(ARENA_CELLS, cell))
        return 0;
    uint32_t left = c->sections; /* a list that has been hit may lead anywhere, and round in a circle */
    for (uint32_t i = c->first_section; left && arena_sound(ARENA_SECTIONS, i);
         i = arena_section(i)->next_in_cell, left--) {
        const struct arena_section *section = arena_section(i);
        if (section->kind == SECTION_BSS)
            mended += mend_pointers(section);
        else if (c->object && section->hash && section->hash != arena_check(page_direct(section->phys), section->bytes))
            mended += mend_section(arena_object(c->object), section);
    }
    return mended;
}
