/* See watch.h. */
#include "injector/watch.h"
#include "guest/abi/layout.h"
#include "introspect/base/number.h"
#include "introspect/base/ram_map.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The records of a table. NULL: it does not lie within memory, or has records of another size. */
static const void *find_table(const uint8_t *ram, size_t bytes, const struct arena_table_desc *table,
                              uint32_t record_bytes, uint32_t most)
{
    size_t at = LAYOUT_ARENA_PHYS + (size_t)table->offset;

    return table->record_bytes != record_bytes || table->capacity > most || table->offset % _Alignof(uint64_t) ||
                   !ram_map_has(bytes, at, (size_t)table->capacity * record_bytes)
               ? NULL
               : ram + at;
}

static uint64_t last_tick(const uint8_t *ram, size_t bytes, const struct arena_table_desc *table)
{
    const volatile struct arena_cpu *cpu = find_table(ram, bytes, table, sizeof *cpu, ARENA_CPUS_MAX);
    uint64_t newest = 0;

    for (uint32_t i = 1; cpu && i < table->capacity; i++)
        newest = cpu[i].heartbeat_ns > newest ? cpu[i].heartbeat_ns : newest;
    return newest;
}

bool watch_is_running(const uint8_t *ram, size_t bytes, const char *name)
{
    const volatile struct arena_header *h = (const void *)(ram + LAYOUT_ARENA_PHYS);

    if (!watch_glance(ram, bytes).arena)
        return false;
    const struct arena_table_desc cpus = h->table[ARENA_CPUS], tasks = h->table[ARENA_TASKS];
    const struct arena_cpu *cpu = find_table(ram, bytes, &cpus, sizeof *cpu, ARENA_CPUS_MAX);
    const struct arena_task *task = find_table(ram, bytes, &tasks, sizeof *task, UINT32_MAX);
    for (uint32_t i = 1; cpu && task && i < cpus.capacity; i++) {
        uint32_t now = cpu[i].online ? cpu[i].current_task.index : 0;
        if (now && now < tasks.capacity && strncmp(task[now].name, name, sizeof task[now].name) == 0)
            return true;
    }
    return false;
}

struct glance watch_glance(const uint8_t *ram, size_t bytes)
{
    const volatile struct arena_header *h = (const void *)(ram + LAYOUT_ARENA_PHYS);
    struct glance g = {0};

    if (bytes < LAYOUT_ARENA_PHYS + sizeof *h || h->magic != ARENA_MAGIC || h->version != ARENA_VERSION)
        return g;
    g.arena = true;
    g.ready = h->ready == 1;
    g.boot_tsc = h->boot_tsc;
    g.fault_seq = h->fault_seq;
    for (unsigned i = 0; i < COUNTERS; i++)
        g.counter[i] = h->counter[i];
    const struct arena_table_desc cpus = h->table[ARENA_CPUS];
    g.guest_ns = last_tick(ram, bytes, &cpus);
    return g;
}

uint64_t watch_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void watch_sleep_ms(unsigned ms)
{
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    nanosleep(&t, NULL);
}

enum err watch_parse(const char *words, struct watch_trigger *ret_trigger, struct why *why)
{
    static const struct {
        const char *prefix;
        enum watch_kind kind;
    } kinds[] = {{"rounds:", WATCH_ROUNDS}, {"ms:", WATCH_MS}};

    if (strcmp(words, "now") == 0) {
        *ret_trigger = (struct watch_trigger){.kind = WATCH_NOW};
        return ERR_OK;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t n = strlen(kinds[i].prefix);
        struct watch_trigger trigger = {.kind = kinds[i].kind};

        if (strncmp(words, kinds[i].prefix, n) != 0 || !number_parse(words + n, 0, UINT64_MAX, &trigger.n))
            continue;
        *ret_trigger = trigger;
        return ERR_OK;
    }
    return why_set(why, ERR_INVALID, "trigger '%.60s' is none of now, rounds:N, ms:N", words);
}

enum err watch_wait(const struct watch_trigger *trigger, const uint8_t *ram, size_t bytes, unsigned timeout_ms,
                    struct why *why)
{
    uint64_t start = watch_now_ns();
    uint64_t rounds = watch_glance(ram, bytes).counter[COUNTER_rounds];

    for (;;) {
        uint64_t passed = (watch_now_ns() - start) / 1000000;
        uint64_t now = watch_glance(ram, bytes).counter[COUNTER_rounds];

        if (trigger->kind == WATCH_NOW || (trigger->kind == WATCH_MS && passed >= trigger->n))
            return ERR_OK;
        if (now < rounds)
            rounds = now; /* the guest has restarted */
        if (trigger->kind == WATCH_ROUNDS && now - rounds >= trigger->n)
            return ERR_OK;
        if (trigger->kind == WATCH_ROUNDS && passed >= timeout_ms)
            return why_set(why, ERR_TIMEOUT, "the workload did not end %llu rounds within %u ms; nothing was injected",
                           (unsigned long long)trigger->n, timeout_ms);
        watch_sleep_ms(2);
    }
}
