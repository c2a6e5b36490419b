/* See loss.h. */
#include "cells/tool/loss.h"
#include "cells/tool/die.h"
#include "cells/tool/render.h"
#include <dwarf.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX       32
#define ENUMERATORS_MAX 4096

static void add_check(struct match *m, struct moves *moves, struct recipe_move move, const char *why)
{
    move.count = 1;
    m->failed |=
        !texts_add(m->texts, m->path, &move.field) || !texts_add(m->texts, why, &move.why) || !moves_add(moves, move);
}

/* Refuses a number of `width` bits that is from `low` to `high`. */
static void refuse_range(struct match *m, struct moves *moves, bool is_signed, uint64_t from, uint64_t width,
                         uint64_t low, uint64_t high, const char *why)
{
    const struct recipe_move move = {.kind = is_signed ? RECIPE_REFUSE_SIGNED : RECIPE_REFUSE_UNSIGNED,
                                     .from = (uint32_t)from,
                                     .from_width = (uint32_t)width,
                                     .low = low,
                                     .high = high};

    add_check(m, moves, move, why);
}

/* ---- numbers that do not fit ---- */

static uint64_t largest(bool is_signed, uint64_t bits)
{
    bits -= is_signed;
    return bits < 64 ? (1ull << bits) - 1 : UINT64_MAX;
}

static char *describe_type(const struct loss_number *n)
{
    OWN(memory) char *type = render_type(n->new_, "");
    Dwarf_Die bare;
    char *text = NULL;
    bool narrow = field_type(n->new_, &bare) && n->new_bits != 8 * field_type_bytes(&bare);

    if (!type || (narrow ? asprintf(&text, "which does not fit %s : %" PRIu64, type, n->new_bits)
                         : asprintf(&text, "which does not fit %s", type)) < 0)
        return NULL;
    return text;
}

static bool check_range(struct match *m, const struct loss_number *n, Dwarf_Die *old, Dwarf_Die *new_, uint64_t from,
                        struct moves *moves)
{
    bool was = field_number(old) == NUMBER_SIGNED, is = field_number(new_) == NUMBER_SIGNED;
    uint64_t old_high = largest(was, n->old_bits), new_high = largest(is, n->new_bits);
    uint64_t high = old_high < new_high ? old_high : new_high; /* of what both have */
    uint64_t low = was && is ? ~high : 0;

    if (old_high <= new_high && was <= is)
        return false;
    OWN(memory) char *why = describe_type(n);
    m->failed |= !why;
    if (why)
        refuse_range(m, moves, was, from, n->old_bits, high + 1, low - 1, why);
    return true;
}

/* ---- enumerators that are gone ---- */

bool loss_find_enumerator(Dwarf_Die *type, const char *name, int64_t *ret_value)
{
    Dwarf_Die child;

    if (dwarf_child(type, &child) != 0)
        return false;
    do
        if (dwarf_tag(&child) == DW_TAG_enumerator && strcmp(dwarf_diename(&child) ?: "", name) == 0) {
            *ret_value = (int64_t)die_number(&child, DW_AT_const_value, 0);
            return true;
        }
    while (dwarf_siblingof(&child, &child) == 0);
    return false;
}

struct enumeration {
    uint64_t value[ENUMERATORS_MAX]; /* each once, sorted as signed numbers */
    size_t values;
    bool flags; /* each is 0 or a single bit */
};

static int compare_values(const void *a, const void *b)
{
    int64_t x = (int64_t) * (const uint64_t *)a, y = (int64_t) * (const uint64_t *)b;

    return (x > y) - (x < y);
}

static void read_enumeration(struct enumeration *ret, Dwarf_Die *type)
{
    Dwarf_Die child;

    ret->values = 0;
    ret->flags = true;
    if (dwarf_child(type, &child) != 0)
        return;
    do {
        if (dwarf_tag(&child) != DW_TAG_enumerator || ret->values == ENUMERATORS_MAX)
            continue;
        uint64_t value = die_number(&child, DW_AT_const_value, 0);
        ret->flags &= (value & (value - 1)) == 0;
        ret->value[ret->values++] = value;
    } while (dwarf_siblingof(&child, &child) == 0);
    qsort(ret->value, ret->values, sizeof *ret->value, compare_values);
    size_t different = 0;
    for (size_t i = 0; i < ret->values; i++)
        if (i == 0 || ret->value[i] != ret->value[i - 1])
            ret->value[different++] = ret->value[i];
    ret->values = different;
}

