/* What a pointer may refer to. Nothing is read where it points to, but the headers of the heap's blocks. */
#include "cells/recover/check/inside.h"
#include "cells/core/page/page.h"
#include "cells/lib/string/string.h"
#include "cells/memory/heap/heap.h"
#include "guest/abi/heap.h"
#include "guest/abi/layout.h"

#define PAGE_BYTES  4096ul
#define BLOCK_MOST  3232ul /* bytes from the header of a block that is not a mapping of its own to its end, at most */
#define ALIGN_BLOCK 16ul

/* What an address is not, in which bits differ that no page table looks at. */
static bool is_canonical(uint64_t virt)
{
    return (uint64_t)((int64_t)(virt << 16) >> 16) == virt;
}

static const uint8_t *direct(uint64_t virt)
{
    uint64_t phys;

    if (!is_canonical(virt) || page_translate(virt, &phys))
        return NULL;
    const uint8_t *bytes = page_direct(phys);
    return page_translate((uint64_t)bytes, &phys) ? NULL : bytes;
}

const uint8_t *pointer_bytes(uint64_t virt, uint64_t bytes)
{
    const uint8_t *first = direct(virt);

    if (!first || bytes > UINT32_MAX)
        return NULL;
    for (uint64_t done = PAGE_BYTES - virt % PAGE_BYTES; done < bytes; done += PAGE_BYTES)
        if (direct(virt + done) != first + done)
            return NULL;
    return first;
}

static bool is_mapped(uint64_t virt)
{
    uint64_t phys;

    return !page_translate(virt, &phys);
}

/* ---- the heap ---- */

/* Finds the block in whose header or bytes `virt` is, by the last header before it; false: there is none, or the block
 * is a mapping of its own. */
static bool find_header(uint64_t virt, uint64_t *ret_block, struct heap_header *ret_header)
{
    uint64_t at = (virt & -ALIGN_BLOCK) - sizeof *ret_header, last = virt - BLOCK_MOST;
    const uint8_t *page = NULL;

    for (uint64_t mapped = 0; at >= last; at -= ALIGN_BLOCK) {
        if (!page || mapped != at / PAGE_BYTES)
            page = direct(at & -PAGE_BYTES);
        if (!page)
            return false;
        mapped = at / PAGE_BYTES;
        memcpy(ret_header, page + at % PAGE_BYTES, sizeof *ret_header);
        if (ret_header->seal == heap_seal(at, ret_header->offset, HEAP_SEAL_USED) ||
            ret_header->seal == heap_seal(at, ret_header->offset, HEAP_SEAL_FREE)) {
            *ret_block = at + sizeof *ret_header;
            return true;
        }
    }
    return false;
}

static enum pointer_fault check_block(uint64_t virt, uint64_t bytes)
{
    struct heap_header header;
    uint64_t block;
    size_t asked;

    if (heap_is_block((const void *)virt, &asked))
        return !asked ? POINTER_FREED : asked < bytes ? POINTER_BEYOND : POINTER_RIGHT;
    if (!find_header(virt, &block, &header) || !header.offset)
        return POINTER_RIGHT;
    if (header.seal == heap_seal(block - sizeof header, header.offset, HEAP_SEAL_FREE))
        return POINTER_FREED;
    return virt - block > header.bytes || bytes > header.bytes - (virt - block) ? POINTER_BEYOND : POINTER_RIGHT;
}

/* ---- */

static enum pointer_fault check_section(uint64_t virt, uint64_t bytes)
{
    struct section_ref section = arena_section_at(virt);

    if (!section.index)
        return bytes ? POINTER_BEYOND : POINTER_RIGHT;
    const struct arena_section *s = arena_section(section);
    return bytes > s->bytes - (virt - s->virt) ? POINTER_BEYOND : POINTER_RIGHT;
}

enum pointer_fault pointer_check(uint64_t virt, uint64_t bytes, bool aligned)
{
    if (!is_canonical(virt))
        return POINTER_NO_ADDRESS;
    if (aligned && virt % 8)
        return POINTER_ALIGNMENT;
    if (!is_mapped(virt) && (bytes || !is_mapped(virt - 1)))
        return POINTER_UNMAPPED;
    if (bytes && (virt + bytes - 1 < virt || !is_mapped(virt + bytes - 1)))
        return POINTER_UNMAPPED;
    if (virt >= LAYOUT_PAGES_VIRT && virt < LAYOUT_PAGES_END)
        return check_block(virt, bytes);
    return virt >= LAYOUT_CELL_VIRT && virt < LAYOUT_CELL_END ? check_section(virt, bytes) : POINTER_RIGHT;
}

/* Sections with several functions have a `#` in their name (docs/cells.md). */
enum pointer_fault pointer_check_function(uint64_t virt)
{
    struct section_ref section = arena_section_at(virt);

    if (!section.index || arena_section(section)->kind != SECTION_TEXT)
        return POINTER_NO_FUNCTION;
    const struct arena_section *s = arena_section(section);
    const char *name = arena_string(s->name);
    while (*name && *name != '#')
        name++;
    return virt == s->virt || *name ? POINTER_RIGHT : POINTER_NO_FUNCTION;
}
