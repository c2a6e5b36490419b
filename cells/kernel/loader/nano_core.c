/* The running image as one cell of the root namespace: from `cell describe`'s object, which has its symbols, notes and
 * relocations but no contents. Each function and datum becomes a section, what lies between them (string literals,
 * assembly) one of its own; they stay where the boot loader put them. */
#include "cells/kernel/archive/archive.h"
#include "cells/kernel/boot/image.h"
#include "cells/kernel/frame/frame.h"
#include "cells/kernel/loader/link.h"
#include "cells/kernel/page/page.h"
#include "cells/lib/string/string.h"
#include "guest/abi/layout.h"

#define BUILD_ID_BYTES 36 /* note header and name 16, identity 20 */

struct piece {
    uint64_t virt;
    uint32_t bytes;
    uint32_t symbol;  /* in the object; 0: between symbols */
    uint32_t section; /* in the arena, once made */
    uint32_t pad;
};

struct image {
    struct object object;
    struct section_list list;
    struct piece *symbol; /* functions and data, by address */
    size_t symbols;
    struct piece *piece; /* what became a section, by address */
    size_t pieces, pieces_max;
    uint64_t frames_phys;
    size_t frames;
};

static uint64_t phys_of(uint64_t virt)
{
    return virt - LAYOUT_IMAGE_VIRT;
}

static enum err full(struct loader_detail *detail)
{
    return REFUSE(ERR_FULL, "the nano_core does not fit into the tables of the arena");
}

/* Kind of a section of the image that is described; 0 for notes and for the arena itself. */
static uint32_t kind_in_image(const struct object *object, const struct elf_section *s)
{
    uint64_t start = LAYOUT_IMAGE_VIRT + LAYOUT_IMAGE_PHYS, end = LAYOUT_IMAGE_VIRT + LAYOUT_ARENA_PHYS;

    if (s->address < start || s->address >= end || s->size > end - s->address)
        return 0;
    return object_kind(object, s);
}

/* ---- which image is it ---- */

static enum err check_build_id(const struct object *object, struct loader_detail *detail)
{
    struct elf_section s;

    for (uint32_t i = 1; i < object->sections; i++) {
        object_section(object, i, &s);
        if (!string_equal(object_section_name(object, &s), ".note.gnu.build-id"))
            continue;
        if (s.type != ELF_NOBITS && s.size == BUILD_ID_BYTES &&
            !memcmp(object->data + s.offset, image_build_id, BUILD_ID_BYTES)) {
            memcpy(arena_header()->build_id, image_build_id + 16, sizeof arena_header()->build_id);
            return ERR_OK;
        }
        return REFUSE(ERR_WRONG_ABI, "the archive was built for another kernel image; build both together");
    }
    return REFUSE(ERR_CORRUPT, "nano_core.o has no build identity");
}

/* ---- symbols by address ---- */

static bool is_before(const struct piece *a, const struct piece *b)
{
    return a->virt < b->virt || (a->virt == b->virt && a->bytes > b->bytes);
}

/* Shell sort: short, in place, no recursion. */
static void sort(struct piece *p, size_t count)
{
    for (size_t gap = count / 2; gap > 0; gap /= 2)
        for (size_t i = gap; i < count; i++) {
            struct piece moving = p[i];
            size_t k = i;
            for (; k >= gap && is_before(&moving, &p[k - gap]); k -= gap)
                p[k] = p[k - gap];
            p[k] = moving;
        }
}

static void collect(struct image *image)
{
    struct elf_section section;
    struct elf_symbol s;

    for (uint32_t i = 1; i < image->object.symbols; i++) {
        object_symbol(&image->object, i, &s);
        unsigned type = s.info & 15;
        if ((type != ELF_FUNCTION && type != ELF_OBJECT) || s.section == ELF_UNDEFINED ||
            s.section >= image->object.sections)
            continue;
        object_section(&image->object, s.section, &section);
        if (!kind_in_image(&image->object, &section) || s.value < section.address ||
            s.value - section.address > section.size || s.size > section.size - (s.value - section.address))
            continue;
        image->symbol[image->symbols++] = (struct piece){.virt = s.value, .bytes = (uint32_t)s.size, .symbol = i};
    }
    sort(image->symbol, image->symbols);
}

static enum err allocate(struct image *image, struct loader_detail *detail)
{
    image->pieces_max = 2ul * image->object.symbols + image->object.sections;
    size_t bytes = (image->object.symbols + image->pieces_max) * sizeof(struct piece);

    image->frames = (bytes + FRAME_BYTES - 1) / FRAME_BYTES;
    if (frame_alloc(image->frames, &image->frames_phys))
        return REFUSE(ERR_NOMEM, "no memory to describe the nano_core");
    image->symbol = page_direct(image->frames_phys);
    image->piece = image->symbol + image->object.symbols;
    return ERR_OK;
}

