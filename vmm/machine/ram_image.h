/* Guest RAM in a container (introspect/base/container.h): the pages that are not zero, and where they were.
 *
 *     RAM_IMAGE_MAP     an array of struct ram_extent, in the order of the addresses, none next to another
 *     RAM_IMAGE_PAGES   their pages, one after the other
 *
 * RAM is a file that other programs have mapped: it is put back into that file, so that they see it. A page is only
 * written where it differs, and one that is to be zero is given back to the host. */
#pragma once
#include <stdbool.h>
#include "introspect/base/container.h"

enum { RAM_IMAGE_PAGE = 4096 };
#define RAM_IMAGE_MAP   CONTAINER_KIND('r', 'm', 'a', 'p')
#define RAM_IMAGE_PAGES CONTAINER_KIND('r', 'p', 'a', 'g')

struct ram_extent {
    uint64_t first, pages;
};

/* RAM as a file, mapped. */
struct ram_mapping {
    int fd;
    uint8_t *base;
    uint64_t bytes;
};

/* Adds both parts. The machine stands still. On failure the writer's `why` says why. ret_pages: of them. */
enum err ram_image_add(struct container_writer *writer, const struct ram_mapping *ram, uint64_t *ret_pages);
/* Whether the parts are sound and of a machine with so much RAM. ERR_INVALID: `why` (CONTAINER_WHY bytes) says what is
 * wrong. The other functions want this first. */
enum err ram_image_check(const struct container *image, uint64_t ram_bytes, char *why);
/* How many pages of RAM differ from the image; with `put`, they are made equal to it. ERR_IO: errno says why. */
enum err ram_image_compare(const struct container *image, const struct ram_mapping *ram, bool put, uint64_t *ret_pages);
/* How many pages it holds. */
uint64_t ram_image_pages(const struct container *image);
