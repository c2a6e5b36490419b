/* See frame_buffer.h. Clips first, so that no write leaves the mapped memory. */
#include "cells/drivers/frame_buffer/frame_buffer.h"
#include "cells/core/boot/boot.h"
#include "cells/core/page/page.h"

CELL("frame_buffer", DRIVER, 1);
FOUNDATION();
EXPORT(frame_buffer_size, LIBRARY);
EXPORT(frame_buffer_fill, LIBRARY);
EXPORT(frame_buffer_copy, LIBRARY);

/* Mapped once, never unmapped; NULL: there is none. */
static struct mapped_pages *memory;
SET_ONCE(memory);

bool frame_buffer_size(uint32_t *ret_width, uint32_t *ret_height)
{
    *ret_width = boot_get()->screen.width;
    *ret_height = boot_get()->screen.height;
    return memory != NULL;
}

/* A pixel in the layout of the screen, from 0x00rrggbb. */
static uint32_t to_screen(uint32_t colour)
{
    const struct boot_info *boot = boot_get();

    return (colour >> 16 & 0xff) << boot->screen.red_shift | (colour >> 8 & 0xff) << boot->screen.green_shift |
           (colour & 0xff) << boot->screen.blue_shift;
}

static volatile uint32_t *row(uint32_t y)
{
    return (volatile uint32_t *)((uint8_t *)page_start(memory) + (size_t)y * boot_get()->screen.pitch);
}

/* How much of [at, at + length) is below `limit`. */
static uint32_t visible(uint32_t at, uint32_t length, uint32_t limit)
{
    if (at >= limit)
        return 0;
    return length < limit - at ? length : limit - at;
}

void frame_buffer_fill(uint32_t x, uint32_t y, uint32_t width, uint32_t height, uint32_t colour)
{
    uint32_t pixel = to_screen(colour), columns = visible(x, width, boot_get()->screen.width);
    uint32_t rows = visible(y, height, boot_get()->screen.height);

    for (uint32_t i = 0; memory && i < rows; i++) {
        volatile uint32_t *to = row(y + i) + x;
        for (uint32_t j = 0; j < columns; j++)
            to[j] = pixel;
    }
}

void frame_buffer_copy(uint32_t x, uint32_t y, uint32_t width, uint32_t height, const uint32_t *pixels)
{
    uint32_t columns = visible(x, width, boot_get()->screen.width);
    uint32_t rows = visible(y, height, boot_get()->screen.height);

    for (uint32_t i = 0; memory && i < rows; i++) {
        volatile uint32_t *to = row(y + i) + x;
        for (uint32_t j = 0; j < columns; j++)
            to[j] = to_screen(pixels[(size_t)i * width + j]);
    }
}

static enum err frame_buffer_init(void)
{
    const struct boot_info *boot = boot_get();

    if (memory || !boot->screen.phys || boot->screen.text || boot->screen.bits != 32 ||
        boot->screen.pitch / 4 < boot->screen.width)
        return ERR_OK;
    memory = page_map_device(boot->screen.phys, (size_t)boot->screen.pitch * boot->screen.height,
                             PAGE_WRITE | PAGE_UNCACHED);
    return memory ? ERR_OK : ERR_NOMEM;
}
INIT(frame_buffer_init);
