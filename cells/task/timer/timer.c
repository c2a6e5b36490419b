/* See timer.h. Init measures both clocks, the TSC and the local APIC's timer, against channel 0 of the PIT, whose
 * interrupt is masked; where that does not count, cell `calibration` knows others. After that nothing here changes. */
#include "cells/task/timer/timer.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/edge/edge.h"
#include "cells/core/exception/exception.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include "cells/core/vector/vector.h"
#include "cells/task/apic/apic.h"
#include "cells/task/calibration/calibration.h"
#include "cells/task/pit/pit.h"

CELL("timer", KERNEL, 1);
FOUNDATION();
EXPORT(timer_bind_tick, KERNEL);
EXPORT(timer_bind_look, KERNEL);
EXPORT(timer_start_cpu, KERNEL);
EXPORT(timer_delay_us, DRIVER);

#define SAMPLE_HZ 100 /* a sample takes 1/100 s */
#define SAMPLES   3
#define POLLS_MAX 10000000
#define LOOKS     6

static unsigned vector;
static uint32_t ticks_per_period;
static uint64_t tsc_hz;
SET_ONCE(vector);
SET_ONCE(ticks_per_period);
SET_ONCE(tsc_hz);
static void (*tick_handler)(void);
static void (*look_handlers[LOOKS])(struct trap_frame *frame);

enum err timer_bind_tick(void (*tick)(void))
{
    return edge_bind(&tick_handler, tick);
}

enum err timer_bind_look(void (*look)(struct trap_frame *frame))
{
    for (size_t i = 0; i < LOOKS; i++)
        if (!look_handlers[i] || look_handlers[i] == look)
            return edge_bind(&look_handlers[i], look);
    return ERR_FULL;
}

static void on_tick(struct trap_frame *frame)
{
    struct arena_cpu *record = cpu_this()->record;

    apic_eoi();
    arena_count(COUNTER_ticks, 1);
    if (record) {
        record->ticks++;
        record->heartbeat_ns = cpu_ns();
    }
    for (size_t i = 0; i < LOOKS && look_handlers[i]; i++)
        look_handlers[i](frame);
    if (tick_handler)
        tick_handler();
}

void timer_start_cpu(void)
{
    apic_timer_set(APIC_TIMER_PERIODIC, vector, ticks_per_period);
}

void timer_delay_us(unsigned us)
{
    uint64_t end = cpu_tsc() + (tsc_hz / 1000000 + 1) * us; /* never too short */

    while ((int64_t)(cpu_tsc() - end) < 0)
        cpu_relax();
}

/* Counts both clocks for 1/SAMPLE_HZ seconds. ERR_TIMEOUT: the PIT does not count, or is not there: then all bits
 * of its status are set. */
static enum err sample(uint64_t *ret_tsc, uint32_t *ret_ticks)
{
    uint64_t rflags = cpu_interrupts_save();
    uint8_t status;
    int polls = 0;

    pit_set(PIT_HZ / SAMPLE_HZ);
    /* Both clocks start before the PIT does, so that a delay in between can only lengthen the sample. */
    apic_timer_set(APIC_TIMER_ONCE, vector, UINT32_MAX);
    uint64_t start = cpu_tsc();
    pit_start(PIT_HZ / SAMPLE_HZ);
    do {
        status = pit_status();
    } while (!(status & PIT_OUTPUT) && ++polls < POLLS_MAX);
    *ret_tsc = cpu_tsc() - start;
    *ret_ticks = UINT32_MAX - apic_timer_left();
    apic_timer_set(APIC_TIMER_ONCE, vector, 0);
    cpu_interrupts_restore(rflags);
    return polls < POLLS_MAX && pit_exists(status) ? ERR_OK : ERR_TIMEOUT;
}

/* The same by another clock, in a cell that is loaded only for this. */
static enum err measure_otherwise(uint64_t *ret_tsc, uint32_t *ret_ticks)
{
    __typeof__(calibration_measure) *measure;
    uint64_t address;
    struct cell_ref cell;

    if (loader_load("calibration", &cell, NULL) != LOAD_OK ||
        lifecycle_symbol("calibration_measure", &address) != ERR_OK)
        return ERR_UNSUPPORTED;
    measure = (__typeof__(measure))address;
    return measure(vector, SAMPLE_HZ, ret_tsc, ret_ticks);
}

static enum err timer_init(void)
{
    uint64_t best_tsc = UINT64_MAX;
    uint32_t best_ticks = UINT32_MAX;

    vector = vector_new();
    if (!vector)
        return ERR_FULL;
    enum err e = vector_bind(vector, on_tick);
    /* The shortest sample was disturbed least. */
    for (int i = 0; i < SAMPLES && e == ERR_OK; i++) {
        uint64_t tsc;
        uint32_t ticks;
        e = sample(&tsc, &ticks);
        if (e == ERR_OK && tsc < best_tsc)
            best_tsc = tsc;
        if (e == ERR_OK && ticks < best_ticks)
            best_ticks = ticks;
    }
    if (e == ERR_TIMEOUT)
        e = measure_otherwise(&best_tsc, &best_ticks);
    if (e != ERR_OK)
        return e;
    tsc_hz = best_tsc * SAMPLE_HZ;
    ticks_per_period = (uint32_t)((uint64_t)best_ticks * SAMPLE_HZ / TIMER_HZ);
    if (tsc_hz < 1000000 || !ticks_per_period)
        return ERR_INIT_FAILED;
    cpu_set_tsc_hz(tsc_hz);
    arena_header()->tsc_hz = tsc_hz;
    timer_start_cpu();
    return ERR_OK;
}
INIT(timer_init);
