/* See recipe.h. Little-endian, like the machine. */
#include "cells/kernel/swap/recipe.h"
#include "cells/lib/string/string.h"

static enum err refuse(struct loader_detail *detail, const char *why)
{
    for (size_t i = 0; detail && i < sizeof detail->text; i++)
        detail->text[i] = *why ? *why++ : '\0';
    return ERR_CORRUPT;
}

/* ---- the set ---- */

static bool is_doubled(const struct recipe *recipe, uint32_t index)
{
    const struct recipe *r = &recipe[index];

    for (uint32_t i = 0; i < index; i++)
        if ((recipe[i].old_object == r->old_object && recipe[i].old_section == r->old_section) ||
            (!recipe_drops(r) && recipe[i].new_object == r->new_object && recipe[i].new_section == r->new_section))
            return true;
    return false;
}

enum err recipes_open(const void *data, size_t bytes, struct recipes *ret_recipes, struct loader_detail *detail)
{
    struct recipe_set set;

    if (bytes < sizeof set || (uintptr_t)data % _Alignof(struct recipe))
        return refuse(detail, "the recipes end within their header, or lie where they cannot be read");
    memcpy(&set, data, sizeof set);
    if (set.version != RECIPE_VERSION)
        return refuse(detail, "the recipes are of another version");
    if (set.recipes > RECIPES_MAX || set.moves > MOVES_MAX ||
        set.bytes != sizeof set + set.recipes * sizeof(struct recipe) + set.moves * sizeof(struct recipe_move) ||
        set.bytes > bytes)
        return refuse(detail, "there are more recipes than fit");
    const struct recipe *recipe = (const void *)((const uint8_t *)data + sizeof set);
    for (uint32_t i = 0; i < set.recipes; i++) {
        if (recipe[i].first_move > set.moves || recipe[i].moves > set.moves - recipe[i].first_move)
            return refuse(detail, "a recipe has moves that are not there");
        if (is_doubled(recipe, i))
            return refuse(detail, "two recipes are for the same section");
    }
    *ret_recipes = (struct recipes){recipe, (const void *)(recipe + set.recipes), set.recipes};
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

static bool is_bits(const struct recipe_move *m)
{
    return m->kind == RECIPE_ZERO_BITS || m->kind == RECIPE_SIGN_BITS;
}

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
    case RECIPE_PLACE:
        return m->from_width == 0 && m->to_width == 0;
    default:
        return false;
    }
}

static bool in_range(const struct recipe_move *m, uint32_t start, uint32_t stride, uint32_t width, uint32_t bytes)
{
    uint64_t end = start + (uint64_t)(m->count - 1) * stride + width;

    return end <= (is_bits(m) ? 8ull * bytes : bytes);
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

static bool mark(uint8_t *written, const struct recipe_move *m)
{
    for (uint32_t i = 0; i < m->count && m->to_width; i++) {
        uint64_t start = m->to + (uint64_t)i * m->to_stride;
        if (!(is_bits(m) ? mark_bits : mark_bytes)(written, start, m->to_width))
            return false;
    }
    return true;
}

static bool is_empty(const struct recipe *r)
{
    return !r->new_object && !r->new_section && !r->new_bytes && !r->new_type && !r->new_deep && !r->moves;
}

static bool fits(const struct recipe_side *side, uint64_t object, uint32_t section, uint32_t bytes, uint64_t type,
                 uint64_t deep)
{
    return side->object == object && side->section == section && side->bytes == bytes && type && deep &&
           side->type == type && side->deep == deep;
}

enum err recipe_check(const struct recipes *recipes, const struct recipe *recipe, const struct recipe_side *old,
                      const struct recipe_side *new_, uint8_t *written, struct loader_detail *detail)
{
    if (!fits(old, recipe->old_object, recipe->old_section, recipe->old_bytes, recipe->old_type, recipe->old_deep))
        return refuse(detail, "a recipe was made for another old version");
    if (!new_ && is_empty(recipe))
        return ERR_OK;
    if (!new_ ||
        !fits(new_, recipe->new_object, recipe->new_section, recipe->new_bytes, recipe->new_type, recipe->new_deep))
        return refuse(detail, "a recipe was made for another new version");
    memset(written, 0, new_->bytes);
    for (uint32_t i = 0; i < recipe->moves; i++) {
        const struct recipe_move *m = &recipes->move[recipe->first_move + i];
        if (m->count == 0 || !widths_fit(m))
            return refuse(detail, "a recipe has a move of unknown kind or width");
        if (!in_range(m, m->from, m->from_stride, m->from_width, old->bytes) ||
            !in_range(m, m->to, m->to_stride, m->to_width, new_->bytes))
            return refuse(detail, "a recipe has a move that reaches out of its section");
        if (!mark(written, m))
            return refuse(detail, "a recipe writes something twice");
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
    } else if (is_bits(m)) {
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

/* ---- pointers ---- */

/* Where the bytes are among elements that begin at `start`; then `ret_offset` is where they are among those of the other
 * side. */
static bool translate(const struct recipe_move *m, uint32_t offset, uint32_t bytes, bool back, uint32_t *ret_offset)
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

static bool find(const struct recipes *recipes, const struct recipe *recipe, uint32_t offset, uint32_t bytes, bool back,
                 uint32_t *ret_offset)
{
    for (uint32_t i = 0; i < recipe->moves; i++)
        if (translate(&recipes->move[recipe->first_move + i], offset, bytes, back, ret_offset))
            return true;
    return false;
}

bool recipe_map(const struct recipes *recipes, const struct recipe *recipe, uint32_t offset, uint32_t bytes,
                uint32_t *ret_offset)
{
    return find(recipes, recipe, offset, bytes, false, ret_offset);
}

bool recipe_origin(const struct recipes *recipes, const struct recipe *recipe, uint32_t offset, uint32_t bytes,
                   uint32_t *ret_offset)
{
    return find(recipes, recipe, offset, bytes, true, ret_offset);
}

/* The place that is said of what begins at `offset`. */
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

bool recipe_address(const struct recipes *recipes, const struct recipe *recipe, uint32_t offset, uint32_t *ret_offset)
{
    uint32_t place, copy;
    bool has_place = find_place(recipes, recipe, offset, &place);
    bool has_copy = recipe_map(recipes, recipe, offset, 1, &copy);

    if (has_place == has_copy && (!has_place || place != copy))
        return false;
    *ret_offset = has_place ? place : copy;
    return true;
}
