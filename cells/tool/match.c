/* See match.h. */
#include "cells/tool/match.h"
#include "cells/tool/die.h"
#include "cells/tool/hash.h"
#include "cells/tool/list.h"
#include "cells/tool/render.h"
#include <dwarf.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DIMENSIONS_MAX 8
#define DEPTH_MAX      32

/* ---- words ---- */

static void free_lines(struct match_lines *lines)
{
    for (size_t i = 0; i < lines->lines; i++) {
        free(lines->line[i].field);
        free(lines->line[i].text);
    }
    free(lines->line);
    *lines = (struct match_lines){0};
}

void match_done(struct match *match)
{
    free_lines(&match->refused);
    free_lines(&match->changed);
}

size_t match_path(struct match *match, const char *between, const char *name)
{
    size_t before = match->path_bytes, room = sizeof match->path - before;
    int n = snprintf(match->path + before, room, "%s%s", before ? between : "", name);

    match->path_bytes += (size_t)n < room ? (size_t)n : room - 1;
    return before;
}

void match_path_back(struct match *match, size_t bytes)
{
    match->path[match->path_bytes = bytes] = '\0';
}

struct match_word *match_word(struct match *match, const char *name)
{
    size_t back = match_path(match, *name ? "." : "", name);
    struct match_word *found = NULL;

    for (size_t i = 0; i < match->words && !found; i++)
        if (strcmp(match->word[i].path, match->path) == 0)
            found = &match->word[i];
    match_path_back(match, back);
    return found;
}

void match_say(struct match *match, struct match_lines *lines, const char *format, ...)
{
    struct match_line *line = list_room(lines->line, lines->lines, &lines->capacity, sizeof *line);
    va_list args;

    match->failed |= !line;
    if (!line)
        return;
    lines->line = line;
    line += lines->lines;
    line->field = strdup(match->path);
    va_start(args, format);
    if (vasprintf(&line->text, format, args) < 0)
        line->text = NULL;
    va_end(args);
    match->failed |= !line->field || !line->text;
    lines->lines++; /* match_done accepts NULL */
}

/* Ends with "was OLD, is NEW". */
static void say_was(struct match *m, struct match_lines *lines, const char *what, Dwarf_Die *old, Dwarf_Die *new_)
{
    char *was = render_type(old, ""), *is = render_type(new_, "");

    if (was && is)
        match_say(m, lines, "%swas %s, is %s", what, was, is);
    m->failed |= !was || !is;
    free(was);
    free(is);
}

/* ---- moves ---- */

static bool joins(const struct recipe_move *a, const struct recipe_move *b)
{
    return a->kind == RECIPE_COPY && b->kind == RECIPE_COPY && a->count == 1 && b->count == 1 &&
           a->from + a->from_width == b->from && a->to + a->to_width == b->to;
}

static void add_move(struct match *m, struct match_moves *moves, struct recipe_move move)
{
    struct recipe_move *last = moves->moves ? &moves->move[moves->moves - 1] : NULL;

    if (move.from_width == 0 && move.kind != RECIPE_PLACE)
        return;
    if (last && joins(last, &move)) {
        last->from_width = last->to_width += move.to_width;
        return;
    }
    struct recipe_move *room = list_room(moves->move, moves->moves, &moves->capacity, sizeof *room);
    if (!room) {
        m->failed = true;
        return;
    }
    moves->move = room;
    room[moves->moves++] = move;
}

static void add_value(struct match *m, struct match_moves *moves, uint32_t kind, uint64_t from, uint64_t from_width,
                      uint64_t to, uint64_t to_width)
{
    add_move(m, moves,
             (struct recipe_move){.kind = kind,
                                  .count = 1,
                                  .from = (uint32_t)from,
                                  .to = (uint32_t)to,
                                  .from_width = (uint32_t)from_width,
                                  .to_width = (uint32_t)to_width});
}

static bool is_bits(const struct recipe_move *move)
{
    return move->kind == RECIPE_ZERO_BITS || move->kind == RECIPE_SIGN_BITS;
}

static struct recipe_move shifted(struct recipe_move move, uint64_t from, uint64_t to)
{
    unsigned unit = is_bits(&move) ? 8 : 1;

    move.from += (uint32_t)(unit * from);
    move.to += (uint32_t)(unit * to);
    return move;
}

