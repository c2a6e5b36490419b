/* See switch.h. */
#include "cells/kernel/swap/switch.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/exception/exception.h"
#include "cells/kernel/loader/elf.h"
#include "cells/lib/string/string.h"

/* A relocated field, by its place in the direct map. */
struct field {
    uint8_t *at;
    uint64_t value, before;
    size_t bytes;
};

/* Data that is carried over, in the direct map; `before`: what the old one said when it was; `after`: what the new one said
 * when it took effect. */
struct carried {
    uint8_t *from, *to, *before, *after;
    size_t bytes;
};

struct switchover {
    const struct plan *plan;
    size_t fields, carries;
    size_t taken; /* carries whose new data are as the old ones */
    bool begun;
    struct field *field;
    struct carried *carried;
};

typedef uint64_t __attribute__((aligned(1), may_alias)) any_uint64;
typedef uint32_t __attribute__((aligned(1), may_alias)) any_uint32;

/* Room for a copy, so that words lie in it as they do in the original. */
static size_t copy_bytes(const struct twin *twin)
{
    return (twin->bytes + 15ul) & ~7ul;
}

enum err switch_reserve(struct plan *plan)
{
    size_t bytes = sizeof(struct switchover) + plan->steps * sizeof(struct field), carries = 0;

    for (size_t i = 0; i < plan->twins; i++)
        if (plan->twin[i].carried) {
            bytes += sizeof(struct carried) + 2 * copy_bytes(&plan->twin[i]);
            carries++;
        }
    mapped_pages_put(MOVE(plan->switch_memory));
    plan->switch_memory = page_map(bytes, PAGE_WRITE);
    if (!plan->switch_memory)
        return ERR_NOMEM;
    struct switchover *s = page_start(plan->switch_memory);
    s->plan = plan;
    s->field = (struct field *)(s + 1);
    s->carried = (struct carried *)(s->field + plan->steps);
    uint8_t *rest = (uint8_t *)(s->carried + carries);
    for (size_t i = 0; i < plan->twins; i++) {
        const struct twin *twin = &plan->twin[i];
        if (!twin->carried)
            continue;
        s->carried[s->carries++] = (struct carried){.from = page_direct(arena_section(twin->old)->phys),
                                                    .to = page_direct(arena_section(twin->new_)->phys),
                                                    .before = rest + twin->virt % 8,
                                                    .after = rest + copy_bytes(twin) + twin->virt % 8,
                                                    .bytes = twin->bytes};
        rest += 2 * copy_bytes(twin);
    }
    return ERR_OK;
}

void switch_snapshot(struct plan *plan)
{
    const struct switchover *s = page_start(plan->switch_memory);

    for (size_t i = 0; i < s->carries; i++)
        for (size_t k = 0; k < s->carried[i].bytes; k++)
            s->carried[i].before[k] = s->carried[i].from[k];
}

static void add_field(struct switchover *s, const struct arena_edge *e)
{
    const struct arena_section *from = arena_section(e->from), *to = arena_section(e->to);
    uint64_t value = to->virt + e->target + (uint64_t)e->addend;
    size_t bytes = relocation_bytes(e->type);

    if (relocation_is_relative(e->type))
        value -= from->virt + e->offset;
    struct field *field = &s->field[s->fields++];
    *field = (struct field){.at = (uint8_t *)page_direct(from->phys) + e->offset, .value = value, .bytes = bytes};
    memcpy(&field->before, field->at, bytes);
}

/* A pointer in data may have been stored over: then it is led like any word that points into an old cell. */
static bool is_in_code(const struct arena_edge *e)
{
    uint32_t kind = arena_section(e->from)->kind;

    return kind != SECTION_DATA && kind != SECTION_BSS;
}

/* ---- from here on nothing is called but what is inlined, and a test's hook ---- */

static inline __attribute__((always_inline)) uint64_t mapped(const struct plan *plan, uint64_t address)
{
    size_t low = 0, high = plan->twins;

    if (address - plan->low >= plan->high - plan->low)
        return 0;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (plan->twin[middle].virt <= address)
            low = middle + 1;
        else
            high = middle;
    }
    const struct twin *twin = low ? &plan->twin[low - 1] : NULL;
    uint64_t offset = twin ? address - twin->virt : 0;
    if (!twin || offset >= twin->bytes || !twin->to || !(twin->same || twin->carried || (twin->text && offset == 0)))
        return 0;
    return twin->to + offset;
}

