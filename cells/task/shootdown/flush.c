/* See shootdown.h; cell apic_v1 has this too. One request at a time, that of the CPU in `holder`. Each CPU answers with
 * the number of the request whose range it has flushed. */
#include "cells/task/shootdown/shootdown.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/edge/edge.h"
#include "cells/core/exception/exception.h"
#include "cells/core/lock/lock.h"
#include "cells/core/page/page.h"
#include "cells/core/vector/vector.h"
#include "cells/task/apic/apic.h"
#include "cells/task/ipi/await.h"
#include "cells/task/ipi/ipi.h"
#include "cells/task/shootdown/flush.h"

EXPORT(shootdown_pages, KERNEL);
EXPORT(shootdown_answer, KERNEL);

static unsigned vector;
SET_ONCE(vector);
static uint32_t holder; /* of the request: CPU index + 1; 0: nobody */
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

static void on_shootdown(struct trap_frame *frame)
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

static void await_answer(unsigned index, uint64_t number)
{
    GUARD(answer) wait = ipi_await(cpu_get(index));

    while (must_answer(index, number)) {
        ipi_await_more(&wait);
        cpu_relax();
    }
}

/* Asks the other CPUs, and waits for their answers. A CPU that is parked now is not waited for: it may resume
 * meanwhile, and then has flushed already. */
static void request_flush(unsigned count, uint64_t number)
{
    bool asked[CPU_MAX] = {false};

    for (unsigned i = 0; i < count; i++) {
        asked[i] = must_answer(i, number);
        if (asked[i])
            ipi_send(cpu_get(i)->apic_id, vector);
    }
    for (unsigned i = 0; i < count; i++)
        if (asked[i])
            await_answer(i, number);
}

struct request_guard {
    bool held;
};

/* False: another CPU holds the request. A holder keeps interrupts off. So if this CPU holds it already, a fault has
 * ended that scope without its cleanup. */
static bool try_request(void)
{
    uint32_t self = cpu_this()->index + 1, now = 0;

    return __atomic_compare_exchange_n(&holder, &now, self, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED) || now == self;
}

static struct request_guard take_request(void)
{
    GUARD(answer) wait = ipi_await(cpu_this());

    while (!try_request()) {
        shootdown_answer();
        ipi_await_more(&wait);
        cpu_relax();
    }
    return (struct request_guard){.held = true};
}

static void request_guard_end(struct request_guard *guard)
{
    if (guard->held)
        __atomic_store_n(&holder, 0, __ATOMIC_RELEASE);
    guard->held = false;
}

void shootdown_pages(uint64_t virt, size_t bytes)
{
    GUARD(interrupts) off = interrupts_off();
    GUARD(request) mine = take_request();
    uint64_t number = request.number + 1;
    request.virt = virt;
    request.bytes = bytes;
    __atomic_store_n(&request.number, number, __ATOMIC_SEQ_CST);
    answered[cpu_this()->index] = number;
    request_flush(cpu_count(), number); /* a CPU that starts later has nothing to flush */
}

enum err flush_init(void)
{
    vector = vector_new();
    if (!vector)
        return ERR_FULL;
    enum err e = vector_bind(vector, on_shootdown);
    if (e == ERR_OK)
        e = edge_bind(&page_shootdown, shootdown_pages);
    if (e == ERR_OK)
        e = edge_bind(&lock_wait_hook, shootdown_answer);
    return e;
}
