/* Relocations: the types that the build emits are those that the loader knows, each gives what another linker gives and
 * what its formula says, up to the last value that fits, and every other one is refused. */
#include "cells/core/arena/arena.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include "cells/core/page/page.h"
#include "tests/hosted/audit.h"
#include "tests/hosted/craft.h"
#include "tests/hosted/stand_in.h"
#include <check.h>
#include <elf.h>
#include <glob.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

Suite *suite_hosted_relocation(void);

/* By type: bytes that are written, whether the place counts, whether the value must fit as signed, as unsigned. */
static const struct {
    uint32_t type;
    unsigned bytes;
    bool relative, is_signed, is_unsigned;
} known[] = {
    {R_X86_64_64, 8, false, false, false},  {R_X86_64_PC32, 4, true, true, false},
    {R_X86_64_PLT32, 4, true, true, false}, {R_X86_64_32, 4, false, false, true},
    {R_X86_64_32S, 4, false, true, false},  {R_X86_64_PC64, 8, true, false, false},
};

static struct stand_in_use before;
static struct report report;

static void setup(void)
{
    stand_in_start();
    ck_assert_msg(stand_in_boot("build/delias.elf", "build/tests/guest.archive"), "%s", stand_in.printed);
    before = stand_in_use();
}

static void teardown(void)
{
    struct stand_in_use now = stand_in_use();
    const char *what = audit();

    ck_assert_msg(!what, "%s", what);
    ck_assert_msg(stand_in_same_use(&before, &now), "%s", stand_in_difference(&before, &now));
}

static size_t index_of(uint32_t type)
{
    size_t i = 0;

    while (i < array_size(known) && known[i].type != type)
        i++;
    return i;
}

/* ---- which there are ---- */

static void count_relocations(const char *path, size_t counts[array_size(known)])
{
    size_t bytes;
    uint8_t *data = stand_in_file(path, &bytes);
    Elf64_Ehdr h;

    ck_assert_msg(data && bytes > sizeof h, "%s", path);
    memcpy(&h, data, sizeof h);
    for (int i = 0; i < h.e_shnum; i++) {
        Elf64_Shdr s, target;
        Elf64_Rela r;
        memcpy(&s, data + h.e_shoff + (size_t)i * sizeof s, sizeof s);
        ck_assert_msg(s.sh_type != SHT_REL && !(s.sh_flags & SHF_TLS), "%s: section %d", path, i);
        ck_assert_msg(!(s.sh_flags & SHF_ALLOC && s.sh_flags & SHF_MERGE), "%s: section %d is to be merged", path, i);
        if (s.sh_type != SHT_RELA)
            continue;
        memcpy(&target, data + h.e_shoff + s.sh_info * sizeof target, sizeof target);
        for (size_t k = 0; target.sh_flags & SHF_ALLOC && k < s.sh_size / sizeof r; k++) {
            memcpy(&r, data + s.sh_offset + k * sizeof r, sizeof r);
            size_t type = index_of((uint32_t)ELF64_R_TYPE(r.r_info));
            ck_assert_msg(type < array_size(known), "%s: type %u", path, (unsigned)ELF64_R_TYPE(r.r_info));
            counts[type]++;
        }
    }
    free(data);
}

START_TEST(the_build_has_the_types_that_are_known)
{
    size_t counts[array_size(known)] = {0};
    glob_t objects;

    ck_assert_int_eq(glob("build/cells/*.o", 0, NULL, &objects), 0);
    ck_assert_uint_gt(objects.gl_pathc, 40);
    for (size_t i = 0; i < objects.gl_pathc; i++)
        count_relocations(objects.gl_pathv[i], counts);
    globfree(&objects);
    for (size_t i = 0; i < array_size(known); i++)
        ck_assert_msg(counts[i] > 0, "type %u does not occur", known[i].type);
}
END_TEST

START_TEST(the_survey_has_each_of_them)
{
    size_t counts[array_size(known)] = {0};

    count_relocations("build/cells/survey.o", counts);
    for (size_t i = 0; i < array_size(known); i++)
        ck_assert_msg(counts[i] > 0, "type %u does not occur", known[i].type);
}
END_TEST

/* ---- against another linker ---- */

static char folder[] = "/tmp/delias-relocation-XXXXXX";

__attribute__((format(printf, 1, 2))) static void run(const char *format, ...)
{
    char command[512];
    va_list args;

    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    ck_assert_msg(system(command) == 0, "%s", command);
}

