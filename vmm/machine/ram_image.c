/* See ram_image.h. What was never touched is a hole of the file: it is not read, since reading would fill it. */
#include "vmm/machine/ram_image.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static bool is_zero(const uint8_t *page)
{
    return page[0] == 0 && memcmp(page, page + 1, RAM_IMAGE_PAGE - 1) == 0;
}

/* The next part of the file with data at or behind `at`: from *ret_at to *ret_end, whole pages. False: none. */
static bool next_data(const struct ram_mapping *ram, uint64_t at, uint64_t end, uint64_t *ret_at, uint64_t *ret_end)
{
    off_t data = lseek(ram->fd, (off_t)at, SEEK_DATA);
    off_t hole = data < 0 ? -1 : lseek(ram->fd, data, SEEK_HOLE);

    if (hole < 0 || (uint64_t)data >= end)
        return false;
    *ret_at = (uint64_t)data / RAM_IMAGE_PAGE * RAM_IMAGE_PAGE;
    if (*ret_at < at)
        *ret_at = at;
    *ret_end = ((uint64_t)hole + RAM_IMAGE_PAGE - 1) / RAM_IMAGE_PAGE * RAM_IMAGE_PAGE;
    if (*ret_end > end)
        *ret_end = end;
    return true;
}

/* ---- writing ---- */

struct extents {
    struct ram_extent *extent;
    size_t count, room;
    uint64_t pages;
};

static bool add_page(struct extents *e, uint64_t page)
{
    struct ram_extent *last = e->count ? &e->extent[e->count - 1] : NULL;

    e->pages++;
    if (last && last->first + last->pages == page) {
        last->pages++;
        return true;
    }
    if (e->count == e->room) {
        size_t room = e->room ? 2 * e->room : 256;
        struct ram_extent *more = realloc(e->extent, room * sizeof *more);
        if (!more)
            return false;
        e->extent = more;
        e->room = room;
    }
    e->extent[e->count++] = (struct ram_extent){page, 1};
    return true;
}

static bool find_pages(const struct ram_mapping *ram, struct extents *e)
{
    uint64_t at = 0, end;

    for (uint64_t from = 0; next_data(ram, from, ram->bytes, &at, &end); from = end)
        for (; at < end; at += RAM_IMAGE_PAGE)
            if (!is_zero(ram->base + at) && !add_page(e, at / RAM_IMAGE_PAGE))
                return false;
    return true;
}

enum err ram_image_add(struct container_writer *writer, const struct ram_mapping *ram, uint64_t *ret_pages)
{
    struct extents found = {0};
    bool all = find_pages(ram, &found);
    OWN(memory) struct ram_extent *extents = found.extent;

    if (!all)
        return ERR_NOMEM;
    enum err e = container_add(writer, RAM_IMAGE_MAP, 0, extents, found.count * sizeof *extents);
    if (e == ERR_OK)
        e = container_begin(writer, RAM_IMAGE_PAGES, 0);
    for (size_t i = 0; e == ERR_OK && i < found.count; i++)
        e = container_append(writer, ram->base + extents[i].first * RAM_IMAGE_PAGE, extents[i].pages * RAM_IMAGE_PAGE);
    *ret_pages = found.pages;
    return e;
}

/* ---- reading ---- */

static enum err refuse_image(char *why, const char *text)
{
    snprintf(why, CONTAINER_WHY, "%s", text);
    return ERR_INVALID;
}

enum err ram_image_check(const struct container *image, uint64_t ram_bytes, char *why)
{
    size_t map_bytes = 0, page_bytes = 0;
    const struct ram_extent *extent = container_find(image, RAM_IMAGE_MAP, 0, &map_bytes);
    uint64_t next = 0, pages = 0, most = ram_bytes / RAM_IMAGE_PAGE;

    if (!extent || !container_find(image, RAM_IMAGE_PAGES, 0, &page_bytes) || map_bytes % sizeof *extent)
        return refuse_image(why, "damaged: it has no RAM");
    for (size_t i = 0; i < map_bytes / sizeof *extent; i++) {
        if (extent[i].first < next || extent[i].first > most || extent[i].pages == 0 ||
            extent[i].pages > most - extent[i].first)
            return refuse_image(why, "damaged: pages that are not in the machine's RAM, or there twice");
        next = extent[i].first + extent[i].pages;
        pages += extent[i].pages;
    }
    if (page_bytes % RAM_IMAGE_PAGE || page_bytes / RAM_IMAGE_PAGE != pages)
        return refuse_image(why, "damaged: it has not as many pages of RAM as it says");
    return ERR_OK;
}

uint64_t ram_image_pages(const struct container *image)
{
    size_t bytes = 0;

    (void)container_find(image, RAM_IMAGE_PAGES, 0, &bytes);
    return bytes / RAM_IMAGE_PAGE;
}

/* What is to be zero from `at` to `end`. */
static bool compare_zeros(const struct ram_mapping *ram, uint64_t from, uint64_t end, bool put, uint64_t *pages)
{
    enum { HOLE = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE };
    uint64_t at = 0, data_end, before;

    for (; from < end && next_data(ram, from, end, &at, &data_end); from = data_end) {
        before = *pages;
        for (uint64_t page = at; page < data_end; page += RAM_IMAGE_PAGE)
            *pages += !is_zero(ram->base + page);
        if (put && *pages > before && fallocate(ram->fd, HOLE, (off_t)at, (off_t)(data_end - at)) != 0)
            return false;
    }
    return true;
}

enum err ram_image_compare(const struct container *image, const struct ram_mapping *ram, bool put, uint64_t *ret_pages)
{
    size_t map_bytes = 0, page_bytes = 0;
    const struct ram_extent *extent = container_find(image, RAM_IMAGE_MAP, 0, &map_bytes);
    const uint8_t *page = container_find(image, RAM_IMAGE_PAGES, 0, &page_bytes);
    uint64_t at = 0, pages = 0;

    for (size_t i = 0; i < map_bytes / sizeof *extent; i++) {
        uint64_t first = extent[i].first * RAM_IMAGE_PAGE, end = first + extent[i].pages * RAM_IMAGE_PAGE;
        if (!compare_zeros(ram, at, first, put, &pages))
            return ERR_IO;
        for (at = first; at < end; at += RAM_IMAGE_PAGE, page += RAM_IMAGE_PAGE) {
            if (memcmp(ram->base + at, page, RAM_IMAGE_PAGE) == 0)
                continue;
            pages++;
            if (put)
                memcpy(ram->base + at, page, RAM_IMAGE_PAGE);
        }
    }
    *ret_pages = pages;
    if (!compare_zeros(ram, at, ram->bytes, put, &pages))
        return ERR_IO;
    *ret_pages = pages;
    return ERR_OK;
}
