/* See walk.h. Trusts no record and no word of the stack: each is checked before it is followed. A walk ends: each
 * step moves up the stack, and there are at most FRAMES_MAX. */
#include "cells/recover/unwind/walk.h"
#include "cells/core/arena/arena.h"

#define FRAMES_MAX  4096 /* more than a stack of TASK_STACK_BYTES can hold */
#define CALL_BYTES  5    /* of a direct call */
#define CALL_DIRECT 0xe8
#define JUMP_DIRECT 0xe9
#define REX         0x40 /* prefix, with four flags */
#define BODY_BYTES  1024 /* of a function, in which its body begins */
#define ASTRAY      4    /* words by which a stack pointer is looked for */

static bool is_inside(uint64_t virt, uint64_t start, uint64_t bytes)
{
    return virt - start < bytes;
}

/* The bytes from `start` on of a section whose record is intact, as is that of its cell. No bytes: they are not in the
 * read-only region of the cell. */
static struct dwarf_slice bytes_from(const struct arena_section *s, const struct arena_cell *cell, uint64_t start)
{
    if (!is_inside(start, s->virt, s->bytes) || !is_inside(s->virt, cell->rodata_virt, cell->rodata_bytes) ||
        s->bytes > cell->rodata_virt + cell->rodata_bytes - s->virt)
        return (struct dwarf_slice){};
    return (struct dwarf_slice){(const uint8_t *)start, s->virt + s->bytes - start, start};
}

/* ---- where an address is ---- */

/* The unwind table of `cell`, whose record is intact; in the image it belongs to another cell. */
static struct dwarf_slice table_of(struct cell_ref cell, const struct arena_cell *c)
{
    if (!c->eh_frame_section.index || !arena_sound(c->eh_frame_section))
        return (struct dwarf_slice){};
    const struct arena_section *s = arena_section(c->eh_frame_section);
    if (!same(s->cell, cell)) {
        if (!arena_sound(s->cell))
            return (struct dwarf_slice){};
        c = arena_cell(s->cell);
    }
    return bytes_from(s, c, s->virt);
}

/* Whether the cell's record is intact and says that its text holds the address. Then *place is about that cell. */
static bool is_in_text(struct walk_place *place, struct cell_ref cell, uint64_t address)
{
    if (!cell.index || !arena_sound(cell))
        return false;
    const struct arena_cell *c = arena_cell(cell);
    if (!is_inside(address, c->text_virt, c->text_bytes))
        return false;
    *place = (struct walk_place){
        .cell = cell, .eh_frame = table_of(cell, c), .text_virt = c->text_virt, .text_bytes = c->text_bytes};
    return true;
}

/* The section's record need not be intact: no address is read by it, and what it says of the table is checked there. */
static bool find_place(struct walk_place *place, uint64_t address)
{
    bool is_known = place->cell.index && is_inside(address, place->text_virt, place->text_bytes);

    if (is_known && is_inside(address, place->virt, place->bytes))
        return true;
    struct section_ref section = arena_section_at(address);
    const struct arena_section *s = section.index ? arena_section(section) : NULL;
    if (!is_known && !is_in_text(place, s ? s->cell : NO_CELL, address) &&
        !is_in_text(place, arena_cell_at(address), address))
        return false;
    if (s && same(s->cell, place->cell)) {
        place->section = section;
        place->virt = s->virt;
        place->bytes = s->bytes;
        place->entry = s->unwind_entry;
    } else {
        place->section = NO_SECTION;
        place->bytes = 0;
    }
    return true;
}

bool walk_place(struct walk *walk, uint64_t address)
{
    return find_place(&walk->place, address);
}

/* ---- by tables ---- */

static enum err look_up_function(struct walk_place *place, uint64_t ip, struct walk_frame *ret_frame)
{
    if (!find_place(place, ip) || !place->eh_frame.bytes)
        return ERR_NOT_FOUND;
    ret_frame->cell = place->cell;
    if (place->section.index && place->entry &&
        dwarf_find_at(&place->eh_frame, place->entry - 1, ip, &ret_frame->function) == ERR_OK)
        return ERR_OK;
    return dwarf_find(&place->eh_frame, ip, &ret_frame->function);
}

enum err walk_look_up(struct walk *walk, struct walk_frame *ret_frame)
{
    enum err e = look_up_function(&walk->place, walk_ip(walk), ret_frame);

    return e ? e : dwarf_row_at(&ret_frame->function, walk_ip(walk), &ret_frame->row);
}

enum err walk_pad(const struct walk *walk, const struct walk_frame *frame, bool nearest, struct dwarf_pad *ret_pad)
{
    uint64_t start = frame->function.lsda;

