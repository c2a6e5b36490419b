/* The loader cell on the real objects and the real image: linking, edges, swaps by hand. Each test ends as it began: no
 * frame, mapping or record may be left behind. */
#include "cells/core/archive/archive.h"
#include "cells/core/arena/arena.h"
#include "cells/core/edge/edge.h"
#include "cells/core/frame/frame.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include "cells/core/page/page.h"
#include "guest/abi/note.h"
#include "tests/hosted/loaded.h"
#include "tests/hosted/stand_in.h"
#include <check.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>

Suite *suite_hosted_loader(void);

static struct stand_in_use at_boot;
static struct report report;

static void setup(void)
{
    loaded_boot();
    at_boot = stand_in_use();
}

/* Unloads all that was loaded; edges between cells decide on the order, circles are left. */
static size_t unload_all(void)
{
    size_t left, before;

    do {
        before = stand_in_records(ARENA_CELLS);
        for_each_cell (cell)
            if (arena_cell(cell)->check && arena_cell(cell)->object.index)
                (void)lifecycle_unload(cell);
        left = stand_in_records(ARENA_CELLS);
    } while (left > 1 && left < before);
    return left - 1;
}

/* Of a cell that is there already, another version (NAME_vN) is refused, and what uses SIMD registers (NAME_avx2) is so
 * in any case. */
static void load_all(void)
{
    struct archive_member member;
    struct cell_ref cell;

    for (size_t cursor = 0; archive_next(&cursor, &member) == ARCHIVE_MEMBER;) {
        enum err err = loader_load(member.name, &cell, &report) ? report.error : ERR_OK;
        enum err expected = strstr(member.name, "_v")      ? ERR_DUPLICATE_SYMBOL
                            : strstr(member.name, "_avx2") ? ERR_REFUSED
                                                           : ERR_OK;
        ck_assert_msg(err == expected, "%s: %s: %s", member.name, err_text(err), report.text);
    }
}

/* ---- what a load leaves ---- */

START_TEST(image_is_made_of_cells)
{
    uint64_t address;
    char name[64];

    for_each_cell (cell) {
        const struct arena_cell *c = arena_cell(cell);
        if (!c->check)
            continue;
        ck_assert_int_eq(c->state, CELL_LIVE);
        ck_assert(arena_in_image(c));
        ck_assert_uint_eq(c->object.index == 0, strcmp(arena_string(c->name), "nano_core") == 0);
        ck_assert_int_eq(lifecycle_unload(cell), ERR_NOT_SWAPPABLE);
    }
    ck_assert_uint_gt(at_boot.records[ARENA_CELLS], 10);
    ck_assert_uint_gt(at_boot.records[ARENA_EDGES], 500);
    ck_assert_int_eq(lifecycle_symbol("frame_alloc", &address), ERR_OK);
    ck_assert(same(arena_cell_at(address), arena_cell_find(NAMESPACE_ROOT, "frame")));
    arena_name_at(address + 1, name, sizeof name);
    ck_assert_str_eq(name, "frame_alloc");
    loaded_check();
}
END_TEST

/* Compares a section of the image with the object of its cell, but for what is relocated. */
static void check_contents(const struct arena_section *s)
{
    const uint8_t *object = page_direct(arena_object(arena_cell(s->cell)->object)->phys), *found = page_direct(s->phys);
    Elf64_Ehdr header;
    Elf64_Shdr section;

    memcpy(&header, object, sizeof header);
    memcpy(&section, object + header.e_shoff + s->object_index * sizeof section, sizeof section);
    ck_assert_uint_eq(section.sh_size, s->bytes);
    for (uint32_t i = 0; i < s->bytes; i++) {
        bool equal = found[i] == (section.sh_type == SHT_NOBITS ? 0 : object[section.sh_offset + i]);
        for (struct edge_ref e = s->first_out; !equal && e.index; e = arena_edge(e)->next_out) {
            bool wide = arena_edge(e)->type == R_X86_64_64 || arena_edge(e)->type == R_X86_64_PC64;
            equal = i - arena_edge(e)->offset < (wide ? 8 : 4);
        }
        ck_assert_msg(equal, "%s + %u", arena_string(s->name), i);
    }
}

START_TEST(image_has_the_code_of_the_cells)
{
    size_t sections = 0;

    for_each_section (section)
        if (arena_section(section)->check && arena_cell(arena_section(section)->cell)->object.index) {
            check_contents(arena_section(section));
            sections++;
        }
    ck_assert_uint_gt(sections, 250);
}
END_TEST

START_TEST(every_cell_is_linked)
{
    load_all();
    loaded_check();
    size_t left = unload_all(); /* cells that need each other in a circle stay */
    struct stand_in_use first = stand_in_use();
    load_all();
    ck_assert_uint_eq(unload_all(), left);
    struct stand_in_use second = stand_in_use();
    loaded_assert_same(&first, &second);
    loaded_check();
}
END_TEST

