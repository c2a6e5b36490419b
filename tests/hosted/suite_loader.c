/* The loader cell on the real objects and the real image: linking, edges, swaps by hand, and hostile objects. Each test
 * ends as it began: no frame, mapping or record may be left behind. */
#include "cells/kernel/archive/archive.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/frame/frame.h"
#include "cells/kernel/loader/loader.h"
#include "cells/kernel/page/page.h"
#include "guest/abi/layout.h"
#include "guest/abi/note.h"
#include "tests/hosted/stand_in.h"
#include <check.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Suite *suite_hosted_loader(void);

#define ROOT 1

static struct stand_in_use at_boot;
static struct loader_detail detail;

static void assert_same_use(const struct stand_in_use *a, const struct stand_in_use *b)
{
    ck_assert_uint_eq(a->frames, b->frames);
    ck_assert_uint_eq(a->mappings, b->mappings);
    for (enum arena_table t = ARENA_OBJECTS; t <= ARENA_EDGES; t++)
        ck_assert_msg(a->records[t] == b->records[t], "table %d: %zu records, then %zu", t, a->records[t],
                      b->records[t]);
    ck_assert_uint_eq(a->strings, b->strings);
}

static void setup(void)
{
    stand_in_start();
    ck_assert_msg(stand_in_boot("build/delias.elf", "build/cells.archive"), "%s", stand_in.printed);
    at_boot = stand_in_use();
}

/* Unloads all that was loaded; edges between cells decide on the order, circles are left. */
static size_t unload_all(void)
{
    size_t left, before;

    do {
        before = stand_in_records(ARENA_CELLS);
        for (uint32_t i = 2; i < ARENA_CELLS_MAX; i++)
            if (arena_cell(i)->check && arena_cell(i)->object)
                (void)loader_unload(i);
        left = stand_in_records(ARENA_CELLS);
    } while (left > 1 && left < before);
    return left - 1;
}

/* Of a cell that is there already, another version (NAME_vN) is refused, and what uses SIMD registers (NAME_avx2) is so in
 * any case. */
static void load_all(void)
{
    struct archive_member member;
    uint32_t cell;

    for (size_t cursor = 0; archive_next(&cursor, &member) == ERR_OK;) {
        enum err err = loader_load(member.name, &cell, &detail);
        enum err expected = strstr(member.name, "_v")      ? ERR_DUPLICATE_SYMBOL
                            : strstr(member.name, "_avx2") ? ERR_REFUSED
                                                           : ERR_OK;
        ck_assert_msg(err == expected, "%s: %s: %s", member.name, err_text(err), detail.text);
    }
}

/* ---- what a load leaves ---- */

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

static void check_section(uint32_t index)
{
    const struct arena_section *s = arena_section(index);
    bool in_image = arena_in_image(arena_cell(s->cell));
    unsigned flags = stand_in_flags(s->virt);

    ck_assert(arena_sound(ARENA_SECTIONS, index));
    ck_assert_uint_eq(arena_section_at(s->virt), index);
    if (s->kind == SECTION_DATA || s->kind == SECTION_BSS) {
        ck_assert_uint_eq(s->hash, 0);
        ck_assert(in_image || flags == (PAGE_CELL | PAGE_WRITE));
        return;
    }
    ck_assert_uint_eq(s->hash, arena_check(page_direct(s->phys), s->bytes));
    ck_assert(in_image || flags == (s->kind == SECTION_TEXT ? PAGE_CELL | PAGE_EXECUTE : PAGE_CELL));
}

static void check_everything(void)
{
    ck_assert_uint_eq(arena_header()->generation % 2, 0);
    for (uint32_t i = 1; i < ARENA_SECTIONS_MAX; i++)
        if (arena_section(i)->check)
            check_section(i);
    for (uint32_t i = 1; i < ARENA_EDGES_MAX; i++)
        if (arena_edge(i)->check) {
            ck_assert(arena_sound(ARENA_EDGES, i));
            check_edge(arena_edge(i));
        }
    for (uint32_t i = 1; i < ARENA_CELLS_MAX; i++)
        ck_assert(!arena_cell(i)->check || arena_sound(ARENA_CELLS, i));
}

