/* The history of namespaces, from logs of swaps that are whole, have wrapped, or lie. */
#include "introspect/history.h"
#include <check.h>
#include <stdio.h>
#include "tests/unit/arena_build.h"

Suite *suite_history(void);

enum { INHERITED = CHANGE_INHERITED };
enum { SWAPS = 8, CHANGES = 16, CHILD = 2 };
static const struct namespace_ref child = {CHILD};

static uint8_t *ram;
static struct view *view;
static struct history *history;

static void setup(void)
{
    ram = build_ram();
}

static void teardown(void)
{
    history_free(history);
    view_free(view);
    free(ram);
    history = NULL;
    view = NULL;
}

static void swap(struct namespace_ref namespace_, bool took_effect, size_t changes, const struct arena_change *change)
{
    struct arena_header *header = build_header(ram);
    uint64_t seq = ++header->swap_seq;
    struct arena_swap *s = build_record(ram, ARENA_SWAPS, (uint32_t)(seq % SWAPS) + 1);

    *s = (struct arena_swap){.seq = seq,
                             .time_ns = seq * 100,
                             .namespace_ = namespace_,
                             .changes = (uint32_t)changes,
                             .first_change = header->change_seq + 1,
                             .took_effect = took_effect};
    for (size_t i = 0; i < changes; i++) {
        uint64_t number = ++header->change_seq;
        struct arena_change *c = build_record(ram, ARENA_CHANGES, (uint32_t)(number % CHANGES) + 1);
        *c = change[i];
        c->seq = number;
        c->swap = seq;
    }
}
#define SWAP(namespace_, took_effect, ...)                                                                             \
    swap(namespace_, took_effect, sizeof((struct arena_change[]){__VA_ARGS__}) / sizeof(struct arena_change),          \
         (struct arena_change[]){__VA_ARGS__})

/* Made after the swaps so far. */
static void branch(void)
{
    struct arena_namespace *record = build_new(ram, ARENA_NAMESPACES);

    record->name = build_string(ram, "child");
    record->parent = NAMESPACE_ROOT;
    record->since = build_header(ram)->swap_seq;
    record->since_ns = 7;
    build_seal(ram, ARENA_NAMESPACES, CHILD);
}

static uint64_t alpha_hash(void)
{
    return ((struct arena_object *)build_record(ram, ARENA_OBJECTS, 1))->hash;
}

static void take(struct namespace_ref namespace_)
{
    enum err e;

    history_free(history);
    view_free(view);
    view = view_take(ram, BUILD_RAM, &e);
    ck_assert_msg(view != NULL, "%s", err_text(e));
    history = history_take(view, namespace_);
    ck_assert_ptr_nonnull(history);
}

/* "3 2b 0": commits, b for where it branches off. */
static void expect(const char *commits)
{
    const struct history_entry *e;
    char text[256] = "";

    for (size_t n = 0; (e = history_entry(history, n)); n++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%lu%s", n ? " " : "", (unsigned long)e->commit,
                 e->kind == HISTORY_BRANCH ? "b" : "");
    ck_assert_str_eq(text, commits);
}

static struct history_cell cell(uint64_t commit, const char *name)
{
    struct history_cell was;
    size_t n;

    ck_assert(history_find_commit(history, commit, &n));
    ck_assert(history_cell(history, n, name, &was));
    return was;
}

START_TEST(nothing_has_happened)
{
    size_t n;

    take(NAMESPACE_ROOT);
    expect("0");
    ck_assert_int_eq(history_entry(history, 0)->kind, HISTORY_START);
    ck_assert_uint_eq(cell(0, "alpha").cell.index, BUILD_ALPHA);
    ck_assert(!history_find_commit(history, 1, &n));
    ck_assert(!history_cell(history, 0, "gamma", &(struct history_cell){0}));
}
END_TEST

