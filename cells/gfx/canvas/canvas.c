/* See canvas.h. Allocates canvases and shows them on the screen; draw.c draws. */
#include "cells/gfx/canvas/canvas.h"
#include "cells/gfx/canvas/picture.h"
#include "cells/core/boot/boot.h"
#include "cells/drivers/frame_buffer/frame_buffer.h"
#include "cells/lib/string/string.h"
#include "cells/memory/heap/heap.h"
#include "cells/memory/reclaim/reclaim.h"

CELL("canvas", LIBRARY, 1);
EXPORT(canvas_new, APPLICATION);
EXPORT(canvas_put, APPLICATION);
EXPORT(canvas_width, APPLICATION);
EXPORT(canvas_height, APPLICATION);
EXPORT(canvas_pixel, APPLICATION);
EXPORT(canvas_fill, APPLICATION);
EXPORT(canvas_rectangle, APPLICATION);
EXPORT(canvas_line, APPLICATION);
EXPORT(canvas_circle, APPLICATION);
EXPORT(canvas_animate, APPLICATION);
EXPORT(canvas_checksum, APPLICATION);
EXPORT(canvas_show, APPLICATION);

#define SIDE_MAX 4096

struct canvas *canvas_new(uint32_t width, uint32_t height)
{
    if (!width || !height || width > SIDE_MAX || height > SIDE_MAX)
        return NULL;
    OWN(mapped_pages)
    struct mapped_pages *memory = reclaim_map((size_t)width * height * sizeof(uint32_t), PAGE_WRITE | PAGE_OPAQUE);
    OWN(heap) struct canvas *canvas = heap_alloc(sizeof *canvas);
    if (!memory || !canvas)
        return NULL;
    canvas->width = (int)width;
    canvas->height = (int)height;
    canvas->pixel = page_start(memory);
    canvas->memory = MOVE(memory);
    return MOVE(canvas);
}

void canvas_put(TAKES struct canvas *canvas)
{
    if (!canvas)
        return;
    mapped_pages_put(MOVE(canvas->memory));
    heap_free(canvas);
}

static bool screen_wanted(void)
{
    char value[8];

    return boot_option("canvas", value, sizeof value) && string_equal(value, "screen");
}

enum err canvas_show(const struct canvas *canvas)
{
    uint32_t width, height, columns = (uint32_t)canvas->width, rows = (uint32_t)canvas->height;

    if (!screen_wanted() || !frame_buffer_size(&width, &height))
        return ERR_UNSUPPORTED;
    frame_buffer_copy(columns < width ? (width - columns) / 2 : 0, rows < height ? (height - rows) / 2 : 0, columns,
                      rows, canvas->pixel);
    return ERR_OK;
}
