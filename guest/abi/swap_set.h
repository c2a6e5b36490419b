/* A swap as the host puts it into the mailbox: O live cells to be replaced, and N objects for the new ones. Cells are
 * split, merged, renamed, added (no old cell) or removed (no object). Everything is hostile to the guest. */
#pragma once
#include <stdint.h>

#define SWAP_SET_MAX 96 /* cells on either side */

struct swap_set_object {
    uint32_t offset, bytes; /* from the start of the set */
    uint64_t hash; /* 0: its bytes are at `offset`; else the guest has the object, and the name of its cell is there */
};

struct swap_set {
    uint32_t bytes; /* of the whole, this header included */
    uint32_t olds, objects;
    uint32_t recipes_offset, recipes_bytes; /* struct recipe_set; 0: there is none */
    uint32_t inherits; /* for the last so many objects: the parent's cell, if it is from the same one and nothing is in
                        * the way (struct swap_order) */
    char old[SWAP_SET_MAX][32]; /* names, NUL-terminated */
    struct swap_set_object object[SWAP_SET_MAX];
};
_Static_assert(sizeof(struct swap_set) == 24 + SWAP_SET_MAX * 48);
