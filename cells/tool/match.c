/* See match.h. */
#include "cells/tool/match.h"
#include "cells/tool/die.h"
#include "cells/tool/field.h"
#include "cells/tool/hash.h"
#include "cells/tool/loss.h"
#include "cells/tool/render.h"
#include <dwarf.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX  32
#define WORD_BYTES 8 /* of the numbers that a recipe can look into */

#define IF_IT_FITS "; the swap is refused if a value does not fit"

/* Adds a remark that ends with "was OLD, is NEW", and what comes `after`. */
static void remark_change(struct match *m, struct match_lines *lines, const char *what, Dwarf_Die *old, Dwarf_Die *new_,
                          const char *after)
{
    OWN(memory) char *was = render_type(old, ""), *is = render_type(new_, "");

    m->failed |= !was || !is;
    if (was && is)
        match_remark(m, lines, "%swas %s, is %s%s", what, was, is, after);
}

/* ---- moves ---- */

static void add_value(struct match *m, struct moves *moves, uint32_t kind, uint64_t from, uint64_t from_width,
                      uint64_t to, uint64_t to_width)
{
    const struct recipe_move move = {.kind = kind,
                                     .count = 1,
                                     .from = (uint32_t)from,
                                     .to = (uint32_t)to,
                                     .from_width = (uint32_t)from_width,
                                     .to_width = (uint32_t)to_width};

    m->failed |= !moves_add(moves, move);
}

/* ---- one field ---- */

struct pair {
    Dwarf_Die *old, *new_; /* what holds the type */
    uint64_t from, to;     /* offsets in bytes */
};

static void match_pair(struct match *m, const struct pair *pair, struct moves *moves, unsigned depth);

static bool is_same_type(struct match *m, Dwarf_Die *old, Dwarf_Die *new_)
{
    uint64_t a = hash_type(old, m->old_tags), b = hash_type(new_, m->new_tags);

    m->failed |= !a || !b;
    return a == b;
}

/* Whether each enumerator that is left has the value that it had. Reports those that have not. */
static bool enumerators_stay(struct match *m, Dwarf_Die *old, Dwarf_Die *new_)
{
    size_t before = m->refused.lines;
    Dwarf_Die child;

    if (dwarf_child(old, &child) != 0)
        return true;
    do {
        const char *name = dwarf_diename(&child) ?: "";
        int64_t was = (int64_t)die_number(&child, DW_AT_const_value, 0), is;

        if (dwarf_tag(&child) == DW_TAG_enumerator && loss_find_enumerator(new_, name, &is) && was != is)
            match_remark(m, &m->refused, "enumerator %s was %" PRId64 ", is %" PRId64, name, was, is);
    } while (dwarf_siblingof(&child, &child) == 0);
    return m->refused.lines == before;
}

static bool is_integer(enum number number)
{
    return number == NUMBER_SIGNED || number == NUMBER_UNSIGNED;
}

/* Whether numbers of the one type can be taken over as numbers of the other, if they fit. Reports why not. */
static bool numbers_agree(struct match *m, const struct pair *pair, Dwarf_Die *old, Dwarf_Die *new_)
{
    enum number was = field_number(old), is = field_number(new_);

    if (dwarf_tag(old) == DW_TAG_enumeration_type)
        return enumerators_stay(m, old, new_);
    if ((field_type_bytes(old) > WORD_BYTES || field_type_bytes(new_) > WORD_BYTES) &&
        (field_type_bytes(old) != field_type_bytes(new_) || was != is)) {
        remark_change(m, &m->refused, "", pair->old, pair->new_, "; a recipe knows numbers of up to 64 bits");
        return false;
    }
    if ((is_integer(was) && is_integer(is)) || (was == NUMBER_BOOL && is == NUMBER_BOOL))
        return true;
    if (was == is && field_type_bytes(old) == field_type_bytes(new_) &&
        die_number(old, DW_AT_encoding, 0) == die_number(new_, DW_AT_encoding, 0))
        return true;
    remark_change(m, &m->refused, "", pair->old, pair->new_, "");
    return false;
}

/* What is said of a number whose width or sign changes; NULL: neither does. */
static const char *describe_change(Dwarf_Die *old, Dwarf_Die *new_, uint64_t was, uint64_t is)
{
    if (was != is)
        return is < was ? "narrowed" : "widened";
    return is_integer(field_number(old)) && is_integer(field_number(new_)) && field_number(old) != field_number(new_)
               ? "its sign has changed"
               : NULL;
}

