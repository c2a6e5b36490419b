/* What the loader's parts share: a cell between its object file and memory. All of it runs under the loader lock;
 * records are changed within arena_change(). */
#pragma once
#include "cells/core/arena/arena.h"
#include "cells/core/loader/object.h"

/* Cells that are linked in isolation: against each other and those that are to be inherited first, then against what is
 * loaded, but for the hidden ones, which they are to replace. */
struct link_scope {
    const struct cell_ref *staged, *hidden, *inherited;
    size_t staged_count, hidden_count, inherited_count;
};

#define LINK_NEEDED ((struct symbol_ref){UINT32_MAX}) /* a relocation of a loaded section refers to the symbol */

/* A cell of the batch that is being linked. */
struct link {
    struct object object;
    const struct link_scope *scope; /* NULL: sees what its namespace sees */
    struct cell_ref cell;
    struct section_ref *section_of; /* by section header index: section in the arena, or none; in frames of its own */
    struct symbol_ref *found;       /* by symbol index: LINK_NEEDED, then the exported symbol; in the same frames */
    uint64_t section_of_phys;
    size_t section_of_frames;
    const struct image *image; /* whose part the cell is, linked already; NULL: it is being loaded */
};

/* ---- place.c: memory, contents, records of sections and symbols ---- */

/* Makes the cell's record, memory, sections and symbols; of a cell of the image the records only. After an error
 * loader_discard frees what was made. */
enum err link_place(struct link *link, struct object_ref object_record, struct namespace_ref namespace_,
                    struct report *report);
/* The section that was made of number `section` of the object, or none: that is not loaded, or does not exist. */
static inline struct section_ref link_section(const struct link *link, uint32_t section)
{
    return section < link->object.sections ? link->section_of[section] : NO_SECTION;
}
/* Frees section_of and found. */
void link_forget_sections(struct link *link);

struct section_list {
    struct cell_ref cell;
    struct section_ref last; /* the next one is appended to it */
};
/* Appends a section to the cell's list. Returns it; none: the table or the strings are full, nothing changed. */
struct section_ref link_add_section(struct section_list *list, const char *name, uint32_t kind, uint64_t virt,
                                    uint64_t phys, uint32_t bytes, uint32_t align) NEEDS(arena_writer);
/* Adds a symbol to the cell's list. Returns it; none: the table or the strings are full, nothing changed. */
struct symbol_ref link_add_symbol(struct cell_ref cell, struct section_ref section, const char *name, uint64_t offset,
                                  uint64_t bytes, const struct note_symbol *export_) NEEDS(arena_writer);

/* ---- relocate.c ---- */

/* The exported symbol to which `name` resolves for the cell, or none. */
struct symbol_ref link_find_symbol(const struct link *link, const char *name);
/* Sets `found` to LINK_NEEDED for each symbol that a loaded section refers to. */
void link_find_needs(const struct link *link);
/* Writes the cell's relocations, adds their edges and hashes its sections. `found` has the exported symbols by then. */
enum err link_relocate(const struct link *link, struct report *report);

/* ---- index.c: which members the archive has, and which of them exports a symbol ---- */

struct archive_member;
/* Builds the index of the open archive. On failure it is not complete. */
enum err index_build(struct report *report) NEEDS(loader_lock);
/* Finds the member of that name. *ret_object: the object record that was made from it the last time, for
 * pristine_of_member. ERR_NOT_FOUND: *ret_object is untouched. */
enum err index_member(const char *name, struct archive_member *ret_member, struct object_ref **ret_object)
    NEEDS(loader_lock);
/* The same for the member that exports `symbol`. */
enum err index_provider(const char *symbol, struct archive_member *ret_member, struct object_ref **ret_object)
    NEEDS(loader_lock);

/* ---- nano_core.c: the running image, cell by cell, by the places that nano_core.o lists ---- */

struct image {
    const uint8_t *places; /* contents of section NOTE_IMAGE */
    size_t bytes;
    uint32_t count;             /* of places */
    struct cell_ref entry_cell; /* cell nano_core; none: its records are not made yet */
};
/* Finds and checks the list of places. */
enum err image_open(struct image *ret_image, struct report *report);
/* The name of the cell whose places begin with number `at`; NULL: there are no more. *ret_next: where those of the next
 * cell begin. */
const char *image_cell(const struct image *image, uint32_t at, uint32_t *ret_next);
/* Makes records of the cell's sections where they are in the image. */
enum err image_place(struct link *link, struct section_list *list, struct report *report);
/* The symbol of cell nano_core of that name, exported or not, or none. */
struct symbol_ref image_symbol(const struct image *image, const char *name);

/* ---- pristine.c ---- */

/* The object record of an archive member: *hint if that is one of this member, else a new one, which *hint is set to.
 * ret_object is untouched on failure. */
enum err pristine_of_member(const struct archive_member *member, struct object_ref *hint, struct object_ref *ret_object,
                            struct report *report);
/* Adds `change` to the number of cells that are made from the object. To be called while the
 * cell's record does not refer to the object yet, or still does. */
void pristine_count_cells(struct object_ref object, int change);
