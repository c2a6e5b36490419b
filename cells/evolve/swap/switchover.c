/* See switchover.h. */
#include "cells/evolve/swap/switchover.h"
#include "cells/core/arena/arena.h"
#include "cells/core/exception/exception.h"
#include "cells/lib/string/string.h"
#include "guest/abi/elf.h"

/* A relocated field, by its place in the direct map. */
struct field {
    uint8_t *at;
    uint64_t value, before;
    size_t bytes;
};

/* A datum that is carried, in the direct map. `before`: the old section's bytes when they were copied; `after`: the new
 * section's bytes when the switchover took effect. */
struct carried {
    const struct pair *pair;
    uint8_t *from, *to, *before, *after;
    size_t bytes, new_bytes;
};

struct switchover {
    struct mapped_pages *memory;
    const struct plan *plan;
    const struct words *words;
    size_t fields, carries;
    size_t taken; /* carries whose new bytes are up to date */
    bool begun;
    struct field *field;
    struct carried *carried;
};

/* Room for a copy in which words are aligned as in the original. */
static size_t copy_bytes(struct section_ref section)
{
    return (arena_section(section)->bytes + 15ul) & ~7ul;
}

static struct carried make_carried(const struct pair *pair, uint8_t *room)
{
    return (struct carried){.pair = pair,
                            .from = plan_bytes(pair->old),
                            .to = plan_bytes(pair->new_),
                            .before = room + pair->virt % 8,
                            .after = room + copy_bytes(pair->old) + pair->to % 8,
                            .bytes = pair->bytes,
                            .new_bytes = arena_section(pair->new_)->bytes};
}

static size_t room_for(const struct pair *pair)
{
    return copy_bytes(pair->old) + copy_bytes(pair->new_);
}

struct switchover *switchover_new(const struct plan *plan)
{
    size_t bytes = sizeof(struct switchover) + plan->redirections * sizeof(struct field), carries = 0;

    for (size_t i = 0; i < plan->pairs; i++)
        if (pair_moves(&plan->pair[i])) {
            bytes += sizeof(struct carried) + room_for(&plan->pair[i]);
            carries++;
        }
    OWN(mapped_pages) struct mapped_pages *memory = page_map(bytes, PAGE_WRITE);
    if (!memory)
        return NULL;
    struct switchover *s = page_start(memory);
    s->plan = plan;
    s->field = (struct field *)(s + 1);
    s->carried = (struct carried *)(s->field + plan->redirections);
    uint8_t *rest = (uint8_t *)(s->carried + carries);
    for (size_t i = 0; i < plan->pairs; i++) {
        if (!pair_moves(&plan->pair[i]))
            continue;
        s->carried[s->carries++] = make_carried(&plan->pair[i], rest);
        rest += room_for(&plan->pair[i]);
    }
    s->memory = MOVE(memory);
    return s;
}

void switchover_put(TAKES struct switchover *switchover)
{
    if (switchover)
        mapped_pages_put(MOVE(switchover->memory));
}

const struct mapped_pages *switchover_pages(const struct switchover *switchover)
{
    return switchover->memory;
}

void switchover_snapshot(struct switchover *switchover)
{
    for (size_t i = 0; i < switchover->carries; i++) {
        const struct carried *c = &switchover->carried[i];
        memcpy(c->before, c->from, c->bytes);
    }
}

static void add_field(struct switchover *s, const struct arena_edge *e)
{
    const struct arena_section *from = arena_section(e->from), *to = arena_section(e->to);
    uint64_t value = relocation_value(e->type, arena_edge_target(e, to), from->virt + e->offset);
    size_t bytes = relocation_bytes(e->type);

    struct field *field = &s->field[s->fields++];
    *field = (struct field){.at = (uint8_t *)page_direct(from->phys) + e->offset, .value = value, .bytes = bytes};
    memcpy(&field->before, field->at, bytes);
}

/* A pointer in data may have been stored over: then it is redirected like any word that is an address in an old
 * cell. */
static bool is_in_code(const struct arena_edge *e)
{
    return !section_kind_is_data(arena_section(e->from)->kind);
}

/* ---- from here on nothing is called but what is inlined, and a test's hook ----
 * Only while data is carried, in either direction, functions of the plan cell are called for what a recipe moves: then
 * the code that is called is still, or again, that of the old cells, and it changes no data but what is carried. */

PLAN_INLINE uint64_t map_forth(const struct plan *plan, uint64_t address)
{
    if (address - plan->low >= plan->high - plan->low)
        return 0;
    const struct pair *pair = plan_pair_at(plan, address);
    if (pair && pair->treatment == PLAN_BY_RECIPE)
        return plan_map(plan, address);
    return pair ? pair_map(pair, address) : 0;
}

/* Copies what has changed in `from` since it was copied to `was`. Words that are addresses are redirected to the new
 * cells, or `back` to the old ones. Bytes before the first whole word, words, the rest. */