START_TEST(image_is_made_of_cells)
{
    static const char *const names[] = {"boot",   "frame",     "page",  "arena", "archive", "loader",
                                        "string", "exception", "panic", "cpu",   "lock",    "nano_core"};
    uint64_t address;
    char name[64];

    for (size_t i = 0; i < array_size(names); i++) {
        uint32_t cell = arena_cell_find(ROOT, names[i]);
        ck_assert_uint_ne(cell, 0);
        ck_assert_int_eq(arena_cell(cell)->state, CELL_LIVE);
        ck_assert_uint_eq(arena_cell(cell)->object == 0, strcmp(names[i], "nano_core") == 0);
        ck_assert(arena_in_image(arena_cell(cell)));
        ck_assert_int_eq(loader_unload(cell), ERR_NOT_SWAPPABLE);
    }
    ck_assert_uint_gt(at_boot.records[ARENA_EDGES], 500);
    ck_assert_int_eq(loader_symbol("frame_alloc", &address), ERR_OK);
    ck_assert_uint_eq(arena_cell_at(address), arena_cell_find(ROOT, "frame"));
    arena_name_at(address + 1, name, sizeof name);
    ck_assert_str_eq(name, "frame_alloc");
    check_everything();
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
        bool same = found[i] == (section.sh_type == SHT_NOBITS ? 0 : object[section.sh_offset + i]);
        for (uint32_t e = s->first_out; !same && e; e = arena_edge(e)->next_out) {
            bool wide = arena_edge(e)->type == R_X86_64_64 || arena_edge(e)->type == R_X86_64_PC64;
            same = i - arena_edge(e)->offset < (wide ? 8 : 4);
        }
        ck_assert_msg(same, "%s + %u", arena_string(s->name), i);
    }
}

START_TEST(image_has_the_code_of_the_cells)
{
    size_t sections = 0;

    for (uint32_t i = 1; i < ARENA_SECTIONS_MAX; i++)
        if (arena_section(i)->check && arena_cell(arena_section(i)->cell)->object) {
            check_contents(arena_section(i));
            sections++;
        }
    ck_assert_uint_gt(sections, 250);
}
END_TEST

START_TEST(every_cell_is_linked)
{
    load_all();
    check_everything();
    size_t left = unload_all(); /* cells that need each other in a circle stay */
    struct stand_in_use first = stand_in_use();
    load_all();
    ck_assert_uint_eq(unload_all(), left);
    struct stand_in_use second = stand_in_use();
    assert_same_use(&first, &second);
    check_everything();
}
END_TEST

START_TEST(init_functions_run_after_those_they_need)
{
    uint32_t cell;

    ck_assert_int_eq(loader_load("channel", &cell, &detail), ERR_OK);
    for (size_t i = 0; i < stand_in.calls; i++)
        for (size_t k = 0; k < i; k++)
            ck_assert_uint_ne(stand_in.call[i], stand_in.call[k]);
    for (uint32_t i = 1; i < ARENA_CELLS_MAX; i++)
        ck_assert(!arena_cell(i)->check || arena_cell(i)->initialized == 1);
    size_t calls = stand_in.calls;
    ck_assert_int_eq(loader_load("channel", &cell, &detail), ERR_OK);
    ck_assert_uint_eq(stand_in.calls, calls);
}
END_TEST

START_TEST(failing_init_leaves_nothing)
{
    uint32_t cell = 0;

    stand_in.call_result = ERR_IO;
    enum err err = loader_load("log", &cell, &detail);
    if (stand_in.calls == 0) {
        ck_assert_int_eq(err, ERR_OK);
        return;
    }
    ck_assert_int_eq(err, ERR_INIT_FAILED);
    struct stand_in_use now = stand_in_use();
    assert_same_use(&at_boot, &now);
}
END_TEST