static void match_number(struct match *m, const struct pair *pair, Dwarf_Die *old, Dwarf_Die *new_, struct moves *moves)
{
    uint64_t was = field_type_bytes(old), is = field_type_bytes(new_);
    const struct loss_number number = {pair->old, pair->new_, 8 * was, 8 * is};
    const char *how = describe_change(old, new_, was, is);
    char what[32];

    if (!numbers_agree(m, pair, old, new_))
        return;
    bool checked = loss_check_number(m, &number, 8 * pair->from, moves);
    snprintf(what, sizeof what, "%s: ", how ?: "");
    if (how || checked)
        remark_change(m, &m->changed, how ? what : "", pair->old, pair->new_, checked ? IF_IT_FITS : "");
    if (is < was)
        add_value(m, moves, RECIPE_CUT_BITS, 8 * pair->from, 8 * was, 8 * pair->to, 8 * is);
    else if (is == was)
        add_value(m, moves, RECIPE_COPY, pair->from, was, pair->to, is);
    else
        add_value(m, moves, field_number(old) == NUMBER_SIGNED ? RECIPE_SIGN_EXTEND : RECIPE_ZERO_EXTEND, pair->from,
                  was, pair->to, is);
}

static void match_pointer(struct match *m, const struct pair *pair, Dwarf_Die *old, Dwarf_Die *new_,
                          struct moves *moves)
{
    uint64_t a = hash_behind(old, m->old_tags), b = hash_behind(new_, m->new_tags);
    uint64_t was = hash_type(pair->old, NULL), is = hash_type(pair->new_, NULL);

    m->failed |= !a || !b;
    if (a == b)
        add_value(m, moves, RECIPE_COPY, pair->from, field_type_bytes(old), pair->to, field_type_bytes(new_));
    else if (was == is)
        match_remark(m, &m->refused, "its target has another layout; static data alone can be taken over by a recipe");
    else
        remark_change(m, &m->refused, "refers to something else: ", pair->old, pair->new_, "");
}

/* ---- arrays ---- */

/* Adds to `moves` those of all elements of a dimension, in place of those of one. `lost` refuses what there is in one
 * old element: it is added for those that the new array has not, and then is for all elements as well. */
static void repeat_elements(struct match *m, struct moves *moves, struct moves *lost, const struct array *old,
                            const struct array *new_, size_t dimension, struct moves_name name)
{
    uint64_t was = old->dimension[dimension], is = new_->dimension[dimension], stays = was < is ? was : is;
    uint64_t stride = array_stride(old, dimension);
    struct moves all = {0};
    CLOSED_BY(moves_done) struct moves tail = {0};

    if (stays)
        m->failed |= !moves_repeat(&all, moves, stays, stride, array_stride(new_, dimension), &name);
    name.first = (uint32_t)stays;
    if (stays < was)
        m->failed |= !moves_repeat(&tail, lost, was - stays, stride, 0, &name);
    m->failed |= !moves_append(&all, &tail, stays * stride, 0);
    moves_done(moves);
    *moves = all;

    struct moves every = {0};
    name.first = 0;
    m->failed |= !moves_repeat(&every, lost, was, stride, 0, &name);
    moves_done(lost);
    *lost = every;
}

static void match_elements(struct match *m, struct array *old, struct array *new_, struct moves *ret_moves,
                           bool shorter, unsigned depth)
{
    size_t back = match_path(m, "", "[]");
    const struct pair pair = {&old->holder, &new_->holder, 0, 0};
    CLOSED_BY(moves_done) struct moves lost = {0};

    match_pair(m, &pair, ret_moves, depth);
    if (shorter)
        loss_add(m, &old->holder, &lost);
    match_path_back(m, back);
    for (size_t i = old->dimensions; i-- > 0;) {
        const struct moves_name name = {.texts = m->texts, .at = back, .outer = i + 1 < old->dimensions};
        repeat_elements(m, ret_moves, &lost, old, new_, i, name);
    }
}

