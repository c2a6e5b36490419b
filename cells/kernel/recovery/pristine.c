/* See pristine.h. Calls next to nothing, since what it is to mend may be what it would call. */
#include "cells/kernel/recovery/pristine.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/page/page.h"

#define NANO_CORE 1 /* its cell */

static struct copy {
    uint64_t virt;
    size_t bytes;
    const uint8_t *data;
} copies[2];

static enum err keep(struct copy *copy, uint64_t virt, size_t bytes)
{
    struct mapped_pages *mp = page_map(bytes, PAGE_WRITE); /* for ever */

    if (!mp)
        return ERR_NOMEM;
    uint8_t *data = page_start(mp);
    for (size_t i = 0; i < bytes; i++)
        data[i] = ((const uint8_t *)virt)[i];
    page_protect(mp, PAGE_READ);
    *copy = (struct copy){virt, bytes, data};
    return ERR_OK;
}

enum err pristine_keep(void)
{
    const struct arena_cell *core = arena_cell(NANO_CORE);
    enum err error = ERR_OK;

    if (!copies[0].data)
        error = keep(&copies[0], core->text_virt, core->text_bytes);
    if (!error && !copies[1].data)
        error = keep(&copies[1], core->rodata_virt, core->rodata_bytes);
    return error;
}

bool pristine_mend(uint32_t section)
{
    const struct arena_section *s = arena_section(section);

    for (size_t i = 0; i < array_size(copies); i++) {
        uint64_t offset = s->virt - copies[i].virt;
        if (offset >= copies[i].bytes || s->bytes > copies[i].bytes - offset)
            continue;
        volatile uint8_t *to = page_direct(s->phys);
        for (uint32_t k = 0; k < s->bytes; k++)
            if (to[k] != copies[i].data[offset + k])
                to[k] = copies[i].data[offset + k];
        return true;
    }
    return false;
}
