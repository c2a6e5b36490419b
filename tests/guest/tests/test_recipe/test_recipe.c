/* Static data whose type has changed is carried by a recipe while tasks use it: no value is lost, new fields are as in
 * the new object, pointers are redirected; what was widened is taken back while it fits, and refused while it does not.
 * Without a recipe, or with one that is not sound, nothing changes. */
#include "cells/core/archive/archive.h"
#include "cells/core/arena/arena.h"
#include "cells/core/edge/edge.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include "cells/core/panic/panic.h"
#include "cells/evolve/reap/reap.h"
#include "cells/evolve/swap/swap.h"
#include "cells/host/log/log.h"
#include "cells/lib/string/string.h"
#include "cells/memory/heap/heap.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "guest/abi/recipe.h"
#include "tests/guest/fixtures/ledger/ledger.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_recipe", KERNEL, 1);

#define RECIPES 3 /* in each set: for the books, and for what they point to, a datum and a function */
#define CLERKS  3
#define REST_NS 300000

extern const uint8_t ledger_recipes[], ledger_recipes_end[], ledger_back[], ledger_back_end[];
extern const uint8_t ledger_cautious[], ledger_cautious_end[];

static struct report report;
static uint64_t booked_here; /* by this task, whose amounts add up to 0 */
static bool with_core;       /* swaps have a cell of the core in their set */
static uint64_t booked[CLERKS];
static uint32_t stop;

static size_t recipe_bytes(void)
{
    return (size_t)(ledger_recipes_end - ledger_recipes);
}

/* Adds the cell's place and the object of `member` to the order. */
static enum err add_cell(struct swap_order *order, const char *cell, const char *member)
{
    struct archive_member found;
    enum err e = archive_find(member, &found);

    if (!e)
        e = lifecycle_keep_object(found.data, found.bytes, &order->object[order->objects], &report);
    if (e)
        return e;
    order->objects++;
    order->old[order->olds++] = arena_cell_find(NAMESPACE_ROOT, cell);
    return ERR_OK;
}

static enum err swap_by(const char *member, const void *recipes, size_t bytes, unsigned flags)
{
    GUARD(loader) locked = loader_hold();
    struct swap_order order = {.namespace_ = NAMESPACE_ROOT, .flags = flags, .recipes = recipes, .recipe_bytes = bytes};
    enum err e = add_cell(&order, "ledger", member);

    if (!e && with_core)
        e = add_cell(&order, "page", "page");
    return e ? e : swap_cells(&order, &report);
}

static enum err swap_to(const char *member, const void *recipes, unsigned flags)
{
    return swap_by(member, recipes, recipes ? recipe_bytes() : 0, flags);
}

static void reap(const struct testing *test)
{
    testing_need(test, testing_await(!reap_replaced()));
}

/* The first version again, which has never been used. */
static void reset_books(const struct testing *test)
{
    testing_need(test, swap_to("ledger", NULL, SWAP_FRESH_DATA) == ERR_OK);
    reap(test);
    for (uint32_t i = 0; i < LEDGER_ACCOUNTS; i++) /* each account is open before anything changes */
        ledger_book(i, 0);
    testing_need(test, ledger_calls() == LEDGER_ACCOUNTS);
}

/* ---- refusals ---- */

static void refuse(const struct testing *test, enum err want, const void *recipes)
{
    const struct testing_records before = testing_records();
    uint64_t calls = ledger_calls();
    enum err e = swap_to("ledger_v2", recipes, 0);

    if (e != want) {
        log_warn("%s: %s", err_text(e), report.text);
        testing_fail(test, "another error", "test_recipe.c", __LINE__);
    }
    testing_same(test, "a refused recipe", &before);
    testing_need(test, ledger_calls() == calls && ledger_agrees());
    testing_need(test, arena_cell(arena_cell_find(NAMESPACE_ROOT, "ledger"))->version == 1);
}

