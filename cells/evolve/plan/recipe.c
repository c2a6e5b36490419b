/* See recipe.h. Little-endian, like the machine. */
#include "cells/evolve/plan/recipe.h"
#include "cells/lib/string/string.h"

#define RECIPE_NAME_MAX 96 /* a longer one is printed without the number of the element */

/* ---- the set ---- */

/* Whether an earlier recipe of the set is for the same old or the same new section. */
static bool is_repeated(const struct recipe *recipe, uint32_t index)
{
    const struct recipe *r = &recipe[index];

    for (uint32_t i = 0; i < index; i++)
        if ((recipe[i].old_object == r->old_object && recipe[i].old_section == r->old_section) ||
            (!recipe_drops(r) && recipe[i].new_object == r->new_object && recipe[i].new_section == r->new_section))
            return true;
    return false;
}

/* Whether all that moves may refer to is printable, and ends within the text. */
static bool is_text(const char *text, uint32_t bytes)
{
    if (bytes == 0 || text[0] || text[bytes - 1])
        return false;
    for (uint32_t i = 0; i < bytes; i++)
        if (text[i] && (text[i] < ' ' || text[i] > '~'))
            return false;
    return true;
}

enum err recipes_open(const void *data, size_t bytes, struct recipes *ret_recipes, struct report *report)
{
    struct recipe_set set;

    if (bytes < sizeof set || (uintptr_t)data % _Alignof(struct recipe))
        return report_refuse(report, ERR_CORRUPT,
                             "the recipes are shorter than their header, or not aligned to 8 bytes");
    memcpy(&set, data, sizeof set);
    if (set.version != RECIPE_VERSION)
        return report_refuse(report, ERR_CORRUPT, "the recipes are of another version");
    if (set.recipes > RECIPES_MAX || set.moves > MOVES_MAX || set.text > RECIPE_TEXT_MAX ||
        set.bytes !=
            sizeof set + set.recipes * sizeof(struct recipe) + set.moves * sizeof(struct recipe_move) + set.text ||
        set.bytes > bytes)
        return report_refuse(report, ERR_CORRUPT,
                             "the set of recipes has another size than its counts say, or too many of them");
    const struct recipe *recipe = (const void *)((const uint8_t *)data + sizeof set);
    const struct recipe_move *move = (const void *)(recipe + set.recipes);
    const char *text = (const char *)(move + set.moves);
    if (!is_text(text, set.text))
        return report_refuse(report, ERR_CORRUPT, "the text of the recipes cannot be printed");
    for (uint32_t i = 0; i < set.moves; i++)
        if (move[i].field >= set.text || move[i].why >= set.text)
            return report_refuse(report, ERR_CORRUPT, "a recipe has a field whose name is not there");
    for (uint32_t i = 0; i < set.recipes; i++) {
        if (recipe[i].first_move > set.moves || recipe[i].moves > set.moves - recipe[i].first_move)
            return report_refuse(report, ERR_CORRUPT, "a recipe has moves that the set does not have");
        if (is_repeated(recipe, i))
            return report_refuse(report, ERR_CORRUPT, "two recipes are for the same section");
    }
    *ret_recipes = (struct recipes){recipe, move, text, set.recipes};
    return ERR_OK;
}

const struct recipe *recipes_find(const struct recipes *recipes, uint64_t old_object, uint32_t section)
{
    for (uint32_t i = 0; i < recipes->count; i++)
        if (recipes->recipe[i].old_object == old_object && recipes->recipe[i].old_section == section)
            return &recipes->recipe[i];
    return NULL;
}

/* ---- checks ---- */

static bool is_word(uint32_t width)
{
    return width == 1 || width == 2 || width == 4 || width == 8;
}