/* The same from the new cells to the old ones. */
static inline __attribute__((always_inline)) uint64_t mapped_back(const struct plan *plan, uint64_t address)
{
    for (size_t i = 0; i < plan->twins; i++) {
        const struct twin *twin = &plan->twin[i];
        if (twin->to && address - twin->to < twin->bytes)
            return twin->virt + (address - twin->to);
    }
    return 0;
}

/* Copies what `from` says now and did not when it was copied to `was`; words that are addresses are led to the new cells, or
 * `back`. Bytes before the first whole word, words, the rest. */
static inline __attribute__((always_inline)) void
carry_changes(const struct plan *plan, const uint8_t *from, const uint8_t *was, uint8_t *to, size_t bytes, bool back)
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
            there = back ? mapped_back(plan, now) : mapped(plan, now);
            *(volatile any_uint64 *)(to + i) = there ? there : now;
        }
        i += 8;
    }
}

static inline __attribute__((always_inline)) void remember(const struct carried *c)
{
    for (size_t i = 0; i < c->bytes; i++)
        ((volatile uint8_t *)c->after)[i] = c->to[i];
}

static inline __attribute__((always_inline)) void write_field(const struct field *f, uint64_t value)
{
    if (f->bytes == 8)
        *(volatile any_uint64 *)f->at = value;
    else
        *(volatile any_uint32 *)f->at = (uint32_t)value;
}

static inline __attribute__((always_inline)) void serialize(void)
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

    *(volatile bool *)&s->begun = true;
    for (size_t i = 0; i < s->carries; i++) {
        STEP(i, s->carries);
        const struct carried *c = &s->carried[i];
        carry_changes(plan, c->from, c->before, c->to, c->bytes, false);
        remember(c);
        *(volatile size_t *)&s->taken = i + 1;
    }
    for (size_t i = 0; i < s->fields; i++) {
        STEP(i, s->fields);
        write_field(&s->field[i], s->field[i].value);
    }
    for (size_t i = 0; i < plan->words; i++) {
        volatile uint64_t *at = plan->word[i].at;
        STEP(i, plan->words);
        if (*at == plan->word[i].before)
            *at = plan->word[i].after;
    }
    serialize();
}

/* Each store of take_effect leaves what runs: old code or new, on data that say the same. What a fault on the way has run since
 * may have written to either; what it has written to the new data goes to the old. */
static __attribute__((noinline)) void take_back(struct switchover *s)
{
    const struct plan *plan = s->plan;

    for (size_t i = plan->words; i > 0; i--) {
        volatile uint64_t *at = plan->word[i - 1].at;
        if (*at == plan->word[i - 1].after)
            *at = plan->word[i - 1].before;
    }
    for (size_t i = s->fields; i > 0; i--)
        write_field(&s->field[i - 1], s->field[i - 1].before);
    for (size_t i = 0; i < s->taken; i++) {
        const struct carried *c = &s->carried[i];
        carry_changes(plan, c->to, c->after, c->from, c->bytes, true);
    }
    *(volatile bool *)&s->begun = false;
    serialize();
}

/* Ends before the guards of those who have called, which would let go of a lock by half of the old code and half of the new. */
struct switch_guard {
    struct plan *plan; /* NULL: all has taken effect */
};

static void switch_guard_end(struct switch_guard *guard)
{
    if (guard->plan)
        switch_back(guard->plan);
}

void switch_over(struct plan *plan, unsigned *steps, void (*hook)(unsigned step))
{
    struct switchover *s = page_start(plan->switch_memory);
    GUARD(switch) guard = {plan};

    s->fields = s->taken = 0;
    for (size_t i = 0; i < plan->steps; i++)
        if (is_in_code(arena_edge(plan->step[i].edge)))
            add_field(s, arena_edge(plan->step[i].edge));
    take_effect(s, steps, hook);
    guard.plan = NULL;
}

void switch_back(struct plan *plan)
{
    struct switchover *s = plan->switch_memory ? page_start(plan->switch_memory) : NULL;

    if (!s || !s->begun)
        return;
    take_back(s);
    exception_point_gates();
}