/* ---- sections ---- */

static const char *const prefix[] = {
    [SECTION_TEXT] = ".text.", [SECTION_RODATA] = ".rodata.", [SECTION_DATA] = ".data.", [SECTION_BSS] = ".bss."};

/* Smaller gaps are padding. */
static const uint32_t gap_min[] = {[SECTION_TEXT] = 16, [SECTION_RODATA] = 1, [SECTION_DATA] = 32, [SECTION_BSS] = 64};

static bool add_piece(struct image *image, struct piece piece, uint32_t kind, const char *name)
{
    GUARD(arena) held = arena_change();

    piece.section = link_add_section(&image->list, name, kind, piece.virt, phys_of(piece.virt), piece.bytes, 1);
    if (!piece.section || image->pieces == image->pieces_max)
        return false;
    image->piece[image->pieces++] = piece;
    link_hash_section(piece.section);
    return true;
}

static bool add_gap(struct image *image, uint64_t from, uint64_t to, uint32_t kind, const char *name)
{
    if (to <= from || to - from < gap_min[kind])
        return true;
    return add_piece(image, (struct piece){.virt = from, .bytes = (uint32_t)(to - from)}, kind, name);
}

static bool add_named(struct image *image, const struct piece *symbol, uint32_t kind)
{
    char name[OBJECT_NAME_MAX + 16];
    struct elf_symbol s;

    object_symbol(&image->object, symbol->symbol, &s);
    string_copy(name, prefix[kind], sizeof name);
    string_copy(name + string_length(prefix[kind]), object_symbol_name(&image->object, &s),
                sizeof name - string_length(prefix[kind]));
    return add_piece(image, *symbol, kind, name);
}

/* The pieces of one section of the image; a symbol within another one gets none. */
static bool add_pieces(struct image *image, const struct elf_section *section, uint32_t kind)
{
    const char *name = object_section_name(&image->object, section);
    uint64_t at = section->address, end = section->address + section->size;

    for (size_t i = 0; i < image->symbols; i++) {
        const struct piece *p = &image->symbol[i];
        if (p->virt < at || p->virt >= end || p->bytes == 0)
            continue;
        if (!add_gap(image, at, p->virt, kind, name) || !add_named(image, p, kind))
            return false;
        at = p->virt + p->bytes;
    }
    return add_gap(image, at, end, kind, name);
}

static enum err add_section(struct image *image, const struct elf_section *s, struct loader_detail *detail)
{
    uint32_t kind = kind_in_image(&image->object, s);
    struct piece whole = {.virt = s->address, .bytes = (uint32_t)s->size};

    if (kind == 0)
        return ERR_OK;
    if (kind != SECTION_EH_FRAME && kind != SECTION_EXCEPT)
        return add_pieces(image, s, kind) ? ERR_OK : full(detail);
    if (!add_piece(image, whole, kind, object_section_name(&image->object, s)))
        return full(detail);
    if (kind == SECTION_EH_FRAME)
        arena_cell(image->list.cell)->eh_frame_section = image->list.last;
    return ERR_OK;
}

static void widen(uint64_t *virt, uint32_t *bytes, const struct elf_section *s)
{
    uint64_t start = *bytes && *virt < s->address ? *virt : s->address;
    uint64_t end = s->address + s->size;

    if (*bytes && *virt + *bytes > end)
        end = *virt + *bytes;
    *virt = start;
    *bytes = (uint32_t)(end - start);
}

static enum err add_sections(struct image *image, struct loader_detail *detail)
{
    struct elf_section s;
    enum err err;

    for (uint32_t i = 1; i < image->object.sections; i++) {
        object_section(&image->object, i, &s);
        uint32_t kind = kind_in_image(&image->object, &s);
        GUARD(arena) held = arena_change();
        struct arena_cell *c = arena_cell(image->list.cell);
        if (kind == SECTION_TEXT)
            widen(&c->text_virt, &c->text_bytes, &s);
        else if (kind == SECTION_DATA || kind == SECTION_BSS)
            widen(&c->data_virt, &c->data_bytes, &s);
        else if (kind)
            widen(&c->rodata_virt, &c->rodata_bytes, &s);
        if ((err = add_section(image, &s, detail)))
            return err;
    }
    GUARD(arena) held = arena_change();
    struct arena_cell *c = arena_cell(image->list.cell);
    c->text_phys = phys_of(c->text_virt);
    c->rodata_phys = phys_of(c->rodata_virt);
    c->data_phys = phys_of(c->data_virt);
    arena_seal(ARENA_CELLS, image->list.cell);
    sort(image->piece, image->pieces);
    return ERR_OK;
}

