/* Parks all other CPUs: they wait in a loop of the core (cpu_park), interrupts off, while this CPU changes what they
 * run. */
#pragma once
#include "cells/core/cpu/cpu.h"
#include "cells/core/exception/exception.h"
#include "guest/abi/arena.h"

struct park_guard {
    uint64_t rflags, started_ns;
    bool held; /* false: only the interrupt flag is restored */
};
/* GUARD(park) parked = park_all(): parks every other CPU until the end of the scope, interrupts off. From a task, no
 * spin lock held. Waits while another CPU parks. Before a CPU resumes it flushes its TLB and serializes. */
struct park_guard park_all(void);
/* The same, but does not wait while another CPU parks: then `held` is false. For a tick, too, that has interrupted what
 * had interrupts on. */
struct park_guard park_try(void);
void park_guard_end(struct park_guard *guard);
/* The registers of what the park interrupt has interrupted on another CPU, which is parked and has a record. */
static inline const struct trap_frame *park_frame(const struct cpu *cpu)
{
    return (const struct trap_frame *)(cpu->record->current_rsp & ~15ul) - 1;
}
/* Lets the other CPUs go on if this one has parked them: for a task whose stack could not be unwound to its end. */
void park_abandon(void);
