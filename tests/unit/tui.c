/* The TUI without a terminal: canvas and list. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tui/canvas.h"
#include "tui/list.h"

static struct canvas canvas;
static struct area whole = {0, 0, 5, 20};

static void setup(void)
{
    ck_assert(canvas_resize(&canvas, 5, 20));
}

static void teardown(void)
{
    canvas_done(&canvas);
}

static const char *row_text(int row)
{
    static char text[256];
    canvas_row_text(&canvas, row, text, sizeof text);
    return text;
}

START_TEST(text_is_clipped_to_its_area)
{
    canvas_text(&canvas, (struct area){1, 2, 1, 5}, 0, 0, STYLE_PLAIN, "abcdefgh");
    canvas_text(&canvas, (struct area){1, 2, 1, 5}, 1, 0, STYLE_PLAIN, "outside");
    canvas_text(&canvas, (struct area){4, 18, 9, 9}, 0, 0, STYLE_PLAIN, "edge");
    ck_assert_str_eq(row_text(1), "  abcde");
    ck_assert_str_eq(row_text(2), "");
    ck_assert_str_eq(row_text(4), "                  ed");
}
END_TEST

START_TEST(hostile_bytes_do_not_reach_the_terminal)
{
    canvas_text(&canvas, whole, 0, 0, STYLE_PLAIN, "a\x1b[2Jb\x80\xff\xc3(");
    ck_assert_str_eq(row_text(0), "a?[2Jb\?\?\?(");
    canvas_text(&canvas, whole, 1, 0, STYLE_PLAIN, "\xc3\xa9\xe2\x94\x80");
    ck_assert_str_eq(row_text(1), "\xc3\xa9\xe2\x94\x80");
}
END_TEST

static void fill(struct list *list, int first, int count)
{
    list_clear(list);
    for (int i = first; i < first + count; i++)
        list_add(list, (uint64_t)i, STYLE_PLAIN, (struct link){LINK_CELL, (uint32_t)i}, "row %d", i);
    list_settle(list);
}

START_TEST(selection_stays_on_the_same_thing)
{
    struct list list = {};

    fill(&list, 1, 10);
    list_move(&list, 4);
    ck_assert_uint_eq(list_selected(&list)->id, 5);
    fill(&list, 3, 10);
    ck_assert_uint_eq(list_selected(&list)->id, 5);
    fill(&list, 100, 2);
    ck_assert_ptr_nonnull(list_selected(&list));
    fill(&list, 0, 0);
    ck_assert_ptr_null(list_selected(&list));
    list_done(&list);
}
END_TEST

START_TEST(filter_ignores_letter_case)
{
    struct list list = {.filter = "ROW 1"};

    fill(&list, 1, 12);
    ck_assert_uint_eq(list.rows, 4);
    list_done(&list);
}
END_TEST

START_TEST(list_scrolls_with_its_selection)
{
    struct list list = {.head = "HEAD"};

    fill(&list, 1, 10);
    list_move(&list, 9);
    list_draw(&list, &canvas, whole, true);
    ck_assert_str_eq(row_text(0), "HEAD");
    ck_assert_str_eq(row_text(4), "row 10");
    ck_assert(list_click(&list, whole, 2, 3));
    ck_assert_uint_eq(list_selected(&list)->id, 8);
    ck_assert(!list_click(&list, whole, 0, 3));
    list_done(&list);
}
END_TEST

Suite *suite_tui(void);

Suite *suite_tui(void)
{
    Suite *s = suite_create("tui");
    TCase *tc = tcase_create("canvas and list");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, text_is_clipped_to_its_area);
    tcase_add_test(tc, hostile_bytes_do_not_reach_the_terminal);
    tcase_add_test(tc, selection_stays_on_the_same_thing);
    tcase_add_test(tc, filter_ignores_letter_case);
    tcase_add_test(tc, list_scrolls_with_its_selection);
    suite_add_tcase(s, tc);
    return s;
}
