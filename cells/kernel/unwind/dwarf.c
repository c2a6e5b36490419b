/* See dwarf.h. */
#include "cells/kernel/unwind/dwarf.h"

#define STEPS_MAX 4096 /* instructions of one program; GCC's longest are a few dozen */
#define SAVED_MAX 4    /* remembered rows: they lie on the fault stack */
#define STACK_MAX 16   /* of an expression */

enum { POINTER_USUAL = 0x1b, POINTER_OMIT = 0xff, POINTER_INDIRECT = 0x80, POINTER_RELATIVE = 0x10 };

struct reader {
    const uint8_t *at, *end;
    uint64_t virt; /* of `at` */
    bool short_;   /* something was read beyond the end */
};

static struct reader reader_of(const struct dwarf_slice *slice)
{
    return (struct reader){slice->data, slice->data + slice->bytes, slice->virt, false};
}

static uint64_t read_fixed(struct reader *r, unsigned bytes)
{
    uint64_t v = 0;

    if ((size_t)(r->end - r->at) < bytes) {
        r->short_ = true;
        r->at = r->end;
        return 0;
    }
    for (unsigned i = 0; i < bytes; i++)
        v |= (uint64_t)r->at[i] << (8 * i);
    r->at += bytes;
    r->virt += bytes;
    return v;
}

static uint32_t read_word(struct reader *r)
{
    uint32_t v;

    if (r->end - r->at < 4)
        return (uint32_t)read_fixed(r, 4);
    __builtin_memcpy(&v, r->at, 4);
    r->at += 4;
    r->virt += 4;
    return v;
}

static int64_t read_signed(struct reader *r, unsigned bytes)
{
    uint64_t v = read_fixed(r, bytes);
    unsigned unused = 64 - 8 * bytes;

    return (int64_t)(v << unused) >> unused;
}

static uint64_t read_leb(struct reader *r, bool is_signed)
{
    uint64_t v = 0;
    unsigned shift = 0;
    uint8_t byte;

    do {
        byte = read_fixed(r, 1);
        if (shift < 64)
            v |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    } while (byte & 0x80 && shift < 70);
    if (is_signed && shift < 64 && byte & 0x40)
        v |= ~0ull << shift;
    return v;
}

static uint64_t read_uleb(struct reader *r)
{
    return read_leb(r, false);
}

static int64_t read_sleb(struct reader *r)
{
    return (int64_t)read_leb(r, true);
}

static struct dwarf_slice read_slice(struct reader *r, uint64_t bytes)
{
    struct dwarf_slice slice = {r->at, bytes, r->virt};

    if (bytes > (size_t)(r->end - r->at)) {
        r->short_ = true;
        slice.bytes = 0;
        r->at = r->end;
        return slice;
    }
    r->at += bytes;
    r->virt += bytes;
    return slice;
}

/* A pointer in one of the DW_EH_PE encodings; those that GCC does not emit here make the table corrupt. */
static uint64_t read_pointer(struct reader *r, uint8_t encoding)
{
    uint64_t base = r->virt, v;

    if (encoding == POINTER_OMIT)
        return 0;
    switch (encoding & 0x0f) {
    case 0x0:
    case 0x4:
    case 0xc:
        v = read_fixed(r, 8);
        break;
    case 0x1:
        v = read_uleb(r);
        break;
    case 0x2:
        v = read_fixed(r, 2);
        break;
    case 0x3:
        v = read_fixed(r, 4);
        break;
    case 0x9:
        v = (uint64_t)read_sleb(r);
        break;
    case 0xa:
        v = (uint64_t)read_signed(r, 2);
        break;
    case 0xb:
        v = (uint64_t)read_signed(r, 4);
        break;
    default:
        r->short_ = true;
        return 0;
    }
    if (encoding & POINTER_INDIRECT || (encoding & 0x70) > POINTER_RELATIVE)
        r->short_ = true;
    return v && encoding & POINTER_RELATIVE ? v + base : v;
}

/* ---- functions ---- */

struct cie {
    struct dwarf_function like; /* what its functions inherit */
    uint8_t pointer_encoding, lsda_encoding;
    bool augmented;
};

