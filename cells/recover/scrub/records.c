/* Records of the arena: a check word that does not fit finds the one bit whose flip explains it, in the record or in
 * the word itself, and that is flipped back. Invariant: a record is changed only when there is exactly one such bit. */
#include "cells/core/arena/arena.h"
#include "cells/core/loader/loader.h"
#include "cells/lib/format/format.h"
#include "cells/lib/string/string.h"
#include "cells/recover/scrub/inside.h"
#include "guest/abi/arena.h"

#define STEP_RECORDS 16
#define STABLE_MOST  256

static const struct {
    uint32_t record_bytes, stable_bytes;
    const char *name;
} shape[ARENA_TABLES] = {
#define X(table, type, stable, base, most) [ARENA_##table] = {sizeof(type), stable, #table},
    ARENA_SHAPES(X)
#undef X
};

static unsigned table_at;
static uint32_t record_at;

static uint32_t check_of(const uint8_t *record, uint32_t bytes)
{
    return arena_check(record + 4, bytes - 4);
}

/* Flips the one bit in the copy of a record that its check word asks for. False: there is none, or more than one. */
static bool correct(uint8_t *record, uint32_t bytes)
{
    uint32_t check, fits = check_of(record, bytes), found = 0, bits = 0;

    memcpy(&check, record, sizeof check);
    if (((check ^ fits) & ((check ^ fits) - 1)) == 0) { /* one bit of the word itself */
        memcpy(record, &fits, sizeof fits);
        return true;
    }
    for (uint32_t bit = 32; bit < bytes * 8; bit++) {
        record[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (check_of(record, bytes) == check) {
            found = bit;
            bits++;
        }
        record[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    if (bits == 1)
        record[found / 8] ^= (uint8_t)(1 << found % 8);
    return bits == 1;
}

/* A symbol that a rebuilt index lacks, since it was damaged then, is found again. */
static void publish_again(uint32_t table, uint32_t index) NEEDS(arena_writer)
{
    const struct arena_symbol *s;

    if (table != ARENA_SYMBOLS)
        return;
    s = arena_symbol((struct symbol_ref){index});
    struct cell_ref cell = arena_section(s->section)->cell;
    if (s->access && arena_cell(cell)->state == CELL_LIVE)
        loader_publish_symbols(cell);
}

/* Writes the corrected copy over the record, if that still is as it was copied. */
static bool put_back(enum arena_table table, uint32_t index, const uint8_t *was, const uint8_t *right)
{
    GUARD(loader) locked = loader_hold();
    GUARD(arena) held = arena_change();
    uint8_t *record = arena_record(table, index);
    uint32_t stable = shape[table].stable_bytes;

    if (memcmp(record, was, stable))
        return false;
    memcpy(record, right, stable);
    arena_record_seal(table, index);
    publish_again(table, index);
    return true;
}

static bool is_free(const uint8_t *record)
{
    uint32_t check;

    memcpy(&check, record, sizeof check);
    return !check;
}

static void scrub_record(enum arena_table table, uint32_t index)
{
    uint8_t was[STABLE_MOST], right[STABLE_MOST], *record = arena_record(table, index);
    uint32_t stable = shape[table].stable_bytes;
    char place[64];

    memcpy(was, record, stable);
    memcpy(right, was, stable);
    if (arena_record_sound(table, index) || is_free(was) || !correct(right, stable) ||
        !put_back(table, index, was, right))
        return;
    format_print(place, sizeof place, "arena, %s, record %u", shape[table].name, index);
    scrub_report((struct fault_damage){.address = (uint64_t)record, .place = place}, 1, "bit");
}

/* Records that are being changed do not fit their check words for a moment: no bit explains that, and if one did, the
 * record would be another one by the time it is put back. */
uint32_t scrub_records(void)
{
    for (unsigned i = 0; i < STEP_RECORDS; i++) {
        if (++record_at >= arena_header()->table[table_at].used || !shape[table_at].stable_bytes) {
            record_at = 0;
            table_at = (table_at + 1) % ARENA_TABLES;
            return 0;
        }
        const uint8_t *record = arena_record(table_at, record_at);
        if (!is_free(record) && !arena_record_sound(table_at, record_at))
            scrub_record(table_at, record_at);
    }
    return STEP_RECORDS * 64;
}
