/* Where to inject, in words, and which physical memory that is in a guest. */
#pragma once
#include "injector/why.h"
#include "introspect/view.h"

enum place_kind { PLACE_CELL, PLACE_SYMBOL, PLACE_TASK, PLACE_HEAP, PLACE_PHYS, PLACE_RANDOM };

struct place {
    enum place_kind kind;
    char name[96];        /* of a cell or symbol: as introspect/qualified.h has it */
    char section[64];     /* empty: all */
    uint64_t phys, bytes; /* of PLACE_PHYS; offset and bytes in the symbol or section, 0 bytes: all of it */
};

/* The forms of a target, for messages and help; ends with a NULL form. */
struct place_form {
    const char *form;
    const char *summary;
    const char *prefix; /* of the words */
    enum place_kind kind;
};
extern const struct place_form place_forms[];

/* ERR_INVALID: the words have none of the forms. */
enum err place_parse(const char *words, struct place *ret_place, struct why *why);

/* Whether a section of a cell, of this kind (enum arena_section_kind) and name, is meant by a PLACE_CELL. */
bool place_fits(const struct place *place, uint32_t kind, const char *name);

struct place_range {
    uint64_t phys, bytes;
    struct section_ref section; /* or none */
    uint32_t offset;            /* of the range's start in the section */
    uint64_t virt;              /* where the guest uses it, of a block of the heap; else 0 */
    uint64_t before;            /* bytes of the place before the range */
};

struct place_ranges {
    struct place_range *range; /* owned, in the order of the arena's tables */
    size_t count;
    uint64_t bytes; /* of all ranges */
};

/* ERR_NOT_FOUND: no such cell, section, symbol or task, or nothing in it. All ranges lie within RAM. */
enum err place_resolve(const struct place *place, const struct view *view, struct place_ranges *ret_ranges,
                       struct why *why);
/* The section that holds all of [phys, phys + bytes), or none. */
struct section_ref place_section(const struct view *view, uint64_t phys, uint64_t bytes);
void place_ranges_done(struct place_ranges *ranges);

/* The n-th byte, n below ranges->bytes: a range of what is left from there on. */
struct place_range place_byte(const struct place_ranges *ranges, uint64_t n);
