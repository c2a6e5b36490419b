/* See dwarf.h. Looks up functions in .eh_frame: a list of CIEs, each with what its functions have in common, and of
 * FDEs, one per function, which point back to their CIE (LSB §10.6). */
#include "cells/recover/unwind/reader.h"

#define CIE_VERSION 1

struct cie {
    struct dwarf_function inherited; /* by each of its functions */
    uint8_t pointer_encoding, lsda_encoding;
    bool augmented;
};

/* Reads the augmentation data, whose fields the letters name, behind the first one, z. */
static bool parse_augmentation(struct reader r, const char *letters, struct cie *cie)
{
    cie->augmented = true;
    for (; *letters; letters++) {
        if (*letters == 'P') {
            uint8_t encoding = reader_byte(&r) & ~POINTER_INDIRECT; /* only whether there is one matters */
            cie->inherited.personality = reader_pointer(&r, encoding);
        } else if (*letters == 'L') {
            cie->lsda_encoding = reader_byte(&r);
        } else if (*letters == 'R') {
            cie->pointer_encoding = reader_byte(&r);
        } else if (*letters == 'S') {
            cie->inherited.signal = true;
        } else {
            return false;
        }
    }
    return !r.truncated;
}

static enum err parse_cie(struct reader r, struct cie *ret_cie)
{
    struct cie cie = {.lsda_encoding = POINTER_OMIT};
    const char *augmentation;

    if (reader_byte(&r) != CIE_VERSION)
        return ERR_CORRUPT;
    augmentation = (const char *)r.at;
    while (reader_byte(&r) != 0)
        ;
    cie.inherited.code_align = reader_uleb(&r);
    cie.inherited.data_align = reader_sleb(&r);
    if (reader_uleb(&r) != DWARF_RIP || r.truncated)
        return ERR_CORRUPT;
    if (*augmentation == 'z') {
        struct dwarf_slice data = reader_slice(&r, reader_uleb(&r));
        if (!parse_augmentation(reader_of(&data), augmentation + 1, &cie))
            return ERR_CORRUPT;
    } else if (*augmentation) {
        return ERR_CORRUPT;
    }
    cie.inherited.initial = reader_slice(&r, r.end - r.at);
    *ret_cie = cie;
    return r.truncated ? ERR_CORRUPT : ERR_OK;
}

/* Reads the CIE that is `back` bytes before the id field at `id_at`. */
static enum err find_cie(const struct dwarf_slice *eh_frame, const uint8_t *id_at, uint32_t back, struct cie *ret_cie)
{
    size_t id_offset = id_at - eh_frame->data;
    struct reader r;
    uint32_t length;

    if (back > id_offset)
        return ERR_CORRUPT;
    r = reader_of(eh_frame);
    reader_slice(&r, id_offset - back);
    length = reader_word(&r);
    struct dwarf_slice body = reader_slice(&r, length);
    r = reader_of(&body);
    if (length == UINT32_MAX || reader_word(&r) != 0 || r.truncated)
        return ERR_CORRUPT;
    return parse_cie(r, ret_cie);
}

/* Reads an FDE: `r` is behind its id field. */
static enum err parse_fde(struct reader r, const struct cie *cie, struct dwarf_function *ret_function)
{
    struct dwarf_function function = cie->inherited;

    function.start = reader_pointer(&r, cie->pointer_encoding);
    function.bytes = reader_pointer(&r, cie->pointer_encoding & 0x0f);
    if (cie->augmented) {
        struct dwarf_slice data = reader_slice(&r, reader_uleb(&r));
        struct reader a = reader_of(&data);

        function.lsda = reader_pointer(&a, cie->lsda_encoding);
        if (a.truncated)
            return ERR_CORRUPT;
    }
    function.program = reader_slice(&r, r.end - r.at);
    *ret_function = function;
    return r.truncated ? ERR_CORRUPT : ERR_OK;
}

/* Whether the first two words of an FDE say that its function does not hold `ip`. False where they cannot tell: in
 * any but GCC's usual encoding. Spares nearly all FDEs the full parse. */
static bool is_other_function(const struct cie *cie, struct reader r, uint64_t ip)
{
    uint64_t base = reader_virt(&r);

    if (cie->pointer_encoding != POINTER_USUAL || r.end - r.at < 8)
        return false;
    uint64_t start = base + (uint64_t)(int64_t)(int32_t)reader_word(&r);
    return ip - start >= reader_word(&r);
}

enum err dwarf_find(const struct dwarf_slice *eh_frame, uint64_t ip, struct dwarf_function *ret_function)
{
    struct reader r = reader_of(eh_frame);
    const uint8_t *cie_known = NULL;
    struct cie cie = {};
    enum err e;

    while (r.at < r.end) {
        uint32_t length = reader_word(&r);
        struct dwarf_function function;

        if (length == 0)
            continue; /* a terminator in the middle: the linker has joined tables */
        struct dwarf_slice body = reader_slice(&r, length);
        struct reader entry = reader_of(&body);
        const uint8_t *id_at = entry.at;
        uint32_t back = reader_word(&entry);

        if (r.truncated || entry.truncated)
            return ERR_CORRUPT;
        if (back == 0)
            continue;
        if (id_at - back != cie_known) {
            if ((e = find_cie(eh_frame, id_at, back, &cie)))
                return e;
            cie_known = id_at - back;
        }
        if (is_other_function(&cie, entry, ip))
            continue;
        if ((e = parse_fde(entry, &cie, &function)))
            return e;
        if (ip - function.start < function.bytes) {
            *ret_function = function;
            return ERR_OK;
        }
    }
    return ERR_NOT_FOUND;
}

enum err dwarf_find_at(const struct dwarf_slice *eh_frame, uint64_t offset, uint64_t ip,
                       struct dwarf_function *ret_function)
{
    struct reader r = reader_of(eh_frame);
    struct dwarf_function function;
    struct cie cie;

    reader_slice(&r, offset);
    uint32_t length = reader_word(&r);
    struct dwarf_slice body = reader_slice(&r, length);
    struct reader entry = reader_of(&body);
    const uint8_t *id_at = entry.at;
    uint32_t back = reader_word(&entry);
    if (r.truncated || entry.truncated || back == 0)
        return ERR_NOT_FOUND;
    enum err e = find_cie(eh_frame, id_at, back, &cie);
    if (e || (e = parse_fde(entry, &cie, &function)))
        return e;
    if (ip - function.start >= function.bytes)
        return ERR_NOT_FOUND;
    *ret_function = function;
    return ERR_OK;
}
