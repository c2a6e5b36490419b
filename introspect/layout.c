/* See layout.h. The bounds keep small what is quadratic in a table's length. */
#include "introspect/layout.h"
#include <stdbool.h>
#include <string.h>

const struct layout_rule layout_rules[ARENA_TABLES] = {
#define X(table, record_bytes, stable_bytes, most) [ARENA_##table] = {record_bytes, stable_bytes, most},
    ARENA_SHAPES(X)
#undef X
};

static bool fits(const struct arena_table_desc *desc, const struct layout_rule *rule, uint64_t room)
{
    bool is_bytes = rule->record_bytes == 1;

    if (desc->offset % 64 != 0 || desc->offset < sizeof(struct arena_header) || desc->capacity == 0 ||
        desc->capacity > rule->most)
        return false;
    if (!is_bytes && desc->record_bytes != rule->record_bytes)
        return false;
    return desc->offset <= room && (uint64_t)desc->capacity * rule->record_bytes <= room - desc->offset;
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
    if (room > LAYOUT_ARENA_BYTES)
        room = LAYOUT_ARENA_BYTES;
    l.bad_bytes = l.header.arena_bytes > room || l.header.header_bytes != sizeof(struct arena_header);
    for (unsigned t = 0; t < ARENA_TABLES; t++) {
        struct arena_table_desc *desc = &l.header.table[t];

        if (!fits(desc, &layout_rules[t], room)) {
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
