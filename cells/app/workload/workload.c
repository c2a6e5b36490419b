/* A workload whose results are known (thesis §9.2): tasks that talk, draw, write files, spawn and allocate in rounds;
 * each round ends with a checksum that was computed in advance. Fault campaigns are judged by it.
 *
 * Every task is restartable. A round that a fault disturbs is repeated. So is one that is wrong: that is a fault,
 * raised before the round is delivered. What was delivered wrong all the same is counted as bad.
 * Options, as arguments or on the command line: workload=WORD,WORD names the parts that work (guest/abi/workload.h;
 * else the default ones); rounds=N ends after N rounds with a line on the log; exit=1 then ends
 * the machine through the debug port, with 0x10 when all of them were right and 0x11 when not. */
#include "cells/app/workload/board.h"
#include "cells/app/workload/parts.h"
#include "cells/core/arena/arena.h"
#include "cells/core/boot/boot.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/panic/panic.h"
#include "cells/host/log/log.h"
#include "cells/lib/format/format.h"
#include "cells/lib/string/string.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/task/task.h"
#include "guest/abi/layout.h"

CELL("workload", APPLICATION, 1);

/* The weight of failed attempts in a row after which the workload panics. */
#define FUTILE_MAX     40
#define FUTILE_ERROR   1
#define FUTILE_TIMEOUT 20
#define PAUSE_NS       5000000ull
#define CONDUCTOR      "conductor"

/* What a fault has interrupted; also where an undisturbed delivery happens. */
static void finish_delivery(struct board *board)
{
    board_check_delivery(board);
    delivery_finish(&board->delivery);
    board_end_round(board);
    board_check_round(board);
}

/* A round that is wrong is not delivered. Each part has compared its value: what is wrong here is the board, or what is
 * computed here. */
static void deliver_round(struct board *board, const struct job *job, const uint64_t value[PARTS], uint64_t ns)
{
    uint64_t number = board->tally.rounds, checksum = workload_round(job->index, board->parts, value);

    if (checksum != delivery_right(number, board->parts))
        panic("the checksum of a round is wrong");
    board->delivery = (struct delivery){
        .number = number, .checksum = checksum, .ns = ns, .parts = board->parts, .owner = board->owner};
    delivery_begin(&board->delivery);
    finish_delivery(board);
}

/* Spawns a task for each free place: all at the start, later those whose task has ended early. */
static enum err fill_places(struct board *board)
{
    enum err e = ERR_OK;

    for (unsigned i = 0; e == ERR_OK && i < PARTS; i++) {
        if (board->place[i].taken || !(board->parts & 1u << i))
            continue;
        e = part_spawn(board, (enum part)i);
        board->place[i].taken = e == ERR_OK;
    }
    return e;
}

static void conduct(struct board *board)
{
    struct patience patience = {.ns = board_patience_ns(board)};
    uint64_t value[PARTS];
    struct job job;

    board_promise(board);
    progress_begin(&patience.since);
    enum err e = fill_places(board);
    board_start(board, &job);
    enum gather gathered = e ? GATHER_FAILED : board_gather(board, &job, &patience, value);
    if (gathered == GATHER_DONE) {
        deliver_round(board, &job, value, progress_ns(&patience.since) + PROGRESS_TICK_NS);
        return;
    }
    if (board_repeat(board, gathered == GATHER_LATE ? FUTILE_TIMEOUT : FUTILE_ERROR) >= FUTILE_MAX)
        panic("the workload makes no progress");
    scheduler_sleep_ns(PAUSE_NS);
}

static void conductor_entry(uint64_t argument)
{
    struct board *board = (struct board *)argument;

    board_promise(board);
    finish_delivery(board);
    while (board_wants_more(board))
        conduct(board);
    board->finished = true;
}

/* Runs also when recovery gives the conductor up: the parts must learn that the work is over. */
static void conductor_ended(uint64_t argument)
{
    board_stop((struct board *)argument);
    board_leave((struct board *)argument);
}

static bool is_task_alive(uint32_t state)
{
    return state != TASK_FREE && state != TASK_EXITED && state != TASK_FAILED;
}

