/* See model.h. */
#include "injector/model.h"
#include "introspect/base/number.h"
#include "introspect/base/ram_map.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void make_flip(struct change *c, struct prng *prng)
{
    c->flip = UINT64_C(1) << prng_below(prng, 8 * c->bytes);
}

static void make_stuck0(struct change *c, struct prng *prng)
{
    c->keep = ~(UINT64_C(1) << prng_below(prng, 8));
}

static void make_stuck1(struct change *c, struct prng *prng)
{
    c->set = UINT64_C(1) << prng_below(prng, 8);
}

static void make_random(struct change *c, struct prng *prng)
{
    c->keep = 0;
    c->set = prng_next(prng);
}

static void make_zero(struct change *c, struct prng *prng)
{
    (void)prng;
    c->keep = 0;
}

static void make_trap(struct change *c, struct prng *prng)
{
    (void)prng;
    c->keep = 0;
    c->set = 0x0b0f;
}

static void make_skip(struct change *c, struct prng *prng)
{
    (void)prng;
    c->skip = true;
}

const struct model models[] = {
    {"flip", "one bit inverted", .registers = true, .bytes = 1, .make = make_flip},
    {"flips", "N bits inverted, each at a place of its own", .counted = true, .bytes = 1, .make = make_flip},
    {"stuck0", "one bit held at 0", .holds = true, .bytes = 1, .make = make_stuck0},
    {"stuck1", "one bit held at 1", .holds = true, .bytes = 1, .make = make_stuck1},
    {"byte", "one byte overwritten at random", .bytes = 1, .make = make_random},
    {"overwrite64", "eight bytes overwritten at random", .registers = true, .bytes = 8, .make = make_random},
    {"zero", "eight bytes cleared", .registers = true, .bytes = 8, .make = make_zero},
    {"trap", "an instruction becomes ud2, which is undefined", .replaces = true, .bytes = 2, .make = make_trap},
    {"skip", "an instruction is left out, once, by the CPU that comes to it next", .replaces = true, .skips = true,
     .bytes = 1, .make = make_skip},
    {0},
};

static enum err unknown(const char *words, struct why *why)
{
    char names[128] = "";

    for (const struct model *m = models; m->name; m++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s%s", *names ? ", " : "", m->name,
                 m->counted ? ":N" : "");
    return why_set(why, ERR_INVALID, "model '%.60s' is none of %s", words, names);
}

enum err model_parse(const char *words, struct model_use *ret_use, struct why *why)
{
    size_t name = strcspn(words, ":");

    for (const struct model *m = models; m->name; m++) {
        uint64_t count = 1;

        if (strlen(m->name) != name || strncmp(words, m->name, name) != 0)
            continue;
        if (!m->counted && words[name])
            break;
        if (m->counted && !(words[name] && number_parse(words + name + 1, 1, MODEL_CHANGES_MAX, &count)))
            return why_set(why, ERR_INVALID, "model '%.60s': say %s:N, N from 1 to %d", words, m->name,
                           MODEL_CHANGES_MAX);
        *ret_use = (struct model_use){.model = m, .count = (unsigned)count};
        return ERR_OK;
    }
    return unknown(words, why);
}

static bool is_chosen(const struct change *changes, size_t count, const struct change *c)
{
    for (size_t i = 0; i < count; i++)
        if (changes[i].phys == c->phys && changes[i].flip == c->flip)
            return true;
    return false;
}

/* A change that ends beyond its range moves back, as far as the range goes. */
static struct change change_at(struct place_range at, uint32_t bytes)
{
    uint64_t lacks = bytes > at.bytes ? bytes - at.bytes : 0, back = lacks < at.before ? lacks : at.before;

    return (struct change){.phys = at.phys - back,
                           .bytes = (uint32_t)(bytes - (lacks - back)),
                           .section = at.section,
                           .offset = at.offset - (uint32_t)back,
                           .virt = at.virt ? at.virt - back : 0,
                           .keep = UINT64_MAX};
}

size_t model_plan(const struct model_use *use, const struct place_ranges *ranges, struct prng *prng,
                  struct change changes[MODEL_CHANGES_MAX])
{
    size_t n = 0;

