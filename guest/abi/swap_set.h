/* What a swap carries in the mailbox: which live cells go, and the objects that come for them. O and N need not be equal:
 * cells are split, merged, renamed, added (no old one) and removed (no object). Everything is hostile to the guest. */
#pragma once
#include <stdint.h>

#define SWAP_SET_MAX 64 /* cells on either side */

struct swap_set_object {
    uint32_t offset, bytes; /* from the start of the set */
    uint64_t hash;          /* 0: the object is there; else the guest has it, and there is the name of its cell */
};

struct swap_set {
    uint32_t bytes; /* of the whole, this header included */
    uint32_t olds, objects;
    uint32_t recipes_offset, recipes_bytes; /* how static data of changed types is taken over; 0: nothing is said */
    uint32_t pad;
    char old[SWAP_SET_MAX][32]; /* names, NUL-terminated */
    struct swap_set_object object[SWAP_SET_MAX];
};
_Static_assert(sizeof(struct swap_set) == 24 + SWAP_SET_MAX * 48);
