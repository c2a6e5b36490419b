/* The history cell on real objects and a log that is written here: which objects stay when no cell is made from them
 * any more, and that all memory is given back. */
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/evolve/history/history.h"
#include "cells/core/arena/arena.h"
#include "cells/core/frame/frame.h"
#include "cells/core/loader/loader.h"
#include "tests/hosted/craft.h"
#include "tests/hosted/stand_in.h"
#include <check.h>
#include <stdlib.h>
#include <string.h>

Suite *suite_hosted_history(void);

static const char *const versions[] = {"build/cells/checksum.o", "build/cells/checksum_v2.o"};
static struct history_bound bound;
static struct stand_in_use at_start;
static struct report report;

static void setup(void)
{
    stand_in_start();
    ck_assert_msg(stand_in_boot("build/delias.elf", "build/cells.archive"), "%s", stand_in.printed);
    bound = history_bound;
    at_start = stand_in_use();
}

static void teardown(void)
{
    history_bound = bound;
}

/* An object of its own for each of them, by another byte behind its end. */
static struct object_ref keep(unsigned version, uint8_t variant)
{
    size_t bytes;
    struct object_ref object;
    uint8_t *file = stand_in_file(versions[version - 1], &bytes);

    ck_assert_ptr_nonnull(file);
    uint8_t *data = realloc(file, bytes + 1);
    ck_assert_ptr_nonnull(data);
    data[bytes] = variant;
    craft_seal(data, bytes + 1);
    ck_assert_msg(lifecycle_keep_object(data, bytes + 1, &object, &report) == ERR_OK, "%s", report.text);
    free(data);
    return object;
}

static uint64_t hash_of(struct object_ref object)
{
    return object.index ? arena_object(object)->hash : 0;
}

/* What a swap of checksum leaves in the log. */
static uint64_t note_down(struct namespace_ref namespace_, uint64_t old, uint64_t new_, bool took_effect)
{
    struct arena_header *header = arena_header();
    uint64_t seq = header->swap_seq + 1, change = header->change_seq + 1;
    struct arena_swap *s = arena_record(ARENA_SWAPS, arena_ring_index(seq, ARENA_SWAPS_MAX));
    struct arena_change *c = arena_record(ARENA_CHANGES, arena_ring_index(change, ARENA_CHANGES_MAX));

    *s = (struct arena_swap){
        .seq = seq, .namespace_ = namespace_, .changes = 1, .first_change = change, .took_effect = took_effect};
    *c = (struct arena_change){.seq = change, .swap = seq, .old_object = old, .new_object = new_, .cell = "checksum"};
    header->swap_seq = seq;
    header->change_seq = change;
    return seq;
}

static struct namespace_ref branch(void)
{
    GUARD(arena) held = arena_change();
    struct namespace_ref child = {arena_new_named(ARENA_NAMESPACES, "child")};

    arena_namespace(child)->parent = NAMESPACE_ROOT;
    arena_namespace(child)->since = arena_header()->swap_seq;
    arena_seal(child);
    return child;
}

static bool is_there(struct object_ref object, uint64_t hash)
{
    return arena_object(object)->check && arena_object(object)->hash == hash;
}

static void expect_nothing_left(void)
{
    struct stand_in_use now = stand_in_use();

    ck_assert(stand_in_same_use(&at_start, &now));
}

/* Objects go, as after each swap, when nothing names them. */
static void drop(struct object_ref object)
{
    history_keep();
    loader_drop_object(object);
}

START_TEST(what_the_log_names_is_kept)
{
    struct object_ref a = keep(1, 'a'), b = keep(2, 'b'), c = keep(2, 'c');
    uint64_t hash_a = hash_of(a), hash_c = hash_of(c);

    note_down(NAMESPACE_ROOT, hash_of(a), hash_of(b), true);
    note_down(NAMESPACE_ROOT, hash_of(b), hash_of(c), false);
    drop(a);
    drop(b);
    drop(c);
    ck_assert(is_there(a, hash_a));
    ck_assert(!is_there(c, hash_c)); /* its swap did not take effect */
    ck_assert(same(history_find("checksum", hash_a), a));
    ck_assert(!history_find("checksum", hash_c).index);
    ck_assert(!history_find("channel", hash_a).index);
    memset(arena_record(ARENA_CHANGES, 2), 0, sizeof(struct arena_change)); /* written over */
    history_keep();
    ck_assert(!is_there(a, hash_a));
    expect_nothing_left();
}
END_TEST

START_TEST(of_doubles_one_stays)
{
    struct object_ref a = keep(1, 'a'), again = keep(1, 'a');
    uint64_t hash = hash_of(a);

    ck_assert_uint_eq(hash_of(again), hash);
    note_down(NAMESPACE_ROOT, hash, hash + 1, true);
    drop(a);
    drop(again);
    ck_assert(is_there(a, hash) && !is_there(again, hash));
}
END_TEST