START_TEST(unknown_cells_are_refused)
{
    ck_assert_int_eq(loader_load("no_such_cell", NULL, &detail), ERR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(detail.text, "no_such_cell"));
    ck_assert_int_eq(loader_load("", NULL, NULL), ERR_NOT_FOUND);
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

static uint32_t same_symbol(uint32_t cell, uint32_t symbol)
{
    for (uint32_t i = arena_cell(cell)->first_symbol; i; i = arena_symbol(i)->next_in_cell)
        if (arena_symbol(i)->name == arena_symbol(symbol)->name && arena_symbol(i)->access)
            return i;
    return 0;
}

static void rebind_all(uint32_t old, uint32_t new)
{
    for (uint32_t s = arena_cell(old)->first_section; s; s = arena_section(s)->next_in_cell)
        for (uint32_t e = arena_section(s)->first_in, next; e; e = next) {
            next = arena_edge(e)->next_in;
            if (arena_section(arena_edge(e)->from)->cell == old)
                continue;
            ck_assert_uint_ne(arena_edge(e)->symbol, 0);
            uint32_t symbol = same_symbol(new, arena_edge(e)->symbol);
            ck_assert_uint_ne(symbol, 0);
            ck_assert_int_eq(loader_rebind(e, arena_symbol(symbol)->section, arena_symbol(symbol)->offset, symbol),
                             ERR_OK);
        }
}

static enum err stage(uint32_t kept, uint32_t *ret_cell)
{
    uint32_t object = kept, hidden = arena_cell_find(ROOT, arena_string(arena_object(kept)->name));
    const struct loader_order order = {
        .namespace_ = ROOT, .object = &object, .objects = 1, .old = &hidden, .olds = hidden != 0};

    return loader_stage(&order, ret_cell, &detail);
}

static void swap_by_hand(const char *path)
{
    size_t bytes;
    uint8_t *data = stand_in_file(path, &bytes);
    uint32_t object, old = arena_cell_find(ROOT, "channel"), new;

    ck_assert_ptr_nonnull(data);
    ck_assert_int_eq(loader_keep_object(data, bytes, &object, &detail), ERR_OK);
    free(data);
    enum err err = stage(object, &new);
    ck_assert_msg(err == ERR_OK, "%s", detail.text);
    ck_assert_uint_eq(arena_cell_find(ROOT, "channel"), old);
    ck_assert_int_eq(loader_unload(old), ERR_BUSY);
    rebind_all(old, new);
    loader_settle(new);
    loader_retract(old);
    loader_publish(new);
    ck_assert_uint_eq(arena_cell_find(ROOT, "channel"), new);
    ck_assert_int_eq(loader_unload(old), ERR_OK);
    check_everything();
}

START_TEST(simd_needs_its_namespace)
{
    struct archive_member member;
    uint32_t object, cell, child;

    {
        GUARD(arena) change = arena_change();
        child = arena_new_named(ARENA_NAMESPACES, "fast");
        arena_namespace(child)->parent = ROOT;
        arena_seal(ARENA_NAMESPACES, child);
    }
    ck_assert_int_eq(archive_find("canvas_avx2", &member), ERR_OK);
    ck_assert_int_eq(loader_keep_object(member.data, member.bytes, &object, &detail), ERR_OK);
    const struct loader_order order = {.namespace_ = child, .object = &object, .objects = 1};
    ck_assert_int_eq(loader_stage(&order, &cell, &detail), ERR_REFUSED);
    ck_assert_str_eq(detail.text, "canvas: uses SIMD registers, which tasks of namespace fast do not save");
    arena_namespace(child)->flags = NAMESPACE_SIMD;
    arena_seal(ARENA_NAMESPACES, child);
    ck_assert_msg(loader_stage(&order, &cell, &detail) == ERR_OK, "%s", detail.text);
    loader_publish(cell);
    ck_assert_uint_eq(arena_cell(cell)->flags, NOTE_SIMD);
    ck_assert_uint_eq(arena_cell_find(child, "canvas"), cell);
    ck_assert_uint_eq(arena_cell_find(ROOT, "canvas"), 0);
    check_everything();
}
END_TEST

START_TEST(fifty_swaps_lose_no_frame)
{
    uint32_t cell;

    ck_assert_int_eq(loader_load("workload", &cell, &detail), ERR_OK);
    swap_by_hand("build/cells/channel.o");
    struct stand_in_use before = stand_in_use();
    for (int i = 0; i < 25; i++) {
        swap_by_hand("build/cells/channel_v2.o");
        swap_by_hand("build/cells/channel.o");
    }
    struct stand_in_use after = stand_in_use();
    assert_same_use(&before, &after);
}
END_TEST

START_TEST(bound_pointers_are_edges)
{
    uint32_t cell, slot = 0;
    uint64_t function;

    ck_assert_int_eq(loader_load("channel", &cell, &detail), ERR_OK);
    ck_assert_int_eq(loader_symbol("channel_send", &function), ERR_OK);
    for (uint32_t i = 1; i < ARENA_SECTIONS_MAX && !slot; i++)
        if (arena_section(i)->check && arena_section(i)->kind == SECTION_BSS && arena_section(i)->bytes >= 16)
            slot = i;
    void *at = (void *)(uintptr_t)(arena_section(slot)->virt + 8);
    uint32_t outgoing = arena_section(slot)->outgoing;
    struct stand_in_use before = stand_in_use();

    ck_assert_int_eq(loader_bind(at, (void *)(uintptr_t)function), ERR_OK);
    ck_assert_int_eq(loader_bind(at, (void *)(uintptr_t)function), ERR_OK);
    ck_assert_uint_eq(arena_section(slot)->outgoing, outgoing + 1);
    ck_assert_uint_ne(arena_edge(arena_section(slot)->first_out)->symbol, 0);
    check_everything();
    ck_assert_int_eq(loader_unload(cell), ERR_BUSY);
    ck_assert_int_eq(loader_bind(at, NULL), ERR_OK);
    struct stand_in_use after = stand_in_use();
    assert_same_use(&before, &after);
    ck_assert_int_ne(loader_bind((void *)8, (void *)(uintptr_t)function), ERR_OK);
    ck_assert_int_ne(loader_bind(at, (void *)8), ERR_OK);
    ck_assert_int_ne(loader_bind((uint8_t *)at - 8 + arena_section(slot)->bytes - 4, (void *)(uintptr_t)function),
                     ERR_OK);
}
END_TEST

/* ---- hostile objects ---- */

static uint8_t *object;
static size_t object_bytes;
static struct stand_in_use before_object;

static void setup_object(void)
{
    uint32_t cell;

    setup();
    ck_assert_int_eq(loader_load("channel", &cell, &detail), ERR_OK);
    object = stand_in_file("build/cells/channel_v2.o", &object_bytes);
    ck_assert_ptr_nonnull(object);
    before_object = stand_in_use();
}

static void teardown_object(void)
{
    struct stand_in_use now = stand_in_use();

    free(object);
    assert_same_use(&before_object, &now);
    check_everything();
}

/* From a block of its own size. Whatever is taken is given back. */
static enum err try_object(const void *data, size_t bytes)
{
    uint32_t kept = 0, cell;
    uint8_t *copy = malloc(bytes ? bytes : 1);
    char name[32];

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, data, bytes);
    memset(&detail, 0, sizeof detail);
    enum err err = loader_check_object(copy, bytes, name, &detail); /* in a block whose end is watched */
    if (!err)
        err = loader_keep_object(copy, bytes, &kept, &detail);
    free(copy);
    if (!err) {
        err = stage(kept, &cell);
        if (!err)
            loader_unstage(&cell, 1);
        loader_drop_object(kept);
    }
    ck_assert(err == ERR_OK || detail.text[0]);
    return err;
}

