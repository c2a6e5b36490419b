/* See memory_fs.h. Handles, and the operations on them; volume.h tells how nothing is lost. */
#include "cells/fs/memory_fs/memory_fs.h"
#include "cells/core/panic/panic.h"
#include "cells/fs/memory_fs/check.h"
#include "cells/fs/memory_fs/node.h"
#include "cells/lib/string/string.h"
#include "cells/memory/heap/heap.h"

CELL("memory_fs", KERNEL, 1);
EXPORT(memory_fs_file_put, APPLICATION);
EXPORT(memory_fs_open, APPLICATION);
EXPORT(memory_fs_read, APPLICATION);
EXPORT(memory_fs_write, APPLICATION);
EXPORT(memory_fs_seek, APPLICATION);
EXPORT(memory_fs_truncate, APPLICATION);
EXPORT(memory_fs_length, APPLICATION);
EXPORT(memory_fs_make_directory, APPLICATION);
EXPORT(memory_fs_unlink, APPLICATION);
EXPORT(memory_fs_list, APPLICATION);
EXPORT(memory_fs_usage, APPLICATION);

/* Refers to its volume, which is another than the cell's after the cell was unloaded and loaded again. */
struct memory_fs_file {
    uint64_t check; /* of the rest */
    struct volume *volume;
    uint64_t node, order; /* the slot, and the node that it had when the file was opened */
    uint64_t position, writable;
};

/* With its complement: a damaged one is not followed, but found again, which has all that is in it compared. */
static struct volume *volume;
static uint64_t complement;

static struct volume *known_volume(void)
{
    struct volume *v = __atomic_load_n(&volume, __ATOMIC_ACQUIRE);

    return ~(uint64_t)v == __atomic_load_n(&complement, __ATOMIC_RELAXED) ? v : NULL;
}

/* The cell's volume, made at its first use. NULL: no memory. */
static struct volume *volume_here(void)
{
    struct volume *v = known_volume(), *before = __atomic_load_n(&volume, __ATOMIC_RELAXED);

    if (v)
        return v;
    v = volume_find_again(before);
    struct volume *fresh = v ? v : volume_new();
    if (!fresh)
        return NULL;
    volume_seal(fresh);
    if (!__atomic_compare_exchange_n(&volume, &before, fresh, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        if (!v)
            volume_drop(fresh);
        return before;
    }
    __atomic_store_n(&complement, ~(uint64_t)fresh, __ATOMIC_RELAXED);
    return fresh;
}

/* ---- open files ---- */

static uint64_t file_sum(const struct memory_fs_file *file)
{
    return sum_of(&file->volume, sizeof *file - offsetof(struct memory_fs_file, volume));
}

static struct volume *volume_of(const struct memory_fs_file *file)
{
    if (file->check != file_sum(file))
        panic("memory_fs: an open file is damaged");
    return file->volume;
}

static void set_position(struct memory_fs_file *file, uint64_t position)
{
    file->position = position;
    file->check = file_sum(file);
    assert(file->position == position);
}

/* The record of an open file, which is the same in both copies. */
static struct record *record_of(struct volume *v, const struct memory_fs_file *file) NEEDS(v)
{
    struct record *r = record_at(v, 0, file->node);

    if (r->order != file->order || r->bytes != record_at(v, 1, file->node)->bytes)
        panic("memory_fs: an open file has another node");
    return r;
}

/* ---- changes ---- */

static enum err apply(struct volume *v, const struct change *c) NEEDS(v)
{
    struct record *r = record_at(v, 0, c->node);
    enum err e = ERR_OK;

