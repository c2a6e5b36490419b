/* Data of all cells that are set once have copies; damage to one is put right from the other, by a mender and by the
 * scrubber, and fresh data begin with them. Soft data may become zero at any time. Copies of what is gone are freed. */
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/loader/loader.h"
#include "cells/core/page/page.h"
#include "cells/evolve/reap/reap.h"
#include "cells/evolve/swap/swap.h"
#include "cells/lib/string/string.h"
#include "cells/memory/state_db/state_db.h"
#include "cells/recover/mend/mend.h"
#include "cells/task/application/application.h"
#include "cells/task/park/park.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/host/request/request.h"
#include "tests/guest/fixtures/steady/steady.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_state", KERNEL, 1);

#define LEAST       30 /* data with a copy, of the cells of the machine */
#define COMES_TIMES 12 /* the copies of `steady` that there is room for are fewer */
#define SOFT_TIMES  300
#define SEED_FIRST  0x9e3779b97f4a7c15

static struct testing *test;

static uint64_t counter(enum arena_counter which)
{
    return __atomic_load_n(&arena_header()->counter[which], __ATOMIC_RELAXED);
}

/* The pass that is under way may be past any place; the next one is not. */
static void await_pass(void)
{
    uint64_t passes = counter(COUNTER_scrubs) + 2;

    testing_need(test, testing_await(counter(COUNTER_scrubs) >= passes));
}

static uint64_t *bytes_of(const struct arena_section *s)
{
    return page_direct(s->phys);
}

static struct section_ref section_of(const char *cell, const char *name)
{
    for_each_section_of (s, arena_cell_find(NAMESPACE_ROOT, cell))
        if (string_equal(arena_string(arena_section(s)->name), name))
            return s;
    return NO_SECTION;
}

static struct cell_ref steady(void)
{
    return arena_cell_find(NAMESPACE_ROOT, "steady");
}

static struct section_ref section_of_steady(const char *name)
{
    return section_of("steady", name);
}

static bool is_copy_right(struct section_ref section)
{
    const struct arena_section *s = arena_section(section);

    return arena_check(page_direct(s->copy_phys), s->bytes) == s->hash;
}

/* ---- damage ---- */

/* Nobody else runs between damage and repair, since what is damaged may be of use to all. */
static void damage_and_mend(struct section_ref section, uint32_t byte)
{
    const struct arena_section *s = arena_section(section);
    uint8_t *at = (uint8_t *)page_direct(s->phys) + byte, was = *at;
    GUARD(park) parked = park_all();

    *at ^= (uint8_t)(1 << byte % 8);
    bool found = mend_is_damaged(section) && same(mend_find_damage(s->cell), section);
    unsigned mended = mend_cell(s->cell);
    bool right = *at == was;
    *at = was;
    testing_need(test, found && mended == 1 && right);
}

static void every_datum(void)
{
    unsigned with_copy = 0;

    await_pass();
    for_each_cell (cell)
        for_each_section_of (i, cell) {
            const struct arena_section *s = arena_section(i);
            testing_need(test, arena_cell(cell)->state != CELL_LIVE || !state_db_is_due(i));
            if (!s->copy_phys)
                continue;
            with_copy++;
            testing_need(test, s->datum == DATUM_SET_ONCE && is_copy_right(i));
            damage_and_mend(i, 0);
            damage_and_mend(i, s->bytes - 1);
        }
    testing_need(test, with_copy >= LEAST);
}

static void by_scrubber(void)
{
    struct section_ref section = section_of_steady(".bss.table");
    const struct arena_section *s = arena_section(section);
    uint64_t mends = counter(COUNTER_scrub_mends);

    testing_need(test, section.index && s->copy_phys);
    bytes_of(s)[STEADY_WORDS / 2] ^= 1ul << 40;
    await_pass();
    testing_need(test, steady_word(STEADY_WORDS / 2) == SEED_FIRST * (STEADY_WORDS / 2 + 1));
    testing_need(test, counter(COUNTER_scrub_mends) == mends + 1);
    test->scrub_mends++;

    *(uint64_t *)page_direct(s->copy_phys) ^= 1;
    testing_need(test, !is_copy_right(section) && !mend_is_damaged(section));
    await_pass();
    testing_need(test, is_copy_right(section) && steady_word(0) == SEED_FIRST);

    *(uint64_t *)page_direct(s->copy_phys) ^= 1; /* both: nobody knows what was right */
    bytes_of(s)[0] ^= 2;
    testing_need(test, mend_cell(steady()) == 0 && steady_word(0) == (SEED_FIRST ^ 2));
    bytes_of(s)[0] ^= 2;
    await_pass();
    testing_need(test, is_copy_right(section) && steady_word(0) == SEED_FIRST);
    testing_need(test, counter(COUNTER_scrub_mends) == mends + 1);
}

