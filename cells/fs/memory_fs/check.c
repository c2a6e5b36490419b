/* See check.h. */
#include "cells/fs/memory_fs/check.h"
#include "cells/core/arena/arena.h"
#include "cells/core/frame/frame.h"
#include "cells/core/page/page.h"
#include "cells/core/panic/panic.h"
#include "cells/fs/memory_fs/node.h"
#include "cells/host/log/log.h"
#include "cells/lib/string/string.h"
#include "cells/memory/heap/heap.h"
#include "cells/memory/reclaim/reclaim.h"
#include "cells/recover/mend/mend.h"

/* ---- text ---- */

uint64_t check_newest_fault(void)
{
    return __atomic_load_n(&arena_header()->fault_seq, __ATOMIC_ACQUIRE);
}

/* A function of each cell, in the order of enum check_extent. */
static const void *const functions[] = {memory_fs_open, memcpy,   lock_take,  heap_alloc,
                                        reclaim_map,    page_map, frame_alloc};
_Static_assert(array_size(functions) == CHECK_MAPS);

void check_text(enum check_extent extent)
{
    for (size_t i = 0; i < extent; i++)
        if (mend_find_damage(arena_cell_at((uint64_t)functions[i])).index)
            panic("memory_fs: text is damaged by which an operation was done");
}

/* ---- comparing ---- */

static bool same_bytes(const void *a, const void *b, size_t bytes)
{
    bool same = true; /* of no bytes */

    __asm__ volatile("cmp %%al, %%al; repe cmpsb; sete %0" : "=r"(same), "+S"(a), "+D"(b), "+c"(bytes)::"memory", "cc");
    return same;
}

static bool is_zero(const uint8_t *at, size_t bytes)
{
    bool zero = true;

    for (; bytes; at++, bytes--)
        zero &= !*at;
    return zero;
}

/* Words of a block or record. */
static bool same_words(const void *a, const void *b, size_t bytes)
{
    const uint64_t *x = a, *y = b;

    for (size_t i = 0; i < bytes / 8; i++)
        if (x[i] != y[i])
            return false;
    return true;
}

static bool is_empty(const struct entry *entry)
{
    return !entry || !entry->block;
}

static bool same_entry(const struct entry *a, const struct entry *b)
{
    return is_empty(a) ? is_empty(b) : !is_empty(b) && a->block == b->block && a->sum == b->sum;
}

static void must(bool right)
{
    if (!right)
        panic("memory_fs: an operation has done something else than it should");
}

bool check_content(struct volume *v, unsigned k, uint64_t node, size_t at, const uint8_t *data, size_t bytes)
{
    struct record *r = record_at(v, k, node);
    bool same = true;

    while (bytes) {
        size_t offset = at % BLOCK_BYTES, now = BLOCK_BYTES - offset < bytes ? BLOCK_BYTES - offset : bytes;
        const uint8_t *block = content_block(v, k, r, at / BLOCK_BYTES);
        same &= block ? same_bytes(block + offset, data, now) : is_zero(data, now);
        at += now, data += now, bytes -= now;
    }
    return same;
}

/* ---- changes ---- */

/* Bytes [from, to) of a block of the file are as in the second copy. */
static void must_be_as_before(const uint8_t *block, const uint8_t *before, size_t from, size_t to)
{
    must(before ? same_bytes(block + from, before + from, to - from) : is_zero(block + from, to - from));
}

/* Block number i of the file after a WRITE: old, written, old. */
static void check_written(struct volume *v, const struct change *c, struct record *now, struct record *before, size_t i)
    NEEDS(v)
{
    const struct entry *entry = entry_at(v, 0, now, i);
    const uint8_t *old = content_block(v, 1, before, i);
    size_t start = i * BLOCK_BYTES, end = c->at + c->bytes;
    size_t from = c->at > start ? c->at - start : 0, to = end - start < BLOCK_BYTES ? end - start : BLOCK_BYTES;

    must(!is_empty(entry));
    const uint8_t *block = block_at(v, 0, entry->block);
    must(entry->sum == sum_of(block, BLOCK_BYTES));
    must_be_as_before(block, old, 0, from);
    must(same_bytes(block + from, c->from + (start + from - c->at), to - from));
    must_be_as_before(block, old, to, BLOCK_BYTES);
}

