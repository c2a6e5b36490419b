/* See meaning.h. Sections are functions and data; two are the same when their bytes are, and their relocations refer to
 * the same names. Addresses and the order of sections do not count. */
#include "cells/tool/meaning.h"
#include "cells/tool/difference.h"
#include "cells/tool/list.h"
#include <stdio.h>
#include <string.h>

/* ---- sections ---- */

struct relocations {
    GElf_Rela *relocation; /* owned */
    size_t relocations, capacity;
};

static void relocations_done(struct relocations *r)
{
    free(r->relocation);
}

static bool add_relocation(void *context, const GElf_Rela *relocation)
{
    struct relocations *r = context;
    GElf_Rela *room = list_room(r->relocation, r->relocations, &r->capacity, sizeof *room);

    if (!room)
        return false;
    r->relocation = room;
    room[r->relocations++] = *relocation;
    return true;
}

/* Those of section `index`. False: no memory. */
static bool read_relocations(struct relocations *ret, const struct elf_file *o, size_t index)
{
    for (size_t i = 1; i < o->sections; i++)
        if (o->section[i].header.sh_type == SHT_RELA && o->section[i].header.sh_info == index)
            return elf_file_relocations(o, i, add_relocation, ret);
    return true;
}

static const char *target_name(const struct elf_file *o, const GElf_Rela *r, size_t *ret_section)
{
    size_t symbol = GELF_R_SYM(r->r_info);
    const struct symbol *s = symbol < o->symbols ? &o->symbol[symbol] : NULL;
    bool section = s && GELF_ST_TYPE(s->sym.st_info) == STT_SECTION && s->sym.st_shndx < o->sections;

    *ret_section = section ? s->sym.st_shndx : 0;
    return section ? o->section[*ret_section].name : s ? s->name : "";
}

/* The string that a relocation into a section of strings refers to; NULL: it refers to none. */
static const char *target_string(const struct elf_file *o, const GElf_Rela *r, size_t section)
{
    const struct section *s = &o->section[section];

    if (!section || !s->data || strcmp(s->name, ".rodata") != 0 || r->r_addend < 0 ||
        (uint64_t)r->r_addend >= s->bytes || !memchr(s->data + r->r_addend, 0, s->bytes - (size_t)r->r_addend))
        return NULL;
    return (const char *)s->data + r->r_addend;
}

static bool is_same_relocation(const struct elf_file *a, const GElf_Rela *x, const struct elf_file *b,
                               const GElf_Rela *y)
{
    size_t s, t;

    if (x->r_offset != y->r_offset || GELF_R_TYPE(x->r_info) != GELF_R_TYPE(y->r_info) ||
        strcmp(target_name(a, x, &s), target_name(b, y, &t)) != 0)
        return false;
    const char *was = target_string(a, x, s), *is = target_string(b, y, t);
    return was && is ? strcmp(was, is) == 0 : x->r_addend == y->r_addend;
}

static bool is_same_section(const struct elf_file *a, size_t i, const struct elf_file *b, size_t k)
{
    const struct section *s = &a->section[i], *t = &b->section[k];
    CLOSED_BY(relocations_done) struct relocations was = {0};
    CLOSED_BY(relocations_done) struct relocations is = {0};

    if (s->header.sh_size != t->header.sh_size || !s->data != !t->data ||
        (s->data && memcmp(s->data, t->data, s->bytes) != 0))
        return false;
    if (!read_relocations(&was, a, i) || !read_relocations(&is, b, k) || was.relocations != is.relocations)
        return false;
    for (size_t n = 0; n < was.relocations; n++)
        if (!is_same_relocation(a, &was.relocation[n], b, &is.relocation[n]))
            return false;
    return true;
}

/* ---- functions and constants ---- */

/* What a section is called that is a function or a datum of its own; NULL: it is none of that kind. */
static const char *name_in(const struct elf_file *o, size_t index, const char *prefix)
{
    const char *name = o->section[index].name;
    size_t n = strlen(prefix);

    return o->section[index].header.sh_flags & SHF_ALLOC && strncmp(name, prefix, n) == 0 ? name + n : NULL;
}

static void add_change(json_t *list, const char *key, const char *name, const char *what)
{
    json_array_append_new(list, json_pack("{s:s, s:s}", key, name, "what", what));
}

/* Compares all sections whose names begin so. */
static void compare_named(json_t *list, const char *key, const char *prefix, const struct elf_file *old,
                          const struct elf_file *new_)
{
    for (size_t i = 1; i < old->sections; i++) {
        const char *name = name_in(old, i, prefix);
        size_t k = name ? elf_file_section(new_, old->section[i].name) : 0;
        if (name && k && !is_same_section(old, i, new_, k))
            add_change(list, key, name, "has changed");
        else if (name && !k)
            add_change(list, key, name, "is gone");
    }
    for (size_t k = 1; k < new_->sections; k++) {
        const char *name = name_in(new_, k, prefix);
        if (name && !elf_file_section(old, new_->section[k].name))
            add_change(list, key, name, "is new");
    }
}

static void compare_code(json_t *o, const struct elf_file *old, const struct elf_file *new_)
{
    compare_named(json_object_get(o, "functions"), "function", ".text.", old, new_);
    compare_named(json_object_get(o, "constants"), "constant", ".rodata.", old, new_);
    compare_named(json_object_get(o, "constants"), "constant", ".data.rel.ro.", old, new_);
}

bool meaning_has_changes(const struct elf_file *old, const struct elf_file *new_)
{
    json_t *o = json_pack("{s:[], s:[]}", "functions", "constants");

    if (!o)
        return true;
    compare_code(o, old, new_);
    compare_named(json_object_get(o, "constants"), "constant", ".data", old, new_);
    bool changed = json_array_size(json_object_get(o, "functions")) || json_array_size(json_object_get(o, "constants"));
    json_decref(o);
    return changed;
}

/* ---- structures ---- */

/* A type without a name is rendered on several lines. */
static void join_lines(char *text)
{
    char *to = text;

    for (const char *from = text; *from; from++)
        if (*from != '\n' && !(*from == ' ' && to > text && to[-1] == ' '))
            *to++ = *from;
        else if (*from == '\n')
            *to++ = ' ';
    *to = '\0';
}

static void add_structure(void *context, const char *what, const char *was, const char *is)
{
    char text[600];

    if (was && is)
        snprintf(text, sizeof text, "was %s, is %s", was, is);
    else
        snprintf(text, sizeof text, "%s %s", was ? "lost" : "grew by", was ? was : is);
    join_lines(text);
    add_change(context, "structure", what, text);
}

json_t *meaning_of(const struct side *old, const struct side *new_)
{
    json_t *o =
        json_pack("{s:s, s:[], s:[], s:[]}", "cell", new_->notes.cell.name, "functions", "constants", "structures");

    if (!o)
        return NULL;
    compare_code(o, &old->object, &new_->object);
    difference_structures(old, new_, add_structure, json_object_get(o, "structures"));
    return o;
}
