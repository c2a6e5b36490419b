/* The TUI without a terminal: canvas, list, and the program's answers to keys. */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/unit/arena_build.h"
#include "tui/app.h"

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
        list_print(list, (uint64_t)i, STYLE_PLAIN, (struct link){LINK_CELL, (uint32_t)i}, "row %d", i);
    list_reselect(list);
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

/* ---- the program ---- */

static uint8_t *ram;
static struct app app;

static void look(void)
{
    enum err err;

    app_look(&app, view_take_anyway(ram, BUILD_RAM, &err));
    ck_assert_ptr_nonnull(app.view);
}

static void setup_app(void)
{
    ram = build_ram();
    ck_assert(canvas_resize(&canvas, 24, 80));
    app_init(&app, "m");
    look();
}

static void teardown_app(void)
{
    app_done(&app);
    canvas_done(&canvas);
    free(ram);
}

static void type(const char *text)
{
    for (; *text; text++)
        app_key(&app, (struct key_press){.key = (unsigned char)*text});
}

static void press(int key)
{
    app_key(&app, (struct key_press){.key = key});
}

static bool shows(const char *text)
{
    app_draw(&app, &canvas);
    for (int row = 0; row < canvas.rows; row++)
        if (strstr(row_text(row), text))
            return true;
    return false;
}

/* What a swap leaves: the old cell, and another record of the same name. */
static void swap_alpha(void)
{
    struct arena_cell *new = build_new(ram, ARENA_CELLS), *old = build_record(ram, ARENA_CELLS, BUILD_ALPHA);

    *new = *old;
    new->version = 9;
    new->first_section = NO_SECTION;
    new->sections = 0;
    old->state = CELL_OLD;
    build_seal(ram, ARENA_CELLS, 3);
}

START_TEST(page_stays_with_a_swapped_cell)
{
    type("/alpha");
    press(KEYS_ENTER);
    ck_assert(shows("alpha: sections") && shows("words"));
    swap_alpha();
    look();
    ck_assert(shows("alpha: sections") && shows("nothing here") && !shows("words"));
    ck_assert_uint_eq(app.place[0].cell.index, 3);
    press(KEYS_ESCAPE);
    ck_assert(shows("alpha          v9"));
    ck_assert_uint_eq(list_selected(&app.tree)->link.index, 3);
    type("s");
    press(KEYS_ENTER);
    ck_assert(shows("delias swap m alpha=build/cells/alpha.o"));
}
END_TEST

START_TEST(who_keeps_the_cell_stands_below)
{
    type("/alpha");
    press(KEYS_ENTER);
    press(KEYS_ESCAPE);
    ck_assert(shows("held by 0 edges, 1 tasks  edges 1 out 0 in 1 inside  of object 1"));
}
END_TEST

START_TEST(filter_chooses_what_it_shows)
{
    type("/beta");
    ck_assert(shows("/beta_") && shows("beta: sections"));
    press(KEYS_ENTER);
    ck_assert(shows("/beta") && !shows("alpha"));
    snprintf(app.message, sizeof app.message, "done: a swap");
    ck_assert(shows("done: a swap"));
    press(KEYS_ESCAPE);
    ck_assert(shows("alpha  ") && shows("beta: sections"));
}
END_TEST

/* Another alpha, held by a branch of the root. */
static void branch_alpha(void)
{
    struct arena_namespace *small = build_new(ram, ARENA_NAMESPACES);

    swap_alpha();
    *small = (struct arena_namespace){.name = build_string(ram, "small"), .parent = {1}};
    ((struct arena_cell *)build_record(ram, ARENA_CELLS, BUILD_ALPHA))->state = CELL_LIVE;
    ((struct arena_cell *)build_record(ram, ARENA_CELLS, 3))->namespace_.index = 2;
    build_seal(ram, ARENA_NAMESPACES, 2);
    build_seal(ram, ARENA_CELLS, 3);
    look();
}