    *ret_pad = (struct dwarf_pad){};
    if (!start || !frame->function.personality)
        return ERR_OK;
    struct section_ref section = arena_section_at(start);
    if (!arena_sound(section) || !arena_sound(arena_section(section)->cell))
        return ERR_CORRUPT;
    const struct arena_section *s = arena_section(section);
    struct dwarf_slice lsda = bytes_from(s, arena_cell(s->cell), start);
    if (!lsda.bytes)
        return ERR_CORRUPT;
    return dwarf_pad_find(&lsda, &frame->function, walk_ip(walk), nearest, ret_pad);
}

/* ---- without tables ---- */

static bool read_stack_word(const struct walk *walk, uint64_t address, uint64_t *ret_word)
{
    if (address % 8 || walk->stack.bytes < 8 || address < walk->stack.virt ||
        address > walk->stack.virt + walk->stack.bytes - 8)
        return false;
    *ret_word = *(const uint64_t *)address;
    return true;
}

/* Whether a call instruction ends at `address`, behind `room` bytes of text. */
static bool is_after_call(uint64_t address, uint64_t room)
{
    const uint8_t *end = (const uint8_t *)address;

    if (room >= CALL_BYTES && end[-CALL_BYTES] == CALL_DIRECT)
        return true;
    for (int bytes = 2; bytes <= 7 && (uint64_t)bytes <= room; bytes++)
        if (end[-bytes] == 0xff && (end[1 - bytes] & 0x38) == 0x10)
            return true;
    return false;
}

/* Whether a call begins there, or a jump that may be the call of a function that returns to the caller's. */
static bool is_call(const uint8_t *code)
{
    if ((*code & 0xf0) == REX)
        code++;
    return *code == CALL_DIRECT || *code == JUMP_DIRECT || (*code == 0xff && (code[1] & 0x38) >= 0x10);
}

/* Whether it belongs to the end of a function, where a register may hold what that returns. */
static bool is_epilogue(const uint8_t *code)
{
    if ((*code & 0xf0) == REX)
        code++;
    bool frees = (*code == 0x81 || *code == 0x83) && code[1] == 0xc4; /* add $N, %rsp */

    return frees || (*code & 0xf8) == 0x58 || *code == 0xc3 || *code == 0xc9; /* pop, ret, leave */
}

/* Whether an instruction of that operation has an operand that may be in memory; of those that gcc uses often. */
static bool has_operand(const uint8_t *code, bool is_after_0f)
{
    static const uint8_t plain[] = {0x63, 0x69, 0x6b, 0xc0, 0xc1, 0xc6, 0xc7, 0xd0, 0xd1, 0xd2, 0xd3, 0xf6, 0xf7, 0xfe};
    static const uint8_t after_0f[] = {0x10, 0x11, 0x28, 0x29, 0x6f, 0x7f, 0xaf, 0xb0, 0xb1, 0xb6, 0xb7, 0xbe, 0xbf};
    const uint8_t *list = is_after_0f ? after_0f : plain;
    size_t count = is_after_0f ? sizeof after_0f : sizeof plain;

    if (list == plain && ((*code < 0x40 && (*code & 7) < 4) || (*code >= 0x80 && *code <= 0x8b)))
        return true;
    for (size_t i = 0; i < count; i++)
        if (list[i] == *code)
            return true;
    return list == plain && *code == 0xff && (code[1] & 0x30) == 0; /* inc, dec */
}

/* Whether it reads or writes memory by a pointer. Only of such an instruction do the tables say what is to be released:
 * others lie in the range of a call site by chance, between two instructions that do. The stack and static data are no
 * such memory: gcc believes that these cannot fail. */
static bool uses_pointer(const uint8_t *code)
{
    while (*code == 0x66 || *code == 0xf2 || *code == 0xf3)
        code++;
    bool extended = (*code & 0xf0) == REX && *code & 1;
    code += (*code & 0xf0) == REX;
    bool is_after_0f = *code == 0x0f;
    code += is_after_0f;
    unsigned mode = code[1] >> 6, base = code[1] & 7;
    if (!has_operand(code, is_after_0f) || mode == 3)
        return false;
    base = base == 4 ? code[2] & 7 : base;
    return !(base == 5 && !mode) && (extended || (base != 4 && base != 5)); /* no register; else rsp, rbp */
}

enum unwind_point walk_point(struct walk *walk)
{
    const uint64_t rip = walk->registers.value[DWARF_RIP];
    const uint8_t *code = (const uint8_t *)rip;
    struct walk_frame frame;
    struct dwarf_pad pad;