static Elf64_Shdr *header_of(const char *name)
{
    Elf64_Ehdr *h = (void *)object;
    Elf64_Shdr *s = (void *)(object + h->e_shoff);

    for (int i = 1; i < h->e_shnum; i++)
        if (strcmp((char *)object + s[h->e_shstrndx].sh_offset + s[i].sh_name, name) == 0)
            return &s[i];
    ck_abort_msg("no section %s", name);
}

/* The descriptor of the first note of `type`. */
static void *note_of(unsigned type)
{
    const Elf64_Shdr *s = header_of(NOTE_SECTION);

    for (size_t at = 0; at < s->sh_size;) {
        Elf64_Nhdr *n = (void *)(object + s->sh_offset + at);
        if (n->n_type == type)
            return (uint8_t *)(n + 1) + ((n->n_namesz + 3) & ~3u);
        at += sizeof *n + ((n->n_namesz + 3) & ~3u) + ((n->n_descsz + 3) & ~3u);
    }
    ck_abort_msg("no note %u", type);
}

static char *name_of_symbol(uint32_t symbol)
{
    const Elf64_Sym *s = (void *)(object + header_of(".symtab")->sh_offset);

    return (char *)object + header_of(".strtab")->sh_offset + s[symbol].st_name;
}

START_TEST(sound_object_is_taken)
{
    enum err err = try_object(object, object_bytes);

    ck_assert_msg(err == ERR_OK, "%s: %s", err_text(err), detail.text);
}
END_TEST

/* As one that is planned with and not swapped in: what was loaded for it alone goes too, with what that needs. */
START_TEST(needs_of_an_object_go_with_it)
{
    static const char *const path[] = {"build/cells/workload.o", "build/cells/shell.o"};

    for (size_t i = 0; i < sizeof path / sizeof *path; i++) {
        size_t bytes, cells = stand_in_records(ARENA_CELLS);
        uint8_t *data = stand_in_file(path[i], &bytes);
        uint32_t kept, cell;
        ck_assert_ptr_nonnull(data);
        ck_assert_int_eq(loader_keep_object(data, bytes, &kept, &detail), ERR_OK);
        ck_assert_msg(stage(kept, &cell) == ERR_OK, "%s: %s", path[i], detail.text);
        ck_assert_msg(stand_in_records(ARENA_CELLS) > cells + 1, "%s needs nothing that is not loaded", path[i]);
        loader_unstage(&cell, 1);
        free(data);
        struct stand_in_use now = stand_in_use();
        assert_same_use(&before_object, &now);
    }
}
END_TEST

