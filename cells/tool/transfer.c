/* See transfer.h. Data are paired by name: first within the cell of the same name, then, for cells that are split or
 * merged, in any of the others. */
#include "cells/tool/transfer.h"
#include "cells/tool/list.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A variable, or a section whose variables are not known. */
struct item {
    size_t side;
    const struct side_section *section;
    const struct datum *datum; /* NULL: not known */
    struct item *pair;
    bool named; /* what is to be said of it has been said */
};
struct items {
    struct item *item;
    size_t items;
};

struct job {
    struct transfer *transfer;
    struct match match; /* the words, and what is said */
    struct items old, new_;
};

static const char *cell_of(const struct side *sides, const struct item *item)
{
    return sides[item->side].notes.cell.name;
}

/* ---- items ---- */

static bool list_items(struct items *ret_items, const struct side *sides, size_t count)
{
    size_t room = 1, n = 0;

    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < sides[i].sections; k++)
            room += sides[i].section[k].count + 1;
    ret_items->item = calloc(room, sizeof *ret_items->item);
    if (!ret_items->item)
        return false;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < sides[i].sections; k++) {
            const struct side_section *s = &sides[i].section[k];
            if (!s->data)
                ret_items->item[n++] = (struct item){.side = i, .section = s};
            for (size_t d = 0; d < s->count; d++)
                ret_items->item[n++] = (struct item){.side = i, .section = s, .datum = &s->data[d]};
        }
    ret_items->items = n;
    return true;
}

/* "function:variable" for one that is local to a function. */
static size_t enter(struct match *match, const struct item *item)
{
    size_t back = match_path(match, ".", item->datum && item->datum->function ? item->datum->function : "");

    match_path(match, ":", item->datum ? item->datum->name : item->section->name);
    return back;
}