/* The last block after a CUT: old, zeroes. */
static void check_cut(struct volume *v, const struct change *c, struct record *now, struct record *before, size_t i)
    NEEDS(v)
{
    const struct entry *entry = entry_at(v, 0, now, i);
    const uint8_t *old = content_block(v, 1, before, i);
    size_t rest = c->bytes - i * BLOCK_BYTES;

    must(is_empty(entry) == !old);
    if (!old)
        return;
    const uint8_t *block = block_at(v, 0, entry->block);
    must(entry->sum == sum_of(block, BLOCK_BYTES));
    must_be_as_before(block, old, 0, rest);
    must(is_zero(block + rest, BLOCK_BYTES - rest));
}

static void check_index(struct volume *v, const struct record *now)
{
    for (size_t i = 0; i < INDIRECT; i++)
        if (now->index[i].block)
            must(now->index[i].sum == sum_of(block_at(v, 0, now->index[i].block), BLOCK_BYTES));
}

/* Everything in a file that has been written or cut: what has changed as it should, and that the rest has not. */
static void check_file(struct volume *v, const struct change *c, struct record *now, struct record *before) NEEDS(v)
{
    bool cut = c->kind == CHANGE_CUT;
    size_t bytes = cut ? c->bytes : c->at + c->bytes, whole = before->bytes;
    size_t longest = blocks_of(bytes > whole ? bytes : whole);

    must(now->bytes == (cut || bytes > whole ? bytes : whole));
    for (size_t i = 0; i < longest; i++) {
        if (!cut && c->bytes && i >= c->at / BLOCK_BYTES && i < blocks_of(bytes))
            check_written(v, c, now, before, i);
        else if (cut && bytes < whole && i == bytes / BLOCK_BYTES && bytes % BLOCK_BYTES)
            check_cut(v, c, now, before, i);
        else if (cut && i >= blocks_of(bytes))
            must(is_empty(entry_at(v, 0, now, i)));
        else
            must(same_entry(entry_at(v, 0, now, i), entry_at(v, 1, before, i)));
    }
    if (longest > DIRECT)
        check_index(v, now);
}

static bool is_name(const char *name, const char *of)
{
    size_t i = 0;

    for (; i < MEMORY_FS_NAME_BYTES && of[i]; i++)
        if (name[i] != of[i])
            return false;
    for (; i < MEMORY_FS_NAME_BYTES; i++)
        if (name[i])
            return false;
    return name[0];
}

void check_change(struct volume *v, const struct change *c)
{
    struct record *now = record_at(v, 0, c->node), *before = record_at(v, 1, c->node), expected = *before;

    if (c->kind == CHANGE_ADD) {
        must(before->kind == KIND_FREE && is_name(now->name, c->name) && c->node < v->copy[0].slots);
        expected = (struct record){.kind = c->becomes, .parent = c->parent, .order = v->order};
        __builtin_memcpy(expected.name, now->name, sizeof expected.name);
    } else if (c->kind == CHANGE_REMOVE) {
        must(before->kind != KIND_FREE);
        if (c->becomes == KIND_FREE)
            expected = (struct record){0};
        expected.kind = c->becomes;
        expected.parent = SLOT_NONE;
    } else {
        must(before->kind != KIND_FREE && before->kind != KIND_DIRECTORY);
        check_file(v, c, now, before);
        expected.bytes = now->bytes; /* what has been compared */
        __builtin_memcpy(expected.direct, now->direct, sizeof expected.direct);
        __builtin_memcpy(expected.index, now->index, sizeof expected.index);
    }
    expected.check = now->check;
    must(same_words(now, &expected, sizeof expected));
}

/* ---- the second copy ---- */

