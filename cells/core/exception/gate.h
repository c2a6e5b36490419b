/* What a gate of the IDT must be, for whoever writes or compares one (AMD64 manual, volume 2, section 8.2). */
#pragma once
#include "cells/core/cpu/tables.h"
#include "cells/core/exception/exception.h"
#include "cells/core/exception/stubs.h"

#define EXCEPTION_STUBS_SECTION ".text.exception_stubs"
#define EXCEPTION_HOPS          (EXCEPTION_VECTORS / 32)
#define EXCEPTION_STUBS_BYTES   (EXCEPTION_VECTORS * EXCEPTION_STUB_BYTES + EXCEPTION_HOPS * EXCEPTION_HOP_BYTES)

struct exception_gate {
    uint16_t offset_low, selector, flags, offset_middle;
    uint32_t offset_high, reserved;
};
_Static_assert(EXCEPTION_VECTORS * sizeof(struct exception_gate) == EXCEPTION_TABLE_BYTES);

/* The stack of the interrupt stack table on which a vector is handled; 0: the interrupted one. */
static inline unsigned exception_stack(unsigned vector)
{
    if (vector == EXCEPTION_NMI)
        return 2;
    if (vector == EXCEPTION_DF || vector == EXCEPTION_MC)
        return 3;
    return vector < 32;
}

/* The gate of `vector` when the entry stubs are at `stubs`. */
static inline struct exception_gate exception_gate(uint64_t stubs, unsigned vector)
{
    uint64_t stub = stubs + vector * EXCEPTION_STUB_BYTES + vector / 32 * EXCEPTION_HOP_BYTES;

    return (struct exception_gate){
        .offset_low = (uint16_t)stub,
        .selector = vector == EXCEPTION_GP ? CPU_SPARE_CODE_SELECTOR : CPU_CODE_SELECTOR,
        .flags = (uint16_t)(0x8e00 | exception_stack(vector)), /* a present interrupt gate */
        .offset_middle = (uint16_t)(stub >> 16),
        .offset_high = (uint32_t)(stub >> 32),
    };
}
