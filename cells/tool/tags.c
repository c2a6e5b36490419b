/* See tags.h. */
#include "cells/tool/tags.h"
#include "cells/tool/die.h"
#include "cells/tool/list.h"
#include <dwarf.h>
#include <string.h>

bool tags_has(Dwarf_Die *die)
{
    int kind = dwarf_tag(die);

    return kind == DW_TAG_structure_type || kind == DW_TAG_union_type || kind == DW_TAG_enumeration_type;
}

bool tags_add(struct tags *tags, Dwarf_Die *die)
{
    if (!tags_has(die) || !dwarf_diename(die) || die_flag(die, DW_AT_declaration))
        return true;
    struct tag *entry = list_room(tags->entry, tags->entries, &tags->capacity, sizeof *entry);
    if (!entry)
        return false;
    tags->entry = entry;
    entry[tags->entries++] = (struct tag){.name = dwarf_diename(die), .kind = dwarf_tag(die), .die = *die};
    return true;
}

static int compare_tags(const struct tag *a, const struct tag *b)
{
    return a->kind != b->kind ? (a->kind < b->kind ? -1 : 1) : strcmp(a->name, b->name);
}

static int compare_entries(const void *a, const void *b)
{
    const struct tag *x = a, *y = b;
    int o = compare_tags(x, y);
    Dwarf_Off p = dwarf_dieoffset((Dwarf_Die *)&x->die), q = dwarf_dieoffset((Dwarf_Die *)&y->die);

    return o ? o : (p > q) - (p < q);
}

void tags_sort(struct tags *tags)
{
    if (tags->entries)
        qsort(tags->entry, tags->entries, sizeof *tags->entry, compare_entries);
}

void tags_done(struct tags *tags)
{
    free(tags->entry);
    *tags = (struct tags){0};
}

bool tags_define(const struct tags *tags, Dwarf_Die *die)
{
    const struct tag key = {.name = dwarf_diename(die), .kind = dwarf_tag(die)};
    size_t low = 0, high = tags->entries;

    if (!die_flag(die, DW_AT_declaration))
        return true;
    while (key.name && low < high) {
        size_t middle = (low + high) / 2;

        if (compare_tags(&tags->entry[middle], &key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (!key.name || low == tags->entries || compare_tags(&tags->entry[low], &key) != 0)
        return false;
    *die = tags->entry[low].die;
    return true;
}