    if (walk_look_up(walk, &frame) || is_after_call(rip, rip - frame.function.start) ||
        walk_pad(walk, &frame, false, &pad) || pad.nearest)
        return UNWIND_POINT_ANY;
    if (is_call(code))
        return pad.address ? UNWIND_POINT_PAD : UNWIND_POINT_CALL;
    bool is_exact = frame.function.lsda ? uses_pointer(code) : !is_epilogue(code);
    return is_exact ? UNWIND_POINT_EXACT : UNWIND_POINT_ANY;
}

/* Whether a call instruction of a function in the tables ends at `address`. */
static bool is_return_address(uint64_t address)
{
    struct walk_place place = {};
    struct walk_frame frame;

    return look_up_function(&place, address - 1, &frame) == ERR_OK && address - frame.function.start >= CALL_BYTES &&
           is_after_call(address, address - frame.function.start);
}

/* Whether a direct call of `function` ends at `address`, which is in text. */
static bool calls(uint64_t address, uint64_t function)
{
    const uint8_t *end = (const uint8_t *)address;

    return end[-CALL_BYTES] == CALL_DIRECT && address + (uint64_t)(int64_t) * (const int32_t *)(end - 4) == function;
}

/* Of the return addresses in this text that differ from `damaged` in one bit: the one behind a direct call of
 * `function`. 0: there is none. */
static uint64_t find_call(const struct walk_place *place, uint64_t damaged, uint64_t function)
{
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t address = damaged ^ 1ull << bit;
        if (is_inside(address - CALL_BYTES, place->text_virt, place->text_bytes) && calls(address, function))
            return address;
    }
    return 0;
}

/* The same in all cells. If there is none, and `any`, the only one that is behind any call. All cells are within 2 GiB:
 * an address of which the upper half is wrong, in whichever bits, follows from the lower one. */
static uint64_t find_neighbour(uint64_t damaged, uint64_t function, bool any)
{
    uint64_t found = 0, extended = (uint64_t)(int64_t)(int32_t)damaged;
    unsigned count = 0;

    if (extended != damaged && is_return_address(extended) && (any || calls(extended, function)))
        return extended;
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t address = damaged ^ 1ull << bit;
        if (!is_return_address(address))
            continue;
        if (calls(address, function))
            return address;
        found = address;
        count++;
    }
    return any && count == 1 ? found : 0;
}

static bool take_return_address(struct walk *walk, uint64_t at)
{
    uint64_t address;

    if (!read_stack_word(walk, at, &address) || !is_return_address(address))
        return false;
    walk->registers.value[DWARF_RIP] = address;
    walk->registers.value[DWARF_RSP] = at + 8;
    walk->cfa = at + 8;
    walk->exact = false;
    walk->guessed = true;
    return true;
}

/* A return to an address that is no code: the word still stands below the top of the stack, and the frame that it
 * belongs to has all its registers. */
static bool take_damaged_return(struct walk *walk)
{
    uint64_t rip = walk->registers.value[DWARF_RIP], rsp = walk->registers.value[DWARF_RSP], word;

    if (!walk->exact || walk_place(walk, rip) || !read_stack_word(walk, rsp - 8, &word) || word != rip)
        return false;
    uint64_t right = find_neighbour(rip, 0, true);
    if (!right)
        return false;
    walk->registers.value[DWARF_RIP] = right;
    walk->cfa = rsp;
    walk->exact = false;
    walk->guessed = false;
    return true;
}

/* The row of the function's body, where it has saved all registers that it saves. False: rbp is no frame pointer. */
static bool find_body(const struct dwarf_function *function, struct dwarf_row *ret_row)
{
    unsigned most = 0;

    for (uint64_t at = 0; at < function->bytes && at < BODY_BYTES; at++) {
        struct dwarf_row row;
        unsigned saved = 0;
        if (dwarf_row_at(function, function->start + at, &row) || row.cfa_register != DWARF_RBP)
            continue;
        for (unsigned i = 0; i < DWARF_REGISTERS; i++)
            saved += row.rule[i].how == DWARF_OFFSET;
        if (saved > most) {
            most = saved;
            *ret_row = row;
        }
    }
    return most > 0;
}

/* Whether rbp is the frame pointer of the frame reached, by the return address above it. */
static bool is_frame_pointer_right(struct walk *walk)
{
    struct walk_frame frame;
    uint64_t address;

    return walk_look_up(walk, &frame) == ERR_OK && frame.row.cfa_register == DWARF_RBP &&
           read_stack_word(walk, walk->registers.value[DWARF_RBP] + 8, &address) && is_return_address(address) &&
           (*(const uint8_t *)(address - CALL_BYTES) != CALL_DIRECT || calls(address, frame.function.start));
}

