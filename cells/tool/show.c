/* `cell show` and `cell compare`: what is in a cell object, and what a swap between two would see. */
#include "cells/tool/verbs.h"
#include "cells/tool/difference.h"
#include "cells/tool/notes.h"
#include "cells/tool/declaration.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct loaded {
    struct elf_file object;
    struct notes notes;
};

/* Needs close_loaded also after a failure. */
static enum err open_loaded(struct loaded *ret_loaded, const char *path)
{
    enum err e = elf_file_open(&ret_loaded->object, path);

    return e == ERR_OK ? notes_read(&ret_loaded->notes, &ret_loaded->object) : e;
}

static void close_loaded(struct loaded *loaded)
{
    notes_done(&loaded->notes);
    elf_file_close(&loaded->object);
}

static const struct symbol *loaded_symbol(const struct loaded *l, uint32_t index)
{
    return &l->object.symbol[index];
}

static const char *section_name_of(const struct loaded *l, const struct symbol *s)
{
    return s->sym.st_shndx < l->object.sections ? l->object.section[s->sym.st_shndx].name : "-";
}

static void show_sections(const struct loaded *l)
{
    printf("\n%-5s  %8s  %5s  %-5s  %s\n", "INDEX", "BYTES", "ALIGN", "FLAGS", "SECTION");
    for (size_t i = 1; i < l->object.sections; i++) {
        const struct section *s = &l->object.section[i];

        if (!(s->header.sh_flags & SHF_ALLOC))
            continue;
        char flags[4] = {s->header.sh_flags & SHF_WRITE ? 'w' : '-', s->header.sh_flags & SHF_EXECINSTR ? 'x' : '-',
                         s->header.sh_type == SHT_NOBITS ? '0' : '-'};
        printf("%5zu  %8" PRIu64 "  %5" PRIu64 "  %-5s  %s\n", i, s->header.sh_size, s->header.sh_addralign, flags,
               s->name);
    }
}

static void show_types(const struct loaded *l)
{
    printf("\n%-16s  %-16s  %8s  %s\n", "TYPE", "DEEP", "BYTES", "DATA OR FUNCTION");
    for (size_t i = 0; i < l->notes.datas; i++) {
        const struct note_data *d = &l->notes.data[i];
        const struct section *s = &l->object.section[d->section];
        const char *what = declaration_datum(d->datum);
        printf("%016" PRIx64 "  %016" PRIx64 "  %8" PRIu64 "  %s%s%s\n", d->type_hash, d->deep_hash, s->header.sh_size,
               s->name, *what ? "  " : "", what);
    }
}

static const char *tag_of(const struct loaded *l, uint32_t type)
{
    const char *name = l->notes.names + l->notes.shape[type].name;

    return *name ? name : "a pointer";
}

static void show_field(const struct loaded *l, const struct note_field *f)
{
    printf("%16" PRIu32 "  ", f->offset);
    if (f->count == 1)
        printf("%13s  ", "");
    else if (f->count)
        printf("%6" PRIu32 " x %4" PRIu32 "  ", f->count, f->stride);
    else
        printf("%6s x %4" PRIu32 "  ", "any", f->stride);
    switch (f->what) {
    case NOTE_TO_FUNCTION:
        printf("-> function %016" PRIx64, f->hash);
        break;
    case NOTE_TO_TYPE:
        printf("-> %s", tag_of(l, f->target));
        break;
    case NOTE_TO_TAG:
        printf("-> opaque %016" PRIx64, f->hash);
        break;
    default:
        printf("%s", tag_of(l, f->target));
        break;
    }
    printf("  %s\n", l->notes.names + f->name);
}

static void show_pointers(const struct loaded *l)
{
    if (!l->notes.pointers)
        return;
    printf("\n%16s  %13s  %s\n", "OFFSET", "NUMBER x BYTES", "POINTERS TO FUNCTIONS, AND PATHS TO THEM");
    for (uint32_t i = 0; i < l->notes.pointers->types; i++) {
        const struct note_shape *shape = &l->notes.shape[i];
        printf("%s, %" PRIu32 " bytes\n", tag_of(l, i), shape->bytes);
        for (uint32_t k = 0; k < shape->fields; k++)
            show_field(l, &l->notes.field[shape->first + k]);
    }
}

enum err show_cell(const char *path)
{
    CLOSED_BY(close_loaded) struct loaded l = {0};
    enum err e = open_loaded(&l, path);

    if (e != ERR_OK)
        return e;
    const struct note_cell *c = &l.notes.cell;
    const uint32_t role[ROLES] = {c->init, c->main, c->transfer, c->done};

