/* What the loader's parts share: a cell on its way from object file to memory. Changes of records happen within
 * arena_change(); nothing here takes the loader's own lock. */
#pragma once
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/loader/object.h"

/* Cells that are linked apart from the rest: against each other first, then against what is loaded, but for the cells
 * that they are to replace. */
struct link_scope {
    const uint32_t *staged, *hidden;
    size_t staged_count, hidden_count;
};

#define LINK_NEEDED UINT32_MAX /* a relocation of what is loaded refers to it */

/* A cell of the batch that is being linked. */
struct link {
    struct object object;
    const struct link_scope *scope; /* NULL: sees what its namespace sees */
    uint32_t cell;
    uint32_t *section_of; /* by section header index: section in the arena or 0; frames of its own */
    uint32_t *found;      /* by symbol index, behind it: exported symbol that it means; LINK_NEEDED before that */
    uint64_t section_of_phys;
    size_t section_of_frames;
    const struct image *image; /* it is part of, linked already; NULL: it is loaded */
};

/* place.c: memory, contents, records of sections and symbols. After an error link_discard takes back what was made. With
 * link->image only the records. */
enum err link_place(struct link *link, uint32_t object_record, uint32_t namespace_, struct loader_detail *detail);
void link_forget_sections(struct link *link); /* frees section_of, and found with it */

struct section_list {
    uint32_t cell;
    uint32_t last; /* section that the next one is put behind */
};
/* A record behind the last one of the cell; 0: the table or the strings are full. */
uint32_t link_add_section(struct section_list *list, const char *name, uint32_t kind, uint64_t virt, uint64_t phys,
                          uint32_t bytes, uint32_t align) NEEDS(arena_writer);
/* A symbol of the cell; 0: the table or the strings are full. */
uint32_t link_add_symbol(uint32_t cell, uint32_t section, const char *name, uint64_t offset, uint64_t bytes,
                         const struct note_symbol *export_) NEEDS(arena_writer);
void link_publish_symbols(uint32_t cell) NEEDS(arena_writer);
void link_retract_symbols(uint32_t cell) NEEDS(arena_writer);
void link_hash_section(uint32_t section) NEEDS(arena_writer); /* of its bytes as they are now; 0 for data */

/* relocate.c */
/* As arena_symbol_find, but for symbols of cells that others of the same name hide from the namespace. */
uint32_t link_visible_symbol(uint32_t namespace_, const char *name);
/* The exported symbol that `name` means for the cell; 0: none. */
uint32_t link_find_symbol(const struct link *link, const char *name);
void link_find_needs(const struct link *link); /* says in `found` what is needed */
enum err link_relocate(const struct link *link, struct loader_detail *detail);
/* A record in both lists; 0: the table is full. */
uint32_t link_add_edge(const struct arena_edge *edge) NEEDS(arena_writer);
/* Writes what `edge` says; false: the value does not fit, nothing changed. */
bool link_write(const struct arena_edge *edge);
/* Whether code has put something else there since: then it is no pointer of the linker's any more. */
bool link_is_stored_over(const struct arena_edge *edge);

/* discard.c: takes cells out of the arena and frees their memory. Before that, no edge may lead to one of them from
 * elsewhere; link_unheld moves those to the front for which that is so when all behind them stay, and counts them. */
bool link_is_held(uint32_t cell);
size_t link_unheld(uint32_t *cells, size_t count);
void link_discard(const uint32_t *cells, size_t count);

/* index.c: which members the archive has, and which of them exports a symbol. */
struct archive_member;
enum err index_build(struct loader_detail *detail);
/* `ret_object` leads to the object record that was made from the member the last time; ERR_NOT_FOUND. */
enum err index_member(const char *name, struct archive_member *ret_member, uint32_t **ret_object);
/* The same of the member that exports `symbol`. */
enum err index_provider(const char *symbol, struct archive_member *ret_member, uint32_t **ret_object);

/* nano_core.c: the running image, cell by cell, by the places that nano_core.o lists. */
struct image {
    const uint8_t *places; /* contents of section NOTE_IMAGE */
    size_t bytes;
    uint32_t count;  /* of places */
    uint32_t way_in; /* the cell nano_core, once its records are made */
};
enum err image_open(struct image *ret_image, struct loader_detail *detail);
/* The name of the cell whose places begin with number `at`, and where those of the next one begin; NULL: the end. */
const char *image_cell(const struct image *image, uint32_t at, uint32_t *ret_next);
/* Records of the cell's sections where they are in the image. */
enum err image_place(struct link *link, struct section_list *list, struct loader_detail *detail);
/* A function or datum of the way in that it does not export; 0: it has none of that name. */
uint32_t image_symbol(const struct image *image, const char *name);

/* keep.c: the object record of an archive member, made when *hint is not one, which is then put right. */
enum err keep_member(const struct archive_member *member, uint32_t *hint, uint32_t *ret_object,
                     struct loader_detail *detail);
void keep_count(uint32_t object, int change); /* of the cells made from it; before the change */
