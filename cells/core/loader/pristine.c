/* Pristine objects: the object files from which cells were made, in frames of their own or in the archive. Invariant: a
 * record has the hash of the bytes that arrived, and is not freed as long as a cell is made from it. */
#include "cells/core/archive/archive.h"
#include "cells/core/arena/arena.h"
#include "cells/core/frame/frame.h"
#include "cells/core/loader/link.h"
#include "cells/core/page/page.h"
#include "cells/lib/string/string.h"

bool loader_is_intact(struct object_ref object)
{
    const struct arena_object *o = arena_object(object);

    return object_identity(page_direct(o->phys), o->bytes) == o->hash;
}

static size_t frames_of(size_t bytes)
{
    return (bytes + FRAME_BYTES - 1) / FRAME_BYTES;
}

enum err loader_add_object(const char *name, uint64_t phys, size_t bytes, bool from_mailbox,
                           struct object_ref *ret_object, struct report *report)
{
    uint64_t hash = object_identity(page_direct(phys), bytes);
    GUARD(arena) held = arena_change();
    struct object_ref object = {arena_new_named(ARENA_OBJECTS, name)};

    if (!object.index)
        return arena_refuse_full(ARENA_OBJECTS, report);
    struct arena_object *o = arena_object(object);
    o->bytes = (uint32_t)bytes;
    o->phys = phys;
    o->hash = hash;
    o->from_mailbox = from_mailbox;
    arena_seal(object);
    *ret_object = object;
    return ERR_OK;
}

enum err pristine_of_member(const struct archive_member *member, struct object_ref *hint, struct object_ref *ret_object,
                            struct report *report)
{
    enum err err = ERR_OK;

    if (!arena_sound(*hint) || arena_object(*hint)->phys != member->phys)
        err = loader_add_object(member->name, member->phys, member->bytes, false, hint, report);
    if (!err)
        *ret_object = *hint;
    return err;
}

enum err loader_check_object(const void *data, size_t bytes, char ret_name[32], struct report *report)
{
    struct object object;
    enum err err = object_open(data, bytes, &object, report);

    if (err)
        return err;
    if (string_equal(object.cell.name, "nano_core"))
        return report_refuse(report, ERR_NOT_SWAPPABLE, "nano_core is part of the image and cannot be loaded");
    memcpy(ret_name, object.cell.name, sizeof object.cell.name);
    return ERR_OK;
}

bool loader_is_singleton(struct object_ref object)
{
    const struct arena_object *record = arena_object(object);
    struct elf_section s;
    struct object o;

    if (object_open(page_direct(record->phys), record->bytes, &o, NULL))
        return true;
    bool has_state = o.cell.init || o.cell.done;
    for (uint32_t i = 1; i < o.sections && !has_state; i++) {
        object_section(&o, i, &s);
        has_state = section_kind_is_data(object_kind(&o, &s)) && s.size;
    }
    return has_state && !(o.cell.flags & NOTE_PER_NAMESPACE);
}

static uint32_t count_cells(struct object_ref object) NEEDS(arena_writer)
{
    uint32_t count = 0;

    for_each_cell (i)
        count += arena_cell(i)->state != CELL_FREE && same(arena_cell(i)->object, object);
    return count;
}

/* How many cells are made from the object. If its record is corrupt, they are counted. */
static uint32_t cells_of(struct object_ref object) NEEDS(arena_writer)
{
    return arena_sound(object) ? arena_object(object)->cells : count_cells(object);
}

void pristine_count_cells(struct object_ref object, int change)
{
    GUARD(arena) held = arena_change();

    if (!arena_sound(object))
        return; /* none, or a corrupt record, for which cells_of counts */
    arena_object(object)->cells += (uint32_t)change;
    arena_seal(object);
}

void loader_drop_object(struct object_ref object)
{
    GUARD(arena) held = arena_change();

    if (!object.index || object.index >= arena_header()->table[ARENA_OBJECTS].capacity ||
        arena_object(object)->check == 0 || cells_of(object))
        return;
    if (arena_object(object)->kept && arena_sound(object))
        return;
    struct arena_object was = *arena_object(object);
    arena_free(object);
    if (was.from_mailbox)
        frame_free(was.phys, frames_of(was.bytes));
}