static bool widths_fit(const struct recipe_move *m)
{
    switch (m->kind) {
    case RECIPE_COPY:
        return m->from_width > 0 && m->from_width == m->to_width;
    case RECIPE_ZERO_EXTEND:
    case RECIPE_SIGN_EXTEND:
        return is_word(m->from_width) && is_word(m->to_width) && m->from_width < m->to_width;
    case RECIPE_ZERO_BITS:
    case RECIPE_SIGN_BITS:
        return m->from_width > 0 && m->from_width <= m->to_width && m->to_width <= 64;
    case RECIPE_CUT_BITS:
        return m->to_width > 0 && m->to_width < m->from_width && m->from_width <= 64;
    case RECIPE_PLACE:
        return m->from_width == 0 && m->to_width == 0;
    case RECIPE_REFUSE_UNSIGNED:
    case RECIPE_REFUSE_SIGNED:
    case RECIPE_REFUSE_FLAGS:
        return m->from_width > 0 && m->from_width <= 64;
    case RECIPE_REFUSE_USED:
        return m->from_width > 0;
    default:
        return false;
    }
}

/* A check writes nothing, and looks at no byte twice: else it could go on for as long as it likes. */
static bool is_check(const struct recipe_move *m)
{
    return m->to == 0 && m->to_width == 0 && m->to_stride == 0 && (m->count == 1 || m->from_stride >= m->from_width);
}

static bool is_in_range(const struct recipe_move *m, uint32_t start, uint32_t stride, uint32_t width, uint32_t bytes)
{
    uint64_t end = start + (uint64_t)(m->count - 1) * stride + width;

    return end <= (recipe_counts_bits(m->kind) ? 8ull * bytes : bytes);
}

/* Marks what one element writes, bit by bit; false: something was written already. */
static bool mark_bits(uint8_t *written, uint64_t start, uint32_t width)
{
    for (uint64_t bit = start; bit < start + width; bit++) {
        uint8_t mask = (uint8_t)(1u << bit % 8);
        if (written[bit / 8] & mask)
            return false;
        written[bit / 8] |= mask;
    }
    return true;
}

static bool mark_bytes(uint8_t *written, uint64_t start, uint32_t width)
{
    for (uint32_t i = 0; i < width; i++) {
        if (written[start + i])
            return false;
        written[start + i] = 0xff;
    }
    return true;
}

static bool mark_written(uint8_t *written, const struct recipe_move *m)
{
    for (uint32_t i = 0; i < m->count && m->to_width; i++) {
        uint64_t start = m->to + (uint64_t)i * m->to_stride;
        if (!(recipe_counts_bits(m->kind) ? mark_bits : mark_bytes)(written, start, m->to_width))
            return false;
    }
    return true;
}

static bool has_no_new_side(const struct recipe *r)
{
    return !r->new_object && !r->new_section && !r->new_bytes && !r->new_type && !r->new_deep;
}

static bool side_is(const struct recipe_side *side, uint64_t object, uint32_t section, uint32_t bytes, uint64_t type,
                    uint64_t deep)
{
    return side->object == object && side->section == section && side->bytes == bytes && type && deep &&
           side->type == type && side->deep == deep;
}

/* `new_` NULL: there is nothing to move to. */
static enum err check_move(const struct recipe_move *m, uint32_t old_bytes, const struct recipe_side *new_,
                           uint8_t *written, struct report *report)
{
    if (m->count == 0 || !widths_fit(m) || (recipe_refuses(m->kind) && !is_check(m)))
        return report_refuse(report, ERR_CORRUPT, "a recipe has a move of unknown kind or width");
    if (!new_ && !recipe_refuses(m->kind))
        return report_refuse(report, ERR_CORRUPT, "a recipe moves what it says is dropped");
    if (!is_in_range(m, m->from, m->from_stride, m->from_width, old_bytes) ||
        (new_ && !is_in_range(m, m->to, m->to_stride, m->to_width, new_->bytes)))
        return report_refuse(report, ERR_CORRUPT, "a recipe has a move that reaches out of its section");
    if (new_ && !mark_written(written, m))
        return report_refuse(report, ERR_CORRUPT, "a recipe writes something twice");
    return ERR_OK;
}

