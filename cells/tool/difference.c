/* See difference.h. */
#include "cells/tool/difference.h"
#include "cells/tool/die.h"
#include "cells/tool/hash.h"
#include "cells/tool/render.h"
#include "cells/tool/side.h"
#include "cells/tool/transfer.h"
#include <dwarf.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

/* Two builds, and what is told of each line. */
struct difference {
    const struct side *old, *new_;
    difference_line *line;
    void *context;
};

/* ---- structures ---- */

/* Whether both are a member, or both an enumerator, of the same name; without names, at the same place. */
static bool is_same_child(Dwarf_Die *a, Dwarf_Die *b)
{
    const char *a_name = dwarf_diename(a), *b_name = dwarf_diename(b);
    uint64_t a_bit = 0, b_bit = 0, bits;

    if (dwarf_tag(a) != dwarf_tag(b) || !a_name != !b_name)
        return false;
    if (a_name)
        return strcmp(a_name, b_name) == 0;
    return die_member_bit(a, &a_bit, &bits) && die_member_bit(b, &b_bit, &bits) && a_bit == b_bit;
}

/* "struct", "union" or "enum". */
static const char *word_of(const struct tag *tag)
{
    return tag->kind == DW_TAG_enumeration_type ? "enum" : tag->kind == DW_TAG_union_type ? "union" : "struct";
}

/* The child of `record` that is the same as `child`, which is another record's. */
static bool find_child(Dwarf_Die *record, Dwarf_Die *child, Dwarf_Die *ret_child)
{
    if (dwarf_child(record, ret_child) != 0)
        return false;
    do
        if (is_same_child(child, ret_child))
            return true;
    while (dwarf_siblingof(ret_child, ret_child) == 0);
    return false;
}

/* "int count at 8": a member, or "RED = 1": an enumerator. Empty: no memory. */
static void describe(Dwarf_Die *child, char *ret_text, size_t room)
{
    OWN(memory) char *type = NULL;
    uint64_t bit = 0, bits = 0;

    ret_text[0] = '\0';
    if (dwarf_tag(child) == DW_TAG_enumerator) {
        snprintf(ret_text, room, "%s = %" PRId64, dwarf_diename(child) ?: "",
                 (int64_t)die_number(child, DW_AT_const_value, 0));
        return;
    }
    type = render_type(child, dwarf_diename(child) ?: "");
    if (!type || !die_member_bit(child, &bit, &bits))
        return;
    if (bits)
        snprintf(ret_text, room, "%s : %" PRIu64 " at bit %" PRIu64, type, bits, bit);
    else
        snprintf(ret_text, room, "%s at %" PRIu64, type, bit / 8);
}

static void tell_child(const struct difference *d, const char *tag, Dwarf_Die *old, Dwarf_Die *new_)
{
    char was[256] = "", is[256] = "";

    if (old)
        describe(old, was, sizeof was);
    if (new_)
        describe(new_, is, sizeof is);
    if (strcmp(was, is) != 0)
        d->line(d->context, tag, old ? was : NULL, new_ ? is : NULL);
}

/* Whether the child counts in the type. */
static bool is_part(Dwarf_Die *child)
{
    return dwarf_tag(child) == DW_TAG_member || dwarf_tag(child) == DW_TAG_enumerator;
}

static void compare_records(const struct difference *d, const char *tag, Dwarf_Die *old, Dwarf_Die *new_)
{
    Dwarf_Die child, other;
    uint64_t was = die_number(old, DW_AT_byte_size, 0), is = die_number(new_, DW_AT_byte_size, 0);

    char old_bytes[32], new_bytes[32];

    snprintf(old_bytes, sizeof old_bytes, "%" PRIu64 " bytes", was);
    snprintf(new_bytes, sizeof new_bytes, "%" PRIu64 " bytes", is);
    if (was != is)
        d->line(d->context, tag, old_bytes, new_bytes);
    if (dwarf_child(old, &child) == 0)
        do
            if (is_part(&child))
                tell_child(d, tag, &child, find_child(new_, &child, &other) ? &other : NULL);
        while (dwarf_siblingof(&child, &child) == 0);
    if (dwarf_child(new_, &child) == 0)
        do
            if (is_part(&child) && !find_child(old, &child, &other))
                tell_child(d, tag, NULL, &child);
        while (dwarf_siblingof(&child, &child) == 0);
}

static const struct tag *find_tag(const struct tags *tags, const struct tag *like)
{
    for (size_t i = 0; i < tags->entries; i++)
        if (tags->entry[i].kind == like->kind && strcmp(tags->entry[i].name, like->name) == 0)
            return &tags->entry[i];
    return NULL;
}

