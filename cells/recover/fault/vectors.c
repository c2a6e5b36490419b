/* See vectors.h. */
#include "cells/recover/fault/vectors.h"
#include "cells/core/exception/exception.h"

#define EXCEPTIONS 32

static const char *const vector_names[EXCEPTIONS] = {
    [0] = "divide error",
    [EXCEPTION_NMI] = "NMI",
    [EXCEPTION_BREAKPOINT] = "breakpoint",
    [4] = "overflow",
    [5] = "bound range exceeded",
    [EXCEPTION_UD] = "invalid opcode",
    [7] = "SIMD in a plain task",
    [EXCEPTION_DF] = "double fault",
    [10] = "invalid task state",
    [11] = "segment not present",
    [12] = "stack segment fault",
    [EXCEPTION_GP] = "general protection fault",
    [EXCEPTION_PF] = "page fault",
    [16] = "x87 fault",
    [17] = "alignment check",
    [EXCEPTION_MC] = "machine check",
    [19] = "SIMD fault",
};

const char *vector_name(uint32_t vector)
{
    return vector < EXCEPTIONS && vector_names[vector] ? vector_names[vector] : "exception";
}