/* An import that no relocation refers to makes no edge, so nothing could be told to hold what it would bring along. */
START_TEST(import_that_is_not_used_brings_nothing)
{
    size_t cells = stand_in_records(ARENA_CELLS), bytes;
    uint8_t *shell = stand_in_file("build/cells/shell.o", &bytes);
    uint32_t kept, cell;

    free(object);
    object = shell, object_bytes = bytes;
    ck_assert_ptr_nonnull(object);
    Elf64_Ehdr *h = (void *)object;
    Elf64_Shdr *s = (void *)(object + h->e_shoff);
    for (int i = 1; i < h->e_shnum; i++)
        for (size_t at = 0; s[i].sh_type == SHT_RELA && at < s[i].sh_size; at += sizeof(Elf64_Rela))
            ((Elf64_Rela *)(object + s[i].sh_offset + at))->r_info = R_X86_64_NONE;
    ck_assert_int_eq(loader_keep_object(object, object_bytes, &kept, &detail), ERR_OK);
    ck_assert_msg(stage(kept, &cell) == ERR_OK, "%s", detail.text);
    ck_assert_uint_eq(stand_in_records(ARENA_CELLS), cells + 1);
    loader_unstage(&cell, 1);
}
END_TEST

START_TEST(damaged_objects_are_refused)
{
    size_t bytes;
    uint8_t *data = stand_in_file("build/cells/channel_v2.o", &bytes);
    uint32_t kept, cell;

    ck_assert_ptr_nonnull(data);
    ck_assert_int_eq(loader_keep_object(data, bytes, &kept, &detail), ERR_OK);
    free(data);
    uint8_t *byte = (uint8_t *)page_direct(arena_object(kept)->phys) + bytes - 1;
    *byte ^= 1;
    ck_assert_int_eq(stage(kept, &cell), ERR_CORRUPT);
    ck_assert_msg(strstr(detail.text, "pristine object of channel is damaged"), "%s", detail.text);
    *byte ^= 1;
    ck_assert_int_eq(stage(kept, &cell), ERR_OK);
    loader_unstage(&cell, 1);
}
END_TEST

START_TEST(other_files_are_refused)
{
    static const char text[] = "#!/bin/sh\necho this is no object\n";
    size_t bytes;
    uint8_t *program = stand_in_file("/proc/self/exe", &bytes);

    ck_assert_int_eq(try_object("", 0), ERR_TRUNCATED);
    ck_assert_int_eq(try_object("\177EL", 3), ERR_NOT_ELF);
    ck_assert_int_eq(try_object(text, sizeof text), ERR_NOT_ELF);
    ck_assert_int_eq(try_object(program, 65536), ERR_NOT_OBJECT);
    free(program);
    ((Elf64_Ehdr *)object)->e_machine = EM_AARCH64;
    ck_assert_int_eq(try_object(object, object_bytes), ERR_WRONG_MACHINE);
}
END_TEST

START_TEST(nano_core_cannot_be_replaced)
{
    strcpy(((struct note_cell *)note_of(NOTE_CELL))->name, "nano_core");
    ck_assert_int_eq(try_object(object, object_bytes), ERR_NOT_SWAPPABLE);
}
END_TEST

START_TEST(other_notes_are_refused)
{
    struct note_cell *cell = note_of(NOTE_CELL);
    uint32_t *export_ = note_of(NOTE_EXPORT); /* its first field: the symbol */

    cell->abi++;
    ck_assert_int_eq(try_object(object, object_bytes), ERR_WRONG_ABI);
    cell->abi--;
    cell->name[0] = '/';
    ck_assert_int_eq(try_object(object, object_bytes), ERR_CORRUPT);
    strcpy(cell->name, "other");
    ck_assert_int_eq(try_object(object, object_bytes), ERR_DUPLICATE_SYMBOL);
    strcpy(cell->name, "channel");
    cell->kind = 9;
    ck_assert_int_eq(try_object(object, object_bytes), ERR_CORRUPT);
    cell->kind = CELL_KERNEL;
    cell->flags = NOTE_FLAGS + 1;
    ck_assert_int_eq(try_object(object, object_bytes), ERR_UNSUPPORTED);
    cell->flags = 0;
    cell->init = 0x7fffffff;
    ck_assert_int_eq(try_object(object, object_bytes), ERR_CORRUPT);
    cell->init = 0;
    *export_ = 0x7fffffff;
    ck_assert_int_eq(try_object(object, object_bytes), ERR_CORRUPT);
    header_of(NOTE_SECTION)->sh_type = SHT_NOBITS;
    ck_assert_int_eq(try_object(object, object_bytes), ERR_NOT_CELL);
}
END_TEST

/* A cell whose code does not fit is not loaded, one whose data has another type is: what to do with that is the swap's to
 * say. */