static enum err parse_cie(struct reader r, struct cie *ret_cie)
{
    struct cie cie = {.lsda_encoding = POINTER_OMIT};
    const char *augmentation;

    if (read_fixed(&r, 1) != 1)
        return ERR_CORRUPT;
    augmentation = (const char *)r.at;
    while (read_fixed(&r, 1) != 0)
        ;
    cie.like.code_align = read_uleb(&r);
    cie.like.data_align = read_sleb(&r);
    if (read_uleb(&r) != DWARF_RIP || r.short_)
        return ERR_CORRUPT;
    if (*augmentation == 'z') {
        struct dwarf_slice data = read_slice(&r, read_uleb(&r));
        struct reader a = reader_of(&data);

        cie.augmented = true;
        for (augmentation++; *augmentation; augmentation++) {
            if (*augmentation == 'P') {
                uint8_t encoding = read_fixed(&a, 1) & ~POINTER_INDIRECT; /* only whether there is one matters */
                cie.like.personality = read_pointer(&a, encoding);
            } else if (*augmentation == 'L') {
                cie.lsda_encoding = read_fixed(&a, 1);
            } else if (*augmentation == 'R') {
                cie.pointer_encoding = read_fixed(&a, 1);
            } else if (*augmentation == 'S') {
                cie.like.signal = true;
            } else {
                return ERR_CORRUPT;
            }
        }
        if (a.short_)
            return ERR_CORRUPT;
    } else if (*augmentation) {
        return ERR_CORRUPT;
    }
    cie.like.initial = read_slice(&r, r.end - r.at);
    *ret_cie = cie;
    return r.short_ ? ERR_CORRUPT : ERR_OK;
}

/* The CIE that the entry whose id field stands at `id_at` points back to. */
static enum err find_cie(const struct dwarf_slice *eh_frame, const uint8_t *id_at, uint32_t back, struct cie *ret_cie)
{
    size_t id_offset = id_at - eh_frame->data;
    struct reader r;
    uint32_t length;

    if (back > id_offset)
        return ERR_CORRUPT;
    r = reader_of(eh_frame);
    read_slice(&r, id_offset - back);
    length = read_fixed(&r, 4);
    struct dwarf_slice body = read_slice(&r, length);
    r = reader_of(&body);
    if (length == UINT32_MAX || read_fixed(&r, 4) != 0 || r.short_)
        return ERR_CORRUPT;
    return parse_cie(r, ret_cie);
}

/* One function entry, its reader behind the id field. */
static enum err parse_fde(struct reader r, const struct cie *cie, struct dwarf_function *ret_function)
{
    struct dwarf_function function = cie->like;

    function.start = read_pointer(&r, cie->pointer_encoding);
    function.bytes = read_pointer(&r, cie->pointer_encoding & 0x0f);
    if (cie->augmented) {
        struct dwarf_slice data = read_slice(&r, read_uleb(&r));
        struct reader a = reader_of(&data);

        function.lsda = read_pointer(&a, cie->lsda_encoding);
        if (a.short_)
            return ERR_CORRUPT;
    }
    function.program = read_slice(&r, r.end - r.at);
    *ret_function = function;
    return r.short_ ? ERR_CORRUPT : ERR_OK;
}

/* Whether the entry cannot be ip's, told from its first two words: nearly all entries, in GCC's usual encoding. */
static bool is_elsewhere(const struct cie *cie, struct reader r, uint64_t ip)
{
    uint64_t base = r.virt;

    if (cie->pointer_encoding != POINTER_USUAL || r.end - r.at < 8)
        return false;
    uint64_t start = base + (uint64_t)(int64_t)(int32_t)read_word(&r);
    return ip - start >= read_word(&r);
}

enum err dwarf_find(const struct dwarf_slice *eh_frame, uint64_t ip, struct dwarf_function *ret_function)
{
    struct reader r = reader_of(eh_frame);
    const uint8_t *cie_known = NULL;
    struct cie cie = {};
    enum err e;

