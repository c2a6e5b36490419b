/* Copies the tables out of live guest memory: once between two equal even generations (a seqlock), rings record by
 * record. Judges nothing of what it copied. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "introspect/inside.h"

enum { PAUSE_NS = 200000, RING_TRIES = 4 };

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t copy_generation(const uint8_t *ram)
{
    const uint64_t *generation =
        (const uint64_t *)(ram + LAYOUT_ARENA_PHYS + offsetof(struct arena_header, generation));

    return __atomic_load_n(generation, __ATOMIC_ACQUIRE);
}

static bool is_ring(unsigned table)
{
    return table >= ARENA_FAULTS && table <= ARENA_CHANGES;
}

/* A ring record begins with its seq, but a fault's comes third; it is written last. */
static size_t seq_offset(unsigned table)
{
    return table == ARENA_FAULTS ? offsetof(struct arena_fault, seq) : 0;
}

static uint64_t load_word(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void copy_ring_record(uint8_t *to, const uint8_t *from, unsigned table)
{
    const uint64_t *seq = (const uint64_t *)(from + seq_offset(table));

    for (int i = 0; i < RING_TRIES; i++) {
        uint64_t before = load_word(seq);

        memcpy(to, from, layout_rules[table].record_bytes);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (load_word(seq) == before) {
            *(uint64_t *)(to + seq_offset(table)) = before;
            return;
        }
    }
    memset(to, 0, layout_rules[table].record_bytes);
}

static enum err copy_table(struct view *v, unsigned table)
{
    const struct arena_table_desc *desc = &v->layout.header.table[table];
    uint32_t size = layout_rules[table].record_bytes;
    uint32_t used = is_ring(table) ? desc->capacity : desc->used;
    const uint8_t *from = v->ram + layout_phys(&v->layout, table, 0);
    uint8_t *to = realloc(v->table[table], (size_t)used * size + 1);

    if (!to)
        return ERR_NOMEM;
    v->table[table] = to;
    v->used[table] = used;
    if (!is_ring(table))
        memcpy(to, from, (size_t)used * size);
    else
        for (uint32_t i = 0; i < used; i++)
            copy_ring_record(to + (size_t)i * size, from + (size_t)i * size, table);
    return ERR_OK;
}

static enum err copy_once(struct view *v)
{
    enum err e = layout_read(v->ram, v->ram_bytes, &v->layout);

    for (unsigned t = 0; !e && t < ARENA_TABLES; t++)
        if (t != ARENA_MAILBOX)
            e = copy_table(v, t);
    return e;
}

enum err copy_take(struct view *v, const struct copy_patience *patience)
{
    if (v->ram_bytes < LAYOUT_ARENA_PHYS + sizeof(struct arena_header))
        return ERR_RANGE;

    uint64_t start = now_ms(), first = copy_generation(v->ram);
    for (;;) {
        uint64_t before = copy_generation(v->ram);

        if ((before & 1) == 0) {
            enum err e = copy_once(v);

            __atomic_thread_fence(__ATOMIC_ACQUIRE);
            if (e || copy_generation(v->ram) == before)
                return e;
        }
        if (now_ms() - start >= (copy_generation(v->ram) == first ? patience->stuck_ms : patience->busy_ms))
            break;
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    }
    if (!patience->anyway)
        return ERR_BUSY;
    v->torn = true;
    return copy_once(v);
}
