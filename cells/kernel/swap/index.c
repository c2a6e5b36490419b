/* See index.h. */
#include "cells/kernel/swap/index.h"
#include "cells/lib/string/string.h"

static uint32_t slots_for(size_t entries)
{
    uint32_t slots = 16;

    while (slots < 2 * entries)
        slots *= 2;
    return slots;
}

size_t index_bytes(size_t entries)
{
    size_t bytes = sizeof(struct index) + slots_for(entries) * sizeof(uint32_t) + entries * sizeof(struct index_entry);

    return (bytes + 7) & ~7ul; /* another one may lie behind it */
}

struct index *index_make(void *memory, size_t entries)
{
    struct index *index = memory;

    *index = (struct index){.slots = slots_for(entries)};
    memset(index->first, 0, index->slots * sizeof *index->first);
    index->entry = (struct index_entry *)(index->first + index->slots);
    return index;
}

static uint32_t slot_of(const struct index *index, uint32_t name)
{
    return name * 0x9e3779b1u & (index->slots - 1);
}

void index_add(struct index *index, uint32_t name, uint32_t cell, uint32_t record)
{
    uint32_t slot = slot_of(index, name), ordinal = 0;

    for (const struct index_entry *e = NULL; (e = index_find(index, name, e));)
        if (e->cell == cell) {
            ordinal = e->ordinal + 1;
            break;
        }
    index->entry[index->entries] = (struct index_entry){name, cell, ordinal, record, index->first[slot]};
    index->first[slot] = ++index->entries;
}

const struct index_entry *index_find(const struct index *index, uint32_t name, const struct index_entry *after)
{
    uint32_t i = after ? after->next : index->first[slot_of(index, name)];

    while (i && index->entry[i - 1].name != name)
        i = index->entry[i - 1].next;
    return i ? &index->entry[i - 1] : NULL;
}
