/* Pristine objects: what cells were made from, in frames of their own or where the archive lies. */
#include "cells/kernel/archive/archive.h"
#include "cells/kernel/frame/frame.h"
#include "cells/kernel/loader/link.h"
#include "cells/kernel/page/page.h"
#include "cells/lib/string/string.h"

#define FNV_START 0xcbf29ce484222325
#define FNV_PRIME 0x100000001b3

static uint64_t hash_of(const uint8_t *data, size_t bytes)
{
    uint64_t h = FNV_START;

    for (size_t i = 0; i < bytes; i++)
        h = (h ^ data[i]) * FNV_PRIME;
    return h;
}

bool loader_is_intact(uint32_t object)
{
    const struct arena_object *o = arena_object(object);

    return hash_of(page_direct(o->phys), o->bytes) == o->hash;
}

static size_t frames_of(size_t bytes)
{
    return (bytes + FRAME_BYTES - 1) / FRAME_BYTES;
}

static enum err add_record(const char *name, uint64_t phys, size_t bytes, bool from_mailbox, uint32_t *ret_object,
                           struct loader_detail *detail)
{
    uint64_t hash = hash_of(page_direct(phys), bytes);
    GUARD(arena) held = arena_change();
    uint32_t index = arena_new_named(ARENA_OBJECTS, name);

    if (!index)
        return REFUSE(ERR_FULL, "no free object record for ", name);
    struct arena_object *o = arena_object(index);
    o->bytes = (uint32_t)bytes;
    o->phys = phys;
    o->hash = hash;
    o->from_mailbox = from_mailbox;
    arena_seal(ARENA_OBJECTS, index);
    *ret_object = index;
    return ERR_OK;
}

enum err keep_member(const struct archive_member *member, uint32_t *hint, uint32_t *ret_object,
                     struct loader_detail *detail)
{
    enum err err = ERR_OK;

    if (*hint == 0 || *hint >= ARENA_OBJECTS_MAX || !arena_sound(ARENA_OBJECTS, *hint) ||
        arena_object(*hint)->phys != member->phys)
        err = add_record(member->name, member->phys, member->bytes, false, hint, detail);
    if (!err)
        *ret_object = *hint;
    return err;
}

enum err loader_check_object(const void *data, size_t bytes, char ret_name[32], struct loader_detail *detail)
{
    struct object object;
    enum err err = object_open(data, bytes, &object, detail);

    if (err)
        return err;
    if (string_equal(object.cell.name, "nano_core"))
        return REFUSE(ERR_NOT_SWAPPABLE, "nano_core is part of the image and cannot be loaded");
    memcpy(ret_name, object.cell.name, sizeof object.cell.name);
    return ERR_OK;
}

bool loader_is_singleton(uint32_t object)
{
    const struct arena_object *record = arena_object(object);
    struct elf_section s;
    struct object o;

    if (object_open(page_direct(record->phys), record->bytes, &o, NULL))
        return true;
    bool has_state = o.cell.init || o.cell.done;
    for (uint32_t i = 1; i < o.sections && !has_state; i++) {
        object_section(&o, i, &s);
        uint32_t kind = object_kind(&o, &s);
        has_state = (kind == SECTION_DATA || kind == SECTION_BSS) && s.size;
    }
    return has_state && !(o.cell.flags & NOTE_PER_NAMESPACE);
}

enum err loader_keep_object(const void *data, size_t bytes, uint32_t *ret_object, struct loader_detail *detail)
{
    char name[32];
    uint64_t phys;
    enum err err;

    if (bytes == 0 || bytes > UINT32_MAX)
        return REFUSE(bytes ? ERR_RANGE : ERR_TRUNCATED, "the object file is ", bytes ? "too large" : "empty");
    if (frame_alloc(frames_of(bytes), &phys))
        return REFUSE(ERR_NOMEM, "no memory to keep the object file");
    memcpy(page_direct(phys), data, bytes); /* the original may change while it is looked at: check the copy */
    err = loader_check_object(page_direct(phys), bytes, name, detail);
    if (!err)
        err = add_record(name, phys, bytes, true, ret_object, detail);
    if (err)
        frame_free(phys, frames_of(bytes));
    return err;
}

/* How many cells were made from the object; counted anew where its record has been hit. */
static uint32_t cells_of(uint32_t object) NEEDS(arena_writer)
{
    uint32_t used = arena_header()->table[ARENA_CELLS].used, count = 0;

    if (arena_sound(ARENA_OBJECTS, object))
        return arena_object(object)->cells;
    for (uint32_t i = 1; i < used && i < ARENA_CELLS_MAX; i++)
        count += arena_cell(i)->state != CELL_FREE && arena_cell(i)->object == object;
    return count;
}

void keep_count(uint32_t object, int change)
{
    GUARD(arena) held = arena_change();

    if (!arena_sound(ARENA_OBJECTS, object))
        return; /* none, or one that is counted when it matters */
    arena_object(object)->cells += (uint32_t)change;
    arena_seal(ARENA_OBJECTS, object);
}

void loader_drop_object(uint32_t object)
{
    GUARD(arena) held = arena_change();

    if (object == 0 || object >= ARENA_OBJECTS_MAX || arena_object(object)->check == 0 || cells_of(object))
        return;
    if (arena_object(object)->kept && arena_sound(ARENA_OBJECTS, object))
        return;
    struct arena_object was = *arena_object(object);
    arena_free(ARENA_OBJECTS, object);
    if (was.from_mailbox)
        frame_free(was.phys, frames_of(was.bytes));
}