PLAN_INLINE void carry_changes(const struct plan *plan, const uint8_t *from, const uint8_t *was, uint8_t *to,
                               size_t bytes, bool back)
{
    for (size_t i = 0; i < bytes;) {
        if (((uint64_t)(from + i) & 7) || bytes - i < 8) {
            if (from[i] != was[i])
                ((volatile uint8_t *)to)[i] = from[i];
            i++;
            continue;
        }
        uint64_t now = *(const any_uint64 *)(from + i), there = 0;
        if (now != *(const any_uint64 *)(was + i)) {
            there = back ? plan_map_back(plan, now) : map_forth(plan, now);
            *(volatile any_uint64 *)(to + i) = there ? there : now;
        }
        i += 8;
    }
}

PLAN_INLINE void remember(const struct carried *c)
{
    for (size_t i = 0; i < c->new_bytes; i++)
        ((volatile uint8_t *)c->after)[i] = c->to[i];
}

PLAN_INLINE void serialize(void)
{
    uint32_t a = 0, c = 0;

    __asm__ volatile("cpuid" : "+a"(a), "+c"(c)::"rbx", "rdx", "memory");
}

/* A step before the first one of a loop, and amid it. */
#define STEP(i, all)                                                                                                   \
    if (hook && ((i) == 0 || (i) == (all) / 2))                                                                        \
    hook(++*steps)

static __attribute__((noinline)) void take_effect(struct switchover *s, unsigned *steps, void (*hook)(unsigned step))
{
    const struct plan *plan = s->plan;
    const struct words *words = s->words;

    *(volatile bool *)&s->begun = true;
    for (size_t i = 0; i < s->carries; i++) {
        STEP(i, s->carries);
        const struct carried *c = &s->carried[i];
        if (c->pair->recipe)
            pair_move_changes(plan, c->pair, c->before);
        else
            carry_changes(plan, c->from, c->before, c->to, c->bytes, false);
        remember(c);
        *(volatile size_t *)&s->taken = i + 1;
    }
    for (size_t i = 0; i < s->fields; i++) {
        STEP(i, s->fields);
        relocation_write(s->field[i].at, s->field[i].value, s->field[i].bytes);
    }
    for (size_t i = 0; i < words->count; i++) {
        volatile uint64_t *at = words->word[i].at;
        STEP(i, words->count);
        if (*at == words->word[i].before)
            *at = words->word[i].after;
    }
    serialize();
}

/* After each store of take_effect old code and new code find the same data. After a fault in it either may have run:
 * what was written to the new data since is copied to the old. */
static __attribute__((noinline)) void reverse_effect(struct switchover *s)
{
    const struct plan *plan = s->plan;
    const struct words *words = s->words;

    for (size_t i = words->count; i > 0; i--) {
        volatile uint64_t *at = words->word[i - 1].at;
        if (*at == words->word[i - 1].after)
            *at = words->word[i - 1].before;
    }
    for (size_t i = s->fields; i > 0; i--)
        relocation_write(s->field[i - 1].at, s->field[i - 1].before, s->field[i - 1].bytes);
    for (size_t i = 0; i < s->taken; i++) {
        const struct carried *c = &s->carried[i];
        if (c->pair->recipe)
            pair_undo_changes(plan, c->pair, c->after);
        else
            carry_changes(plan, c->to, c->after, c->from, c->bytes, true);
    }
    *(volatile bool *)&s->begun = false;
    serialize();
}

/* Points the gates of the IDT into the exception cell that has `counterpart`, which takes the place of the function
 * that this cell's edge refers to; 0: nothing does. An old swap cell's edge refers to the old exception cell for
 * ever. */
static void point_gates(uint64_t counterpart)
{
    void (*function)(void) = counterpart ? (void (*)(void))counterpart : exception_point_gates;

    function();
}

/* Ends before the guards of the callers, which would release a lock by half of the old code and half of the new. */
struct switchover_guard {
    struct switchover *switchover; /* NULL: all has taken effect */
};

static void switchover_guard_end(struct switchover_guard *guard)
{
    if (guard->switchover)
        switchover_undo(guard->switchover);
}

void switchover_apply(struct switchover *switchover, const struct words *words, unsigned *steps,
                      void (*hook)(unsigned step))
{
    const struct plan *plan = switchover->plan;
    GUARD(switchover) guard = {switchover};

    switchover->words = words;
    switchover->fields = switchover->taken = 0;
    for (size_t i = 0; i < plan->redirections; i++)
        if (is_in_code(arena_edge(plan->redirection[i].edge)))
            add_field(switchover, arena_edge(plan->redirection[i].edge));
    take_effect(switchover, steps, hook);
    guard.switchover = NULL;
    point_gates(plan_map(plan, (uint64_t)exception_point_gates));
}

void switchover_undo(struct switchover *switchover)
{
    if (!switchover->begun)
        return;
    reverse_effect(switchover);
    point_gates(plan_map_back(switchover->plan, (uint64_t)exception_point_gates));
}