/* ---- swaps ---- */

static void reload_cell(const char *name, uint32_t flags)
{
    static struct report report;

    testing_need(test, swap_reload(NAMESPACE_ROOT, name, flags, &report) == ERR_OK);
    testing_need(test, testing_await(!reap_replaced()));
}

static void reload(uint32_t flags)
{
    reload_cell("steady", flags);
}

static void reloads(void)
{
    testing_need(test, steady_once(17) == 17 && steady_made() == 1 && steady_count() == 1);
    reload(0);
    testing_need(test, steady_once(18) == 17 && steady_made() == 2 && steady_count() == 2);
    await_pass();
    bytes_of(arena_section(section_of_steady(".bss.table")))[1] = 0; /* fresh data come from the copy */
    reload(SWAP_FRESH_DATA);
    testing_need(test, steady_once(19) == 17 && steady_made() == 1 && steady_count() == 1);
    testing_need(test, steady_word(1) == SEED_FIRST * 2);
    for (unsigned i = 0; i < STEADY_WORDS; i++)
        testing_need(test, steady_word(i) == SEED_FIRST * (i + 1));
    testing_need(test, mend_cell(steady()) == 0 && steady_made() == 2 && steady_count() == 2);
}

/* What is set once belongs together: when of one datum nobody knows what is right, all begin again. */
static void without_one_copy(void)
{
    struct section_ref once = section_of_steady(".bss.once");

    testing_need(test, arena_section(once)->copy_phys && steady_filled() == 0);
    {
        GUARD(park) parked = park_all();
        *(uint64_t *)page_direct(arena_section(once)->copy_phys) ^= 2;
        bytes_of(arena_section(once))[0] ^= 4;
    }
    reload(SWAP_FRESH_DATA);
    testing_need(test, steady_filled() == 1 && steady_once(21) == 21 && steady_word(1) == SEED_FIRST * 2);
    await_pass();
    {
        GUARD(park) parked = park_all();
        *(uint64_t *)page_direct(arena_section(section_of_steady(".bss.once"))->copy_phys) ^= 2;
    }
    reload(SWAP_FRESH_DATA); /* the datum itself is right */
    testing_need(test, steady_filled() == 0 && steady_once(22) == 21);
}

/* A swap takes the copy for what is right, and the new data have theirs when it has ended. */
static void damage_before_swap(void)
{
    await_pass();
    bytes_of(arena_section(section_of_steady(".bss.table")))[7] ^= 1;
    reload(0);
    testing_need(test, steady_word(7) == SEED_FIRST * 8);
    struct section_ref section = section_of_steady(".bss.table");
    testing_need(test, arena_section(section)->copy_phys && is_copy_right(section));
}

static void forgotten(void)
{
    struct section_ref once = section_of_steady(".bss.once");

    await_pass();
    testing_need(test, arena_section(once)->copy_phys);
    steady_forget();
    await_pass();
    testing_need(test, steady_once(23) == 23);
    await_pass();
    testing_need(test, arena_section(once)->copy_phys && is_copy_right(once));
}

/* The scrubber may come with the number of a record that is free by then. */
static void of_free_record(void)
{
    struct section_ref old = section_of_steady(".bss.table");

    reload(0);
    GUARD(loader) locked = loader_hold();
    testing_need(test, !arena_sound(old));
    enum err error = state_db_keep(old);
    state_db_note(old);
    state_db_renew(old);
    testing_need(test, error == ERR_INVALID && !arena_sound(old) && !arena_section(old)->copy_phys);
}

static bool overlap(const struct arena_section *a, const struct arena_section *b)
{
    return a->copy_phys < b->copy_phys + b->bytes && b->copy_phys < a->copy_phys + a->bytes;
}

