/* What a dry run answers beside its completion: the plan, item by item, from the start of the mailbox on, as far as there is
 * room. Who posted the request may read it until the next one. Everything is hostile to the host. */
#pragma once
#include <stdint.h>

/* In this order. What a kind does not name is 0. */
enum plan_kind {
    PLAN_CELL =
        1,        /* cell: from old_version to new_version, with the hashes of their objects; way: enum plan_cell_way */
    PLAN_SECTION, /* cell:name -> to_cell:to, bytes -> new_bytes; way: enum plan_section_way */
    PLAN_TRANSFER,  /* cell:name is the function that takes over `bytes` bytes, those of all such functions together */
    PLAN_DEPENDENT, /* in cell:name `count` relocations for `to` of to_cell, `bytes` bytes, are written anew */
    PLAN_QUIET,     /* cell:name has another type, so that nobody may be inside; way: enum plan_quiet_way */
    PLAN_TASK,      /* task `count`, called name, can reach the old cells: its stack is scanned; begins in to_cell:to */
    PLAN_WORDS, /* `count` words of memory lead to to_cell:to + to_offset; in cell:name + offset, or in pages without a
                       name, the first at physical address `offset` */
};

/* version and object 0: there is none, or it has not come so far */
enum plan_cell_way {
    PLAN_CELL_SWAP = 1, /* one takes the place of the other, comes or goes */
    PLAN_CELL_COPY,     /* inherited, depends on what is changed: the namespace gets a copy */
    PLAN_CELL_STAYS,    /* depends on what is changed, and stays as it is: a singleton */
};

enum plan_section_way {
    PLAN_SAME = 1,    /* the same bytes but for relocations: who is inside goes on in the new one */
    PLAN_OTHER,       /* other bytes; of data: nothing is taken over */
    PLAN_CARRIED,     /* data, copied as it is */
    PLAN_BY_RECIPE,   /* data, moved field by field */
    PLAN_BY_FUNCTION, /* data that a transfer function looks after */
    PLAN_DROPPED,     /* data that a recipe gives up */
    PLAN_GONE,        /* has no counterpart */
    PLAN_NEW,         /* is none's counterpart: to_cell:to */
};

enum plan_quiet_way {
    PLAN_QUIET_NOT = 0,
    PLAN_QUIET_DATA,   /* static data that is not copied as it is */
    PLAN_QUIET_BEHIND, /* static data: something that its pointers lead to */
    PLAN_QUIET_CALL,   /* an exported function: something that its arguments lead to */
};

struct plan_item {
    uint32_t kind; /* enum plan_kind */
    uint32_t way;
    uint32_t old_version, new_version;
    uint64_t old_object, new_object; /* arena_object.hash */
    uint64_t offset;
    uint32_t to_offset;
    uint32_t count;
    uint32_t bytes, new_bytes;
    char cell[32], to_cell[32]; /* NUL-terminated, as are the others; cut off where they are too long */
    char name[64], to[64];      /* sections, with the first part of their names; symbols; tasks */
};
_Static_assert(sizeof(struct plan_item) == 248);
