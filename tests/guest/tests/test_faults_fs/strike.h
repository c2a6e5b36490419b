/* Finds out which instructions an operation executes, in memory_fs and the cells below it, and strikes one of them when
 * the victim comes to it: by single steps and a debug register, so that it is the same instruction on every run.
 * Private to test_faults_fs. */
#pragma once
#include "cells/cell.h"

enum strike_model { STRIKE_FLIP, STRIKE_OVERWRITE, STRIKE_SKIP, STRIKE_TRAP, STRIKE_MODELS };
extern const char *const strike_names[STRIKE_MODELS];

/* What is to be struck: an instruction that an operation of kind `kind` has executed. */
struct strike {
    enum strike_model model;
    unsigned kind;
    unsigned left; /* times that the instruction is still to be reached */
    uint64_t bits; /* drawn: which bit is flipped, what is written */
    /* written by strike_prepare */
    const char *cell, *section;
    uint32_t offset, bytes; /* of the instruction in the section; its length */
    /* written when it is struck */
    bool done;
    uint64_t at;
};

enum err strike_init(void);
/* From now on strike_arm notes all instructions that the running task executes outside of this cell as those of `kind`;
 * or not any more. */
void strike_trace(bool traces, unsigned kind);
/* How many different instructions are noted for `kind`, or for all kinds at UINT32_MAX; of the cell in the option
 * `cell` on the command line, if there is one. */
unsigned strike_places(unsigned kind);

/* Chooses place number `drawn` (modulo their number) among those of strike->kind. ERR_NOT_FOUND: the section is not
 * there any more. */
enum err strike_prepare(struct strike *strike, uint64_t drawn);
/* Between both the running task is the victim of the strike that was prepared last, while that is not done. */
void strike_arm(void);
void strike_disarm(void);
