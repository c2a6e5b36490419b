/* Describes the running image as cells of the root namespace: the core cells, each with its object in the archive, and
 * the image's entry point as cell nano_core. The list of places in nano_core.o tells where their sections are; it is
 * checked like any object. Invariant: every place is within the image. */
#include "cells/core/archive/archive.h"
#include "cells/core/loader/link.h"
#include "cells/lib/string/string.h"
#include "guest/abi/layout.h"

#define ENTRY_CELL    "nano_core"
#define UNWIND_TABLES ".eh_frame"
#define IMAGE_START   (LAYOUT_IMAGE_VIRT + LAYOUT_IMAGE_PHYS)
#define IMAGE_END     (LAYOUT_IMAGE_VIRT + LAYOUT_ARENA_PHYS)

/* ---- the list ---- */

static struct note_place place_at(const struct image *image, uint32_t at)
{
    struct note_place place;

    memcpy(&place, image->places + sizeof(struct note_image) + at * sizeof place, sizeof place);
    return place;
}

static const char *name_at(const struct image *image, uint32_t offset)
{
    return (const char *)image->places + offset;
}

static enum err check_list(const struct image *image, struct report *report)
{
    if (image->count == 0 || image->count > (image->bytes - sizeof(struct note_image)) / sizeof(struct note_place) ||
        image->places[image->bytes - 1])
        return report_refuse(report, ERR_CORRUPT, "the list of places in nano_core.o is damaged");
    for (uint32_t i = 0; i < image->count; i++) {
        struct note_place p = place_at(image, i);
        if (p.cell >= image->bytes || p.section >= image->bytes || p.virt < IMAGE_START || p.virt >= IMAGE_END ||
            p.bytes > IMAGE_END - p.virt)
            return report_refuse(report, ERR_CORRUPT, "nano_core.o lists a place outside of the image");
    }
    if (!string_equal(name_at(image, place_at(image, 0).cell), ENTRY_CELL))
        return report_refuse(report, ERR_CORRUPT, "nano_core.o does not list the image's entry point first");
    return ERR_OK;
}

static enum err read_list(struct image *image, struct report *report)
{
    struct note_image head;

    memcpy(&head, image->places, sizeof head);
    if (memcmp(head.build_id, arena_header()->build_id, sizeof head.build_id))
        return report_refuse(report, ERR_WRONG_ABI,
                             "the archive was built for another kernel image; build both together");
    image->count = head.places;
    return check_list(image, report);
}

enum err image_open(struct image *ret_image, struct report *report)
{
    struct archive_member member;
    struct object object;
    struct elf_section s;
    enum err err;

    if (archive_find(ENTRY_CELL, &member))
        return report_refuse(report, ERR_NOT_FOUND, "the archive lacks nano_core.o");
    if ((err = object_open(member.data, member.bytes, &object, report)))
        return err;
    for (uint32_t i = 1; i < object.sections; i++) {
        object_section(&object, i, &s);
        if (s.type == ELF_NOBITS || s.size <= sizeof(struct note_image) ||
            !string_equal(object_section_name(&object, &s), NOTE_IMAGE))
            continue;
        *ret_image = (struct image){.places = object.data + s.offset, .bytes = s.size};
        return read_list(ret_image, report);
    }
    return report_refuse(report, ERR_CORRUPT, "nano_core.o does not say where the cells are in the image");
}

const char *image_cell(const struct image *image, uint32_t at, uint32_t *ret_next)
{
    if (at >= image->count)
        return NULL;
    const char *name = name_at(image, place_at(image, at).cell);
    while (++at < image->count && string_equal(name_at(image, place_at(image, at).cell), name))
        ;
    *ret_next = at;
    return name;
}

/* ---- records ---- */

/* Extends the range to the bytes of `place`. */
static void widen(uint64_t *virt, uint64_t *phys, uint32_t *bytes, const struct note_place *place)
{
    uint64_t start = *bytes && *virt < place->virt ? *virt : place->virt, end = place->virt + place->bytes;

    if (*bytes && *virt + *bytes > end)
        end = *virt + *bytes;
    *virt = start;
    *phys = start - LAYOUT_IMAGE_VIRT;
    *bytes = (uint32_t)(end - start);
}

