/* See shootdown.h. One request at a time; each CPU answers with the number of the request whose range it has flushed. */
#include "cells/kernel/shootdown/shootdown.h"
#include "cells/kernel/apic/apic.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/exception/exception.h"
#include "cells/kernel/loader/loader.h"
#include "cells/kernel/lock/lock.h"
#include "cells/kernel/page/page.h"

CELL("shootdown", KERNEL, 1);
EXPORT(shootdown_pages, KERNEL);
EXPORT(shootdown_answer, KERNEL);

static unsigned vector;
static uint32_t holder; /* CPU index plus one: whose turn it is */
static struct {
    uint64_t number, virt;
    size_t bytes;
} request;
static uint64_t answered[CPU_MAX];

void shootdown_answer(void)
{
    uint64_t *mine = &answered[cpu_this()->index];
    uint64_t number = __atomic_load_n(&request.number, __ATOMIC_ACQUIRE);

    if (*mine == number)
        return;
    page_flush(request.virt, request.bytes);
    __atomic_store_n(mine, number, __ATOMIC_RELEASE);
}

static void on_interrupt(struct trap_frame *frame)
{
    (void)frame;
    apic_eoi();
    shootdown_answer();
}

static bool must_answer(unsigned index, uint64_t number)
{
    const struct cpu *cpu = cpu_get(index);

    return cpu != cpu_this() && __atomic_load_n(&answered[index], __ATOMIC_ACQUIRE) != number &&
           !__atomic_load_n(&cpu->parked, __ATOMIC_SEQ_CST);
}

/* Who stands still when the request is made is asked for nothing: it could go on before it is looked at again. */
static void ask(unsigned count, uint64_t number)
{
    bool asked[CPU_MAX] = {false};

    for (unsigned i = 0; i < count; i++) {
        asked[i] = must_answer(i, number);
        if (asked[i])
            apic_send_ipi(cpu_get(i)->apic_id, vector);
    }
    for (unsigned i = 0; i < count; i++)
        while (asked[i] && must_answer(i, number))
            cpu_relax();
}

struct turn_guard {
    bool held;
};

/* False: it is another CPU's turn. Who has it keeps interrupts off; so this CPU has it only when a fault has ended its
 * scope without the scope's cleanup. */
static bool try_turn(void)
{
    uint32_t self = cpu_this()->index + 1, now = 0;

    return __atomic_compare_exchange_n(&holder, &now, self, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED) || now == self;
}

static struct turn_guard take_turn(void)
{
    while (!try_turn()) {
        shootdown_answer();
        cpu_relax();
    }
    return (struct turn_guard){.held = true};
}

static void turn_guard_end(struct turn_guard *turn)
{
    if (turn->held)
        __atomic_store_n(&holder, 0, __ATOMIC_RELEASE);
    turn->held = false;
}

void shootdown_pages(uint64_t virt, size_t bytes)
{
    GUARD(interrupts) off = interrupts_off();
    GUARD(turn) turn = take_turn();
    uint64_t number = request.number + 1;
    request.virt = virt;
    request.bytes = bytes;
    __atomic_store_n(&request.number, number, __ATOMIC_SEQ_CST);
    answered[cpu_this()->index] = number;
    ask(cpu_count(), number); /* counted once: who comes later has nothing to forget */
}

static enum err shootdown_init(void)
{
    vector = exception_vector_new();
    if (!vector)
        return ERR_FULL;
    enum err e = exception_bind(vector, on_interrupt);
    if (e == ERR_OK)
        e = loader_bind(&page_shootdown, shootdown_pages);
    if (e == ERR_OK)
        e = loader_bind(&lock_wait_hook, shootdown_answer);
    return e;
}
INIT(shootdown_init);
