/* See register.h. */
#include "injector/register.h"
#include <string.h>

enum {
    FLAG_CARRY = 0x1,
    FLAG_PARITY = 0x4,
    FLAG_ZERO = 0x40,
    FLAG_SIGN = 0x80,
    FLAG_TRAP = 0x100,
    FLAG_INTERRUPT = 0x200,
    FLAG_DIRECTION = 0x400,
    FLAG_OVERFLOW = 0x800,
    FLAG_NESTED_TASK = 0x4000
};

static const char *const names[] = {
    [REGISTER_RAX] = "rax", [REGISTER_RBX] = "rbx",       [REGISTER_RCX] = "rcx", [REGISTER_RDX] = "rdx",
    [REGISTER_RSI] = "rsi", [REGISTER_RDI] = "rdi",       [REGISTER_RBP] = "rbp", [REGISTER_RSP] = "rsp",
    [REGISTER_R8] = "r8",   [REGISTER_R9] = "r9",         [REGISTER_R10] = "r10", [REGISTER_R11] = "r11",
    [REGISTER_R12] = "r12", [REGISTER_R13] = "r13",       [REGISTER_R14] = "r14", [REGISTER_R15] = "r15",
    [REGISTER_RIP] = "rip", [REGISTER_RFLAGS] = "rflags", [REGISTER_ANY] = "*"};

enum cpu_register register_parse(const char *words, size_t length)
{
    for (enum cpu_register r = REGISTER_RAX; r <= REGISTER_ANY; r++)
        if (strlen(names[r]) == length && strncmp(words, names[r], length) == 0)
            return r;
    return REGISTER_NONE;
}

const char *register_name(enum cpu_register reg)
{
    return names[reg];
}

uint64_t register_bits(enum cpu_register reg)
{
    return reg != REGISTER_RFLAGS ? UINT64_MAX
                                  : FLAG_CARRY | FLAG_PARITY | FLAG_ZERO | FLAG_SIGN | FLAG_TRAP | FLAG_INTERRUPT |
                                        FLAG_DIRECTION | FLAG_OVERFLOW | FLAG_NESTED_TASK;
}