static void copy_block(struct volume *v, unsigned to, const struct entry *entry)
{
    uint8_t *block = block_at(v, to, entry->block);

    memcpy(block, block_at(v, !to, entry->block), BLOCK_BYTES);
    must(sum_of(block, BLOCK_BYTES) == entry->sum);
}

/* A block that is referred to no more, and one that is now. */
static void count_entry(struct volume *v, const struct entry *now, const struct entry *before, bool counts)
{
    if (is_empty(before) || (!is_empty(now) && now->block == before->block))
        return;
    block_mark(v, before->block, false);
    if (counts && v->blocks)
        v->blocks--;
}

static void copy_file(struct volume *v, struct record *now, struct record *before) NEEDS(v)
{
    size_t longest = blocks_of(now->bytes > before->bytes ? now->bytes : before->bytes);

    for (size_t i = 0; i < longest; i++) {
        const struct entry *to = entry_at(v, 0, now, i), *from = entry_at(v, 1, before, i);
        count_entry(v, to, from, true);
        if (!same_entry(to, from) && !is_empty(to))
            copy_block(v, 1, to);
    }
    for (size_t i = 0; i < INDIRECT; i++) {
        count_entry(v, &now->index[i], &before->index[i], false);
        if (!same_entry(&now->index[i], &before->index[i]) && !is_empty(&now->index[i]))
            copy_block(v, 1, &now->index[i]);
    }
}

static bool is_record_block_used(struct volume *v, uint64_t node)
{
    uint64_t first = node - node % (BLOCK_BYTES / RECORD_BYTES);

    for (uint64_t slot = first; slot < first + BLOCK_BYTES / RECORD_BYTES; slot++)
        if (record_try(v, 1, slot)->kind != KIND_FREE)
            return true;
    return false;
}

void check_copy(struct volume *v, uint64_t node)
{
    struct record *now = record_at(v, 0, node), *before = record_at(v, 1, node);

    copy_file(v, now, before);
    v->nodes += (now->kind != KIND_FREE && now->kind != KIND_REMOVED);
    v->nodes -= (before->kind != KIND_FREE && before->kind != KIND_REMOVED);
    v->copy[1].slots = v->copy[0].slots;
    __builtin_memcpy(before, now, sizeof *before);
    block_mark(v, record_block(node), is_record_block_used(v, node));
    must(same_words(before, now, sizeof *before));
}

/* ---- all of it ---- */

static bool is_block_right(struct volume *v, unsigned k, const struct entry *entry)
{
    const uint8_t *block = block_try(v, k, entry->block);

    return block && sum_of(block, BLOCK_BYTES) == entry->sum;
}

/* The entries of a file that are in copy k, one after the other; NULL: there are no more. */
static struct entry *entry_try(struct volume *v, unsigned k, struct record *r, size_t i)
{
    if (i < DIRECT)
        return &r->direct[i];
    const struct entry *index = &r->index[(i - DIRECT) / INDEX_ENTRIES];
    uint8_t *block = index->block ? block_try(v, k, index->block) : NULL;
    return block ? (struct entry *)block + (i - DIRECT) % INDEX_ENTRIES : NULL;
}

/* Whether the node in copy k is as it was when it was sealed, contents and all. */
static bool is_whole(struct volume *v, unsigned k, uint64_t slot)
{
    struct record *r = record_try(v, k, slot);

    if (!r || !record_is_right(r, slot))
        return false;
    for (size_t i = 0; i < INDIRECT; i++)
        if (!is_empty(&r->index[i]) && !is_block_right(v, k, &r->index[i]))
            return false;
    for (size_t i = 0; i < blocks_of(r->bytes) && i < FILE_BLOCKS; i++) {
        const struct entry *entry = entry_try(v, k, r, i);
        if (!is_empty(entry) && !is_block_right(v, k, entry))
            return false;
    }
    return true;
}

/* Has the block in copy `to` as it is in the other one, if it is not right. */
static void restore_block(struct volume *v, unsigned to, const struct entry *entry) NEEDS(v)
{
    if (is_empty(entry) || is_block_right(v, to, entry) || block_map(v, entry->block) != ERR_OK)
        return;
    __builtin_memcpy(block_at(v, to, entry->block), block_at(v, !to, entry->block), BLOCK_BYTES);
}