/* Each section where the loader has put it, each import where its cell has it. */
static void write_script(struct cell_ref cell, const char *path, const uint8_t *object)
{
    FILE *f = fopen(path, "w");
    Elf64_Ehdr h;

    ck_assert_ptr_nonnull(f);
    fprintf(f, "SECTIONS {\n");
    for_each_section_of (s, cell) {
        const char *name = arena_string(arena_section(s)->name);
        fprintf(f, "\"%s\" 0x%" PRIx64 " : { *(\"%s\") }\n", strcmp(name, ".eh_frame") ? name : ".tables",
                arena_section(s)->virt, strcmp(name, ".eh_frame") ? name : ".tables");
    }
    fprintf(f, "/DISCARD/ : { *(*) }\n}\n");
    memcpy(&h, object, sizeof h);
    for (int i = 0; i < h.e_shnum; i++) {
        Elf64_Shdr s, strings;
        Elf64_Sym symbol;
        memcpy(&s, object + h.e_shoff + (size_t)i * sizeof s, sizeof s);
        if (s.sh_type != SHT_SYMTAB)
            continue;
        memcpy(&strings, object + h.e_shoff + s.sh_link * sizeof s, sizeof strings);
        for (size_t k = 1; k < s.sh_size / sizeof symbol; k++) {
            memcpy(&symbol, object + s.sh_offset + k * sizeof symbol, sizeof symbol);
            const char *name = (const char *)object + strings.sh_offset + symbol.st_name;
            struct symbol_ref found = arena_symbol_find(NAMESPACE_ROOT, name);
            if (!symbol.st_shndx && *name && found.index)
                fprintf(f, "%s = 0x%" PRIx64 ";\n", name,
                        arena_section(arena_symbol(found)->section)->virt + arena_symbol(found)->offset);
        }
    }
    fclose(f);
}

/* The bytes of every section in the file that the other linker wrote. */
static size_t compare(struct cell_ref cell, const char *path)
{
    size_t bytes, compared = 0;
    uint8_t *data = stand_in_file(path, &bytes);
    Elf64_Ehdr h;

    ck_assert_ptr_nonnull(data);
    memcpy(&h, data, sizeof h);
    for (int i = 0; i < h.e_shnum; i++) {
        Elf64_Shdr s;
        memcpy(&s, data + h.e_shoff + (size_t)i * sizeof s, sizeof s);
        struct section_ref section = arena_section_at(s.sh_addr);
        if (!(s.sh_flags & SHF_ALLOC) || !s.sh_size || !section.index || s.sh_type == SHT_NOBITS)
            continue;
        const struct arena_section *mine = arena_section(section);
        ck_assert(same(mine->cell, cell));
        ck_assert_uint_eq(mine->virt, s.sh_addr);
        ck_assert_uint_eq(mine->bytes, s.sh_size);
        const uint8_t *here = page_direct(mine->phys);
        for (size_t k = 0; k < s.sh_size; k++)
            ck_assert_msg(here[k] == data[s.sh_offset + k], "%s + %zu: %02x, and ld has %02x", arena_string(mine->name),
                          k, here[k], data[s.sh_offset + k]);
        compared++;
    }
    free(data);
    return compared;
}

static const char *const linked[] = {"survey", "channel", "unwind", "shell"};

START_TEST(another_linker_gives_the_same_bytes)
{
    char path[128];
    size_t bytes, sections = 0;
    struct cell_ref cell;

    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "build/cells/%s.o", linked[_i]);
    uint8_t *object = stand_in_file(path, &bytes);
    ck_assert_ptr_nonnull(object);
    ck_assert_msg(loader_load(linked[_i], &cell, &report) == LOAD_OK, "%s", report.text);
    for_each_section_of (s, cell)
        sections += arena_section(s)->kind != SECTION_BSS;
    snprintf(path, sizeof path, "%s/script", folder);
    write_script(cell, path, object);
    free(object);
    run("objcopy --rename-section .eh_frame=.tables build/cells/%s.o %s/object.o 2> %s/log", linked[_i], folder,
        folder);
    run("ld --no-warn-rwx-segments --no-gc-sections -e 0 -z noseparate-code -T %s/script -o %s/linked %s/object.o "
        "> %s/log 2>&1 || { cat %s/log; false; }",
        folder, folder, folder, folder, folder);
    snprintf(path, sizeof path, "%s/linked", folder);
    ck_assert_uint_eq(compare(cell, path), sections);
    run("rm -r %s", folder);
    before = stand_in_use(); /* what it needs stays */
}
END_TEST

/* ---- against the formulas ---- */

/* A function and data with one relocation of `type` by a local function, S + A where it is to be `value`. */
static enum err stage(uint32_t type, int64_t addend, struct cell_ref *ret_cell, struct object_ref *ret_object)
{
    struct craft craft = craft_cell("made_up", 1);
    uint32_t function = craft_function(&craft, "target", 0), data = craft_data(&craft, ".data.place", 16, 0);

    craft_relocate(&craft, craft.symbol[data - 1].section, 8, type, function, addend);
    size_t bytes;
    uint8_t *file = craft_write(&craft, &bytes);
    ck_assert_ptr_nonnull(file);
    enum err err = lifecycle_keep_object(file, bytes, ret_object, &report);
    free(file);
    if (err)
        return err;
    const struct loader_input input = {.namespace_ = NAMESPACE_ROOT, .object = ret_object, .objects = 1};
    err = loader_stage(&input, ret_cell, &report);
    if (err)
        loader_drop_object(*ret_object);
    return err;
}