/* ---- one field ---- */

struct pair {
    Dwarf_Die *old, *new_; /* what holds the type */
    uint64_t from, to;     /* offsets in bytes */
};

static void match_pair(struct match *m, const struct pair *pair, struct match_moves *moves, unsigned depth);

static bool held_type(Dwarf_Die *holder, Dwarf_Die *ret_type)
{
    if (!die_type(holder, ret_type))
        return false;
    while (die_peel(ret_type, true) && dwarf_tag(ret_type) == DW_TAG_atomic_type) {
        Dwarf_Die inner;
        if (!die_type(ret_type, &inner))
            return false;
        *ret_type = inner;
    }
    return true;
}

static uint64_t bytes_of(Dwarf_Die *type)
{
    Dwarf_Word bytes;

    return dwarf_aggregate_size(type, &bytes) == 0 ? bytes : 0;
}

static bool is_same(struct match *m, Dwarf_Die *old, Dwarf_Die *new_)
{
    uint64_t a = hash_type(old, m->old_tags), b = hash_type(new_, m->new_tags);

    m->failed |= !a || !b;
    return a == b;
}

enum number { NUMBER_NONE, NUMBER_SIGNED, NUMBER_UNSIGNED, NUMBER_BOOL };

static enum number number_of(Dwarf_Die *type)
{
    Dwarf_Die under;
    uint64_t encoding = die_number(type, DW_AT_encoding, 0);

    if (!encoding && dwarf_tag(type) == DW_TAG_enumeration_type && held_type(type, &under))
        encoding = die_number(&under, DW_AT_encoding, 0);
    switch (encoding) {
    case DW_ATE_signed:
    case DW_ATE_signed_char:
        return NUMBER_SIGNED;
    case DW_ATE_unsigned:
    case DW_ATE_unsigned_char:
    case DW_ATE_UTF:
        return NUMBER_UNSIGNED;
    case DW_ATE_boolean:
        return NUMBER_BOOL;
    default:
        return NUMBER_NONE;
    }
}

static bool find_enumerator(Dwarf_Die *type, const char *name, int64_t *ret_value)
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

/* Each name that the old code may have stored means the same to the new one. */
static bool enumerators_stay(struct match *m, Dwarf_Die *old, Dwarf_Die *new_)
{
    size_t before = m->refused.lines;
    Dwarf_Die child;

    if (dwarf_child(old, &child) != 0)
        return true;
    do {
        const char *name = dwarf_diename(&child) ?: "";
        int64_t was = (int64_t)die_number(&child, DW_AT_const_value, 0), is;

        if (dwarf_tag(&child) != DW_TAG_enumerator)
            continue;
        if (!find_enumerator(new_, name, &is))
            match_say(m, &m->refused, "enumerator %s (%" PRId64 ") is gone", name, was);
        else if (was != is)
            match_say(m, &m->refused, "enumerator %s was %" PRId64 ", is %" PRId64, name, was, is);
    } while (dwarf_siblingof(&child, &child) == 0);
    return m->refused.lines == before;
}

/* Whether a number of the one type means the same in the other; says why not. */
static bool numbers_agree(struct match *m, const struct pair *pair, Dwarf_Die *old, Dwarf_Die *new_)
{
    enum number was = number_of(old), is = number_of(new_);

    if (dwarf_tag(old) == DW_TAG_enumeration_type)
        return enumerators_stay(m, old, new_);
    if (was == is &&
        (was != NUMBER_NONE || (bytes_of(old) == bytes_of(new_) &&
                                die_number(old, DW_AT_encoding, 0) == die_number(new_, DW_AT_encoding, 0))))
        return true;
    bool signs = (was == NUMBER_SIGNED && is == NUMBER_UNSIGNED) || (was == NUMBER_UNSIGNED && is == NUMBER_SIGNED);
    say_was(m, &m->refused, signs ? "its sign has changed: " : "", pair->old, pair->new_);
    return false;
}

static void match_number(struct match *m, const struct pair *pair, Dwarf_Die *old, Dwarf_Die *new_,
                         struct match_moves *moves)
{
    uint64_t was = bytes_of(old), is = bytes_of(new_);
    enum number number = number_of(old);

