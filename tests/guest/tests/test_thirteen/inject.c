/* See inject.h. What a fault changes is reached through the arguments of the function that the victim is about to
 * enter, and through the records of sections: nothing depends on what the compiler has made of the channel cell. */
#include "tests/guest/tests/test_thirteen/inject.h"
#include "cells/channel/channel/ring.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/page/page.h"
#include "cells/core/panic/panic.h"
#include "cells/core/vector/vector.h"
#include "cells/lib/string/string.h"

#define RFLAGS_RESUME (1ull << 16)
#define DR7_EXECUTE   0x15         /* instructions at the addresses in DR0, DR1 and DR2 */
#define BAD_OPCODE    0x06         /* no instruction in 64-bit mode */
#define HIGH_BIT      (1ull << 45) /* of an address: nothing is mapped there then */

const struct fault_form fault_forms[FAULTS] = {
    [FAULT_MESSAGE] = {.name = "pointer to the message", .place = PLACE_CALL},
    [FAULT_WAIT_LINK] = {.name = "wait-queue link", .place = PLACE_WAKE},
    [FAULT_LOCK_WORD] = {.name = "lock word", .place = PLACE_LOCK},
    [FAULT_STATUS] = {.name = "status word", .place = PLACE_LOCK, .in_ring = true},
    [FAULT_INDEX] = {.name = "buffer index", .place = PLACE_LOCK, .in_ring = true},
    [FAULT_RETURN] = {.name = "return address", .place = PLACE_LOCK},
    [FAULT_REGISTER] = {.name = "saved register", .place = PLACE_LOCK},
    [FAULT_FUNCTION] = {.name = "function pointer", .place = PLACE_WAIT, .other_first = true, .times_out = true},
    [FAULT_LENGTH] = {.name = "length", .place = PLACE_LOCK, .in_ring = true},
    [FAULT_REFERENCES] = {.name = "reference count", .place = PLACE_LOCK, .in_ring = true},
    [FAULT_ENTRY_TEXT] = {.name = "text byte at entry", .place = PLACE_CALL},
    [FAULT_LOOP_TEXT] = {.name = "text byte in the loop", .place = PLACE_WAIT, .other_first = true},
    [FAULT_READ_ONLY] = {.name = "read-only data", .place = PLACE_CALL},
};

static struct {
    struct talk *talk;
    uint32_t side;
    enum fault_number fault;
    unsigned left;             /* times that the place is still to be reached */
    uint64_t call;             /* the function that the victim calls */
    uint64_t at[2];            /* functions that it calls in turn */
    struct channel_ring *ring; /* what it has called with */
    uint32_t victim;           /* id of the task */
    bool done;
} injection;

static struct arena_section *section_named(const char *cell, const char *name)
{
    for_each_section_of (i, arena_cell_find(NAMESPACE_ROOT, cell))
        if (string_equal(arena_string(arena_section(i)->name), name))
            return arena_section(i);
    panic("no section of this name");
}

/* ---- what each fault changes ---- */

static uint64_t *word_of(const char *cell, const char *section)
{
    return page_direct(section_named(cell, section)->phys);
}

/* Text is written by its physical address; what executes it sees that at once. */
static void damage_text(uint64_t virt)
{
    const struct arena_section *s = arena_section(arena_section_at(virt));

    *((volatile uint8_t *)page_direct(s->phys) + (virt - s->virt)) = BAD_OPCODE;
}

/* The unwind tables are the channel's read-only data that its users depend on when something fails: so the pointer to
 * the message is wrong too. The tables no longer say which function is where. */
static void damage_tables(void)
{
    const struct arena_section *s = section_named("channel", ".eh_frame");
    uint64_t *words = page_direct(s->phys);

    for (uint32_t i = 0; i < s->bytes / sizeof *words; i++)
        words[i] ^= 1ull << 37;
}

static void change_ring(struct channel_ring *ring, enum fault_number fault)
{
    bool sends = injection.side == CHANNEL_SENDER;

    if (fault == FAULT_LOCK_WORD)
        ring->lock.holder ^= 1u << 20;
    else if (fault == FAULT_STATUS)
        ring->closed[sends ? CHANNEL_RECEIVER : CHANNEL_SENDER] ^= 1u << 3;
    else if (fault == FAULT_INDEX)
        *(sends ? &ring->sent : &ring->received) ^= 1ull << 40;
    else if (fault == FAULT_LENGTH)
        ring->bytes ^= 1ull << 20;
    else if (fault == FAULT_REFERENCES)
        ring->references ^= 2;
}

