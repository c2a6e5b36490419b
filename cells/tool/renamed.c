/* See renamed.h. Where pointers are at the start is seen in the relocations of the old object; what is stored at run
 * time, the guest finds along types. */
#include "cells/tool/renamed.h"
#include <elf.h>
#include <string.h>

#define TEXT ".text."

static const char *function_name(const struct side_section *function)
{
    size_t n = strlen(TEXT);

    return strncmp(function->name, TEXT, n) == 0 ? function->name + n : function->name;
}

/* ---- functions by name ---- */

struct found {
    size_t side;
    const struct side_section *function; /* NULL: there is none */
};

/* In the cell of that name, else in any. */
static struct found find_function(const struct side *sides, size_t count, const char *cell, const char *name)
{
    struct found found = {0};

    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < sides[i].functions; k++) {
            bool same = strcmp(sides[i].notes.cell.name, cell) == 0;
            if (strcmp(function_name(&sides[i].function[k]), name) == 0 && (!found.function || same))
                found = (struct found){i, &sides[i].function[k]};
        }
    return found;
}

/* A function of that type which the old version lacks; NULL: there is none. */
static const char *find_likely(const struct transfer *t, const char *cell, const struct side_section *gone)
{
    for (size_t i = 0; i < t->news; i++)
        for (size_t k = 0; k < t->new_[i].functions; k++) {
            const struct side_section *f = &t->new_[i].function[k];
            if (f->note.type_hash == gone->note.type_hash &&
                !find_function(t->old, t->olds, cell, function_name(f)).function)
                return function_name(f);
        }
    return NULL;
}

/* ---- pointers ---- */

/* What is looked for in the relocations of a section: a pointer to the function that is carried. */
struct search {
    const struct side *side;
    const struct side_section *function;
    const struct transfer_recipe *recipe; /* for the section; NULL: it is carried as it is */
};

static bool is_copied(const struct moves *moves, uint64_t offset)
{
    for (size_t i = 0; i < moves->moves; i++) {
        const struct recipe_move *m = &moves->move[i];
        for (uint64_t k = 0; m->kind == RECIPE_COPY && k < m->count; k++) {
            uint64_t start = m->from + k * m->from_stride;
            if (offset >= start && offset + 8 <= start + m->from_width)
                return true;
        }
    }
    return false;
}

/* Goes on while there is no such pointer. */
static bool is_other_pointer(void *context, const GElf_Rela *r)
{
    const struct search *search = context;
    size_t symbol = GELF_R_SYM(r->r_info);

    if (GELF_R_TYPE(r->r_info) != R_X86_64_64 || symbol >= search->side->object.symbols)
        return true;
    const GElf_Sym *s = &search->side->object.symbol[symbol].sym;
    bool points = s->st_shndx == search->function->index && s->st_value + (uint64_t)r->r_addend == 0;
    return !points || (search->recipe && !is_copied(&search->recipe->moves, r->r_offset));
}

static bool points_to(const struct side *side, const struct side_section *data, const struct side_section *function,
                      const struct transfer_recipe *recipe)
{
    struct search search = {side, function, recipe};
    const struct elf_file *o = &side->object;

    for (size_t i = 1; i < o->sections; i++)
        if (o->section[i].header.sh_type == SHT_RELA && o->section[i].header.sh_info == data->index)
            return !elf_file_relocations(o, i, is_other_pointer, &search);
    return false;
}

static const struct transfer_recipe *find_recipe(const struct transfer *t, const struct side_section *from)
{
    for (size_t i = 0; i < t->recipes; i++)
        if (t->recipe[i].from == from)
            return &t->recipe[i];
    return NULL;
}

/* Whether the new version has the section, and leaves it to no transfer function. */
static bool is_kept(const struct transfer *t, const struct side_section *data)
{
    for (size_t i = 0; i < t->news; i++)
        for (size_t k = 0; k < t->new_[i].sections; k++) {
            const struct side_section *s = &t->new_[i].section[k];
            if (strcmp(s->name, data->name) == 0)
                return !t->new_[i].notes.cell.transfer || s->note.type_hash == data->note.type_hash;
        }
    return false;
}

/* Data of the old cells that points to the function, and is carried; NULL: there is none. */
static const struct side_section *find_pointer(const struct transfer *t, size_t side,
                                               const struct side_section *function)
{
    const struct side *old = &t->old[side];

    for (size_t i = 0; i < old->sections; i++) {
        const struct transfer_recipe *recipe = find_recipe(t, &old->section[i]);
        bool carried = recipe ? recipe->to != NULL : is_kept(t, &old->section[i]);
        if (carried && points_to(old, &old->section[i], function, recipe))
            return &old->section[i];
    }
    return NULL;
}

/* ---- decisions ---- */

static void rename_function(struct transfer *t, struct match *m, size_t side, const struct side_section *function,
                            struct match_word *word)
{
    const char *cell = t->old[side].notes.cell.name;
    struct found to = find_function(t->new_, t->news, cell, word->to);

    word->used = true;
    if (!to.function || find_function(t->old, t->olds, cell, word->to).function)
        match_remark(m, &m->refused, "said to be %s, which the new version has not, or the old one has too", word->to);
    else if (to.function->note.type_hash != function->note.type_hash)
        match_remark(m, &m->refused, "said to be %s, which is a function of another type", word->to);
    else
        t->recipe[t->recipes++] =
            (struct transfer_recipe){.old = side, .new_ = to.side, .from = function, .to = to.function};
}

static void refuse_gone(struct transfer *t, struct match *m, size_t side, const struct side_section *function)
{
    const struct side_section *data = find_pointer(t, side, function);
    const char *likely = find_likely(t, t->old[side].notes.cell.name, function);

    if (data && likely)
        match_remark(m, &m->refused,
                     "is gone, and %s points to it; say --rename %s=%s, or --drop %s if nothing does any more",
                     data->name, m->path, likely, m->path);
    else if (data)
        match_remark(m, &m->refused, "is gone, and %s points to it; say --drop %s if nothing does any more", data->name,
                     m->path);
}

static void handle_function(struct transfer *t, struct match *m, size_t side, const struct side_section *function)
{
    size_t back = match_path(m, "", function_name(function));
    struct match_word *word = match_word(m, "");

    m->cell = t->old[side].notes.cell.name;
    if (word && word->to)
        rename_function(t, m, side, function, word);
    else if (word)
        word->used = true;
    else
        refuse_gone(t, m, side, function);
    match_path_back(m, back);
}

void renamed_functions(struct transfer *t, struct match *m)
{
    for (size_t i = 0; i < t->olds; i++)
        for (size_t k = 0; k < t->old[i].functions; k++) {
            const struct side_section *f = &t->old[i].function[k];
            if (!find_function(t->new_, t->news, t->old[i].notes.cell.name, function_name(f)).function)
                handle_function(t, m, i, f);
        }
}
