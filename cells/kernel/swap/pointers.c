/* See pointers.h. From the static data of all live cells, object by object, along the ways that notes tell of (ways.h). No
 * pointer is trusted: what it leads to must be aligned, mapped, and within its section or block; each object is looked at
 * once for each type, and the whole ends after so many steps. All is read through the direct map. */
#include "cells/kernel/swap/pointers.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/heap/heap.h"
#include "cells/kernel/log/log.h"
#include "cells/kernel/swap/ways.h"
#include "cells/lib/format/format.h"
#include "cells/lib/string/string.h"
#include "guest/abi/layout.h"

#define PAGE_BYTES  4096ul
#define OBJECTS_MIN 1024
#define OBJECTS_MAX (1u << 16)
#define STEPS_MAX   (1u << 22) /* words and parts looked at */
#define DEPTH_MAX   16         /* of types within types */
#define ROOT        UINT32_MAX
#define HOPS_MAX    3 /* pointers that a message names */
#define PATH_BYTES  72

struct object {
    uint64_t virt;
    const uint8_t *bytes; /* in the direct map */
    uint32_t type;
    uint32_t room;       /* bytes up to its end, that of its block or section */
    uint32_t section;    /* of static data that is a beginning; 0: it was come upon */
    uint32_t parent, at; /* the object that led here first, and where it does; ROOT: none */
};

struct walk {
    const struct plan *plan;
    const struct ways *ways;
    struct object *object; /* those found, in the order in which they are looked at */
    uint32_t *slot;        /* by hash of address and type: number of the object plus one */
    size_t objects, max, steps;
    bool full;
    enum err error;
    struct loader_detail *detail;
};

/* ---- objects ---- */

static bool in_direct_map(uint64_t phys)
{
    return page_translate(LAYOUT_DIRECT_VIRT + phys, &phys) == ERR_OK;
}

/* Bytes from `virt` on that are mapped to memory in one piece, at most `bytes`. */
static uint32_t mapped_bytes(uint64_t virt, uint64_t bytes, const uint8_t **ret_bytes)
{
    uint64_t first = 0, phys, done = 0;

    while (done < bytes && page_translate(virt + done, &phys) == ERR_OK && in_direct_map(phys)) {
        if (!done)
            first = phys;
        else if (phys != first + done)
            break;
        done += PAGE_BYTES - (virt + done) % PAGE_BYTES;
    }
    *ret_bytes = page_direct(first);
    return (uint32_t)(done < bytes ? done : bytes);
}

/* Of an old cell, and what becomes of it is not its bytes. */
static bool is_given_up(const struct plan *plan, uint32_t section)
{
    return plan_is_old(plan, arena_section(section)->cell) && !plan_keeps(plan, section);
}

/* How far what a pointer leads to may reach; 0: not there. */
static uint64_t bounds(const struct walk *walk, uint64_t virt, const struct way_type *type)
{
    uint32_t section = arena_section_at(virt);
    size_t block;

    if (section) {
        const struct arena_section *s = arena_section(section);
        bool data = s->kind == SECTION_DATA || s->kind == SECTION_BSS;
        bool live = arena_cell(s->cell)->state == CELL_LIVE;
        return data && live && !is_given_up(walk->plan, section) ? s->bytes - (virt - s->virt) : 0;
    }
    return heap_is_block((const void *)virt, &block) ? block : type->shape->bytes;
}

static uint32_t *slot_of(const struct walk *walk, uint64_t virt, uint32_t type)
{
    size_t mask = 2 * walk->max - 1,
           at = ((virt >> 3) * 0x9e3779b97f4a7c15 + type * 0xff51afd7ed558ccdull) >> 24 & mask;

    for (uint32_t n; (n = walk->slot[at]) && (walk->object[n - 1].virt != virt || walk->object[n - 1].type != type);)
        at = (at + 1) & mask;
    return &walk->slot[at];
}

static void add_object(struct walk *walk, struct object object, uint64_t room)
{
    const struct way_type *type = &walk->ways->type[object.type];
    uint32_t *slot = slot_of(walk, object.virt, object.type);

    if (*slot)
        return;
    object.room = mapped_bytes(object.virt, room < UINT32_MAX ? room : UINT32_MAX, &object.bytes);
    if (object.room < type->shape->bytes)
        return;
    if (walk->objects == walk->max) {
        walk->full = true;
        return;
    }
    walk->object[walk->objects++] = object;
    *slot = (uint32_t)walk->objects;
}