/* Takes a block of which both copies have the same check word from the one where it is right. */
static void salvage_block(struct volume *v, const struct entry *entry) NEEDS(v)
{
    for (unsigned k = 0; k < 2; k++)
        if (!is_empty(entry) && is_block_right(v, !k, entry))
            restore_block(v, k, entry);
}

/* Neither copy is whole: what is right in one of them is taken for both. Returns the copy whose record is right. */
static unsigned salvage(struct volume *v, uint64_t slot) NEEDS(v)
{
    unsigned k = !record_is_right(record_try(v, 0, slot), slot);
    struct record *r = record_try(v, k, slot);

    if (!record_is_right(r, slot)) {
        log_warn("memory_fs: node %lu is lost", slot);
        *r = (struct record){0};
        return k;
    }
    for (size_t i = 0; i < INDIRECT; i++)
        salvage_block(v, &r->index[i]);
    for (size_t i = 0; i < blocks_of(r->bytes) && i < FILE_BLOCKS; i++) {
        struct entry *entry = entry_try(v, k, r, i);
        if (entry)
            salvage_block(v, entry);
    }
    if (!is_whole(v, k, slot))
        log_warn("memory_fs: contents of %s are lost", r->name);
    return k;
}

/* Makes the node in copy `to` like that in the other one. */
static void restore(struct volume *v, unsigned to, uint64_t slot) NEEDS(v)
{
    struct record *good = record_try(v, !to, slot), *bad = record_try(v, to, slot);

    for (size_t i = 0; i < blocks_of(good->bytes) && i < FILE_BLOCKS; i++)
        restore_block(v, to, entry_try(v, !to, good, i));
    for (size_t i = 0; i < INDIRECT; i++)
        restore_block(v, to, &good->index[i]);
    __builtin_memcpy(bad, good, sizeof *bad);
}

static void mark_all(struct volume *v, uint64_t slot)
{
    struct record *r = record_try(v, 0, slot);

    if (r->kind == KIND_FREE)
        return;
    v->copy[0].slots = v->copy[1].slots = slot + 1;
    v->nodes += slot != SLOT_ROOT && r->kind != KIND_REMOVED;
    if (r->order >= v->order)
        v->order = r->order + 1;
    block_mark(v, record_block(slot), true);
    for (size_t i = 0; i < INDIRECT; i++)
        block_mark(v, r->index[i].block, true);
    for (size_t i = 0; i < blocks_of(r->bytes) && i < FILE_BLOCKS; i++) {
        const struct entry *entry = entry_try(v, 0, r, i);
        if (is_empty(entry))
            continue;
        block_mark(v, entry->block, true);
        v->blocks++;
    }
}

static void repair_node(struct volume *v, uint64_t slot) NEEDS(v)
{
    unsigned first = v->stage == STAGE_FIRST; /* the copy that is taken when both are whole */
    bool other = !is_whole(v, first, slot);
    unsigned good = first ^ other;

    if (other && !is_whole(v, good, slot))
        good = salvage(v, slot);
    restore(v, !good, slot);
}

void volume_repair(struct volume *v)
{
    uint64_t newest = check_newest_fault();

    check_text(CHECK_MAPS);
    for (uint64_t slot = SLOT_ROOT; slot < SLOTS; slot++)
        if ((record_try(v, 0, slot) || record_try(v, 1, slot)) && !block_map(v, record_block(slot)))
            repair_node(v, slot);
    __builtin_memset(v->used, 0, sizeof v->used);
    v->used[0] = 1;
    v->nodes = v->blocks = 0;
    v->order = 1;
    for (uint64_t slot = SLOT_ROOT; slot < SLOTS; slot++)
        if (record_try(v, 0, slot))
            mark_all(v, slot);
    check_text(CHECK_MAPS);
    volume_mend_seals(v);
    v->stage = STAGE_CLEAN;
    v->seen = newest;
}
