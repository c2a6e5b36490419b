/* See walk.h. Trusts no record and no word of the stack: each is checked before it is followed. A walk ends: each
 * step moves up the stack, and there are at most FRAMES_MAX. */
#include "cells/recover/unwind/walk.h"
#include "cells/core/arena/arena.h"

#define FRAMES_MAX 4096 /* more than a stack of TASK_STACK_BYTES can hold */

static bool is_inside(uint64_t virt, uint64_t start, uint64_t bytes)
{
    return virt - start < bytes;
}

/* The cell whose text holds `ip`. None: there is none, or its record is damaged. */
static struct cell_ref cell_of_text(uint64_t ip)
{
    struct cell_ref cell = arena_cell_at(ip);

    if (!cell.index || !arena_sound(cell) || !is_inside(ip, arena_cell(cell)->text_virt, arena_cell(cell)->text_bytes))
        return NO_CELL;
    return cell;
}

/* The bytes of a section from `start` on. False: they are not in the read-only region of its cell. */
static bool table_from(struct section_ref section, uint64_t start, struct dwarf_slice *ret_slice)
{
    if (!arena_sound(section))
        return false;
    const struct arena_section *s = arena_section(section);
    if (!arena_sound(s->cell))
        return false;
    const struct arena_cell *cell = arena_cell(s->cell);
    if (!is_inside(start, s->virt, s->bytes) || !is_inside(s->virt, cell->rodata_virt, cell->rodata_bytes) ||
        s->bytes > cell->rodata_virt + cell->rodata_bytes - s->virt)
        return false;
    *ret_slice = (struct dwarf_slice){(const uint8_t *)start, s->virt + s->bytes - start, start};
    return true;
}

static enum err look_up_function(uint64_t ip, struct walk_frame *ret_frame)
{
    struct dwarf_slice eh_frame;
    struct cell_ref cell = cell_of_text(ip);
    struct section_ref section = cell.index ? arena_cell(cell)->eh_frame_section : NO_SECTION;

    if (!section.index || !arena_sound(section) || !table_from(section, arena_section(section)->virt, &eh_frame))
        return ERR_NOT_FOUND;
    ret_frame->cell = cell;
    return dwarf_find(&eh_frame, ip, &ret_frame->function);
}

/* The address to look up: a return address may be behind the end of the function that calls. */
static uint64_t ip_of(const struct walk *walk)
{
    return walk->registers.value[DWARF_RIP] - !walk->exact;
}

enum err walk_look_up(const struct walk *walk, struct walk_frame *ret_frame)
{
    enum err e = look_up_function(ip_of(walk), ret_frame);

    return e ? e : dwarf_row_at(&ret_frame->function, ip_of(walk), &ret_frame->row);
}

enum err walk_pad(const struct walk *walk, const struct walk_frame *frame, bool nearest, struct dwarf_pad *ret_pad)
{
    struct dwarf_slice lsda;

    *ret_pad = (struct dwarf_pad){};
    if (!frame->function.lsda || !frame->function.personality)
        return ERR_OK;
    if (!table_from(arena_section_at(frame->function.lsda), frame->function.lsda, &lsda))
        return ERR_CORRUPT;
    return dwarf_pad_find(&lsda, &frame->function, ip_of(walk), nearest, ret_pad);
}

struct walk walk_from(const struct trap_frame *frame, uint64_t stack_low, uint64_t stack_high)
{
    return (struct walk){
        .stack = {(const uint8_t *)stack_low, stack_high - stack_low, stack_low},
        .registers = {{frame->rax, frame->rdx, frame->rcx, frame->rbx, frame->rsi, frame->rdi, frame->rbp, frame->rsp,
                       frame->r8, frame->r9, frame->r10, frame->r11, frame->r12, frame->r13, frame->r14, frame->r15,
                       frame->rip}},
        .exact = true,
    };
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

/* Whether a call instruction of a function in the tables ends at `address`. */
static bool is_return_address(uint64_t address)
{
    const uint8_t *end = (const uint8_t *)address;
    struct walk_frame frame;

    if (look_up_function(address - 1, &frame) || address - frame.function.start < 5)
        return false;
    if (end[-5] == 0xe8)
        return true;
    for (int bytes = 2; bytes <= 7 && (uint64_t)bytes <= address - frame.function.start; bytes++)
        if (end[-bytes] == 0xff && (end[1 - bytes] & 0x38) == 0x10)
            return true;
    return false;
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
    return true;
}

/* Guesses the caller's frame, in this order. After a call of an address that is no code: the return address on top
 * of the stack. Else the return address above where rbp points. Else the first word that is a return address, with
 * the saved rbp below it. */
static bool guess_next(struct walk *walk)
{
    uint64_t rsp = walk->registers.value[DWARF_RSP], rbp = walk->registers.value[DWARF_RBP], saved, floor = walk->cfa;

    if (rsp < walk->stack.virt)
        rsp = walk->stack.virt;
    rsp = (rsp > floor ? rsp : floor) & ~7ul;
    if (walk->exact && !cell_of_text(walk->registers.value[DWARF_RIP]).index && take_return_address(walk, rsp))
        return true;
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

static enum dwarf_step step_by_tables(struct walk *walk)
{
    struct walk_frame frame;
    struct dwarf_registers registers = walk->registers;
    uint64_t cfa;

    if (walk_look_up(walk, &frame))
        return STEP_FAILED;
    enum dwarf_step step = dwarf_step(&frame.row, &walk->stack, &registers, &cfa);
    if (step != STEP_DONE)
        return step;
    if (cfa % 8 || cfa <= walk->cfa || cfa <= walk->stack.virt || cfa > walk->stack.virt + walk->stack.bytes)
        return STEP_FAILED;
    uint64_t rip = registers.value[DWARF_RIP];
    if (rip == 0)
        return STEP_OUTERMOST;
    if (!cell_of_text(frame.function.signal ? rip : rip - 1).index)
        return STEP_FAILED;
    walk->registers = registers;
    walk->cfa = cfa;
    walk->exact = frame.function.signal;
    return STEP_DONE;
}

bool walk_next(struct walk *walk)
{
    if (++walk->frames > FRAMES_MAX)
        return false;
    enum dwarf_step step = step_by_tables(walk);
    return step == STEP_FAILED ? guess_next(walk) : step == STEP_DONE;
}