    if (!numbers_agree(m, pair, old, new_))
        return;
    if (is < was) {
        say_was(m, &m->refused, "narrowed: ", pair->old, pair->new_);
        return;
    }
    if (is > was)
        say_was(m, &m->changed, "widened: ", pair->old, pair->new_);
    uint32_t kind = is == was ? RECIPE_COPY : number == NUMBER_SIGNED ? RECIPE_SIGN_EXTEND : RECIPE_ZERO_EXTEND;
    add_value(m, moves, kind, pair->from, was, pair->to, is);
}

static void match_pointer(struct match *m, const struct pair *pair, Dwarf_Die *old, Dwarf_Die *new_,
                          struct match_moves *moves)
{
    uint64_t a = hash_behind(old, m->old_tags), b = hash_behind(new_, m->new_tags);
    uint64_t was = hash_type(pair->old, NULL), is = hash_type(pair->new_, NULL);

    m->failed |= !a || !b;
    if (a == b)
        add_value(m, moves, RECIPE_COPY, pair->from, bytes_of(old), pair->to, bytes_of(new_));
    else if (was == is)
        match_say(m, &m->refused,
                  "what it leads to has another layout; static data alone can be taken over by a recipe");
    else
        say_was(m, &m->refused, "leads to something else: ", pair->old, pair->new_);
}

/* ---- arrays ---- */

struct array {
    Dwarf_Die holder; /* of the element's type */
    uint64_t dimension[DIMENSIONS_MAX], element_bytes;
    size_t dimensions;
};

static bool read_dimensions(struct array *array, Dwarf_Die *type)
{
    Dwarf_Die child;

    if (dwarf_child(type, &child) != 0)
        return false;
    do {
        if (dwarf_tag(&child) != DW_TAG_subrange_type)
            continue;
        if (array->dimensions == DIMENSIONS_MAX)
            return false;
        array->dimension[array->dimensions++] = die_elements(&child);
    } while (dwarf_siblingof(&child, &child) == 0);
    return true;
}

/* An array of arrays has the dimensions of both. */
static bool read_array(struct array *ret_array, Dwarf_Die *type)
{
    struct array array = {.holder = *type};
    Dwarf_Die element;

    do {
        if (!read_dimensions(&array, &array.holder) || !held_type(&array.holder, &element))
            return false;
        if (dwarf_tag(&element) == DW_TAG_array_type)
            array.holder = element;
    } while (dwarf_tag(&element) == DW_TAG_array_type);
    array.element_bytes = bytes_of(&element);
    *ret_array = array;
    return true;
}

static uint64_t stride(const struct array *array, size_t dimension)
{
    uint64_t bytes = array->element_bytes;

    while (++dimension < array->dimensions)
        bytes *= array->dimension[dimension];
    return bytes;
}

/* `inner` once for each of `count` elements. */
static void repeat(struct match *m, const struct match_moves *inner, uint64_t count, uint64_t from_stride,
                   uint64_t to_stride, struct match_moves *moves)
{
    for (size_t i = 0; i < inner->moves; i++) {
        struct recipe_move move = inner->move[i];
        unsigned unit = is_bits(&move) ? 8 : 1;

        if (move.count == 1 && move.kind == RECIPE_COPY && move.from_width == from_stride &&
            move.to_width == to_stride) {
            move.from_width = move.to_width *= (uint32_t)count;
            add_move(m, moves, move);
        } else if (move.count == 1) {
            move.count = (uint32_t)count;
            move.from_stride = (uint32_t)(unit * from_stride);
            move.to_stride = (uint32_t)(unit * to_stride);
            add_move(m, moves, move);
        } else {
            for (uint64_t k = 0; k < count && moves->moves <= MOVES_MAX; k++)
                add_move(m, moves, shifted(move, k * from_stride, k * to_stride));
        }
    }
}

static void match_elements(struct match *m, struct array *old, struct array *new_, struct match_moves *ret_moves,
                           unsigned depth)
{
    size_t back = match_path(m, "", "[]");
    const struct pair pair = {&old->holder, &new_->holder, 0, 0};

    match_pair(m, &pair, ret_moves, depth);
    match_path_back(m, back);
    for (size_t i = old->dimensions; i-- > 0;) {
        struct match_moves outer = {0};

        if (old->dimension[i] && new_->dimension[i])
            repeat(m, ret_moves, old->dimension[i], stride(old, i), stride(new_, i), &outer);
        free(ret_moves->move);
        *ret_moves = outer;
    }
}

