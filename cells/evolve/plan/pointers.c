/* See pointers.h. Searches from the static data of all live cells, object by object, along the type graph. No pointer
 * is trusted: what it refers to must be aligned, mapped, and within its section or block; each object is searched once
 * for each type, and the whole ends after so many steps. All is read through the direct map. */
#include "cells/evolve/plan/pointers.h"
#include "cells/evolve/plan/parts.h"
#include "cells/evolve/plan/search.h"
#include "cells/host/log/log.h"
#include "cells/memory/heap/heap.h"
#include "guest/abi/layout.h"

#define PAGE_BYTES  4096ul
#define OBJECTS_MIN 1024
#define OBJECTS_MAX (1u << 16)
#define STEPS_MAX   (1u << 22) /* words and parts of objects */

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

/* Whether the section is an old cell's, and its bytes are not carried. */
static bool is_given_up(const struct plan *plan, struct section_ref section)
{
    return plan_is_old(plan, arena_section(section)->cell) && !plan_is_kept(plan, section);
}

/* How many bytes there may be at `virt`; 0: nothing that is to be searched. */
static uint64_t bytes_at(const struct search *search, uint64_t virt, const struct graph_type *type)
{
    struct section_ref section = arena_section_at(virt);
    size_t block;

    if (section.index) {
        const struct arena_section *s = arena_section(section);
        bool live = arena_cell(s->cell)->state == CELL_LIVE;
        bool searched = section_is_data(section) && live && !is_given_up(search->plan, section);
        return searched ? s->bytes - (virt - s->virt) : 0;
    }
    return heap_is_block((const void *)virt, &block) ? block : type->shape->bytes;
}

static uint32_t *slot_for(const struct search *search, uint64_t virt, uint32_t type)
{
    size_t mask = 2 * search->max - 1;
    size_t at = ((virt >> 3) * 0x9e3779b97f4a7c15 + type * 0xff51afd7ed558ccdull) >> 24 & mask;

    for (uint32_t n;
         (n = search->slot[at]) && (search->object[n - 1].virt != virt || search->object[n - 1].type != type);)
        at = (at + 1) & mask;
    return &search->slot[at];
}

static void add_object(struct search *search, struct object object, uint64_t room)
{
    const struct graph_type *type = &search->graph->type[object.type];
    uint32_t *slot = slot_for(search, object.virt, object.type);

    if (*slot)
        return;
    object.room = mapped_bytes(object.virt, room < UINT32_MAX ? room : UINT32_MAX, &object.bytes);
    if (object.room < type->shape->bytes)
        return;
    if (search->objects == search->max) {
        search->full = true;
        return;
    }
    search->object[search->objects++] = object;
    *slot = (uint32_t)search->objects;
}

static void follow(struct search *search, uint32_t parent, uint32_t at, uint32_t type, uint64_t virt)
{
    bool canonical = (uint64_t)((int64_t)(virt << 16) >> 16) == virt; /* page tables ignore the bits above */

    if (!virt || virt % 8 || !canonical || !search->graph->type[type].reaches)
        return;
    uint64_t room = bytes_at(search, virt, &search->graph->type[type]);
    if (room)
        add_object(search, (struct object){.virt = virt, .type = type, .parent = parent, .at = at}, room);
}

/* ---- the search ---- */

static void search_word(struct search *search, uint32_t index, uint32_t at, const struct note_field *field)
{
    const struct object *object = &search->object[index];
    uint64_t word = __atomic_load_n((const uint64_t *)(object->bytes + at), __ATOMIC_RELAXED);

    if (field->what != NOTE_TO_FUNCTION) {
        follow(search, index, at, field->target, word);
        return;
    }
    enum call_fit fit = plan_in_old(search->plan, word) ? plan_check_call(search->plan, word, field->hash) : CALL_FITS;
    if (fit != CALL_FITS && (!object->section.index || plan_is_pointer_kept(search->plan, object->section, at)))
        search_refuse(search, object, at, word, fit == CALL_RETYPED);
}

