/* See dwarf.h. Applies a row to registers and stack: the caller's registers. Reads no memory but the stack. */
#include "cells/recover/unwind/reader.h"

#define DEPTH_MAX 16 /* of an expression's stack */

/* Operations of expressions (DWARF 4 §7.7.1). */
enum {
    OP_DEREF = 0x06,
    OP_CONST1U = 0x08,
    OP_CONST8S = 0x0f,
    OP_CONSTU = 0x10,
    OP_CONSTS = 0x11,
    OP_DUP = 0x12,
    OP_DROP = 0x13,
    OP_AND = 0x1a,
    OP_MINUS = 0x1c,
    OP_MUL = 0x1e,
    OP_OR = 0x21,
    OP_PLUS = 0x22,
    OP_PLUS_UCONST = 0x23,
    OP_SHL = 0x24,
    OP_SHR = 0x25,
    OP_XOR = 0x27,
    OP_EQ = 0x29,
    OP_GE = 0x2a,
    OP_GT = 0x2b,
    OP_LE = 0x2c,
    OP_LT = 0x2d,
    OP_NE = 0x2e,
    OP_LIT0 = 0x30,
    OP_BREG0 = 0x70,
};

/* Reads a word of the stack. False: the address is not in it, or not aligned. */
static bool read_stack(const struct dwarf_slice *stack, uint64_t address, uint64_t *ret_value)
{
    uint64_t offset = address - stack->virt;

    if (address % 8 != 0 || stack->bytes < 8 || offset > stack->bytes - 8)
        return false;
    *ret_value = *(const uint64_t *)(const void *)(stack->data + offset);
    return true;
}

struct calculator {
    uint64_t value[DEPTH_MAX];
    unsigned depth;
    bool bad;
};

static void push(struct calculator *c, uint64_t v)
{
    if (c->depth == DEPTH_MAX)
        c->bad = true;
    else
        c->value[c->depth++] = v;
}

static uint64_t pop(struct calculator *c)
{
    if (c->depth == 0) {
        c->bad = true;
        return 0;
    }
    return c->value[--c->depth];
}

static bool compare(struct calculator *c, uint8_t op, int64_t a, int64_t b)
{
    switch (op) {
    case OP_EQ:
        return a == b;
    case OP_GE:
        return a >= b;
    case OP_GT:
        return a > b;
    case OP_LE:
        return a <= b;
    case OP_LT:
        return a < b;
    case OP_NE:
        return a != b;
    default:
        c->bad = true;
        return false;
    }
}

/* Replaces the two topmost values by the operation's result. */
static void combine(struct calculator *c, uint8_t op)
{
    uint64_t b = pop(c), a = pop(c);

    switch (op) {
    case OP_AND:
        return push(c, a & b);
    case OP_MINUS:
        return push(c, a - b);
    case OP_MUL:
        return push(c, a * b);
    case OP_OR:
        return push(c, a | b);
    case OP_PLUS:
        return push(c, a + b);
    case OP_SHL:
        return push(c, b < 64 ? a << b : 0);
    case OP_SHR:
        return push(c, b < 64 ? a >> b : 0);
    case OP_XOR:
        return push(c, a ^ b);
    default:
        return push(c, compare(c, op, (int64_t)a, (int64_t)b));
    }
}