/* The frame reached has called an address that is no code, or a function that has returned to such an address: one
 * whose stack pointer was wrong, so that it took other words for the registers that it had saved. Those are still
 * where its tables say. False: the registers are not known. */
static bool take_saved_registers(struct walk *walk)
{
    uint64_t address = walk->registers.value[DWARF_RIP], cfa;
    const uint8_t *end = (const uint8_t *)address;
    struct dwarf_registers registers = walk->registers;
    struct walk_place place = {};
    struct walk_frame called;
    struct dwarf_row row;

    if (end[-CALL_BYTES] != CALL_DIRECT ||
        look_up_function(&place, address + (uint64_t)(int64_t) * (const int32_t *)(end - 4), &called) ||
        is_frame_pointer_right(walk))
        return true;
    registers.value[DWARF_RBP] = registers.value[DWARF_RSP] - 16;
    if (!find_body(&called.function, &row) || dwarf_step(&row, &walk->stack, &registers, &cfa) != STEP_DONE ||
        cfa != walk->cfa)
        return false;
    walk->registers = registers;
    return true;
}

/* Finds the caller's frame, in this order. After a return to an address that is no code: the frame that was meant.
 * After a call of such an address: the return address on top of the stack, where all registers are right. Else it is
 * guessed: the return address above where rbp points; else the first word that is a return address, with the saved rbp
 * below it. */
static bool guess_next(struct walk *walk)
{
    uint64_t rsp = walk->registers.value[DWARF_RSP], rbp = walk->registers.value[DWARF_RBP], saved, floor = walk->cfa;

    if (rsp < walk->stack.virt)
        rsp = walk->stack.virt;
    rsp = (rsp > floor ? rsp : floor) & ~7ul;
    if (take_damaged_return(walk))
        return true;
    if (walk->exact && !walk_place(walk, walk->registers.value[DWARF_RIP]) && take_return_address(walk, rsp)) {
        walk->guessed = !take_saved_registers(walk);
        return true;
    }
    if (rbp >= rsp && read_stack_word(walk, rbp, &saved) && take_return_address(walk, rbp + 8)) {
        walk->registers.value[DWARF_RBP] = saved;
        return true;
    }
    for (uint64_t at = rsp; at < walk->stack.virt + walk->stack.bytes; at += 8) {
        if (!take_return_address(walk, at))
            continue;
        if (read_stack_word(walk, at - 8, &saved) && is_inside(saved, at, walk->stack.virt + walk->stack.bytes - at))
            walk->registers.value[DWARF_RBP] = saved;
        return true;
    }
    return false;
}

/* ---- by tables, else without ---- */

/* Where the caller of the frame goes on, of which the stack says `rip`: a word that is no return address, or that of a
 * direct call of another function, is put right if one bit of it is wrong. It may be right all the same: a swap has
 * redirected the call, or a gate was closed there. 0: not known. */
static uint64_t caller_of(struct walk *walk, const struct dwarf_function *function, uint64_t rip)
{
    bool known = walk_place(walk, function->signal ? rip : rip - 1);

    if (function->signal)
        return known ? rip : 0;
    if (!known)
        return find_neighbour(rip, function->start, true);
    bool called = is_after_call(rip, rip - walk->place.text_virt);
    if (called && (*(const uint8_t *)(rip - CALL_BYTES) != CALL_DIRECT || calls(rip, function->start)))
        return rip;
    uint64_t right =
        called ? find_call(&walk->place, rip, function->start) : find_neighbour(rip, function->start, false);
    return right ? right : rip;
}

/* On failure the registers are the caller's if they are known, but for rip. */
static enum dwarf_step step_by_tables(struct walk *walk, const struct walk_frame *frame)
{
    struct dwarf_registers registers = walk->registers;
    uint64_t cfa;
    enum dwarf_step step = dwarf_step(&frame->row, &walk->stack, &registers, &cfa);

    if (step != STEP_DONE)
        return step;
    if (cfa % 8 || cfa <= walk->cfa || cfa <= walk->stack.virt || cfa > walk->stack.virt + walk->stack.bytes)
        return STEP_FAILED;
    uint64_t rip = registers.value[DWARF_RIP];
    if (rip == 0)
        return STEP_OUTERMOST;
    registers.value[DWARF_RIP] = caller_of(walk, &frame->function, rip);
    walk->registers = registers;
    walk->cfa = cfa;
    walk->exact = frame->function.signal;
    walk->guessed = false;
    return registers.value[DWARF_RIP] ? STEP_DONE : STEP_FAILED;
}

