/* See loaded.h. */
#include "tests/hosted/loaded.h"
#include "cells/core/arena/arena.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include "cells/core/page/page.h"
#include <check.h>
#include <elf.h>
#include <string.h>

void loaded_boot(void)
{
    stand_in_start();
    ck_assert_msg(stand_in_boot("build/delias.elf", "build/cells.archive"), "%s", stand_in.printed);
}

void loaded_assert_same(const struct stand_in_use *a, const struct stand_in_use *b)
{
    ck_assert_uint_eq(a->frames, b->frames);
    ck_assert_uint_eq(a->mappings, b->mappings);
    for (enum arena_table t = ARENA_OBJECTS; t <= ARENA_EDGES; t++)
        ck_assert_msg(a->records[t] == b->records[t], "table %d: %zu records, then %zu", t, a->records[t],
                      b->records[t]);
    ck_assert_uint_eq(a->strings, b->strings);
}

static void check_edge(const struct arena_edge *e)
{
    const struct arena_section *from = arena_section(e->from), *to = arena_section(e->to);
    uint64_t expected = to->virt + e->target + (uint64_t)e->addend, found = 0;
    bool relative = e->type == R_X86_64_PC32 || e->type == R_X86_64_PLT32 || e->type == R_X86_64_PC64;
    size_t bytes = e->type == R_X86_64_64 || e->type == R_X86_64_PC64 ? 8 : 4;

    if (relative)
        expected -= from->virt + e->offset;
    ck_assert_uint_le(e->offset + bytes, from->bytes);
    memcpy(&found, (uint8_t *)page_direct(from->phys) + e->offset, bytes);
    ck_assert_msg(memcmp(&found, &expected, bytes) == 0, "%s + %u: %lx, expected %lx", arena_string(from->name),
                  e->offset, (long)found, (long)expected);
}

static void check_section(struct section_ref section)
{
    const struct arena_section *s = arena_section(section);
    bool in_image = arena_in_image(arena_cell(s->cell));
    unsigned flags = stand_in_flags(s->virt);

    ck_assert(arena_sound(section));
    ck_assert(same(arena_section_at(s->virt), section));
    if (section_kind_is_data(s->kind)) {
        ck_assert_uint_eq(s->hash, 0);
        ck_assert(in_image || flags == (PAGE_CELL | PAGE_WRITE));
        return;
    }
    ck_assert_uint_eq(s->hash, arena_check(page_direct(s->phys), s->bytes));
    ck_assert(in_image || flags == (s->kind == SECTION_TEXT ? PAGE_CELL | PAGE_EXECUTE : PAGE_CELL));
}

void loaded_check(void)
{
    ck_assert_uint_eq(arena_header()->generation % 2, 0);
    for_each_section (section)
        if (arena_section(section)->check)
            check_section(section);
    for_each_edge (edge)
        if (arena_edge(edge)->check) {
            ck_assert(arena_sound(edge));
            check_edge(arena_edge(edge));
        }
    for_each_cell (cell)
        ck_assert(!arena_cell(cell)->check || arena_sound(cell));
}

enum err loaded_stage(struct object_ref kept, struct cell_ref *ret_cell, struct report *ret_report)
{
    struct cell_ref hidden = arena_cell_find(NAMESPACE_ROOT, arena_string(arena_object(kept)->name));
    const struct loader_input input = {
        .namespace_ = NAMESPACE_ROOT, .object = &kept, .objects = 1, .old = &hidden, .olds = hidden.index != 0};

    return loader_stage(&input, ret_cell, ret_report);
}

struct cell_ref loaded_cell(const char *name)
{
    struct cell_ref found = arena_cell_find(NAMESPACE_ROOT, name);

    ck_assert_msg(found.index, "there is no %s", name);
    return found;
}

struct section_ref loaded_section(const char *cell, const char *name)
{
    for_each_section_of (section, loaded_cell(cell))
        if (strcmp(arena_string(arena_section(section)->name), name) == 0)
            return section;
    ck_abort_msg("%s has no section %s", cell, name);
}

uint8_t *loaded_bytes(const char *cell, const char *section)
{
    return page_direct(arena_section(loaded_section(cell, section))->phys);
}

uint64_t loaded_word(const char *cell, const char *section)
{
    uint64_t word;

    memcpy(&word, loaded_bytes(cell, section), sizeof word);
    return word;
}

uint64_t loaded_address(const char *symbol)
{
    uint64_t address;

    ck_assert_int_eq(lifecycle_symbol(symbol, &address), ERR_OK);
    return address;
}
