/* See node.h. */
#include "cells/fs/memory_fs/node.h"
#include "cells/core/cpu/crc32.h"
#include "cells/core/panic/panic.h"
#include "cells/lib/string/string.h"

/* ---- check words ---- */

uint32_t sum_of(const void *from, size_t bytes)
{
    const uint64_t *p = from;
    uint64_t sum = 1;

    if (has_crc32())
        return crc32_words(~0u, p, bytes / 8);
    for (size_t i = 0; i < bytes / 8; i++)
        sum = (sum ^ p[i]) * 0x9e3779b97f4a7c15, sum ^= sum >> 32;
    return (uint32_t)sum;
}

/* ---- records ---- */

static uint32_t record_sum(const struct record *r, uint64_t slot)
{
    uint32_t sum = sum_of((const uint8_t *)r + 8, sizeof *r - 8) ^ r->kind * 0x01000193u ^ (uint32_t)slot * 0x9e3779b1u;

    return sum ? sum : 1;
}

struct record *record_try(struct volume *v, unsigned k, uint64_t slot)
{
    uint8_t *block = slot < SLOTS ? block_try(v, k, record_block(slot)) : NULL;

    return block ? (struct record *)(block + slot * RECORD_BYTES % BLOCK_BYTES) : NULL;
}

bool record_is_right(const struct record *r, uint64_t slot)
{
    const uint64_t *word = (const uint64_t *)r;

    if (r->kind)
        return r->check == record_sum(r, slot);
    for (size_t i = 0; i < sizeof *r / sizeof *word; i++)
        if (word[i])
            return false;
    return true;
}

struct record *record_at(struct volume *v, unsigned k, uint64_t slot)
{
    struct record *r = record_try(v, k, slot);

    if (!r || !record_is_right(r, slot))
        panic("memory_fs: a record is damaged");
    return r;
}

void record_seal(struct record *r, uint64_t slot)
{
    r->check = record_sum(r, slot);
}

/* ---- names ---- */

/* Copies the first name of *path, which starts with a slash, and moves *path behind it. */
static bool next_name(const char **path, char ret_name[MEMORY_FS_NAME_BYTES])
{
    const char *at = *path;
    size_t n = 0;

    if (*at++ != '/')
        return false;
    for (; at[n] && at[n] != '/'; n++)
        if (n + 1 >= MEMORY_FS_NAME_BYTES)
            return false;
    string_copy(ret_name, at, MEMORY_FS_NAME_BYTES < n + 1 ? MEMORY_FS_NAME_BYTES : n + 1);
    memset(ret_name + n, 0, MEMORY_FS_NAME_BYTES - n);
    *path = at + n;
    return n > 0 && !string_equal(ret_name, ".") && !string_equal(ret_name, "..");
}

/* Records that are mapped, kind by kind: the first from `slot` on that is no free one. */
static struct record *next_record(struct volume *v, unsigned k, uint64_t *slot)
{
    for (; *slot < v->copy[k].slots; ++*slot) {
        struct record *r = record_try(v, k, *slot);
        if (r && r->kind != KIND_FREE)
            return r;
    }
    return NULL;
}

static uint64_t child_of(struct volume *v, unsigned k, uint64_t directory, const char *name)
{
    struct record *r;

    for (uint64_t slot = SLOT_ROOT + 1; (r = next_record(v, k, &slot)); slot++)
        if (r->parent == directory && string_equal(r->name, name))
            return slot;
    return SLOT_NONE;
}

struct place place_find(struct volume *v, unsigned k, const char *path)
{
    struct place place = {.node = SLOT_ROOT, .kind = KIND_DIRECTORY};

    if (string_equal(path, "/"))
        return place;
    for (;;) {
        if (place.kind != KIND_DIRECTORY || !next_name(&path, place.name)) {
            place.error = ERR_INVALID;
            return place;
        }
        place.parent = place.node;
        place.node = child_of(v, k, place.parent, place.name);
        place.kind = place.node ? record_at(v, k, place.node)->kind : KIND_FREE;
        if (!*path)
            return place;
        if (!place.node) {
            place.error = ERR_NOT_FOUND;
            return place;
        }
    }
}

uint64_t node_listed(struct volume *v, unsigned k, uint64_t directory, size_t index)
{
    uint64_t least = 0, found;

    do {
        uint64_t order = UINT64_MAX;
        struct record *r;
        found = SLOT_NONE;
        for (uint64_t slot = SLOT_ROOT + 1; (r = next_record(v, k, &slot)); slot++)
            if (r->parent == directory && r->order > least && r->order < order) {
                found = slot;
                order = r->order;
            }
        least = order;
    } while (found && index--);
    return found;
}

bool node_has_children(struct volume *v, unsigned k, uint64_t directory)
{
    struct record *r;

    for (uint64_t slot = SLOT_ROOT + 1; (r = next_record(v, k, &slot)); slot++)
        if (r->parent == directory)
            return true;
    return false;
}

enum err node_find_slot(struct volume *v, uint64_t *ret_slot)
{
    uint64_t slot = SLOT_ROOT + 1;