START_TEST(init_functions_run_after_those_they_need)
{
    struct cell_ref cell;

    ck_assert_int_eq(loader_load("channel", &cell, &report), LOAD_OK);
    for (size_t i = 0; i < stand_in.calls; i++)
        for (size_t k = 0; k < i; k++)
            ck_assert_uint_ne(stand_in.call[i], stand_in.call[k]);
    for_each_cell (loaded)
        ck_assert(!arena_cell(loaded)->check || arena_cell(loaded)->initialized == 1);
    size_t calls = stand_in.calls;
    ck_assert_int_eq(loader_load("channel", &cell, &report), LOAD_OK);
    ck_assert_uint_eq(stand_in.calls, calls);
}
END_TEST

START_TEST(failing_init_leaves_nothing)
{
    struct cell_ref cell = {};

    ck_assert_int_eq(loader_load("serial", &cell, &report), LOAD_OK); /* what it needs is initialized, and stays */
    ck_assert_int_eq(lifecycle_unload(cell), ERR_OK);
    struct stand_in_use before = stand_in_use();
    stand_in.call_result = ERR_IO;
    ck_assert_int_eq(loader_load("serial", &cell, &report), LOAD_FAILED);
    ck_assert_int_eq(report.error, ERR_INIT_FAILED);
    struct stand_in_use now = stand_in_use();
    loaded_assert_same(&before, &now);
}
END_TEST

START_TEST(unknown_cells_are_refused)
{
    ck_assert_int_eq(loader_load("no_such_cell", NULL, &report), LOAD_FAILED);
    ck_assert_int_eq(report.error, ERR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(report.text, "no_such_cell"));
    ck_assert_int_eq(loader_load("", NULL, NULL), LOAD_FAILED);
}
END_TEST

START_TEST(cells_of_the_image_are_marked_core)
{
    load_all();
    for_each_cell (cell) {
        const struct arena_cell *c = arena_cell(cell);
        if (c->check && strcmp(arena_string(c->name), "nano_core") != 0)
            ck_assert_msg(arena_in_image(c) == !!(c->flags & NOTE_CORE), "%s", arena_string(c->name));
    }
}
END_TEST

START_TEST(foreign_archive_is_refused)
{
    struct archive_member member;
    uint8_t id[20];

    ck_assert_int_eq(archive_find("nano_core", &member), ERR_OK);
    memcpy(id, arena_header()->build_id, sizeof id);
    arena_init();
    memcpy(arena_header()->build_id, id, sizeof id);
    arena_header()->build_id[4] ^= 1;
    ck_assert_int_eq(loader_init(), ERR_WRONG_ABI);
    ck_assert_ptr_nonnull(strstr(stand_in.printed, "another kernel image"));
}
END_TEST

/* ---- swaps by hand ---- */

static struct symbol_ref same_symbol(struct cell_ref cell, struct symbol_ref symbol)
{
    for_each_symbol_of (i, cell)
        if (arena_symbol(i)->name == arena_symbol(symbol)->name && arena_symbol(i)->access)
            return i;
    return NO_SYMBOL;
}

static void rebind_all(struct cell_ref old, struct cell_ref new)
{
    for_each_section_of (s, old)
        for_each_edge_to_safely (e, s) {
            if (same(arena_section(arena_edge(e)->from)->cell, old))
                continue;
            ck_assert(arena_edge(e)->symbol.index);
            struct symbol_ref symbol = same_symbol(new, arena_edge(e)->symbol);
            ck_assert(symbol.index);
            ck_assert_int_eq(edge_redirect(e, arena_symbol(symbol)->section, arena_symbol(symbol)->offset, symbol),
                             ERR_OK);
        }
}

static void swap_by_hand(const char *path)
{
    size_t bytes;
    uint8_t *data = stand_in_file(path, &bytes);
    struct object_ref object;
    struct cell_ref old = arena_cell_find(NAMESPACE_ROOT, "channel"), new;

    ck_assert_ptr_nonnull(data);
    ck_assert_int_eq(lifecycle_keep_object(data, bytes, &object, &report), ERR_OK);
    free(data);
    enum err err = loaded_stage(object, &new, &report);
    ck_assert_msg(err == ERR_OK, "%s", report.text);
    ck_assert(same(arena_cell_find(NAMESPACE_ROOT, "channel"), old));
    ck_assert_int_eq(lifecycle_unload(old), ERR_BUSY);
    rebind_all(old, new);
    edge_rehash(new);
    lifecycle_retract(old);
    lifecycle_publish(new);
    ck_assert(same(arena_cell_find(NAMESPACE_ROOT, "channel"), new));
    ck_assert_int_eq(lifecycle_unload(old), ERR_OK);
    loaded_check();
}