static void match_array(struct match *m, const struct pair *pair, Dwarf_Die *old, Dwarf_Die *new_,
                        struct match_moves *moves, unsigned depth)
{
    struct array was, is;
    struct match_moves inner = {0};

    if (!read_array(&was, old) || !read_array(&is, new_) || was.dimensions != is.dimensions) {
        say_was(m, &m->refused, "other dimensions: ", pair->old, pair->new_);
        return;
    }
    for (size_t i = 0; i < was.dimensions; i++) {
        if (is.dimension[i] < was.dimension[i]) {
            match_say(m, &m->refused, "shortened from %" PRIu64 " to %" PRIu64 " elements", was.dimension[i],
                      is.dimension[i]);
            return;
        }
        if (is.dimension[i] > was.dimension[i])
            match_say(m, &m->changed, "lengthened from %" PRIu64 " to %" PRIu64 " elements", was.dimension[i],
                      is.dimension[i]);
    }
    match_elements(m, &was, &is, &inner, depth);
    for (size_t i = 0; i < inner.moves && moves->moves <= MOVES_MAX; i++)
        add_move(m, moves, shifted(inner.move[i], pair->from, pair->to));
    free(inner.move);
}

/* ---- structures ---- */

struct field {
    const char *name;
    Dwarf_Die die;
    uint64_t bit;  /* offset in the structure */
    uint64_t bits; /* width of a bit field; else 0 */
    bool paired;
};
struct fields {
    struct field *field;
    size_t fields, capacity;
};

static const char *first_name(Dwarf_Die *type)
{
    Dwarf_Die child;

    if (dwarf_child(type, &child) != 0)
        return "";
    return dwarf_diename(&child) ?: "";
}

/* Members of an anonymous structure are the outer one's. An anonymous union goes by the name of its first member. */
static void read_fields(struct match *m, Dwarf_Die *type, uint64_t base, struct fields *fields, unsigned depth)
{
    Dwarf_Die child, inner;

    if (depth == DEPTH_MAX || dwarf_child(type, &child) != 0)
        return;
    do {
        if (dwarf_tag(&child) != DW_TAG_member)
            continue;
        const char *name = dwarf_diename(&child);
        uint64_t bits = die_number(&child, DW_AT_bit_size, 0);
        uint64_t bit = base + (bits ? die_number(&child, DW_AT_data_bit_offset, 0)
                                    : 8 * die_number(&child, DW_AT_data_member_location, 0));
        if (!name && held_type(&child, &inner)) {
            if (dwarf_tag(&inner) == DW_TAG_structure_type) {
                read_fields(m, &inner, bit, fields, depth + 1);
                continue;
            }
            name = first_name(&inner);
        }
        struct field *room = list_room(fields->field, fields->fields, &fields->capacity, sizeof *room);
        if (!room) {
            m->failed = true;
            return;
        }
        fields->field = room;
        room[fields->fields++] = (struct field){.name = name ?: "", .die = child, .bit = bit, .bits = bits};
    } while (dwarf_siblingof(&child, &child) == 0);
}

static struct field *find_field(const struct fields *fields, const char *name)
{
    for (size_t i = 0; i < fields->fields; i++)
        if (!fields->field[i].paired && strcmp(fields->field[i].name, name) == 0)
            return &fields->field[i];
    return NULL;
}

static uint64_t width(struct field *field)
{
    Dwarf_Die type;

    return field->bits ?: held_type(&field->die, &type) ? 8 * bytes_of(&type) : 0;
}

static void match_bits(struct match *m, const struct pair *base, struct field *old, struct field *new_,
                       struct match_moves *moves)
{
    const struct pair pair = {&old->die, &new_->die, 0, 0};
    uint64_t was = old->bits ?: width(old), is = new_->bits ?: width(new_);
    Dwarf_Die a, b;