START_TEST(filter_takes_names_with_namespaces)
{
    branch_alpha();
    type("/alpha");
    ck_assert(shows("root/") && shows("small/") && shows("alpha          v1") && shows("alpha          v9"));
    press(KEYS_ESCAPE);
    type("/small/alpha");
    ck_assert(!shows("root/ ") && !shows("alpha          v1") && shows("alpha          v9"));
    ck_assert(shows("small/alpha: sections"));
    press(KEYS_ENTER);
    look(); /* the page stays with the cell of the namespace */
    ck_assert(shows("small/alpha: sections"));
    ck_assert_uint_eq(app.place[0].cell.index, 3);
    type("s");
    press(KEYS_ENTER);
    ck_assert(shows("delias swap m small/alpha=build/cells/alpha.o"));
    press(KEYS_ESCAPE);
    type("i");
    press(KEYS_ENTER);
    ck_assert(shows("--into cell:small/alpha:.text"));
    press(KEYS_ESCAPE);
    press(KEYS_ESCAPE);
    type("/root/");
    ck_assert(shows("alpha          v1") && shows("beta") && !shows("alpha          v9"));
}
END_TEST

START_TEST(way_back_ends_on_the_row_that_was_left)
{
    type("/alpha");
    press(KEYS_ENTER);
    press(KEYS_RIGHT);
    press(KEYS_DOWN);
    uint64_t row = list_selected(&app.list)->id;
    press(KEYS_ENTER);
    ck_assert_int_eq(app.places, 2);
    press(KEYS_ESCAPE);
    ck_assert_int_eq(app.places, 1);
    ck_assert_uint_eq(list_selected(&app.list)->id, row);
}
END_TEST

START_TEST(a_long_name_leaves_what_is_wrong)
{
    ck_assert(shows(" cells  ") && shows(" edges  ") && shows("rounds "));
    strcpy(app.machine, "name-of-28-characters-------");
    ck_assert(!shows(" edges  ") && shows("rounds ") && shows("bad "));
    strcpy(app.machine, "name-of-thirty-two-characters---");
    strcpy(app.state, "internal-error");
    ck_assert(!shows("rounds ") && shows("bad ") && shows("faults "));
}
END_TEST

START_TEST(keys_do_not_act_unseen)
{
    ck_assert(canvas_resize(&canvas, 5, 20));
    app_draw(&app, &canvas);
    type("si?/");
    ck_assert_int_eq(app.mode, APP_BROWSE);
    type("q");
    ck_assert(app.quit);
}
END_TEST

START_TEST(command_that_is_stopped_ends)
{
    struct command command = {.output = open("/dev/null", O_RDONLY), .pid = fork()};
    int status;

    if (!command.pid) {
        signal(SIGTERM, SIG_DFL); /* not as the tests' own processes end */
        raise(SIGSTOP);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(command.pid, &status, WUNTRACED), command.pid);
    command_stop(&command);
    ck_assert_int_eq(command.pid, 0);
    ck_assert_int_eq(waitpid(-1, &status, WNOHANG), -1);
}
END_TEST

START_TEST(command_can_be_pasted_into_a_shell)
{
    struct command command = {};
    char text[128];

    command_add(&command, "swap");
    command_add(&command, "it's=a b.o");
    command_text(&command, text, sizeof text);
    ck_assert_str_eq(text, "delias swap 'it'\\''s=a b.o'");
}
END_TEST

Suite *suite_tui(void);

Suite *suite_tui(void)
{
    Suite *s = suite_create("tui");
    TCase *tc = tcase_create("canvas and list"), *program = tcase_create("program");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, text_is_clipped_to_its_area);
    tcase_add_test(tc, hostile_bytes_do_not_reach_the_terminal);
    tcase_add_test(tc, selection_stays_on_the_same_thing);
    tcase_add_test(tc, filter_ignores_letter_case);
    tcase_add_test(tc, list_scrolls_with_its_selection);
    suite_add_tcase(s, tc);
    tcase_add_checked_fixture(program, setup_app, teardown_app);
    tcase_add_test(program, page_stays_with_a_swapped_cell);
    tcase_add_test(program, who_keeps_the_cell_stands_below);
    tcase_add_test(program, filter_chooses_what_it_shows);
    tcase_add_test(program, filter_takes_names_with_namespaces);
    tcase_add_test(program, way_back_ends_on_the_row_that_was_left);
    tcase_add_test(program, a_long_name_leaves_what_is_wrong);
    tcase_add_test(program, keys_do_not_act_unseen);
    tcase_add_test(program, command_that_is_stopped_ends);
    tcase_add_test(program, command_can_be_pasted_into_a_shell);
    suite_add_tcase(s, program);
    return s;
}