static void match_array(struct match *m, const struct pair *pair, Dwarf_Die *old, Dwarf_Die *new_, struct moves *moves,
                        unsigned depth)
{
    struct array was, is;
    CLOSED_BY(moves_done) struct moves inner = {0};
    bool shorter = false;

    if (!array_read(&was, old) || !array_read(&is, new_) || was.dimensions != is.dimensions) {
        remark_change(m, &m->refused, "other dimensions: ", pair->old, pair->new_, "");
        return;
    }
    for (size_t i = 0; i < was.dimensions; i++) {
        if (is.dimension[i] < was.dimension[i])
            match_remark(m, &m->changed,
                         "shortened from %" PRIu64 " to %" PRIu64
                         " elements; the swap is refused if one beyond the end is "
                         "not zero, unless --drop %s[] is said",
                         was.dimension[i], is.dimension[i], m->path);
        if (is.dimension[i] > was.dimension[i])
            match_remark(m, &m->changed, "lengthened from %" PRIu64 " to %" PRIu64 " elements", was.dimension[i],
                         is.dimension[i]);
        shorter |= is.dimension[i] < was.dimension[i];
    }
    match_elements(m, &was, &is, &inner, shorter, depth);
    m->failed |= !moves_append(moves, &inner, pair->from, pair->to);
}

/* ---- structures ---- */

static struct field *find_field(const struct fields *fields, const char *name)
{
    for (size_t i = 0; i < fields->fields; i++)
        if (!fields->field[i].paired && strcmp(fields->field[i].name, name) == 0)
            return &fields->field[i];
    return NULL;
}

static void match_bits(struct match *m, const struct pair *base, struct field *old, struct field *new_,
                       struct moves *moves)
{
    const struct pair pair = {&old->die, &new_->die, 0, 0};
    const struct loss_number number = {&old->die, &new_->die, field_bits(old), field_bits(new_)};
    uint64_t was = number.old_bits, is = number.new_bits, from = 8 * base->from + old->bit;
    Dwarf_Die a, b;

    if (!field_type(&old->die, &a) || !field_type(&new_->die, &b) || dwarf_tag(&a) != dwarf_tag(&b) || was > 64 ||
        is > 64) {
        remark_change(m, &m->refused, "", &old->die, &new_->die, "");
        return;
    }
    if (!numbers_agree(m, &pair, &a, &b))
        return;
    bool checked = loss_check_number(m, &number, from, moves);
    const char *how = describe_change(&a, &b, was, is), *after = checked ? IF_IT_FITS : "";
    if (was != is)
        match_remark(m, &m->changed, "%s from %" PRIu64 " to %" PRIu64 " bits%s", how, was, is, after);
    else if (how || checked)
        remark_change(m, &m->changed, how ? "its sign has changed: " : "", &old->die, &new_->die, after);
    uint32_t extend = field_number(&a) == NUMBER_SIGNED ? RECIPE_SIGN_BITS : RECIPE_ZERO_BITS;
    add_value(m, moves, is < was ? RECIPE_CUT_BITS : extend, from, was, 8 * base->to + new_->bit, is);
}

static void match_field(struct match *m, const struct pair *base, struct field *old, struct field *new_,
                        struct moves *moves, unsigned depth)
{
    const struct pair pair = {&old->die, &new_->die, base->from + old->bit / 8, base->to + new_->bit / 8};
    size_t back = match_path(m, ".", old->name);

    old->paired = new_->paired = true;
    if (old->bits || new_->bits)
        match_bits(m, base, old, new_, moves);
    else
        match_pair(m, &pair, moves, depth);
    match_path_back(m, back);
}

/* Finds an unpaired new field of the same type as an old one that is missing. */
static struct field *find_renamed_field(struct match *m, struct field *gone, const struct fields *fields)
{
    for (size_t i = 0; i < fields->fields; i++) {
        struct field *f = &fields->field[i];
        if (!f->paired && f->bits == gone->bits && is_same_type(m, &gone->die, &f->die))
            return f;
    }
    return NULL;
}

/* Of `base`, of which only what was is looked at. */
static void match_gone(struct match *m, const struct pair *base, struct field *gone, const struct fields *fields,
                       struct moves *moves)
{
    CLOSED_BY(moves_done) struct moves lost = {0};
    struct match_word *word = match_word(m, gone->name);
    size_t back = match_path(m, ".", gone->name);
    struct field *renamed;