    for (; slot < v->copy[0].slots; slot++) {
        const struct record *r = record_try(v, 0, slot);
        if (!r || r->kind == KIND_FREE)
            break;
    }
    if (slot >= SLOTS)
        return ERR_FULL;
    *ret_slot = slot;
    return block_map(v, record_block(slot));
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-null-dereference" /* the block is mapped */
enum err node_make_root(struct volume *v)
{
    enum err e = block_map(v, record_block(SLOT_ROOT));

    for (unsigned k = 0; k < 2 && e == ERR_OK; k++) {
        struct record *r = record_try(v, k, SLOT_ROOT);
        r->kind = KIND_DIRECTORY;
        record_seal(r, SLOT_ROOT);
        v->copy[k].slots = SLOT_ROOT + 1;
    }
    block_mark(v, record_block(SLOT_ROOT), true);
    v->order = 1;
    return e;
}
#pragma GCC diagnostic pop

/* ---- contents ---- */

static struct entry *entries_at(struct volume *v, unsigned k, const struct entry *index)
{
    return (struct entry *)block_at(v, k, index->block);
}

struct entry *entry_at(struct volume *v, unsigned k, struct record *r, size_t i)
{
    if (i < DIRECT)
        return &r->direct[i];
    i -= DIRECT;
    assert(i < INDIRECT * INDEX_ENTRIES);
    const struct entry *index = &r->index[i / INDEX_ENTRIES];
    return index->block ? entries_at(v, k, index) + i % INDEX_ENTRIES : NULL;
}

const uint8_t *content_block(struct volume *v, unsigned k, struct record *r, size_t i)
{
    const struct entry *entry = entry_at(v, k, r, i);

    return entry && entry->block ? block_at(v, k, entry->block) : NULL;
}

/* Has a block for number i of a file, and one for its entry. */
static enum err make_entry(struct volume *v, struct record *r, size_t i, struct entry **ret_entry) NEEDS(v)
{
    struct entry *index = i < DIRECT ? NULL : &r->index[(i - DIRECT) / INDEX_ENTRIES];
    uint64_t block = 0;
    enum err e = ERR_OK;

    if (index && !index->block) {
        e = block_new(v, false, &block);
        index->block = (uint32_t)block;
    }
    struct entry *entry = e == ERR_OK ? entry_at(v, 0, r, i) : NULL;
    if (entry && !entry->block) {
        e = block_new(v, true, &block);
        entry->block = e == ERR_OK ? (uint32_t)block : 0;
    }
    *ret_entry = entry;
    return e;
}

static void seal_index(struct volume *v, struct record *r)
{
    for (size_t i = 0; i < INDIRECT; i++)
        if (r->index[i].block)
            r->index[i].sum = sum_of(entries_at(v, 0, &r->index[i]), BLOCK_BYTES);
}

enum err content_write(struct volume *v, struct record *r, size_t at, const uint8_t *from, size_t bytes)
{
    bool far = at + bytes > DIRECT * BLOCK_BYTES;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-null-dereference" /* make_entry has made it */
    if (at + bytes > r->bytes)
        r->bytes = at + bytes;
    while (bytes) {
        size_t offset = at % BLOCK_BYTES, now = BLOCK_BYTES - offset < bytes ? BLOCK_BYTES - offset : bytes;
        struct entry *entry;
        enum err e = make_entry(v, r, at / BLOCK_BYTES, &entry);
        if (e != ERR_OK)
            return e;
        uint8_t *block = block_at(v, 0, entry->block);
        memcpy(block + offset, from, now);
        entry->sum = sum_of(block, BLOCK_BYTES);
        at += now, from += now, bytes -= now;
    }
    if (far)
        seal_index(v, r);
    return ERR_OK;
}
#pragma GCC diagnostic pop

void content_cut(struct volume *v, struct record *r, size_t bytes)
{
    size_t rest = bytes % BLOCK_BYTES, last = bytes / BLOCK_BYTES;
    struct entry *entry;

    for (size_t i = blocks_of(bytes); i < blocks_of(r->bytes); i++)
        if ((entry = entry_at(v, 0, r, i)))
            *entry = (struct entry){0};
    for (size_t i = 0; i < INDIRECT; i++)
        if (blocks_of(bytes) <= DIRECT + i * INDEX_ENTRIES)
            r->index[i] = (struct entry){0};
    if (bytes < r->bytes && rest && (entry = entry_at(v, 0, r, last)) && entry->block) {
        uint8_t *block = block_at(v, 0, entry->block);
        memset(block + rest, 0, BLOCK_BYTES - rest);
        entry->sum = sum_of(block, BLOCK_BYTES);
    }
    r->bytes = bytes;
    seal_index(v, r);
}

void content_read(struct volume *v, unsigned k, struct record *r, size_t at, uint8_t *to, size_t bytes)
{
    while (bytes) {
        size_t offset = at % BLOCK_BYTES, now = BLOCK_BYTES - offset < bytes ? BLOCK_BYTES - offset : bytes;
        const uint8_t *block = content_block(v, k, r, at / BLOCK_BYTES);

        if (block)
            memcpy(to, block + offset, now);
        else
            memset(to, 0, now);
        to += now, at += now, bytes -= now;
    }
}
