/* See dwarf.h. Runs the call frame instructions of a function up to an address: their result is the row of the
 * unwind table for that address (DWARF 4 §6.4.2). A program runs at most STEPS_MAX instructions that run_common does
 * not know. */
#include "cells/recover/unwind/reader.h"

#define STEPS_MAX      4096 /* GCC's longest programs have a few dozen */
#define ARGS_BYTES_MAX 4096
#define SAVED_MAX      4 /* remembered rows: they are on the fault stack */

/* Call frame instructions: in the high two bits, or, where those are 0, in the low six. */
enum { CFA_ADVANCE = 1, CFA_OFFSET = 2, CFA_RESTORE = 3 };
enum {
    CFA_ADVANCE_1 = 0x02,
    CFA_ADVANCE_2 = 0x03,
    CFA_ADVANCE_4 = 0x04,
    CFA_NOP = 0x00,
    CFA_OFFSET_EXTENDED = 0x05,
    CFA_RESTORE_EXTENDED = 0x06,
    CFA_UNDEFINED = 0x07,
    CFA_SAME_VALUE = 0x08,
    CFA_REGISTER = 0x09,
    CFA_REMEMBER_STATE = 0x0a,
    CFA_RESTORE_STATE = 0x0b,
    CFA_DEF_CFA = 0x0c,
    CFA_DEF_CFA_REGISTER = 0x0d,
    CFA_DEF_CFA_OFFSET = 0x0e,
    CFA_DEF_CFA_EXPRESSION = 0x0f,
    CFA_EXPRESSION = 0x10,
    CFA_OFFSET_EXTENDED_SF = 0x11,
    CFA_DEF_CFA_SF = 0x12,
    CFA_DEF_CFA_OFFSET_SF = 0x13,
    CFA_VAL_OFFSET = 0x14,
    CFA_VAL_OFFSET_SF = 0x15,
    CFA_VAL_EXPRESSION = 0x16,
    CFA_GNU_ARGS_SIZE = 0x2e,
};

/* `initial` and those of `saved` that are in use are written before they are read: to clear them all would cost more
 * than most programs. */
struct machine {
    uint64_t at, stop;
    const struct dwarf_function *function;
    struct dwarf_row *row;
    unsigned saves;
    bool is_initial; /* runs the CIE's program */
    struct dwarf_row initial, saved[SAVED_MAX];
};

static void set_rule(struct machine *m, uint64_t reg, enum dwarf_how how, int64_t value)
{
    if (reg < DWARF_REGISTERS)
        m->row->rule[reg] = (struct dwarf_rule){.how = how, .value = value};
}

static void set_expression(struct machine *m, struct reader *r, enum dwarf_how how)
{
    uint64_t reg = reader_uleb(r), bytes = reader_uleb(r);

    struct dwarf_slice slice = reader_slice(r, bytes);

    if (reg < DWARF_REGISTERS)
        m->row->rule[reg] = (struct dwarf_rule){.how = how, .bytes = slice.bytes, .expression = slice.data};
}

static void set_cfa(struct dwarf_row *row, uint64_t reg, int64_t offset)
{
    row->cfa_register = reg;
    row->cfa_offset = offset;
    row->cfa_expression.bytes = 0;
}

/* Sets the rule of a register to a number that follows; factored: in units of the function's alignment. */
static void set_numbered_rule(struct machine *m, struct reader *r, enum dwarf_how how, bool is_signed, bool is_factored)
{
    uint64_t reg = reader_uleb(r), value = is_signed ? (uint64_t)reader_sleb(r) : reader_uleb(r);

    set_rule(m, reg, how, (int64_t)(is_factored ? value * (uint64_t)m->function->data_align : value));
}

static void restore_rule(struct machine *m, uint64_t reg)
{
    if (m->is_initial)
        set_rule(m, reg, DWARF_SAME, 0);
    else if (reg < DWARF_REGISTERS)
        m->row->rule[reg] = m->initial.rule[reg];
}