enum err recipe_check(const struct recipes *recipes, const struct recipe *recipe, const struct recipe_side *old,
                      const struct recipe_side *new_, uint8_t *written, struct report *report)
{
    uint64_t looks = 0;

    if (!side_is(old, recipe->old_object, recipe->old_section, recipe->old_bytes, recipe->old_type, recipe->old_deep))
        return report_refuse(report, ERR_CORRUPT, "a recipe was made for another old version");
    if (new_ ? !side_is(new_, recipe->new_object, recipe->new_section, recipe->new_bytes, recipe->new_type,
                        recipe->new_deep)
             : !has_no_new_side(recipe))
        return report_refuse(report, ERR_CORRUPT, "a recipe was made for another new version");
    if (new_ && recipe->moves)
        memset(written, 0, new_->bytes);
    for (uint32_t i = 0; i < recipe->moves; i++) {
        const struct recipe_move *m = &recipes->move[recipe->first_move + i];
        enum err e = check_move(m, old->bytes, new_, written, report);
        looks += recipe_refuses(m->kind) ? m->count + (uint64_t)m->from_width / 64 : 0;
        if (!e && looks > RECIPE_LOOKS)
            e = report_refuse(report, ERR_CORRUPT, "a recipe looks at more values than there is time for");
        if (e)
            return e;
    }
    return ERR_OK;
}

/* ---- moves ---- */

static uint64_t sign_extend(uint64_t value, uint32_t bits)
{
    return bits < 64 && value >> (bits - 1) & 1 ? value | ~0ull << bits : value;
}

static uint64_t read_bits(const uint8_t *data, uint64_t start, uint32_t width)
{
    uint64_t value = 0;

    if (start % 8 == 0 && width % 8 == 0) {
        memcpy(&value, data + start / 8, width / 8);
        return value;
    }
    for (uint32_t i = 0; i < width; i++)
        value |= (uint64_t)(data[(start + i) / 8] >> (start + i) % 8 & 1) << i;
    return value;
}

static void write_bits(uint8_t *data, uint64_t start, uint32_t width, uint64_t value)
{
    for (uint32_t i = 0; i < width; i++) {
        uint8_t mask = (uint8_t)(1u << (start + i) % 8), *at = &data[(start + i) / 8];
        *at = (uint8_t)(value >> i & 1 ? *at | mask : *at & ~mask);
    }
}

static void move_one(const struct recipe_move *m, const uint8_t *old, uint64_t from, uint8_t *new_, uint64_t to)
{
    uint64_t value = 0;

    if (m->kind == RECIPE_COPY) {
        memcpy(new_ + to, old + from, m->from_width);
    } else if (recipe_counts_bits(m->kind)) {
        value = read_bits(old, from, m->from_width);
        write_bits(new_, to, m->to_width, m->kind == RECIPE_SIGN_BITS ? sign_extend(value, m->from_width) : value);
    } else {
        memcpy(&value, old + from, m->from_width);
        if (m->kind == RECIPE_SIGN_EXTEND)
            value = sign_extend(value, 8 * m->from_width);
        memcpy(new_ + to, &value, m->to_width);
    }
}

void recipe_apply(const struct recipes *recipes, const struct recipe *recipe, const void *old, void *new_)
{
    for (uint32_t i = 0; i < recipe->moves; i++) {
        const struct recipe_move *m = &recipes->move[recipe->first_move + i];
        for (uint64_t k = 0; k < m->count && m->to_width; k++)
            move_one(m, old, m->from + k * m->from_stride, new_, m->to + k * m->to_stride);
    }
}

/* ---- what changes while it is carried ---- */

/* Bytes before the first whole word, words, the rest. */
static void copy_changes(const uint8_t *from, const uint8_t *was, uint8_t *to, size_t bytes, recipe_redirect *redirect,
                         const struct plan *plan)
{
    for (size_t i = 0; i < bytes;) {
        uint64_t now, before, there;
        if (((uint64_t)(from + i) & 7) || bytes - i < sizeof now) {
            if (from[i] != was[i])
                to[i] = from[i];
            i++;
            continue;
        }
        memcpy(&now, from + i, sizeof now);
        memcpy(&before, was + i, sizeof before);
        if (now != before) {
            there = redirect(plan, now);
            memcpy(to + i, there ? &there : &now, sizeof now);
        }
        i += sizeof now;
    }
}

