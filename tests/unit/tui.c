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

    app.now_ms += 250;
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
    type("&alpha");
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
    ck_assert(shows("swap alpha: objects that fit") && shows("another file"));
}
END_TEST

START_TEST(who_keeps_the_cell_stands_below)
{
    type("&alpha");
    press(KEYS_ENTER);
    press(KEYS_ESCAPE);
    ck_assert(shows("held by 0 edges, 1 tasks  edges 1 out 0 in 1 inside  of object 1"));
}
END_TEST

START_TEST(filter_chooses_what_it_shows)
{
    type("&beta");
    ck_assert(shows("filter: beta_") && shows("beta: sections"));
    press(KEYS_ENTER);
    ck_assert(shows("filter: beta") && !shows("alpha"));
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
    type("&alpha");
    ck_assert(shows("root/") && shows("small/") && shows("alpha          v1") && shows("alpha          v9"));
    press(KEYS_ESCAPE);
    type("&small/alpha");
    ck_assert(!shows("root/ ") && !shows("alpha          v1") && shows("alpha          v9"));
    ck_assert(shows("small/alpha: sections"));
    press(KEYS_ENTER);
    look(); /* the page stays with the cell of the namespace */
    ck_assert(shows("small/alpha: sections"));
    ck_assert_uint_eq(app.place[0].cell.index, 3);
    type("s");
    ck_assert(shows("swap small/alpha: objects that fit"));
    press(KEYS_ENTER);
    press(0x15);
    type("a.o");
    press(KEYS_ENTER);
    ck_assert(shows("delias swap m small/alpha=a.o"));
    press(KEYS_ESCAPE);
    type("i");
    press(KEYS_ENTER);
    ck_assert(shows("--into cell:small/alpha:.text"));
    press(KEYS_ESCAPE);
    press(KEYS_ESCAPE);
    type("&root/");
    ck_assert(shows("alpha          v1") && shows("beta") && !shows("alpha          v9"));
}
END_TEST

START_TEST(way_back_ends_on_the_row_that_was_left)
{
    type("&alpha");
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
    strcpy(app.facts.state, "internal-error");
    app.readonly = true;
    ck_assert(shows("bad ") && shows("faults ") && !strstr(row_text(0), "rounds "));
}
END_TEST

/* ---- what one sees ---- */

START_TEST(the_way_back_highlights_the_cell_that_keys_act_on)
{
    type("&alpha");
    press(KEYS_ENTER);
    press(KEYS_ESCAPE);
    type("3");
    press(KEYS_ENTER); /* beta, which alpha calls */
    ck_assert_uint_eq(list_selected(&app.tree)->link.index, BUILD_BETA);
    press(KEYS_ESCAPE);
    ck_assert(shows("alpha: needs"));
    ck_assert_uint_eq(list_selected(&app.tree)->link.index, BUILD_ALPHA);
    type("i");
    ck_assert(shows("cell:alpha:.text"));
}
END_TEST

START_TEST(an_old_cell_is_not_taken_for_the_new_one)
{
    swap_alpha();
    look();
    type(":#1");
    press(KEYS_ENTER);
    ck_assert_uint_eq(list_selected(&app.tree)->link.index, BUILD_ALPHA);
    type("s");
    ck_assert(shows("an old cell is not swapped"));
    type("i");
    ck_assert(shows("cell:#1:.text"));
}
END_TEST

START_TEST(the_state_of_the_machine_is_in_the_first_line)
{
    static const char *const states[] = {"paused", "ended", "silent", "stopped"};

    app_draw(&app, &canvas);
    ck_assert(strstr(row_text(0), "m  running"));
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        strcpy(app.facts.state, states[i]);
        app_draw(&app, &canvas);
        ck_assert_msg(strstr(row_text(0), states[i]), "%s", states[i]);
    }
    strcpy(app.facts.state, "running");
    build_header(ram)->ready = 0;
    memset(build_record(ram, ARENA_CELLS, BUILD_ALPHA), 0xff, 8);
    look();
    ck_assert(shows("m   booting") && !shows("damaged metadata"));
}
END_TEST

START_TEST(dependencies_are_by_cell)
{
    type("&beta");
    press(KEYS_ENTER);
    press(KEYS_ESCAPE);
    type("d");
    ck_assert(shows("used by 1 cells") && shows("alpha                  x1"));
    press(KEYS_DOWN);
    press(KEYS_ENTER);
    ck_assert(shows("alpha: dependencies") && shows("beta                   x1"));
}
END_TEST

static void add_fault(uint64_t seq, uint32_t outcome)
{
    struct arena_fault *f = build_record(ram, ARENA_FAULTS, (uint32_t)arena_ring_index(seq, ARENA_FAULTS_MAX));

    *f = (struct arena_fault){.kind = FAULT_PANIC, .seq = seq, .boot = build_header(ram)->boot, .outcome = outcome};
    f->recovery_ns = 214000;
    f->steps = 1;
    f->step[0] = (struct arena_fault_step){.kind = FAULT_STEP_RESTART, .count = 1, .after_ns = 200000};
    strcpy(f->cell_name, "alpha");
    strcpy(f->symbol, "alpha_run");
    strcpy(f->task_name, "producer");
    strcpy(f->message, "out of bounds");
    f->check = arena_fault_check(f, seq);
}

