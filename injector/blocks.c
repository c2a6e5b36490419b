/* See blocks.h. */
#include "injector/blocks.h"
#include "guest/abi/heap.h"
#include "guest/abi/layout.h"
#include "introspect/read.h"
#include <string.h>

enum { PAGE = 4096, GAP_PAGES = 16384, BLOCK_MAX = 1 << 24 };

struct walk {
    const struct view *view;
    blocks_visit *visit;
    void *context;
    bool over;
};

static void tell(struct walk *w, uint64_t virt, uint64_t bytes)
{
    while (bytes && !w->over) {
        uint64_t left = PAGE - virt % PAGE, piece = bytes < left ? bytes : left, phys;

        if (read_walk(w->view, virt, &phys, NULL) != ERR_OK)
            return;
        w->over = !w->visit(w->context, virt, phys, piece);
        virt += piece;
        bytes -= piece;
    }
}

/* `page` is a copy of the page at `virt`. */
static void look_at_page(struct walk *w, uint64_t virt, const uint8_t page[PAGE])
{
    struct heap_header h;
    uint64_t bytes;

    for (unsigned at = 0; at < PAGE && !w->over; at += sizeof h) {
        memcpy(&h, page + at, sizeof h);
        if (h.seal != heap_seal(virt + at, h.offset, HEAP_SEAL_USED))
            continue;
        bytes = h.bytes;
        if (!h.offset && at >= sizeof bytes)
            memcpy(&bytes, page + at - sizeof bytes, sizeof bytes);
        if (bytes <= BLOCK_MAX)
            tell(w, virt + at + sizeof h, bytes);
    }
}

void blocks_each(const struct view *view, blocks_visit *visit, void *context)
{
    struct walk w = {view, visit, context, false};
    uint64_t virt = LAYOUT_PAGES_VIRT, phys;
    uint8_t page[PAGE];

    for (unsigned gap = 0; gap < GAP_PAGES && !w.over; virt += PAGE, gap++) {
        if (read_walk(view, virt, &phys, NULL) != ERR_OK || read_phys(view, phys, page, PAGE) != ERR_OK)
            continue;
        gap = 0;
        look_at_page(&w, virt, page);
    }
}