/* Offsets and widths in bits. */
static uint64_t bits_of(const struct recipe_move *m, uint64_t offset)
{
    return recipe_counts_bits(m->kind) ? offset : 8 * offset;
}

static bool has_changed(const struct recipe_move *m, const uint8_t *now, const uint8_t *was, uint64_t at,
                        uint32_t width)
{
    uint64_t start = bits_of(m, at);
    uint32_t bits = (uint32_t)bits_of(m, width);

    return read_bits(now, start, bits) != read_bits(was, start, bits);
}

void recipe_apply_changes(const struct recipes *recipes, const struct recipe *recipe, const void *old, const void *was,
                          void *new_, recipe_redirect *redirect, const struct plan *plan)
{
    const uint8_t *from = old, *before = was;
    uint8_t *to = new_;

    for (uint32_t i = 0; i < recipe->moves; i++) {
        const struct recipe_move *m = &recipes->move[recipe->first_move + i];
        for (uint64_t k = 0; k < m->count && m->to_width; k++) {
            uint64_t at = m->from + k * m->from_stride, there = m->to + k * m->to_stride;
            if (m->kind == RECIPE_COPY)
                copy_changes(from + at, before + at, to + there, m->from_width, redirect, plan);
            else if (has_changed(m, from, before, at, m->from_width))
                move_one(m, from, at, to, there);
        }
    }
}

void recipe_undo_changes(const struct recipes *recipes, const struct recipe *recipe, void *old, const void *new_,
                         const void *was, recipe_redirect *redirect, const struct plan *plan)
{
    const uint8_t *from = new_, *before = was;
    uint8_t *to = old;

    for (uint32_t i = 0; i < recipe->moves; i++) {
        const struct recipe_move *m = &recipes->move[recipe->first_move + i];
        uint32_t width = m->from_width < m->to_width ? m->from_width : m->to_width;
        for (uint64_t k = 0; k < m->count && m->to_width; k++) {
            uint64_t at = m->to + k * m->to_stride, there = m->from + k * m->from_stride;
            if (m->kind == RECIPE_COPY)
                copy_changes(from + at, before + at, to + there, m->to_width, redirect, plan);
            else if (has_changed(m, from, before, at, m->to_width))
                write_bits(to, bits_of(m, there), (uint32_t)bits_of(m, width),
                           read_bits(from, bits_of(m, at), (uint32_t)bits_of(m, width)));
        }
    }
}

/* ---- values that the new version has no room for ---- */

/* What a check looks at, extended to 64 bits; of more than 8 bytes the first that are not zero. */
static uint64_t value_at(const struct recipe_move *m, const uint8_t *old, uint64_t from)
{
    uint64_t value = 0;

    if (m->kind != RECIPE_REFUSE_USED) {
        value = read_bits(old, from, m->from_width);
        return m->kind == RECIPE_REFUSE_SIGNED ? sign_extend(value, m->from_width) : value;
    }
    for (uint32_t i = 0; i < m->from_width && !value; i += 8)
        memcpy(&value, old + from + i, m->from_width - i < 8 ? m->from_width - i : 8);
    return value;
}

static bool is_refused(const struct recipe_move *m, uint64_t value)
{
    if (m->kind == RECIPE_REFUSE_USED)
        return value != 0;
    if (m->kind == RECIPE_REFUSE_FLAGS)
        return value & m->low;
    return value - m->low <= m->high - m->low;
}

/* Where the last "[]" of the name begins; its length: there is none. */
static size_t find_brackets(const char *name)
{
    size_t bytes = string_length(name), at = bytes;

    for (size_t i = 0; i + 1 < bytes; i++)
        if (name[i] == '[' && name[i + 1] == ']')
            at = i;
    return at;
}