START_TEST(an_incident_shows_itself)
{
    ck_assert(!shows("incident ") && shows("incidents 3"));
    add_fault(4, FAULT_OUTCOME_OPEN);
    look();
    ck_assert(shows("incident ") && shows("being recovered") && shows("out of bounds, task producer"));
    ck_assert(shows("alpha:alpha_run+0x0") && shows("+200 us  restarted"));
    add_fault(4, FAULT_OUTCOME_RECOVERED);
    look();
    ck_assert(shows("recovered in 214 us"));
    incidents_tell(&app.incidents, 4, "fault 4\n  at           alpha:alpha_run+0x0  a.c:7\n");
    ck_assert(shows("at       alpha:alpha_run+0x0  a.c:7"));
    press(KEYS_ESCAPE);
    ck_assert(!shows("recovered in 214 us"));
    type("b");
    ck_assert(shows("recovered in 214 us"));
    type("[");
    ck_assert(!shows("recovered in 214 us") && shows("incident "));
}
END_TEST

START_TEST(what_has_changed_flashes)
{
    ck_assert(!shows("*alpha"));
    ((struct arena_cell *)build_record(ram, ARENA_CELLS, BUILD_ALPHA))->reloads++;
    look();
    ck_assert(shows("*alpha") && !shows("*beta"));
    app.now_ms += FLASH_MS;
    look();
    ck_assert(!shows("*alpha"));
}
END_TEST

START_TEST(read_only_changes_nothing)
{
    static const char keys[] = "sipRu";

    app.readonly = true;
    for (const char *key = keys; *key; key++) {
        type((char[]){*key, 0});
        ck_assert_int_eq(app.mode, APP_BROWSE);
        ck_assert(shows("read-only: begun with"));
    }
    type(":reset");
    press(KEYS_ENTER);
    ck_assert(shows("read-only: begun with"));
}
END_TEST

START_TEST(search_goes_round)
{
    type("/^ b.ta");
    press(KEYS_ENTER);
    ck_assert(shows("beta: sections"));
    type("/^ [ab][le][pt][ha]"); /* both cells, and nothing else */
    press(KEYS_ENTER);
    ck_assert(shows("beta: sections")); /* the row where one is counts */
    type("n");
    ck_assert(shows("alpha: sections"));
    type("N");
    ck_assert(shows("beta: sections"));
    type("/nothing like it");
    ck_assert(shows("nothing here matches"));
}
END_TEST

START_TEST(every_place_can_be_named)
{
    type(":alp");
    press(KEYS_TAB);
    ck_assert_str_eq(app.input, "alpha");
    press(KEYS_ENTER);
    ck_assert(shows("alpha: sections"));
    type(":tasks");
    press(KEYS_ENTER);
    ck_assert(shows("tasks"));
    type("y");
    ck_assert(shows("$ delias tasks m"));
    type(":nonsense");
    press(KEYS_ENTER);
    ck_assert(shows("is called nonsense"));
}
END_TEST

START_TEST(rows_are_sorted_by_a_column)
{
    type("&alpha");
    press(KEYS_ENTER);
    press(KEYS_ESCAPE);
    type("ooo"); /* BYTES */
    ck_assert(shows("by BYTES"));
    ck_assert_uint_eq(app.list.row[0].id, BUILD_ALPHA_RODATA);
    type("O");
    ck_assert_uint_eq(app.list.row[0].id, BUILD_ALPHA_TEXT);
}
END_TEST

START_TEST(all_of_an_answer_is_shown)
{
    app_draw(&app, &canvas);
    app.command = (struct command){.said = "first\nsecond\nlast\n"};
    char line[64];
    ck_assert_uint_eq(command_last_line(&app.command, line, sizeof line), 3);
    ck_assert_str_eq(line, "last");
}
END_TEST

START_TEST(sizes_that_are_used)
{
    static const int size[][2] = {{20, 80}, {23, 80}, {40, 120}, {60, 200}, {100, 300}};

    for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
        ck_assert(canvas_resize(&canvas, size[i][0], size[i][1]));
        ck_assert(shows("F10") && shows("F1help") && !shows("too small"));
        type("?");
        ck_assert(shows("q, F10"));
        type("q7");
        ck_assert(shows("OUTCOME") && shows(" US"));
        press(KEYS_ESCAPE);
    }
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
    tcase_add_test(program, the_way_back_highlights_the_cell_that_keys_act_on);
    tcase_add_test(program, an_old_cell_is_not_taken_for_the_new_one);
    tcase_add_test(program, the_state_of_the_machine_is_in_the_first_line);
    tcase_add_test(program, dependencies_are_by_cell);
    tcase_add_test(program, an_incident_shows_itself);
    tcase_add_test(program, what_has_changed_flashes);
    tcase_add_test(program, read_only_changes_nothing);
    tcase_add_test(program, search_goes_round);
    tcase_add_test(program, every_place_can_be_named);
    tcase_add_test(program, rows_are_sorted_by_a_column);
    tcase_add_test(program, all_of_an_answer_is_shown);
    tcase_add_test(program, sizes_that_are_used);
    tcase_add_test(program, keys_do_not_act_unseen);
    tcase_add_test(program, command_that_is_stopped_ends);
    tcase_add_test(program, command_can_be_pasted_into_a_shell);
    suite_add_tcase(s, program);
    return s;
}
