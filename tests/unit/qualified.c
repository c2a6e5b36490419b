/* Names of cells: what is parsed, what each name finds when the root and two namespaces have cells of one name, and
 * what is said when there is none, or another one too. */
#include "introspect/qualified.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/unit/arena_build.h"

enum { SMALL = 2, WIDE = 3, REMOVED = 4 }; /* namespaces, branches of the root */
enum { SMALL_ALPHA = 3, SMALL_GAMMA = 4, WIDE_GAMMA = 5, WIDE_DELTA = 6, OLD = 7 }; /* cells of them */

static uint8_t *ram;
static struct view *view;

static void add_namespace(const char *name, uint32_t state)
{
    struct arena_namespace *n = build_new(ram, ARENA_NAMESPACES);

    n->name = build_string(ram, name);
    n->parent = NAMESPACE_ROOT;
    n->state = state;
    build_seal(ram, ARENA_NAMESPACES, build_header(ram)->table[ARENA_NAMESPACES].used - 1);
}

static void add_cell(const char *name, uint32_t namespace_, enum arena_cell_state state)
{
    struct arena_cell *c = build_new(ram, ARENA_CELLS);

    *c = (struct arena_cell){
        .name = build_string(ram, name), .version = 2, .kind = CELL_KERNEL, .namespace_ = {namespace_}, .state = state};
    build_seal(ram, ARENA_CELLS, build_header(ram)->table[ARENA_CELLS].used - 1);
}

/* A section with one exported symbol for a cell that was added, behind all others. */
static void add_symbol(uint32_t cell, const char *name, enum access_level access)
{
    struct arena_section *s = build_new(ram, ARENA_SECTIONS);
    uint32_t section = build_header(ram)->table[ARENA_SECTIONS].used - 1;
    struct arena_symbol *symbol = build_new(ram, ARENA_SYMBOLS);
    uint32_t index = build_header(ram)->table[ARENA_SYMBOLS].used - 1;
    struct arena_cell *c = build_record(ram, ARENA_CELLS, cell);

    *s = (struct arena_section){.name = build_string(ram, ".text.x"),
                                .cell = {cell},
                                .kind = SECTION_TEXT,
                                .virt = LAYOUT_CELL_VIRT + 0x10000 + section * 0x1000,
                                .phys = 0x850000 + section * 0x1000,
                                .bytes = 32,
                                .align = 16};
    *symbol = (struct arena_symbol){.name = build_string(ram, name),
                                    .section = {section},
                                    .bytes = 8,
                                    .access = access,
                                    .namespace_ = c->namespace_};
    c->text_virt = s->virt;
    c->text_phys = s->phys;
    c->text_bytes = s->bytes;
    c->first_section.index = section;
    c->sections = 1;
    c->first_symbol.index = index;
    build_seal(ram, ARENA_SECTIONS, section);
    build_seal(ram, ARENA_SYMBOLS, index);
    build_seal(ram, ARENA_CELLS, cell);
}

static void setup(void)
{
    enum err e;

    ram = build_ram();
    add_namespace("small", NAMESPACE_LIVE);
    add_namespace("wide", NAMESPACE_LIVE);
    add_namespace("removed", NAMESPACE_REMOVED);
    add_cell("alpha", SMALL, CELL_LIVE);
    add_cell("gamma", SMALL, CELL_LIVE);
    add_cell("gamma", WIDE, CELL_LIVE);
    add_cell("delta", WIDE, CELL_LIVE);
    add_cell("delta", 1, CELL_OLD);
    add_cell("beta", REMOVED, CELL_LIVE);
    add_symbol(SMALL_ALPHA, "alpha_run", ACCESS_LIBRARY);
    add_symbol(WIDE_DELTA, "delta_run", ACCESS_LIBRARY);
    add_symbol(OLD, "delta_was", ACCESS_LIBRARY);
    view = view_take(ram, BUILD_RAM, &e);
    ck_assert_msg(view != NULL, "%s", err_text(e));
    ck_assert_uint_eq(view_damage_count(view), 0);
}

static void teardown(void)
{
    view_free(view);
    free(ram);
}

/* ---- parsing ---- */

