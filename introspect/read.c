/* See read.h. */
#include "introspect/read.h"
#include <string.h>
#include "guest/abi/layout.h"
#include "guest/abi/paging.h"
#include "introspect/base/ram_map.h"

enum { PAGE = 1 << PAGING_SHIFT(0) };

enum err read_phys(const struct view *view, uint64_t phys, void *ret_data, size_t bytes)
{
    size_t ram_bytes;
    const uint8_t *ram = view_ram(view, &ram_bytes);

    if (!ram_map_has(ram_bytes, phys, bytes))
        return ERR_RANGE;
    memcpy(ret_data, ram + phys, bytes);
    return ERR_OK;
}

enum err read_walk(const struct view *view, uint64_t virt, uint64_t *ret_phys, unsigned *ret_flags)
{
    uint64_t table = view_header(view)->page_root & PAGING_ADDRESS, entry;
    unsigned flags = READ_PAGE_WRITE | READ_PAGE_USER | READ_PAGE_EXECUTE;

    for (int level = PAGING_TOP; level >= 0; level--) {
        enum err e = read_phys(view, table + PAGING_INDEX(virt, level) * sizeof entry, &entry, sizeof entry);

        if (e || !(entry & PAGING_PRESENT))
            return ERR_RANGE;
        if (!(entry & PAGING_WRITE))
            flags &= ~READ_PAGE_WRITE;
        if (!(entry & PAGING_USER))
            flags &= ~READ_PAGE_USER;
        if (entry & PAGING_NO_EXECUTE)
            flags &= ~READ_PAGE_EXECUTE;
        if (level == 0 || (level < PAGING_TOP && entry & PAGING_LARGE)) {
            uint64_t offset_mask = (1ull << PAGING_SHIFT(level)) - 1;

            *ret_phys = (entry & PAGING_ADDRESS & ~offset_mask) | (virt & offset_mask);
            if (ret_flags)
                *ret_flags = flags;
            return ERR_OK;
        }
        table = entry & PAGING_ADDRESS;
    }
    return ERR_RANGE;
}

/* No more pages are looked at than memory has: what is longer is not mapped one behind the other. */
struct read_pages read_pages(const struct view *view, uint64_t virt, uint32_t bytes)
{
    struct read_pages p = {.first = virt & ~(PAGE - 1ull), .permissions = ~0u, .mapped = true};
    uint64_t end = virt - p.first + bytes;
    size_t ram_bytes;

    (void)view_ram(view, &ram_bytes);
    p.pages = (uint32_t)((end + PAGE - 1) / PAGE);
    for (uint32_t i = 0; i < p.pages && p.mapped; i++) {
        uint64_t phys;
        unsigned flags;
        p.mapped = i < ram_bytes / PAGE && read_walk(view, p.first + (uint64_t)i * PAGE, &phys, &flags) == ERR_OK &&
                   (i == 0 || phys == p.phys + (uint64_t)i * PAGE);
        if (!p.mapped)
            break;
        p.phys = i ? p.phys : phys;
        p.permissions &= flags;
    }
    if (!p.mapped || !p.pages)
        p.permissions = 0;
    return p;
}

const char *read_permissions(const struct read_pages *pages)
{
    static const char *const texts[] = {"r--", "rw-", "r-x", "rwx"};
    bool write = pages->permissions & READ_PAGE_WRITE, execute = pages->permissions & READ_PAGE_EXECUTE;

    return pages->mapped && pages->pages ? texts[write + 2 * execute] : "none";
}

static bool find_in_sections(const struct view *view, uint64_t virt, uint64_t *ret_phys)
{
    const struct arena_section *s = view_section(view, view_section_at(view, virt));

    if (s)
        *ret_phys = s->phys + (virt - s->virt);
    return s != NULL;
}

static bool in_stack(const struct view *view, uint64_t virt, uint64_t *ret_phys)
{
    view_each_task (task, view) {
        const struct arena_task *t = view_task(view, task);

        if (virt >= t->stack_virt && virt - t->stack_virt < t->stack_bytes) {
            *ret_phys = t->stack_phys + (virt - t->stack_virt);
            return true;
        }
    }
    return false;
}

enum err read_translate(const struct view *view, uint64_t virt, uint64_t *ret_phys)
{
    size_t ram_bytes;
    uint64_t phys;

    (void)view_ram(view, &ram_bytes);
    if (!find_in_sections(view, virt, &phys) && !in_stack(view, virt, &phys)) {
        enum err e = read_walk(view, virt, &phys, NULL);

        if (e)
            return e;
    }
    if (!ram_map_has(ram_bytes, phys, 1))
        return ERR_RANGE;
    *ret_phys = phys;
    return ERR_OK;
}

enum err read_virt(const struct view *view, uint64_t virt, void *ret_data, size_t bytes, size_t *ret_done)
{
    size_t done = 0;
    enum err e = ERR_OK;

    while (done < bytes) {
        size_t step = PAGE - (size_t)((virt + done) & (PAGE - 1));
        uint64_t phys;

        if (step > bytes - done)
            step = bytes - done;
        e = read_translate(view, virt + done, &phys);
        if (!e)
            e = read_phys(view, phys, (uint8_t *)ret_data + done, step);
        if (e)
            break;
        done += step;
    }
    if (ret_done)
        *ret_done = done;
    return e;
}
