/* Waiting for another CPU, interrupts off, without waiting for ever: one that is late is sent NMIs, so that what it
 * does becomes a fault if it hangs (cells/task/watchdog), and the serial line says who waits for whom. Cell apic_v1 has
 * this too. */
#pragma once
#include "cells/core/cpu/cpu.h"

/* GUARD(answer) wait = ipi_await(cpu): until the end of the scope the running CPU waits for `cpu`; for itself: for one
 * that it does not know. */
struct answer_guard {
    const struct cpu *from;
    uint64_t looked_ns, waited_ns, asked_ns;
    bool told;
};
static inline struct answer_guard ipi_await(const struct cpu *cpu)
{
    return (struct answer_guard){.from = cpu};
}
/* To be called again and again while it waits. */
void ipi_await_more(struct answer_guard *wait);
void answer_guard_end(struct answer_guard *wait);