/* S and P of the same layout, whatever the addend. */
static void find_places(uint64_t *ret_target, uint64_t *ret_place)
{
    struct object_ref object;
    struct cell_ref cell;

    ck_assert_int_eq(stage(R_X86_64_64, 0, &cell, &object), ERR_OK);
    *ret_target = arena_cell(cell)->text_virt;
    *ret_place = arena_cell(cell)->data_virt + 8;
    lifecycle_unstage(&cell, 1);
}

static void expect(size_t i, uint64_t value, uint64_t base)
{
    struct object_ref object;
    struct cell_ref cell;
    enum err err = stage(known[i].type, (int64_t)(value - base), &cell, &object);
    bool fits = (!known[i].is_signed || (int64_t)value == (int32_t)value) &&
                (!known[i].is_unsigned || value == (uint32_t)value);

    ck_assert_msg((err == ERR_OK) == fits, "type %u, value %" PRIx64 ": %s", known[i].type, value, err_text(err));
    if (err) {
        ck_assert_int_eq(err, ERR_BAD_RELOCATION);
        ck_assert_str_eq(report.text, "made_up: a relocation in .data.place does not reach target");
        return;
    }
    uint8_t expected[8];
    memset(expected, 0x90, sizeof expected);
    memcpy(expected, &value, known[i].bytes);
    ck_assert_mem_eq((uint8_t *)page_direct(arena_cell(cell)->data_phys) + 8, expected, sizeof expected);
    lifecycle_unstage(&cell, 1);
}

START_TEST(values_are_right_up_to_the_last_that_fits)
{
    static const uint64_t values[] = {
        0,         1,          INT32_MAX,           (uint64_t)INT32_MAX + 1, UINT32_MAX, 1ull << 32, UINT64_MAX,
        INT64_MAX, 1ull << 63, (uint64_t)INT32_MIN, (uint64_t)INT32_MIN - 1};
    uint64_t target, place;

    find_places(&target, &place);
    for (size_t i = 0; i < array_size(known); i++)
        for (size_t k = 0; k < array_size(values); k++)
            expect(i, values[k], known[i].relative ? target - place : target);
}
END_TEST

START_TEST(every_other_type_is_refused)
{
    struct stand_in_use start = stand_in_use();
    struct object_ref object;
    struct cell_ref cell;
    char expected[80];

    for (uint32_t type = 0; type < 260; type++) {
        uint32_t number = type < 256 ? type : (1u << (type - 256) * 8) | 0x80000000; /* also beyond a byte */
        if (number == R_X86_64_NONE || index_of(number) < array_size(known))
            continue;
        ck_assert_int_eq(stage(number, 0, &cell, &object), ERR_BAD_RELOCATION);
        snprintf(expected, sizeof expected, ".data.place: a relocation of unknown type %u", number);
        ck_assert_str_eq(report.text, expected);
        struct stand_in_use now = stand_in_use();
        ck_assert_msg(stand_in_same_use(&start, &now), "type %u: %s", number, stand_in_difference(&start, &now));
    }
}
END_TEST

/* Thread-local data, and a weak import, also one that a cell exports: `cell make` refuses them, too. */
START_TEST(other_kinds_of_symbols_are_refused)
{
    static const char *const imports[] = {"nobody", "cpu_ns"};
    const struct craft empty = craft_cell("made_up", 1);
    struct craft local = empty;
    struct object_ref object;
    size_t bytes;

    craft_section(&local, ".tdata.x", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE | SHF_TLS, 8);
    uint8_t *file = craft_write(&local, &bytes);
    ck_assert_int_eq(lifecycle_keep_object(file, bytes, &object, &report), ERR_CORRUPT);
    ck_assert_str_eq(report.text, ".tdata.x: writable and executable at once, or thread-local");
    free(file);
    for (size_t i = 0; i < array_size(imports); i++) {
        struct craft weak = empty;
        char expected[96];
        uint32_t function = craft_function(&weak, "target", 0), import = craft_import(&weak, imports[i]);
        weak.symbol[import - 1].info = ELF64_ST_INFO(STB_WEAK, STT_NOTYPE);
        craft_call(&weak, function, 0, import);
        file = craft_write(&weak, &bytes);
        ck_assert_int_eq(lifecycle_keep_object(file, bytes, &object, &report), ERR_UNSUPPORTED);
        snprintf(expected, sizeof expected, "%s: an ifunc, thread-local, or a weak import", imports[i]);
        ck_assert_str_eq(report.text, expected);
        free(file);
    }
}
END_TEST

Suite *suite_hosted_relocation(void)
{
    Suite *s = suite_create("hosted relocation");
    TCase *t = tcase_create("relocation");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, the_build_has_the_types_that_are_known);
    tcase_add_test(t, the_survey_has_each_of_them);
    tcase_add_loop_test(t, another_linker_gives_the_same_bytes, 0, (int)array_size(linked));
    tcase_add_test(t, values_are_right_up_to_the_last_that_fits);
    tcase_add_test(t, every_other_type_is_refused);
    tcase_add_test(t, other_kinds_of_symbols_are_refused);
    suite_add_tcase(s, t);
    return s;
}
