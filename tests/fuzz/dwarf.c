/* Fuzz target: any bytes as unwind tables. The input is an offset of the table's split in two bytes, an instruction's
 * offset in two, then .eh_frame up to the split and a landing-pad table behind it.
 *
 * sources: cells
 */
#include "cells/recover/unwind/dwarf.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define TABLE_VIRT 0x401000
#define TEXT_VIRT  0x400000
#define STACK_VIRT 0x8000

/* Of its own size, so that the sanitizer sees each byte beyond it. */
static struct dwarf_slice copy_of(const uint8_t *data, size_t bytes, uint64_t virt)
{
    uint8_t *copy = malloc(bytes + !bytes);

    if (!copy)
        abort();
    memcpy(copy, data, bytes);
    return (struct dwarf_slice){copy, bytes, virt};
}

static void walk(const struct dwarf_slice *eh_frame, const struct dwarf_slice *lsda, uint64_t ip)
{
    static uint64_t memory[64];
    const struct dwarf_slice stack = {(const uint8_t *)memory, sizeof memory, STACK_VIRT};
    struct dwarf_registers registers = {.value[DWARF_RBP] = STACK_VIRT + 64, .value[DWARF_RSP] = STACK_VIRT};
    struct dwarf_function function;
    struct dwarf_row row;
    struct dwarf_pad pad;
    uint64_t cfa;

    if (dwarf_find_at(eh_frame, ip % (eh_frame->bytes + 2), ip, &function) == ERR_OK &&
        ip - function.start >= function.bytes)
        abort();
    if (dwarf_find(eh_frame, ip, &function))
        return;
    if (dwarf_row_at(&function, ip, &row) == ERR_OK && dwarf_step(&row, &stack, &registers, &cfa) == STEP_DONE &&
        !dwarf_row_same(&row, &row))
        abort();
    if (dwarf_pad_find(lsda, &function, ip, true, &pad) == ERR_OK && pad.address &&
        pad.address - function.start >= function.bytes)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    uint16_t split, offset;

    if (bytes < 4)
        return 0;
    memcpy(&split, data, 2);
    memcpy(&offset, data + 2, 2);
    data += 4;
    bytes -= 4;
    if (split > bytes)
        split = (uint16_t)bytes;
    struct dwarf_slice eh_frame = copy_of(data, split, TABLE_VIRT);
    struct dwarf_slice lsda = copy_of(data + split, bytes - split, TABLE_VIRT + split);
    walk(&eh_frame, &lsda, TEXT_VIRT + offset);
    free((void *)eh_frame.data);
    free((void *)lsda.data);
    return 0;
}