START_TEST(types_are_in_the_records)
{
    uint32_t cell = arena_cell_find(ROOT, "channel"), data = 0, functions = 0;

    for (uint32_t s = arena_cell(cell)->first_section; s; s = arena_section(s)->next_in_cell) {
        bool is_data = arena_section(s)->kind == SECTION_DATA || arena_section(s)->kind == SECTION_BSS;
        bool is_function = arena_section(s)->kind == SECTION_TEXT && arena_section(s)->type_hash;
        ck_assert_int_eq(arena_section(s)->type_hash != 0, is_data || is_function);
        ck_assert_int_eq(arena_section(s)->deep_hash != 0, is_data || is_function);
        data += is_data;
        functions += is_function;
    }
    ck_assert_uint_ge(data, 1);
    ck_assert_uint_ge(functions, 8);
    for (uint32_t s = arena_cell(cell)->first_symbol; s; s = arena_symbol(s)->next_in_cell)
        if (arena_symbol(s)->access)
            ck_assert_uint_eq(arena_section(arena_symbol(s)->section)->type_hash, arena_symbol(s)->type_hash);
}
END_TEST

START_TEST(bad_notes_on_data_are_refused)
{
    uint8_t *at = note_of(NOTE_DATA);
    struct note_data good, bad;
    const Elf64_Shdr *all = (void *)(object + ((Elf64_Ehdr *)object)->e_shoff);
    const uint32_t sections[] = {0, (uint32_t)(header_of(".eh_frame") - all), 0x7fffffff, UINT32_MAX};

    memcpy(&good, at, sizeof good);
    for (size_t i = 0; i < array_size(sections); i++) {
        bad = good;
        bad.section = sections[i];
        memcpy(at, &bad, sizeof bad);
        ck_assert_int_eq(try_object(object, object_bytes), ERR_CORRUPT);
    }
    bad = good;
    bad.deep_hash = 0;
    memcpy(at, &bad, sizeof bad);
    ck_assert_int_eq(try_object(object, object_bytes), ERR_CORRUPT);
    bad.type_hash = 0;
    memcpy(at, &bad, sizeof bad);
    ck_assert_int_eq(try_object(object, object_bytes), ERR_OK);
    memcpy(at, &good, sizeof good);
    Elf64_Nhdr *header = (void *)(at - 20);
    ck_assert_uint_eq(header->n_type, NOTE_DATA);
    header->n_descsz -= 4;
    ck_assert_int_eq(try_object(object, object_bytes), ERR_CORRUPT);
}
END_TEST

/* One type of 48 bytes that holds two of 16, and is static data; the names are "", "a", "b". */
static const struct ways {
    struct note_pointers head;
    struct note_shape shape[2];
    struct note_field field[4];
    struct note_root root[1];
    char names[8];
} sound_ways = {
    .head = {.types = 2, .fields = 4, .roots = 1, .name_bytes = 8},
    .shape = {{.bytes = 16, .first = 0, .fields = 2, .name = 1}, {.bytes = 48, .first = 2, .fields = 2, .name = 3}},
    .field = {{.what = NOTE_TO_FUNCTION, .offset = 8, .stride = 8, .count = 1, .name = 1, .hash = 1},
              {.what = NOTE_TO_TAG, .offset = 0, .stride = 8, .count = 1, .name = 3, .hash = 1},
              {.what = NOTE_HOLDS, .offset = 0, .stride = 16, .count = 2, .target = 0, .name = 1},
              {.what = NOTE_TO_TYPE, .offset = 40, .stride = 8, .count = 0, .target = 1, .name = 3}},
    .root = {{.section = 1, .type = 1}},
    .names = "\0a\0b",
};

static bool sound(const struct ways *ways, size_t bytes)
{
    uint8_t *copy = malloc(bytes + 1);
    bool is_sound;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy + 1, ways, bytes); /* notes are not aligned, and nothing may be read behind them */
    is_sound = loader_pointers_sound(copy + 1, bytes);
    free(copy);
    return is_sound;
}

