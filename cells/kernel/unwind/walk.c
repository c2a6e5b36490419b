/* See walk.h. Trusts no record and no word of the stack: each is checked before it is followed. */
#include "cells/kernel/unwind/walk.h"
#include "cells/kernel/arena/arena.h"

#define FRAMES_MAX 4096 /* more than a stack of TASK_STACK_BYTES can hold */

static bool inside(uint64_t virt, uint64_t start, uint64_t bytes)
{
    return virt - start < bytes;
}

/* The cell whose text holds `ip`; 0: none, or its record is damaged. */
static uint32_t cell_of_text(uint64_t ip)
{
    uint32_t cell = arena_cell_at(ip);

    if (!cell || !arena_sound(ARENA_CELLS, cell) ||
        !inside(ip, arena_cell(cell)->text_virt, arena_cell(cell)->text_bytes))
        return 0;
    return cell;
}

/* The bytes of a section from `start` on, which must lie in the read-only region of its cell. */
static bool table_from(uint32_t section, uint64_t start, struct dwarf_slice *ret_slice)
{
    if (!arena_sound(ARENA_SECTIONS, section))
        return false;
    const struct arena_section *s = arena_section(section);
    if (!arena_sound(ARENA_CELLS, s->cell))
        return false;
    const struct arena_cell *cell = arena_cell(s->cell);
    if (!inside(start, s->virt, s->bytes) || !inside(s->virt, cell->rodata_virt, cell->rodata_bytes) ||
        s->bytes > cell->rodata_virt + cell->rodata_bytes - s->virt)
        return false;
    *ret_slice = (struct dwarf_slice){(const uint8_t *)start, s->virt + s->bytes - start, start};
    return true;
}

static enum err look_up(uint64_t ip, struct walk_frame *ret_frame)
{
    struct dwarf_slice eh_frame;
    uint32_t cell = cell_of_text(ip), section = cell ? arena_cell(cell)->eh_frame_section : 0;

    if (!section || !arena_sound(ARENA_SECTIONS, section) ||
        !table_from(section, arena_section(section)->virt, &eh_frame))
        return ERR_NOT_FOUND;
    ret_frame->cell = cell;
    return dwarf_find(&eh_frame, ip, &ret_frame->function);
}

static uint64_t look_up_ip(const struct walk *walk)
{
    return walk->registers.value[DWARF_RIP] - !walk->exact;
}

enum err walk_look(const struct walk *walk, struct walk_frame *ret_frame)
{
    enum err e = look_up(look_up_ip(walk), ret_frame);

    return e ? e : dwarf_row_at(&ret_frame->function, look_up_ip(walk), &ret_frame->row);
}

enum err walk_pad(const struct walk *walk, const struct walk_frame *frame, bool nearest, struct dwarf_pad *ret_pad)
{
    struct dwarf_slice lsda;

    *ret_pad = (struct dwarf_pad){};
    if (!frame->function.lsda || !frame->function.personality)
        return ERR_OK;
    if (!table_from(arena_section_at(frame->function.lsda), frame->function.lsda, &lsda))
        return ERR_CORRUPT;
    return dwarf_pad_find(&lsda, &frame->function, look_up_ip(walk), nearest, ret_pad);
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

static bool read_word(const struct walk *walk, uint64_t address, uint64_t *ret_word)
{
    if (address % 8 || walk->stack.bytes < 8 || address < walk->stack.virt ||
        address > walk->stack.virt + walk->stack.bytes - 8)
        return false;
    *ret_word = *(const uint64_t *)address;
    return true;
}

/* Whether a call instruction ends at `address`, in a function that the tables know. */
static bool is_return_address(uint64_t address)
{
    const uint8_t *end = (const uint8_t *)address;
    struct walk_frame frame;

    if (look_up(address - 1, &frame) || address - frame.function.start < 5)
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

    if (!read_word(walk, at, &address) || !is_return_address(address))
        return false;
    walk->registers.value[DWARF_RIP] = address;
    walk->registers.value[DWARF_RSP] = at + 8;
    walk->cfa = at + 8;
    walk->exact = false;
    walk->guessed = true;
    return true;
}

/* A jump to nowhere leaves its return address on top; else the frame pointer says where the caller's stands; else
 * the first word above that follows a call, with the saved frame pointer below it. */
static enum err guess_next(struct walk *walk)
{
    uint64_t rsp = walk->registers.value[DWARF_RSP], rbp = walk->registers.value[DWARF_RBP], saved, floor = walk->cfa;

    if (rsp < walk->stack.virt)
        rsp = walk->stack.virt;
    rsp = (rsp > floor ? rsp : floor) & ~7ul;
    if (walk->exact && !cell_of_text(walk->registers.value[DWARF_RIP]) && take_return_address(walk, rsp))
        return ERR_OK;
    if (rbp >= rsp && read_word(walk, rbp, &saved) && take_return_address(walk, rbp + 8)) {
        walk->registers.value[DWARF_RBP] = saved;
        return ERR_OK;
    }
    for (uint64_t at = rsp; at < walk->stack.virt + walk->stack.bytes; at += 8) {
        if (!take_return_address(walk, at))
            continue;
        if (read_word(walk, at - 8, &saved) && inside(saved, at, walk->stack.virt + walk->stack.bytes - at))
            walk->registers.value[DWARF_RBP] = saved;
        return ERR_OK;
    }
    return ERR_CLOSED;
}

/* ---- the step ---- */

static enum err step_by_tables(struct walk *walk)
{
    struct walk_frame frame;
    struct dwarf_registers registers = walk->registers;
    uint64_t cfa;
    enum err e = walk_look(walk, &frame);

    if (e)
        return e;
    e = dwarf_step(&frame.row, &walk->stack, &registers, &cfa);
    if (e)
        return e;
    if (cfa % 8 || cfa <= walk->cfa || cfa <= walk->stack.virt || cfa > walk->stack.virt + walk->stack.bytes)
        return ERR_RANGE;
    uint64_t rip = registers.value[DWARF_RIP];
    if (rip == 0)
        return ERR_CLOSED;
    if (!cell_of_text(frame.function.signal ? rip : rip - 1))
        return ERR_RANGE;
    walk->registers = registers;
    walk->cfa = cfa;
    walk->exact = frame.function.signal;
    return ERR_OK;
}

enum err walk_next(struct walk *walk)
{
    enum err e;

    if (++walk->frames > FRAMES_MAX)
        return ERR_RANGE;
    e = step_by_tables(walk);
    return e == ERR_OK || e == ERR_CLOSED ? e : guess_next(walk);
}