static bool has_value(const struct enumeration *e, uint64_t value)
{
    return bsearch(&value, e->value, e->values, sizeof value, compare_values) != NULL;
}

/* Refuses the values of enumerators that are gone, each by its name. Returns how many there are. */
static size_t refuse_gone(struct match *m, Dwarf_Die *old, const struct enumeration *left, bool is_signed,
                          uint64_t from, uint64_t width, struct moves *moves)
{
    size_t gone = 0;
    Dwarf_Die child;

    if (dwarf_child(old, &child) != 0)
        return 0;
    do {
        uint64_t value = die_number(&child, DW_AT_const_value, 0);
        char why[300];

        if (dwarf_tag(&child) != DW_TAG_enumerator || has_value(left, value))
            continue;
        snprintf(why, sizeof why, "which was %s and is gone", dwarf_diename(&child) ?: "");
        refuse_range(m, moves, is_signed, from, width, value, value, why);
        gone++;
    } while (dwarf_siblingof(&child, &child) == 0);
    return gone;
}

/* Refuses what lies between the values that are left, and around them. */
static void refuse_others(struct match *m, const struct enumeration *left, bool is_signed, uint64_t from,
                          uint64_t width, struct moves *moves, const char *why)
{
    for (size_t i = 0; i < left->values; i++) {
        uint64_t low = left->value[i] + 1, next = left->value[(i + 1) % left->values];
        if (low != next)
            refuse_range(m, moves, is_signed, from, width, low, next - 1, why);
    }
}

static void refuse_flags(struct match *m, const struct enumeration *left, uint64_t from, uint64_t width,
                         struct moves *moves, const char *why)
{
    struct recipe_move move = {.kind = RECIPE_REFUSE_FLAGS, .from = (uint32_t)from, .from_width = (uint32_t)width};

    move.low = ~0ull;
    for (size_t i = 0; i < left->values; i++)
        move.low &= ~left->value[i];
    add_check(m, moves, move, why);
}

/* Values that no enumerator had are refused too, once one is gone: the new version may not know them. Of flags, values
 * that consist of those that are left are known. */
static bool check_enumerators(struct match *m, const struct loss_number *n, Dwarf_Die *old, Dwarf_Die *new_,
                              uint64_t from, struct moves *moves)
{
    OWN(memory) struct enumeration *was = malloc(sizeof *was), *is = malloc(sizeof *is);
    OWN(memory) char *type = render_type(n->new_, ""), *why = NULL;
    bool is_signed = field_number(old) == NUMBER_SIGNED;

    if (!was || !is || !type || asprintf(&why, "which %s has no name for", type) < 0) {
        m->failed = true;
        return false;
    }
    read_enumeration(was, old);
    read_enumeration(is, new_);
    if (refuse_gone(m, old, is, is_signed, from, n->old_bits, moves) == 0)
        return false;
    if (was->flags)
        refuse_flags(m, is, from, n->old_bits, moves, why);
    else
        refuse_others(m, is, is_signed, from, n->old_bits, moves, why);
    return true;
}

bool loss_check_number(struct match *m, const struct loss_number *n, uint64_t from, struct moves *moves)
{
    Dwarf_Die old, new_;

    if (!field_type(n->old, &old) || !field_type(n->new_, &new_) || n->old_bits == 0 || n->old_bits > 64 ||
        n->new_bits == 0 || n->new_bits > 64 || field_number(&old) == NUMBER_NONE)
        return false;
    bool gone = dwarf_tag(&old) == DW_TAG_enumeration_type && check_enumerators(m, n, &old, &new_, from, moves);
    return check_range(m, n, &old, &new_, from, moves) || gone;
}

/* ---- what there is no place for ---- */

static void add_lost(struct match *m, Dwarf_Die *holder, uint64_t bits, uint64_t from, struct moves *moves,
                     const char *why, unsigned depth);