/* All copies are right, and lie apart. */
static bool are_copies_right(void)
{
    bool right = true;

    for_each_cell (a)
        for_each_section_of (i, a) {
            right &= !arena_section(i)->copy_phys || is_copy_right(i);
            for_each_cell (b)
                for_each_section_of (k, b)
                    right &= !arena_section(i)->copy_phys || !arena_section(k)->copy_phys || same(i, k) ||
                             !overlap(arena_section(i), arena_section(k));
        }
    return right;
}

/* state_db itself loses what it knows, or has wrong numbers of records. */
static void fresh_state_db(void)
{
    const struct arena_section *owner = arena_section(section_of("state_db", ".bss.owner"));

    {
        GUARD(loader) locked = loader_hold();
        memset(bytes_of(owner), 0xff, owner->bytes / 2);
        memset((uint8_t *)bytes_of(owner) + owner->bytes / 2, 0, owner->bytes / 2);
    }
    reload(0);
    await_pass();
    testing_need(test, are_copies_right());
    reload_cell("state_db", SWAP_FRESH_DATA);
    for (unsigned i = 0; i < 4; i++)
        reload(0);
    await_pass();
    testing_need(test, are_copies_right());
    reload(0);
    await_pass();
    testing_need(test, are_copies_right());
    every_datum();
}

/* Lines that others have routed stay as they are. */
static void fresh_io_apics(void)
{
    uint64_t ios = *bytes_of(arena_section(section_of("ioapic", ".bss.ios")));

    reload_cell("ioapic", SWAP_FRESH_DATA);
    testing_need(test, ios && *bytes_of(arena_section(section_of("ioapic", ".bss.ios"))) == ios);
}

/* ---- soft data ---- */

static void zero_all_soft(void)
{
    for_each_cell (cell)
        for_each_section_of (s, cell)
            if (arena_section(s)->datum == DATUM_SOFT)
                memset(page_direct(arena_section(s)->phys), 0, arena_section(s)->bytes);
}

static void soft_data(unsigned times)
{
    static const char *const words[] = {"workload"};
    uint64_t bad = counter(COUNTER_checksums_bad), rounds = counter(COUNTER_rounds);
    struct task *task = NULL;
    struct report done;

    testing_need(test, application_run("workload", 1, words, &task, NULL) == ERR_OK);
    for (unsigned i = 0; i < times; i++) {
        zero_all_soft();
        scheduler_sleep_ns(1000000);
    }
    testing_need(test, testing_await(counter(COUNTER_rounds) > rounds + 1) && counter(COUNTER_checksums_bad) == bad);
    struct arena_request request = {.kind = REQUEST_UNLOAD, .target = "workload"};
    request_execute(&request, NULL, &done);
    testing_need(test, done.error == ERR_OK && task_join(task, NULL) == JOIN_KILLED);
}

/* ---- room ---- */

static void comes_and_goes(void)
{
    for (unsigned i = 0; i < COMES_TIMES; i++) {
        struct section_ref section = section_of_steady(".bss.table");
        testing_need(test, testing_await(arena_section(section)->copy_phys));
        reload(0);
    }
}

static int test_state_main(int, char **)
{
    struct testing begun = testing_begin("test_state");
    uint64_t faults = arena_header()->fault_seq;

    test = &begun;
    every_datum();
    testing_ok(test, "each datum that is set once has a copy, from which it is mended");
    faults = arena_header()->fault_seq - faults;
    by_scrubber();
    testing_ok(test, "the scrubber puts right the datum or its copy");
    reloads();
    testing_ok(test, "fresh data begin with what is set once, soft data are never carried");
    without_one_copy();
    damage_before_swap();
    testing_ok(test, "data that are set once begin together, and damage is not carried");
    forgotten();
    of_free_record();
    testing_ok(test, "a cell may end what is set once");
    fresh_state_db();
    fresh_io_apics();
    testing_ok(test, "copies are found again, and lie apart");
    comes_and_goes();
    testing_ok(test, "copies of what is gone take no room");
    testing_need(test, faults == 0);
    soft_data(1); /* for what stays when the workload has run */
    begun = testing_begin("test_state");
    soft_data(SOFT_TIMES);
    testing_ok(test, "soft data may become zero at any time");
    testing_end(test);
}
MAIN(test_state_main);
