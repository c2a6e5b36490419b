/* Attacks processors' start, shootdown and park together: every CPU maps, protects and unmaps, with locks held and
 * interrupts off, and parks all the others in between; nothing may wait for ever, overlap or leak. */
#include "cells/core/frame/frame.h"
#include "cells/core/loader/loader.h"
#include "cells/core/lock/lock.h"
#include "cells/core/page/page.h"
#include "cells/task/apic/apic.h"
#include "cells/task/park/park.h"
#include "cells/task/smp/smp.h"
#include "cells/task/timer/timer.h"
#include "guest/abi/arena.h"
#include "tests/guest/check.h"

CELL("test_processors", KERNEL, 1);

#define ROUNDS     300
#define SLOW_LOOPS 2000

static struct lock lock;
static uint64_t guarded;        /* changes under the lock only */
static uint64_t moved[CPU_MAX]; /* changes of each CPU, none while another one parks it */
static uint64_t parks[CPU_MAX];
static uint32_t parking, running, go, stop;
static volatile uint64_t ticks[CPU_MAX];

static void on_tick(void)
{
    ticks[cpu_this()->index]++;
}

static uint64_t sum(const uint64_t *values)
{
    uint64_t total = 0;

    for (unsigned i = 0; i < CPU_MAX; i++)
        total += ((const volatile uint64_t *)values)[i];
    return total;
}

static void change_mapping(unsigned index, unsigned round)
{
    OWN(mapped_pages) struct mapped_pages *mp = page_map(4096 * (1 + round % 50), PAGE_WRITE);

    if (!CHECK(mp != NULL))
        return;
    volatile uint64_t *word = page_start(mp);
    *word = index;
    if (round % 3 == 0) {
        GUARD(lock) held = lock_take(&lock); /* others spin for it with interrupts off meanwhile */
        guarded++;
        page_protect(mp, PAGE_READ);
    }
    CHECK(*word == index);
    if (round % 5 == 0) {
        uint64_t rflags = cpu_interrupts_save();
        mapped_pages_put(MOVE(mp));
        cpu_interrupts_restore(rflags);
    }
    moved[index]++;
}

static void park_others(unsigned index)
{
    GUARD(park) parked = park_all();
    for (unsigned i = 0; i < cpu_count(); i++)
        CHECK(i == cpu_this()->index || __atomic_load_n(&cpu_get(i)->parked, __ATOMIC_ACQUIRE) == CPU_PARKED);
    uint64_t guarded_before = guarded, moved_before = sum(moved);

    CHECK(__atomic_fetch_add(&parking, 1, __ATOMIC_SEQ_CST) == 0);
    OWN(mapped_pages) struct mapped_pages *mp = page_map(4096, PAGE_WRITE);
    for (volatile unsigned i = 0; i < SLOW_LOOPS; i++)
        ;
    page_protect(mp, PAGE_READ); /* nobody can answer: the others are parked */
    mapped_pages_put(MOVE(mp));
    CHECK(guarded == guarded_before && sum(moved) == moved_before);
    parks[index]++;
    __atomic_fetch_sub(&parking, 1, __ATOMIC_SEQ_CST);
}

static void work(unsigned index)
{
    while (!__atomic_load_n(&go, __ATOMIC_ACQUIRE))
        cpu_relax();
    for (unsigned round = 0; round < ROUNDS; round++) {
        change_mapping(index, round);
        if (round % 7 == index % 7)
            park_others(index);
    }
    __atomic_fetch_sub(&running, 1, __ATOMIC_SEQ_CST);
}

static void processor(unsigned index)
{
    CHECK(cpu_this()->index == index && cpu_get(index) == cpu_this() && cpu_this()->apic_id == apic_id());
    __asm__ volatile("sti");
    work(index);
    while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
        __asm__ volatile("hlt"); /* still answers */
    for (;;)
        __asm__ volatile("hlt");
}

static void test_records(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const struct arena_cpu *record = cpu_get(i)->record;
        if (!CHECK(record != NULL))
            continue;
        CHECK(record->online && record->id == i && record->apic_id == cpu_get(i)->apic_id);
        CHECK(record->ticks > 0 && record->heartbeat_ns > 0 && ticks[i] > 0);
    }
    CHECK(cpu_get(count) == NULL);
}

static void test_clock(void)
{
    uint64_t before_ns = cpu_ns(), before_tick = ticks[0];

    timer_delay_us(100000);
    uint64_t ns = cpu_ns() - before_ns;
    CHECK(ns >= 99000000 && ns < 30000000000); /* the machine may be emulated, and busy */
    CHECK(ticks[0] > before_tick);
}

static int test_processors(int argc, char **argv)
{
    uint32_t ids[CPU_MAX];
    struct cell_ref shootdown;
    struct report report;
    size_t expected = apic_processors(ids, CPU_MAX);

    (void)argc, (void)argv;
    CHECK(loader_load("shootdown", &shootdown, &report) == LOAD_OK);
    CHECK(timer_bind_tick(on_tick) == ERR_OK);
    running = (uint32_t)expected;
    CHECK(smp_start(processor) == ERR_OK && cpu_count() == expected);
    __asm__ volatile("sti");
    test_clock();
    size_t frames = frame_free_count();
    __atomic_store_n(&go, 1, __ATOMIC_RELEASE);
    work(0);
    while (__atomic_load_n(&running, __ATOMIC_ACQUIRE))
        cpu_relax();
    check_number("parks", sum(parks));
    CHECK(sum(moved) == expected * ROUNDS);
    CHECK(frames - frame_free_count() < 16 * expected); /* tables and handles that stay */
    test_records((unsigned)expected);
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    check_end("test_processors");
}
MAIN(test_processors);
