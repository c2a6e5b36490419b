/* The tables of columns: each is well-formed, each column of each record can be read, and lines of the screen are
 * aligned. */
#include "introspect/table.h"
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "tests/unit/arena_build.h"

static const struct column *const tables[] = {
    table_namespaces, table_cells, table_sections, table_symbols, table_edges, table_needs,
    table_needed_by,  table_tasks, table_faults,   table_events,  table_swaps, table_counters,
};
enum { TABLES = sizeof tables / sizeof *tables };

static uint8_t *ram;
static struct view *view;

static void setup(void)
{
    enum err e;

    ram = build_ram();
    view = view_take(ram, BUILD_RAM, &e);
    ck_assert_ptr_nonnull(view);
}

static void teardown(void)
{
    view_free(view);
    free(ram);
}

static size_t count_columns(const struct column *columns)
{
    size_t n = 0;

    while (columns[n].key)
        n++;
    return n;
}

START_TEST(keys_are_unique_and_columns_are_readable)
{
    const struct column *columns = tables[_i];
    size_t count = count_columns(columns);

    ck_assert_uint_gt(count, 1);
    for (size_t i = 0; i < count; i++) {
        ck_assert_ptr_nonnull(columns[i].read);
        for (size_t k = 0; k < i; k++)
            ck_assert_str_ne(columns[i].key, columns[k].key);
    }
}
END_TEST

START_TEST(places_on_the_screen_have_no_gap)
{
    const struct column *columns = tables[_i];
    size_t count = count_columns(columns);
    unsigned shown = 0, sum = 0;

    for (size_t i = 0; i < count; i++) {
        shown += columns[i].screen.place != 0;
        sum += columns[i].screen.place;
        ck_assert(!columns[i].screen.place || columns[i].screen.title);
        ck_assert(columns[i].where != COLUMN_SCREEN || columns[i].screen.place);
    }
    ck_assert_uint_eq(sum, shown * (shown + 1) / 2);
}
END_TEST

START_TEST(every_record_can_be_read)
{
    ck_assert_uint_gt(build_ask_tables(view), 0);
}
END_TEST

START_TEST(lines_stand_below_their_titles)
{
    struct table_layout layout;
    char titles[512], line[512];

    table_lay_out(table_sections, 53, &layout);
    table_screen_titles(table_sections, &layout, titles, sizeof titles);
    ck_assert_str_eq(titles, "SECTION                      KIND     BYTES  OUT   IN");
    table_screen_line(table_sections, &layout, view, BUILD_BETA_TEXT, line, sizeof line);
    ck_assert_uint_eq(strlen(line), strlen(titles));
    table_lay_out(table_counters, 80, &layout);
    table_screen_line(table_counters, &layout, view, COUNTER_rounds, line, sizeof line);
    ck_assert(strncmp(line, "rounds          ", 16) == 0 && strlen(line) == 16 + 1 + 20);
}
END_TEST

START_TEST(what_matters_stays_on_a_narrow_line)
{
    struct table_layout layout;
    char titles[512];

    table_lay_out(table_faults, 53, &layout);
    table_screen_titles(table_faults, &layout, titles, sizeof titles);
    ck_assert(strstr(titles, "SEQ") && strstr(titles, "TASK") && strstr(titles, "WHERE"));
    ck_assert(strstr(titles, "OUTCOME") && strstr(titles, " US") && !strstr(titles, "ACTION"));
    table_lay_out(table_tasks, 53, &layout);
    table_screen_titles(table_tasks, &layout, titles, sizeof titles);
    ck_assert(strstr(titles, "CELL") && strstr(titles, "RST.") && !strstr(titles, "SWITCHES"));
    for (int width = 53; width <= 280; width++) {
        table_lay_out(table_faults, width, &layout);
        table_screen_titles(table_faults, &layout, titles, sizeof titles);
        ck_assert_uint_eq(strlen(titles), width);
    }
    table_lay_out(table_faults, 170, &layout);
    table_screen_titles(table_faults, &layout, titles, sizeof titles);
    ck_assert(strstr(titles, "ACTION") && strstr(titles, "MESSAGE") && strstr(titles, "CALLED FROM"));
}
END_TEST

START_TEST(a_text_that_is_cut_says_so)
{
    struct table_layout layout = {.width = {5}};
    char line[64];

    table_screen_line(table_sections, &layout, view, BUILD_BETA_TEXT, line, sizeof line);
    ck_assert_uint_eq(strlen(line), 5);
    ck_assert_int_eq(line[4], '~');
}
END_TEST

static const char *text_of_fault(const char *key)
{
    const struct column *column = table_faults;
    struct column_value value;

    while (strcmp(column->key, key) != 0)
        column++;
    column->read(view, 0, &value);
    return value.text;
}

START_TEST(a_fault_in_what_is_gone_keeps_its_section)
{
    struct arena_fault *f = build_record(ram, ARENA_FAULTS, arena_ring_index(1, ARENA_FAULTS_MAX));
    enum err e;

    ck_assert_str_eq(text_of_fault("section"), ".text.alpha_run");
    f->kind = FAULT_DAMAGE;
    f->section = (struct section_ref){BUILD_BETA_TEXT}; /* which has taken the index of the one that was damaged */
    strcpy(f->symbol, ".eh_frame");
    view_free(view);
    view = view_take(ram, BUILD_RAM, &e);
    ck_assert_str_eq(text_of_fault("section"), ".eh_frame");
    strcpy(f->symbol, "gone");
    view_free(view);
    view = view_take(ram, BUILD_RAM, &e);
    ck_assert_str_eq(text_of_fault("section"), "");
}
END_TEST

Suite *suite_table(void);
Suite *suite_table(void)
{
    Suite *suite = suite_create("table");
    TCase *tc = tcase_create("table");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, keys_are_unique_and_columns_are_readable, 0, TABLES);
    tcase_add_loop_test(tc, places_on_the_screen_have_no_gap, 0, TABLES);
    tcase_add_test(tc, every_record_can_be_read);
    tcase_add_test(tc, lines_stand_below_their_titles);
    tcase_add_test(tc, what_matters_stays_on_a_narrow_line);
    tcase_add_test(tc, a_text_that_is_cut_says_so);
    tcase_add_test(tc, a_fault_in_what_is_gone_keeps_its_section);
    suite_add_tcase(suite, tc);
    return suite;
}