    switch (c->kind) {
    case CHANGE_WRITE:
        e = content_write(v, r, c->at, c->from, c->bytes);
        break;
    case CHANGE_CUT:
        content_cut(v, r, c->bytes);
        break;
    case CHANGE_ADD:
        *r = (struct record){.kind = c->becomes, .parent = c->parent, .order = v->order};
        string_copy(r->name, c->name, sizeof r->name);
        if (c->node >= v->copy[0].slots)
            v->copy[0].slots = c->node + 1;
        break;
    case CHANGE_REMOVE:
        if (c->becomes == KIND_FREE)
            *r = (struct record){0};
        r->kind = c->becomes;
        r->parent = SLOT_NONE;
        break;
    }
    if (r->kind != KIND_FREE)
        record_seal(r, c->node);
    return e;
}

static void set_stage(struct volume *v, enum stage stage)
{
    __atomic_store_n(&v->stage, stage, __ATOMIC_SEQ_CST);
}

/* Does it whole, or not at all. */
static enum err commit(struct volume *v, const struct change *c) NEEDS(v)
{
    v->maps = false;
    set_stage(v, STAGE_FIRST);
    enum err e = apply(v, c);
    if (e != ERR_OK) {
        volume_repair(v);
        extents_trim(v);
        check_text(CHECK_MAPS);
        return e;
    }
    check_change(v, c);
    check_text(v->maps ? CHECK_MAPS : CHECK_OWN);
    set_stage(v, STAGE_SECOND);
    check_copy(v, c->node);
    check_text(CHECK_OWN);
    v->order += c->kind == CHANGE_ADD;
    set_stage(v, STAGE_CLEAN);
    if (c->kind == CHANGE_CUT || c->kind == CHANGE_REMOVE)
        extents_trim(v);
    return ERR_OK;
}

static enum err cut(struct volume *v, uint64_t node, size_t bytes) NEEDS(v)
{
    return commit(v, &(struct change){.kind = CHANGE_CUT, .node = node, .bytes = bytes});
}

static enum err add(struct volume *v, const struct place *where, enum kind becomes, uint64_t *ret_node) NEEDS(v)
{
    struct change c = {.kind = CHANGE_ADD, .becomes = becomes, .parent = where->parent, .name = where->name};

    if (v->nodes >= MEMORY_FS_QUOTA_NODES)
        return ERR_FULL;
    enum err e = node_find_slot(v, &c.node);
    if (e == ERR_OK)
        e = commit(v, &c);
    if (e == ERR_OK)
        *ret_node = c.node;
    return e;
}

static enum err remove(struct volume *v, uint64_t node, enum kind becomes) NEEDS(v)
{
    return commit(v, &(struct change){.kind = CHANGE_REMOVE, .node = node, .becomes = becomes});
}

/* ---- questions: each is asked of both copies ---- */

static bool same_place(const struct place *a, const struct place *b)
{
    return a->error == b->error && a->kind == b->kind && a->parent == b->parent && a->node == b->node &&
           string_equal(a->name, b->name);
}

static struct place locate(struct volume *v, const char *path) NEEDS(v)
{
    struct place first = place_find(v, 0, path), second = place_find(v, 1, path);

    if (!same_place(&first, &second))
        panic("memory_fs: the copies differ about a path");
    return first;
}

/* ---- the interface ---- */

/* Also while a task is unwound after a fault: it does no more than it must. */
static void release_node(struct volume *v, const struct memory_fs_file *file)
{
    if (volume_close(v, file->node))
        return;
    GUARD(volume) inside = volume_enter(v);
    if (record_of(v, file)->kind == KIND_REMOVED && !v->open[file->node])
        (void)remove(v, file->node, KIND_FREE);
}

void memory_fs_file_put(TAKES struct memory_fs_file *file)
{
    if (!file)
        return;
    OWN(heap) struct memory_fs_file *held = file; /* freed also when the task is ended while it waits for the volume */
    struct volume *v = volume_of(held);
    release_node(v, held);
    volume_put(v);
}

/* The node to open, made when there is none and `flags` allow it. */
static enum err open_node(struct volume *v, const char *path, unsigned flags, uint64_t *ret_node) NEEDS(v)
{
    struct place where = locate(v, path);

    if (where.error != ERR_OK)
        return where.error;
    if (!where.node && !(flags & MEMORY_FS_CREATE))
        return ERR_NOT_FOUND;
    if (!where.node)
        return add(v, &where, KIND_FILE, ret_node);
    if (where.kind == KIND_DIRECTORY)
        return ERR_INVALID;
    if (flags & MEMORY_FS_EXCLUSIVE)
        return ERR_EXISTS;
    *ret_node = where.node;
    return flags & MEMORY_FS_TRUNCATE ? cut(v, where.node, 0) : ERR_OK;
}

static enum err open_file(struct volume *v, const char *path, unsigned flags, struct memory_fs_file *file) NEEDS(v)
{
    uint64_t node = SLOT_NONE;
    enum err e = open_node(v, path, flags, &node);

