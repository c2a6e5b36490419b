/* See await.h. What cell apic_v1 has too. */
#include "cells/task/ipi/await.h"
#include "cells/core/panic/panic.h"
#include "cells/task/ipi/ipi.h"

EXPORT(ipi_await_more, KERNEL);
EXPORT(answer_guard_end, KERNEL);

#define LOOK_MAX_NS 10000000ull /* counted at most between two looks: more means that this CPU did not run */
#define LATE_NS     100000000ull
#define ASK_NS      50000000ull /* between two NMIs */
#define TELL_NS     2000000000ull

static void print_cpu(const struct cpu *cpu)
{
    const char number[] = {(char)('0' + cpu->index / 10), (char)('0' + cpu->index % 10), 0};

    panic_print("CPU ");
    panic_print(number + (cpu->index < 10));
}

static void tell(const struct cpu *cpu)
{
    print_cpu(cpu_this());
    panic_print(" waits for ");
    print_cpu(cpu);
    panic_print("\n");
}

void ipi_await_more(struct answer_guard *wait)
{
    struct cpu *cpu = cpu_this();
    uint64_t now = cpu_ns(), passed = wait->looked_ns ? now - wait->looked_ns : 0;

    wait->looked_ns = now;
    wait->waited_ns += passed < LOOK_MAX_NS ? passed : LOOK_MAX_NS;
    if (wait->waited_ns < LATE_NS || now - wait->asked_ns < ASK_NS)
        return;
    wait->asked_ns = now;
    if (!cpu->waits_for)
        cpu->waits++;
    __atomic_store_n(&cpu->waits_for, wait->from->index + 1, __ATOMIC_RELEASE);
    if (wait->from == cpu)
        return;
    ipi_send_nmi(wait->from->apic_id);
    if (wait->waited_ns >= TELL_NS && !wait->told)
        tell(wait->from);
    wait->told = wait->waited_ns >= TELL_NS;
}

void answer_guard_end(struct answer_guard *wait)
{
    if (wait->asked_ns)
        __atomic_store_n(&cpu_this()->waits_for, 0, __ATOMIC_RELEASE);
}