static void widen_region(struct arena_cell *c, uint32_t kind, const struct note_place *place) NEEDS(arena_writer)
{
    if (kind == SECTION_TEXT)
        widen(&c->text_virt, &c->text_phys, &c->text_bytes, place);
    else if (section_kind_is_data(kind))
        widen(&c->data_virt, &c->data_phys, &c->data_bytes, place);
    else
        widen(&c->rodata_virt, &c->rodata_phys, &c->rodata_bytes, place);
}

static uint32_t find_section(const struct object *object, const char *name, struct elf_section *ret_section)
{
    for (uint32_t i = 1; i < object->sections; i++) {
        object_section(object, i, ret_section);
        if (object_kind(object, ret_section) && string_equal(object_section_name(object, ret_section), name))
            return i;
    }
    return 0;
}

/* The linker merges the unwind tables of all cells of the image into one, which is recorded for the entry point. */
static enum err add_unwind_tables(struct section_list *list, const struct note_place *place, struct report *report)
{
    GUARD(arena) held = arena_change();
    struct section_ref section = link_add_section(list, UNWIND_TABLES, SECTION_EH_FRAME, place->virt,
                                                  place->virt - LAYOUT_IMAGE_VIRT, place->bytes, 8);

    if (!section.index)
        return arena_refuse_full(ARENA_SECTIONS, report);
    widen_region(arena_cell(list->cell), SECTION_EH_FRAME, place);
    loader_hash_section(section);
    arena_cell(list->cell)->eh_frame_section = section;
    return ERR_OK;
}

static enum err add_section(struct link *link, struct section_list *list, const struct note_place *place,
                            struct report *report)
{
    const char *name = name_at(link->image, place->section);
    struct elf_section s;
    uint32_t index = find_section(&link->object, name, &s);

    if (!index || s.size != place->bytes || link->section_of[index].index)
        return report_refuse(report, ERR_CORRUPT, "the image has another %s than cell %s", name,
                             link->object.cell.name);
    uint32_t kind = object_kind(&link->object, &s);
    GUARD(arena) held = arena_change();
    struct section_ref section = link_add_section(list, name, kind, place->virt, place->virt - LAYOUT_IMAGE_VIRT,
                                                  place->bytes, s.align ? (uint32_t)s.align : 1);
    if (!section.index)
        return arena_refuse_full(ARENA_SECTIONS, report);
    struct note_data note = object_data_of(&link->object, index);
    arena_section(section)->object_index = index;
    arena_section(section)->type_hash = note.type_hash;
    arena_section(section)->deep_hash = note.deep_hash;
    arena_section(section)->datum = (uint8_t)note.datum;
    arena_seal(section);
    widen_region(arena_cell(list->cell), kind, place);
    link->section_of[index] = section;
    return ERR_OK;
}

enum err image_place(struct link *link, struct section_list *list, struct report *report)
{
    const struct image *image = link->image;
    enum err err = ERR_OK;

    for (uint32_t i = 0; i < image->count && !err; i++) {
        struct note_place place = place_at(image, i);
        if (!string_equal(name_at(image, place.cell), link->object.cell.name))
            continue;
        bool tables = string_equal(name_at(image, place.section), UNWIND_TABLES);
        err = tables ? add_unwind_tables(list, &place, report) : add_section(link, list, &place, report);
    }
    GUARD(arena) held = arena_change();
    struct arena_cell *c = arena_cell(list->cell);
    if (image->entry_cell.index)
        c->eh_frame_section = arena_cell(image->entry_cell)->eh_frame_section;
    arena_seal(list->cell);
    return err;
}

struct symbol_ref image_symbol(const struct image *image, const char *name)
{
    for_each_symbol_of (i, image->entry_cell)
        if (string_equal(arena_string(arena_symbol(i)->name), name))
            return i;
    return NO_SYMBOL;
}
