/* See dwarf.h. Finds landing pads in .gcc_except_table: per function a list of call sites, each a range of
 * instructions and the pad that cleans up after them. */
#include "cells/recover/unwind/reader.h"

/* Bytes between ip and the region; 0 when the region holds it. */
static uint64_t distance(uint64_t ip, uint64_t start, uint64_t bytes)
{
    if (ip < start)
        return start - ip;
    return ip - start < bytes ? 0 : ip - (start + bytes) + 1;
}

/* Reads the header of the table up to the list of call sites. */
static enum err read_sites(const struct dwarf_slice *lsda, uint8_t *ret_encoding, struct dwarf_slice *ret_sites)
{
    struct reader r = reader_of(lsda);
    uint8_t base_encoding = reader_byte(&r), type_encoding;

    if (base_encoding != POINTER_OMIT)
        return ERR_CORRUPT; /* pads are counted from the function's start here */
    type_encoding = reader_byte(&r);
    if (type_encoding != POINTER_OMIT)
        reader_uleb(&r);
    *ret_encoding = reader_byte(&r);
    *ret_sites = reader_slice(&r, reader_uleb(&r));
    return r.truncated || *ret_encoding & 0xf0 ? ERR_CORRUPT : ERR_OK;
}

enum err dwarf_pad_find(const struct dwarf_slice *lsda, const struct dwarf_function *function, uint64_t ip,
                        bool nearest, struct dwarf_pad *ret_pad)
{
    uint64_t best = UINT64_MAX, pad = 0;
    struct dwarf_slice sites;
    uint8_t encoding;
    enum err e = read_sites(lsda, &encoding, &sites);

    if (e)
        return e;
    struct reader r = reader_of(&sites);
    while (r.at < r.end && best > 0) {
        uint64_t start = reader_pointer(&r, encoding), bytes = reader_pointer(&r, encoding);
        uint64_t landing = reader_pointer(&r, encoding), away = distance(ip - function->start, start, bytes);

        reader_uleb(&r); /* the action: ours are all cleanups */
        if (r.truncated || landing >= function->bytes)
            return ERR_CORRUPT;
        if (away < best) {
            best = away;
            pad = landing;
        }
    }
    if (best > 0 && !nearest)
        pad = 0;
    *ret_pad = (struct dwarf_pad){pad ? function->start + pad : 0, best > 0};
    return ERR_OK;
}