/* The board that task `owner` made before it was restarted, found through its conductor. NULL: none. */
static struct board *board_of(uint32_t owner)
{
    for_each_task (i) {
        const struct arena_task *task = arena_task(i);
        if (is_task_alive(task->state) && string_equal(task->name, CONDUCTOR) &&
            ((struct board *)task->argument)->owner == owner)
            return (struct board *)task->argument;
    }
    return NULL;
}

/* Spawns the conductor first, by which board_of finds a workload. The board is not OWN: the workload continues when
 * this task fails. */
static enum err begin_workload(uint32_t parts, uint64_t rounds, struct board **ret_board)
{
    struct board *board = board_new(task_this()->id, parts, rounds);

    if (!board)
        return ERR_NOMEM;
    enum err e = crew_spawn(board, CONDUCTOR, conductor_entry, (uint64_t)board, conductor_ended);
    if (e != ERR_OK) {
        board_put(board);
        return e;
    }
    *ret_board = board;
    return ERR_OK;
}

/* Says what was done, and why not all of it. False: not all of it, or something is bad. */
static bool log_end(const struct board *board, uint64_t wanted)
{
    const struct tally *tally = &board->tally;
    bool all = board->finished && wanted && tally->rounds >= wanted;

    log_info("workload: %lu rounds, %lu ok, %lu bad", tally->rounds, tally->ok, tally->bad);
    if (tally->repeated)
        log_info("workload: %lu attempts repeated", tally->repeated);
    if (!board->finished)
        log_warn("workload: ended early: its conductor was given up after a fault (delias faults)");
    else if (!all)
        log_warn("workload: ended early: %lu rounds were wanted, its board says %lu", wanted, board->rounds_wanted);
    return all && !tally->bad;
}

/* What is behind `key=` among the arguments, else on the command line, cut to `bytes`; "": nothing. */
static void text_option(const char *key, int argc, char **argv, char *ret_text, size_t bytes)
{
    *ret_text = '\0';
    for (int i = 1; i < argc; i++)
        if (string_starts(argv[i], key) && argv[i][string_length(key)] == '=')
            string_copy(ret_text, argv[i] + string_length(key) + 1, bytes);
    if (!*ret_text)
        (void)boot_option(key, ret_text, bytes);
}

/* The parts that are to work. 0: somebody has named one that is none. */
static uint32_t parts_option(int argc, char **argv)
{
    char text[96];

    text_option("workload", argc, argv, text, sizeof text);
    return *text ? workload_parse(text) : WORKLOAD_DEFAULT;
}

static uint64_t number_option(const char *key, int argc, char **argv)
{
    char text[24];
    uint64_t number = 0;

    text_option(key, argc, argv, text, sizeof text);
    for (const char *c = text; *c >= '0' && *c <= '9'; c++)
        number = number * 10 + (uint64_t)(*c - '0');
    return number;
}

/* What this task holds of the board is released when it is ended by others, but not when it fails: then it is
 * restarted, and finds the board again. */
static void release_if_ended(struct board **board)
{
    if (*board && task_this()->record->end_reason != TASK_END_OWN)
        board_put(*board);
}

static bool work_to_end(TAKES struct board *taken, uint64_t wanted)
{
    __attribute__((cleanup(release_if_ended))) struct board *board = taken;

    board_wait_done(board);
    bool good = log_end(board, wanted);
    board_put(MOVE(board));
    return good;
}

static int workload_main(int argc, char **argv)
{
    struct board *board = board_of(task_this()->id);
    uint64_t wanted = number_option("rounds", argc, argv);
    uint32_t parts = parts_option(argc, argv);
    enum err e = board ? ERR_OK : parts ? begin_workload(parts, wanted, &board) : ERR_INVALID;

    if (e != ERR_OK)
        log_warn("workload: can't start: %s", err_text(e));
    bool good = e == ERR_OK && work_to_end(board, wanted);
    if (number_option("exit", argc, argv))
        cpu_out8(LAYOUT_DEBUG_EXIT_PORT, good ? 0x10 : 0x11);
    return good ? 0 : 1;
}
MAIN(workload_main);
