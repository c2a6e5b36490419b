/* See transfer.h. Data are paired by name: first within the cell of the same name, then, for cells that are split or
 * merged, in any of the others. */
#include "cells/tool/transfer.h"
#include "cells/tool/flexible.h"
#include "cells/tool/loss.h"
#include "cells/tool/renamed.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A variable, or a section whose variables are not known. */
struct item {
    size_t side;
    const struct side_section *section;
    const struct datum *datum; /* NULL: not known */
    struct item *pair;
    const char *cell;  /* borrowed from the side */
    bool named;        /* a remark on it has been made */
    bool checked;      /* gone: `lost` refuses the swap unless it is zero */
    struct moves lost; /* owned */
};
struct items {
    struct item *item;
    size_t items;
};

struct job {
    struct transfer *transfer;
    struct match match; /* decisions and remarks */
    struct items old, new_;
};

/* ---- items ---- */

/* Without those that are soft, if they are not wanted: their cell makes them again. */
static bool list_items(struct items *ret_items, const struct side *sides, size_t count, bool soft)
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
            if (!soft && s->note.datum == DATUM_SOFT)
                continue;
            struct item item = {.side = i, .section = s, .cell = sides[i].notes.cell.name};
            if (!s->data)
                ret_items->item[n++] = item;
            for (size_t d = 0; d < s->count; d++) {
                item.datum = &s->data[d];
                ret_items->item[n++] = item;
            }
        }
    ret_items->items = n;
    return true;
}

/* "function:variable" for one that is local to a function. */
static size_t enter_item(struct match *match, const struct item *item)
{
    match->cell = item->cell;
    size_t back = match_path(match, ".", item->datum && item->datum->function ? item->datum->function : "");

    match_path(match, ":", item->datum ? item->datum->name : item->section->name);
    return back;
}

