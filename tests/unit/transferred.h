/* Cells with one datum `d`, and what a recipe makes of its bytes. The guest's code that moves them is in
 * transfer.c. */
#pragma once
#include "cells/evolve/plan/recipe.h"
#include "tests/unit/compile.h"
#include <fcntl.h>
#include <gelf.h>

/* What a cell with datum `d` says. */
#define CELL_OF(data)                                                                                                  \
    "CELL(\"one\", KERNEL, 1);\n" data "\nvoid *f(void); EXPORT(f, KERNEL); void *f(void) { return &d; }\n"

static void make_cell(const char *name, const char *source)
{
    char text[65536];

    snprintf(text, sizeof text, CELL_OF("%s"), source);
    compile(name, text);
    ck_assert_msg(run("mkdir -p @/cells @/cells.debug && build/bin/cell make @/%s.r -o @/cells/%s.o --debug "
                      "@/cells.debug/%s.o",
                      name, name, name) == 0,
                  "%s", output);
}

struct block {
    uint8_t *data;
    size_t bytes;
    uint32_t index;
};

/* The contents of the section of `d` in cell `name`. */
static struct block section_of(const char *name)
{
    char path[160];
    struct block block = {0};
    Elf_Scn *section = NULL;
    GElf_Shdr header;
    size_t names;

    snprintf(path, sizeof path, "%s/cells/%s.o", dir, name);
    elf_version(EV_CURRENT);
    int fd = open(path, O_RDONLY);
    Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
    ck_assert(elf && elf_getshdrstrndx(elf, &names) == 0);
    while ((section = elf_nextscn(elf, section)) != NULL) {
        gelf_getshdr(section, &header);
        const char *s = elf_strptr(elf, names, header.sh_name);
        if (strncmp(s, ".data.d", 7) != 0 && strncmp(s, ".bss.d", 6) != 0)
            continue;
        ck_assert(!block.data);
        block = (struct block){calloc(1, header.sh_size), header.sh_size, (uint32_t)elf_ndxscn(section)};
        ck_assert_ptr_nonnull(block.data);
        if (header.sh_type != SHT_NOBITS)
            memcpy(block.data, elf_rawdata(section, NULL)->d_buf, header.sh_size);
    }
    elf_end(elf);
    close(fd);
    ck_assert_msg(block.data != NULL, "%s has no d", name);
    return block;
}

static struct block read_recipes(void)
{
    char path[160];
    struct block block = {calloc(1, 1 << 20), 0, 0};

    snprintf(path, sizeof path, "%s/recipes", dir);
    FILE *file = fopen(path, "rb");
    ck_assert(file && block.data);
    block.bytes = fread(block.data, 1, 1 << 20, file);
    fclose(file);
    return block;
}

/* The recipe for the section of `d`, checked as the guest does, with the file that it is in. */
struct applied {
    struct block file;
    struct recipes recipes;
    const struct recipe *recipe;
};

static struct applied check_recipe(const struct block *old, const struct block *new_)
{
    struct applied a = {.file = read_recipes()};
    uint8_t *written = malloc(new_->bytes);
    struct report report;

    ck_assert_msg(recipes_open(a.file.data, a.file.bytes, &a.recipes, &report) == ERR_OK, "%s", report.text);
    ck_assert_uint_ge(a.recipes.count, 1);
    a.recipe = recipes_find(&a.recipes, a.recipes.recipe[0].old_object, old->index);
    ck_assert_ptr_nonnull(a.recipe);
    const struct recipe *r = a.recipe;
    ck_assert_uint_eq(r->new_section, new_->index);
    const struct recipe_side from = {r->old_object, old->index, (uint32_t)old->bytes, r->old_type, r->old_deep};
    const struct recipe_side to = {r->new_object, new_->index, (uint32_t)new_->bytes, r->new_type, r->new_deep};
    ck_assert_msg(recipe_check(&a.recipes, r, &from, &to, written, &report) == ERR_OK, "%s", report.text);
    free(written);
    return a;
}

/* Applies it; what it refuses is an error. */
static void apply(const struct block *old, struct block *new_)
{
    struct applied a = check_recipe(old, new_);
    struct report report;

    ck_assert_msg(recipe_refuse_values(&a.recipes, a.recipe, "one", old->data, &report) == ERR_OK, "%s", report.text);
    recipe_apply(&a.recipes, a.recipe, old->data, new_->data);
    free(a.file.data);
}

/* What the guest says when it refuses the values of the old `d`. */
static inline void refuse_values(const struct block *old, const struct block *new_, char *ret_text, size_t room)
{
    struct applied a = check_recipe(old, new_);
    struct report report = {0};

    ck_assert_int_eq(recipe_refuse_values(&a.recipes, a.recipe, "one", old->data, &report), ERR_RANGE);
    snprintf(ret_text, room, "%s", report.text);
    free(a.file.data);
}
