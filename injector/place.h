/* Where to inject, in words, and which physical memory that is in a guest:
 *     cell:NAME[:SECTION]   .text, .rodata, .data, .bss: all sections of that kind; else one section by name;
 *                           NAME * is every live cell
 *     symbol:NAME[+OFFSET[+BYTES]]  a function or datum, or a part of it (BYTES: 1)
 *     task:NAME:stack       the part of its stack in use, as far as is known; NAME * is every task
 *     phys:ADDRESS[+BYTES]
 *     random                any section of any live cell, or a stack */
#pragma once
#include "injector/why.h"
#include "introspect/view.h"

enum place_kind { PLACE_CELL, PLACE_SYMBOL, PLACE_TASK, PLACE_PHYS, PLACE_RANDOM };

struct place {
    enum place_kind kind;
    char name[64];
    char section[64];     /* empty: all */
    uint64_t phys, bytes; /* of PLACE_PHYS; offset and bytes of PLACE_SYMBOL, 0 bytes: all of it */
};

enum err place_parse(const char *words, struct place *ret_place, struct why *why);

struct place_range {
    uint64_t phys, bytes;
    uint32_t section; /* of the arena, or 0 */
    uint32_t offset;  /* of the range's start in the section */
    uint64_t lead;    /* bytes before it that are of the place too */
};

struct place_ranges {
    struct place_range *range; /* owned, in the order of the arena's tables */
    size_t count;
    uint64_t bytes; /* of all ranges */
};

/* ERR_NOT_FOUND: no such cell, section, symbol or task, or nothing in it. All ranges lie within RAM. */
enum err place_resolve(const struct place *place, const struct view *view, struct place_ranges *ret_ranges,
                       struct why *why);
void place_ranges_done(struct place_ranges *ranges);

/* The n-th byte, n below ranges->bytes: a range of what is left from there on. */
struct place_range place_byte(const struct place_ranges *ranges, uint64_t n);