START_TEST(goes_back_step_by_step)
{
    const char *gone;
    uint32_t version;
    size_t n;

    SWAP(NAMESPACE_ROOT, true, {.old_object = 5, .new_object = 6, .old_version = 2, .new_version = 3, .cell = "alpha"});
    SWAP(NAMESPACE_ROOT, false, {.old_object = 6, .new_object = 9, .old_version = 3, .cell = "alpha"});
    SWAP(NAMESPACE_ROOT, true, {.old_object = 6, .new_object = 6, .old_version = 3, .new_version = 3, .cell = "alpha"});
    SWAP(NAMESPACE_ROOT, true,
         {.old_object = 6, .new_object = alpha_hash(), .old_version = 3, .new_version = 1, .cell = "alpha"},
         {.new_object = 8, .new_version = 1, .cell = "gamma"});
    SWAP(NAMESPACE_ROOT, true, {.old_object = 8, .old_version = 1, .cell = "gamma"});
    take(NAMESPACE_ROOT);
    expect("5 4 1 0");
    ck_assert_uint_eq(cell(5, "alpha").cell.index, BUILD_ALPHA);
    ck_assert_uint_eq(cell(5, "gamma").version, 0);
    ck_assert_uint_eq(cell(4, "gamma").object, 8);
    ck_assert_uint_eq(cell(4, "alpha").object, alpha_hash());
    ck_assert_uint_eq(cell(1, "gamma").version, 0);
    ck_assert_uint_eq(cell(1, "alpha").object, 6);
    ck_assert_uint_eq(cell(1, "alpha").version, 3);
    ck_assert_uint_eq(cell(0, "alpha").object, 5);
    ck_assert_uint_eq(cell(0, "beta").cell.index, BUILD_BETA);
    ck_assert(history_find_commit(history, 4, &n) && !history_is_whole(history, n, &gone, &version));
    ck_assert_str_eq(gone, "gamma");
    ck_assert(history_find_commit(history, 5, &n) && history_is_whole(history, n, &gone, &version));
    ck_assert(history_find_commit(history, 1, &n) && !history_is_whole(history, n, &gone, &version));
    ck_assert(strcmp(gone, "alpha") == 0 && version == 3);
    ck_assert(history_has_object(view, "alpha", alpha_hash()) && !history_has_object(view, "beta", alpha_hash()));
}
END_TEST

START_TEST(a_branch_begins_with_its_parents_past)
{
    SWAP(NAMESPACE_ROOT, true, {.old_object = 5, .new_object = 6, .old_version = 2, .new_version = 3, .cell = "alpha"});
    SWAP(child, true, {.old_object = 1, .new_object = 2, .cell = "beta"}); /* of another one that had its place */
    branch();
    SWAP(NAMESPACE_ROOT, true,
         {.old_object = 6, .new_object = alpha_hash(), .old_version = 3, .new_version = 1, .cell = "alpha"});
    SWAP(child, true, {.new_object = 4, .new_version = 1, .cell = "gamma"});
    take(child);
    expect("4 2b 1 0");
    ck_assert_uint_eq(history_entry(history, 1)->namespace_.index, CHILD);
    ck_assert_uint_eq(history_entry(history, 1)->time_ns, 7);
    ck_assert_uint_eq(history_entry(history, 2)->namespace_.index, NAMESPACE_ROOT.index);
    ck_assert_uint_eq(cell(2, "gamma").version, 0);
    ck_assert_uint_eq(cell(4, "alpha").cell.index, BUILD_ALPHA); /* as the root had made it by then */
    ck_assert_uint_eq(cell(2, "alpha").object, 6);
    ck_assert_uint_eq(cell(2, "beta").cell.index, BUILD_BETA);
    ck_assert_uint_eq(cell(0, "alpha").object, 5);
    take(NAMESPACE_ROOT);
    expect("3 1 0");
}
END_TEST

/* The child's commits 2 and 6; what the root does in between, and afterwards, is no part of them. */
START_TEST(a_commit_keeps_what_was_inherited)
{
    branch();
    SWAP(NAMESPACE_ROOT, true, {.old_object = 3, .new_object = 4, .old_version = 3, .new_version = 4, .cell = "alpha"});
    SWAP(child, true, {.new_object = 20, .new_version = 1, .cell = "gamma"});
    SWAP(NAMESPACE_ROOT, true, {.old_object = 4, .new_object = 5, .old_version = 4, .new_version = 5, .cell = "alpha"});
    SWAP(NAMESPACE_ROOT, true, {.new_object = 30, .new_version = 1, .cell = "delta"});
    SWAP(NAMESPACE_ROOT, true, {.old_object = 40, .old_version = 2, .cell = "epsilon"});
    SWAP(child, true, {.old_object = 20, .old_version = 1, .cell = "gamma"});
    SWAP(NAMESPACE_ROOT, true,
         {.old_object = 5, .new_object = alpha_hash(), .old_version = 5, .new_version = 1, .cell = "alpha"});
    SWAP(NAMESPACE_ROOT, true, {.old_object = 30, .old_version = 1, .cell = "delta"});
    take(child);
    expect("6 2 0b 0");
    ck_assert_uint_eq(cell(6, "alpha").object, 5);
    ck_assert_uint_eq(cell(6, "gamma").version, 0);
    ck_assert_uint_eq(cell(6, "delta").object, 30);
    ck_assert_uint_eq(cell(6, "epsilon").version, 0);
    ck_assert_uint_eq(cell(2, "alpha").object, 4);
    ck_assert_uint_eq(cell(2, "alpha").version, 4);
    ck_assert_uint_eq(cell(2, "gamma").object, 20);
    ck_assert_uint_eq(cell(2, "delta").version, 0);
    ck_assert_uint_eq(cell(2, "epsilon").object, 40);
    ck_assert_uint_eq(cell(0, "alpha").object, 3);
    ck_assert_uint_eq(cell(0, "gamma").version, 0);
}
END_TEST

