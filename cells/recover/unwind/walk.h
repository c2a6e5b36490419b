/* Walks up a stack, frame by frame, by the unwind tables of the cells; where those do not help, by the frame pointer
 * or by words that look like return addresses. Runs no code of the frames. Private to the unwind cell. */
#pragma once
#include "cells/recover/unwind/dwarf.h"
#include "cells/recover/unwind/unwind.h"
#include "cells/core/exception/exception.h"
#include "guest/abi/arena.h"

/* Where an address in text is: what a walk has found out last, since the next frame often shares it. */
struct walk_place {
    struct cell_ref cell;           /* whose text holds it; its record was intact. None: nothing is known */
    struct section_ref section;     /* that holds it, or none */
    struct dwarf_slice eh_frame;    /* the cell's unwind table; no bytes: none that can be read */
    uint64_t text_virt, text_bytes; /* of the cell */
    uint64_t virt, bytes;           /* of the section */
    uint32_t entry;                 /* of the section's first function in the table, see struct arena_section */
};

struct walk {
    struct dwarf_slice stack;         /* all that may be read */
    struct dwarf_registers registers; /* of the frame reached */
    bool exact;                       /* its rip is the address of an instruction, not a return address */
    bool guessed;                     /* it was found without tables: its registers may be wrong */
    uint64_t cfa;                     /* of the frame that was left last; 0 at the start. Grows from frame to frame */
    unsigned frames;                  /* left so far */
    struct walk_place place;          /* found last; may be all zero */
};

/* What the tables say of the frame that a walk has reached. */
struct walk_frame {
    struct dwarf_function function;
    struct dwarf_row row;
    struct cell_ref cell;
};

/* A walk that starts in the interrupted frame. */
struct walk walk_from(const struct trap_frame *frame, uint64_t stack_low, uint64_t stack_high);
/* The address of the frame reached that is to be looked up: a return address may be behind the end of the function that
 * calls. */
static inline uint64_t walk_ip(const struct walk *walk)
{
    return walk->registers.value[DWARF_RIP] - !walk->exact;
}
/* Sets walk->place to that of an address. False: no cell whose record is intact has it in its text. */
bool walk_place(struct walk *walk, uint64_t address);
/* Looks the frame reached up in the tables. Any error: they do not help. */
enum err walk_look_up(struct walk *walk, struct walk_frame *ret_frame);
/* See unwind_point. The walk has just begun. */
enum unwind_point walk_point(struct walk *walk);
/* Goes on to the caller's frame. False: there is none, or it is not found. */
bool walk_next(struct walk *walk);
/* The same; `frame` is what walk_look_up has found of the frame reached. NULL: it has failed. */
bool walk_leave(struct walk *walk, const struct walk_frame *frame);
/* Finds the landing pad of the frame reached, which `frame` describes. Address 0: it has none. See dwarf_pad_find. */
enum err walk_pad(const struct walk *walk, const struct walk_frame *frame, bool nearest, struct dwarf_pad *ret_pad);