    if (e != ERR_OK)
        return e;
    *file = (struct memory_fs_file){
        .volume = v, .node = node, .order = record_at(v, 0, node)->order, .writable = flags & MEMORY_FS_WRITE};
    set_position(file, 0);
    struct place where = place_find(v, 1, path);
    assert(file->node == where.node && file->order == record_at(v, 1, where.node)->order);
    v->open[node]++;
    volume_get(v);
    return ERR_OK;
}

enum err memory_fs_open(const char *path, unsigned flags, struct memory_fs_file **ret_file)
{
    struct volume *v = volume_here();
    OWN(heap) struct memory_fs_file *file = heap_alloc(sizeof *file);

    if (!v || !file)
        return ERR_NOMEM;
    GUARD(volume) inside = volume_enter(v);
    enum err e = open_file(v, path, flags, file);
    check_text(CHECK_HEAP);
    if (e == ERR_OK)
        *ret_file = MOVE(file);
    return e;
}

/* Reads from one copy, and compares that with the other. */
enum err memory_fs_read(struct memory_fs_file *file, void *to, size_t bytes, size_t *ret_bytes)
{
    struct volume *v = volume_of(file);
    GUARD(volume) inside = volume_enter(v);
    struct record *r = record_of(v, file);
    size_t position = file->position, left = position < r->bytes ? r->bytes - position : 0;
    size_t now = bytes < left ? bytes : left;

    content_read(v, 0, r, position, to, now);
    if (!check_content(v, 1, file->node, position, to, now))
        panic("memory_fs: the copies of a file differ");
    check_text(CHECK_OWN);
    set_position(file, position + now);
    *ret_bytes = now;
    return ERR_OK;
}

static enum err write(struct volume *v, struct memory_fs_file *file, const void *from, size_t bytes) NEEDS(v)
{
    size_t end, position = file->position;

    if (!file->writable)
        return ERR_NO_ACCESS;
    if (__builtin_add_overflow(position, bytes, &end) || end > MEMORY_FS_FILE_BYTES)
        return ERR_RANGE;
    struct change c = {.kind = CHANGE_WRITE, .node = file->node, .at = position, .from = from, .bytes = bytes};
    enum err e = record_of(v, file) ? commit(v, &c) : ERR_INVALID;
    if (e != ERR_OK)
        return e;
    if (!check_content(v, 1, file->node, position, from, bytes))
        panic("memory_fs: what was written is not there");
    set_position(file, end);
    return ERR_OK;
}

enum err memory_fs_write(struct memory_fs_file *file, const void *from, size_t bytes)
{
    struct volume *v = volume_of(file);
    GUARD(volume) inside = volume_enter(v);
    enum err e = write(v, file, from, bytes);

    check_text(CHECK_OWN);
    return e;
}

enum err memory_fs_seek(struct memory_fs_file *file, size_t position)
{
    (void)volume_of(file);
    if (position > MEMORY_FS_FILE_BYTES)
        return ERR_RANGE;
    set_position(file, position);
    return ERR_OK;
}

enum err memory_fs_truncate(struct memory_fs_file *file, size_t bytes)
{
    struct volume *v = volume_of(file);

    if (!file->writable)
        return ERR_NO_ACCESS;
    if (bytes > MEMORY_FS_FILE_BYTES)
        return ERR_RANGE;
    GUARD(volume) inside = volume_enter(v);
    enum err e = record_of(v, file) ? cut(v, file->node, bytes) : ERR_INVALID;
    check_text(CHECK_OWN);
    return e;
}

size_t memory_fs_length(const struct memory_fs_file *file)
{
    struct volume *v = volume_of(file);
    GUARD(volume) inside = volume_enter(v);
    size_t bytes = record_of(v, file)->bytes;

    check_text(CHECK_OWN);
    return bytes;
}

static enum err make_directory(struct volume *v, const char *path) NEEDS(v)
{
    struct place where = locate(v, path);
    uint64_t node;