START_TEST(the_oldest_goes_first)
{
    struct object_ref object[6];
    uint64_t hash[6] = {};

    history_bound.objects = 3;
    for (unsigned i = 0; i < 6; i++) {
        object[i] = keep(1, (uint8_t)(i + 1));
        hash[i] = hash_of(object[i]);
    }
    for (unsigned i = 0; i + 1 < 6; i++)
        note_down(NAMESPACE_ROOT, hash[i], hash[i + 1], true);
    note_down(NAMESPACE_ROOT, hash[5], hash[0], true); /* so that the first is named by the newest */
    history_keep();
    for (unsigned i = 0; i < 6; i++) {
        loader_drop_object(object[i]);
        ck_assert_msg(is_there(object[i], hash[i]) == (i == 0 || i >= 4), "object %u", i);
    }
    history_bound.bytes = 2 * ((arena_object(object[0])->bytes + FRAME_BYTES - 1) / FRAME_BYTES * FRAME_BYTES);
    history_keep();
    ck_assert(is_there(object[0], hash[0]) && !is_there(object[4], hash[4]) && is_there(object[5], hash[5]));
    history_bound.objects = 0;
    history_keep();
    expect_nothing_left();
}
END_TEST

START_TEST(what_lives_needs_no_keeping)
{
    struct object_ref object = keep(1, 'a');
    struct cell_ref cell;
    const struct loader_input input = {.namespace_ = NAMESPACE_ROOT, .object = &object, .objects = 1};
    uint64_t hash = hash_of(object);

    ck_assert_msg(loader_stage(&input, &cell, &report) == ERR_OK, "%s", report.text);
    lifecycle_publish(cell);
    note_down(NAMESPACE_ROOT, 0, hash, true);
    history_keep();
    ck_assert_uint_eq(arena_object(object)->kept, 0);
    lifecycle_retract(cell);
    history_keep();
    ck_assert_uint_eq(arena_object(object)->kept, 1);
    ck_assert_int_eq(lifecycle_unload(cell), ERR_OK);
    ck_assert(is_there(object, hash)); /* and not freed with its cell */
    ck_assert_msg(loader_stage(&input, &cell, &report) == ERR_OK, "%s", report.text);
    lifecycle_unstage(&cell, 1);
    ck_assert(is_there(object, hash));
    history_bound.bytes = 0;
    history_keep();
    expect_nothing_left();
}
END_TEST

START_TEST(a_namespace_takes_its_objects_along)
{
    struct namespace_ref child = branch();
    struct object_ref a = keep(1, 'a'), b = keep(2, 'b');
    uint64_t hash_a = hash_of(a), hash_b = hash_of(b);

    note_down(child, hash_a, hash_b, true);
    note_down(NAMESPACE_ROOT, hash_b, hash_b + 1, true);
    history_keep();
    ck_assert(arena_object(a)->kept && arena_object(b)->kept);
    arena_namespace(child)->state = NAMESPACE_REMOVED;
    drop(a);
    ck_assert(!is_there(a, hash_a) && is_there(b, hash_b)); /* which the root's commit names */
    {
        GUARD(arena) held = arena_change();
        arena_free(child);
    }
    ck_assert(same(branch(), child)); /* another one, whose swaps are later */
    history_keep();
    ck_assert(!is_there(a, hash_a));
}
END_TEST

START_TEST(a_damaged_record_is_left_alone)
{
    struct object_ref a = keep(1, 'a');
    uint64_t hash = hash_of(a);

    note_down(NAMESPACE_ROOT, hash, hash + 1, true);
    history_keep();
    arena_object(a)->bytes ^= 1;
    ck_assert(!history_find("checksum", hash).index);
    history_keep();
    ck_assert(is_there(a, hash));
    arena_object(a)->bytes ^= 1;
    note_down(NAMESPACE_ROOT, hash, hash + 1, true);
    ((struct arena_change *)arena_record(ARENA_CHANGES, 3))->swap = UINT64_MAX; /* of a swap that is not there */
    ((struct arena_swap *)arena_record(ARENA_SWAPS, 2))->namespace_.index = UINT32_MAX;
    history_keep();
    ck_assert(!is_there(a, hash));
}
END_TEST

Suite *suite_hosted_history(void)
{
    Suite *suite = suite_create("hosted history");
    TCase *tcase = tcase_create("history");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, what_the_log_names_is_kept);
    tcase_add_test(tcase, of_doubles_one_stays);
    tcase_add_test(tcase, the_oldest_goes_first);
    tcase_add_test(tcase, what_lives_needs_no_keeping);
    tcase_add_test(tcase, a_namespace_takes_its_objects_along);
    tcase_add_test(tcase, a_damaged_record_is_left_alone);
    suite_add_tcase(suite, tcase);
    return suite;
}
