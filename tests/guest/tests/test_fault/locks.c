/* The list of the locks that a CPU holds, damaged. */
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/lock/lock.h"
#include "tests/guest/tests/test_fault/test_fault.h"

static struct lock kept;
static volatile uint64_t zero;

/* With more locks in the list than it has; `entry` is what the next one says. */
static void fail_with_wrong_list(uint64_t entry)
{
    (void)lock_take(&kept); /* no cleanup, as when the fault hits where the compiler expects none */
    struct cpu *cpu = cpu_this();
    cpu->held[cpu->lock_depth] = (struct lock *)entry;
    cpu->lock_depth = CPU_LOCKS;
    *(volatile int *)zero = 1;
}

void test_fault_lock_list(const struct testing *test)
{
    uint64_t faults = test_fault_counter(COUNTER_faults), abandoned = test_fault_counter(COUNTER_locks_abandoned);

    testing_need(test, test_fault_fails(fail_with_wrong_list, 0) && !kept.holder);
    testing_need(test, test_fault_counter(COUNTER_faults) == faults + 1);
    testing_need(test, test_fault_fails(fail_with_wrong_list, 16) && !kept.holder);
    testing_need(test, test_fault_counter(COUNTER_faults) == faults + 3); /* a damaged entry faults once */
    testing_need(test, test_fault_counter(COUNTER_locks_abandoned) == abandoned + 2);
}

/* Without looking again and again whether somebody lets it go. */
void test_fault_lock_own(const struct testing *test)
{
    static struct lock lock;
    GUARD(interrupts) off = interrupts_off();
    uint64_t looks = cpu_this()->lock_looks;

    lock.holder = cpu_this()->index + 1;
    {
        GUARD(lock) held = lock_take(&lock);
        testing_need(test, cpu_this()->lock_looks == looks && lock_held(&lock));
    }
    testing_need(test, !lock.holder);
}
