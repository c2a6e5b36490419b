/* Fault models: how memory is changed. A model plans changes from a seed; a change then says exactly what it did, and
 * does the same again when it is applied to another machine. */
#pragma once
#include "injector/place.h"
#include "injector/prng.h"
#include "injector/register.h"

enum { MODEL_CHANGES_MAX = 64 };

/* One change of up to 8 bytes: after = ((before & keep) | set) ^ flip, little-endian. Or no change of memory, but of a
 * register, or an instruction that is left out once. */
struct change {
    uint64_t phys;
    uint32_t bytes;
    struct section_ref section; /* or none */
    uint32_t offset;            /* in the section */
    uint64_t virt;              /* in a block of the heap, or behind a pointer; else 0 */
    char behind[64];            /* "exception:.bss.idt[1]": the pointer; `offset` is from there on. Empty: none */
    bool skip;                  /* the instruction here is left out, by the CPU that comes to it next */
    enum cpu_register reg; /* a register changes: when a CPU comes to the instruction here, without a section now */
    bool made;             /* of a register */
    uint64_t keep, set, flip;
    uint64_t before, after; /* filled by change_apply; of a skip by whoever does it: the instruction pointer */
};

struct model {
    const char *name; /* what people write, with ":N" when it is counted */
    const char *summary;
    bool counted;
    bool holds;     /* asserted again for as long as somebody watches */
    bool replaces;  /* an instruction: in text it begins where one begins */
    bool skips;     /* an instruction, whole; memory stays as it is */
    bool registers; /* is for registers too */
    uint32_t bytes; /* that it changes, where the place has as many */
    void (*make)(struct change *change, struct prng *prng);
};

/* Ends with name NULL. */
extern const struct model models[];

struct model_use {
    const struct model *model;
    unsigned count; /* of changes */
};

/* "flip", "flips:3", ... */
enum err model_parse(const char *words, struct model_use *ret_use, struct why *why);

/* Plans use->count changes at places of their own. */
size_t model_plan(const struct model_use *use, const struct place_ranges *ranges, struct prng *prng,
                  struct change changes[MODEL_CHANGES_MAX]);

/* Plans the change of a register, whose place `change` has. The model must be for registers. */
void model_plan_register(const struct model_use *use, enum cpu_register reg, struct prng *prng, struct change *change);

/* Whether it is made when a CPU comes to an instruction, and not at once. */
bool change_waits(const struct change *change);
/* What becomes of 8 bytes. */
uint64_t change_value(const struct change *change, uint64_t before);

/* Guest memory to change: data through the mapping, text through `write_text`, so that a CPU executes it. */
struct model_memory {
    uint8_t *ram;
    size_t bytes;
    enum err (*write_text)(void *context, uint64_t phys, const void *data, size_t bytes);
    void *context;
};

/* `is_text`: somebody may have translated it to run. Fills before and after. Not for a skip, nor a register. */
enum err change_apply(struct change *change, const struct model_memory *memory, bool is_text);

/* "phys 0x5c1234 bit 3: 0x48 -> 0x40", without a newline. */
void change_print(const struct change *change, char *ret_text, size_t bytes);
/* The bit number, counted from the lowest of change->phys or of the register, or -1 when it is not about one bit. */
int change_bit(const struct change *change);