    while (r.at < r.end) {
        uint32_t length = read_word(&r);
        struct dwarf_function function;

        if (length == 0)
            continue; /* a terminator in the middle: objects were joined */
        struct dwarf_slice body = read_slice(&r, length);
        struct reader entry = reader_of(&body);
        const uint8_t *id_at = entry.at;
        uint32_t back = read_word(&entry);

        if (r.short_ || entry.short_)
            return ERR_CORRUPT;
        if (back == 0)
            continue;
        if (id_at - back != cie_known) {
            if ((e = find_cie(eh_frame, id_at, back, &cie)))
                return e;
            cie_known = id_at - back;
        }
        if (is_elsewhere(&cie, entry, ip))
            continue;
        if ((e = parse_fde(entry, &cie, &function)))
            return e;
        if (ip - function.start < function.bytes) {
            *ret_function = function;
            return ERR_OK;
        }
    }
    return ERR_NOT_FOUND;
}

/* ---- rows ---- */

struct machine {
    struct dwarf_row row, initial;
    struct dwarf_row saved[SAVED_MAX];
    unsigned saves;
    uint64_t at, stop;
    const struct dwarf_function *function;
};

static void set_rule(struct machine *m, uint64_t reg, enum dwarf_how how, int64_t value)
{
    if (reg < DWARF_REGISTERS)
        m->row.rule[reg] = (struct dwarf_rule){.how = how, .value = value};
}

static void set_expression(struct machine *m, struct reader *r, enum dwarf_how how)
{
    uint64_t reg = read_uleb(r), bytes = read_uleb(r);

    struct dwarf_slice slice = read_slice(r, bytes);

    if (reg < DWARF_REGISTERS)
        m->row.rule[reg] = (struct dwarf_rule){.how = how, .bytes = slice.bytes, .expression = slice.data};
}

static void set_cfa(struct machine *m, uint64_t reg, int64_t offset)
{
    m->row.cfa_register = reg;
    m->row.cfa_offset = offset;
    m->row.cfa_expression = (struct dwarf_slice){};
}

/* Instructions whose high two bits are zero, those about the CFA and the remembered rows. */
static bool run_cfa(struct machine *m, struct reader *r, uint8_t op)
{
    int64_t align = m->function->data_align;
    uint64_t reg;

    switch (op) {
    case 0x0a: /* remember_state */
        if (m->saves == SAVED_MAX)
            return false;
        m->saved[m->saves++] = m->row;
        return true;
    case 0x0b: /* restore_state */
        if (m->saves == 0)
            return false;
        m->row = m->saved[--m->saves];
        return true;
    case 0x0c: /* def_cfa */
        reg = read_uleb(r);
        set_cfa(m, reg, (int64_t)read_uleb(r));
        return true;
    case 0x0d: /* def_cfa_register */
        set_cfa(m, read_uleb(r), m->row.cfa_offset);
        return true;
    case 0x0e: /* def_cfa_offset */
        set_cfa(m, m->row.cfa_register, (int64_t)read_uleb(r));
        return true;
    case 0x0f: /* def_cfa_expression */
        m->row.cfa_expression = read_slice(r, read_uleb(r));
        return m->row.cfa_expression.bytes > 0;
    case 0x12: /* def_cfa_sf */
        reg = read_uleb(r);
        set_cfa(m, reg, (int64_t)((uint64_t)read_sleb(r) * (uint64_t)align));
        return true;
    case 0x13: /* def_cfa_offset_sf */
        set_cfa(m, m->row.cfa_register, (int64_t)((uint64_t)read_sleb(r) * (uint64_t)align));
        return true;
    default:
        return false;
    }
}

