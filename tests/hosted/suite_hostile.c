/* The loader cell against hostile objects: a real one, damaged in every part. What is refused leaves nothing behind. */
#include "cells/core/arena/arena.h"
#include "cells/core/frame/frame.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include "cells/core/page/page.h"
#include "guest/abi/note.h"
#include "tests/hosted/craft.h"
#include "tests/hosted/loaded.h"
#include "tests/hosted/stand_in.h"
#include <check.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>

Suite *suite_hosted_hostile(void);

static struct report report;
static uint8_t *object;
static size_t object_bytes;
static struct stand_in_use before_object;

static void setup_object(void)
{
    struct cell_ref cell;

    loaded_boot();
    ck_assert_int_eq(loader_load("channel", &cell, &report), LOAD_OK);
    object = stand_in_file("build/cells/channel_v2.o", &object_bytes);
    ck_assert_ptr_nonnull(object);
    before_object = stand_in_use();
}

static void teardown_object(void)
{
    struct stand_in_use now = stand_in_use();

    free(object);
    loaded_assert_same(&before_object, &now);
    loaded_check();
}

/* From a block of its own size. Whatever is taken is given back. */
static enum err try_file(const void *data, size_t bytes, bool sealed)
{
    struct object_ref kept = {};
    struct cell_ref cell;
    uint8_t *copy = malloc(bytes ? bytes : 1);
    char name[32];

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, data, bytes);
    if (sealed)
        craft_seal(copy, bytes);
    memset(&report, 0, sizeof report);
    enum err err = loader_check_object(copy, bytes, name, &report); /* in a block whose end is watched */
    if (!err)
        err = lifecycle_keep_object(copy, bytes, &kept, &report);
    free(copy);
    if (!err) {
        err = loaded_stage(kept, &cell, &report);
        if (!err)
            lifecycle_unstage(&cell, 1);
        loader_drop_object(kept);
    }
    ck_assert(err == ERR_OK || report.text[0]);
    return err;
}

/* An object that was changed on purpose, and sealed again. */
static enum err try_object(const void *data, size_t bytes)
{
    return try_file(data, bytes, true);
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

    ck_assert_msg(err == ERR_OK, "%s: %s", err_text(err), report.text);
}
END_TEST

/* Stages the object and takes it back, as a dry run does: what was loaded for it alone is unloaded with it. */
START_TEST(needs_of_an_object_go_with_it)
{
    static const char *const path[] = {"build/cells/workload.o", "build/cells/shell.o"};

    for (size_t i = 0; i < sizeof path / sizeof *path; i++) {
        size_t bytes, cells = stand_in_records(ARENA_CELLS);
        uint8_t *data = stand_in_file(path[i], &bytes);
        struct object_ref kept;
        struct cell_ref cell;
        ck_assert_ptr_nonnull(data);
        ck_assert_int_eq(lifecycle_keep_object(data, bytes, &kept, &report), ERR_OK);
        ck_assert_msg(loaded_stage(kept, &cell, &report) == ERR_OK, "%s: %s", path[i], report.text);
        ck_assert_msg(stand_in_records(ARENA_CELLS) > cells + 1, "%s needs nothing that is not loaded", path[i]);
        lifecycle_unstage(&cell, 1);
        free(data);
        struct stand_in_use now = stand_in_use();
        loaded_assert_same(&before_object, &now);
    }
}
END_TEST

/* An import that no relocation refers to makes no edge, so nothing could be told to hold what it would bring along. */
START_TEST(import_that_is_not_used_brings_nothing)
{
    size_t cells = stand_in_records(ARENA_CELLS), bytes;
    uint8_t *shell = stand_in_file("build/cells/shell.o", &bytes);
    struct object_ref kept;
    struct cell_ref cell;

    free(object);
    object = shell, object_bytes = bytes;
    ck_assert_ptr_nonnull(object);
    Elf64_Ehdr *h = (void *)object;
    Elf64_Shdr *s = (void *)(object + h->e_shoff);
    for (int i = 1; i < h->e_shnum; i++)
        for (size_t at = 0; s[i].sh_type == SHT_RELA && at < s[i].sh_size; at += sizeof(Elf64_Rela))
            ((Elf64_Rela *)(object + s[i].sh_offset + at))->r_info = R_X86_64_NONE;
    craft_seal(object, object_bytes);
    ck_assert_int_eq(lifecycle_keep_object(object, object_bytes, &kept, &report), ERR_OK);
    ck_assert_msg(loaded_stage(kept, &cell, &report) == ERR_OK, "%s", report.text);
    ck_assert_uint_eq(stand_in_records(ARENA_CELLS), cells + 1);
    lifecycle_unstage(&cell, 1);
}
END_TEST