static void follow(struct walk *walk, uint32_t parent, uint32_t at, uint32_t type, uint64_t virt)
{
    bool canonical = (uint64_t)((int64_t)(virt << 16) >> 16) == virt; /* page tables do not look at the bits above */

    if (!virt || virt % 8 || !canonical || !walk->ways->type[type].leads)
        return;
    uint64_t room = bounds(walk, virt, &walk->ways->type[type]);
    if (room)
        add_object(walk, (struct object){.virt = virt, .type = type, .parent = parent, .at = at}, room);
}

/* ---- words for people ---- */

struct path {
    char text[PATH_BYTES];
    size_t bytes;
};

static void put(struct path *path, const char *words)
{
    path->bytes += format_print(path->text + path->bytes, sizeof path->text - path->bytes, "%s", words);
}

static bool covers(const struct way_type *type, const struct note_field *field, const struct ways *ways, uint32_t at)
{
    uint32_t each = field->what == NOTE_HOLDS ? ways->type[field->target].shape->bytes : 8;

    return at >= field->offset && (!field->count || (at - field->offset) / field->stride < field->count) &&
           (at - field->offset) % field->stride < each && type->leads;
}

/* The field at `at` of a type: "slots[2].call". */
static void put_field(struct path *path, const struct ways *ways, uint32_t index, uint32_t at, unsigned depth)
{
    const struct way_type *type = &ways->type[index];
    char digits[16];

    for (uint32_t i = 0; depth < DEPTH_MAX && i < type->shape->fields; i++) {
        const struct note_field *field = &type->field[i];
        if (!covers(type, field, ways, at))
            continue;
        const char *name = type->names + field->name;
        if (*name && path->bytes && path->text[path->bytes - 1] != '>')
            put(path, ".");
        put(path, name);
        format_print(digits, sizeof digits, "[%u]", (at - field->offset) / field->stride);
        put(path, field->count == 1 ? "" : digits);
        if (field->what == NOTE_HOLDS)
            put_field(path, ways, field->target, (at - field->offset) % field->stride, depth + 1);
        return;
    }
}

/* The datum, and how one comes from it to byte `at` of the object: the last steps, where there are many. */
static void put_way(struct path *path, const struct walk *walk, const struct object *object, uint32_t at)
{
    const struct object *way[HOPS_MAX];
    uint32_t where[HOPS_MAX];
    size_t hops = 0;
    char digits[16];
    bool cut = false;

    for (; object->parent != ROOT; object = &walk->object[object->parent]) {
        cut |= hops == HOPS_MAX;
        if (hops < HOPS_MAX) {
            way[hops] = object;
            where[hops++] = at;
        }
        at = object->at;
    }
    put_field(path, walk->ways, object->type, at, 0);
    put(path, cut ? "->..." : "");
    while (hops-- > 0) {
        uint32_t bytes = walk->ways->type[way[hops]->type].shape->bytes;
        bool open = walk->ways->type[way[hops]->type].open;
        format_print(digits, sizeof digits, "[%u]", open ? 0 : where[hops] / bytes);
        put(path, !open && where[hops] >= bytes ? digits : "->");
        put_field(path, walk->ways, way[hops]->type, open ? where[hops] : where[hops] % bytes, 0);
    }
}

static uint32_t cell_of(const struct walk *walk, const struct object *object)
{
    while (object->parent != ROOT)
        object = &walk->object[object->parent];
    return arena_section(object->section)->cell;
}

static const char *function_name(uint32_t section)
{
    const char *name = arena_string(arena_section(section)->name);

    return string_starts(name, ".text.") ? name + 6 : name;
}

static void refuse(struct walk *walk, const struct object *object, uint32_t at, uint64_t word, enum err error)
{
    uint32_t function = arena_section_at(word);
    struct path path = {.bytes = 0};

    put_way(&path, walk, object, at);
    format_print(walk->detail->text, sizeof walk->detail->text, "cell %s: %s points to %s of cell %s, which %s",
                 arena_string(arena_cell(cell_of(walk, object))->name), path.text, function_name(function),
                 arena_string(arena_cell(arena_section(function)->cell)->name),
                 error == ERR_WRONG_TYPE ? "has another type then" : "has no counterpart");
    walk->error = error;
}

/* ---- the walk ---- */