/* "CELL.FIELD is VALUE, WHY". */
static enum err refuse_value(const struct recipes *recipes, const struct recipe_move *m, uint32_t element,
                             const char *cell, uint64_t value, struct report *report)
{
    const char *name = recipes->text + m->field, *why = recipes->text + m->why;
    bool negative = m->kind == RECIPE_REFUSE_SIGNED && (int64_t)value < 0;
    char front[RECIPE_NAME_MAX];
    size_t at = find_brackets(name);

    if (negative)
        value = 0 - value;
    if (!name[at] || at >= sizeof front)
        return report_refuse(report, ERR_RANGE, "%s.%s is %s%lu, %s", cell, name, negative ? "-" : "", value, why);
    memcpy(front, name, at);
    front[at] = '\0';
    return report_refuse(report, ERR_RANGE, "%s.%s[%u]%s is %s%lu, %s", cell, front, m->first + element, name + at + 2,
                         negative ? "-" : "", value, why);
}

enum err recipe_refuse_values(const struct recipes *recipes, const struct recipe *recipe, const char *cell,
                              const void *old, struct report *report)
{
    for (uint32_t i = 0; i < recipe->moves; i++) {
        const struct recipe_move *m = &recipes->move[recipe->first_move + i];
        for (uint32_t k = 0; recipe_refuses(m->kind) && k < m->count; k++) {
            uint64_t value = value_at(m, old, m->from + (uint64_t)k * m->from_stride);
            if (is_refused(m, value))
                return refuse_value(recipes, m, k, cell, value, report);
        }
    }
    return ERR_OK;
}

/* ---- pointers ---- */

/* If one element of the move holds all `bytes` bytes at `offset`, in the old section, or with `back` in the new one:
 * where they are in the other section. */
static bool moved_offset(const struct recipe_move *m, uint32_t offset, uint32_t bytes, bool back, uint32_t *ret_offset)
{
    uint32_t start = back ? m->to : m->from, stride = back ? m->to_stride : m->from_stride;
    uint32_t other = back ? m->from : m->to, other_stride = back ? m->from_stride : m->to_stride;

    if (m->kind != RECIPE_COPY || offset < start)
        return false;
    uint32_t element = m->count > 1 && stride ? (offset - start) / stride : 0;
    uint32_t within = offset - start - element * stride;
    if (element >= m->count || within > m->from_width || bytes > m->from_width - within)
        return false;
    *ret_offset = other + element * other_stride + within;
    return true;
}

static bool find_offset(const struct recipes *recipes, const struct recipe *recipe, uint32_t offset, uint32_t bytes,
                        bool back, uint32_t *ret_offset)
{
    for (uint32_t i = 0; i < recipe->moves; i++)
        if (moved_offset(&recipes->move[recipe->first_move + i], offset, bytes, back, ret_offset))
            return true;
    return false;
}

bool recipe_new_offset(const struct recipes *recipes, const struct recipe *recipe, uint32_t offset, uint32_t bytes,
                       uint32_t *ret_offset)
{
    return find_offset(recipes, recipe, offset, bytes, false, ret_offset);
}

bool recipe_old_offset(const struct recipes *recipes, const struct recipe *recipe, uint32_t offset, uint32_t bytes,
                       uint32_t *ret_offset)
{
    return find_offset(recipes, recipe, offset, bytes, true, ret_offset);
}

/* The new offset that a move of kind RECIPE_PLACE gives to what begins at `offset`. */
static bool find_place(const struct recipes *recipes, const struct recipe *recipe, uint32_t offset,
                       uint32_t *ret_offset)
{
    for (uint32_t i = 0; i < recipe->moves; i++) {
        const struct recipe_move *m = &recipes->move[recipe->first_move + i];
        if (m->kind != RECIPE_PLACE || offset < m->from)
            continue;
        uint32_t distance = offset - m->from, stride = m->count > 1 ? m->from_stride : 0;
        uint32_t element = stride ? distance / stride : 0;
        if (element >= m->count || distance != element * stride)
            continue;
        *ret_offset = m->to + element * m->to_stride;
        return true;
    }
    return false;
}

bool recipe_new_target(const struct recipes *recipes, const struct recipe *recipe, uint32_t offset,
                       uint32_t *ret_offset)
{
    uint32_t place, copy;
    bool has_place = find_place(recipes, recipe, offset, &place);
    bool has_copy = recipe_new_offset(recipes, recipe, offset, 1, &copy);

    if (has_place == has_copy && (!has_place || place != copy))
        return false;
    *ret_offset = has_place ? place : copy;
    return true;
}
