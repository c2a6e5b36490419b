/* Unwind tables and landing-pad tables as GCC emits them: looks up a function, says how its caller's registers are
 * found, and which landing pad belongs to an instruction (System V ABI AMD64 §3.7, DWARF 4 §6.4, LSB §10.6). Pure:
 * reads only the slices it is given, checks the bounds of each access, and limits every loop. Private to the unwind
 * cell, its tests and fuzz target. */
#pragma once
#include "cells/cell.h"

/* Bytes that are at address `virt`. */
struct dwarf_slice {
    const uint8_t *data;
    size_t bytes;
    uint64_t virt;
};

enum {
    DWARF_RAX,
    DWARF_RDX,
    DWARF_RCX,
    DWARF_RBX,
    DWARF_RSI,
    DWARF_RDI,
    DWARF_RBP,
    DWARF_RSP,
    DWARF_RIP = 16,
    DWARF_REGISTERS
};

/* What the tables say of a function. Its programs point into the table. */
struct dwarf_function {
    uint64_t start, bytes;
    uint64_t lsda;        /* address of its landing-pad table, 0: none */
    uint64_t personality; /* 0: none */
    bool signal; /* its caller was interrupted and did not call: the return address is that of an instruction */
    uint64_t code_align;
    int64_t data_align;
    struct dwarf_slice initial; /* the CIE's program */
    struct dwarf_slice program; /* the function's own */
};

/* Looks up the function that holds `ip`. ERR_NOT_FOUND: none does. ERR_CORRUPT: the table cannot be read up to
 * there. */
enum err dwarf_find(const struct dwarf_slice *eh_frame, uint64_t ip, struct dwarf_function *ret_function);

/* The same, but reads only the entry that begins at `offset` and its CIE. ERR_NOT_FOUND: that is the entry of another
 * function, or none. */
enum err dwarf_find_at(const struct dwarf_slice *eh_frame, uint64_t offset, uint64_t ip,
                       struct dwarf_function *ret_function);

enum dwarf_how {
    DWARF_SAME,
    DWARF_UNDEFINED,
    DWARF_OFFSET,
    DWARF_VALUE_OFFSET,
    DWARF_REGISTER,
    DWARF_EXPRESSION,
    DWARF_VALUE_EXPRESSION
};

struct dwarf_rule {
    uint8_t how;    /* enum dwarf_how */
    uint32_t bytes; /* of an expression */
    union {
        int64_t value; /* offset from the CFA, or register */
        const uint8_t *expression;
    };
};

/* How to find the caller's registers at one address of a function. */
struct dwarf_row {
    uint64_t cfa_register;
    int64_t cfa_offset;
    struct dwarf_slice cfa_expression; /* bytes > 0: in place of register and offset */
    uint64_t args_bytes;               /* of arguments on the stack, which are gone at the landing pad */
    struct dwarf_rule rule[DWARF_REGISTERS];
};

/* Makes the row for `ip`, which the function holds. ERR_CORRUPT: its program cannot be run; then *row has anything. */
enum err dwarf_row_at(const struct dwarf_function *function, uint64_t ip, struct dwarf_row *row);
/* Whether both rows find the same registers in the same places, whatever arguments are on the stack. */
bool dwarf_row_same(const struct dwarf_row *a, const struct dwarf_row *b);

struct dwarf_registers {
    uint64_t value[DWARF_REGISTERS];
};

enum [[nodiscard]] dwarf_step{STEP_DONE, STEP_OUTERMOST, STEP_FAILED};
/* Replaces the registers by those of the caller, and writes the frame's CFA. `stack` is all memory that may be read.
 * OUTERMOST: the function has no caller (its return address is undefined). FAILED: a value is not on the stack, or the
 * row is corrupt. In both cases nothing is changed. */
enum dwarf_step dwarf_step(const struct dwarf_row *row, const struct dwarf_slice *stack,
                           struct dwarf_registers *registers, uint64_t *ret_cfa);

struct dwarf_pad {
    uint64_t address; /* 0: nothing to clean up here */
    bool nearest;     /* no region holds ip: this is the pad of the nearest one */
};

/* Finds the landing pad for `ip`. `nearest`: an ip that no region holds gets the pad of the nearest region.
 * ERR_CORRUPT: the table cannot be read. */
enum err dwarf_pad_find(const struct dwarf_slice *lsda, const struct dwarf_function *function, uint64_t ip,
                        bool nearest, struct dwarf_pad *ret_pad);