START_TEST(damaged_objects_are_refused)
{
    size_t bytes;
    uint8_t *data = stand_in_file("build/cells/channel_v2.o", &bytes);
    struct object_ref kept;
    struct cell_ref cell;

    ck_assert_ptr_nonnull(data);
    ck_assert_int_eq(lifecycle_keep_object(data, bytes, &kept, &report), ERR_OK);
    free(data);
    uint8_t *byte = (uint8_t *)page_direct(arena_object(kept)->phys) + bytes - 1;
    *byte ^= 1;
    ck_assert_int_eq(loaded_stage(kept, &cell, &report), ERR_CORRUPT);
    ck_assert_msg(strstr(report.text, "pristine object of channel is damaged"), "%s", report.text);
    *byte ^= 1;
    ck_assert_int_eq(loaded_stage(kept, &cell, &report), ERR_OK);
    lifecycle_unstage(&cell, 1);
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

/* A cell that imports a function of another type is not loaded. One whose data has another type is: swaps judge that.
 * */
START_TEST(types_are_in_the_records)
{
    struct cell_ref cell = arena_cell_find(NAMESPACE_ROOT, "channel");
    size_t data = 0, functions = 0;

    for_each_section_of (s, cell) {
        bool is_data = section_kind_is_data(arena_section(s)->kind);
        bool is_function = arena_section(s)->kind == SECTION_TEXT && arena_section(s)->type_hash;
        ck_assert_int_eq(arena_section(s)->type_hash != 0, is_data || is_function);
        ck_assert_int_eq(arena_section(s)->deep_hash != 0, is_data || is_function);
        data += is_data;
        functions += is_function;
    }
    ck_assert_uint_ge(data, 1);
    ck_assert_uint_ge(functions, 8);
    for_each_symbol_of (s, cell)
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

/* Only data are set once, only data without contents are soft, and nothing is both. */
START_TEST(bad_marks_of_data_are_refused)
{
    uint8_t *at = note_of(NOTE_DATA);
    const Elf64_Shdr *all = (void *)(object + ((Elf64_Ehdr *)object)->e_shoff);
    const uint32_t marks[] = {DATUM_SET_ONCE, DATUM_SOFT, DATUMS, 255, 257, UINT32_MAX};
    const size_t count = ((Elf64_Nhdr *)(void *)(at - 20))->n_descsz / sizeof(struct note_data);
    size_t accepted = 0, with_code = 0;

    for (size_t i = 0; i < count * array_size(marks); i++) {
        struct note_data good, bad;
        uint8_t *here = at + i / array_size(marks) * sizeof good;
        memcpy(&good, here, sizeof good);
        bad = good;
        bad.datum = marks[i % array_size(marks)];
        const Elf64_Shdr *s = &all[good.section];
        bool fits = s->sh_flags & SHF_WRITE &&
                    (bad.datum == DATUM_SET_ONCE || (bad.datum == DATUM_SOFT && s->sh_type == SHT_NOBITS));
        accepted += fits;
        with_code += s->sh_flags & SHF_EXECINSTR ? 1 : 0;
        memcpy(here, &bad, sizeof bad);
        ck_assert_int_eq(try_object(object, object_bytes), fits ? ERR_OK : ERR_CORRUPT);
        memcpy(here, &good, sizeof good);
    }
    ck_assert(accepted && with_code);
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
    ck_assert_ptr_nonnull(strstr(report.text, name));
}
END_TEST

START_TEST(import_of_another_type_is_named)
{
    const char *name = change_import(change_type);

    ck_assert_int_eq(try_object(object, object_bytes), ERR_WRONG_TYPE);
    ck_assert_ptr_nonnull(strstr(report.text, name));
}
END_TEST

START_TEST(access_level_is_checked)
{
    change_import(ask_too_much);
    ck_assert_int_eq(try_object(object, object_bytes), ERR_OK);
    ((struct note_cell *)note_of(NOTE_CELL))->kind = CELL_APPLICATION;
    ck_assert_int_eq(try_object(object, object_bytes), ERR_NO_ACCESS);
    ck_assert_ptr_nonnull(strstr(report.text, "arena_new"));
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

/* By a byte: up to where something may reach, and not one further. */
START_TEST(bounds_of_sections_are_exact)
{
    const Elf64_Shdr *all = (void *)(object + ((Elf64_Ehdr *)object)->e_shoff);
    Elf64_Shdr *text = header_of(".text.channel_send"), good_text = *text;
    Elf64_Rela *r = (void *)(object + header_of(".rela.text.channel_send")->sh_offset), good = *r;
    Elf64_Sym *s = (void *)(object + header_of(".symtab")->sh_offset);

    r->r_info = ELF64_R_INFO(ELF64_R_SYM(good.r_info), R_X86_64_PC32);
    for (uint64_t left = 0; left < 8; left++) {
        r->r_offset = text->sh_size - left;
        ck_assert_int_eq(try_object(object, object_bytes), left < 4 ? ERR_BAD_RELOCATION : ERR_OK);
    }
    *r = good;
    while (s->st_shndx != text - all || ELF64_ST_TYPE(s->st_info) != STT_FUNC)
        s++;
    Elf64_Sym good_symbol = *s;
    for (uint64_t over = 0; over < 2; over++) {
        enum err expected = over ? ERR_CORRUPT : ERR_OK;
        s->st_size = text->sh_size + over;
        ck_assert_int_eq(try_object(object, object_bytes), expected);
        s->st_value = text->sh_size + over;
        s->st_size = 0;
        ck_assert_int_eq(try_object(object, object_bytes), expected);
        s->st_size = 1; /* begins at the end */
        ck_assert_int_eq(try_object(object, object_bytes), ERR_CORRUPT);
        *s = good_symbol;
        s->st_size = UINT64_MAX - over;
        ck_assert_int_eq(try_object(object, object_bytes), ERR_CORRUPT);
        *s = good_symbol;
    }
    s->st_shndx = ((Elf64_Ehdr *)object)->e_shnum;
    ck_assert_int_eq(try_object(object, object_bytes), ERR_CORRUPT);
    *s = good_symbol;
    for (uint64_t align = 1; align <= 1 << 20; align *= 2) {
        text->sh_addralign = align;
        ck_assert_int_eq(try_object(object, object_bytes), align <= 4096 ? ERR_OK : ERR_CORRUPT);
    }
    *text = good_text;
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

/* Whichever bit it is. */
START_TEST(flipped_bits_are_noticed)
{
    for (size_t bit = 0; bit < object_bytes * 8; bit += 1 + bit / 8 % 5) {
        object[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_msg(try_file(object, object_bytes, false) != ERR_OK, "bit %zu", bit);
        object[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ck_assert_int_eq(try_file(object, object_bytes, false), ERR_OK);
    ((Elf64_Ehdr *)object)->e_flags = 0;
    ck_assert_int_eq(try_file(object, object_bytes, false), ERR_NOT_CELL);
}
END_TEST

START_TEST(symbols_without_meaning_are_refused)
{
    Elf64_Sym *s = (void *)(object + header_of(".symtab")->sh_offset);

    s[1].st_info = ELF64_ST_INFO(ELF64_ST_BIND(s[1].st_info), STT_GNU_IFUNC);
    ck_assert_int_eq(try_object(object, object_bytes), ERR_UNSUPPORTED);
    ck_assert_msg(strstr(report.text, "an ifunc"), "%s", report.text);
    s[1].st_info = ELF64_ST_INFO(ELF64_ST_BIND(s[1].st_info), STT_NOTYPE);
    ck_assert_int_eq(try_object(object, object_bytes), ERR_OK);
    s[1].st_name = s[s[1].st_name ? 1 : 2].st_name;
    *name_of_symbol(1) = '\033';
    ck_assert_int_eq(try_object(object, object_bytes), ERR_CORRUPT);
    ck_assert_msg(strstr(report.text, "not printable"), "%s", report.text);
}
END_TEST

START_TEST(executable_stack_is_refused)
{
    header_of(NOTE_SECTION)->sh_flags |= SHF_EXECINSTR;
    ck_assert_int_eq(try_object(object, object_bytes), ERR_UNSUPPORTED);
    ck_assert_msg(strstr(report.text, "asks for an executable stack"), "%s", report.text);
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

Suite *suite_hosted_hostile(void)
{
    Suite *s = suite_create("hosted hostile");
    TCase *hostile = tcase_create("hostile"), *each = tcase_create("each byte");

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
    tcase_add_test(hostile, bad_marks_of_data_are_refused);
    tcase_add_test(hostile, unknown_import_is_named);
    tcase_add_test(hostile, import_of_another_type_is_named);
    tcase_add_test(hostile, access_level_is_checked);
    tcase_add_test(hostile, bad_relocations_are_refused);
    tcase_add_test(hostile, bounds_of_sections_are_exact);
    tcase_add_test(hostile, bad_sections_are_refused);
    tcase_add_test(hostile, huge_bss_is_refused);
    tcase_add_test(hostile, symbols_without_meaning_are_refused);
    tcase_add_test(hostile, executable_stack_is_refused);
    suite_add_tcase(s, hostile);
    tcase_add_checked_fixture(each, setup_object, teardown_object);
    tcase_add_test(each, every_truncation_is_refused);
    tcase_add_test(each, flipped_bits_are_noticed);
    tcase_add_test(each, flipped_bits_do_no_harm);
    suite_add_tcase(s, each);
    return s;
}