/* What is at `base` of the object, up to `end`. */
static void search_type(struct search *search, uint32_t index, uint32_t base, uint32_t end, uint32_t type_index,
                        unsigned depth)
{
    const struct graph_type *type = &search->graph->type[type_index];

    for (uint32_t i = 0; i < type->shape->fields && depth < SEARCH_DEPTH_MAX; i++) {
        const struct note_field *field = &type->field[i];
        if (field->what == NOTE_TO_TAG ||
            (field->what != NOTE_TO_FUNCTION && !search->graph->type[field->target].reaches))
            continue;
        uint64_t count = field->count ? field->count : (end - base - field->offset) / field->stride;
        for (uint64_t k = 0; k < count && !search->error && search->steps++ < STEPS_MAX; k++) {
            uint32_t at = base + field->offset + (uint32_t)k * field->stride;
            if (field->what == NOTE_HOLDS)
                search_type(search, index, at, end, field->target, depth + 1);
            else
                search_word(search, index, at, field);
        }
    }
}

/* A block that has room for several is an array of them. */
static void search_object(struct search *search, uint32_t index)
{
    const struct object object = search->object[index];
    const struct graph_type *type = &search->graph->type[object.type];
    uint32_t bytes = type->shape->bytes, count = type->open || object.room % bytes ? 1 : object.room / bytes;

    if (object.section.index)
        count = 1;
    for (uint32_t i = 0; i < count && !search->error && search->steps < STEPS_MAX; i++)
        search_type(search, index, i * bytes, type->open ? object.room : (i + 1) * bytes, object.type, 0);
}

static void add_roots(struct search *search)
{
    for (size_t i = 0; i < search->graph->roots; i++) {
        const struct graph_root *root = &search->graph->root[i];
        const struct arena_section *s = arena_section(root->section);
        const struct object object = {
            .virt = s->virt, .type = root->type, .section = root->section, .parent = SEARCH_ROOT};
        if (search->graph->type[root->type].reaches && s->virt % 8 == 0 && !is_given_up(search->plan, root->section))
            add_object(search, object, s->bytes);
    }
}

enum searched {
    SEARCHED_ALL,
    SEARCHED_REFUSED,  /* the report says why */
    SEARCHED_NO_ROOM,  /* there are more objects than room */
    SEARCHED_TOO_LONG, /* after STEPS_MAX steps */
};

static enum searched refuse_memory(struct report *report)
{
    (void)report_refuse(report, ERR_NOMEM, "no memory to search for pointers to functions");
    return SEARCHED_REFUSED;
}

/* With room for `max` objects, a power of two. */
static enum searched search_all(const struct plan *plan, const struct type_graph *graph, size_t max,
                                struct report *report)
{
    size_t objects = max * sizeof(struct object);
    OWN(mapped_pages)
    struct mapped_pages *memory = page_map(objects + 2 * max * sizeof(uint32_t), PAGE_WRITE);

    if (!memory)
        return refuse_memory(report);
    struct search search = {.plan = plan, .graph = graph, .object = page_start(memory), .max = max, .report = report};
    search.slot = (uint32_t *)((uint8_t *)page_start(memory) + objects);
    add_roots(&search);
    for (uint32_t i = 0; i < search.objects && !search.error; i++)
        search_object(&search, i);
    if (search.error)
        return SEARCHED_REFUSED;
    if (search.steps >= STEPS_MAX)
        return SEARCHED_TOO_LONG;
    return search.full ? SEARCHED_NO_ROOM : SEARCHED_ALL;
}

enum err pointers_check(const struct plan *plan, struct report *report)
{
    if (!plan_loses_functions(plan))
        return ERR_OK;
    OWN(type_graph) struct type_graph *graph = type_graph_new();
    enum searched searched = graph ? SEARCHED_NO_ROOM : refuse_memory(report);

    for (size_t max = OBJECTS_MIN; searched == SEARCHED_NO_ROOM && max <= OBJECTS_MAX; max *= 2)
        searched = search_all(plan, graph, max, report);
    if (searched == SEARCHED_REFUSED)
        return report->error;
    if (searched != SEARCHED_ALL)
        log_warn("swap: too many objects may hold pointers to functions; some were not searched");
    return ERR_OK;
}