/* The piece that holds `virt`; NULL: none. */
static const struct piece *piece_at(const struct image *image, uint64_t virt)
{
    size_t low = 0, high = image->pieces;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (image->piece[middle].virt <= virt)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || virt - image->piece[low - 1].virt >= image->piece[low - 1].bytes)
        return NULL;
    return &image->piece[low - 1];
}

/* ---- symbols and edges ---- */

static enum err add_symbols(struct image *image, struct loader_detail *detail)
{
    const struct object *object = &image->object;
    struct elf_symbol s;

    for (uint32_t i = 1; i < object->symbols; i++) {
        object_symbol(object, i, &s);
        struct note_symbol note = object_export_of(object, i);
        const struct piece *piece = s.section == ELF_UNDEFINED ? NULL : piece_at(image, s.value);
        if (!note.access && ((s.info & 15) != ELF_FUNCTION || !piece))
            continue;
        if (!piece)
            return REFUSE(ERR_CORRUPT, "nano_core.o exports ", object_symbol_name(object, &s), " outside of the image");
        GUARD(arena) held = arena_change();
        if (!link_add_symbol(image->list.cell, piece->section, object_symbol_name(object, &s), s.value - piece->virt,
                             s.size, &note))
            return full(detail);
    }
    GUARD(arena) held = arena_change();
    link_publish_symbols(image->list.cell);
    return ERR_OK;
}

/* By a section symbol the addend says which piece is meant; a PC-relative field is read from its end. */
static uint64_t target_of(const struct elf_symbol *s, const struct elf_rela *r)
{
    bool relative = r->type == R_X86_64_PC32 || r->type == R_X86_64_PLT32;

    if ((s->info & 15) != ELF_SECTION_SYMBOL)
        return s->value;
    return s->value + (uint64_t)r->addend + (relative ? 4 : 0);
}

static enum err add_edge(const struct image *image, const struct elf_rela *r, struct loader_detail *detail)
{
    struct elf_symbol s;

    if (!relocation_bytes(r->type) || r->symbol == 0 || r->symbol >= image->object.symbols)
        return ERR_OK;
    object_symbol(&image->object, r->symbol, &s);
    uint64_t target = target_of(&s, r);
    const struct piece *from = piece_at(image, r->offset), *to = piece_at(image, target);
    if (!from || !to || relocation_bytes(r->type) > from->bytes - (r->offset - from->virt))
        return ERR_OK;
    struct arena_edge edge = {.from = from->section,
                              .to = to->section,
                              .offset = (uint32_t)(r->offset - from->virt),
                              .type = r->type,
                              .addend = (int64_t)(s.value + (uint64_t)r->addend - target),
                              .target = (uint32_t)(target - to->virt)};
    GUARD(arena) held = arena_change();
    return link_add_edge(&edge) ? ERR_OK : full(detail);
}

static enum err add_edges(const struct image *image, struct loader_detail *detail)
{
    struct elf_section rela, target;
    struct elf_rela r;
    enum err err;

    for (uint32_t i = 1; i < image->object.sections; i++) {
        object_section(&image->object, i, &rela);
        if (rela.type != ELF_RELA)
            continue;
        object_section(&image->object, rela.info, &target);
        if (!kind_in_image(&image->object, &target))
            continue;
        for (uint32_t k = 0; k < object_relocation_count(&rela); k++) {
            object_relocation(&image->object, &rela, k, &r);
            if ((err = add_edge(image, &r, detail)))
                return err;
        }
    }
    return ERR_OK;
}

/* ---- the cell ---- */

static enum err add_cell(struct image *image, uint32_t namespace_, struct loader_detail *detail)
{
    GUARD(arena) held = arena_change();
    uint32_t cell = arena_new_named(ARENA_CELLS, "nano_core");

    if (!cell)
        return full(detail);
    struct arena_cell *c = arena_cell(cell);
    c->version = image->object.cell.version;
    c->kind = image->object.cell.kind;
    c->namespace_ = namespace_;
    c->state = CELL_LIVE;
    c->initialized = 1;
    arena_seal(ARENA_CELLS, cell);
    image->list.cell = cell;
    return ERR_OK;
}

enum err nano_core_describe(uint32_t namespace_, struct loader_detail *detail)
{
    struct image image = {0};
    struct archive_member member;
    enum err err;

    if (archive_find("nano_core", &member))
        return REFUSE(ERR_NOT_FOUND, "the archive lacks nano_core.o");
    if ((err = object_open(member.data, member.bytes, true, &image.object, detail)) ||
        (err = check_build_id(&image.object, detail)) || (err = allocate(&image, detail)))
        return err;
    collect(&image);
    if (!(err = add_cell(&image, namespace_, detail)) && !(err = add_sections(&image, detail)) &&
        !(err = add_symbols(&image, detail)))
        err = add_edges(&image, detail);
    frame_free(image.frames_phys, image.frames);
    return err;
}
