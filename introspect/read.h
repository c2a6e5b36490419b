/* Live guest memory by virtual address: translation and copying. Leaves out what the bytes mean. */
#pragma once
#include "introspect/view.h"

/* Physical address behind `virt`: by section records, then by stacks of tasks, then by the guest's page tables.
 * ERR_RANGE: nothing is mapped there, or it lies outside of RAM. */
enum err read_translate(const struct view *view, uint64_t virt, uint64_t *ret_phys);

/* Only by the page tables, as the CPU would do it. ret_flags: present, write, user, execute-disable bits of all levels
 * as they work out together; may be NULL. */
enum read_page { READ_PAGE_WRITE = 1, READ_PAGE_USER = 2, READ_PAGE_EXECUTE = 4 };
enum err read_walk(const struct view *view, uint64_t virt, uint64_t *ret_phys, unsigned *ret_flags);

/* The pages that hold `bytes` bytes from `virt` on, as the page tables have them. */
struct read_pages {
    uint64_t first; /* virtual address of the first page */
    uint32_t pages;
    uint64_t phys;        /* of the first page; 0 when that is not mapped */
    unsigned permissions; /* enum read_page: what all of them allow */
    bool mapped;          /* all of them are, and one lies behind the other in physical memory too */
};
struct read_pages read_pages(const struct view *view, uint64_t virt, uint32_t bytes);
const char *read_permissions(const struct read_pages *pages); /* "r-x", or "none": not mapped */

/* Copies live bytes. ERR_RANGE: not all of it is there; what comes before the hole has been copied and its length is
 * in *ret_done (may be NULL). */
enum err read_virt(const struct view *view, uint64_t virt, void *ret_data, size_t bytes, size_t *ret_done);
enum err read_phys(const struct view *view, uint64_t phys, void *ret_data, size_t bytes);
