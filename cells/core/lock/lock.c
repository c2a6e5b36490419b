/* See lock.h. Not fair: under a hypervisor that does not run the next waiter, a fair lock would block all CPUs behind
 * it. Does not search for cycles between locks. */
#include "cells/core/lock/lock.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/panic/panic.h"
#include "guest/abi/arena.h"

CELL("lock", KERNEL, 1);
CORE();
EXPORT(lock_take, APPLICATION);
EXPORT(lock_guard_end, APPLICATION);
EXPORT(lock_held, APPLICATION);
EXPORT(lock_abandon, KERNEL);
EXPORT(lock_wait_hook, KERNEL);
EXPORT(lock_unwinding_hook, KERNEL);
EXPORT(lock_corrupt, KERNEL);

#define LOCK_SPINS   1024                       /* between two readings of the clock */
#define LOCK_LOST_NS (CPU_HANG_MS * 1500000ull) /* a holder does not release it: one that hangs has failed by then */
#define LOCK_FREE_NS 20000000ull /* after so long without it in any CPU's list its word may count as corrupt */
#define LOCK_LOOK_NS 10000000ull /* counted at most between two readings: more means that the machine was paused */
#define LOCK_LOST    UINT32_MAX  /* holder of a lock that is never released */

void (*lock_wait_hook)(void);
bool (*lock_unwinding_hook)(void);
uint32_t lock_corrupt;

static bool forget(struct cpu *cpu, const struct lock *lock);

static bool try_take(struct lock *lock, uint32_t holder)
{
    uint32_t nobody = 0;

    return !__atomic_load_n(&lock->holder, __ATOMIC_RELAXED) &&
           __atomic_compare_exchange_n(&lock->holder, &nobody, holder, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* Whether the lock is in the CPU's list, which changes right after the lock's word when it is taken, and right before
 * when it is released. True if the list is full: then not all locks are in it. */
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

/* By another CPU: one that waits for what is in its own list waits for nobody. */
static bool is_listed(const struct lock *lock)
{
    const struct cpu *cpu;

    for (unsigned i = 0; (cpu = cpu_get(i)); i++)
        if (cpu != cpu_this() && lists(cpu, lock))
            return true;
    return false;
}

/* Changes while the CPU that the lock's word names is not between that word and its list: there it has interrupts off,
 * and waits for nothing. A hypervisor may stop it there for long. */
static uint64_t progress_of(uint32_t word)
{
    const struct cpu *cpu = cpu_get(word - 1);

    if (!cpu || cpu == cpu_this() || __atomic_load_n(&cpu->parked, __ATOMIC_RELAXED) != CPU_RUNS)
        return cpu_tsc();
    return __atomic_load_n(&cpu->lock_looks, __ATOMIC_RELAXED) + (cpu->record ? cpu->record->ticks : 0);
}

/* What a waiter has seen of a lock, and for how long. */
struct look {
    uint32_t word;
    bool listed;
    uint64_t progress, ns;
};

static void look_again(struct look *look, const struct lock *lock, uint64_t passed)
{
    uint32_t word = __atomic_load_n(&lock->holder, __ATOMIC_RELAXED);
    bool listed = is_listed(lock);

    if (word != look->word || listed != look->listed)
        *look = (struct look){word, listed, progress_of(word), 0};
    look->ns += passed;
}

/* Whether nobody holds the lock: its word was corrupted. */
static bool is_corrupt(const struct look *look)
{
    return !look->listed && look->ns > LOCK_FREE_NS &&
           (progress_of(look->word) != look->progress || look->ns > LOCK_LOST_NS);
}

/* Whether the holder will never release the lock. Then every task that waits for it panics. */
static bool is_lost(const struct look *look, struct lock *lock)
{
    if (look->listed && look->ns > LOCK_LOST_NS)
        __atomic_store_n(&lock->holder, LOCK_LOST, __ATOMIC_RELAXED);
    return look->listed && __atomic_load_n(&lock->holder, __ATOMIC_RELAXED) == LOCK_LOST;
}

/* A function of its own, since the common case of lock_take is short. */
static __attribute__((noinline)) void wait_for(struct lock *lock, uint32_t holder, uint64_t rflags)
{
    struct cpu *cpu = cpu_this();
    struct look look = {0};
    uint64_t looked_ns = 0;
    bool held = lock_held(lock), listed = held && lists(cpu, lock);

    if (held && !listed) /* a fault has come between: nobody else has it while its word says so */
        return;
    if (listed) {
        if (lock_unwinding_hook && lock_unwinding_hook()) {
            (void)forget(cpu, lock); /* the caller puts it in the list */
            return;
        }
        cpu_interrupts_restore(rflags);
        panic("lock taken twice by one CPU");
    }
    for (uint32_t spins = 1; !try_take(lock, holder); spins++) {
        if (lock_wait_hook)
            lock_wait_hook();
        cpu_relax();
        if (spins % LOCK_SPINS)
            continue;
        uint64_t now = cpu_ns(), passed = looked_ns ? now - looked_ns : 0;
        looked_ns = now;
        cpu->lock_looks++;
        look_again(&look, lock, passed < LOCK_LOOK_NS ? passed : LOCK_LOOK_NS);
        if (is_corrupt(&look) &&
            __atomic_compare_exchange_n(&lock->holder, &look.word, holder, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
            __atomic_fetch_add(&lock_corrupt, 1, __ATOMIC_RELAXED);
            return;
        }
        if (is_lost(&look, lock)) {
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

/* Removes the lock from the CPU's list, also from the middle. False: this CPU does not hold it. */
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

/* Each entry leaves the list before the lock is looked at: a damaged one faults once, and the next call goes on. */
unsigned lock_abandon(void)
{
    struct cpu *cpu = cpu_this();
    unsigned locks = 0;

    if (cpu->lock_depth > CPU_LOCKS)
        cpu->lock_depth = CPU_LOCKS;
    while (cpu->lock_depth) {
        struct lock *lock = cpu->held[--cpu->lock_depth];
        cpu->held[cpu->lock_depth] = NULL;
        if (lock && lock->holder == cpu->index + 1) {
            __atomic_store_n(&lock->holder, 0, __ATOMIC_RELEASE);
            locks++;
        }
    }
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
        cpu->held[last] = NULL;    /* a reference would keep the lock's cell from being freed */
    } else if (!forget(cpu, lock)) /* the guard was overwritten: nothing is released */
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