static bool run_extended(struct machine *m, struct reader *r, uint8_t op)
{
    uint64_t align = (uint64_t)m->function->data_align, reg;

    switch (op) {
    case 0x00: /* nop */
        return true;
    case 0x05: /* offset_extended */
        reg = read_uleb(r);
        set_rule(m, reg, DWARF_OFFSET, (int64_t)(read_uleb(r) * align));
        return true;
    case 0x06: /* restore_extended */
        reg = read_uleb(r);
        if (reg < DWARF_REGISTERS)
            m->row.rule[reg] = m->initial.rule[reg];
        return true;
    case 0x07: /* undefined */
        set_rule(m, read_uleb(r), DWARF_UNDEFINED, 0);
        return true;
    case 0x08: /* same_value */
        set_rule(m, read_uleb(r), DWARF_SAME, 0);
        return true;
    case 0x09: /* register */
        reg = read_uleb(r);
        set_rule(m, reg, DWARF_REGISTER, (int64_t)read_uleb(r));
        return true;
    case 0x10: /* expression */
        set_expression(m, r, DWARF_EXPRESSION);
        return true;
    case 0x11: /* offset_extended_sf */
        reg = read_uleb(r);
        set_rule(m, reg, DWARF_OFFSET, (int64_t)((uint64_t)read_sleb(r) * align));
        return true;
    case 0x14: /* val_offset */
        reg = read_uleb(r);
        set_rule(m, reg, DWARF_VALUE_OFFSET, (int64_t)(read_uleb(r) * align));
        return true;
    case 0x15: /* val_offset_sf */
        reg = read_uleb(r);
        set_rule(m, reg, DWARF_VALUE_OFFSET, (int64_t)((uint64_t)read_sleb(r) * align));
        return true;
    case 0x16: /* val_expression */
        set_expression(m, r, DWARF_VALUE_EXPRESSION);
        return true;
    case 0x2e: /* GNU_args_size */
        read_uleb(r);
        return true;
    default:
        return run_cfa(m, r, op);
    }
}

/* True when the instruction moved the location; *ret_advance says by how much. */
static bool run_advance(struct machine *m, struct reader *r, uint8_t op, uint64_t *ret_advance)
{
    static const uint8_t width[] = {[2] = 1, [3] = 2, [4] = 4};

    if (op >> 6 == 1)
        *ret_advance = op & 0x3f;
    else if (op >= 2 && op <= 4)
        *ret_advance = read_fixed(r, width[op]);
    else
        return false;
    *ret_advance *= m->function->code_align;
    return true;
}

static enum err run(struct machine *m, const struct dwarf_slice *program)
{
    struct reader r = reader_of(program);

    for (unsigned steps = 0; r.at < r.end; steps++) {
        uint8_t op = read_fixed(&r, 1);
        uint64_t advance, low = op & 0x3f;

        if (steps == STEPS_MAX)
            return ERR_CORRUPT;
        if (run_advance(m, &r, op, &advance)) {
            if (m->at + advance > m->stop || m->at + advance < m->at)
                return r.short_ ? ERR_CORRUPT : ERR_OK;
            m->at += advance;
        } else if (op >> 6 == 2) {
            set_rule(m, low, DWARF_OFFSET, (int64_t)(read_uleb(&r) * (uint64_t)m->function->data_align));
        } else if (op >> 6 == 3) {
            if (low < DWARF_REGISTERS)
                m->row.rule[low] = m->initial.rule[low];
        } else if (!run_extended(m, &r, op)) {
            return ERR_CORRUPT;
        }
        if (r.short_)
            return ERR_CORRUPT;
    }
    return ERR_OK;
}

enum err dwarf_row_at(const struct dwarf_function *function, uint64_t ip, struct dwarf_row *ret_row)
{
    struct machine m = {.function = function, .at = function->start, .stop = ip};
    enum err e = run(&m, &function->initial);

    if (e)
        return e;
    m.initial = m.row;
    m.at = function->start;
    m.saves = 0;
    e = run(&m, &function->program);
    if (e)
        return e;
    *ret_row = m.row;
    return ERR_OK;
}

static bool slice_same(const struct dwarf_slice *a, const struct dwarf_slice *b)
{
    return a->bytes == b->bytes && (a->bytes == 0 || a->data == b->data);
}