#define WRONG(field_, value)                                                                                           \
    do {                                                                                                               \
        struct ways wrong = sound_ways;                                                                                \
        wrong.field_ = (value);                                                                                        \
        ck_assert_msg(!sound(&wrong, sizeof wrong), "%s = %s", #field_, #value);                                       \
    } while (0)

START_TEST(damaged_notes_of_pointers_are_refused)
{
    struct ways open = sound_ways;

    ck_assert(sound(&sound_ways, sizeof sound_ways));
    for (size_t bytes = 0; bytes < sizeof sound_ways; bytes++)
        ck_assert(!sound(&sound_ways, bytes));
    WRONG(head.types, 3);
    WRONG(head.types, 0x8000002);
    WRONG(head.fields, UINT32_MAX);
    WRONG(head.roots, 2);
    WRONG(head.name_bytes, 0);
    WRONG(names[7], 'x');
    WRONG(shape[0].first, 1);
    WRONG(shape[0].fields, 3);
    WRONG(shape[1].fields, 1);
    WRONG(shape[1].fields, UINT32_MAX);
    WRONG(shape[1].name, 8);
    WRONG(shape[0].bytes, 0);
    WRONG(shape[0].bytes, 24); /* then two of them do not lie 16 bytes apart */
    WRONG(field[0].what, 0);
    WRONG(field[0].what, NOTE_HOLDS + 1);
    WRONG(field[0].what, NOTE_HOLDS); /* it would hold itself */
    WRONG(field[0].name, 8);
    WRONG(field[0].offset, 9);
    WRONG(field[0].offset, UINT32_MAX);
    WRONG(field[0].count, 2);
    WRONG(field[0].count, UINT32_MAX);
    WRONG(field[0].stride, 0);
    WRONG(field[2].target, 1);
    WRONG(field[2].count, 4);
    WRONG(field[2].stride, UINT32_MAX);
    WRONG(field[3].target, 2);
    WRONG(field[3].offset, 49);
    WRONG(root[0].type, 2);
    open.field[3].offset = 48;
    ck_assert(sound(&open, sizeof open));
}
END_TEST

/* Notes are aligned to 4 bytes only. Calls fit(note, name of its symbol) until it says yes, and stores what it did. */
static const char *change_import(bool (*fit)(struct note_symbol *note, char *name))
{
    uint8_t *at = note_of(NOTE_IMPORT);
    struct note_symbol note;

    for (;; at += sizeof note) {
        memcpy(&note, at, sizeof note);
        if (!fit(&note, name_of_symbol(note.symbol)))
            continue;
        memcpy(at, &note, sizeof note);
        return name_of_symbol(note.symbol);
    }
}

static bool misspell(struct note_symbol *note, char *name)
{
    (void)note;
    name[0] = 'X';
    return true;
}

static bool change_type(struct note_symbol *note, char *name)
{
    (void)name;
    if (note->type_hash == 0)
        return false;
    note->type_hash ^= 1;
    return true;
}

static bool ask_too_much(struct note_symbol *note, char *name)
{
    if (strlen(name) < strlen("arena_new"))
        return false;
    strcpy(name, "arena_new");
    note->type_hash = 0;
    return true;
}

START_TEST(unknown_import_is_named)
{
    const char *name = change_import(misspell);

    ck_assert_int_eq(try_object(object, object_bytes), ERR_UNRESOLVED);
    ck_assert_ptr_nonnull(strstr(detail.text, name));
}
END_TEST

START_TEST(import_of_another_type_is_named)
{
    const char *name = change_import(change_type);

    ck_assert_int_eq(try_object(object, object_bytes), ERR_WRONG_TYPE);
    ck_assert_ptr_nonnull(strstr(detail.text, name));
}
END_TEST

START_TEST(access_level_is_checked)
{
    change_import(ask_too_much);
    ck_assert_int_eq(try_object(object, object_bytes), ERR_OK);
    ((struct note_cell *)note_of(NOTE_CELL))->kind = CELL_APPLICATION;
    ck_assert_int_eq(try_object(object, object_bytes), ERR_NO_ACCESS);
    ck_assert_ptr_nonnull(strstr(detail.text, "arena_new"));
}
END_TEST

START_TEST(bad_relocations_are_refused)
{
    const Elf64_Shdr *rela = header_of(".rela.text.channel_send");
    Elf64_Rela *r = (void *)(object + rela->sh_offset), good = *r;

    r->r_offset = UINT64_MAX - 2;
    ck_assert_int_eq(try_object(object, object_bytes), ERR_BAD_RELOCATION);
    *r = good;
    r->r_info = ELF64_R_INFO(ELF64_R_SYM(good.r_info), R_X86_64_GOTPCREL);
    ck_assert_int_eq(try_object(object, object_bytes), ERR_BAD_RELOCATION);
    r->r_info = ELF64_R_INFO(0xffffff, R_X86_64_PC32);
    ck_assert_int_eq(try_object(object, object_bytes), ERR_BAD_RELOCATION);
    *r = good;
    r->r_addend = INT64_MAX / 2;
    ck_assert_int_eq(try_object(object, object_bytes), ERR_BAD_RELOCATION);
}
END_TEST

START_TEST(bad_sections_are_refused)
{
    static const struct {
        const char *section;
        size_t field; /* of 64 bits, in the header */
        uint64_t value;
    } damage[] = {
        {".text.channel_send", offsetof(Elf64_Shdr, sh_offset), UINT64_MAX},
        {".text.channel_send", offsetof(Elf64_Shdr, sh_size), UINT64_MAX},
        {".text.channel_send", offsetof(Elf64_Shdr, sh_flags), SHF_ALLOC | SHF_EXECINSTR | SHF_WRITE},
        {".text.channel_send", offsetof(Elf64_Shdr, sh_addralign), 3},
        {".text.channel_send", offsetof(Elf64_Shdr, sh_addralign), 1ull << 40},
        {".text.channel_send", offsetof(Elf64_Shdr, sh_addr), 0xffffffff80200000},
        {".symtab", offsetof(Elf64_Shdr, sh_entsize), 0},
        {".symtab", offsetof(Elf64_Shdr, sh_size), 24},
        {".strtab", offsetof(Elf64_Shdr, sh_size), 0},
        {".shstrtab", offsetof(Elf64_Shdr, sh_size), 1},
        {".rela.eh_frame", offsetof(Elf64_Shdr, sh_entsize), 8},
    };

    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        uint64_t *field = (void *)((uint8_t *)header_of(damage[i].section) + damage[i].field), good = *field;
        *field = damage[i].value;
        ck_assert_msg(try_object(object, object_bytes) != ERR_OK, "%s, field %zu", damage[i].section, damage[i].field);
        *field = good;
    }
    ck_assert_int_eq(try_object(object, object_bytes), ERR_OK);
}
END_TEST