static void add_lost_bytes(struct match *m, uint64_t from, uint64_t bytes, struct moves *moves, const char *why)
{
    const struct recipe_move move = {
        .kind = RECIPE_REFUSE_USED, .from = (uint32_t)(from / 8), .from_width = (uint32_t)bytes};

    add_check(m, moves, move, why);
}

static void add_lost_elements(struct match *m, Dwarf_Die *type, uint64_t from, struct moves *moves, const char *why,
                              unsigned depth)
{
    size_t at = m->path_bytes;
    struct array array;
    CLOSED_BY(moves_done) struct moves lost = {0};

    if (!array_read(&array, type)) {
        add_lost_bytes(m, from, field_type_bytes(type), moves, why);
        return;
    }
    match_path(m, "", "[]");
    add_lost(m, &array.holder, 0, 0, &lost, why, depth);
    match_path_back(m, at);
    for (size_t i = array.dimensions; i-- > 0;) {
        const struct moves_name name = {.texts = m->texts, .at = at, .outer = i + 1 < array.dimensions};
        struct moves all = {0};
        m->failed |= !moves_repeat(&all, &lost, array.dimension[i], array_stride(&array, i), 0, &name);
        moves_done(&lost);
        lost = all;
    }
    m->failed |= !moves_append(moves, &lost, from / 8, 0);
}

static void add_lost_fields(struct match *m, Dwarf_Die *type, uint64_t from, struct moves *moves, const char *why,
                            unsigned depth)
{
    CLOSED_BY(fields_done) struct fields fields = {0};

    m->failed |= !fields_read(type, &fields);
    for (size_t i = 0; i < fields.fields; i++) {
        struct field *f = &fields.field[i];
        size_t back = match_path(m, ".", f->name);
        add_lost(m, &f->die, f->bits, from + f->bit, moves, why, depth);
        match_path_back(m, back);
    }
}

/* What `holder` names, at bit `from`: a bit field of `bits`, or 0. Padding does not count. */
static void add_lost(struct match *m, Dwarf_Die *holder, uint64_t bits, uint64_t from, struct moves *moves,
                     const char *why, unsigned depth)
{
    struct match_word *word = match_word(m, "");
    Dwarf_Die type;

    if (word && !word->to) {
        word->used = true;
        match_remark(m, &m->changed, "dropped");
        return;
    }
    if (!field_type(holder, &type) || depth == DEPTH_MAX)
        return;
    uint64_t bytes = field_type_bytes(&type), width = bits ?: 8 * bytes;
    int tag = dwarf_tag(&type);
    if (tag == DW_TAG_array_type)
        add_lost_elements(m, &type, from, moves, why, depth + 1);
    else if (tag == DW_TAG_structure_type)
        add_lost_fields(m, &type, from, moves, why, depth + 1);
    else if (field_number(&type) != NUMBER_NONE && width <= 64)
        refuse_range(m, moves, field_number(&type) == NUMBER_SIGNED, from, width, 1, UINT64_MAX, why);
    else
        add_lost_bytes(m, from, bytes, moves, why);
}

/* Why what is at the path is refused; owned. NULL: no memory, which is noted. */
static char *explain_loss(struct match *m)
{
    char *why = NULL;

    if (asprintf(&why, "and would be lost; say --drop %s", m->path) >= 0)
        return why;
    m->failed = true;
    return NULL;
}

static void add_lost_at(struct match *m, Dwarf_Die *holder, uint64_t bits, uint64_t from, struct moves *moves)
{
    OWN(memory) char *why = explain_loss(m);

    if (why)
        add_lost(m, holder, bits, from, moves, why, 0);
}

void loss_add_bytes(struct match *m, uint64_t from, uint64_t bytes, const char *after, struct moves *moves)
{
    size_t back = match_path(m, "", after);
    OWN(memory) char *why = explain_loss(m);

    match_path_back(m, back);
    if (why)
        add_lost_bytes(m, 8 * from, bytes, moves, why);
}

void loss_add(struct match *m, Dwarf_Die *holder, struct moves *moves)
{
    add_lost_at(m, holder, 0, 0, moves);
}

void loss_add_field(struct match *m, struct field *field, struct moves *moves)
{
    add_lost_at(m, &field->die, field->bits, field->bit, moves);
}
