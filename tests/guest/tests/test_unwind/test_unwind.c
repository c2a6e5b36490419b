/* A fault of any kind releases what its task holds, in the faulting frame and in its callers': a lock, a heap block, an
 * end of a channel. With pace=1 on the command line, for a machine whose clock counts instructions: what a frame
 * costs. */
#include "cells/channel/channel/channel.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/exception/exception.h"
#include "cells/core/lock/lock.h"
#include "cells/core/panic/panic.h"
#include "cells/lib/string/string.h"
#include "cells/memory/heap/heap.h"
#include "cells/recover/fault/fault.h"
#include "cells/task/task/task.h"
#include "tests/guest/fixtures/testing/testing.h"
#include "tests/guest/tests/test_unwind/pace.h"

CELL("test_unwind", KERNEL, 1);

#define PANIC      UINT32_MAX /* in place of a vector */
#define SOME_BYTES 3000
#define MANY_BYTES 6000
#define DEEP       100 /* frames that a stack holds, at least */

static struct lock outer_lock, inner_lock;
static uint64_t frames, cleanups;   /* of hungry_deep */
static struct channel_end *ends[2]; /* what the faulting task holds, until it takes them */
static volatile uint64_t zero;
static void (*volatile again)(uint64_t depth); /* the compiler sees no recursion without an end */

/* ---- kinds of failure; none returns ---- */

static void read_null(void)
{
    (void)*(volatile int *)zero;
}

static void write_null(void)
{
    *(volatile int *)(zero + 8) = 1;
}

static void read_wild(void)
{
    (void)*(volatile int *)(zero + 0x1234567890abcdef);
}

static void jump_to_junk(void)
{
    ((void (*)(void))(zero + 0x123456))();
}

static void trap(void)
{
    if (!zero)
        __builtin_trap();
}

/* As a byte of damaged text. */
static void break_off(void)
{
    if (!zero)
        __asm__ volatile("int3");
}

static void divide(void)
{
    zero = 1 / zero;
}

static void write_text(void)
{
    *(volatile uint8_t *)((uint64_t)trap + zero) = 0xcc;
}

static void leave_array(void)
{
    volatile int array[4] = {0};

    array[zero + 4] = 1;
    zero = (uint64_t)array[0];
}

static void copy_from_null(void)
{
    char to[64];

    memcpy(to, (const void *)zero, sizeof to);
    __asm__ volatile("" ::"r"(to) : "memory");
}

static void panic_deep(uint64_t depth)
{
    if (depth == zero)
        panic("deep within");
    again(depth - 1);
    zero = 0;
}

static void panic_nested(void)
{
    again = panic_deep;
    again(20);
}

static void overflow_deep(uint64_t depth)
{
    volatile uint8_t room[256];
    OWN(heap) void *block = depth % 8 ? NULL : heap_alloc(16);

    room[depth % sizeof room] = 1;
    again(depth + 1);
    room[0] = 1;
}

static void overflow_stack(void)
{
    again = overflow_deep;
    again(0);
}

/* A cleanup function that takes far more of the stack than the frames that it cleans up after. */
static void clean_up(const uint64_t *bytes)
{
    volatile uint8_t *room = __builtin_alloca(*bytes);

    for (size_t i = 0; i < *bytes; i += 64)
        room[i] = 1;
    cleanups++;
}

static void hungry_deep(uint64_t bytes)
{
    uint64_t need __attribute__((cleanup(clean_up))) = bytes;

    frames++;
    again(bytes);
    frames -= !need;
}

static void overflow_hungry(void)
{
    again = hungry_deep;
    frames = cleanups = 0;
    again(SOME_BYTES);
}

static void overflow_greedy(void)
{
    again = hungry_deep;
    frames = cleanups = 0;
    again(MANY_BYTES);
}

/* As if an instruction of a function's end had been left out: rbx and rbp get other words, and it returns to its own
 * stack. */
static __attribute__((noinline)) void return_astray(void)
{
    __asm__ volatile("leaq 8(%%rbp), %%rsp\n\tmovq %0, %%rbx\n\tmovq %0, %%rbp\n\tjmp *%%rsp" ::"r"(&zero)
                     : "rbx", "r12", "r13", "r14", "r15", "memory");
}

/* Its caller's frame pointer is found again. */
static void misalign_frame(void)
{
    *(volatile uint64_t *)__builtin_frame_address(0) += 4;
    *(volatile int *)zero = 1;
}

/* Its stack pointer is: it has no frame pointer. */
static __attribute__((noinline)) void pop_return(void)
{
    __asm__ volatile("leaq 8(%%rsp), %%rsp\n\tmovl %%eax, 0" ::: "memory");
}

static void pop_astray(void)
{
    pop_return();
    zero = 0;
}

/* Its return address is. */
static void return_half(void)
{
    ((volatile uint64_t *)__builtin_frame_address(0))[1] ^= 0xa6ull << 56;
}

static const struct way {
    const char *name;
    void (*fail)(void);
    uint32_t vector;
} ways[] = {
    {"read of address 0", read_null, EXCEPTION_PF},
    {"write near address 0", write_null, EXCEPTION_PF},
    {"address that is none", read_wild, EXCEPTION_GP},
    {"jump to junk", jump_to_junk, EXCEPTION_PF},
    {"ud2", trap, EXCEPTION_UD},
    {"int3", break_off, EXCEPTION_BREAKPOINT},
    {"division by 0", divide, 0},
    {"write to text", write_text, EXCEPTION_PF},
    {"index out of an array", leave_array, EXCEPTION_UD},
    {"return address that was popped", pop_astray, EXCEPTION_PF},
    {"frame pointer to no word", misalign_frame, EXCEPTION_PF},
    {"return address whose upper half is wrong", return_half, EXCEPTION_GP},
    {"in the nano_core, called with a bad pointer", copy_from_null, EXCEPTION_PF},
    {"panic in nested calls", panic_nested, PANIC},
    {"stack overflow", overflow_stack, EXCEPTION_PF},
    {"stack overflow, where cleaning up takes 3,000 bytes", overflow_hungry, EXCEPTION_PF},
};

