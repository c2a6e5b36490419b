/* The case studies of live evolution (thesis §9.1.1, §9.1.2) again and again, one line a swap: its phases, as figure 9.1 has
 * them, and the pause of other CPUs, in nanoseconds, which are instructions where the machine counts those. For the
 * benchmark; bench=CASE and swaps=N on the guest's command line. */
#include "cells/kernel/boot/boot.h"
#include "cells/kernel/channel/channel.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/panic/panic.h"
#include "cells/kernel/scheduler/scheduler.h"
#include "cells/kernel/task/task.h"
#include "cells/lib/format/format.h"
#include "cells/lib/string/string.h"
#include "tests/guest/testing/exchange.h"
#include "tests/guest/testing/testing.h"

CELL("bench_swap", KERNEL, 1);

#define REAPS_MAX 2500
#define REAP_NS   2000000
#define LINES     3
#define TURN_NS   200000
#define WARM_UP   4

static const struct bench {
    const char *name;
    const char *old[3], *there[3], *back[3];
} benches[] = {
    {"channel", {"channel"}, {"channel_v3"}, {"channel"}},
    {"scheduler", {"scheduler", "run_queue"}, {"scheduler_v2", "run_queue_v2"}, {"scheduler", "run_queue"}},
};

static struct line {
    struct channel_end *sender, *receiver;
    uint64_t sent, received;
} lines[LINES];
static bool stopping;

static void send_all(uint64_t index)
{
    struct line *line = &lines[index];

    while (!__atomic_load_n(&stopping, __ATOMIC_RELAXED)) {
        if (channel_send(line->sender, &line->sent, 0) == ERR_OK)
            line->sent++;
        if (line->sent % 8 == 0)
            scheduler_sleep_ns(TURN_NS);
    }
    channel_end_put(MOVE(line->sender));
}

static void receive_all(uint64_t index)
{
    struct line *line = &lines[index];
    uint64_t message;

    while (channel_receive(line->receiver, &message, 0) == ERR_OK)
        if (message == line->received)
            line->received++;
    channel_end_put(MOVE(line->receiver));
}

static void print_swap(const char *name, const struct arena_completion *report)
{
    char text[256];
    size_t used = (size_t)format_print(text, sizeof text, "BENCH %s", name);

    for (uint32_t i = 0; i < report->phases && i < ARENA_PHASES; i++)
        used += (size_t)format_print(text + used, sizeof text - used, " %s=%lu", report->phase[i].name,
                                     report->phase[i].ns);
    format_print(text + used, sizeof text - used, " pause=%lu\n", report->pause_ns);
    panic_print(text);
}

static void run(const struct testing *test, const struct bench *bench, unsigned swaps, bool print)
{
    static struct arena_completion report;
    struct task *task[2 * LINES];

    stopping = false;
    for (unsigned i = 0; i < LINES; i++) {
        lines[i] = (struct line){0};
        testing_need(test, channel_new(4, 8, &lines[i].sender, &lines[i].receiver) == ERR_OK);
        task[2 * i] = task_spawn("sender", send_all, i, NULL);
        task[2 * i + 1] = task_spawn("receiver", receive_all, i, NULL);
        testing_need(test, task[2 * i] && task[2 * i + 1]);
    }
    for (unsigned i = 0; i < swaps; i++) {
        scheduler_sleep_ns(TURN_NS);
        testing_need(test, exchange_cells(bench->old, i % 2 ? bench->back : bench->there, 0, &report) == ERR_OK);
        if (print)
            print_swap(bench->name, &report);
        (void)swap_reap();
    }
    __atomic_store_n(&stopping, true, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < 2 * LINES; i++)
        testing_need(test, task_join(MOVE(task[i]), NULL) == ERR_OK);
    for (unsigned i = 0; i < LINES; i++)
        testing_need(test, lines[i].sent && lines[i].sent == lines[i].received);
}

static int bench_swap_main(int, char **)
{
    struct testing test = testing_begin("bench_swap");
    char name[16] = "", text[16] = "";
    unsigned swaps = 0;

    testing_need(&test, boot_option("bench", name, sizeof name) && boot_option("swaps", text, sizeof text));
    for (const char *c = text; *c >= '0' && *c <= '9'; c++)
        swaps = swaps * 10 + (unsigned)(*c - '0');
    const struct bench *bench = &benches[0];
    while (bench < &benches[array_size(benches)] && !string_equal(bench->name, name))
        bench++;
    testing_need(&test, bench < &benches[array_size(benches)]);
    run(&test, bench, WARM_UP, false); /* objects of both versions, page tables and handles stay */
    test = testing_begin("bench_swap");
    run(&test, bench, swaps, true);
    /* what is left over on a stack may hold an old cell for a while */
    for (int i = 0; i < REAPS_MAX && swap_reap(); i++)
        scheduler_sleep_ns(REAP_NS);
    testing_end(&test);
}
MAIN(bench_swap_main);
