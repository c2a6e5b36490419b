/* Wrong data are found, and the cell whose they are is reloaded with fresh data, not the one that fails of them; beside
 * the workload nothing is found that is not wrong, however often one looks (checks=N on the command line). */
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/loader/loader.h"
#include "cells/core/page/page.h"
#include "cells/fs/memory_fs/memory_fs.h"
#include "cells/lib/string/string.h"
#include "cells/memory/heap/heap.h"
#include "cells/recover/check/check.h"
#include "cells/recover/fault/fault.h"
#include "cells/recover/kill/kill.h"
#include "cells/recover/mend/mend.h"
#include "cells/host/log/log.h"
#include "cells/task/application/application.h"
#include "cells/task/park/park.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "tests/guest/fixtures/cards/cards.h"
#include "tests/guest/fixtures/reader/reader.h"
#include "tests/guest/fixtures/testing/testing.h"

CELL("test_check", KERNEL, 1);

#define CELLS_MAX 64
#define FLIP      40 /* a bit that makes a pointer one to nothing */

static struct cell_ref find(const char *name)
{
    return arena_cell_find(NAMESPACE_ROOT, name);
}

/* All cells whose data may be replaced. */
static size_t all_cells(struct cell_ref ret_cells[CELLS_MAX])
{
    size_t count = 0;

    for_each_cell (cell)
        if (arena_cell(cell)->state == CELL_LIVE && !mend_is_needed(cell) && count < CELLS_MAX)
            ret_cells[count++] = cell;
    return count;
}

static size_t look(const struct cell_ref *cells, size_t count, struct check_finding *ret_finding)
{
    GUARD(loader) locked = loader_hold();

    return check_data(cells, count, ret_finding, 1);
}

/* ---- nothing that is right is found to be wrong ---- */

static void look_often(const struct testing *test, const char *beside)
{
    unsigned times = testing_times("checks", 100);
    struct cell_ref cells[CELLS_MAX];
    struct check_finding finding;
    uint64_t ns = 0;

    for (unsigned i = 0; i < times; i++) {
        size_t count = all_cells(cells);
        uint64_t since = cpu_ns();
        size_t wrong = look(cells, count, &finding);
        ns += cpu_ns() - since;
        if (wrong)
            log_warn("%s of %s is %s", finding.path, arena_string(arena_cell(finding.cell)->name), finding.what);
        testing_need(test, !wrong);
        scheduler_sleep_ns(1000000);
    }
    log_info("%u looks beside %s, %lu us each", times, beside, ns / times / 1000);
}

static void beside_workload(const struct testing *test)
{
    const char *const words[] = {"workload", "rounds=1000000"};
    struct task *task = NULL;

    testing_need(test, application_run("workload", 2, words, &task, NULL) == ERR_OK);
    uint64_t rounds = arena_header()->counter[COUNTER_rounds];
    look_often(test, "the workload");
    testing_need(test, testing_await(arena_header()->counter[COUNTER_rounds] > rounds + 3));
    struct report report = {};
    testing_need(test, kill_by_id(task->id, &report) == ERR_OK && task_join(task, NULL) == JOIN_KILLED);
}

/* ---- what is wrong is found, and named ---- */

static struct card *first, *second;

/* What is damaged, by what xor, and how it is named. */
static const struct wrong {
    const char *path;
    size_t card, offset;
    uint64_t bits;
} wrongs[] = {
    {"cards.first->next", 0, offsetof(struct card, next), 1ull << FLIP},
    {"cards.first->next->previous", 1, offsetof(struct card, previous), 1ull << FLIP},
    {"cards.first->suit", 0, offsetof(struct card, suit), 4},
    {"cards.first->next->turned", 1, offsetof(struct card, turned), 2},
    {"cards.first->used", 0, offsetof(struct card, used), 8},
    {"cards.first->number", 0, offsetof(struct card, number), 1ull << FLIP},
    {"cards.first->worth", 0, offsetof(struct card, worth), 1ull << FLIP},
};

static void flip(const struct wrong *wrong)
{
    uint8_t *card = (uint8_t *)(wrong->card ? second : first) + wrong->offset;
    uint64_t word;

    memcpy(&word, card, sizeof word);
    word ^= wrong->bits;
    memcpy(card, &word, sizeof word);
}

static void need_cards(const struct testing *test)
{
    first = cards_first();
    testing_need(test, first && first->next);
    second = first->next;
}

static void every_kind_is_found(const struct testing *test)
{
    struct cell_ref cell = find("cards");
    struct check_finding finding;

    need_cards(test);
    testing_need(test, !look(&cell, 1, &finding));
    for (size_t i = 0; i < array_size(wrongs); i++) {
        flip(&wrongs[i]);
        size_t count = look(&cell, 1, &finding);
        flip(&wrongs[i]);
        log_info("%s: %s", finding.path, finding.what);
        testing_need(test, count && same(finding.cell, cell) && string_equal(finding.path, wrongs[i].path));
        testing_need(test, !look(&cell, 1, &finding));
    }
    testing_ok(test, "wrong pointers, values, lengths and lists are found");
}