/* ---- holding something meanwhile ---- */

/* The faulting instruction is in this very frame. */
static void fail_here(uint64_t argument)
{
    OWN(channel_end) struct channel_end *end = MOVE(ends[0]);
    OWN(heap) uint64_t *block = heap_alloc(100);
    GUARD(lock) held = lock_take(&inner_lock);

    block[1] = argument;
    *(volatile uint64_t *)zero = block[1];
    block[2] = 1;
}

/* At an instruction that the compiler takes for one that cannot fault, so that no call site has it. */
static void fail_unforeseen(uint64_t argument)
{
    OWN(heap) uint64_t *block = heap_alloc(100);
    OWN(channel_end) struct channel_end *end = MOVE(ends[0]);
    GUARD(lock) held = lock_take(&inner_lock);
    uint64_t word;

    __asm__("ud2" : "=r"(word) : "r"(argument));
    block[1] = word;
}

static __attribute__((noinline)) void fail_inside(const struct way *way)
{
    OWN(heap) uint64_t *block = heap_alloc(200);
    OWN(channel_end) struct channel_end *end = MOVE(ends[0]);
    GUARD(lock) held = lock_take(&inner_lock);

    block[0] = 1;
    way->fail();
    block[1] = 1;
}

static void fail_outside(uint64_t way)
{
    OWN(heap) uint64_t *block = heap_alloc(300);
    GUARD(lock) held = lock_take(&outer_lock);

    block[0] = way;
    fail_inside(&ways[way]);
    block[1] = 1;
}

/* Its caller's registers are found again. */
static void fail_astray(uint64_t argument)
{
    OWN(heap) uint64_t *block = heap_alloc(100);
    OWN(channel_end) struct channel_end *end = MOVE(ends[0]);
    GUARD(lock) held = lock_take(&inner_lock);

    block[0] = argument;
    return_astray();
    block[1] = 1;
}

static bool is_free(const struct lock *lock)
{
    return !lock->holder;
}

static const struct arena_fault *newest_fault(void)
{
    return fault_record(arena_header()->fault_seq);
}

static void run(const struct testing *test, const char *name, void (*entry)(uint64_t), uint64_t argument,
                uint32_t vector)
{
    uint64_t blocks = arena_header()->counter[COUNTER_heap_blocks], faults = arena_header()->fault_seq;
    OWN(channel_end) struct channel_end *receiver = NULL;
    int message;

    testing_need(test, channel_new(1, sizeof message, &ends[0], &receiver) == ERR_OK);
    OWN(task) struct task *task = task_spawn("victim", entry, argument, NULL);
    testing_need(test, task);
    testing_need(test, task_join(MOVE(task), NULL) == JOIN_FAILED);
    testing_need(test, is_free(&inner_lock) && is_free(&outer_lock));
    testing_need(test, channel_receive(receiver, &message, 1000000000) == CHANNEL_CLOSED);
    channel_end_put(MOVE(receiver));
    testing_need(test, arena_header()->fault_seq == faults + 1);
    const struct arena_fault *fault = newest_fault();
    testing_need(test, fault && fault->outcome == FAULT_OUTCOME_RECOVERED && fault->landing_pads >= 1);
    testing_need(test, fault->kind == (vector == PANIC ? FAULT_PANIC : FAULT_EXCEPTION));
    testing_need(test, vector == PANIC || fault->vector == vector);
    testing_need(test, arena_header()->counter[COUNTER_heap_blocks] <= blocks);
    testing_ok(test, name);
}

/* A cleanup function overflows the stack itself, where it has more room than others that have run: it is lost, and no
 * other one. */
static void overflow_greedily(const struct testing *test)
{
    OWN(task) struct task *task = task_spawn("victim", (void (*)(uint64_t))overflow_greedy, 0, NULL);

    testing_need(test, task && task_join(MOVE(task), NULL) == JOIN_FAILED);
    testing_need(test, frames > DEEP && cleanups + 1 >= frames && cleanups < frames);
    testing_ok(test, "stack overflow, where cleaning up takes 6,000 bytes");
}

static int test_unwind_main(int argc, char **argv)
{
    struct testing test = testing_begin("test_unwind");

    (void)argc;
    (void)argv;
    if (testing_times("pace", 0)) {
        pace(&test);
        testing_ok(&test, "what a frame costs");
        testing_end(&test);
    }
    run(&test, "in the frame that faults", fail_here, 5, EXCEPTION_PF);
    test = testing_begin("test_unwind");
    uint64_t nearest = arena_header()->counter[COUNTER_nearest_pads];
    run(&test, "where the compiler expects no fault", fail_unforeseen, 5, EXCEPTION_UD);
    testing_need(&test, arena_header()->counter[COUNTER_nearest_pads] > nearest);
    run(&test, "in a function that returns astray", fail_astray, 5, EXCEPTION_PF);
    testing_need(&test, !zero);
    for (size_t i = 0; i < array_size(ways); i++)
        run(&test, ways[i].name, fail_outside, i, ways[i].vector);
    testing_need(&test, string_equal(fault_record(arena_header()->fault_seq - 2)->message, "deep within"));
    testing_need(&test, frames > DEEP && cleanups == frames);
    overflow_greedily(&test);
    testing_end(&test);
}
MAIN(test_unwind_main);
