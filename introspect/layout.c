/* See layout.h. Tables may be anywhere in memory behind the header, and overlap: they are only read, each as what it
 * should be. */
#include "introspect/layout.h"
#include <string.h>
#include "introspect/base/ram_map.h"

const struct layout_rule layout_rules[ARENA_TABLES] = {
#define X(table, type, stable_bytes, base, most) [ARENA_##table] = {sizeof(type), stable_bytes, most(base)},
    ARENA_SHAPES(X)
#undef X
};

static bool table_fits(const struct arena_table_desc *desc, const struct layout_rule *rule, uint64_t end)
{
    bool is_bytes = rule->record_bytes == 1;

    if (desc->offset % 64 != 0 || desc->offset < sizeof(struct arena_header) || desc->capacity == 0 ||
        desc->capacity > rule->most)
        return false;
    if (!is_bytes && desc->record_bytes != rule->record_bytes)
        return false;
    return ram_map_has(end, LAYOUT_ARENA_PHYS + (uint64_t)desc->offset, (uint64_t)desc->capacity * rule->record_bytes);
}

enum err layout_read(const uint8_t *ram, size_t bytes, struct layout *ret_layout)
{
    struct layout l = {0};

    if (bytes < LAYOUT_ARENA_PHYS + sizeof(struct arena_header))
        return ERR_RANGE;
    memcpy(&l.header, ram + LAYOUT_ARENA_PHYS, sizeof l.header);
    if (l.header.magic == 0)
        return ERR_NOT_FOUND;
    if (l.header.magic != ARENA_MAGIC)
        return ERR_CORRUPT;
    if (l.header.version != ARENA_VERSION)
        return ERR_WRONG_ABI;

    uint64_t room = bytes - LAYOUT_ARENA_PHYS;
    l.bad_bytes = l.header.arena_bytes > room || l.header.header_bytes != sizeof(struct arena_header);
    for (unsigned t = 0; t < ARENA_TABLES; t++) {
        struct arena_table_desc *desc = &l.header.table[t];

        if (!table_fits(desc, &layout_rules[t], bytes)) {
            *desc = (struct arena_table_desc){0};
            l.bad_tables |= 1u << t;
        } else if (desc->used > desc->capacity) {
            desc->used = desc->capacity;
            l.bad_used |= 1u << t;
        }
    }
    *ret_layout = l;
    return ERR_OK;
}

bool layout_overlaps(const struct layout *layout, uint64_t phys, uint64_t bytes)
{
    uint64_t end = phys + bytes;

    if (phys < LAYOUT_ARENA_PHYS + sizeof(struct arena_header) && end > LAYOUT_ARENA_PHYS)
        return true;
    for (unsigned t = 0; t < ARENA_TABLES; t++) {
        uint64_t start = layout_phys(layout, t, 0), behind = layout_phys(layout, t, layout->header.table[t].capacity);

        if (phys < behind && end > start)
            return true;
    }
    return false;
}

void layout_span(const struct layout *layout, uint64_t *ret_phys, uint64_t *ret_bytes)
{
    uint64_t start = UINT64_MAX, end = 0;

    for (unsigned t = 0; t < ARENA_TABLES; t++) {
        if (!layout->header.table[t].capacity)
            continue;
        uint64_t from = layout_phys(layout, t, 0), to = layout_phys(layout, t, layout->header.table[t].capacity);
        start = from < start ? from : start;
        end = to > end ? to : end;
    }
    *ret_phys = end ? start : 0;
    *ret_bytes = end ? end - start : 0;
}
