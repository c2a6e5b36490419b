/* What a switch costs: two tasks of a kind take turns on one CPU, without and with SIMD state. Cycles of the TSC, which are
 * instructions where the machine counts those. */
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/heap/heap.h"
#include "cells/kernel/loader/loader.h"
#include "cells/kernel/log/log.h"
#include "cells/kernel/namespace/namespace.h"
#include "cells/kernel/scheduler/scheduler.h"
#include "cells/kernel/task/task.h"
#include "tests/guest/testing/testing.h"

CELL("bench_simd", KERNEL, 1);

#define ROUNDS 1000

struct pair {
    uint64_t cycles[ROUNDS]; /* of two switches */
    uint32_t stop;
};

static void serve(uint64_t argument)
{
    struct pair *pair = (struct pair *)argument;

    while (!__atomic_load_n(&pair->stop, __ATOMIC_RELAXED))
        scheduler_yield();
}

static void measure(uint64_t argument)
{
    struct pair *pair = (struct pair *)argument;

    for (size_t i = 0; i < ROUNDS; i++) {
        uint64_t start = cpu_tsc();
        scheduler_yield();
        pair->cycles[i] = cpu_tsc() - start;
    }
    __atomic_store_n(&pair->stop, 1, __ATOMIC_RELAXED);
}

static void sort(uint64_t *values, size_t count)
{
    for (size_t i = 1; i < count; i++)
        for (size_t k = i; k && values[k] < values[k - 1]; k--) {
            uint64_t value = values[k];
            values[k] = values[k - 1];
            values[k - 1] = value;
        }
}

static void run_pair(const struct testing *test, const char *kind, uint32_t namespace_)
{
    OWN(heap) struct pair *pair = heap_alloc(sizeof *pair);
    struct task_options options = {.pinned = 1, .namespace_ = namespace_};

    testing_need(test, pair);
    struct task *server = task_spawn("server", serve, (uint64_t)pair, &options);
    struct task *meter = task_spawn("meter", measure, (uint64_t)pair, &options);
    testing_need(test, server && meter && task_join(meter, NULL) == ERR_OK && task_join(server, NULL) == ERR_OK);
    sort(pair->cycles, ROUNDS);
    log_info("BENCH switch %s %lu %lu", kind, pair->cycles[ROUNDS / 2] / 2, pair->cycles[ROUNDS - 1] / 2);
}

static int bench_simd_main(int, char **)
{
    static struct loader_detail detail;
    struct testing test = testing_begin("bench_simd");
    uint32_t simd;

    testing_need(&test, namespace_branch(NAMESPACE_ROOT, "simd", &(struct namespace_options){.flags = NAMESPACE_SIMD},
                                         &simd, &detail) == ERR_OK);
    run_pair(&test, "plain", NAMESPACE_ROOT);
    run_pair(&test, "simd", simd);
    testing_need(&test, namespace_remove(simd, &detail) == ERR_OK);
    testing_end(&test);
}
MAIN(bench_simd_main);
