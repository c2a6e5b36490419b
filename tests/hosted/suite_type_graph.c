/* The loader cell against damaged notes of pointers: the graph of types by which swaps find pointers in data. */
#include "cells/core/loader/loader.h"
#include "guest/abi/note.h"
#include <check.h>
#include <stdlib.h>
#include <string.h>

Suite *suite_hosted_type_graph(void);

/* One type of 48 bytes that holds two of 16, and is static data; the names are "", "a", "b". */
static const struct graph_note {
    struct note_pointers head;
    struct note_shape shape[2];
    struct note_field field[4];
    struct note_root root[1];
    char names[8];
} sound_graph = {
    .head = {.types = 2, .fields = 4, .roots = 1, .name_bytes = 8},
    .shape = {{.bytes = 16, .first = 0, .fields = 2, .name = 1}, {.bytes = 48, .first = 2, .fields = 2, .name = 3}},
    .field = {{.what = NOTE_TO_FUNCTION, .offset = 8, .stride = 8, .count = 1, .name = 1, .hash = 1},
              {.what = NOTE_TO_TAG, .offset = 0, .stride = 8, .count = 1, .name = 3, .hash = 1},
              {.what = NOTE_HOLDS, .offset = 0, .stride = 16, .count = 2, .target = 0, .name = 1},
              {.what = NOTE_TO_TYPE, .offset = 40, .stride = 8, .count = 0, .target = 1, .name = 3}},
    .root = {{.section = 1, .type = 1}},
    .names = "\0a\0b",
};

static bool sound(const struct graph_note *note, size_t bytes)
{
    uint8_t *copy = malloc(bytes + 1);
    bool is_sound;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy + 1, note, bytes); /* notes are not aligned, and nothing may be read behind them */
    is_sound = loader_pointers_sound(copy + 1, bytes);
    free(copy);
    return is_sound;
}

#define WRONG(field_, value)                                                                                           \
    do {                                                                                                               \
        struct graph_note wrong = sound_graph;                                                                         \
        wrong.field_ = (value);                                                                                        \
        ck_assert_msg(!sound(&wrong, sizeof wrong), "%s = %s", #field_, #value);                                       \
    } while (0)

START_TEST(damaged_notes_of_pointers_are_refused)
{
    struct graph_note open = sound_graph;

    ck_assert(sound(&sound_graph, sizeof sound_graph));
    for (size_t bytes = 0; bytes < sizeof sound_graph; bytes++)
        ck_assert(!sound(&sound_graph, bytes));
    WRONG(head.types, 3);
    WRONG(head.types, 0x8000002);
    WRONG(head.fields, UINT32_MAX);
    WRONG(head.roots, 2);
    WRONG(head.name_bytes, 0);
    WRONG(names[7], 'x');
    WRONG(shape[0].first, 1);
    WRONG(shape[0].fields, 3);
    WRONG(shape[1].fields, 1);
    WRONG(shape[1].fields, UINT32_MAX);
    WRONG(shape[1].name, 8);
    WRONG(shape[0].bytes, 0);
    WRONG(shape[0].bytes, 24); /* then two of them do not lie 16 bytes apart */
    WRONG(field[0].what, 0);
    WRONG(field[0].what, NOTE_HOLDS + 1);
    WRONG(field[0].what, NOTE_HOLDS); /* it would hold itself */
    WRONG(field[0].name, 8);
    WRONG(field[0].offset, 9);
    WRONG(field[0].offset, UINT32_MAX);
    WRONG(field[0].count, 2);
    WRONG(field[0].count, UINT32_MAX);
    WRONG(field[0].stride, 0);
    WRONG(field[2].target, 1);
    WRONG(field[2].count, 4);
    WRONG(field[2].stride, UINT32_MAX);
    WRONG(field[3].target, 2);
    WRONG(field[3].offset, 49);
    WRONG(root[0].type, 2);
    open.field[3].offset = 48;
    ck_assert(sound(&open, sizeof open));
}
END_TEST

Suite *suite_hosted_type_graph(void)
{
    Suite *s = suite_create("hosted type_graph");
    TCase *notes = tcase_create("notes");

    tcase_add_test(notes, damaged_notes_of_pointers_are_refused);
    suite_add_tcase(s, notes);
    return s;
}