static bool same_string(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* How well two fit: 0 not at all. */
static unsigned likeness(const struct job *job, const struct item *old, const char *name, const struct item *new_)
{
    const struct transfer *t = job->transfer;

    if (!old->datum || !new_->datum) {
        if (old->datum || new_->datum || strcmp(old->section->name, new_->section->name) != 0)
            return 0;
    } else if (strcmp(name, new_->datum->name) != 0 || !same_string(old->datum->function, new_->datum->function)) {
        return 0;
    }
    unsigned like = 1 + 2 * (strcmp(cell_of(t->old, old), cell_of(t->new_, new_)) == 0);
    return like + (old->datum && same_string(old->datum->unit, new_->datum->unit));
}

/* The one that fits best; NULL: none, or several fit equally well, which is an error. */
static struct item *find_pair(struct job *job, struct item *old, const char *name)
{
    struct item *best = NULL;
    unsigned best_like = 0, ties = 0;

    for (size_t i = 0; i < job->new_.items; i++) {
        struct item *new_ = &job->new_.item[i];
        unsigned like = new_->pair ? 0 : likeness(job, old, name, new_);

        if (like == 0 || like < best_like)
            continue;
        ties = like == best_like ? ties + 1 : 0;
        best_like = like;
        best = new_;
    }
    if (!ties)
        return best;
    match_say(&job->match, &job->match.refused, "there are several of that name in the new version");
    old->named = true;
    return NULL;
}

static void pair_up(struct job *job, bool renamed)
{
    for (size_t i = 0; i < job->old.items; i++) {
        struct item *old = &job->old.item[i];
        size_t back = enter(&job->match, old);
        struct match_word *word = match_word(&job->match, "");

        if (!old->pair && !old->named && renamed == (word && word->to)) {
            struct item *new_ = find_pair(job, old, renamed ? word->to : old->datum ? old->datum->name : "");
            if (new_) {
                old->pair = new_;
                new_->pair = old;
                if (renamed)
                    word->used = true;
            }
        }
        match_path_back(&job->match, back);
    }
}

/* ---- what is gone ---- */

static bool has_function(const struct transfer *t, const struct item *old)
{
    for (size_t i = 0; i < t->news; i++)
        if (t->new_[i].notes.cell.transfer &&
            (t->news == 1 || same_string(t->new_[i].notes.cell.name, cell_of(t->old, old))))
            return true;
    return false;
}

static struct item *looks_renamed(const struct job *job, const struct item *gone)
{
    for (size_t i = 0; i < job->new_.items; i++) {
        struct item *new_ = &job->new_.item[i];
        if (!new_->pair && new_->datum && gone->datum && new_->section->count == 1 && gone->section->count == 1 &&
            new_->section->note.deep_hash == gone->section->note.deep_hash)
            return new_;
    }
    return NULL;
}

static void say_gone(struct job *job, const struct item *gone)
{
    struct match *m = &job->match;
    struct match_word *word = match_word(m, "");
    struct item *renamed = looks_renamed(job, gone);

    if (word && !word->to) {
        word->used = true;
        match_say(m, &m->changed, "dropped");
    } else if (has_function(job->transfer, gone)) {
        match_say(m, &job->transfer->left_over, "gone");
    } else if (word) {
        word->used = true;
        match_say(m, &m->refused, "said to be %s, which the new version has not, or takes from elsewhere", word->to);
    } else if (renamed) {
        match_say(m, &m->refused, "is gone, and %s of the same type is new; say --rename %s=%s or --drop %s",
                  renamed->datum->name, m->path, renamed->datum->name, m->path);
    } else {
        match_say(m, &m->refused, "is gone, and what it holds would be lost; say --drop %s", m->path);
    }
}

/* Nothing of the section is wanted any more. */
static bool is_given_up(struct job *job, const struct item *first, size_t count)
{
    bool all = true;

    for (size_t i = 0; i < count && all; i++) {
        size_t back = enter(&job->match, &first[i]);
        struct match_word *word = match_word(&job->match, "");
        all = !first[i].pair && word && !word->to;
        match_path_back(&job->match, back);
    }
    return all;
}

static size_t in_section(const struct items *items, size_t first)
{
    size_t count = 1;

    while (first + count < items->items && items->item[first + count].section == items->item[first].section)
        count++;
    return count;
}

static void look_at_gone(struct job *job)
{
    struct transfer *t = job->transfer;

    for (size_t i = 0; i < job->old.items; i++) {
        struct item *old = &job->old.item[i];
        if (old->pair || old->named)
            continue;
        size_t back = enter(&job->match, old);
        say_gone(job, old);
        match_path_back(&job->match, back);
    }
    for (size_t i = 0, count; i < job->old.items; i += count) {
        const struct item *first = &job->old.item[i];
        count = in_section(&job->old, i);
        if (is_given_up(job, first, count))
            t->recipe[t->recipes++] = (struct transfer_recipe){.old = first->side, .from = first->section};
    }
}

/* ---- recipes ---- */

static bool is_same(const struct side_section *from, const struct side_section *to)
{
    const struct note_data *a = &from->note, *b = &to->note;

    return strcmp(from->name, to->name) == 0 && from->bytes == to->bytes && a->type_hash == b->type_hash &&
           a->deep_hash == b->deep_hash;
}

/* The section that all old data for `to` come from; NULL: none of it has an old one, or it was said why not. */
static const struct item *origin(struct job *job, const struct item *first, size_t count)
{
    const struct item *from = NULL;

    for (size_t i = 0; i < count; i++) {
        const struct item *old = first[i].pair;
        if (!old)
            continue;
        if (from && from->section != old->section) {
            match_say(&job->match, &job->match.refused, "its section was two before: %s and %s", from->section->name,
                      old->section->name);
            return NULL;
        }
        from = old;
    }
    for (size_t i = 0; from && i < job->old.items; i++) {
        const struct item *other = &job->old.item[i];
        if (other->section == from->section && other->pair && other->pair->section != first->section) {
            match_say(&job->match, &job->match.refused, "its section %s is now two: %s and %s", from->section->name,
                      first->section->name, other->pair->section->name);
            return NULL;
        }
    }
    return from;
}

static void append(struct match *m, struct match_moves *moves, const struct match_moves *more, uint64_t from,
                   uint64_t to)
{
    for (size_t i = 0; i < more->moves; i++) {
        struct recipe_move move = more->move[i];
        unsigned unit = move.kind == RECIPE_ZERO_BITS || move.kind == RECIPE_SIGN_BITS ? 8 : 1;
        struct recipe_move *room = list_room(moves->move, moves->moves, &moves->capacity, sizeof *room);

        if (!room) {
            m->failed = true;
            return;
        }
        move.from += (uint32_t)(unit * from);
        move.to += (uint32_t)(unit * to);
        moves->move = room;
        room[moves->moves++] = move;
    }
}

static void match_item(struct job *job, const struct item *new_, struct match_moves *moves)
{
    struct match *m = &job->match;
    const struct item *old = new_->pair;
    struct match_moves own = {0};

    struct match_word *word = match_word(m, "");
    if (word && !word->to) {
        const struct recipe_move place = {.kind = RECIPE_PLACE, .count = 1};
        const struct match_moves only = {.move = (struct recipe_move *)&place, .moves = 1};

        word->used = true;
        match_say(m, &m->changed, "dropped");
        append(m, moves, &only, old->datum ? old->datum->offset : 0, new_->datum ? new_->datum->offset : 0);
        return;
    }
    if (!old->datum) {
        match_say(m, &m->refused, "its type is not known, and its size was %" PRIu64 ", is %" PRIu64,
                  old->section->bytes, new_->section->bytes);
        return;
    }
    Dwarf_Die a = old->datum->die, b = new_->datum->die;
    m->old_tags = types_tags(job->transfer->old[old->side].types);
    m->new_tags = types_tags(job->transfer->new_[new_->side].types);
    match_types(m, &a, &b, &own);
    append(m, moves, &own, old->datum->offset, new_->datum->offset);
    free(own.move);
}

/* Each move in range: DWARF that says otherwise is damaged. The guest looks again. */
static bool in_range(const struct transfer_recipe *r)
{
    for (size_t i = 0; i < r->moves.moves; i++) {
        const struct recipe_move *m = &r->moves.move[i];
        uint64_t unit = m->kind == RECIPE_ZERO_BITS || m->kind == RECIPE_SIGN_BITS ? 8 : 1;

        if (m->from + (uint64_t)(m->count - 1) * m->from_stride + m->from_width > unit * r->from->bytes ||
            m->to + (uint64_t)(m->count - 1) * m->to_stride + m->to_width > unit * r->to->bytes)
            return false;
    }
    return r->moves.moves <= MOVES_MAX;
}

static void make_recipe(struct job *job, const struct item *first, size_t count, const struct item *from)
{
    struct transfer *t = job->transfer;
    struct transfer_recipe recipe = {
        .old = from->side, .new_ = first->side, .from = from->section, .to = first->section};
    size_t refused = job->match.refused.lines;

    for (size_t i = 0; i < count; i++) {
        size_t back = enter(&job->match, first[i].pair ?: &first[i]);
        if (first[i].pair)
            match_item(job, &first[i], &recipe.moves);
        match_path_back(&job->match, back);
    }
    if (job->match.refused.lines == refused && !in_range(&recipe)) {
        size_t back = enter(&job->match, first);
        match_say(&job->match, &job->match.refused, "takes too many moves, or more than its section holds");
        match_path_back(&job->match, back);
    }
    if (job->match.refused.lines == refused)
        t->recipe[t->recipes++] = recipe;
    else
        free(recipe.moves.move);
}

/* The swap carries it over by itself, as it is. */
static bool is_carried(struct job *job, const struct item *first, size_t count, const struct item *from)
{
    for (size_t i = 0; i < count; i++) {
        size_t back = enter(&job->match, &first[i]);
        struct match_word *word = match_word(&job->match, "");
        match_path_back(&job->match, back);
        if (word && !word->to && first[i].pair)
            return false;
    }
    return is_same(from->section, first->section);
}

/* Of the new section whose data are `first` and the `count` - 1 behind it. */
static void transfer_section(struct job *job, const struct item *first, size_t count)
{
    struct transfer *t = job->transfer;
    struct match *m = &job->match;
    size_t back = enter(m, first), refused = m->refused.lines;
    const struct item *from = origin(job, first, count);

    match_path_back(m, back);
    bool by_recipe = from && !is_carried(job, first, count, from);
    back = enter(m, first);

    if (by_recipe && t->new_[first->side].notes.cell.transfer) {
        match_say(m, &t->left_over, "of another type");
        by_recipe = false;
    } else if (!from && refused == m->refused.lines) {
        match_say(m, &m->changed, "new, with the value that the new version begins with");
    }
    match_path_back(m, back);
    if (by_recipe)
        make_recipe(job, first, count, from);
}

static void transfer_sections(struct job *job)
{
    for (size_t i = 0, count; i < job->new_.items; i += count) {
        count = in_section(&job->new_, i);
        transfer_section(job, &job->new_.item[i], count);
    }
}

/* ---- all ---- */

static enum err check_words(const struct match *match, const char *path)
{
    for (size_t i = 0; i < match->words; i++)
        if (!match->word[i].used)
            return complain(ERR_INVALID, path, "%s: no such field is gone, nor is its datum one that a recipe moves",
                            match->word[i].path);
    return ERR_OK;
}

static enum err run(struct job *job)
{
    struct transfer *t = job->transfer;
    size_t sections = 1;

    for (size_t i = 0; i < t->news; i++)
        sections += t->new_[i].sections;
    for (size_t i = 0; i < t->olds; i++)
        sections += t->old[i].sections;
    t->recipe = calloc(sections, sizeof *t->recipe);
    if (!t->recipe || !list_items(&job->old, t->old, t->olds) || !list_items(&job->new_, t->new_, t->news))
        return complain(ERR_NOMEM, t->new_[0].path, "out of memory");
    pair_up(job, true);
    pair_up(job, false);
    transfer_sections(job);
    look_at_gone(job);
    if (job->match.failed)
        return complain(ERR_NOMEM, t->new_[0].path, "out of memory");
    size_t moves = 0;
    for (size_t i = 0; i < t->recipes; i++)
        moves += t->recipe[i].moves.moves;
    if (t->recipes > RECIPES_MAX || moves > MOVES_MAX)
        return complain(ERR_RANGE, t->new_[0].path, "takes %zu recipes with %zu moves; a swap carries %d with %d",
                        t->recipes, moves, RECIPES_MAX, MOVES_MAX);
    return check_words(&job->match, t->new_[0].path);
}

enum err transfer_make(struct transfer *ret_transfer, struct side *old, size_t olds, struct side *new_, size_t news,
                       struct match_word *word, size_t words)
{
    struct transfer t = {.old = old, .new_ = new_, .olds = olds, .news = news};
    struct job job = {.transfer = &t, .match = {.word = word, .words = words}};
    enum err e = run(&job);

    t.changed = job.match.changed;
    t.refused = job.match.refused;
    free(job.old.item);
    free(job.new_.item);
    if (e == ERR_OK)
        *ret_transfer = t;
    else
        transfer_done(&t);
    return e;
}

void transfer_done(struct transfer *transfer)
{
    struct match lines = {.refused = transfer->refused, .changed = transfer->changed};
    struct match more = {.refused = transfer->left_over};

    match_done(&lines);
    match_done(&more);
    for (size_t i = 0; i < transfer->recipes; i++)
        free(transfer->recipe[i].moves.move);
    free(transfer->recipe);
    *transfer = (struct transfer){0};
}

void *transfer_pack(const struct transfer *t, size_t *ret_bytes)
{
    struct recipe_set set = {.version = RECIPE_VERSION, .recipes = (uint32_t)t->recipes};

    for (size_t i = 0; i < t->recipes; i++)
        set.moves += (uint32_t)t->recipe[i].moves.moves;
    set.bytes = (uint32_t)(sizeof set + set.recipes * sizeof(struct recipe) + set.moves * sizeof(struct recipe_move));
    uint8_t *data = malloc(set.bytes);
    if (!data)
        return NULL;
    memcpy(data, &set, sizeof set);
    struct recipe *recipe = (void *)(data + sizeof set);
    struct recipe_move *move = (void *)(recipe + set.recipes);
    uint32_t first = 0;
    for (size_t i = 0; i < t->recipes; i++) {
        const struct transfer_recipe *r = &t->recipe[i];
        recipe[i] = (struct recipe){.old_object = t->old[r->old].hash,
                                    .old_section = (uint32_t)r->from->index,
                                    .old_bytes = (uint32_t)r->from->bytes,
                                    .old_type = r->from->note.type_hash,
                                    .old_deep = r->from->note.deep_hash,
                                    .first_move = first,
                                    .moves = (uint32_t)r->moves.moves};
        if (r->to) {
            recipe[i].new_object = t->new_[r->new_].hash;
            recipe[i].new_section = (uint32_t)r->to->index;
            recipe[i].new_bytes = (uint32_t)r->to->bytes;
            recipe[i].new_type = r->to->note.type_hash;
            recipe[i].new_deep = r->to->note.deep_hash;
        }
        if (recipe[i].moves)
            memcpy(move + first, r->moves.move, recipe[i].moves * sizeof *move);
        first += recipe[i].moves;
    }
    *ret_bytes = set.bytes;
    return data;
}