/* The child's own alpha, a copy that came with commit 2, hides what the root does with its alpha until it goes. */
START_TEST(what_is_held_hides_what_the_parent_does)
{
    branch();
    SWAP(NAMESPACE_ROOT, true, {.old_object = 3, .new_object = 4, .old_version = 3, .new_version = 4, .cell = "alpha"});
    SWAP(
        child, true,
        {.old_object = 8, .new_object = 9, .old_version = 1, .new_version = 2, .old_side = INHERITED, .cell = "gamma"},
        {.old_object = 4, .new_object = 4, .old_version = 4, .new_version = 4, .old_side = INHERITED, .cell = "alpha"});
    SWAP(NAMESPACE_ROOT, true, {.old_object = 4, .new_object = 5, .old_version = 4, .new_version = 5, .cell = "alpha"});
    SWAP(child, true, {.old_object = 9, .new_object = 10, .old_version = 2, .new_version = 3, .cell = "gamma"});
    SWAP(child, true, {.old_object = 4, .old_version = 4, .cell = "alpha"});
    SWAP(NAMESPACE_ROOT, true,
         {.old_object = 5, .new_object = alpha_hash(), .old_version = 5, .new_version = 1, .cell = "alpha"});
    SWAP(child, true, {.old_object = 10, .old_version = 3, .cell = "gamma"});
    take(child);
    expect("7 5 4 2 0b 0");
    ck_assert_uint_eq(cell(5, "alpha").object, 5);
    ck_assert_uint_eq(cell(4, "alpha").object, 4);
    ck_assert_uint_eq(cell(4, "gamma").object, 10);
    ck_assert_uint_eq(cell(2, "alpha").object, 4);
    ck_assert_uint_eq(cell(0, "alpha").object, 3);
    ck_assert_uint_eq(cell(0, "gamma").version, 0); /* of the root's nothing is logged, and it is not there */
}
END_TEST

static void add_absence(const char *name)
{
    struct arena_cell *c = build_new(ram, ARENA_CELLS);

    *c = (struct arena_cell){
        .name = build_string(ram, name), .kind = CELL_KERNEL, .namespace_ = child, .state = CELL_ABSENT};
    build_seal(ram, ARENA_CELLS, build_header(ram)->table[ARENA_CELLS].used - 1);
}

/* The child's alpha is a copy, which commit 4 gives up; its gamma goes with commit 5, though the root has one, and the
 * root's comes back with 6. The child lacks beta now, which nobody has logged. */
START_TEST(what_is_lacked_and_given_up_comes_back)
{
    branch();
    add_absence("beta");
    SWAP(
        child, true, {.new_object = 8, .new_version = 1, .cell = "gamma"},
        {.old_object = 4, .new_object = 4, .old_version = 4, .new_version = 4, .old_side = INHERITED, .cell = "alpha"});
    SWAP(NAMESPACE_ROOT, true, {.new_object = 9, .new_version = 2, .cell = "gamma"});
    SWAP(NAMESPACE_ROOT, true,
         {.old_object = 4, .new_object = alpha_hash(), .old_version = 4, .new_version = 1, .cell = "alpha"});
    SWAP(child, true,
         {.old_object = 4,
          .new_object = alpha_hash(),
          .old_version = 4,
          .new_version = 1,
          .new_side = INHERITED,
          .cell = "alpha"});
    SWAP(child, true, {.old_object = 8, .old_version = 1, .new_side = CHANGE_LACKED, .cell = "gamma"});
    SWAP(child, true,
         {.new_object = 9, .new_version = 2, .old_side = CHANGE_LACKED, .new_side = INHERITED, .cell = "gamma"});
    SWAP(NAMESPACE_ROOT, true, {.old_object = 9, .old_version = 2, .cell = "gamma"});
    take(child);
    expect("6 5 4 1 0b 0");
    ck_assert(view_damage_count(view) == 0 && !view_find_cell(view, child, "beta").index);
    ck_assert(!cell(6, "beta").version && cell(6, "beta").lacked && cell(0, "beta").cell.index == 0);
    ck_assert(cell(0, "beta").version && !cell(0, "beta").lacked);
    ck_assert(cell(6, "gamma").object == 9 && cell(6, "gamma").inherited);
    ck_assert(!cell(5, "gamma").version && cell(5, "gamma").lacked);
    ck_assert(cell(5, "alpha").cell.index == BUILD_ALPHA && cell(5, "alpha").inherited);
    ck_assert(cell(4, "gamma").object == 8 && !cell(4, "gamma").inherited);
    ck_assert(cell(1, "alpha").object == 4 && !cell(1, "alpha").inherited);
    ck_assert(cell(0, "alpha").object == 4 && cell(0, "alpha").inherited);
    ck_assert(!cell(0, "gamma").version && !cell(0, "gamma").lacked);
}
END_TEST