static bool is_same_string(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* How well an old datum and a new one fit: 0 not at all. */
static unsigned likeness_of(const struct item *old, const char *name, const struct item *new_)
{
    if (!old->datum || !new_->datum) {
        if (old->datum || new_->datum || strcmp(old->section->name, new_->section->name) != 0)
            return 0;
    } else if (strcmp(name, new_->datum->name) != 0 || !is_same_string(old->datum->function, new_->datum->function)) {
        return 0;
    }
    unsigned like = 1 + 2 * (strcmp(old->cell, new_->cell) == 0);
    return like + (old->datum && is_same_string(old->datum->unit, new_->datum->unit));
}

/* Finds the new datum that fits best. NULL: none fits, or several fit equally well, which is refused. */
static struct item *find_pair(struct job *job, struct item *old, const char *name)
{
    struct item *best = NULL;
    unsigned best_like = 0, ties = 0;

    for (size_t i = 0; i < job->new_.items; i++) {
        struct item *new_ = &job->new_.item[i];
        unsigned like = new_->pair ? 0 : likeness_of(old, name, new_);

        if (like == 0 || like < best_like)
            continue;
        ties = like == best_like ? ties + 1 : 0;
        best_like = like;
        best = new_;
    }
    if (!ties)
        return best;
    match_remark(&job->match, &job->match.refused, "there are several of that name in the new version");
    old->named = true;
    return NULL;
}

static void pair_items(struct job *job, bool renamed)
{
    for (size_t i = 0; i < job->old.items; i++) {
        struct item *old = &job->old.item[i];
        size_t back = enter_item(&job->match, old);
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
        if (t->new_[i].notes.cell.transfer && (t->news == 1 || is_same_string(t->new_[i].notes.cell.name, old->cell)))
            return true;
    return false;
}

static struct item *find_renamed_item(const struct job *job, const struct item *gone)
{
    for (size_t i = 0; i < job->new_.items; i++) {
        struct item *new_ = &job->new_.item[i];
        if (!new_->pair && new_->datum && gone->datum && new_->section->count == 1 && gone->section->count == 1 &&
            new_->section->note.deep_hash == gone->section->note.deep_hash)
            return new_;
    }
    return NULL;
}

/* The new version has no place for it: the swap is refused if it holds anything. */
static void check_gone(struct job *job, struct item *gone)
{
    struct match *m = &job->match;

    if (!gone->datum || gone->datum->form) {
        match_remark(m, &m->refused, "is gone, and what it holds would be lost; say --drop %s", m->path);
        return;
    }
    Dwarf_Die die = gone->datum->die;
    CLOSED_BY(moves_done) struct moves lost = {0};
    m->old_tags = types_tags(job->transfer->old[gone->side].types);
    match_remark(m, &m->changed, GONE, m->path);
    loss_add(m, &die, &lost);
    if (flexible_bytes(gone->section, gone->datum))
        loss_add_bytes(m, gone->datum->bytes, flexible_bytes(gone->section, gone->datum), "", &lost);
    m->failed |= !moves_append(&gone->lost, &lost, gone->datum->offset, 0);
    gone->checked = true;
}

static void remark_gone(struct job *job, struct item *gone)
{
    struct match *m = &job->match;
    struct match_word *word = match_word(m, "");
    struct item *renamed = find_renamed_item(job, gone);

    if (word && !word->to) {
        word->used = true;
        match_remark(m, &m->changed, "dropped");
    } else if (has_function(job->transfer, gone)) {
        match_remark(m, &job->transfer->left_over, "gone");
    } else if (word) {
        word->used = true;
        match_remark(m, &m->refused, "said to be %s, which the new version has not, or takes from elsewhere", word->to);
    } else if (renamed) {
        match_remark(m, &m->refused, "is gone, and %s of the same type is new; say --rename %s=%s or --drop %s",
                     renamed->datum->name, m->path, renamed->datum->name, m->path);
    } else {
        check_gone(job, gone);
    }
}

/* Whether all data of the section are dropped, or gone and checked. */
static bool is_dropped(struct job *job, const struct item *first, size_t count)
{
    bool all = true;

    for (size_t i = 0; i < count && all; i++) {
        size_t back = enter_item(&job->match, &first[i]);
        struct match_word *word = match_word(&job->match, "");
        all = !first[i].pair && (first[i].checked || (word && !word->to));
        match_path_back(&job->match, back);
    }
    return all;
}

static size_t count_in_section(const struct items *items, size_t first)
{
    size_t count = 1;

    while (first + count < items->items && items->item[first + count].section == items->item[first].section)
        count++;
    return count;
}

/* The recipe for the section; NULL: there is none. */
static struct transfer_recipe *find_recipe(const struct transfer *t, const struct item *item)
{
    for (size_t i = 0; i < t->recipes; i++)
        if (t->recipe[i].from == item->section)
            return &t->recipe[i];
    return NULL;
}

/* Of a section with `count` data from `first` on: what is checked goes into its recipe. */
static void handle_gone_section(struct job *job, const struct item *first, size_t count)
{
    struct transfer *t = job->transfer;
    struct transfer_recipe *recipe = find_recipe(t, first);

    if (!recipe && is_dropped(job, first, count)) {
        recipe = &t->recipe[t->recipes++];
        *recipe = (struct transfer_recipe){.old = first->side, .from = first->section};
    }
    for (size_t i = 0; recipe && i < count; i++)
        job->match.failed |= !moves_append(&recipe->moves, &first[i].lost, 0, 0);
}

static void handle_gone(struct job *job)
{
    for (size_t i = 0; i < job->old.items; i++) {
        struct item *old = &job->old.item[i];
        if (old->pair || old->named)
            continue;
        size_t back = enter_item(&job->match, old);
        remark_gone(job, old);
        match_path_back(&job->match, back);
    }
    for (size_t i = 0, count; i < job->old.items; i += count) {
        count = count_in_section(&job->old, i);
        handle_gone_section(job, &job->old.item[i], count);
    }
}

/* ---- recipes ---- */

static bool is_same_section(const struct side_section *from, const struct side_section *to)
{
    const struct note_data *a = &from->note, *b = &to->note;

    return strcmp(from->name, to->name) == 0 && from->bytes == to->bytes && a->type_hash == b->type_hash &&
           a->deep_hash == b->deep_hash;
}

/* Finds the old section of all data that are paired with the `count` data from `first` on. NULL: none is paired, or
 * it is refused: sections are not split or merged. */
static const struct item *find_origin(struct job *job, const struct item *first, size_t count)
{
    const struct item *from = NULL;

    for (size_t i = 0; i < count; i++) {
        const struct item *old = first[i].pair;
        if (!old)
            continue;
        if (from && from->section != old->section) {
            match_remark(&job->match, &job->match.refused, "its section was two before: %s and %s", from->section->name,
                         old->section->name);
            return NULL;
        }
        from = old;
    }
    for (size_t i = 0; from && i < job->old.items; i++) {
        const struct item *other = &job->old.item[i];
        if (other->section == from->section && other->pair && other->pair->section != first->section) {
            match_remark(&job->match, &job->match.refused, "its section %s is now two: %s and %s", from->section->name,
                         first->section->name, other->pair->section->name);
            return NULL;
        }
    }
    return from;
}

/* Whether the two are the same datum: a static one of another file is another one, unless it is said to be the same. */
static bool is_same_file(struct match *m, const struct item *old, const struct item *new_)
{
    struct match_word *word = match_word(m, "");

    if (is_same_string(old->datum->file, new_->datum->file) || (word && word->to))
        return true;
    match_remark(m, &m->refused, "was one of %s, and is one of %s; say --rename %s=%s if it is the same",
                 old->datum->file ?: "all files", new_->datum->file ?: "all files", m->path, new_->datum->name);
    return false;
}

static void match_data(struct job *job, const struct item *old, const struct item *new_, struct moves *moves)
{
    struct match *m = &job->match;
    uint64_t was = flexible_bytes(old->section, old->datum), is = flexible_bytes(new_->section, new_->datum);
    Dwarf_Die a = old->datum->die, b = new_->datum->die;
    CLOSED_BY(moves_done) struct moves own = {0};

    m->old_tags = types_tags(job->transfer->old[old->side].types);
    m->new_tags = types_tags(job->transfer->new_[new_->side].types);
    if (!was && !is) {
        match_types(m, &a, &b, &own);
        m->failed |= !moves_append(moves, &own, old->datum->offset, new_->datum->offset);
    } else if (hash_type(&a, m->old_tags) == hash_type(&b, m->new_tags)) {
        flexible_move(m, old->datum, was, new_->datum, is, moves);
    } else {
        match_remark(m, &m->refused, "its type has changed, and it ends in an array without a length");
    }
}

static void match_item(struct job *job, const struct item *new_, struct moves *moves)
{
    struct match *m = &job->match;
    const struct item *old = new_->pair;
    struct match_word *word = match_word(m, "");

    if (word && !word->to) {
        const struct recipe_move place = {.kind = RECIPE_PLACE,
                                          .count = 1,
                                          .from = old->datum ? (uint32_t)old->datum->offset : 0,
                                          .to = new_->datum ? (uint32_t)new_->datum->offset : 0};

        word->used = true;
        match_remark(m, &m->changed, "dropped");
        m->failed |= !moves_add(moves, place);
        return;
    }
    if (!old->datum) {
        match_remark(m, &m->refused, "its type is not known, and its size was %" PRIu64 ", is %" PRIu64,
                     old->section->bytes, new_->section->bytes);
        return;
    }
    if (old->datum->form || new_->datum->form) {
        match_remark(m, &m->refused, "the compiler stores it in another form than its type says");
        return;
    }
    if (is_same_file(m, old, new_))
        match_data(job, old, new_, moves);
}

/* Whether all moves are within their sections; else the DWARF is damaged. The guest checks that too. */
static bool moves_are_in_range(const struct transfer_recipe *r)
{
    for (size_t i = 0; i < r->moves.moves; i++) {
        const struct recipe_move *m = &r->moves.move[i];
        uint64_t unit = moves_unit(m);

        if (m->from + (uint64_t)(m->count - 1) * m->from_stride + m->from_width > unit * r->from->bytes ||
            m->to + (uint64_t)(m->count - 1) * m->to_stride + m->to_width > unit * r->to->bytes)
            return false;
    }
    return r->moves.moves <= MOVES_MAX;
}

static void recipe_done(struct transfer_recipe *recipe)
{
    moves_done(&recipe->moves);
}

static void make_recipe(struct job *job, const struct item *first, size_t count, const struct item *from)
{
    struct transfer *t = job->transfer;
    CLOSED_BY(recipe_done)
    struct transfer_recipe recipe = {
        .old = from->side, .new_ = first->side, .from = from->section, .to = first->section};
    size_t refused = job->match.refused.lines;

    for (size_t i = 0; i < count; i++) {
        size_t back = enter_item(&job->match, first[i].pair ?: &first[i]);
        if (first[i].pair)
            match_item(job, &first[i], &recipe.moves);
        match_path_back(&job->match, back);
    }
    if (job->match.refused.lines == refused && !moves_are_in_range(&recipe)) {
        size_t back = enter_item(&job->match, first);
        match_remark(&job->match, &job->match.refused, "takes too many moves, or more than its section holds");
        match_path_back(&job->match, back);
    }
    if (job->match.refused.lines == refused) {
        t->recipe[t->recipes++] = recipe;
        recipe.moves = (struct moves){0};
    }
}

/* Whether the swap copies the section without a recipe. */
static bool is_carried(struct job *job, const struct item *first, size_t count, const struct item *from)
{
    for (size_t i = 0; i < count; i++) {
        size_t back = enter_item(&job->match, &first[i]);
        struct match_word *word = match_word(&job->match, "");
        match_path_back(&job->match, back);
        if (word && !word->to && first[i].pair)
            return false;
    }
    return is_same_section(from->section, first->section);
}

/* Handles one new section, with the `count` data from `first` on. */
static void transfer_section(struct job *job, const struct item *first, size_t count)
{
    struct transfer *t = job->transfer;
    struct match *m = &job->match;
    size_t back = enter_item(m, first), refused = m->refused.lines;
    const struct item *from = find_origin(job, first, count);

    match_path_back(m, back);
    bool by_recipe = from && !is_carried(job, first, count, from);
    back = enter_item(m, first);

    if (by_recipe && t->new_[first->side].notes.cell.transfer) {
        match_remark(m, &t->left_over, "of another type");
        by_recipe = false;
    } else if (!from && refused == m->refused.lines) {
        match_remark(m, &m->changed, "new, with the value that the new version begins with");
    }
    match_path_back(m, back);
    if (by_recipe)
        make_recipe(job, first, count, from);
}

static void transfer_sections(struct job *job)
{
    for (size_t i = 0, count; i < job->new_.items; i += count) {
        count = count_in_section(&job->new_, i);
        transfer_section(job, &job->new_.item[i], count);
    }
}

/* ---- all ---- */

static enum err check_words_used(const struct match *match, const char *path)
{
    for (size_t i = 0; i < match->words; i++)
        if (!match->word[i].used)
            return complain(ERR_INVALID, path,
                            "%s: no such field or function is gone, nor is its datum one that a recipe moves",
                            match->word[i].path);
    return ERR_OK;
}

static enum err make_recipes(struct job *job)
{
    struct transfer *t = job->transfer;
    size_t sections = 1;

    for (size_t i = 0; i < t->news; i++)
        sections += t->new_[i].sections;
    for (size_t i = 0; i < t->olds; i++)
        sections += t->old[i].sections + t->old[i].functions;
    t->recipe = calloc(sections, sizeof *t->recipe);
    if (!t->recipe || !list_items(&job->old, t->old, t->olds, false) || !list_items(&job->new_, t->new_, t->news, true))
        return complain(ERR_NOMEM, t->new_[0].path, "out of memory");
    pair_items(job, true);
    pair_items(job, false);
    transfer_sections(job);
    handle_gone(job);
    renamed_functions(t, &job->match);
    if (job->match.failed)
        return complain(ERR_NOMEM, t->new_[0].path, "out of memory");
    size_t moves = 0;
    for (size_t i = 0; i < t->recipes; i++)
        moves += t->recipe[i].moves.moves;
    if (t->recipes > RECIPES_MAX || moves > MOVES_MAX)
        return complain(ERR_RANGE, t->new_[0].path, "takes %zu recipes with %zu moves; a swap carries %d with %d",
                        t->recipes, moves, RECIPES_MAX, MOVES_MAX);
    for (size_t i = 0; i < t->recipes; i++)
        if (moves_looks(&t->recipe[i].moves) > RECIPE_LOOKS)
            return complain(ERR_RANGE, t->new_[0].path, "%s: more than %u values would have to be looked at",
                            t->recipe[i].from->name, RECIPE_LOOKS);
    if (t->texts.full)
        return complain(ERR_RANGE, t->new_[0].path, "takes more than %u bytes of names of fields", RECIPE_TEXT_MAX);
    return check_words_used(&job->match, t->new_[0].path);
}

static void job_done(struct job *job)
{
    for (size_t i = 0; i < job->old.items; i++)
        moves_done(&job->old.item[i].lost);
    free(job->old.item);
    free(job->new_.item);
}

enum err transfer_make(struct transfer *ret_transfer, struct side *old, size_t olds, struct side *new_, size_t news,
                       struct match_word *word, size_t words)
{
    CLOSED_BY(transfer_done) struct transfer t = {.old = old, .new_ = new_, .olds = olds, .news = news};
    CLOSED_BY(job_done)
    struct job job = {.transfer = &t, .match = {.word = word, .words = words, .texts = &t.texts}};
    enum err e = make_recipes(&job);

    t.changed = job.match.changed;
    t.refused = job.match.refused;
    if (e == ERR_OK) {
        *ret_transfer = t;
        t = (struct transfer){0};
    }
    return e;
}

void transfer_done(struct transfer *transfer)
{
    struct match lines = {.refused = transfer->refused, .changed = transfer->changed};
    struct match more = {.refused = transfer->left_over};

    match_done(&lines);
    match_done(&more);
    for (size_t i = 0; i < transfer->recipes; i++)
        recipe_done(&transfer->recipe[i]);
    free(transfer->recipe);
    texts_done(&transfer->texts);
    *transfer = (struct transfer){0};
}

static void pack_recipe(const struct transfer *t, const struct transfer_recipe *r, struct recipe *ret_recipe)
{
    *ret_recipe = (struct recipe){.old_object = t->old[r->old].hash,
                                  .old_section = (uint32_t)r->from->index,
                                  .old_bytes = (uint32_t)r->from->bytes,
                                  .old_type = r->from->note.type_hash,
                                  .old_deep = r->from->note.deep_hash,
                                  .moves = (uint32_t)r->moves.moves};
    if (!r->to)
        return;
    ret_recipe->new_object = t->new_[r->new_].hash;
    ret_recipe->new_section = (uint32_t)r->to->index;
    ret_recipe->new_bytes = (uint32_t)r->to->bytes;
    ret_recipe->new_type = r->to->note.type_hash;
    ret_recipe->new_deep = r->to->note.deep_hash;
}

void *transfer_pack(const struct transfer *t, size_t *ret_bytes)
{
    struct recipe_set set = {.version = RECIPE_VERSION, .recipes = (uint32_t)t->recipes};

    for (size_t i = 0; i < t->recipes; i++)
        set.moves += (uint32_t)t->recipe[i].moves.moves;
    set.text = t->texts.bytes ? (uint32_t)t->texts.bytes : 1;
    set.bytes = (uint32_t)(sizeof set + set.recipes * sizeof(struct recipe) + set.moves * sizeof(struct recipe_move)) +
                set.text;
    uint8_t *data = calloc(1, set.bytes);
    if (!data)
        return NULL;
    memcpy(data, &set, sizeof set);
    struct recipe *recipe = (void *)(data + sizeof set);
    struct recipe_move *move = (void *)(recipe + set.recipes);
    uint32_t first = 0;
    for (size_t i = 0; i < t->recipes; i++) {
        const struct moves *moves = &t->recipe[i].moves;
        pack_recipe(t, &t->recipe[i], &recipe[i]);
        recipe[i].first_move = first;
        if (moves->moves)
            memcpy(move + first, moves->move, moves->moves * sizeof *move);
        first += recipe[i].moves;
    }
    if (t->texts.bytes)
        memcpy(move + set.moves, t->texts.text, t->texts.bytes);
    *ret_bytes = set.bytes;
    return data;
}