static void refused(const struct testing *test)
{
    static const size_t word[] = {
        offsetof(struct recipe_set, version),
        offsetof(struct recipe_set, moves),
        sizeof(struct recipe_set) + offsetof(struct recipe, new_object),
        sizeof(struct recipe_set) + offsetof(struct recipe, new_section),
        sizeof(struct recipe_set) + offsetof(struct recipe, old_bytes),
        sizeof(struct recipe_set) + offsetof(struct recipe, old_type),
        sizeof(struct recipe_set) + offsetof(struct recipe, new_deep),
        sizeof(struct recipe_set) + RECIPES * sizeof(struct recipe) + offsetof(struct recipe_move, from),
        sizeof(struct recipe_set) + RECIPES * sizeof(struct recipe) + offsetof(struct recipe_move, to_width),
    };

    refuse(test, ERR_WRONG_TYPE, NULL);
    for (size_t i = 0; i < array_size(word); i++) {
        OWN(heap) uint8_t *damaged = heap_alloc(recipe_bytes());
        testing_need(test, damaged);
        memcpy(damaged, ledger_recipes, recipe_bytes());
        *(uint32_t *)(damaged + word[i]) ^= 0x10000;
        refuse(test, ERR_CORRUPT, damaged);
    }
    testing_need(test, swap_to("ledger_v2", ledger_recipes, SWAP_DRY_RUN) == ERR_OK && report.transferred_bytes > 64);
    testing_need(test, arena_cell(arena_cell_find(NAMESPACE_ROOT, "ledger"))->version == 1);
}

/* ---- under use ---- */

/* Leaves the cell now and then: a swap to other types waits until all tasks are outside. */
static void clerk(uint64_t number)
{
    while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
        ledger_book((uint32_t)(booked[number] % LEDGER_ACCOUNTS), -(int32_t)number - 1);
        booked[number]++;
        if (booked[number] % 8 == 0)
            scheduler_sleep_ns(REST_NS);
    }
}

static uint64_t all_booked(int64_t *ret_sum)
{
    uint64_t n = LEDGER_ACCOUNTS + booked_here;

    *ret_sum = 0;
    for (uint64_t i = 0; i < CLERKS; i++) {
        n += booked[i];
        *ret_sum -= (int64_t)(booked[i] * (i + 1));
    }
    return n;
}

static void wait_for_bookings(const struct testing *test, uint64_t more)
{
    uint64_t until = ledger_calls() + more;

    testing_need(test, testing_await(ledger_calls() >= until));
}

static void check_books(const struct testing *test)
{
    int64_t sum, found = 0;
    uint64_t calls = all_booked(&sum);

    for (uint32_t i = 0; i < LEDGER_ACCOUNTS; i++)
        found += ledger_balance(i);
    testing_need(test, ledger_calls() == calls && found == sum && ledger_agrees());
}

/* ---- taken back ---- */

static uint64_t version(void)
{
    return arena_cell(arena_cell_find(NAMESPACE_ROOT, "ledger"))->version;
}

static bool begins_with(const char *text, const char *start)
{
    size_t i = 0;

    while (start[i] && text[i] == start[i])
        i++;
    return !start[i];
}

/* The swap is refused in these words, and the ledger is as it was. */
static void refuse_value(const struct testing *test, const uint8_t *recipes, const uint8_t *end, const char *words)
{
    enum err e = swap_by("ledger", recipes, (size_t)(end - recipes), 0);

    if (e != ERR_RANGE || !begins_with(report.text, words)) {
        log_warn("%s: %s, not %s", err_text(e), report.text, words);
        testing_fail(test, "other words", "test_recipe.c", __LINE__);
    }
    testing_need(test, version() == 2 && ledger_agrees());
}

static void book_here(int32_t amount)
{
    ledger_book(1, amount);
    booked_here++;
}

/* The second ledger into the first, while others book. */
static void take_back(const struct testing *test)
{
    refuse_value(test, ledger_cautious, ledger_cautious_end,
                 "ledger.books.account[0].limit is 5, and would be lost; say --drop books.account[].limit");
    for (int i = 0; i < 3; i++)
        book_here(INT32_MAX);
    refuse_value(test, ledger_back, ledger_back_end, "ledger.books.account[1].balance is ");
    for (int i = 0; i < 3; i++)
        book_here(-INT32_MAX);
    enum err e = swap_by("ledger", ledger_back, (size_t)(ledger_back_end - ledger_back), 0);
    if (e)
        log_warn("%s: %s", err_text(e), report.text);
    testing_need(test, e == ERR_OK && version() == 1);
}

