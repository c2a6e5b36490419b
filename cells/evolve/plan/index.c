/* See index.h. */
#include "cells/evolve/plan/index.h"
#include "cells/lib/hash_table/hash_table.h"
#include "cells/lib/string/string.h"

static uint32_t slots_for(size_t entries)
{
    return (uint32_t)entries * 2 + 1;
}

size_t index_bytes(size_t entries)
{
    size_t bytes = sizeof(struct index) + slots_for(entries) * sizeof(uint32_t) + entries * sizeof(struct index_entry);

    return (bytes + 7) & ~7ul; /* another one may follow */
}

struct index *index_make(void *memory, size_t entries)
{
    struct index *index = memory;

    *index = (struct index){.slots = slots_for(entries)};
    memset(index->slot, 0, index->slots * sizeof *index->slot);
    index->entry = (struct index_entry *)(index->slot + index->slots);
    return index;
}

void index_add(struct index *index, uint32_t name, uint32_t cell, uint32_t record)
{
    uint32_t ordinal = 0;

    for_each_probe (at, hash_number(name), index->slots) {
        if (!index->slot[at]) {
            index->entry[index->entries] = (struct index_entry){name, cell, ordinal, record};
            index->slot[at] = ++index->entries;
            return;
        }
        const struct index_entry *e = &index->entry[index->slot[at] - 1];
        ordinal += e->name == name && e->cell == cell;
    }
}

const struct index_entry *index_find(const struct index *index, uint32_t name, uint32_t *place)
{
    for_each_probe_behind (*place, at, hash_number(name), index->slots) {
        if (!index->slot[at])
            break;
        const struct index_entry *e = &index->entry[index->slot[at] - 1];
        if (e->name == name)
            return e;
    }
    return NULL;
}
