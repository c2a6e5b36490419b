/* The running image as cells of the root namespace: those that the nano_core consists of, each with its object in the
 * archive, and the image's way in as cell nano_core. The list of places in nano_core.o says where their sections are;
 * it is as hostile as any object. */
#include "cells/kernel/archive/archive.h"
#include "cells/kernel/loader/link.h"
#include "cells/lib/string/string.h"
#include "guest/abi/layout.h"

#define WAY_IN        "nano_core"
#define UNWIND_TABLES ".eh_frame"
#define IMAGE_START   (LAYOUT_IMAGE_VIRT + LAYOUT_IMAGE_PHYS)
#define IMAGE_END     (LAYOUT_IMAGE_VIRT + LAYOUT_ARENA_PHYS)

static enum err full(struct loader_detail *detail)
{
    return REFUSE(ERR_FULL, "the nano_core does not fit into the tables of the arena");
}

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

static enum err check_list(const struct image *image, struct loader_detail *detail)
{
    if (image->count == 0 || image->count > (image->bytes - sizeof(struct note_image)) / sizeof(struct note_place) ||
        image->places[image->bytes - 1])
        return REFUSE(ERR_CORRUPT, "the list of places in nano_core.o is damaged");
    for (uint32_t i = 0; i < image->count; i++) {
        struct note_place p = place_at(image, i);
        if (p.cell >= image->bytes || p.section >= image->bytes || p.virt < IMAGE_START || p.virt >= IMAGE_END ||
            p.bytes > IMAGE_END - p.virt)
            return REFUSE(ERR_CORRUPT, "nano_core.o lists a place outside of the image");
    }
    if (!string_equal(name_at(image, place_at(image, 0).cell), WAY_IN))
        return REFUSE(ERR_CORRUPT, "nano_core.o does not list the image's way in first");
    return ERR_OK;
}

static enum err read_list(struct image *image, struct loader_detail *detail)
{
    struct note_image head;

    memcpy(&head, image->places, sizeof head);
    if (memcmp(head.build_id, arena_header()->build_id, sizeof head.build_id))
        return REFUSE(ERR_WRONG_ABI, "the archive was built for another kernel image; build both together");
    image->count = head.places;
    return check_list(image, detail);
}

enum err image_open(struct image *ret_image, struct loader_detail *detail)
{
    struct archive_member member;
    struct object object;
    struct elf_section s;
    enum err err;

    if (archive_find(WAY_IN, &member))
        return REFUSE(ERR_NOT_FOUND, "the archive lacks nano_core.o");
    if ((err = object_open(member.data, member.bytes, &object, detail)))
        return err;
    for (uint32_t i = 1; i < object.sections; i++) {
        object_section(&object, i, &s);
        if (s.type == ELF_NOBITS || s.size <= sizeof(struct note_image) ||
            !string_equal(object_section_name(&object, &s), NOTE_IMAGE))
            continue;
        *ret_image = (struct image){.places = object.data + s.offset, .bytes = s.size};
        return read_list(ret_image, detail);
    }
    return REFUSE(ERR_CORRUPT, "nano_core.o does not say where the cells are in the image");
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

static void widen(uint64_t *virt, uint64_t *phys, uint32_t *bytes, const struct note_place *place)
{
    uint64_t start = *bytes && *virt < place->virt ? *virt : place->virt, end = place->virt + place->bytes;

    if (*bytes && *virt + *bytes > end)
        end = *virt + *bytes;
    *virt = start;
    *phys = start - LAYOUT_IMAGE_VIRT;
    *bytes = (uint32_t)(end - start);
}

static void widen_region(struct arena_cell *c, uint32_t kind, const struct note_place *place)
{
    if (kind == SECTION_TEXT)
        widen(&c->text_virt, &c->text_phys, &c->text_bytes, place);
    else if (kind == SECTION_DATA || kind == SECTION_BSS)
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

/* The linker has made one table of all; it knows the functions of every cell of the image. */
static enum err add_unwind_tables(struct section_list *list, const struct note_place *place,
                                  struct loader_detail *detail)
{
    GUARD(arena) held = arena_change();
    uint32_t section = link_add_section(list, UNWIND_TABLES, SECTION_EH_FRAME, place->virt,
                                        place->virt - LAYOUT_IMAGE_VIRT, place->bytes, 8);

    if (!section)
        return full(detail);
    widen_region(arena_cell(list->cell), SECTION_EH_FRAME, place);
    link_hash_section(section);
    arena_cell(list->cell)->eh_frame_section = section;
    return ERR_OK;
}

static enum err add_section(struct link *link, struct section_list *list, const struct note_place *place,
                            struct loader_detail *detail)
{
    const char *name = name_at(link->image, place->section);
    struct elf_section s;
    uint32_t index = find_section(&link->object, name, &s);

    if (!index || s.size != place->bytes || link->section_of[index])
        return REFUSE(ERR_CORRUPT, "the image has another ", name, " than cell ", link->object.cell.name);
    uint32_t kind = object_kind(&link->object, &s);
    GUARD(arena) held = arena_change();
    uint32_t section = link_add_section(list, name, kind, place->virt, place->virt - LAYOUT_IMAGE_VIRT, place->bytes,
                                        s.align ? (uint32_t)s.align : 1);
    if (!section)
        return full(detail);
    struct note_data note = object_data_of(&link->object, index);
    arena_section(section)->object_index = index;
    arena_section(section)->type_hash = note.type_hash;
    arena_section(section)->deep_hash = note.deep_hash;
    arena_seal(ARENA_SECTIONS, section);
    widen_region(arena_cell(list->cell), kind, place);
    link->section_of[index] = section;
    return ERR_OK;
}

enum err image_place(struct link *link, struct section_list *list, struct loader_detail *detail)
{
    const struct image *image = link->image;
    enum err err = ERR_OK;

    for (uint32_t i = 0; i < image->count && !err; i++) {
        struct note_place place = place_at(image, i);
        if (!string_equal(name_at(image, place.cell), link->object.cell.name))
            continue;
        bool tables = string_equal(name_at(image, place.section), UNWIND_TABLES);
        err = tables ? add_unwind_tables(list, &place, detail) : add_section(link, list, &place, detail);
    }
    GUARD(arena) held = arena_change();
    struct arena_cell *c = arena_cell(list->cell);
    if (image->way_in)
        c->eh_frame_section = arena_cell(image->way_in)->eh_frame_section;
    arena_seal(ARENA_CELLS, list->cell);
    return err;
}

uint32_t image_symbol(const struct image *image, const char *name)
{
    uint32_t i = arena_cell(image->way_in)->first_symbol;

    while (i && !string_equal(arena_string(arena_symbol(i)->name), name))
        i = arena_symbol(i)->next_in_cell;
    return i;
}
