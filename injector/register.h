/* Registers of a CPU as targets of injections (docs/campaigns.md, "Faults in registers"). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In the order of enum stop_register. */
enum cpu_register {
    REGISTER_NONE,
    REGISTER_RAX,
    REGISTER_RBX,
    REGISTER_RCX,
    REGISTER_RDX,
    REGISTER_RSI,
    REGISTER_RDI,
    REGISTER_RBP,
    REGISTER_RSP,
    REGISTER_R8,
    REGISTER_R9,
    REGISTER_R10,
    REGISTER_R11,
    REGISTER_R12,
    REGISTER_R13,
    REGISTER_R14,
    REGISTER_R15,
    REGISTER_RIP,
    REGISTER_RFLAGS,
    REGISTER_ANY /* one of them, by the seed */
};

/* The first `length` bytes of `words`: a name in lower case, or "*". REGISTER_NONE: it is none. */
enum cpu_register register_parse(const char *words, size_t length);
/* "*" of REGISTER_ANY. */
const char *register_name(enum cpu_register reg);
/* Bits that injections change: all 64, of rflags those that instructions of the kernel look at or obey. */
uint64_t register_bits(enum cpu_register reg);
