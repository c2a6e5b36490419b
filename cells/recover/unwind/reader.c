/* See reader.h. */
#include "cells/recover/unwind/reader.h"

/* The low four bits of a DW_EH_PE encoding (LSB §10.5.1). */
enum {
    ENCODED_ABSOLUTE = 0x0,
    ENCODED_ULEB128 = 0x1,
    ENCODED_UDATA2 = 0x2,
    ENCODED_UDATA4 = 0x3,
    ENCODED_UDATA8 = 0x4,
    ENCODED_SLEB128 = 0x9,
    ENCODED_SDATA2 = 0xa,
    ENCODED_SDATA4 = 0xb,
    ENCODED_SDATA8 = 0xc,
};

uint64_t reader_fixed(struct reader *r, unsigned bytes)
{
    uint64_t v = 0;

    if ((size_t)(r->end - r->at) < bytes) {
        r->truncated = true;
        r->at = r->end;
        return 0;
    }
    for (unsigned i = 0; i < bytes; i++)
        v |= (uint64_t)r->at[i] << (8 * i);
    r->at += bytes;
    return v;
}

int64_t reader_signed(struct reader *r, unsigned bytes)
{
    uint64_t v = reader_fixed(r, bytes);
    unsigned unused = 64 - 8 * bytes;

    return (int64_t)(v << unused) >> unused;
}

static uint64_t reader_leb(struct reader *r, bool is_signed)
{
    uint64_t v = 0;
    unsigned shift = 0;
    uint8_t byte;

    do {
        byte = reader_byte(r);
        if (shift < 64)
            v |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    } while (byte & 0x80 && shift < 70);
    if (is_signed && shift < 64 && byte & 0x40)
        v |= ~0ull << shift;
    return v;
}

uint64_t reader_uleb_long(struct reader *r)
{
    return reader_leb(r, false);
}

int64_t reader_sleb(struct reader *r)
{
    return (int64_t)reader_leb(r, true);
}

/* Reads the number itself. */
static uint64_t read_encoded(struct reader *r, uint8_t form)
{
    switch (form) {
    case ENCODED_ABSOLUTE:
    case ENCODED_UDATA8:
    case ENCODED_SDATA8:
        return reader_fixed(r, 8);
    case ENCODED_ULEB128:
        return reader_uleb(r);
    case ENCODED_UDATA2:
        return reader_fixed(r, 2);
    case ENCODED_UDATA4:
        return reader_word(r);
    case ENCODED_SLEB128:
        return (uint64_t)reader_sleb(r);
    case ENCODED_SDATA2:
        return (uint64_t)reader_signed(r, 2);
    case ENCODED_SDATA4:
        return (uint64_t)(int32_t)reader_word(r);
    default:
        r->truncated = true;
        return 0;
    }
}

uint64_t reader_pointer_any(struct reader *r, uint8_t encoding)
{
    uint64_t base = reader_virt(r);

    if (encoding == POINTER_OMIT)
        return 0;
    uint64_t v = read_encoded(r, encoding & 0x0f);
    if (encoding & POINTER_INDIRECT || (encoding & 0x70) > POINTER_RELATIVE)
        r->truncated = true;
    return v && encoding & POINTER_RELATIVE ? v + base : v;
}
