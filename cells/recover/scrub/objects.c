/* Pristine objects, from which sections are put right. Each step of an object's hash can be taken back
 * (guest/abi/object.h): so, from the hash as it is and as it was, both taken back word by word, follows for each word
 * what it would have had to be. Where that differs in a few bits only, these are the damage, if there is exactly one
 * such word. What is damaged otherwise is put right from parity (cells/recover/spare). */
#include "cells/core/arena/arena.h"
#include "cells/core/loader/loader.h"
#include "cells/core/page/page.h"
#include "cells/lib/format/format.h"
#include "cells/lib/string/string.h"
#include "cells/recover/scrub/inside.h"
#include "cells/recover/spare/spare.h"
#include "guest/abi/layout.h"

#define STEP_WORDS 256
#define FACTOR     UINT64_C(0x9e3779b97f4a7c15) /* of the hash */
#define FEW_BITS   8

/* The object that is being hashed, and how far. */
static uint32_t object_at;
static struct progress {
    uint32_t of; /* check word of its record; 0: none is begun */
    uint32_t word;
    uint64_t hash;
} progress;

/* ---- the hash, forwards and back ---- */

static uint64_t forwards(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * FACTOR;
    return hash ^ hash >> 32;
}

/* The state before a step, with the word still in it. */
static uint64_t back(uint64_t hash)
{
    uint64_t inverse = FACTOR; /* Newton's iteration doubles the bits that are right, three at first */

    for (int i = 0; i < 5; i++)
        inverse *= 2 - FACTOR * inverse;
    return (hash ^ hash >> 32) * inverse;
}

static uint32_t words_of(const struct arena_object *o)
{
    return o->bytes / 8 + 1; /* the last one has the rest, or is 0 */
}

static uint64_t word_of(const struct arena_object *o, uint32_t i)
{
    const uint8_t *bytes = (const uint8_t *)(LAYOUT_DIRECT_VIRT + o->phys) + i * 8;
    uint64_t word = 0;

    if (i + 1 < words_of(o))
        __builtin_memcpy(&word, bytes, 8);
    else
        memcpy(&word, bytes, o->bytes % 8);
    return word;
}

static bool is_few(uint64_t bits)
{
    unsigned count = 0;

    for (; bits; bits &= bits - 1)
        count++;
    return count && count <= FEW_BITS;
}

struct candidate {
    uint32_t word, found; /* the last one, and how many there are */
    uint64_t flipped;
};

/* `hash`: that of the bytes as they are. */
static struct candidate locate(const struct arena_object *o, uint64_t hash)
{
    uint64_t is = hash, was = o->hash;
    struct candidate candidate = {0};

    for (uint32_t i = words_of(o); i-- > 0;) {
        is = back(is);
        was = back(was);
        if (is_few(is ^ was) && (i + 1 < words_of(o) || !((is ^ was) >> (o->bytes % 8 * 8))))
            candidate = (struct candidate){i, candidate.found + 1, is ^ was};
        is ^= word_of(o, i);
        was ^= word_of(o, i);
    }
    return candidate;
}

static uint64_t hash_of(const struct arena_object *o)
{
    uint64_t hash = o->bytes;

    for (uint32_t i = 0; i < words_of(o); i++)
        hash = forwards(hash, word_of(o, i));
    return hash;
}

/* ---- one object after the other ---- */

struct repaired {
    uint8_t *at; /* NULL: nothing was put right */
    unsigned count;
    const char *unit;
};

static struct repaired put_right(struct object_ref object)
{
    GUARD(loader) locked = loader_hold(); /* the object stays */
    const struct arena_object *o = arena_object(object);
    uint64_t hash;

    if (!arena_sound(object) || (hash = hash_of(o)) == o->hash)
        return (struct repaired){0};
    struct candidate candidate = locate(o, hash);
    uint8_t *at = (uint8_t *)page_direct(o->phys);
    if (candidate.found != 1) {
        unsigned pieces = spare_mend(object);
        return (struct repaired){pieces ? at : NULL, pieces, "page"};
    }
    at += candidate.word * 8;
    for (uint64_t bits = candidate.flipped, i = 0; bits; bits >>= 8, i++)
        at[i] ^= (uint8_t)bits;
    return (struct repaired){at, 1, "word"};
}

static void repair(struct object_ref object)
{
    struct repaired repaired = put_right(object);
    char place[64];

    if (!repaired.at)
        return;
    format_print(place, sizeof place, "object %s", arena_string(arena_object(object)->name));
    scrub_report((struct fault_damage){.address = (uint64_t)repaired.at, .place = place}, repaired.count,
                 repaired.unit);
}

static void begin_next(void)
{
    struct arena_header *header = arena_header();

    progress.of = 0;
    if (++object_at >= header->table[ARENA_OBJECTS].used)
        object_at = 0;
    struct object_ref object = {object_at};
    if (object_at && arena_object(object)->check && arena_sound(object))
        progress = (struct progress){.of = arena_object(object)->check, .hash = arena_object(object)->bytes};
}

void scrub_objects(void)
{
    struct object_ref object = {object_at};
    const struct arena_object *o = object_at ? arena_object(object) : NULL;

    if (!progress.of || !o || o->check != progress.of) {
        begin_next();
        return;
    }
    for (unsigned i = 0; i < STEP_WORDS && progress.word < words_of(o); i++, progress.word++)
        progress.hash = forwards(progress.hash, word_of(o, progress.word));
    if (progress.word < words_of(o))
        return;
    if (progress.hash != o->hash)
        repair(object);
    begin_next();
}