/* Of each tag the first: every file of a cell defines it again. */
static bool is_first(const struct tags *tags, size_t i)
{
    return i == 0 || tags->entry[i].kind != tags->entry[i - 1].kind ||
           strcmp(tags->entry[i].name, tags->entry[i - 1].name) != 0;
}

static bool is_another(const struct tag *a, const struct tag *b)
{
    Dwarf_Die old = a->die, new_ = b->die;

    return hash_layout(&old) != hash_layout(&new_);
}

void difference_structures(const struct side *old, const struct side *new_, difference_line *line, void *context)
{
    const struct difference d = {old, new_, line, context};
    const struct tags *olds = types_tags(old->types), *news = types_tags(new_->types);

    for (size_t i = 0; i < olds->entries; i++) {
        const struct tag *a = &olds->entry[i], *b = is_first(olds, i) ? find_tag(news, a) : NULL;
        if (!b || !is_another(a, b))
            continue;
        Dwarf_Die was = a->die, is = b->die;
        char tag[128];
        snprintf(tag, sizeof tag, "%s %s", word_of(a), a->name);
        compare_records(&d, tag, &was, &is);
    }
}

bool difference_shares(const struct side *old, const struct side *new_, const struct side *other_old,
                       const struct side *other_new, char *ret_tag, size_t room)
{
    const struct tags *olds = types_tags(old->types), *news = types_tags(new_->types);

    for (size_t i = 0; i < olds->entries; i++) {
        const struct tag *a = &olds->entry[i], *b = is_first(olds, i) ? find_tag(news, a) : NULL;
        if (!b || !is_another(a, b))
            continue;
        const struct tag *x = find_tag(types_tags(other_old->types), a), *y = find_tag(types_tags(other_new->types), a);
        if (x && y && !is_another(a, x) && !is_another(b, y)) {
            snprintf(ret_tag, room, "%s %s", word_of(a), a->name);
            return true;
        }
    }
    return false;
}

/* ---- for people ---- */

static void print_line(void *context, const char *what, const char *was, const char *is)
{
    FILE *to = context;

    if (was)
        fprintf(to, "  %s: was %s, is %s\n", what, was, is ? is : "gone");
    else
        fprintf(to, "  %s: new is %s\n", what, is);
}

static void print_exports(FILE *to, const struct side *old, const struct side *new_)
{
    const struct notes *notes = &old->notes;

    for (size_t i = 0; i < notes->exports; i++) {
        const char *name = old->object.symbol[notes->export[i].symbol].name;
        struct types_of was = types_hash(old->types, name), is = types_hash(new_->types, name);
        Dwarf_Die a, b;
        if (was.hash == is.hash || !types_find(old->types, name, &a) || !types_find(new_->types, name, &b))
            continue;
        OWN(memory) char *before = render_symbol(&a), *after = render_symbol(&b);
        if (before && after)
            print_line(to, name, before, after);
    }
}

static void print_lines(FILE *to, const struct match_lines *lines)
{
    for (size_t i = 0; i < lines->lines; i++)
        fprintf(to, "  %s: %s\n", lines->line[i].field, lines->line[i].text);
}

static void print_data(FILE *to, struct side *old, struct side *new_)
{
    CLOSED_BY(transfer_done) struct transfer t = {0};

    if (transfer_make(&t, old, 1, new_, 1, NULL, 0) != ERR_OK)
        return;
    print_lines(to, &t.changed);
    print_lines(to, &t.left_over);
    print_lines(to, &t.refused);
}

void difference_print(FILE *to, const char *old_path, const char *new_path)
{
    CLOSED_BY(side_close) struct side old = {0};
    CLOSED_BY(side_close) struct side new_ = {0};

    if (!side_has_types(old_path) || !side_has_types(new_path) || side_open(&old, old_path) != ERR_OK ||
        side_open(&new_, new_path) != ERR_OK)
        return;
    print_exports(to, &old, &new_);
    print_data(to, &old, &new_);
    difference_structures(&old, &new_, print_line, to);
}

char *difference_cell(const char *path)
{
    CLOSED_BY(elf_file_close) struct elf_file object = {0};
    CLOSED_BY(notes_done) struct notes notes = {0};

    if (access(path, R_OK) != 0 || elf_file_open(&object, path) != ERR_OK || notes_read(&notes, &object) != ERR_OK)
        return NULL;
    return strdup(notes.cell.name);
}
