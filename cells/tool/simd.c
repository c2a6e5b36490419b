/* See simd.h. Every executable section is disassembled from its start: code that GCC and our assembly emit has no
 * data in between. What the disassembler does not know counts as SIMD when it begins like a VEX or EVEX instruction. */
#include "cells/tool/simd.h"
#include <stdlib.h>
#include "introspect/base/capstone.h"

enum { VEX_2 = 0xc5, VEX_3 = 0xc4, EVEX = 0x62 };

/* Registers of each kind have numbers in a row. */
static const struct {
    uint16_t first, last;
} registers[] = {
    {X86_REG_ST0, X86_REG_ST7},    {X86_REG_FP0, X86_REG_FP7},    {X86_REG_MM0, X86_REG_MM7},
    {X86_REG_XMM0, X86_REG_XMM31}, {X86_REG_YMM0, X86_REG_YMM31}, {X86_REG_ZMM0, X86_REG_ZMM31},
    {X86_REG_K0, X86_REG_K7},
};

static bool are_simd(const uint16_t *list, uint8_t count)
{
    for (uint8_t i = 0; i < count; i++)
        for (size_t r = 0; r < sizeof registers / sizeof *registers; r++)
            if (list[i] >= registers[r].first && list[i] <= registers[r].last)
                return true;
    return false;
}

static bool is_simd(csh capstone, const cs_insn *instruction)
{
    static const unsigned others[] = {X86_INS_VZEROUPPER, X86_INS_VZEROALL, X86_INS_EMMS,     X86_INS_FEMMS,
                                      X86_INS_LDMXCSR,    X86_INS_STMXCSR,  X86_INS_VLDMXCSR, X86_INS_VSTMXCSR};
    cs_regs read, written;
    uint8_t reads = 0, writes = 0;

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (instruction->id == others[i])
            return true;
    return cs_insn_group(capstone, instruction, X86_GRP_FPU) ||
           (cs_regs_access(capstone, instruction, read, &reads, written, &writes) == CS_ERR_OK &&
            (are_simd(read, reads) || are_simd(written, writes)));
}

static bool section_uses(csh capstone, cs_insn *instruction, const struct section *section)
{
    const uint8_t *code = section->data;
    size_t left = section->bytes;
    uint64_t address = 0;

    while (left) {
        if (cs_disasm_iter(capstone, &code, &left, &address, instruction)) {
            if (is_simd(capstone, instruction))
                return true;
            continue;
        }
        if (*code == VEX_2 || *code == VEX_3 || *code == EVEX)
            return true;
        code++, left--;
    }
    return false;
}

enum err simd_find(const struct elf_file *object, size_t *ret_section)
{
    OWN(capstone) csh capstone = 0;
    OWN(instruction) cs_insn *instruction = NULL;
    size_t found = 0;

    if (cs_open(CS_ARCH_X86, CS_MODE_64, &capstone) == CS_ERR_OK &&
        cs_option(capstone, CS_OPT_DETAIL, CS_OPT_ON) == CS_ERR_OK)
        instruction = cs_malloc(capstone);
    if (!instruction)
        return complain(ERR_NOMEM, object->path, "out of memory");
    for (size_t i = 1; i < object->sections && !found; i++)
        if (object->section[i].header.sh_flags & SHF_EXECINSTR && object->section[i].data &&
            section_uses(capstone, instruction, &object->section[i]))
            found = i;
    *ret_section = found;
    return ERR_OK;
}