bool dwarf_row_same(const struct dwarf_row *a, const struct dwarf_row *b)
{
    if (!slice_same(&a->cfa_expression, &b->cfa_expression) || a->cfa_register != b->cfa_register ||
        a->cfa_offset != b->cfa_offset)
        return false;
    for (unsigned i = 0; i < DWARF_REGISTERS; i++)
        if (a->rule[i].how != b->rule[i].how || a->rule[i].bytes != b->rule[i].bytes ||
            a->rule[i].value != b->rule[i].value)
            return false;
    return true;
}

/* ---- values ---- */

static bool stack_read(const struct dwarf_slice *stack, uint64_t address, uint64_t *ret_value)
{
    uint64_t offset = address - stack->virt;

    if (address % 8 != 0 || stack->bytes < 8 || offset > stack->bytes - 8)
        return false;
    *ret_value = *(const uint64_t *)(const void *)(stack->data + offset);
    return true;
}

struct calculator {
    uint64_t value[STACK_MAX];
    unsigned depth;
    bool bad;
};

static void push(struct calculator *c, uint64_t v)
{
    if (c->depth == STACK_MAX)
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

static uint64_t combine(struct calculator *c, uint8_t op)
{
    uint64_t b = pop(c), a = pop(c);

    switch (op) {
    case 0x1a:
        return a & b;
    case 0x1c:
        return a - b;
    case 0x1e:
        return a * b;
    case 0x21:
        return a | b;
    case 0x22:
        return a + b;
    case 0x24:
        return b < 64 ? a << b : 0;
    case 0x25:
        return b < 64 ? a >> b : 0;
    case 0x27:
        return a ^ b;
    case 0x29:
        return a == b;
    case 0x2a:
        return (int64_t)a >= (int64_t)b;
    case 0x2b:
        return (int64_t)a > (int64_t)b;
    case 0x2c:
        return (int64_t)a <= (int64_t)b;
    case 0x2d:
        return (int64_t)a < (int64_t)b;
    case 0x2e:
        return a != b;
    default:
        c->bad = true;
        return 0;
    }
}

static void calculate(struct calculator *c, struct reader *r, uint8_t op, const struct dwarf_slice *stack,
                      const struct dwarf_registers *registers)
{
    uint64_t v = 0;

    if (op >= 0x30 && op <= 0x4f) { /* lit0 .. lit31 */
        push(c, op - 0x30);
    } else if (op >= 0x70 && op <= 0x8f) { /* breg0 .. breg31 */
        int64_t offset = read_sleb(r);
        if (op - 0x70 >= DWARF_REGISTERS)
            c->bad = true;
        else
            push(c, registers->value[op - 0x70] + (uint64_t)offset);
    } else if (op >= 0x08 && op <= 0x0f) { /* const1u, const1s .. const8s */
        unsigned bytes = 1u << ((op - 0x08) / 2);
        push(c, op & 1 ? (uint64_t)read_signed(r, bytes) : read_fixed(r, bytes));
    } else if (op == 0x10 || op == 0x11) { /* constu, consts */
        push(c, read_leb(r, op == 0x11));
    } else if (op == 0x06) { /* deref */
        if (!stack_read(stack, pop(c), &v))
            c->bad = true;
        push(c, v);
    } else if (op == 0x12) { /* dup */
        v = pop(c);
        push(c, v);
        push(c, v);
    } else if (op == 0x13) { /* drop */
        pop(c);
    } else if (op == 0x23) { /* plus_uconst */
        v = pop(c);
        push(c, v + read_uleb(r));
    } else {
        push(c, combine(c, op));
    }
}

/* Straight-line expressions; GCC and our assembly use no branches. */
static bool evaluate(const struct dwarf_slice *expression, const uint64_t *first, const struct dwarf_slice *stack,
                     const struct dwarf_registers *registers, uint64_t *ret_value)
{
    struct reader r = reader_of(expression);
    struct calculator c = {};

    if (first)
        push(&c, *first);
    while (r.at < r.end && !c.bad && !r.short_)
        calculate(&c, &r, read_fixed(&r, 1), stack, registers);
    if (c.bad || r.short_ || c.depth == 0)
        return false;
    *ret_value = c.value[c.depth - 1];
    return true;
}

static bool recover(const struct dwarf_rule *rule, uint64_t cfa, const struct dwarf_slice *stack,
                    const struct dwarf_registers *registers, uint64_t *value)
{
    struct dwarf_slice expression = {rule->expression, rule->bytes, 0};
    uint64_t address;

    switch ((enum dwarf_how)rule->how) {
    case DWARF_SAME:
    case DWARF_UNDEFINED:
        return true;
    case DWARF_OFFSET:
        return stack_read(stack, cfa + (uint64_t)rule->value, value);
    case DWARF_VALUE_OFFSET:
        *value = cfa + (uint64_t)rule->value;
        return true;
    case DWARF_REGISTER:
        if ((uint64_t)rule->value >= DWARF_REGISTERS)
            return false;
        *value = registers->value[rule->value];
        return true;
    case DWARF_EXPRESSION:
        return evaluate(&expression, &cfa, stack, registers, &address) && stack_read(stack, address, value);
    case DWARF_VALUE_EXPRESSION:
        return evaluate(&expression, &cfa, stack, registers, value);
    }
    return false;
}

enum err dwarf_step(const struct dwarf_row *row, const struct dwarf_slice *stack, struct dwarf_registers *registers,
                    uint64_t *ret_cfa)
{
    struct dwarf_registers caller = *registers;
    uint64_t cfa;

    if (row->rule[DWARF_RIP].how == DWARF_UNDEFINED)
        return ERR_CLOSED;
    if (row->cfa_expression.bytes > 0) {
        if (!evaluate(&row->cfa_expression, NULL, stack, registers, &cfa))
            return ERR_RANGE;
    } else {
        if (row->cfa_register >= DWARF_REGISTERS)
            return ERR_CORRUPT;
        cfa = registers->value[row->cfa_register] + (uint64_t)row->cfa_offset;
    }
    caller.value[DWARF_RSP] = cfa;
    for (unsigned i = 0; i < DWARF_REGISTERS; i++)
        if (!recover(&row->rule[i], cfa, stack, registers, &caller.value[i]))
            return ERR_RANGE;
    if (row->rule[DWARF_RIP].how == DWARF_SAME)
        return ERR_CORRUPT;
    *registers = caller;
    *ret_cfa = cfa;
    return ERR_OK;
}

/* ---- landing pads ---- */

/* Bytes between ip and the region; 0 when the region holds it. */
static uint64_t distance(uint64_t ip, uint64_t start, uint64_t bytes)
{
    if (ip < start)
        return start - ip;
    return ip - start < bytes ? 0 : ip - (start + bytes) + 1;
}

enum err dwarf_pad_find(const struct dwarf_slice *lsda, const struct dwarf_function *function, uint64_t ip,
                        bool nearest, struct dwarf_pad *ret_pad)
{
    struct reader r = reader_of(lsda);
    uint64_t best = UINT64_MAX, pad = 0;
    uint8_t base_encoding = read_fixed(&r, 1), type_encoding, site_encoding;

    if (base_encoding != POINTER_OMIT)
        return ERR_CORRUPT; /* pads are counted from the function's start here */
    type_encoding = read_fixed(&r, 1);
    if (type_encoding != POINTER_OMIT)
        read_uleb(&r);
    site_encoding = read_fixed(&r, 1);
    struct dwarf_slice sites = read_slice(&r, read_uleb(&r));
    if (r.short_ || site_encoding & 0xf0)
        return ERR_CORRUPT;
    r = reader_of(&sites);
    while (r.at < r.end && best > 0) {
        uint64_t start = read_pointer(&r, site_encoding), bytes = read_pointer(&r, site_encoding);
        uint64_t landing = read_pointer(&r, site_encoding), away = distance(ip - function->start, start, bytes);

        read_uleb(&r);
        if (r.short_ || landing >= function->bytes)
            return ERR_CORRUPT;
        if (away < best) {
            best = away;
            pad = landing;
        }
    }
    if (best > 0 && !nearest)
        pad = 0;
    *ret_pad = (struct dwarf_pad){pad ? function->start + pad : 0, best > 0};
    return ERR_OK;
}
