/* See fence.h. glibc registers the area for restartable sequences of each thread; where it has not, because the kernel
 * or a tool like valgrind has none, others wait for a writer who is stopped. */
#include "introspect/base/fence.h"
#include <string.h>
#include <sys/rseq.h>

enum sequence { SEQUENCE_DONE, SEQUENCE_LOST, SEQUENCE_AGAIN };

/* Where the kernel reads which sequence this thread is in. NULL: there are none. */
static uint64_t *sequence_word(void)
{
    uint8_t *thread;

    if (!__rseq_size)
        return NULL;
    __asm__("movq %%fs:0, %0" : "=r"(thread));
    return (uint64_t *)(thread + __rseq_offset + offsetof(struct rseq, rseq_cs));
}

/* A sequence from 1: to 2:, which is told to the kernel in `word`; when the thread has lost its CPU within, it goes on
 * at `again`. */
#define SEQUENCE(body)                                                                                                 \
    ".pushsection __rseq_cs, \"aw\"\n .balign 32\n 3: .long 0, 0\n .quad 1f, 2f - 1f, 4f\n .popsection\n"              \
    "leaq 3b(%%rip), %%rax\n movq %%rax, %[word]\n"                                                                    \
    "1: cmpq %[me], %[holder]\n jne %l[lost]\n" body "2:\n"                                                            \
    ".pushsection __rseq_failure, \"ax\"\n .byte 0x0f, 0xb9, 0x3d\n .long 0x53053053\n"                                \
    "4: jmp %l[again]\n .popsection\n"

static enum sequence try_copy(const struct fence *fence, uint64_t *word, void *to, const void *from, size_t bytes)
{
    const uint64_t *holder = fence->holder;
    uint64_t me = fence->me;

    __asm__ goto(
        SEQUENCE("movq %[to], %%rdi\n movq %[from], %%rsi\n movq %[bytes], %%rcx\n rep movsb\n")
        :
        : [word] "m"(*word), [holder] "m"(*holder), [me] "r"(me), [to] "r"(to), [from] "r"(from), [bytes] "r"(bytes)
        : "rax", "rcx", "rdi", "rsi", "cc", "memory"
        : lost, again);
    return SEQUENCE_DONE;
lost:
    return SEQUENCE_LOST;
again:
    return SEQUENCE_AGAIN;
}

/* SEQUENCE_LOST also: the word is another one. */
static enum sequence try_exchange(const struct fence *fence, uint64_t *word, uint64_t *to, uint64_t before,
                                  uint64_t after)
{
    const uint64_t *holder = fence->holder;
    uint64_t me = fence->me;

    __asm__ goto(
        SEQUENCE("movq %[before], %%rax\n lock cmpxchgq %[after], (%[to])\n") "jne %l[lost]\n"
        :
        : [word] "m"(*word), [holder] "m"(*holder), [me] "r"(me), [to] "r"(to), [before] "r"(before), [after] "r"(after)
        : "rax", "cc", "memory"
        : lost, again);
    return SEQUENCE_DONE;
lost:
    return SEQUENCE_LOST;
again:
    return SEQUENCE_AGAIN;
}

static void set_state(const struct fence *fence, enum fence_state state)
{
    __atomic_store_n(fence->state, state, __ATOMIC_SEQ_CST);
}

static bool holds(const struct fence *fence)
{
    return __atomic_load_n(fence->holder, __ATOMIC_SEQ_CST) == fence->me;
}

bool fence_copy(const struct fence *fence, void *to, const void *from, size_t bytes)
{
    uint64_t *word = sequence_word();
    enum sequence done;

    if (!fence->holder) {
        memcpy(to, from, bytes);
        return true;
    }
    set_state(fence, word ? FENCE_WRITES_OFF : FENCE_WRITES);
    if (word) {
        while ((done = try_copy(fence, word, to, from, bytes)) == SEQUENCE_AGAIN)
            ;
        *(volatile uint64_t *)word = 0;
    } else if ((done = holds(fence) ? SEQUENCE_DONE : SEQUENCE_LOST) == SEQUENCE_DONE) {
        memcpy(to, from, bytes);
    }
    set_state(fence, FENCE_IDLE);
    return done == SEQUENCE_DONE;
}

static bool exchange(uint64_t *to, uint64_t before, uint64_t after)
{
    return __atomic_compare_exchange_n(to, &before, after, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

bool fence_exchange(const struct fence *fence, uint64_t *to, uint64_t before, uint64_t after)
{
    uint64_t *word = sequence_word();
    enum sequence done;

    if (!fence->holder)
        return exchange(to, before, after);
    set_state(fence, word ? FENCE_WRITES_OFF : FENCE_WRITES);
    if (word) {
        while ((done = try_exchange(fence, word, to, before, after)) == SEQUENCE_AGAIN)
            ;
        *(volatile uint64_t *)word = 0;
    } else {
        done = holds(fence) && exchange(to, before, after) ? SEQUENCE_DONE : SEQUENCE_LOST;
    }
    set_state(fence, FENCE_IDLE);
    return done == SEQUENCE_DONE;
}
