/* What a cell's object file says of the cell: ELF notes of owner NOTE_OWNER in the section NOTE_SECTION, written by
 * `cell make` from the macros of cells/cell.h and from DWARF. The loader trusts no byte of them. */
#pragma once
#include <stdint.h>

#define NOTE_OWNER        "Delias"
#define NOTE_SECTION      ".note.delias"
#define NOTE_DECLARATIONS ".delias.declare" /* what the macros leave in the compiled source, as text; not in a cell */
#define NOTE_TYPES                                                                                                     \
    ".delias.types" /* pointers that TYPED(...), as NOTE_TYPED..., and INIT(...) and its like leave; not in a cell */
#define NOTE_TYPED "cell_type_of_"
#define NOTE_ABI   3

enum note_type {
    NOTE_CELL = 1,     /* one struct note_cell */
    NOTE_EXPORT = 2,   /* array of struct note_symbol, by symbol: global symbols that others may use */
    NOTE_IMPORT = 3,   /* the same of undefined symbols, with the type this cell was compiled against */
    NOTE_DATA = 4,     /* array of struct note_data, in the order of the sections: every writable one, and functions */
    NOTE_POINTERS = 5, /* struct note_pointers and what it counts: where pointers to functions may be */
    NOTE_RULES = 6,    /* struct note_rules and what it counts: what data must be; not of the foundation's cells */
};

enum cell_kind { CELL_KERNEL = 1, CELL_DRIVER = 2, CELL_LIBRARY = 3, CELL_APPLICATION = 4 };

/* Which cells may import a symbol: those of the same or a more privileged kind.
 * KERNEL: kernel cells; DRIVER: also drivers; LIBRARY: also libraries; APPLICATION: everybody. */
enum access_level { ACCESS_KERNEL = 1, ACCESS_DRIVER = 2, ACCESS_LIBRARY = 3, ACCESS_APPLICATION = 4 };

#define NOTE_NAME_BYTES   32
#define NOTE_SYMBOL_BYTES 64

#define NOTE_PER_NAMESPACE 1 /* flag: its static data may exist once per namespace */
#define NOTE_SIMD          2 /* flag: some of its code uses x87, MMX, SSE or AVX registers */
#define NOTE_CORE          4 /* flag: it is linked into the nano_core image */
#define NOTE_FOUNDATION    8 /* flag: recovery calls it, directly or by way of others */
#define NOTE_FLAGS         (NOTE_PER_NAMESPACE | NOTE_SIMD | NOTE_CORE | NOTE_FOUNDATION)

struct note_cell {
    uint32_t abi; /* NOTE_ABI */
    uint32_t version;
    uint32_t kind;              /* enum cell_kind */
    uint32_t flags;             /* of NOTE_* above */
    char name[NOTE_NAME_BYTES]; /* NUL-terminated, [a-z0-9_]+ */
    /* Symbol-table index of the function or 0. All of type `enum err (void)` but transfer and main. */
    uint32_t init;     /* run once after linking, after the init of every cell it depends on */
    uint32_t main;     /* `int (int argc, char **argv)` of an application */
    uint32_t transfer; /* `enum err (const struct cell_transfer *)`: takes state over from the version before */
    uint32_t done;     /* run before the cell is freed */
};
_Static_assert(sizeof(struct note_cell) == 64);

struct note_symbol {
    uint32_t symbol;    /* index in the object's .symtab */
    uint32_t access;    /* enum access_level; 0 for imports */
    uint64_t type_hash; /* FNV-1a of the canonical type; only in the image's entry point 0: unknown */
    uint64_t deep_hash; /* of an exported function: the same with all that its arguments refer to; else 0 */
};
_Static_assert(sizeof(struct note_symbol) == 24);

/* What a datum is besides, as its cell's source says (cells/cell.h). */
enum note_datum {
    DATUM_ORDINARY = 0,
    DATUM_SET_ONCE = 1, /* SET_ONCE: constant once it is set; state_db has a copy */
    DATUM_SOFT = 2,     /* SOFT: may be zeroed at any time; its cell makes it again */
    DATUMS
};

/* Static data that a swap carries over. Two sections of equal type_hash have the same layout; of equal deep_hash, so
 * has all that pointers in them refer to, as far as the cell knows its types. Also a section that is one function,
 * exported or not, with the hashes of its type as in struct note_symbol: pointers may refer to it. */
struct note_data {
    uint32_t section;   /* section header index in the object */
    uint32_t datum;     /* enum note_datum */
    uint64_t type_hash; /* 0: unknown (assembly); then both are */
    uint64_t deep_hash;
};
_Static_assert(sizeof(struct note_data) == 24);

/* The type graph: paths from static data to pointers to functions, by the types that DWARF gives; types without one are
 * left out. In this order: struct note_pointers, so many struct note_shape, note_field, note_root, and bytes of names,
 * of which the last is 0. Name 0 is the empty one. A member of a union counts as if it were the only one. */