    printf("cell %s, %s, version %u\n", c->name, declaration_kind(c->kind), c->version);
    for (enum declared_role r = 0; r < ROLES; r++)
        if (role[r] && role[r] < l.object.symbols)
            printf("%s %s\n", declaration_role[r], loaded_symbol(&l, role[r])->name);
    for (const struct declared_flag *f = declared_flags; f->word; f++)
        if (c->flags & f->flag)
            printf("%s\n", f->word);
    if (c->flags & NOTE_SIMD)
        puts("simd");
    show_sections(&l);
    printf("\n%-16s  %-11s  %8s  %-32s  %s\n", "TYPE", "ACCESS", "BYTES", "EXPORT", "SECTION");
    for (size_t i = 0; i < l.notes.exports; i++) {
        const struct symbol *s = loaded_symbol(&l, l.notes.export[i].symbol);
        printf("%016" PRIx64 "  %-11s  %8" PRIu64 "  %-32s  %s\n", l.notes.export[i].type_hash,
               declaration_access(l.notes.export[i].access), s->sym.st_size, s->name, section_name_of(&l, s));
    }
    printf("\n%-16s  %s\n", "TYPE", "IMPORT");
    for (size_t i = 0; i < l.notes.imports; i++)
        printf("%016" PRIx64 "  %s\n", l.notes.import[i].type_hash, loaded_symbol(&l, l.notes.import[i].symbol)->name);
    show_types(&l);
    show_pointers(&l);
    return ERR_OK;
}

static const struct note_symbol *find_loaded_export(const struct loaded *l, const char *name)
{
    for (size_t i = 0; i < l->notes.exports; i++)
        if (strcmp(loaded_symbol(l, l->notes.export[i].symbol)->name, name) == 0)
            return &l->notes.export[i];
    return NULL;
}

static unsigned compare_exports(const struct loaded *old, const struct loaded *new)
{
    unsigned differences = 0;

    for (size_t i = 0; i < old->notes.exports; i++) {
        const struct note_symbol *was = &old->notes.export[i];
        const char *name = loaded_symbol(old, was->symbol)->name;
        const struct note_symbol *is = find_loaded_export(new, name);

        if (!is)
            differences++, printf("removed   %s\n", name);
        else if (is->type_hash && was->type_hash && is->type_hash != was->type_hash)
            differences++, printf("retyped   %s\n", name);
        if (is && is->access != was->access)
            differences++, printf("access    %s: %s, was %s\n", name, declaration_access(is->access),
                                  declaration_access(was->access));
    }
    for (size_t i = 0; i < new->notes.exports; i++) {
        const char *name = loaded_symbol(new, new->notes.export[i].symbol)->name;
        if (!find_loaded_export(old, name))
            differences++, printf("added     %s\n", name);
    }
    return differences;
}

static bool is_loaded_section(const struct section *s)
{
    return s->header.sh_flags & SHF_ALLOC;
}

static bool same_bytes(const struct section *a, const struct section *b)
{
    return a->bytes == b->bytes && (!a->bytes || memcmp(a->data, b->data, a->bytes) == 0);
}

/* How the type of a datum or function has changed; NULL: not at all, or not known. */
static const char *retyped(const struct loaded *old, size_t i, const struct loaded *new, size_t j)
{
    const struct note_data *was = notes_data(&old->notes, i), *is = notes_data(&new->notes, j);

    if (!was || !is || !was->type_hash || !is->type_hash)
        return NULL;
    if (was->type_hash != is->type_hash)
        return "another type";
    return was->deep_hash != is->deep_hash ? "the target of a pointer in it has another type" : NULL;
}

static unsigned compare_sections(const struct loaded *old, const struct loaded *new)
{
    unsigned differences = 0;

    for (size_t i = 1; i < old->object.sections; i++) {
        const struct section *a = &old->object.section[i];
        size_t j = is_loaded_section(a) ? elf_file_section(&new->object, a->name) : 0;
        const struct section *b = &new->object.section[j];

        if (!is_loaded_section(a))
            continue;
        if (!j)
            differences++, printf("gone      %s, %" PRIu64 " bytes\n", a->name, a->header.sh_size);
        else if (a->header.sh_size != b->header.sh_size)
            differences++, printf("resized   %s: %" PRIu64 " bytes, was %" PRIu64 "\n", a->name, b->header.sh_size,
                                  a->header.sh_size);
        else if (!same_bytes(a, b))
            differences++, printf("rewritten %s\n", a->name);
        const char *type = j ? retyped(old, i, new, j) : NULL;
        if (type)
            differences++, printf("retyped   %s: %s\n", a->name, type);
    }
    for (size_t j = 1; j < new->object.sections; j++) {
        const struct section *b = &new->object.section[j];
        if (is_loaded_section(b) && !elf_file_section(&old->object, b->name))
            differences++, printf("new       %s, %" PRIu64 " bytes\n", b->name, b->header.sh_size);
    }
    return differences;
}

enum err compare_cells(const char *old_path, const char *new_path)
{
    CLOSED_BY(close_loaded) struct loaded old = {0};
    CLOSED_BY(close_loaded) struct loaded new = {0};
    enum err e = open_loaded(&old, old_path);

    if (e == ERR_OK)
        e = open_loaded(&new, new_path);
    if (e != ERR_OK)
        return e;
    printf("%s version %u -> %s version %u\n", old.notes.cell.name, old.notes.cell.version, new.notes.cell.name,
           new.notes.cell.version);
    if (compare_exports(&old, &new) + compare_sections(&old, &new) == 0)
        printf("same symbols, same sections\n");
    else
        difference_print(stdout, old_path, new_path);
    return ERR_OK;
}
