/* See moves.h. */
#include "cells/tool/moves.h"
#include "cells/tool/list.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void moves_done(struct moves *moves)
{
    free(moves->move);
    *moves = (struct moves){0};
}

unsigned moves_unit(const struct recipe_move *move)
{
    return recipe_counts_bits(move->kind) ? 8 : 1;
}

/* ---- text ---- */

void texts_done(struct texts *texts)
{
    free(texts->text);
    *texts = (struct texts){0};
}

static bool append_text(struct texts *texts, const char *string, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        char *room = list_room(texts->text, texts->bytes, &texts->capacity, 1);
        if (!room)
            return false;
        texts->text = room;
        room[texts->bytes++] = string[i];
    }
    return true;
}

bool texts_add(struct texts *texts, const char *string, uint32_t *ret_offset)
{
    size_t bytes = strlen(string) + 1;

    *ret_offset = 0;
    if (texts->bytes == 0 && !append_text(texts, "", 1))
        return false;
    for (size_t at = 0; at < texts->bytes; at += strlen(texts->text + at) + 1)
        if (strcmp(texts->text + at, string) == 0) {
            *ret_offset = (uint32_t)at;
            return true;
        }
    texts->full |= bytes > RECIPE_TEXT_MAX - texts->bytes;
    if (texts->full)
        return true;
    *ret_offset = (uint32_t)texts->bytes;
    return append_text(texts, string, bytes);
}

/* The name with "[NUMBER]" in place of "[]", or in front of it. */
static bool number_element(const struct moves_name *name, uint32_t *field, uint64_t number)
{
    const char *old = name->texts->text + *field;
    char new_[1024];

    if (strlen(old) < name->at + 2 || (!name->outer && strncmp(old + name->at, "[]", 2) != 0))
        return true; /* it was cut off */
    snprintf(new_, sizeof new_, "%.*s[%" PRIu64 "]%s", (int)name->at, old, number,
             old + name->at + (name->outer ? 0 : 2));
    return texts_add(name->texts, new_, field);
}

/* Leaves "[]" in the name for the numbers of all elements. */
static bool leave_brackets(const struct moves_name *name, uint32_t *field)
{
    const char *old = name->texts->text + *field;
    char new_[1024];

    if (!name->outer || strlen(old) < name->at)
        return true;
    snprintf(new_, sizeof new_, "%.*s[]%s", (int)name->at, old, old + name->at);
    return texts_add(name->texts, new_, field);
}

/* ---- moves ---- */

static bool can_join(const struct recipe_move *a, const struct recipe_move *b)
{
    return a->kind == RECIPE_COPY && b->kind == RECIPE_COPY && a->count == 1 && b->count == 1 &&
           a->from + a->from_width == b->from && a->to + a->to_width == b->to;
}

bool moves_add(struct moves *moves, struct recipe_move move)
{
    struct recipe_move *last = moves->moves ? &moves->move[moves->moves - 1] : NULL;

    if (move.from_width == 0 && move.kind != RECIPE_PLACE)
        return true;
    if (last && can_join(last, &move)) {
        last->from_width = last->to_width += move.to_width;
        return true;
    }
    struct recipe_move *room = list_room(moves->move, moves->moves, &moves->capacity, sizeof *room);
    if (!room)
        return false;
    moves->move = room;
    room[moves->moves++] = move;
    return true;
}

static bool add_shifted(struct moves *moves, struct recipe_move move, uint64_t from, uint64_t to)
{
    move.from += (uint32_t)(moves_unit(&move) * from);
    if (!recipe_refuses(move.kind))
        move.to += (uint32_t)(moves_unit(&move) * to);
    return moves_add(moves, move);
}

bool moves_append(struct moves *moves, const struct moves *more, uint64_t from, uint64_t to)
{
    for (size_t i = 0; i < more->moves && moves->moves <= MOVES_MAX; i++)
        if (!add_shifted(moves, more->move[i], from, to))
            return false;
    return true;
}

/* One for all elements, if it is not one for several already. */
static bool repeat_check(struct moves *moves, struct recipe_move move, uint64_t count, uint64_t stride,
                         const struct moves_name *name)
{
    if (move.count == 1 && count > 1) {
        move.count = (uint32_t)count;
        move.from_stride = (uint32_t)(moves_unit(&move) * stride);
        move.first = name->first;
        return leave_brackets(name, &move.field) && moves_add(moves, move);
    }
    for (uint64_t k = 0; k < count && moves->moves <= MOVES_MAX; k++) {
        struct recipe_move one = move;
        if (!number_element(name, &one.field, name->first + k) || !add_shifted(moves, one, k * stride, 0))
            return false;
    }
    return true;
}

/* One move for all elements, where that can be said in one. */
static bool repeat_move(struct moves *moves, struct recipe_move move, uint64_t count, uint64_t from_stride,
                        uint64_t to_stride)
{
    if (move.count != 1) {
        for (uint64_t k = 0; k < count && moves->moves <= MOVES_MAX; k++)
            if (!add_shifted(moves, move, k * from_stride, k * to_stride))
                return false;
        return true;
    }
    if (move.kind == RECIPE_COPY && move.from_width == from_stride && move.to_width == to_stride) {
        move.from_width = move.to_width *= (uint32_t)count;
    } else {
        move.count = (uint32_t)count;
        move.from_stride = (uint32_t)(moves_unit(&move) * from_stride);
        move.to_stride = (uint32_t)(moves_unit(&move) * to_stride);
    }
    return moves_add(moves, move);
}

bool moves_repeat(struct moves *moves, const struct moves *inner, uint64_t count, uint64_t from_stride,
                  uint64_t to_stride, const struct moves_name *name)
{
    for (size_t i = 0; i < inner->moves; i++) {
        const struct recipe_move *move = &inner->move[i];
        if (!(recipe_refuses(move->kind) ? repeat_check(moves, *move, count, from_stride, name)
                                         : repeat_move(moves, *move, count, from_stride, to_stride)))
            return false;
    }
    return true;
}

uint64_t moves_looks(const struct moves *moves)
{
    uint64_t looks = 0;

    for (size_t i = 0; i < moves->moves; i++)
        if (recipe_refuses(moves->move[i].kind))
            looks += moves->move[i].count + (uint64_t)moves->move[i].from_width / 64;
    return looks;
}