struct note_pointers {
    uint32_t types, fields, roots, name_bytes;
};

/* A structure, union, a section of static data, or anything else that a pointer refers to. */
struct note_shape {
    uint64_t tag;    /* hash of its tag; 0: it has none */
    uint64_t layout; /* hash as in struct note_data, but without what pointers refer to; 0: it has no tag */
    uint32_t bytes;
    uint32_t first, fields; /* index of the first field, which follows the last one of the type before; how many */
    uint32_t name;          /* of the tag or section */
};

enum note_what {
    NOTE_TO_FUNCTION = 1, /* `hash` is that of the function's type */
    NOTE_TO_TYPE = 2,     /* a pointer to `target` */
    NOTE_TO_TAG = 3,      /* a pointer to a type that is defined in other cells: `hash` is that of its tag */
    NOTE_HOLDS = 4,       /* not a pointer but `target` itself, a type of a lower index */
};

/* One field, or an array of them. */
struct note_field {
    uint64_t hash;
    uint32_t offset, stride;
    uint32_t count;  /* 0: as many as there is room for */
    uint32_t what;   /* enum note_what */
    uint32_t target; /* index of a type, or 0 */
    uint32_t name;
};

/* A section of static data from which a path begins. */
struct note_root {
    uint32_t section, type;
};
_Static_assert(sizeof(struct note_pointers) == 16 && sizeof(struct note_shape) == 32);
_Static_assert(sizeof(struct note_field) == 32 && sizeof(struct note_root) == 8);

/* What static data must be, and what its pointers refer to, by the types that DWARF gives and by what the source
 * declares (INVARIANT_... in cells/cell.h). In this order: struct note_rules, so many struct note_ruled, note_rule,
 * note_values, note_root, and bytes of names, of which the last is 0. Name 0 is the empty one. Unions and bit fields
 * have no rules. No cell is loaded or refused for this note; cell `check` reads it, and trusts no byte of it. */
struct note_rules {
    uint32_t types, rules, values, roots, name_bytes;
};

/* A type, or a section of static data. What other cells define has rules only where this cell holds it by value. */
struct note_ruled {
    uint64_t tag;          /* hash of its tag; 0: it has none, or is a section */
    uint32_t bytes;        /* 0: it is opaque to this cell */
    uint32_t first, rules; /* index of the first rule, which follows the last one of the type before; how many */
    uint32_t own;          /* 1: the cell defines it; where others refer to its tag, this is it */
};

enum note_rule_what {
    RULE_POINTER = 1, /* 0, or a pointer to `target` */
    RULE_LIST,        /* the same, and no two such pointers refer to the same: a list in no circle */
    RULE_BYTES,       /* 0, or a pointer to `target` bytes of any alignment */
    RULE_FUNCTION,    /* 0, or a pointer to a function */
    RULE_BOOL,        /* a byte, 0 or 1 */
    RULE_VALUES,      /* a number of `bytes` bytes, one of the values `target` */
    RULE_HOLDS,       /* `target` itself, a type of a lower index */
    RULE_BACK,        /* 0, or a pointer to what has, at `other`, a pointer back to where this one's type begins */
    RULE_ARRAY,       /* a pointer to as many `target` as the number at `other` says, which has `bytes` bytes */
    RULE_LENGTH,      /* a number of `bytes` bytes, at most the number at `other`, of `target` bytes */
    RULE_KINDS
};

/* Of one field, or of an array of them. */
struct note_rule {
    uint32_t offset;
    union {
        uint32_t count; /* elements of an array, else 1 */
        uint32_t other; /* of RULE_BACK, RULE_ARRAY, RULE_LENGTH: an offset; they are of one field */
    };
    uint8_t what; /* enum note_rule_what */
    uint8_t bytes;
    uint16_t target; /* index of a type or of values, or as said above */
    uint32_t name;
};

/* The values that an enumeration may have: those from `low` to `high` whose bit is set in `set`, of which bit 0 stands
 * for `low`; with `high` 64 and more above `low`, all of them. */
struct note_values {
    int64_t low, high;
    uint64_t set;
};
_Static_assert(sizeof(struct note_rules) == 20 && sizeof(struct note_ruled) == 24 && sizeof(struct note_rule) == 16);

/* Where the linker has put the sections of the cells that the nano_core consists of: section NOTE_IMAGE of nano_core.o,
 * which is not loaded. A struct note_image, its places, cell by cell, and the strings that these name by offset. */
#define NOTE_IMAGE ".delias.image"

struct note_image {
    uint8_t build_id[20]; /* of the image */
    uint32_t places;
};

struct note_place {
    uint64_t virt;
    uint32_t bytes;
    uint32_t cell, section; /* offsets from the start of NOTE_IMAGE to their names */
    uint32_t pad;
};
_Static_assert(sizeof(struct note_image) == 24 && sizeof(struct note_place) == 24);