/* A circle; a block that was freed; a block that is too short; what is right in a union. */
static void lists_and_blocks(const struct testing *test)
{
    struct cell_ref cell = find("cards");
    struct check_finding finding;
    struct card *third = second->next;
    uint32_t *number = first->number, *shorter = heap_alloc(sizeof *shorter);

    testing_need(test, third && shorter);
    third->next = second;
    testing_need(test, look(&cell, 1, &finding) && string_equal(finding.path, "cards.first->next->next->next"));
    third->next = NULL;
    first->number = shorter;
    testing_need(test, look(&cell, 1, &finding) && string_equal(finding.path, "cards.first->number"));
    heap_free(shorter);
    testing_need(test, look(&cell, 1, &finding) && string_starts(finding.what, "a pointer to a freed block"));
    first->number = number;
    first->any.pointer = (void *)1;
    testing_need(test, !look(&cell, 1, &finding));
    testing_ok(test, "circles, freed and short blocks are found, what is in a union is not");
}

/* ---- who is to blame ---- */

static uint32_t reloads(const char *name)
{
    return arena_cell(find(name))->reloads;
}

/* Whether a record since then says so of a datum. */
static bool is_logged(uint64_t since, const char *cell, const char *path)
{
    for (uint64_t seq = since + 1; seq <= arena_header()->fault_seq; seq++) {
        const struct arena_fault *fault = fault_record(seq);
        if (fault && fault->kind == FAULT_DAMAGE && fault->action == FAULT_ACTION_RELOAD &&
            string_equal(fault->cell_name, cell) && string_equal(fault->symbol, path))
            return true;
    }
    return false;
}

static void damage(const struct testing *test, const struct wrong *wrong)
{
    uint64_t since = arena_header()->fault_seq, reads = reader_reads();
    OWN(task)
    struct task *task = task_spawn("reader", reader_run, 0, &(struct task_options){.restartable = true});

    testing_need(test, task && testing_await(reader_reads() > reads + 3));
    need_cards(test);
    uint32_t before = reloads("cards");
    flip(wrong);
    testing_need(test, testing_await(is_logged(since, "cards", wrong->path)));
    reads = reader_reads();
    testing_need(test, testing_await(reader_reads() > reads + 3));
    testing_need(test, reloads("cards") == before + 1 && reloads("reader") == 0);
    reader_stop();
    testing_need(test, task_join(MOVE(task), NULL) == JOIN_ENDED);
}

static void owner_is_reloaded(const struct testing *test)
{
    for (size_t i = 0; i < array_size(wrongs); i++)
        damage(test, &wrongs[i]);
    testing_ok(test, "the cell whose data are wrong is reloaded, and no other");
}

/* ---- memory_fs ---- */

static uint64_t written;

static void write_file(uint64_t)
{
    for (;;) {
        OWN(memory_fs_file) struct memory_fs_file *file = NULL;
        if (memory_fs_open("/checked", MEMORY_FS_WRITE | MEMORY_FS_CREATE, &file) == ERR_OK &&
            memory_fs_write(file, "text", 4) == ERR_OK && __atomic_add_fetch(&written, 1, __ATOMIC_RELAXED) > 1000000)
            return;
        scheduler_sleep_ns(1000000);
    }
}

static void flip_word(const struct testing *test, const char *section)
{
    uint64_t *word = NULL;

    for_each_section_of (s, find("memory_fs"))
        if (string_equal(arena_string(arena_section(s)->name), section))
            word = page_direct(arena_section(s)->phys);
    testing_need(test, word);
    __atomic_fetch_xor(word, 1ull << FLIP, __ATOMIC_SEQ_CST);
}

static void await_more(const struct testing *test)
{
    uint64_t now = __atomic_load_n(&written, __ATOMIC_RELAXED);

    testing_need(test, testing_await(__atomic_load_n(&written, __ATOMIC_RELAXED) > now + 3));
}

static void file_system(const struct testing *test)
{
    uint64_t since = arena_header()->fault_seq;
    OWN(task)
    struct task *task = task_spawn("writer", write_file, 0, &(struct task_options){.restartable = true});

    testing_need(test, task);
    await_more(test);
    flip_word(test, ".bss.volume");
    await_more(test);
    testing_need(test, arena_header()->fault_seq == since);
    testing_ok(test, "memory_fs finds its volume again when its address is damaged");
    {
        GUARD(park) parked = park_all();
        flip_word(test, ".bss.volume");
        flip_word(test, ".bss.complement");
    }
    testing_need(test, testing_await(is_logged(since, "memory_fs", "volume")));
    await_more(test);
    testing_need(test, reloads("memory_fs") == 1);
    __atomic_store_n(&written, 2000000, __ATOMIC_RELAXED);
    testing_need(test, task_join(MOVE(task), NULL) == JOIN_ENDED);
    testing_ok(test, "and is reloaded when the complement of that address is, too");
}

static int test_check_main(int, char **)
{
    struct testing test = testing_begin("test_check");

    every_kind_is_found(&test);
    lists_and_blocks(&test);
    beside_workload(&test);
    owner_is_reloaded(&test);
    file_system(&test);
    testing_ok(&test, "what is right is never found to be wrong");
    test = testing_begin("test_check"); /* files and cards stay */
    testing_end(&test);
}
MAIN(test_check_main);
