/* Private to the check cell: notes, pointers and the walk. */
#pragma once
#include "cells/core/arena/arena.h"
#include "cells/recover/check/check.h"
#include "guest/abi/note.h"

/* Parts of a note, which need not be aligned. */
typedef struct note_rules __attribute__((aligned(1))) any_rules;
typedef struct note_ruled __attribute__((aligned(1))) any_ruled;
typedef struct note_rule __attribute__((aligned(1))) any_rule;
typedef struct note_values __attribute__((aligned(1))) any_values;
typedef struct note_root __attribute__((aligned(1))) any_root;

struct rules {
    const any_rules *head;
    const any_ruled *type;
    const any_rule *rule;
    const any_values *values;
    const any_root *root;
    const char *names;
    struct cell_ref cell;
};

/* Finds the parts of the note, and checks them all. */
bool rules_open(const void *note, size_t bytes, struct rules *ret_rules);
/* Finds the note in the pristine object of a live cell. False: it has none, or it is damaged. */
bool rules_of_cell(struct cell_ref cell, struct rules *ret_rules);
/* Bytes of an element that the rule is of. */
uint32_t rule_bytes(const struct rules *rules, const any_rule *rule);
/* Whether the rule has `other` in place of `count`. */
bool rule_is_of_two(const any_rule *rule);

/* How a pointer is wrong. */
enum pointer_fault {
    POINTER_RIGHT,
    POINTER_NO_ADDRESS,
    POINTER_ALIGNMENT,
    POINTER_UNMAPPED,
    POINTER_FREED,
    POINTER_BEYOND,
    POINTER_NO_FUNCTION,
};

/* Whether `virt`, which is not 0, may be a pointer to `bytes` bytes, of which the first may be behind the end of
 * something if `bytes` is 0. */
enum pointer_fault pointer_check(uint64_t virt, uint64_t bytes, bool aligned);
enum pointer_fault pointer_check_function(uint64_t virt);
/* The bytes at a virtual address, in the direct map. NULL: they are not mapped, not in RAM, or not in one piece. */
const uint8_t *pointer_bytes(uint64_t virt, uint64_t bytes);

/* ---- the walk ---- */

#define NOTES_MAX   32
#define OBJECTS_MAX 2048
#define SLOTS       (2 * OBJECTS_MAX)
#define STEPS_MAX   200000 /* rules that are applied in one look */
#define DEPTH_MAX   16     /* of types within types */
#define NO_PARENT   UINT16_MAX

/* What a pointer refers to, as one type or an array of them. */
struct object {
    uint64_t virt, listed; /* listed: address of the list's pointer that refers to it; 0: none */
    const uint8_t *bytes;
    uint32_t count;
    uint16_t note, type;
    uint16_t parent; /* object that the first pointer to it is in; NO_PARENT: it is static data */
    uint32_t at;     /* where in it */
};

struct walk {
    struct rules note[NOTES_MAX];
    struct object object[OBJECTS_MAX];
    uint16_t slot[SLOTS]; /* by hash of address and type: number of the object plus one */
    size_t notes, objects;
    uint32_t steps;
    struct check_finding *finding;
    size_t findings, max;
};

/* Walks all of the notes' static data. With the other CPUs parked. */
void walk_all(struct walk *walk);
/* The parts of that: forgets the last walk; adds something of a type of note `n` at a virtual address; walks. */
void walk_begin(struct walk *walk);
void walk_add(struct walk *walk, uint16_t n, uint16_t type, uint64_t virt);
void walk_run(struct walk *walk);
/* Writes the path from static data to byte `at` of the object. */
void path_write(const struct walk *walk, const struct object *object, uint32_t at, char ret_path[CHECK_PATH_BYTES]);