    if (!held_type(&old->die, &a) || !held_type(&new_->die, &b) || dwarf_tag(&a) != dwarf_tag(&b) || was > 64 ||
        is > 64) {
        say_was(m, &m->refused, "", &old->die, &new_->die);
        return;
    }
    if (!numbers_agree(m, &pair, &a, &b))
        return;
    if (is < was) {
        match_say(m, &m->refused, "narrowed from %" PRIu64 " to %" PRIu64 " bits", was, is);
        return;
    }
    if (is > was)
        match_say(m, &m->changed, "widened from %" PRIu64 " to %" PRIu64 " bits", was, is);
    add_value(m, moves, number_of(&a) == NUMBER_SIGNED ? RECIPE_SIGN_BITS : RECIPE_ZERO_BITS, 8 * base->from + old->bit,
              was, 8 * base->to + new_->bit, is);
}

static void match_field(struct match *m, const struct pair *base, struct field *old, struct field *new_,
                        struct match_moves *moves, unsigned depth)
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

/* A field that is new, of the same type as one that is gone. */
static struct field *looks_renamed(struct match *m, struct field *gone, const struct fields *fields)
{
    for (size_t i = 0; i < fields->fields; i++) {
        struct field *f = &fields->field[i];
        if (!f->paired && f->bits == gone->bits && is_same(m, &gone->die, &f->die))
            return f;
    }
    return NULL;
}

static void match_gone(struct match *m, struct field *gone, const struct fields *fields)
{
    struct match_word *word = match_word(m, gone->name);
    size_t back = match_path(m, ".", gone->name);
    struct field *renamed;

    if (word)
        word->used = true;
    if (word && !word->to) {
        match_say(m, &m->changed, "dropped");
    } else if (word) {
        match_say(m, &m->refused, "said to be %s, which the new version has not, or takes from elsewhere", word->to);
    } else if ((renamed = looks_renamed(m, gone, fields))) {
        match_say(m, &m->refused, "is gone, and %s of the same type is new; say --rename %s=%s or --drop %s",
                  renamed->name, m->path, renamed->name, m->path);
    } else {
        match_say(m, &m->refused, "is gone, and what it holds would be lost; say --drop %s", m->path);
    }
    match_path_back(m, back);
}

static void match_renamed(struct match *m, const struct pair *base, struct fields *old, struct fields *new_,
                          struct match_moves *moves, unsigned depth)
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
                         struct match_moves *moves, unsigned depth)
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
            match_gone(m, &old->field[i], new_);
    for (size_t i = 0; i < new_->fields; i++)
        if (!new_->field[i].paired) {
            size_t back = match_path(m, ".", new_->field[i].name);
            match_say(m, &m->changed, "new, with the value that the new version begins with");
            match_path_back(m, back);
        }
}

static void match_structures(struct match *m, const struct pair *pair, Dwarf_Die *old, Dwarf_Die *new_,
                             struct match_moves *moves, unsigned depth)
{
    const char *was = dwarf_diename(old), *is = dwarf_diename(new_);
    struct fields a = {0}, b = {0};

    if (was && is && strcmp(was, is) != 0) {
        say_was(m, &m->refused, "", pair->old, pair->new_);
        return;
    }
    add_value(m, moves, RECIPE_PLACE, pair->from, 0, pair->to, 0);
    read_fields(m, old, 0, &a, 0);
    read_fields(m, new_, 0, &b, 0);
    match_fields(m, pair, &a, &b, moves, depth);
    free(a.field);
    free(b.field);
}

static void match_pair(struct match *m, const struct pair *pair, struct match_moves *moves, unsigned depth)
{
    Dwarf_Die old, new_;

    if (!held_type(pair->old, &old) || !held_type(pair->new_, &new_) || depth == DEPTH_MAX ||
        dwarf_tag(&old) != dwarf_tag(&new_)) {
        say_was(m, &m->refused, "", pair->old, pair->new_);
        return;
    }
    if (is_same(m, pair->old, pair->new_)) {
        add_value(m, moves, RECIPE_COPY, pair->from, bytes_of(&old), pair->to, bytes_of(&new_));
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
        match_say(m, &m->refused, "a union has changed, and which member is in use is not known");
        break;
    default:
        say_was(m, &m->refused, "", pair->old, pair->new_);
        break;
    }
}

void match_types(struct match *m, Dwarf_Die *old, Dwarf_Die *new_, struct match_moves *moves)
{
    const struct pair pair = {old, new_, 0, 0};

    match_pair(m, &pair, moves, 0);
}