/* ---- a damaged frame pointer ---- */

/* Whether `address` is behind a direct call of `function`. */
static bool is_behind_call(uint64_t address, uint64_t function)
{
    struct walk_place place = {};

    return find_place(&place, address - CALL_BYTES) && is_inside(address - 1, place.text_virt, place.text_bytes) &&
           calls(address, function);
}

/* The frame reached has saved rbp, and sets it: if it points out of the stack, or to no word of it, it is found again
 * by the return address above it, which is behind a call of this function. So its landing pads, and the frames outside
 * of it, are reached. */
static void right_frame_pointer(struct walk *walk)
{
    uint64_t rsp = walk->registers.value[DWARF_RSP], rbp = walk->registers.value[DWARF_RBP], address, saved;
    uint64_t end = walk->stack.virt + walk->stack.bytes;
    struct walk_frame frame;

    if (!rbp || (rbp >= rsp && rbp < end && rbp % 8 == 0) || walk_look_up(walk, &frame) ||
        frame.row.cfa_register != DWARF_RBP)
        return;
    for (uint64_t at = (rsp + 15) & ~7ul; at < end; at += 8)
        if (read_stack_word(walk, at, &address) && is_behind_call(address, frame.function.start) &&
            read_stack_word(walk, at - 8, &saved) && (!saved || is_inside(saved, at, end - at))) {
            walk->registers.value[DWARF_RBP] = at - 8;
            return;
        }
}

/* Whether a register that functions save has one of the words in [from, to): damaged text may have popped it. */
static bool is_popped(const struct walk *walk, uint64_t from, uint64_t to)
{
    static const uint8_t saved[] = {DWARF_RBX, DWARF_RBP, 12, 13, 14, 15}; /* the last ones are r12 to r15 */
    uint64_t word;

    for (uint64_t at = from; at < to; at += 8)
        for (size_t i = 0; i < array_size(saved); i++)
            if (!read_stack_word(walk, at, &word) || walk->registers.value[saved[i]] == word)
                return true;
    return false;
}

/* The innermost frame, which has no frame pointer, has no return address where its tables say: damaged text has pushed
 * or popped what the function does not. If one that is behind a call of this function is near, puts the stack pointer
 * right. False: there is none. */
static bool right_stack_pointer(struct walk *walk, const struct walk_frame *frame)
{
    uint64_t rsp = walk->registers.value[DWARF_RSP], address;

    if (!walk->exact || frame->row.cfa_register != DWARF_RSP)
        return false;
    uint64_t at = rsp + (uint64_t)frame->row.cfa_offset - 8;
    for (uint64_t off = 8; off <= ASTRAY * 8; off += 8) {
        if (read_stack_word(walk, at - off, &address) && is_behind_call(address, frame->function.start)) {
            walk->registers.value[DWARF_RSP] = rsp - off;
            return !is_popped(walk, rsp - off, rsp);
        }
        if (read_stack_word(walk, at + off, &address) && is_behind_call(address, frame->function.start)) {
            walk->registers.value[DWARF_RSP] = rsp + off;
            return true;
        }
    }
    return false;
}

struct walk walk_from(const struct trap_frame *frame, uint64_t stack_low, uint64_t stack_high)
{
    struct walk walk = {
        .stack = {(const uint8_t *)stack_low, stack_high - stack_low, stack_low},
        .registers = {{frame->rax, frame->rdx, frame->rcx, frame->rbx, frame->rsi, frame->rdi, frame->rbp, frame->rsp,
                       frame->r8, frame->r9, frame->r10, frame->r11, frame->r12, frame->r13, frame->r14, frame->r15,
                       frame->rip}},
        .exact = true,
    };
    right_frame_pointer(&walk);
    return walk;
}

bool walk_leave(struct walk *walk, const struct walk_frame *frame)
{
    if (++walk->frames > FRAMES_MAX)
        return false;
    struct walk again = *walk;
    enum dwarf_step step = frame ? step_by_tables(walk, frame) : STEP_FAILED;
    if (step == STEP_FAILED && frame && right_stack_pointer(&again, frame)) {
        *walk = again;
        step = step_by_tables(walk, frame);
    }
    bool found = step == STEP_FAILED ? guess_next(walk) : step == STEP_DONE;
    if (found)
        right_frame_pointer(walk);
    return found;
}

bool walk_next(struct walk *walk)
{
    struct walk_frame frame;

    return walk_leave(walk, walk_look_up(walk, &frame) ? NULL : &frame);
}
