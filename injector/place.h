/* Where to inject, in words, and which physical memory that is in a guest. */
#pragma once
#include "injector/register.h"
#include "injector/why.h"
#include "introspect/view.h"

enum place_kind {
    PLACE_CELL,
    PLACE_SYMBOL,
    PLACE_TASK,
    PLACE_HEAP,
    PLACE_PHYS,
    PLACE_RANDOM,
    PLACE_ARENA,
    PLACE_BEHIND,
    PLACE_REGISTER
};

struct place {
    enum place_kind kind;
    enum cpu_register reg; /* that changes when a CPU is at an instruction of the place; of PLACE_REGISTER: at once */
    char name[96];    /* of a cell or symbol: as introspect/qualified.h has it; of a task; of a table of the arena */
    char section[64]; /* empty: all */
    uint64_t phys, bytes; /* of PLACE_PHYS; offset and bytes in the symbol or section, 0 bytes: all of it; of
                           * PLACE_BEHIND in what a pointer of the section points to */
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
    uint64_t virt;              /* where the guest uses it, of a block of the heap and behind a pointer; else 0 */
    uint32_t pointer;           /* number of the pointer that it is behind, from 1 on; else 0 */
    uint64_t before;            /* bytes of the place before the range */
};

struct place_ranges {
    struct place_range *range; /* owned, in the order of the arena's tables */
    size_t count;
    uint64_t bytes; /* of all ranges */
};

/* Not for a PLACE_REGISTER. ERR_NOT_FOUND: no such cell, section, symbol or task, or nothing in it. All ranges lie
 * within RAM. */
enum err place_resolve(const struct place *place, const struct view *view, struct place_ranges *ret_ranges,
                       struct why *why);
/* The section that holds all of [phys, phys + bytes), or none. */
struct section_ref place_section(const struct view *view, uint64_t phys, uint64_t bytes);
void place_ranges_done(struct place_ranges *ranges);

/* Where a table of the arena is, by its name in lower case. False: there is none. */
bool place_table(const struct view *view, const char *name, uint64_t *ret_phys, uint64_t *ret_bytes);
/* Where the guest has what a pointer points to, by its number in the section `cell`:`name`. */
enum err place_behind(const struct view *view, const char *words, unsigned pointer, uint64_t *ret_virt);

/* The n-th byte, n below ranges->bytes: a range of what is left from there on. */
struct place_range place_byte(const struct place_ranges *ranges, uint64_t n);
