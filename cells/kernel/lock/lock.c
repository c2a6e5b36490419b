/* See lock.h. Whoever comes first when it is free takes it: under a hypervisor that has taken the next in line off its
 * processor, a fair lock would stand still, and with it every CPU behind. Does not look for cycles between locks. */
#include "cells/kernel/lock/lock.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/panic/panic.h"

CELL("lock", KERNEL, 1);
EXPORT(lock_take, APPLICATION);
EXPORT(lock_guard_end, APPLICATION);
EXPORT(lock_held, APPLICATION);
EXPORT(lock_abandon, KERNEL);
EXPORT(lock_wait_hook, KERNEL);

#define LOCK_TURNS   1024          /* between looks at the clock */
#define LOCK_LOST_NS 3000000000ull /* longer than a holder is kept off its processor */
#define LOCK_FREE_NS 20000000ull   /* that nobody has it, by their own lists, before its word counts as damaged */
#define LOCK_LOOK_NS 10000000ull   /* that count at most between two looks: more, and the whole machine stood still */
#define LOCK_LOST    UINT32_MAX    /* holder of a lock that was given up */

void (*lock_wait_hook)(void);

static bool try_take(struct lock *lock, uint32_t holder)
{
    uint32_t nobody = 0;

    return !__atomic_load_n(&lock->holder, __ATOMIC_RELAXED) &&
           __atomic_compare_exchange_n(&lock->holder, &nobody, holder, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* Whether the CPU has it by its own list, which follows the lock's word at once; one that holds more than it lists may. */
static bool lists(const struct cpu *cpu, const struct lock *lock)
{
    uint32_t depth = __atomic_load_n(&cpu->lock_depth, __ATOMIC_RELAXED);

    if (depth > CPU_LOCKS)
        return true;
    while (depth > 0)
        if (__atomic_load_n(&cpu->held[--depth], __ATOMIC_RELAXED) == lock)
            return true;
    return false;
}

static bool is_listed(const struct lock *lock)
{
    const struct cpu *cpu;

    for (unsigned i = 0; (cpu = cpu_get(i)); i++)
        if (lists(cpu, lock))
            return true;
    return false;
}

/* A holder that never lets go is lost, and so is what the lock guards: whoever comes for it unwinds rather than stands
 * still. */
static bool is_lost(struct lock *lock, uint64_t waited_ns)
{
    if (waited_ns > LOCK_LOST_NS)
        __atomic_store_n(&lock->holder, LOCK_LOST, __ATOMIC_RELAXED);
    return __atomic_load_n(&lock->holder, __ATOMIC_RELAXED) == LOCK_LOST;
}

/* Apart from lock_take, whose common case is short. */
static __attribute__((noinline)) void wait_for(struct lock *lock, uint32_t holder, uint64_t rflags)
{
    uint64_t looked_ns = 0, waited_ns = 0, free_ns = 0;
    uint32_t seen = 0;

    if (lock_held(lock) && lists(cpu_this(), lock)) {
        cpu_interrupts_restore(rflags);
        panic("lock taken twice by one CPU");
    }
    for (uint32_t turns = 1; !try_take(lock, holder); turns++) {
        if (lock_wait_hook)
            lock_wait_hook();
        cpu_relax();
        if (turns % LOCK_TURNS)
            continue;
        uint64_t now = cpu_ns(), passed = looked_ns ? now - looked_ns : 0;
        passed = passed < LOCK_LOOK_NS ? passed : LOCK_LOOK_NS;
        looked_ns = now;
        waited_ns += passed;
        uint32_t word = __atomic_load_n(&lock->holder, __ATOMIC_RELAXED);
        bool listed = is_listed(lock);
        free_ns = listed || word != seen ? 0 : free_ns + passed;
        seen = word;
        /* written by a stray store, or hit, while nobody had the lock */
        if (free_ns > LOCK_FREE_NS &&
            __atomic_compare_exchange_n(&lock->holder, &word, holder, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return;
        if (listed && is_lost(lock, waited_ns)) {
            cpu_interrupts_restore(rflags);
            panic("a lock that its holder does not let go");
        }
    }
}

struct lock_guard lock_take(struct lock *lock)
{
    struct lock_guard guard = {lock, cpu_interrupts_save()};
    struct cpu *cpu = cpu_this();

    if (!try_take(lock, cpu->index + 1))
        wait_for(lock, cpu->index + 1, guard.rflags);
    if (cpu->lock_depth < CPU_LOCKS)
        cpu->held[cpu->lock_depth] = lock;
    cpu->lock_depth++;
    return guard;
}

/* Guards mostly end innermost first, but need not. False: this CPU holds no such lock. */
static __attribute__((noinline)) bool forget(struct cpu *cpu, const struct lock *lock)
{
    uint32_t at = cpu->lock_depth > CPU_LOCKS ? CPU_LOCKS : cpu->lock_depth;

    while (at && cpu->held[at - 1] != lock)
        at--;
    if (!at && cpu->lock_depth <= CPU_LOCKS)
        return false;
    for (; at && at < CPU_LOCKS && at < cpu->lock_depth; at++)
        cpu->held[at - 1] = cpu->held[at];
    cpu->lock_depth--;
    if (cpu->lock_depth < CPU_LOCKS)
        cpu->held[cpu->lock_depth] = NULL;
    return true;
}

unsigned lock_abandon(void)
{
    struct cpu *cpu = cpu_this();
    unsigned locks = 0;

    for (uint32_t i = cpu->lock_depth > CPU_LOCKS ? CPU_LOCKS : cpu->lock_depth; i; i--)
        if (cpu->held[i - 1]->holder == cpu->index + 1) {
            __atomic_store_n(&cpu->held[i - 1]->holder, 0, __ATOMIC_RELEASE);
            locks++;
        }
    cpu->lock_depth = 0;
    return locks;
}

void lock_guard_end(struct lock_guard *guard)
{
    struct lock *lock = guard->lock;
    struct cpu *cpu = cpu_this();
    uint32_t last = cpu->lock_depth - 1;

    if (!lock)
        return;
    if (last < CPU_LOCKS && cpu->held[last] == lock) {
        cpu->lock_depth = last;
        cpu->held[last] = NULL;    /* it would keep the lock's cell alive after a swap */
    } else if (!forget(cpu, lock)) /* a guard that was overwritten: nothing has been let go */
        panic("a lock let go by a CPU that does not hold it");
    guard->lock = NULL;
    __atomic_store_n(&lock->holder, 0, __ATOMIC_RELEASE);
    cpu_interrupts_restore(guard->rflags);
}

bool lock_held(const struct lock *lock)
{
    /* between reading whose CPU this is and who holds the lock, a task must not move to the holder's CPU */
    uint64_t rflags = cpu_interrupts_save();
    bool held = __atomic_load_n(&lock->holder, __ATOMIC_RELAXED) == cpu_this()->index + 1;
    cpu_interrupts_restore(rflags);
    return held;
}
