/* What a mender does, for the two that there are (mend.h, mend_second.h). A section is composed in a scratch buffer,
 * piece by piece, and compared with its hash; only then is it copied over the damaged one. Trusts no record, and counts
 * the steps along every list. Calls no other cell, not even to copy memory. */
#pragma once
#include "cells/core/cpu/crc32.h"
#include "cells/recover/mend/mend.h"
#include "guest/abi/arena.h"
#include "guest/abi/elf.h"
#include "guest/abi/layout.h"
#include "guest/abi/note.h"
#include "guest/abi/object.h"

#define PIECE_BYTES 8192 /* of a section, that are composed at once; whole words */
#define WAIT_LOOPS  1000000

/* ---- what other cells have functions for, which may be damaged ---- */

static void mend_copy(void *to, const void *from, size_t bytes)
{
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes)::"memory");
}

static void *direct_bytes(uint64_t phys)
{
    return (void *)(LAYOUT_DIRECT_VIRT + phys);
}

static struct arena_header *header_direct(void)
{
    return direct_bytes(LAYOUT_ARENA_PHYS);
}

static const struct {
    uint32_t record_bytes, stable_bytes, most;
} shape[ARENA_TABLES] = {
#define X(table, type, stable, base, most) [ARENA_##table] = {sizeof(type), stable, most(base)},
    ARENA_SHAPES(X)
#undef X
};

static bool is_in_table(enum arena_table table, uint32_t index)
{
    return index && index < shape[table].most && index < header_direct()->table[table].capacity;
}

/* Record 0 for an index out of range. */
static void *record_at(enum arena_table table, uint32_t index)
{
    uint8_t *records = (uint8_t *)header_direct() + header_direct()->table[table].offset;

    return records + (size_t)(is_in_table(table, index) ? index : 0) * shape[table].record_bytes;
}

static bool is_record_sound(enum arena_table table, uint32_t index)
{
    const uint8_t *bytes = record_at(table, index);

    return is_in_table(table, index) &&
           *(const uint32_t *)bytes == arena_check(bytes + 4, shape[table].stable_bytes - 4);
}

static struct arena_cell *cell_record(struct cell_ref cell)
{
    return record_at(ARENA_CELLS, cell.index);
}

static struct arena_section *section_record(struct section_ref section)
{
    return record_at(ARENA_SECTIONS, section.index);
}

static struct arena_edge *edge_record(struct edge_ref edge)
{
    return record_at(ARENA_EDGES, edge.index);
}

/* ---- */

static struct scratch {
    uint32_t holder; /* CPU index plus one */
    uint8_t bytes[PIECE_BYTES];
} scratch;

/* The scratch buffer is this CPU's until the end of the scope. It is not a lock: after a fault in this cell nobody
 * releases it, and this CPU must not wait for itself. */
struct scratch_guard {
    bool taken;
};

static struct scratch_guard scratch_take(void)
{
    uint32_t self = cpu_this()->index + 1;