/* The victim is at the place. */
static void change(struct trap_frame *frame, enum fault_number fault)
{
    if (fault == FAULT_MESSAGE || fault == FAULT_READ_ONLY)
        frame->rsi ^= HIGH_BIT;
    if (fault == FAULT_READ_ONLY)
        damage_tables();
    else if (fault == FAULT_WAIT_LINK)
        *(uint64_t *)&((struct wait_queue *)frame->rdi)->first ^= HIGH_BIT;
    else if (fault == FAULT_RETURN)
        *(uint64_t *)frame->rsp ^= 1ull << 33;
    else if (fault == FAULT_REGISTER)
        frame->rbp ^= HIGH_BIT; /* the function saves it, and its caller gets it back */
    else if (fault == FAULT_FUNCTION)
        *word_of("timer", ".bss.tick_handler") ^= HIGH_BIT;
    else if (fault == FAULT_ENTRY_TEXT)
        damage_text(frame->rip);
    else if (fault == FAULT_LOOP_TEXT)
        damage_text(*(uint64_t *)frame->rsp);
    else
        change_ring((struct channel_ring *)frame->rdi, fault);
}

/* ---- when ---- */

static void watch(uint64_t first, uint64_t second, uint64_t third, uint64_t control)
{
    __asm__ volatile("mov %0, %%dr0; mov %1, %%dr1; mov %2, %%dr2; mov %3, %%dr7" ::"r"(first), "r"(second), "r"(third),
                     "r"(control));
}

/* Whether the victim is about to execute the first instruction at the place, for the channel of its talk. */
static bool is_at_place(const struct trap_frame *frame)
{
    enum place place = fault_forms[injection.fault].place;
    const struct channel_ring *ring = injection.ring;

    if (frame->rip == injection.call)
        return place == PLACE_CALL;
    if (place == PLACE_LOCK)
        return frame->rdi == (uint64_t)&ring->lock &&
               same(arena_cell_at(*(uint64_t *)frame->rsp), arena_cell_at(injection.call));
    if (place == PLACE_WAIT)
        return frame->rdi == (uint64_t)&ring->queue[injection.side];
    return place == PLACE_WAKE && frame->rdi == (uint64_t)&ring->queue[!injection.side] &&
           ring->queue[!injection.side].first;
}

static void at_breakpoint(struct trap_frame *frame)
{
    frame->rflags |= RFLAGS_RESUME;
    if (injection.done || cpu_task()->id != injection.victim)
        return;
    if (frame->rip == injection.call)
        injection.ring = ((struct channel_end *)frame->rdi)->ring;
    if (!is_at_place(frame) || --injection.left)
        return;
    injection.done = true;
    injection.ring = NULL; /* the channel is about to go: this would be found, and the cell be reloaded for it */
    watch(0, 0, 0, 0);
    talk_note_fault(injection.talk);
    change(frame, injection.fault);
}

void inject_prepare(struct talk *talk, uint32_t side, enum fault_number fault, unsigned count)
{
    static const uint64_t at[PLACES][2] = {
        [PLACE_LOCK] = {(uint64_t)lock_take},
        [PLACE_WAIT] = {(uint64_t)wait_queue_wait},
        [PLACE_WAKE] = {(uint64_t)wait_queue_wake_one, (uint64_t)wait_queue_wake_all},
    };
    const struct arena_section *call =
        section_named("channel", side == CHANNEL_SENDER ? ".text.channel_send" : ".text.channel_receive");
    enum place place = fault_forms[fault].place;

    injection.talk = talk;
    injection.side = side;
    injection.fault = fault;
    injection.left = count;
    injection.call = call->virt;
    injection.at[0] = at[place][0];
    injection.at[1] = at[place][1];
    injection.done = false;
}

void inject_watch(uint32_t side)
{
    if (side != injection.side || injection.done)
        return;
    injection.victim = cpu_task()->id;
    watch(injection.call, injection.at[0], injection.at[1], DR7_EXECUTE);
}

bool inject_is_done(void)
{
    return injection.done;
}

enum err inject_init(void)
{
    return vector_bind(EXCEPTION_DEBUG, at_breakpoint);
}