START_TEST(simd_needs_its_namespace)
{
    struct archive_member member;
    struct namespace_ref child;
    struct object_ref object;
    struct cell_ref cell;

    {
        GUARD(arena) change = arena_change();
        child.index = arena_new_named(ARENA_NAMESPACES, "fast");
        arena_namespace(child)->parent = NAMESPACE_ROOT;
        arena_seal(child);
    }
    ck_assert_int_eq(archive_find("canvas_avx2", &member), ERR_OK);
    ck_assert_int_eq(lifecycle_keep_object(member.data, member.bytes, &object, &report), ERR_OK);
    const struct loader_input input = {.namespace_ = child, .object = &object, .objects = 1};
    ck_assert_int_eq(loader_stage(&input, &cell, &report), ERR_REFUSED);
    ck_assert_str_eq(report.text, "canvas: uses SIMD registers, which tasks of namespace fast do not save");
    arena_namespace(child)->flags = NAMESPACE_SIMD;
    arena_seal(child);
    ck_assert_msg(loader_stage(&input, &cell, &report) == ERR_OK, "%s", report.text);
    lifecycle_publish(cell);
    ck_assert_uint_eq(arena_cell(cell)->flags, NOTE_SIMD);
    ck_assert(same(arena_cell_find(child, "canvas"), cell));
    ck_assert(!arena_cell_find(NAMESPACE_ROOT, "canvas").index);
    loaded_check();
}
END_TEST

START_TEST(fifty_swaps_lose_no_frame)
{
    struct cell_ref cell;

    ck_assert_int_eq(loader_load("workload", &cell, &report), LOAD_OK);
    swap_by_hand("build/cells/channel.o");
    struct stand_in_use before = stand_in_use();
    for (int i = 0; i < 25; i++) {
        swap_by_hand("build/cells/channel_v2.o");
        swap_by_hand("build/cells/channel.o");
    }
    struct stand_in_use after = stand_in_use();
    loaded_assert_same(&before, &after);
}
END_TEST

START_TEST(bound_pointers_are_edges)
{
    struct cell_ref cell;
    struct section_ref slot = {};
    uint64_t function;

    ck_assert_int_eq(loader_load("channel", &cell, &report), LOAD_OK);
    ck_assert_int_eq(lifecycle_symbol("channel_send", &function), ERR_OK);
    for_each_section (s)
        if (!slot.index && arena_section(s)->check && arena_section(s)->kind == SECTION_BSS &&
            arena_section(s)->bytes >= 16)
            slot = s;
    void *at = (void *)(uintptr_t)(arena_section(slot)->virt + 8);
    uint32_t outgoing = arena_section(slot)->outgoing;
    struct stand_in_use before = stand_in_use();

    ck_assert_int_eq(edge_bind(at, (void *)(uintptr_t)function), ERR_OK);
    ck_assert_int_eq(edge_bind(at, (void *)(uintptr_t)function), ERR_OK);
    ck_assert_uint_eq(arena_section(slot)->outgoing, outgoing + 1);
    ck_assert(arena_edge(arena_section(slot)->first_out)->symbol.index);
    loaded_check();
    ck_assert_int_eq(lifecycle_unload(cell), ERR_BUSY);
    ck_assert_int_eq(edge_bind(at, NULL), ERR_OK);
    struct stand_in_use after = stand_in_use();
    loaded_assert_same(&before, &after);
    ck_assert_int_ne(edge_bind((void *)8, (void *)(uintptr_t)function), ERR_OK);
    ck_assert_int_ne(edge_bind(at, (void *)8), ERR_OK);
    ck_assert_int_ne(edge_bind((uint8_t *)at - 8 + arena_section(slot)->bytes - 4, (void *)(uintptr_t)function),
                     ERR_OK);
}
END_TEST

Suite *suite_hosted_loader(void)
{
    Suite *s = suite_create("hosted loader");
    TCase *link = tcase_create("link");

    tcase_add_checked_fixture(link, setup, NULL);
    tcase_add_test(link, image_is_made_of_cells);
    tcase_add_test(link, cells_of_the_image_are_marked_core);
    tcase_add_test(link, image_has_the_code_of_the_cells);
    tcase_add_test(link, every_cell_is_linked);
    tcase_add_test(link, init_functions_run_after_those_they_need);
    tcase_add_test(link, failing_init_leaves_nothing);
    tcase_add_test(link, unknown_cells_are_refused);
    tcase_add_test(link, foreign_archive_is_refused);
    tcase_add_test(link, simd_needs_its_namespace);
    tcase_add_test(link, fifty_swaps_lose_no_frame);
    tcase_add_test(link, bound_pointers_are_edges);
    suite_add_tcase(s, link);
    return s;
}
