/* The parts of a view, for the files of this library. */
#pragma once
#include "introspect/layout.h"
#include "introspect/view.h"

enum { RECORD_TABLES = ARENA_CPUS + 1, STRING_MAX = 512 };

enum status {
    STATUS_FREE,
    STATUS_UNUSABLE, /* not handed out: what it belongs to does not exist */
    STATUS_DAMAGED,  /* handed out with its bad references emptied */
    STATUS_SOUND,
};

/* Lists of items by bucket: bucket b has item[start[b]] .. item[start[b + 1] - 1]. */
struct group {
    uint32_t *start, *item;
    uint32_t buckets;
};

struct group_items {
    const uint32_t *item;
    size_t count;
};

struct view {
    const uint8_t *ram;
    size_t ram_bytes;
    struct layout layout;
    bool torn;
    uint8_t *table[ARENA_TABLES]; /* private copies, used[] records each; no mailbox */
    uint32_t used[ARENA_TABLES];
    uint8_t *status[RECORD_TABLES];
    uint32_t *ring[ARENA_TABLES]; /* of the rings: indices by seq */
    uint32_t ring_count[ARENA_TABLES];
    struct group sections_of, symbols_of, symbols_in, edges_out, edges_in;
    uint32_t *by_virt; /* sections by address */
    uint32_t by_virt_count;
    struct view_damage damage[VIEW_DAMAGE_MAX];
    size_t damages;
};

static inline void *record(const struct view *v, enum arena_table table, uint32_t index)
{
    return v->table[table] + (size_t)index * layout_rules[table].record_bytes;
}

/* The record if it may be handed out, else NULL. */
static inline void *usable(const struct view *v, enum arena_table table, uint32_t index)
{
    if (index == 0 || index >= v->used[table] || v->status[table][index] < STATUS_DAMAGED)
        return NULL;
    return record(v, table, index);
}

/* copy.c */
uint64_t copy_generation(const uint8_t *ram);
/* How long a guest may be in a change: in one, and in one after the other. */
struct copy_patience {
    unsigned stuck_ms, busy_ms;
    bool anyway; /* what is copied then is taken all the same */
};
enum err copy_take(struct view *v, const struct copy_patience *patience);
/* check.c */
void damage_add(struct view *v, enum arena_table table, uint32_t index, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
enum err check_all(struct view *v);
/* Makes `text` printable ASCII that ends within `bytes`. */
void check_text(char *text, size_t bytes);
/* ring.c */
enum err ring_check_all(struct view *v);
/* group.c */
enum err group_all(struct view *v);
void group_free(struct view *v);
struct group_items group_list(const struct group *g, uint32_t bucket);
