/* Reads the bytes of an unwind table from front to back. Never reads outside of the slice: what would lie behind its
 * end counts as 0 and sets `truncated`, which callers check before they use what they have read. Private to the
 * dwarf_*.c files. */
#pragma once
#include "cells/recover/unwind/dwarf.h"

/* DW_EH_PE encodings of pointers that are tested for; reader_pointer knows the rest. */
enum {
    POINTER_ABSOLUTE = 0,
    POINTER_USUAL = 0x1b,
    POINTER_SDATA4 = 0x0b,
    POINTER_RELATIVE = 0x10,
    POINTER_INDIRECT = 0x80,
    POINTER_OMIT = 0xff
};

struct reader {
    const uint8_t *at, *end;
    uint64_t to_virt; /* what to add to where a byte is: its address */
    bool truncated;   /* something was read behind the end, or cannot be read */
};

static inline struct reader reader_of(const struct dwarf_slice *slice)
{
    return (struct reader){slice->data, slice->data + slice->bytes, slice->virt - (uint64_t)slice->data, false};
}

/* The address of the byte that is read next. */
static inline uint64_t reader_virt(const struct reader *r)
{
    return (uint64_t)r->at + r->to_virt;
}

/* A number of 1 to 8 bytes. */
uint64_t reader_fixed(struct reader *r, unsigned bytes);
int64_t reader_signed(struct reader *r, unsigned bytes);
/* A LEB128 number of any length. */
uint64_t reader_uleb_long(struct reader *r);
int64_t reader_sleb(struct reader *r);
/* A pointer in any DW_EH_PE encoding. One that GCC does not emit here sets `truncated`. */
uint64_t reader_pointer_any(struct reader *r, uint8_t encoding);

/* The rest is inline: each entry of a table, or each instruction of a program, is read by it. */
static inline uint8_t reader_byte(struct reader *r)
{
    if (r->at == r->end) {
        r->truncated = true;
        return 0;
    }
    return *r->at++;
}

/* A LEB128 number. Most have one byte. */
static inline uint64_t reader_uleb(struct reader *r)
{
    if (r->at == r->end || *r->at & 0x80)
        return reader_uleb_long(r);
    return *r->at++;
}

static inline uint32_t reader_word(struct reader *r)
{
    uint32_t v;

    if (r->end - r->at < 4)
        return (uint32_t)reader_fixed(r, 4);
    __builtin_memcpy(&v, r->at, 4);
    r->at += 4;
    return v;
}

/* A pointer in a DW_EH_PE encoding, as by reader_pointer_any. Most are of two kinds. */
static inline uint64_t reader_pointer(struct reader *r, uint8_t encoding)
{
    uint64_t base = reader_virt(r), v;

    if (encoding == POINTER_ABSOLUTE && r->end - r->at >= 8) {
        __builtin_memcpy(&v, r->at, 8);
        r->at += 8;
        return v;
    }
    if ((encoding & ~POINTER_RELATIVE) != POINTER_SDATA4)
        return reader_pointer_any(r, encoding);
    v = (uint64_t)(int64_t)(int32_t)reader_word(r);
    return v && encoding & POINTER_RELATIVE ? v + base : v;
}

/* The next `bytes` bytes. An empty slice when there are fewer. */
static inline struct dwarf_slice reader_slice(struct reader *r, uint64_t bytes)
{
    struct dwarf_slice slice = {r->at, bytes, reader_virt(r)};

    if (bytes > (size_t)(r->end - r->at)) {
        r->truncated = true;
        slice.bytes = 0;
        r->at = r->end;
        return slice;
    }
    r->at += bytes;
    return slice;
}
