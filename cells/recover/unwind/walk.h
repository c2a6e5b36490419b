/* Walks up a stack, frame by frame, by the unwind tables of the cells; where those do not help, by the frame pointer
 * or by words that look like return addresses. Runs no code of the frames. Private to the unwind cell. */
#pragma once
#include "cells/recover/unwind/dwarf.h"
#include "cells/recover/unwind/unwind.h"
#include "cells/core/exception/exception.h"
#include "guest/abi/arena.h"

struct walk {
    struct dwarf_slice stack;         /* all that may be read */
    struct dwarf_registers registers; /* of the frame reached */
    bool exact;                       /* its rip is the address of an instruction, not a return address */
    bool guessed;                     /* it was found without tables: its registers may be wrong */
    uint64_t cfa;                     /* of the frame that was left last; 0 at the start. Grows from frame to frame */
    unsigned frames;                  /* left so far */
};

/* What the tables say of the frame that a walk has reached. */
struct walk_frame {
    struct dwarf_function function;
    struct dwarf_row row;
    struct cell_ref cell;
};

/* A walk that starts in the interrupted frame. */
struct walk walk_from(const struct trap_frame *frame, uint64_t stack_low, uint64_t stack_high);
/* Looks the frame reached up in the tables. Any error: they do not help. */
enum err walk_look_up(const struct walk *walk, struct walk_frame *ret_frame);
/* See unwind_point. The walk has just begun. */
enum unwind_point walk_point(const struct walk *walk);
/* Goes on to the caller's frame. False: there is none, or it is not found. */
bool walk_next(struct walk *walk);
/* Finds the landing pad of the frame reached, which `frame` describes. Address 0: it has none. See dwarf_pad_find. */
enum err walk_pad(const struct walk *walk, const struct walk_frame *frame, bool nearest, struct dwarf_pad *ret_pad);