    /* A place too small for that many different bits gets fewer. */
    for (unsigned tries = 0; n < use->count && tries < 64 * use->count; tries++) {
        struct place_range at = place_byte(ranges, prng_below(prng, ranges->bytes));
        struct change c = change_at(at, use->model->bytes);

        use->model->make(&c, prng);
        if (!is_chosen(changes, n, &c))
            changes[n++] = c;
    }
    return n;
}

/* A flip of bit N becomes one of the N-th bit of `bits`, counted around. */
static uint64_t move_flip(uint64_t flip, uint64_t bits)
{
    int n = flip ? __builtin_ctzll(flip) % __builtin_popcountll(bits) : 0;

    while (n--)
        bits &= bits - 1;
    return flip ? bits & -bits : 0;
}

void model_plan_register(const struct model_use *use, enum cpu_register reg, struct prng *prng, struct change *c)
{
    if (reg == REGISTER_ANY)
        reg = REGISTER_RAX + (enum cpu_register)prng_below(prng, REGISTER_ANY - REGISTER_RAX);
    uint64_t bits = register_bits(reg);
    c->reg = reg;
    c->bytes = 8;
    c->keep = UINT64_MAX;
    use->model->make(c, prng);
    c->keep |= ~bits;
    c->set &= bits;
    c->flip = move_flip(c->flip, bits);
}

bool change_waits(const struct change *c)
{
    return c->skip || (c->reg && c->section.index);
}

uint64_t change_value(const struct change *c, uint64_t before)
{
    return ((before & c->keep) | c->set) ^ c->flip;
}

static uint8_t change_byte(const struct change *c, unsigned i, uint8_t before)
{
    return (uint8_t)(((before & (uint8_t)(c->keep >> 8 * i)) | (uint8_t)(c->set >> 8 * i)) ^
                     (uint8_t)(c->flip >> 8 * i));
}

enum err change_apply(struct change *c, const struct model_memory *memory, bool is_text)
{
    uint8_t after[8];

    if (c->bytes == 0 || c->bytes > 8 || !ram_map_has(memory->bytes, c->phys, c->bytes))
        return ERR_RANGE;
    c->before = c->after = 0;
    for (unsigned i = 0; i < c->bytes; i++) {
        uint8_t *at = memory->ram + c->phys + i, before = __atomic_load_n(at, __ATOMIC_RELAXED);

        after[i] = change_byte(c, i, before);
        while (!is_text &&
               !__atomic_compare_exchange_n(at, &before, after[i], false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
            after[i] = change_byte(c, i, before);
        c->before |= (uint64_t)before << 8 * i;
        c->after |= (uint64_t)after[i] << 8 * i;
    }
    return is_text && c->after != c->before ? memory->write_text(memory->context, c->phys, after, c->bytes) : ERR_OK;
}

int change_bit(const struct change *c)
{
    uint64_t bits = c->flip | c->set | ~c->keep;

    return !c->skip && (c->bytes == 1 || c->reg) && __builtin_popcountll(bits) == 1 ? __builtin_ctzll(bits) : -1;
}

void change_print(const struct change *c, char *ret_text, size_t bytes)
{
    char what[32];

    if (c->skip) {
        snprintf(ret_text, bytes, "phys %#llx %u byte%s left out%s", (unsigned long long)c->phys, c->bytes,
                 c->bytes == 1 ? "" : "s", c->before == c->after ? ": not yet" : "");
        return;
    }
    if (change_bit(c) >= 0)
        snprintf(what, sizeof what, "bit %d", change_bit(c));
    else
        snprintf(what, sizeof what, "%u byte%s", c->bytes, c->bytes == 1 ? "" : "s");
    if (c->reg) {
        snprintf(ret_text, bytes, "%s %s: %#llx -> %#llx%s", register_name(c->reg), what, (unsigned long long)c->before,
                 (unsigned long long)c->after, c->made ? "" : " (not yet)");
        return;
    }
    snprintf(ret_text, bytes, "phys %#llx %s: 0x%0*llx -> 0x%0*llx", (unsigned long long)c->phys, what,
             2 * (int)c->bytes, (unsigned long long)c->before, 2 * (int)c->bytes, (unsigned long long)c->after);
}
