/* What the unwinder of libgcc does in a frame that is made up: any instruction, any registers, any stack. */
#pragma once
#include "cells/recover/unwind/dwarf.h"

/* What it finds above a frame. */
struct libgcc_caller {
    bool known;  /* libgcc has an entry for the instruction */
    uint64_t ip; /* 0: the frame is the outermost one */
    bool exact;  /* ip is the address of an instruction, not a return address */
    uint64_t cfa;
    struct dwarf_registers registers; /* but for rip and rsp */
    bool read_rsp;                    /* set by who asks: rsp has a rule, and is wanted too */
};

/* Steps over the frame with these registers, rip the address of an instruction. `caller->read_rsp` is read. */
void libgcc_step(const struct dwarf_registers *registers, struct libgcc_caller *caller);

/* Unwinds the frame. True: libgcc has called the personality, which has chosen a landing pad; these are the registers
 * there, rip among them. The pad must not be executable. */
bool libgcc_enter_pad(const struct dwarf_registers *registers, struct dwarf_registers *ret_registers,
                      const void **ret_exception);
