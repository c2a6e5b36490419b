/* Static data whose type has changed goes over by a recipe while tasks use it: no value is lost, what is new begins as the
 * new version has it, pointers follow. Without a recipe, or with one that is not sound, nothing changes. */
#include "cells/kernel/archive/archive.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/heap/heap.h"
#include "cells/kernel/loader/loader.h"
#include "cells/kernel/log/log.h"
#include "cells/kernel/scheduler/scheduler.h"
#include "cells/kernel/swap/swap.h"
#include "cells/kernel/task/task.h"
#include "cells/lib/string/string.h"
#include "guest/abi/recipe.h"
#include "tests/guest/ledger/ledger.h"
#include "tests/guest/testing/testing.h"

CELL("test_recipe", KERNEL, 1);

#define CLERKS  3
#define WAIT_NS 5000000
#define REST_NS 300000

extern const uint8_t ledger_recipes[], ledger_recipes_end[];

static struct arena_completion report;
static uint64_t booked[CLERKS];
static uint32_t stop;

static size_t recipe_bytes(void)
{
    return (size_t)(ledger_recipes_end - ledger_recipes);
}

static enum err swap_to(const char *member, const void *recipes, unsigned flags)
{
    GUARD(loader) turn = loader_hold();
    struct swap_order order = {.namespace_ = NAMESPACE_ROOT, .flags = flags, .olds = 1, .objects = 1};
    struct archive_member found;
    struct loader_detail detail;
    enum err e = archive_find(member, &found);

    if (!e)
        e = loader_keep_object(found.data, found.bytes, &order.object[0], &detail);
    if (e)
        return e;
    order.old[0] = arena_cell_find(NAMESPACE_ROOT, "ledger");
    order.recipes = recipes;
    order.recipe_bytes = recipes ? recipe_bytes() : 0;
    return swap_cells(&order, &report);
}

static void reap(const struct testing *test)
{
    for (int i = 0; i < 400 && swap_reap(); i++)
        scheduler_sleep_ns(WAIT_NS);
    testing_need(test, !swap_reap());
}

/* The first version again, which has never been used. */
static void begin_anew(const struct testing *test)
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
        log_warn("%s: %s", err_text(e), report.detail);
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
        sizeof(struct recipe_set) + sizeof(struct recipe) + offsetof(struct recipe_move, from),
        sizeof(struct recipe_set) + sizeof(struct recipe) + offsetof(struct recipe_move, to_width),
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

/* Now and then it is outside: a swap to other types waits for a moment in which all are. */
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
    uint64_t n = LEDGER_ACCOUNTS;

    *ret_sum = 0;
    for (uint64_t i = 0; i < CLERKS; i++) {
        n += booked[i];
        *ret_sum -= (int64_t)(booked[i] * (i + 1));
    }
    return n;
}

static void wait_for_bookings(uint64_t more)
{
    uint64_t until = ledger_calls() + more;

    while (ledger_calls() < until)
        scheduler_sleep_ns(WAIT_NS);
}

static void check_books(const struct testing *test)
{
    int64_t sum, found = 0;
    uint64_t calls = all_booked(&sum);

    for (uint32_t i = 0; i < LEDGER_ACCOUNTS; i++)
        found += ledger_balance(i);
    testing_need(test, ledger_calls() == calls && found == sum && ledger_agrees());
}

static void under_use(const struct testing *test)
{
    struct task *task[CLERKS];

    for (uint64_t i = 0; i < CLERKS; i++)
        testing_need(test, (task[i] = task_spawn("clerk", clerk, i, NULL)) != NULL);
    wait_for_bookings(500);
    enum err e = swap_to("ledger_v2", ledger_recipes, 0);
    if (e)
        log_warn("%s: %s", err_text(e), report.detail);
    testing_need(test, e == ERR_OK && ledger_own() == 2021);
    wait_for_bookings(500);
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    for (uint64_t i = 0; i < CLERKS; i++)
        testing_need(test, task_join(MOVE(task[i]), NULL) == ERR_OK);
    check_books(test);
    reap(test);
    check_books(test);
}

static int test_recipe_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    struct testing test = testing_begin("test_recipe");
    begin_anew(&test);
    testing_need(&test, swap_to("ledger_v2", ledger_recipes, 0) == ERR_OK);
    begin_anew(&test);
    test = testing_begin("test_recipe");
    refused(&test);
    testing_ok(&test, "without a sound recipe, data of another type are not taken over");
    under_use(&test);
    testing_ok(&test, "fields that are wider, elsewhere, gone and new are taken over under use");
    begin_anew(&test);
    testing_end(&test);
}
MAIN(test_recipe_main);