START_TEST(a_branch_of_what_has_no_swaps)
{
    branch();
    take(child);
    expect("0b 0");
    ck_assert_int_eq(history_entry(history, 0)->kind, HISTORY_BRANCH);
    ck_assert_int_eq(history_entry(history, 1)->kind, HISTORY_START);
}
END_TEST

START_TEST(a_log_that_has_wrapped_begins_later)
{
    branch();
    for (uint64_t i = 1; i <= 12; i++)
        SWAP(i % 2 ? NAMESPACE_ROOT : child, true,
             {.old_object = i, .new_object = i + 2, .old_version = 1, .new_version = 1, .cell = "alpha"});
    take(child);
    expect("12 10 8 6 4");
    ck_assert_int_eq(history_entry(history, 4)->kind, HISTORY_START);
    ck_assert_uint_eq(cell(4, "alpha").object, 6);
    take(NAMESPACE_ROOT);
    expect("11 9 7 5 4");
}
END_TEST

START_TEST(what_is_missing_or_lies_ends_it)
{
    struct arena_change many[6] = {{.old_object = 1, .new_object = 2, .cell = "alpha"}};

    for (unsigned i = 0; i < 4; i++)
        swap(NAMESPACE_ROOT, true, 6, many); /* 24 changes, of which 16 are there */
    take(NAMESPACE_ROOT);
    expect("4 3 2");
    ((struct arena_swap *)build_record(ram, ARENA_SWAPS, 4))->changes = 7; /* the third: one more than its own */
    take(NAMESPACE_ROOT);
    expect("4 3");
    ((struct arena_swap *)build_record(ram, ARENA_SWAPS, 4))->seq = 0;
    take(NAMESPACE_ROOT);
    expect("4 3");
    memset(build_record(ram, ARENA_SWAPS, 1), 0xff, (SWAPS + 1) * sizeof(struct arena_swap));
    memset(build_record(ram, ARENA_CHANGES, 1), 0xff, CHANGES * sizeof(struct arena_change));
    take(NAMESPACE_ROOT);
    expect("4");
    take((struct namespace_ref){77}); /* no such namespace: nothing of it is known */
    expect("4");
}
END_TEST

START_TEST(a_gap_in_the_log_ends_it)
{
    for (uint64_t i = 1; i <= 3; i++)
        SWAP(NAMESPACE_ROOT, true, {.old_object = i, .new_object = i + 1, .cell = "alpha"});
    take(NAMESPACE_ROOT);
    expect("3 2 1 0");
    ((struct arena_swap *)build_record(ram, ARENA_SWAPS, 3))->seq = 0; /* the second */
    take(NAMESPACE_ROOT);
    expect("3 2");
    ck_assert_int_eq(history_entry(history, 1)->kind, HISTORY_START);
}
END_TEST

Suite *suite_history(void)
{
    Suite *suite = suite_create("history");
    TCase *tcase = tcase_create("history");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, nothing_has_happened);
    tcase_add_test(tcase, goes_back_step_by_step);
    tcase_add_test(tcase, a_branch_begins_with_its_parents_past);
    tcase_add_test(tcase, a_commit_keeps_what_was_inherited);
    tcase_add_test(tcase, what_is_lacked_and_given_up_comes_back);
    tcase_add_test(tcase, what_is_held_hides_what_the_parent_does);
    tcase_add_test(tcase, a_branch_of_what_has_no_swaps);
    tcase_add_test(tcase, a_log_that_has_wrapped_begins_later);
    tcase_add_test(tcase, what_is_missing_or_lies_ends_it);
    tcase_add_test(tcase, a_gap_in_the_log_ends_it);
    suite_add_tcase(suite, tcase);
    return suite;
}