static const struct {
    const char *words, *namespace_, *cell, *rest; /* namespace_ NULL: refused */
} parsed[] = {
    {"a", "", "a", ""},
    {"a:b", "", "a", "b"},
    {"n/a", "n", "a", ""},
    {"n/a:.text.x/y:z", "n", "a", ".text.x/y:z"},
    {"a:b/c", "", "a", "b/c"},
    {"n/a/b", "n", "a/b", ""}, /* no cell is called so */
    {"#7", "", "#7", ""},
    {"*", "", "*", ""},
    {"", NULL, NULL, NULL},
    {":", NULL, NULL, NULL},
    {"a:", NULL, NULL, NULL},
    {":b", NULL, NULL, NULL},
    {"/a", NULL, NULL, NULL},
    {"n/", NULL, NULL, NULL},
    {"n/:b", NULL, NULL, NULL},
    {"a_name_that_is_much_too_long_to_be_that_of_a_cell_since_it_has_so_many_bytes", NULL, NULL, NULL},
    {"a_name_that_is_much_too_long_to_be_that_of_a_namespace_of_any_kind_at_all_here/a", NULL, NULL, NULL},
};

START_TEST(splits_names)
{
    struct qualified name;

    ck_assert_int_eq(qualified_parse(parsed[_i].words, &name), parsed[_i].namespace_ != NULL);
    if (!parsed[_i].namespace_)
        return;
    ck_assert_str_eq(name.namespace_, parsed[_i].namespace_);
    ck_assert_str_eq(name.cell, parsed[_i].cell);
    ck_assert_str_eq(name.rest, parsed[_i].rest);
}
END_TEST

/* ---- cells ---- */

static const struct {
    const char *words;
    uint32_t held, seen; /* cells that it finds; 0: none */
    const char *text;    /* that is said with QUALIFIED_HELD */
} cells[] = {
    {"alpha", BUILD_ALPHA, BUILD_ALPHA, "'alpha' is the root's; there is also small/alpha"},
    {"root/alpha", BUILD_ALPHA, BUILD_ALPHA, ""},
    {"small/alpha", SMALL_ALPHA, SMALL_ALPHA, ""},
    {"wide/alpha", 0, BUILD_ALPHA, "no cell 'alpha' in namespace 'wide'; it is in root, small"},
    {"beta", BUILD_BETA, BUILD_BETA, ""},
    {"small/beta", 0, BUILD_BETA, "no cell 'beta' in namespace 'small'; it is in root"},
    {"gamma", 0, 0, "no cell 'gamma' in namespace 'root'; it is in small, wide"},
    {"wide/gamma", WIDE_GAMMA, WIDE_GAMMA, ""},
    {"delta", 0, 0, "no cell 'delta' in namespace 'root'; it is in wide"}, /* the root's is old */
    {"small/delta", 0, 0, "no cell 'delta' in namespace 'small'; it is in wide"},
    {"#7", OLD, OLD, ""},
    {"#9", 0, 0, "no cell '#9'; #INDEX is that of a record in use"},
    {"small/#7", 0, 0, "no cell '#7' in namespace 'small', nor elsewhere; small holds: alpha, gamma"},
    {"#x", 0, 0, "no cell '#x'; #INDEX is that of a record in use"},
    {"epsilon", 0, 0, "no cell 'epsilon'; its cells: alpha, beta"},
    {"small/epsilon", 0, 0, "no cell 'epsilon' in namespace 'small', nor elsewhere; small holds: alpha, gamma"},
    {"tall/alpha", 0, 0, "no namespace 'tall'; there are: root, small, wide"},
};

START_TEST(finds_cells)
{
    struct qualified_text text;
    struct cell_ref cell = {};
    struct qualified name;

    ck_assert(qualified_parse(cells[_i].words, &name));
    enum err e = qualified_cell(view, &name, QUALIFIED_HELD, &cell, &text);
    ck_assert_int_eq(e, cells[_i].held ? ERR_OK : ERR_NOT_FOUND);
    ck_assert_uint_eq(cell.index, cells[_i].held);
    ck_assert_str_eq(text.text, cells[_i].text);
    cell = NO_CELL;
    e = qualified_cell(view, &name, QUALIFIED_SEEN, &cell, &text);
    ck_assert_int_eq(e, cells[_i].seen ? ERR_OK : ERR_NOT_FOUND);
    ck_assert_uint_eq(cell.index, cells[_i].seen);
}
END_TEST

START_TEST(every_live_cell_is_found_by_the_name_that_is_shown)
{
    view_each_cell (cell, view) {
        char words[QUALIFIED_BYTES];
        struct qualified_text text;
        struct cell_ref found;
        struct qualified name;

        qualified_name(view, cell, words, sizeof words);
        if (view_cell(view, cell)->state != CELL_LIVE || view_cell(view, cell)->namespace_.index == REMOVED)
            continue;
        ck_assert(qualified_parse(words, &name));
        ck_assert_int_eq(qualified_cell(view, &name, QUALIFIED_HELD, &found, &text), ERR_OK);
        ck_assert_uint_eq(found.index, cell.index);
    }
}
END_TEST

