/* See timer.h. Both clocks are measured against channel 0 of the PIT, whose interrupt is masked. */
#include "cells/kernel/timer/timer.h"
#include "cells/kernel/apic/apic.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/exception/exception.h"
#include "cells/kernel/loader/loader.h"

CELL("timer", KERNEL, 1);
EXPORT(timer_bind_tick, KERNEL);
EXPORT(timer_start_cpu, KERNEL);
EXPORT(timer_delay_us, DRIVER);

#define PIT_HZ      1193182
#define PIT_CHANNEL 0x40
#define PIT_COMMAND 0x43
#define PIT_ONCE    0x30 /* channel 0, both bytes, mode 0: output goes high at the end */
#define PIT_STATUS  0xe2 /* read back the status of channel 0 */
#define PIT_OUTPUT  0x80
#define SAMPLE_HZ   100 /* a sample takes 1/100 s */
#define SAMPLES     3
#define POLLS_MAX   10000000

static unsigned vector;
static uint32_t ticks_per_period;
static uint64_t tsc_hz;
static void (*tick_handler)(void);

enum err timer_bind_tick(void (*tick)(void))
{
    return loader_bind(&tick_handler, tick);
}

static void on_tick(struct trap_frame *frame)
{
    struct arena_cpu *record = cpu_this()->record;

    (void)frame;
    apic_eoi();
    arena_count(COUNTER_ticks, 1);
    if (record) {
        record->ticks++;
        record->heartbeat_ns = cpu_ns();
    }
    if (tick_handler)
        tick_handler();
}

void timer_start_cpu(void)
{
    apic_timer_set(APIC_TIMER_PERIODIC, vector, ticks_per_period);
}

void timer_delay_us(unsigned us)
{
    uint64_t end = cpu_tsc() + tsc_hz / 1000000 * us;

    while ((int64_t)(cpu_tsc() - end) < 0)
        cpu_relax();
}

/* How far both clocks come in 1/SAMPLE_HZ seconds. */
static enum err sample(uint64_t *ret_tsc, uint32_t *ret_ticks)
{
    uint64_t rflags = cpu_interrupts_save();
    int polls = 0;

    cpu_out8(PIT_COMMAND, PIT_ONCE);
    cpu_out8(PIT_CHANNEL, PIT_HZ / SAMPLE_HZ & 0xff);
    /* Both clocks start before the PIT does: a pause of this processor in between can only lengthen the sample. */
    apic_timer_set(APIC_TIMER_ONCE, vector, UINT32_MAX);
    uint64_t start = cpu_tsc();
    cpu_out8(PIT_CHANNEL, PIT_HZ / SAMPLE_HZ >> 8);
    do
        cpu_out8(PIT_COMMAND, PIT_STATUS);
    while (!(cpu_in8(PIT_CHANNEL) & PIT_OUTPUT) && ++polls < POLLS_MAX);
    *ret_tsc = cpu_tsc() - start;
    *ret_ticks = UINT32_MAX - apic_timer_left();
    apic_timer_set(APIC_TIMER_ONCE, vector, 0);
    cpu_interrupts_restore(rflags);
    return polls < POLLS_MAX ? ERR_OK : ERR_TIMEOUT;
}

static enum err timer_init(void)
{
    uint64_t best_tsc = UINT64_MAX;
    uint32_t best_ticks = UINT32_MAX;

    vector = exception_vector_new();
    if (!vector)
        return ERR_FULL;
    enum err e = exception_bind(vector, on_tick);
    /* The shortest sample is the one that was disturbed least. */
    for (int i = 0; i < SAMPLES && e == ERR_OK; i++) {
        uint64_t tsc;
        uint32_t ticks;
        e = sample(&tsc, &ticks);
        if (e == ERR_OK && tsc < best_tsc)
            best_tsc = tsc;
        if (e == ERR_OK && ticks < best_ticks)
            best_ticks = ticks;
    }
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