static void under_use(const struct testing *test)
{
    struct task *task[CLERKS];

    for (uint64_t i = 0; i < CLERKS; i++)
        testing_need(test, (task[i] = task_spawn("clerk", clerk, i, NULL)) != NULL);
    wait_for_bookings(test, 500);
    enum err e = swap_to("ledger_v2", ledger_recipes, 0);
    if (e)
        log_warn("%s: %s", err_text(e), report.text);
    testing_need(test, e == ERR_OK && ledger_own() == 2021);
    wait_for_bookings(test, 500);
    take_back(test);
    wait_for_bookings(test, 500);
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    for (uint64_t i = 0; i < CLERKS; i++)
        testing_need(test, task_join(MOVE(task[i]), NULL) == JOIN_ENDED);
    check_books(test);
    reap(test);
    check_books(test);
}

/* ---- with the core ---- */

static unsigned fault_at, steps;

static void on_step(unsigned step)
{
    steps = step;
    if (step != fault_at)
        return;
    fault_at = 0;
    panic("a fault amid the switchover");
}

static void swap_in_vain(uint64_t)
{
    (void)swap_to("ledger_v2", ledger_recipes, 0);
}

/* False: the swap took effect, as it had fewer steps this time. */
static bool is_undone(const struct testing *test, unsigned step)
{
    uint64_t calls = ledger_calls();

    fault_at = step;
    OWN(task) struct task *task = task_spawn("core", swap_in_vain, 0, NULL);
    testing_need(test, task);
    enum join join = task_join(MOVE(task), NULL);
    reap(test);
    if (join == JOIN_ENDED && steps < step) {
        fault_at = 0;
        return false;
    }
    testing_need(test, join == JOIN_FAILED && fault_at == 0 && version() == 1);
    testing_need(test, ledger_calls() == calls && ledger_agrees());
    ledger_book(2, 0);
    testing_need(test, ledger_calls() == calls + 1 && ledger_agrees());
    return true;
}

/* In one set with the page cell, whose switchover then moves by recipe too; a fault in it is undone. */
static void in_switchover(const struct testing *test)
{
    unsigned undone = 0;

    with_core = true;
    testing_need(test, edge_bind(&swap_step_hook, on_step) == ERR_OK);
    for (int i = 0; i < 2; i++) {
        testing_need(test, swap_to("ledger_v2", ledger_recipes, 0) == ERR_OK && ledger_own() == 2021);
        reap(test);
        enum err e = swap_by("ledger", ledger_back, (size_t)(ledger_back_end - ledger_back), 0);
        if (e)
            log_warn("%s: %s", err_text(e), report.text);
        testing_need(test, e == ERR_OK && version() == 1 && ledger_agrees());
        reap(test);
    }
    unsigned all = steps;
    for (unsigned step = all - 8; step <= all && version() == 1; step++)
        undone += is_undone(test, step);
    testing_need(test, undone >= 4); /* the switchover is the last steps */
    testing_need(test, edge_bind(&swap_step_hook, NULL) == ERR_OK);
    with_core = false;
    log_info("a fault at the last of %u steps", all);
}

static int test_recipe_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    struct testing test = testing_begin("test_recipe");
    reset_books(&test);
    with_core = true; /* the page cell is from an object of its own from now on */
    testing_need(&test, swap_to("ledger_v2", ledger_recipes, 0) == ERR_OK);
    with_core = false;
    reset_books(&test);
    in_switchover(&test); /* which takes what faults take once */
    reset_books(&test);
    test = testing_begin("test_recipe");
    refused(&test);
    testing_ok(&test, "without a sound recipe, data of another type are not taken over");
    in_switchover(&test);
    testing_ok(&test, "in one set with the core they are too, and a fault amid the switchover is undone");
    reset_books(&test);
    under_use(&test);
    testing_ok(&test, "fields that are wider, elsewhere, gone and new are taken over under use, and taken back");
    reset_books(&test);
    testing_end(&test);
}
MAIN(test_recipe_main);