/* Runs an instruction about remembered rows. False: none of these, or there is no room or no row. */
static bool run_state(struct machine *m, uint8_t op)
{
    if (op == CFA_REMEMBER_STATE && m->saves < SAVED_MAX) {
        m->saved[m->saves++] = *m->row;
        return true;
    }
    if (op == CFA_RESTORE_STATE && m->saves > 0) {
        *m->row = m->saved[--m->saves];
        return true;
    }
    return false;
}

/* Runs an instruction about the CFA. False: none of these, or it cannot be run. */
static bool run_cfa(struct machine *m, struct reader *r, uint8_t op)
{
    int64_t align = m->function->data_align;
    uint64_t reg;

    switch (op) {
    case CFA_DEF_CFA:
        reg = reader_uleb(r);
        set_cfa(m->row, reg, (int64_t)reader_uleb(r));
        return true;
    case CFA_DEF_CFA_REGISTER:
        set_cfa(m->row, reader_uleb(r), m->row->cfa_offset);
        return true;
    case CFA_DEF_CFA_OFFSET:
        set_cfa(m->row, m->row->cfa_register, (int64_t)reader_uleb(r));
        return true;
    case CFA_DEF_CFA_EXPRESSION:
        m->row->cfa_expression = reader_slice(r, reader_uleb(r));
        return m->row->cfa_expression.bytes > 0;
    case CFA_DEF_CFA_SF:
        reg = reader_uleb(r);
        set_cfa(m->row, reg, (int64_t)((uint64_t)reader_sleb(r) * (uint64_t)align));
        return true;
    case CFA_DEF_CFA_OFFSET_SF:
        set_cfa(m->row, m->row->cfa_register, (int64_t)((uint64_t)reader_sleb(r) * (uint64_t)align));
        return true;
    default:
        return run_state(m, op);
    }
}

/* Runs any instruction whose high two bits are 0, but for those that move the location. False: it cannot be run. */
static bool run_extended(struct machine *m, struct reader *r, uint8_t op)
{
    switch (op) {
    case CFA_NOP:
        return true;
    case CFA_OFFSET_EXTENDED:
    case CFA_OFFSET_EXTENDED_SF:
        set_numbered_rule(m, r, DWARF_OFFSET, op == CFA_OFFSET_EXTENDED_SF, true);
        return true;
    case CFA_VAL_OFFSET:
    case CFA_VAL_OFFSET_SF:
        set_numbered_rule(m, r, DWARF_VALUE_OFFSET, op == CFA_VAL_OFFSET_SF, true);
        return true;
    case CFA_REGISTER:
        set_numbered_rule(m, r, DWARF_REGISTER, false, false);
        return true;
    case CFA_RESTORE_EXTENDED:
        restore_rule(m, reader_uleb(r));
        return true;
    case CFA_UNDEFINED:
    case CFA_SAME_VALUE:
        set_rule(m, reader_uleb(r), op == CFA_UNDEFINED ? DWARF_UNDEFINED : DWARF_SAME, 0);
        return true;
    case CFA_EXPRESSION:
    case CFA_VAL_EXPRESSION:
        set_expression(m, r, op == CFA_EXPRESSION ? DWARF_EXPRESSION : DWARF_VALUE_EXPRESSION);
        return true;
    case CFA_GNU_ARGS_SIZE:
        m->row->args_bytes = reader_uleb(r);
        return m->row->args_bytes <= ARGS_BYTES_MAX;
    default:
        return run_cfa(m, r, op);
    }
}

/* True: the instruction moves the location, by *ret_advance bytes. */
static bool run_advance(struct machine *m, struct reader *r, uint8_t op, uint64_t *ret_advance)
{
    static const uint8_t width[] = {[CFA_ADVANCE_1] = 1, [CFA_ADVANCE_2] = 2, [CFA_ADVANCE_4] = 4};

    if (op >> 6 == CFA_ADVANCE)
        *ret_advance = op & 0x3f;
    else if (op >= CFA_ADVANCE_1 && op <= CFA_ADVANCE_4)
        *ret_advance = reader_fixed(r, width[op]);
    else
        return false;
    *ret_advance *= m->function->code_align;
    return true;
}

/* Runs the instructions that most of a program consists of, up to one of another kind, or with an operand of more than
 * one byte, or that moves the location behind m->stop. */