START_TEST(sections_and_addresses_are_named_with_their_namespace)
{
    struct section_ref section = view_find_section(view, (struct cell_ref){SMALL_ALPHA}, "x");
    char text[96];

    ck_assert_uint_ne(section.index, 0);
    view_section_label(view, section, text, sizeof text);
    ck_assert_str_eq(text, "small/alpha:.text.x");
    view_describe(view, view_section(view, section)->virt + 2, text, sizeof text);
    ck_assert_str_eq(text, "small/alpha:alpha_run+0x2");
    view_describe(view, BUILD_ALPHA_VIRT + 2, text, sizeof text);
    ck_assert_str_eq(text, "alpha:alpha_run+0x2");
}
END_TEST

/* ---- symbols ---- */

static const struct {
    const char *words;
    uint32_t cell; /* whose symbol it is; 0: none */
    const char *text;
} symbols[] = {
    {"alpha_run", BUILD_ALPHA, ""},
    {"alpha.alpha_run", BUILD_ALPHA, ""},
    {"root/alpha.alpha_run", BUILD_ALPHA, ""},
    {"small/alpha.alpha_run", SMALL_ALPHA, ""},
    {"delta_run", 0, "no symbol 'delta_run' in namespace 'root'; there is wide/delta.delta_run"},
    {"wide/delta.delta_run", WIDE_DELTA, ""},
    {"wide/delta.alpha_run", 0, "no symbol 'alpha_run' in cell 'wide/delta'; `delias symbols wide/delta` lists them"},
    {"small/beta.beta_run", 0, "no cell 'beta' in namespace 'small'; it is in root"},
    {"small/alpha_run", 0, "no symbol 'small/alpha_run'; say NAMESPACE/CELL.SYMBOL"},
    {"delta_was", 0, "no symbol 'delta_was'; `delias symbols` lists them"},
    {"epsilon_run", 0, "no symbol 'epsilon_run'; `delias symbols` lists them"},
    {".alpha_run", 0, "no symbol '.alpha_run'; say SYMBOL, CELL.SYMBOL or NAMESPACE/CELL.SYMBOL"},
    {"", 0, "no symbol ''; `delias symbols` lists them"},
};

START_TEST(finds_symbols)
{
    struct qualified_text text;
    struct symbol_ref symbol = {};
    enum err e = qualified_symbol(view, symbols[_i].words, &symbol, &text);

    ck_assert_str_eq(text.text, symbols[_i].text);
    ck_assert_int_eq(e, symbols[_i].cell ? ERR_OK : ERR_NOT_FOUND);
    if (!e)
        ck_assert_uint_eq(view_section(view, view_symbol(view, symbol)->section)->cell.index, symbols[_i].cell);
}
END_TEST

START_TEST(private_symbols_of_one_name_are_told_apart)
{
    struct arena_symbol *one = build_record(ram, ARENA_SYMBOLS, 1), *two = build_record(ram, ARENA_SYMBOLS, 2);
    struct qualified_text text;
    struct symbol_ref symbol = {};
    enum err e;

    one->access = two->access = 0;
    two->name = one->name;
    build_seal(ram, ARENA_SYMBOLS, 1);
    build_seal(ram, ARENA_SYMBOLS, 2);
    view_free(view);
    view = view_take(ram, BUILD_RAM, &e);
    ck_assert_int_eq(qualified_symbol(view, "alpha_run", &symbol, &text), ERR_NOT_FOUND);
    ck_assert_str_eq(text.text,
                     "no symbol of the name 'alpha_run' alone; say which of alpha.alpha_run, beta.alpha_run");
    ck_assert_int_eq(qualified_symbol(view, "beta.alpha_run", &symbol, &text), ERR_OK);
    ck_assert_uint_eq(symbol.index, 2);
}
END_TEST

Suite *suite_qualified(void);
Suite *suite_qualified(void)
{
    Suite *suite = suite_create("qualified");
    TCase *tc = tcase_create("qualified");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, splits_names, 0, sizeof parsed / sizeof *parsed);
    tcase_add_loop_test(tc, finds_cells, 0, sizeof cells / sizeof *cells);
    tcase_add_test(tc, every_live_cell_is_found_by_the_name_that_is_shown);
    tcase_add_test(tc, sections_and_addresses_are_named_with_their_namespace);
    tcase_add_loop_test(tc, finds_symbols, 0, sizeof symbols / sizeof *symbols);
    tcase_add_test(tc, private_symbols_of_one_name_are_told_apart);
    suite_add_tcase(suite, tc);
    return suite;
}
