/* Live code as instructions (Capstone), with the targets of their relocations by name, from the edges. */
#pragma once
#include "introspect/view.h"

struct disasm_line {
    uint64_t address;
    uint32_t offset; /* in the section */
    uint8_t byte[16];
    unsigned bytes;
    bool valid; /* false: no instruction starts here; one byte is shown */
    char mnemonic[32];
    char operands[160];
    struct edge_ref edge; /* of the first relocation inside this instruction, or none */
    char target[256];     /* the targets of all, "wait_queue:wait_queue_wait, log:.bss.lines"; "" without one */
};

/* Calls `each` for every instruction of a text section, in order. The bytes are copied once, before the first call.
 * ERR_NOT_FOUND: no such section. ERR_INVALID: not text. ERR_RANGE: its bytes are not all in memory. ERR_NOMEM. */
enum err disasm_section(const struct view *view, struct section_ref section,
                        void (*each)(const struct disasm_line *line, void *context), void *context);