    for (unsigned loops = 0; loops < WAIT_LOOPS; loops++, cpu_relax()) {
        uint32_t nobody = 0;
        if (__atomic_compare_exchange_n(&scratch.holder, &nobody, self, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return (struct scratch_guard){true};
        if (nobody == self)
            break;
    }
    return (struct scratch_guard){false};
}

static void scratch_guard_end(struct scratch_guard *guard)
{
    if (guard->taken)
        __atomic_store_n(&scratch.holder, 0, __ATOMIC_RELEASE);
}

/* A damaged record counts as marked, so that its cell is neither blamed nor given fresh data. A free one has
 * check 0. */
static bool is_marked(struct cell_ref cell, uint32_t marks)
{
    const struct arena_cell *c = cell_record(cell);

    return c->check && (c->flags & marks || !is_record_sound(ARENA_CELLS, cell.index));
}

static inline bool is_core(struct cell_ref cell)
{
    return is_marked(cell, NOTE_CORE);
}

static inline bool is_needed(struct cell_ref cell)
{
    return is_marked(cell, NOTE_CORE | NOTE_FOUNDATION);
}

/* The section's bytes in the pristine object, before relocation. NULL: the object is damaged too, or has none. */
static const uint8_t *pristine(const struct arena_object *object, const struct arena_section *section)
{
    const uint8_t *data = direct_bytes(object->phys);
    const struct elf_header *header = (const struct elf_header *)data;
    struct elf_section found;

    if (object->bytes < sizeof *header || section->object_index >= header->sections ||
        header->section_offset > object->bytes ||
        (section->object_index + 1) * sizeof found > object->bytes - header->section_offset)
        return NULL;
    mend_copy(&found, data + header->section_offset + section->object_index * sizeof found, sizeof found);
    if (found.type == ELF_NOBITS || found.size != section->bytes || found.offset > object->bytes ||
        found.size > object->bytes - found.offset)
        return NULL;
    return data + found.offset;
}

static uint64_t target_of(const struct arena_edge *edge)
{
    return arena_edge_target(edge, section_record(edge->to));
}

/* Writes what of a relocation lies in the piece of so many bytes at `at`. */
static void write_edge(const struct arena_section *from, const struct arena_edge *edge, uint32_t at, size_t bytes)
{
    size_t wide = relocation_bytes(edge->type);
    uint64_t value = relocation_value(edge->type, target_of(edge), from->virt + edge->offset);

    if (edge->offset > from->bytes || wide > from->bytes - edge->offset)
        return;
    for (size_t place = (size_t)edge->offset - at; wide > 0; wide--, place++, value >>= 8)
        if (place < bytes)
            scratch.bytes[place] = (uint8_t)value;
}

/* Composes the piece at `at` in the scratch buffer: the object's bytes, relocated. Returns how many bytes it has. */
static size_t compose(const uint8_t *from, const struct arena_section *section, uint32_t at)
{
    size_t bytes = section->bytes - at < PIECE_BYTES ? section->bytes - at : PIECE_BYTES;
    uint32_t left = section->outgoing;

    mend_copy(scratch.bytes, from + at, bytes);
    for (struct edge_ref i = section->first_out; i.index && left; i = edge_record(i)->next_out, left--)
        write_edge(section, edge_record(i), at, bytes);
    return bytes;
}

/* Whether all pieces together have the section's hash. */
static bool is_right(const uint8_t *from, const struct arena_section *section)
{
    uint64_t hash = arena_check_begin(section->bytes);

    for (uint32_t at = 0;; at += PIECE_BYTES) {
        size_t bytes = compose(from, section, at), words = bytes & ~7ul;
        hash = hash_words(hash, scratch.bytes, words);
        if (section->bytes - at <= PIECE_BYTES)
            return arena_check_end(hash, scratch.bytes + words, bytes - words) == section->hash;
    }
}

/* Counts a place that differed. */
static void note(struct mend_found *found, uint32_t offset)
{
    if (found->count++ == 0)
        found->offset = offset;
}

static void note_differences(const struct arena_section *section, uint32_t at, size_t bytes, struct mend_found *found)
{
    const uint8_t *live = direct_bytes(section->phys + at);

    for (size_t i = 0; i < bytes; i++)
        if (live[i] != scratch.bytes[i])
            note(found, at + (uint32_t)i);
}

/* The section's bytes in the pristine object, if it has what was sealed; else in another object of the same bytes. */
static const uint8_t *find_right(struct object_ref object, const struct arena_section *section)
{
    const struct arena_object *own = record_at(ARENA_OBJECTS, object.index);
    const uint8_t *from = pristine(own, section);
    uint32_t used = header_direct()->table[ARENA_OBJECTS].used;

    if (from && is_right(from, section))
        return from;
    for (uint32_t i = 1; i < used && is_in_table(ARENA_OBJECTS, i); i++) {
        const struct arena_object *other = record_at(ARENA_OBJECTS, i);
        if (i == object.index || other->hash != own->hash || !is_record_sound(ARENA_OBJECTS, i))
            continue;
        from = pristine(other, section);
        if (from && is_right(from, section))
            return from;
    }
    return NULL;
}

static bool mend_bytes(struct object_ref object, const struct arena_section *section, struct mend_found *found)
{
    const uint8_t *from = find_right(object, section);

    if (!from)
        return false;
    for (uint32_t at = 0; at < section->bytes; at += PIECE_BYTES) {
        size_t bytes = compose(from, section, at);
        note_differences(section, at, bytes, found);
        mend_copy(direct_bytes(section->phys + at), scratch.bytes, bytes);
    }
    return true;
}

/* Rewrites bound pointers. In a section that starts as zeros there are no relocations, so each edge is a bound
 * pointer, and nothing but binding writes it. */
static void mend_pointers(const struct arena_section *section, struct mend_found *found)
{
    uint32_t left = section->outgoing;

    for (struct edge_ref i = section->first_out; left && is_record_sound(ARENA_EDGES, i.index);
         i = edge_record(i)->next_out, left--) {
        const struct arena_edge *edge = edge_record(i);
        if (edge->type != R_X86_64_64 || edge->offset > section->bytes || section->bytes - edge->offset < 8)
            continue;
        uint64_t *slot = (uint64_t *)((uint8_t *)direct_bytes(section->phys) + edge->offset);
        if (__atomic_exchange_n(slot, target_of(edge), __ATOMIC_ACQ_REL) != target_of(edge))
            note(found, edge->offset);
    }
}

/* Whether a datum that is set once differs from its copy; which of the two is wrong is another question. */
static bool differs_from_copy(const struct arena_section *section)
{
    const uint8_t *bytes = direct_bytes(section->phys), *copy = direct_bytes(section->copy_phys);
    uint32_t i = 0;

    if (!section->copy_phys || section->first_out.index) /* a pointer is bound in it now, which edges know */
        return false;
    for (uint64_t a, b; i + 8 <= section->bytes; i += 8) {
        __builtin_memcpy(&a, bytes + i, 8);
        __builtin_memcpy(&b, copy + i, 8);
        if (a != b)
            return true;
    }
    for (; i < section->bytes; i++)
        if (bytes[i] != copy[i])
            return true;
    return false;
}

static bool differs(const struct arena_section *section)
{
    const uint8_t *bytes = direct_bytes(section->phys);
    uint32_t gate;

    if (section_kind_is_data(section->kind))
        return differs_from_copy(section) && section->hash != arena_check(bytes, section->bytes);
    return section->hash && !section->rewritten && section->hash != arena_check(bytes, section->bytes) &&
           !arena_section_gate(section, bytes, &gate);
}

/* ---- checksums of cells ---- */

/* Adds a region, which is whole pages: so up to the next word. */
static uint32_t add_region(uint32_t sum, uint64_t phys, uint32_t bytes)
{
    if (phys % 8)
        return sum;
    return has_crc32() ? crc32_words(sum, direct_bytes(phys), (bytes + 7) / 8)
                       : sum * 31 + arena_check(direct_bytes(phys), bytes);
}

/* The checksums of both regions as they are now, with where they are. Never 0. */
static uint64_t sum_of(const struct arena_cell *c)
{
    uint64_t text = add_region(~c->check, c->text_phys, c->text_bytes);
    uint64_t sum = text << 32 | add_region(~c->check, c->rodata_phys, c->rodata_bytes);

    return sum ? sum : 1;
}

/* Of a cell whose record is sound. */
static inline bool has_its_sum(const struct arena_cell *c)
{
    return c->sum && c->sum == sum_of(c);
}

static inline bool is_whole(struct cell_ref cell)
{
    return is_record_sound(ARENA_CELLS, cell.index) && has_its_sum(cell_record(cell));
}

/* Whether the section's hash stands for what its bytes must be now. */
static bool is_sealed(const struct arena_section *s)
{
    return section_kind_is_data(s->kind) || !s->bytes || (s->hash && !s->rewritten && !s->gate);
}

/* *ret_sealed: none is damaged, no record is, and no section is being changed. */
static struct section_ref first_damaged(struct cell_ref cell, bool *ret_sealed)
{
    const struct arena_cell *c = cell_record(cell);
    uint32_t left = c->sections; /* a damaged list may refer anywhere, and be a circle */
    bool sealed = true;

    *ret_sealed = false;
    for (struct section_ref i = c->first_section; left && is_record_sound(ARENA_SECTIONS, i.index);
         i = section_record(i)->next_in_cell, left--) {
        const struct arena_section *section = section_record(i);
        if (same(section->cell, cell) && differs(section))
            return i;
        sealed &= same(section->cell, cell) && is_sealed(section);
    }
    *ret_sealed = sealed && !left;
    return NO_SECTION;
}

/* Of a cell whose record is sound. *ret_whole: as is_whole has it; false does not mean that something is damaged. */
static inline struct section_ref find_damage(struct cell_ref cell, bool *ret_whole)
{
    struct arena_cell *c = cell_record(cell);
    bool sealed;

    uint64_t sum = sum_of(c); /* first: it is kept only if all is right after it was made */
    *ret_whole = c->sum == sum;
    if (*ret_whole)
        return NO_SECTION;
    struct section_ref damaged = first_damaged(cell, &sealed);
    if (sealed)
        __atomic_store_n(&c->sum, sum, __ATOMIC_RELAXED);
    *ret_whole = sealed;
    return damaged;
}

/* ---- */

/* False: its copy is damaged too. */
static bool mend_set_once(const struct arena_section *s, struct mend_found *found)
{
    const uint8_t *copy = direct_bytes(s->copy_phys);
    uint8_t *live = direct_bytes(s->phys);

    if (arena_check(copy, s->bytes) != s->hash)
        return false;
    for (uint32_t i = 0; i < s->bytes; i++)
        if (live[i] != copy[i])
            note(found, i);
    mend_copy(live, copy, s->bytes);
    return true;
}

/* The records of the section and of its cell are sound. */
static bool mend_sound_section(const struct arena_section *s, struct mend_found *ret_found)
{
    struct mend_found found = {0};
    bool right = true;

    if (s->copy_phys && !s->first_out.index) {
        right = !differs(s) || mend_set_once(s, &found);
    } else if (s->kind == SECTION_BSS) {
        mend_pointers(s, &found);
    } else if (differs(s)) {
        GUARD(scratch) mine = scratch_take();
        right = mine.taken && cell_record(s->cell)->object.index && mend_bytes(cell_record(s->cell)->object, s, &found);
    }
    if (right)
        *ret_found = found;
    return right;
}

/* Leaves in the piece at `at` what is live there now of a relocation. */
static void keep_edge(const struct arena_section *section, const struct arena_edge *edge, uint32_t at, size_t bytes)
{
    size_t wide = relocation_bytes(edge->type);

    if (edge->offset > section->bytes || wide > section->bytes - edge->offset)
        return;
    for (size_t i = 0, place = (size_t)edge->offset - at; i < wide; i++, place++)
        if (place < bytes)
            scratch.bytes[place] = ((const uint8_t *)direct_bytes(section->phys))[edge->offset + i];
}

/* Puts all of a section right but its relocations. Returns whether anything was wrong. */
static unsigned mend_beside_edges(const uint8_t *from, const struct arena_section *section)
{
    struct mend_found found = {0};

    for (uint32_t at = 0; at < section->bytes; at += PIECE_BYTES) {
        size_t bytes = section->bytes - at < PIECE_BYTES ? section->bytes - at : PIECE_BYTES;
        uint32_t left = section->outgoing;
        mend_copy(scratch.bytes, from + at, bytes);
        for (struct edge_ref i = section->first_out; i.index && left; i = edge_record(i)->next_out, left--)
            keep_edge(section, edge_record(i), at, bytes);
        note_differences(section, at, bytes, &found);
        if (found.count)
            mend_copy(direct_bytes(section->phys + at), scratch.bytes, bytes);
    }
    return found.count != 0;
}

/* Amid a swap: the relocations of the section are being rewritten, and its hash is that of before. What lies between
 * them is as in the object, if that is whole. */
static unsigned mend_unsealed(const struct arena_section *section)
{
    const struct arena_object *object = record_at(ARENA_OBJECTS, cell_record(section->cell)->object.index);
    const uint8_t *from = cell_record(section->cell)->object.index ? pristine(object, section) : NULL;
    uint32_t gate;

    if (!from || arena_section_gate(section, direct_bytes(section->phys), &gate) ||
        object_hash(direct_bytes(object->phys), object->bytes) != object->hash)
        return 0;
    GUARD(scratch) mine = scratch_take();
    return mine.taken ? mend_beside_edges(from, section) : 0;
}

static bool is_table(uint32_t kind)
{
    return kind == SECTION_EH_FRAME || kind == SECTION_EXCEPT;
}

/* Mends what has a hash. */
static unsigned mend_sections(struct cell_ref cell, bool tables_only)
{
    const struct arena_cell *c = cell_record(cell);
    uint32_t left = c->sections;
    unsigned mended = 0;

    for (struct section_ref i = c->first_section; left && is_record_sound(ARENA_SECTIONS, i.index);
         i = section_record(i)->next_in_cell, left--) {
        const struct arena_section *section = section_record(i);
        struct mend_found found;
        if (!same(section->cell, cell) || (tables_only && !is_table(section->kind)))
            continue;
        if (differs(section))
            mended += mend_sound_section(section, &found);
        else if (section->hash && section->rewritten)
            mended += mend_unsealed(section);
    }
    return mended;
}

/* What is soft may be wrong, and nobody would know. */
static void zero_soft(const struct arena_section *section)
{
    uint8_t *bytes = direct_bytes(section->phys);

    for (uint32_t i = 0; i < section->bytes; i++)
        __atomic_store_n(&bytes[i], 0, __ATOMIC_RELAXED);
}

/* Whether there is a way to put static data of the section right. */
static bool is_mendable(const struct arena_section *section)
{
    return section->copy_phys || (section->kind == SECTION_BSS && section->first_out.index);
}

/* Mends bound pointers and data that are set once, and zeroes what is soft. Of other data no record need be sound. */
static unsigned mend_data(struct cell_ref cell)
{
    const struct arena_cell *c = cell_record(cell);
    const struct arena_section *all = record_at(ARENA_SECTIONS, 0), *section;
    uint32_t left = c->data_bytes ? c->sections : 0, capacity = header_direct()->table[ARENA_SECTIONS].capacity;
    uint32_t limit = capacity < shape[ARENA_SECTIONS].most ? capacity : shape[ARENA_SECTIONS].most;
    unsigned mended = 0;

    for (uint32_t i = c->first_section.index; left && i && i < limit; i = section->next_in_cell.index, left--) {
        struct mend_found found;
        section = &all[i];
        if ((!is_mendable(section) && section->datum != DATUM_SOFT) || !same(section->cell, cell) ||
            !is_record_sound(ARENA_SECTIONS, i))
            continue;
        if (is_mendable(section))
            mended += mend_sound_section(section, &found) ? found.count : 0;
        else
            zero_soft(section);
    }
    return mended;
}

/* See mend_cell. Of a cell in which something is being changed all sections are looked at. The record is sound. */
static unsigned mend_whole_cell(struct cell_ref cell)
{
    bool whole;

    (void)find_damage(cell, &whole);
    unsigned mended = whole ? 0 : mend_sections(cell, false);
    return mended + mend_data(cell);
}

/* See mend_tables. The record is sound. */
static unsigned mend_its_tables(struct cell_ref cell)
{
    return has_its_sum(cell_record(cell)) ? 0 : mend_sections(cell, true);
}

/* See mend_all. */
static unsigned mend_many(const struct cell_ref *cells, unsigned count)
{
    uint32_t used = header_direct()->table[ARENA_CELLS].used, all = count ? count : used ? used - 1 : 0;
    unsigned mended = 0;

    for (uint32_t i = 0; i < all; i++) {
        struct cell_ref cell = count ? cells[i] : (struct cell_ref){i + 1};
        uint32_t state = cell_record(cell)->state;
        bool runs = state == CELL_LIVE || state == CELL_OLD; /* amid a swap the old one still does */
        if (!runs || !is_record_sound(ARENA_CELLS, cell.index))
            continue;
        bool needed = cell_record(cell)->flags & (NOTE_CORE | NOTE_FOUNDATION);
        mended += needed ? mend_whole_cell(cell) : mend_its_tables(cell);
    }
    return mended;
}