static void run_common(struct machine *m, struct reader *r)
{
    const uint64_t code_align = m->function->code_align, data_align = (uint64_t)m->function->data_align;
    struct dwarf_row *row = m->row;
    const uint8_t *at = r->at;
    uint64_t location = m->at;

    for (; at < r->end; at++) {
        uint8_t op = *at, low = op & 0x3f;
        if (op >> 6 == CFA_ADVANCE) {
            uint64_t moved = location + low * code_align;
            if (moved > m->stop || moved < location)
                break;
            location = moved;
            continue;
        }
        if (op == CFA_NOP)
            continue;
        if (r->end - at < 2 || at[1] & 0x80)
            break;
        if (op >> 6 == CFA_OFFSET && low < DWARF_REGISTERS)
            row->rule[low] = (struct dwarf_rule){.how = DWARF_OFFSET, .value = (int64_t)(at[1] * data_align)};
        else if (op == CFA_DEF_CFA_OFFSET)
            set_cfa(row, row->cfa_register, at[1]);
        else if (op == CFA_DEF_CFA_REGISTER)
            set_cfa(row, at[1], row->cfa_offset);
        else if (op == CFA_DEF_CFA && r->end - at > 2 && !(at[2] & 0x80))
            set_cfa(row, at[1], at[2]);
        else
            break;
        at += op == CFA_DEF_CFA ? 2 : 1;
    }
    r->at = at;
    m->at = location;
}

/* Runs one instruction. *ret_end: it moves the location behind m->stop, and has not been run. */
static enum err run_instruction(struct machine *m, struct reader *r, bool *ret_end)
{
    uint8_t op = reader_byte(r);
    uint64_t advance, low = op & 0x3f;

    if (run_advance(m, r, op, &advance)) {
        *ret_end = m->at + advance > m->stop || m->at + advance < m->at;
        m->at += advance;
    } else if (op >> 6 == CFA_OFFSET) {
        set_rule(m, low, DWARF_OFFSET, (int64_t)(reader_uleb(r) * (uint64_t)m->function->data_align));
    } else if (op >> 6 == CFA_RESTORE) {
        restore_rule(m, low);
    } else if (!run_extended(m, r, op)) {
        return ERR_CORRUPT;
    }
    return r->truncated ? ERR_CORRUPT : ERR_OK;
}

/* Runs the program up to the instruction that moves the location behind m->stop. */
static enum err run_program(struct machine *m, const struct dwarf_slice *program)
{
    struct reader r = reader_of(program);
    bool end = false;
    enum err e;

    for (unsigned steps = 0; !end; steps++) {
        run_common(m, &r);
        if (r.at == r.end)
            return ERR_OK;
        if (steps == STEPS_MAX)
            return ERR_CORRUPT;
        if ((e = run_instruction(m, &r, &end)))
            return e;
    }
    return ERR_OK;
}

enum err dwarf_row_at(const struct dwarf_function *function, uint64_t ip, struct dwarf_row *row)
{
    struct machine m;
    enum err e;

    m.function = function;
    m.at = function->start;
    m.stop = ip;
    m.row = row;
    m.saves = 0;
    m.is_initial = true;
    *row = (struct dwarf_row){};
    if ((e = run_program(&m, &function->initial)))
        return e;
    m.initial = *row;
    m.is_initial = false;
    m.at = function->start;
    m.saves = 0;
    return run_program(&m, &function->program);
}

static bool is_same_slice(const struct dwarf_slice *a, const struct dwarf_slice *b)
{
    return a->bytes == b->bytes && (a->bytes == 0 || a->data == b->data);
}

bool dwarf_row_same(const struct dwarf_row *a, const struct dwarf_row *b)
{
    if (!is_same_slice(&a->cfa_expression, &b->cfa_expression) || a->cfa_register != b->cfa_register ||
        a->cfa_offset != b->cfa_offset)
        return false;
    for (unsigned i = 0; i < DWARF_REGISTERS; i++)
        if (a->rule[i].how != b->rule[i].how || a->rule[i].bytes != b->rule[i].bytes ||
            a->rule[i].value != b->rule[i].value)
            return false;
    return true;
}