    if (word)
        word->used = true;
    if (word && !word->to) {
        match_remark(m, &m->changed, "dropped");
    } else if (word) {
        match_remark(m, &m->refused, "said to be %s, which the new version has not, or takes from elsewhere", word->to);
    } else if ((renamed = find_renamed_field(m, gone, fields))) {
        match_remark(m, &m->refused, "is gone, and %s of the same type is new; say --rename %s=%s or --drop %s",
                     renamed->name, m->path, renamed->name, m->path);
    } else {
        match_remark(m, &m->changed, GONE, m->path);
        loss_add_field(m, gone, &lost);
        m->failed |= !moves_append(moves, &lost, base->from, 0);
    }
    match_path_back(m, back);
}

static void match_renamed(struct match *m, const struct pair *base, struct fields *old, struct fields *new_,
                          struct moves *moves, unsigned depth)
{
    for (size_t i = 0; i < old->fields; i++) {
        struct match_word *word = match_word(m, old->field[i].name);
        struct field *to = word && word->to && !old->field[i].paired ? find_field(new_, word->to) : NULL;

        if (!to)
            continue;
        word->used = true;
        match_field(m, base, &old->field[i], to, moves, depth);
    }
}

static void match_fields(struct match *m, const struct pair *base, struct fields *old, struct fields *new_,
                         struct moves *moves, unsigned depth)
{
    match_renamed(m, base, old, new_, moves, depth);
    for (size_t i = 0; i < new_->fields; i++) {
        struct field *to = &new_->field[i], *from = to->paired ? NULL : find_field(old, to->name);
        struct match_word *word = from ? match_word(m, from->name) : NULL;

        if (from && !word)
            match_field(m, base, from, to, moves, depth);
    }
    for (size_t i = 0; i < old->fields; i++)
        if (!old->field[i].paired)
            match_gone(m, base, &old->field[i], new_, moves);
    for (size_t i = 0; i < new_->fields; i++)
        if (!new_->field[i].paired) {
            size_t back = match_path(m, ".", new_->field[i].name);
            match_remark(m, &m->changed, "new, with the value that the new version begins with");
            match_path_back(m, back);
        }
}

static void match_structures(struct match *m, const struct pair *pair, Dwarf_Die *old, Dwarf_Die *new_,
                             struct moves *moves, unsigned depth)
{
    const char *was = dwarf_diename(old), *is = dwarf_diename(new_);
    CLOSED_BY(fields_done) struct fields a = {0};
    CLOSED_BY(fields_done) struct fields b = {0};

    if (was && is && strcmp(was, is) != 0) {
        remark_change(m, &m->refused, "", pair->old, pair->new_, "");
        return;
    }
    add_value(m, moves, RECIPE_PLACE, pair->from, 0, pair->to, 0);
    m->failed |= !fields_read(old, &a) || !fields_read(new_, &b);
    match_fields(m, pair, &a, &b, moves, depth);
}

static void match_pair(struct match *m, const struct pair *pair, struct moves *moves, unsigned depth)
{
    Dwarf_Die old, new_;

    if (!field_type(pair->old, &old) || !field_type(pair->new_, &new_) || depth == DEPTH_MAX ||
        dwarf_tag(&old) != dwarf_tag(&new_)) {
        remark_change(m, &m->refused, "", pair->old, pair->new_, "");
        return;
    }
    if (is_same_type(m, pair->old, pair->new_)) {
        add_value(m, moves, RECIPE_COPY, pair->from, field_type_bytes(&old), pair->to, field_type_bytes(&new_));
        return;
    }
    switch (dwarf_tag(&old)) {
    case DW_TAG_base_type:
    case DW_TAG_enumeration_type:
        match_number(m, pair, &old, &new_, moves);
        break;
    case DW_TAG_pointer_type:
        match_pointer(m, pair, &old, &new_, moves);
        break;
    case DW_TAG_array_type:
        match_array(m, pair, &old, &new_, moves, depth + 1);
        break;
    case DW_TAG_structure_type:
        match_structures(m, pair, &old, &new_, moves, depth + 1);
        break;
    case DW_TAG_union_type:
        match_remark(m, &m->refused, "a union has changed, and which member is in use is not known");
        break;
    default:
        remark_change(m, &m->refused, "", pair->old, pair->new_, "");
        break;
    }
}

void match_types(struct match *m, Dwarf_Die *old, Dwarf_Die *new_, struct moves *moves)
{
    const struct pair pair = {old, new_, 0, 0};

    match_pair(m, &pair, moves, 0);
}