    if (where.error != ERR_OK)
        return where.error;
    if (where.node)
        return where.parent ? ERR_EXISTS : ERR_INVALID; /* the root has no name */
    return add(v, &where, KIND_DIRECTORY, &node);
}

enum err memory_fs_make_directory(const char *path)
{
    struct volume *v = volume_here();

    if (!v)
        return ERR_NOMEM;
    GUARD(volume) inside = volume_enter(v);
    enum err e = make_directory(v, path);
    check_text(CHECK_OWN);
    return e;
}

static enum err unlink(struct volume *v, const char *path) NEEDS(v)
{
    struct place where = locate(v, path);

    if (where.error != ERR_OK)
        return where.error;
    if (!where.node)
        return ERR_NOT_FOUND;
    if (where.node == SLOT_ROOT)
        return ERR_INVALID;
    if (node_has_children(v, 0, where.node) || node_has_children(v, 1, where.node))
        return ERR_BUSY;
    return remove(v, where.node, v->open[where.node] ? KIND_REMOVED : KIND_FREE);
}

enum err memory_fs_unlink(const char *path)
{
    struct volume *v = volume_here();

    if (!v)
        return ERR_NOMEM;
    GUARD(volume) inside = volume_enter(v);
    enum err e = unlink(v, path);
    check_text(CHECK_OWN);
    return e;
}

/* The answer of one copy. */
static enum err list(struct volume *v, unsigned k, const char *path, size_t index, struct memory_fs_entry *ret_entry)
    NEEDS(v)
{
    struct place where = place_find(v, k, path);

    if (where.error != ERR_OK)
        return where.error;
    if (!where.node)
        return ERR_NOT_FOUND;
    if (where.kind != KIND_DIRECTORY)
        return ERR_INVALID;
    uint64_t node = node_listed(v, k, where.node, index);
    if (!node)
        return ERR_OK;
    const struct record *r = record_at(v, k, node);
    ret_entry->directory = r->kind == KIND_DIRECTORY;
    ret_entry->bytes = r->bytes;
    string_copy(ret_entry->name, r->name, sizeof ret_entry->name);
    return ERR_OK;
}

static bool same_listed(const struct memory_fs_entry *a, const struct memory_fs_entry *b)
{
    return a->directory == b->directory && a->bytes == b->bytes && string_equal(a->name, b->name);
}

enum err memory_fs_list(const char *path, size_t index, struct memory_fs_entry *ret_entry)
{
    struct memory_fs_entry first = {0}, second = {0};
    struct volume *v = volume_here();

    if (!v)
        return ERR_NOMEM;
    GUARD(volume) inside = volume_enter(v);
    enum err e = list(v, 0, path, index, &first), other = list(v, 1, path, index, &second);
    check_text(CHECK_OWN);
    *ret_entry = first;
    if (e != other || !same_listed(ret_entry, &second))
        panic("memory_fs: the copies differ about a directory");
    return e;
}

void memory_fs_usage(struct memory_fs_usage *ret_usage)
{
    struct volume *v = volume_here();

    *ret_usage = (struct memory_fs_usage){0};
    if (!v)
        return;
    GUARD(volume) inside = volume_enter(v);
    *ret_usage = (struct memory_fs_usage){v->nodes, v->blocks};
}

/* Moves the reference to the new version: DONE is not called for a cell that was replaced. */
static enum err memory_fs_transfer(const struct cell_transfer *transfer)
{
    size_t bytes;
    struct volume *const *old = transfer->find(transfer, ".bss.volume", &bytes);

    if (!old || bytes != sizeof volume)
        return ERR_INVALID;
    volume = *old; /* what its complement was says the same as before, or it is found again */
    return ERR_OK;
}
TRANSFER(memory_fs_transfer);

static enum err memory_fs_done(void)
{
    volume_drop(known_volume());
    volume = NULL;
    return ERR_OK;
}
DONE(memory_fs_done);
