/* See spare.h. Invariant: a piece is written only with bytes that have its check word, so damage to the parity itself
 * does no harm. */
#include "cells/recover/spare/spare.h"
#include "cells/core/arena/arena.h"
#include "cells/core/boot/boot.h"
#include "cells/core/page/page.h"
#include "cells/lib/string/string.h"
#include "cells/memory/state_db/state_db.h"

CELL("spare", KERNEL, 1);
EXPORT(spare_mend, KERNEL);

/* Constant from the init function on. No memory: there is no archive, or no room. */
static struct mapped_pages *memory;
static uint8_t *parity; /* a piece for each group, and behind them one to work in */
static uint32_t *checks;
static size_t groups, pieces;
SET_ONCE(memory);
SET_ONCE(parity);
SET_ONCE(checks);
SET_ONCE(groups);
SET_ONCE(pieces);

static uint8_t *piece_at(size_t piece)
{
    return (uint8_t *)page_direct(boot_get()->archive_phys) + piece * SPARE_PIECE_BYTES;
}

/* The last one is as long as the archive. */
static size_t piece_bytes(size_t piece)
{
    size_t rest = boot_get()->archive_bytes - piece * SPARE_PIECE_BYTES;

    return rest < SPARE_PIECE_BYTES ? rest : SPARE_PIECE_BYTES;
}

static uint32_t check_of(size_t piece)
{
    return arena_check(piece_at(piece), piece_bytes(piece));
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-use-of-uninitialized-value"
/* Exclusive or: as if what is behind the last piece were zeros. */
static void add(uint8_t *to, const uint8_t *from, size_t bytes)
{
    size_t i = 0;

    for (; i + 8 <= bytes; i += 8) {
        uint64_t a, b;
        __builtin_memcpy(&a, to + i, 8);
        __builtin_memcpy(&b, from + i, 8);
        a ^= b;
        __builtin_memcpy(to + i, &a, 8);
    }
    for (; i < bytes; i++)
        to[i] ^= from[i];
}
#pragma GCC diagnostic pop

/* False: another piece of its group is damaged too, or the parity. */
static bool mend_piece(size_t piece)
{
    uint8_t *work = parity + groups * SPARE_PIECE_BYTES;

    memcpy(work, parity + piece % groups * SPARE_PIECE_BYTES, SPARE_PIECE_BYTES);
    for (size_t other = piece % groups; other < pieces; other += groups)
        if (other != piece)
            add(work, piece_at(other), piece_bytes(other));
    if (arena_check(work, piece_bytes(piece)) != checks[piece])
        return false;
    memcpy(piece_at(piece), work, piece_bytes(piece));
    return true;
}

unsigned spare_mend(struct object_ref object)
{
    const struct arena_object *o = arena_object(object);
    uint64_t from = o->phys - boot_get()->archive_phys;
    unsigned mended = 0;

    if (!memory || from >= boot_get()->archive_bytes || !o->bytes)
        return 0;
    for (size_t piece = from / SPARE_PIECE_BYTES; piece < pieces && piece * SPARE_PIECE_BYTES < from + o->bytes;
         piece++)
        mended += check_of(piece) != checks[piece] && mend_piece(piece);
    return mended;
}

static enum err spare_init(void)
{
    size_t count = (boot_get()->archive_bytes + SPARE_PIECE_BYTES - 1) / SPARE_PIECE_BYTES;
    size_t parts = (count + SPARE_GROUP_PIECES - 1) / SPARE_GROUP_PIECES;

    if (!count || memory)
        return ERR_OK;
    if (parts < 2)
        parts = 2; /* so that neighbours are in different ones */
    memory = page_map((parts + 1) * SPARE_PIECE_BYTES + count * sizeof *checks, PAGE_WRITE | PAGE_OPAQUE);
    if (!memory)
        return ERR_OK; /* it works without */
    groups = parts;
    pieces = count;
    parity = page_start(memory);
    checks = (uint32_t *)(parity + (groups + 1) * SPARE_PIECE_BYTES);
    memset(parity, 0, groups * SPARE_PIECE_BYTES);
    for (size_t piece = 0; piece < pieces; piece++) {
        checks[piece] = check_of(piece);
        add(parity + piece % groups * SPARE_PIECE_BYTES, piece_at(piece), piece_bytes(piece));
    }
    return ERR_OK;
}
INIT(spare_init);

static enum err spare_done(void)
{
    state_db_forget(&memory);
    mapped_pages_put(memory);
    memory = NULL;
    return ERR_OK;
}
DONE(spare_done);