static void look_at_word(struct walk *walk, uint32_t index, uint32_t at, const struct note_field *field)
{
    const struct object *object = &walk->object[index];
    uint64_t word = __atomic_load_n((const uint64_t *)(object->bytes + at), __ATOMIC_RELAXED);

    if (field->what != NOTE_TO_FUNCTION) {
        follow(walk, index, at, field->target, word);
        return;
    }
    enum err error = plan_in_old(walk->plan, word) ? plan_calls(walk->plan, word, field->hash) : ERR_OK;
    if (error && (!object->section || plan_moves(walk->plan, object->section, at)))
        refuse(walk, object, at, word, error);
}

/* What lies at `base` of the object, up to `end`. */
static void look_at(struct walk *walk, uint32_t index, uint32_t base, uint32_t end, uint32_t type_index, unsigned depth)
{
    const struct way_type *type = &walk->ways->type[type_index];

    for (uint32_t i = 0; i < type->shape->fields && depth < DEPTH_MAX; i++) {
        const struct note_field *field = &type->field[i];
        bool holds = field->what == NOTE_HOLDS;
        if (field->what == NOTE_TO_TAG || (field->what != NOTE_TO_FUNCTION && !walk->ways->type[field->target].leads))
            continue;
        uint64_t count = field->count ? field->count : (end - base - field->offset) / field->stride;
        for (uint64_t k = 0; k < count && !walk->error && walk->steps++ < STEPS_MAX; k++) {
            uint32_t at = base + field->offset + (uint32_t)k * field->stride;
            if (holds)
                look_at(walk, index, at, end, field->target, depth + 1);
            else
                look_at_word(walk, index, at, field);
        }
    }
}

/* A block that holds several, one behind the other, is an array of them. */
static void look_at_object(struct walk *walk, uint32_t index)
{
    const struct object object = walk->object[index];
    const struct way_type *type = &walk->ways->type[object.type];
    uint32_t bytes = type->shape->bytes, count = type->open || object.room % bytes ? 1 : object.room / bytes;

    if (object.section)
        count = 1;
    for (uint32_t i = 0; i < count && !walk->error && walk->steps < STEPS_MAX; i++)
        look_at(walk, index, i * bytes, type->open ? object.room : (i + 1) * bytes, object.type, 0);
}

static void add_roots(struct walk *walk)
{
    for (size_t i = 0; i < walk->ways->roots; i++) {
        const struct way_root *root = &walk->ways->root[i];
        const struct arena_section *s = arena_section(root->section);
        if (walk->ways->type[root->type].leads && s->virt % 8 == 0 && !is_given_up(walk->plan, root->section))
            add_object(walk,
                       (struct object){.virt = s->virt, .type = root->type, .section = root->section, .parent = ROOT},
                       s->bytes);
    }
}

/* With room for `max` objects, a power of two. ERR_FULL: there are more. ERR_TIMEOUT: it took too many steps. */
static enum err walk_all(const struct plan *plan, const struct ways *ways, size_t max, struct loader_detail *detail)
{
    size_t objects = max * sizeof(struct object);
    OWN(mapped_pages)
    struct mapped_pages *memory = page_map(objects + 2 * max * sizeof(uint32_t), PAGE_WRITE);

    if (!memory)
        return ERR_NOMEM;
    struct walk walk = {.plan = plan, .ways = ways, .object = page_start(memory), .max = max, .detail = detail};
    walk.slot = (uint32_t *)((uint8_t *)page_start(memory) + objects);
    add_roots(&walk);
    for (uint32_t i = 0; i < walk.objects && !walk.error; i++)
        look_at_object(&walk, i);
    if (!walk.error && walk.steps >= STEPS_MAX)
        return ERR_TIMEOUT;
    return walk.error ? walk.error : walk.full ? ERR_FULL : ERR_OK;
}

enum err pointers_check(const struct plan *plan, struct loader_detail *detail)
{
    if (!plan_loses_functions(plan))
        return ERR_OK;
    OWN(ways) struct ways *ways = ways_gather();
    enum err error = ways ? ERR_FULL : ERR_NOMEM;

    for (size_t max = OBJECTS_MIN; error == ERR_FULL && max <= OBJECTS_MAX; max *= 2)
        error = walk_all(plan, ways, max, detail);
    if (error == ERR_NOMEM)
        plan_say(detail, "no memory to look for pointers to functions", "", "", "");
    if (error != ERR_FULL && error != ERR_TIMEOUT)
        return error;
    log_warn("swap: too many objects may hold pointers to functions; some were not looked at");
    return ERR_OK;
}