START_TEST(huge_bss_is_refused)
{
    Elf64_Ehdr *h = (void *)object;
    Elf64_Shdr *s = (void *)(object + h->e_shoff), *bss = NULL;
    uint64_t phys;

    for (int i = 1; i < h->e_shnum; i++)
        if (s[i].sh_type == SHT_NOBITS)
            bss = &s[i];
    ck_assert_ptr_nonnull(bss);
    bss->sh_size = 17 << 20;
    ck_assert_int_eq(try_object(object, object_bytes), ERR_RANGE);
    bss->sh_size = 15 << 20;
    ck_assert_int_eq(try_object(object, object_bytes), ERR_OK);
    ck_assert_int_eq(frame_alloc(20 << 8, &phys), ERR_OK);
    ck_assert_int_eq(try_object(object, object_bytes), ERR_NOMEM);
    frame_free(phys, 20 << 8);
}
END_TEST

START_TEST(every_truncation_is_refused)
{
    for (size_t bytes = 0; bytes < object_bytes; bytes++)
        ck_assert_int_ne(try_object(object, bytes), ERR_OK);
}
END_TEST

/* A flipped bit may go unnoticed where any value is right; it must never damage or leak. */
START_TEST(flipped_bits_do_no_harm)
{
    Elf64_Ehdr *h = (void *)object;
    size_t sections = h->e_shoff, step = 7;

    for (size_t bit = 0; bit < object_bytes * 8; bit += bit < 64 * 8 || bit / 8 >= sections ? 1 : step) {
        object[bit / 8] ^= (uint8_t)(1u << bit % 8);
        (void)try_object(object, object_bytes);
        object[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}
END_TEST

Suite *suite_hosted_loader(void)
{
    Suite *s = suite_create("hosted loader");
    TCase *link = tcase_create("link"), *hostile = tcase_create("hostile");

    tcase_set_timeout(link, 120);
    tcase_add_checked_fixture(link, setup, NULL);
    tcase_add_test(link, image_is_made_of_cells);
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
    tcase_set_timeout(hostile, 240);
    tcase_add_checked_fixture(hostile, setup_object, teardown_object);
    tcase_add_test(hostile, sound_object_is_taken);
    tcase_add_test(hostile, types_are_in_the_records);
    tcase_add_test(hostile, needs_of_an_object_go_with_it);
    tcase_add_test(hostile, import_that_is_not_used_brings_nothing);
    tcase_add_test(hostile, damaged_objects_are_refused);
    tcase_add_test(hostile, other_files_are_refused);
    tcase_add_test(hostile, nano_core_cannot_be_replaced);
    tcase_add_test(hostile, other_notes_are_refused);
    tcase_add_test(hostile, bad_notes_on_data_are_refused);
    tcase_add_test(hostile, damaged_notes_of_pointers_are_refused);
    tcase_add_test(hostile, unknown_import_is_named);
    tcase_add_test(hostile, import_of_another_type_is_named);
    tcase_add_test(hostile, access_level_is_checked);
    tcase_add_test(hostile, bad_relocations_are_refused);
    tcase_add_test(hostile, bad_sections_are_refused);
    tcase_add_test(hostile, huge_bss_is_refused);
    tcase_add_test(hostile, every_truncation_is_refused);
    tcase_add_test(hostile, flipped_bits_do_no_harm);
    suite_add_tcase(s, hostile);
    return s;
}
