/* What a dry run returns beside its completion: the plan, item by item, from the start of the mailbox on, as far as
 * there is room. Valid until the next request is posted. Everything is hostile to the host. */
#pragma once
#include <stdint.h>

/* Items are in this order. Fields that a kind does not name are 0. Cells are named NAMESPACE/CELL, the root's CELL. */
enum plan_kind {
    /* cell: from old_version to new_version, with the hashes of their objects; treatment: enum plan_cell_treatment */
    PLAN_CELL = 1,
    /* cell:name -> to_cell:to, bytes -> new_bytes; treatment: enum plan_section_treatment */
    PLAN_SECTION,
    /* cell:name is a transfer function; all of them together carry `bytes` bytes */
    PLAN_TRANSFER,
    /* in cell:name `count` relocations for `to` of to_cell, `bytes` bytes, are rewritten */
    PLAN_DEPENDENT,
    /* cell:name has another type, so no task may be inside; reason: enum plan_quiescence */
    PLAN_QUIESCENCE,
    /* task `count`, called name, can reach the old cells: its stack is scanned; begins in to_cell:to */
    PLAN_TASK,
    /* `count` words of memory point to to_cell:to + to_offset; in cell:name + offset, or in pages without a name, the
     * first at physical address `offset` */
    PLAN_WORDS,
};

/* version and object 0: there is none, or the plan was refused before it was known */
enum plan_cell_treatment {
    PLAN_CELL_SWAP = 1, /* replaced, added or removed */
    PLAN_CELL_COPY,     /* inherited, depends on what is changed: the namespace gets a copy */
    PLAN_CELL_STAYS,    /* depends on what is changed, and stays as it is: a singleton */
    PLAN_CELL_INHERIT,  /* given up for the parent's */
};

/* What becomes of an old section's bytes. */
enum plan_section_treatment {
    PLAN_SAME = 1,    /* the same bytes but for relocations: a task inside is resumed in the new one */
    PLAN_OTHER,       /* other bytes; data is not carried */
    PLAN_CARRIED,     /* data, copied as it is */
    PLAN_BY_RECIPE,   /* data, moved field by field */
    PLAN_BY_FUNCTION, /* data, left to a transfer function */
    PLAN_DROPPED,     /* data that a recipe does not carry */
    PLAN_GONE,        /* an old section without a pair */
    PLAN_NEW,         /* a new section without a pair: to_cell:to */
};

/* Why a swap has to wait for quiescence. */
enum plan_quiescence {
    PLAN_QUIESCENCE_NONE = 0,
    PLAN_QUIESCENCE_DATA,   /* static data that is not copied as it is */
    PLAN_QUIESCENCE_BEHIND, /* static data: something that its pointers refer to */
    PLAN_QUIESCENCE_CALL,   /* an exported function: something that its arguments refer to */
};

struct plan_item {
    uint32_t kind; /* enum plan_kind */
    union {
        uint32_t treatment; /* of a cell or section */
        uint32_t reason;    /* for quiescence */
    };
    uint32_t old_version, new_version;
    uint64_t old_object, new_object; /* arena_object.hash */
    uint64_t offset;
    uint32_t to_offset;
    uint32_t count;
    uint32_t bytes, new_bytes;
    char cell[64], to_cell[64]; /* NUL-terminated, as are the others; cut if too long */
    char name[64], to[64];      /* sections, with the first part of their names; symbols; tasks */
};
_Static_assert(sizeof(struct plan_item) == 312);