/* Runs one operation. */
static void run_operation(struct calculator *c, struct reader *r, uint8_t op, const struct dwarf_slice *stack,
                          const struct dwarf_registers *registers)
{
    uint64_t v = 0;

    if (op >= OP_LIT0 && op < OP_LIT0 + 32) {
        push(c, op - OP_LIT0);
    } else if (op >= OP_BREG0 && op < OP_BREG0 + 32) {
        int64_t offset = reader_sleb(r);
        if (op - OP_BREG0 >= DWARF_REGISTERS)
            c->bad = true;
        else
            push(c, registers->value[op - OP_BREG0] + (uint64_t)offset);
    } else if (op >= OP_CONST1U && op <= OP_CONST8S) { /* const1u, const1s, const2u ... */
        unsigned bytes = 1u << ((op - OP_CONST1U) / 2);
        push(c, op & 1 ? (uint64_t)reader_signed(r, bytes) : reader_fixed(r, bytes));
    } else if (op == OP_CONSTU) {
        push(c, reader_uleb(r));
    } else if (op == OP_CONSTS) {
        push(c, (uint64_t)reader_sleb(r));
    } else if (op == OP_DEREF) {
        if (!read_stack(stack, pop(c), &v))
            c->bad = true;
        push(c, v);
    } else if (op == OP_DUP) {
        v = pop(c);
        push(c, v);
        push(c, v);
    } else if (op == OP_DROP) {
        pop(c);
    } else if (op == OP_PLUS_UCONST) {
        v = pop(c);
        push(c, v + reader_uleb(r));
    } else {
        combine(c, op);
    }
}

/* Evaluates an expression without branches, starting with *first on its stack if it is not NULL. False: it cannot
 * be. GCC and our assembly use no branches. */
static bool evaluate(const struct dwarf_slice *expression, const uint64_t *first, const struct dwarf_slice *stack,
                     const struct dwarf_registers *registers, uint64_t *ret_value)
{
    struct reader r = reader_of(expression);
    struct calculator c = {};

    if (first)
        push(&c, *first);
    while (r.at < r.end && !c.bad && !r.truncated)
        run_operation(&c, &r, reader_byte(&r), stack, registers);
    if (c.bad || r.truncated || c.depth == 0)
        return false;
    *ret_value = c.value[c.depth - 1];
    return true;
}

/* Finds the value that a register had in the caller. `value` is the one that it has now. */
static bool apply_rule(const struct dwarf_rule *rule, uint64_t cfa, const struct dwarf_slice *stack,
                       const struct dwarf_registers *registers, uint64_t *value)
{
    struct dwarf_slice expression;
    uint64_t address;

    switch ((enum dwarf_how)rule->how) {
    case DWARF_SAME:
    case DWARF_UNDEFINED:
        return true;
    case DWARF_OFFSET:
        return read_stack(stack, cfa + (uint64_t)rule->value, value);
    case DWARF_VALUE_OFFSET:
        *value = cfa + (uint64_t)rule->value;
        return true;
    case DWARF_REGISTER:
        if ((uint64_t)rule->value >= DWARF_REGISTERS)
            return false;
        *value = registers->value[rule->value];
        return true;
    case DWARF_EXPRESSION:
    case DWARF_VALUE_EXPRESSION:
        expression = (struct dwarf_slice){rule->expression, rule->bytes, 0};
        if (rule->how == DWARF_VALUE_EXPRESSION)
            return evaluate(&expression, &cfa, stack, registers, value);
        return evaluate(&expression, &cfa, stack, registers, &address) && read_stack(stack, address, value);
    }
    return false;
}

enum dwarf_step dwarf_step(const struct dwarf_row *row, const struct dwarf_slice *stack,
                           struct dwarf_registers *registers, uint64_t *ret_cfa)
{
    struct dwarf_registers caller = *registers;
    uint64_t cfa;

    if (row->rule[DWARF_RIP].how == DWARF_UNDEFINED)
        return STEP_OUTERMOST;
    if (row->cfa_expression.bytes > 0) {
        if (!evaluate(&row->cfa_expression, NULL, stack, registers, &cfa))
            return STEP_FAILED;
    } else {
        if (row->cfa_register >= DWARF_REGISTERS)
            return STEP_FAILED;
        cfa = registers->value[row->cfa_register] + (uint64_t)row->cfa_offset;
    }
    caller.value[DWARF_RSP] = cfa;
    for (unsigned i = 0; i < DWARF_REGISTERS; i++)
        if (row->rule[i].how != DWARF_SAME && !apply_rule(&row->rule[i], cfa, stack, registers, &caller.value[i]))
            return STEP_FAILED;
    if (row->rule[DWARF_RIP].how == DWARF_SAME)
        return STEP_FAILED;
    *registers = caller;
    *ret_cfa = cfa;
    return STEP_DONE;
}
