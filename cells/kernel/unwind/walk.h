/* One step at a time up a stack, by the unwind tables of the cells; where those do not help, by the frame pointer or by
 * what looks like a return address. Runs nothing. Internal to the unwind cell. */
#pragma once
#include "cells/kernel/unwind/dwarf.h"
#include "cells/kernel/exception/exception.h"

struct walk {
    struct dwarf_slice stack;         /* all that may be read */
    struct dwarf_registers registers; /* of the frame reached */
    bool exact;                       /* its rip is an instruction's, not a return address */
    bool guessed;                     /* some frame was found without tables */
    uint64_t cfa;                     /* of the frame below, 0 at the start: grows from frame to frame */
    unsigned frames;
};

/* What the tables say of the frame that a walk has reached. */
struct walk_frame {
    struct dwarf_function function;
    struct dwarf_row row;
    uint32_t cell;
};

struct walk walk_from(const struct trap_frame *frame, uint64_t stack_low, uint64_t stack_high);
enum err walk_look(const struct walk *walk, struct walk_frame *ret_frame);
/* To the caller. ERR_CLOSED: this was the first frame. Others: no way on. */
enum err walk_next(struct walk *walk);
/* The landing pad of the frame reached; address 0: none. */
enum err walk_pad(const struct walk *walk, const struct walk_frame *frame, bool nearest, struct dwarf_pad *ret_pad);
