/* See place.h. */
#include "injector/place.h"
#include "guest/abi/layout.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* NUMBER[+NUMBER]. */
static bool parse_span(const char *words, uint64_t *ret_start, uint64_t *ret_bytes)
{
    const char *plus = strchr(words, '+');
    char *end;

    errno = 0;
    *ret_start = strtoull(words, &end, 0);
    *ret_bytes = 1;
    if (end == words || *words == '-' || errno || (plus ? end != plus : *end != '\0'))
        return false;
    if (plus) {
        *ret_bytes = strtoull(plus + 1, &end, 0);
        return end != plus + 1 && plus[1] != '-' && !*end && !errno && *ret_bytes != 0;
    }
    return true;
}

static enum err parse_phys(const char *words, struct place *place, struct why *why)
{
    if (!parse_span(words, &place->phys, &place->bytes))
        return why_set(why, ERR_INVALID, "target phys:%.60s: say phys:ADDRESS or phys:ADDRESS+BYTES", words);
    return ERR_OK;
}

/* NAME[+OFFSET[+BYTES]]. */
static bool parse_symbol(struct place *place)
{
    char *plus = strchr(place->name, '+');

    if (!plus)
        return true;
    *plus = '\0';
    return place->name[0] && parse_span(plus + 1, &place->phys, &place->bytes);
}

/* Splits NAME[:REST]. */
static bool split(const char *words, struct place *place)
{
    size_t name = strcspn(words, ":");
    const char *rest = words[name] ? words + name + 1 : "";

    if (name == 0 || name >= sizeof place->name || strlen(rest) >= sizeof place->section)
        return false;
    memcpy(place->name, words, name);
    place->name[name] = '\0';
    strcpy(place->section, rest);
    return words[name] == '\0' || *rest;
}

enum err place_parse(const char *words, struct place *ret_place, struct why *why)
{
    static const struct {
        const char *prefix;
        enum place_kind kind;
    } kinds[] = {{"cell:", PLACE_CELL}, {"symbol:", PLACE_SYMBOL}, {"task:", PLACE_TASK}, {"phys:", PLACE_PHYS}};
    struct place place = {.kind = PLACE_RANDOM};

    if (strcmp(words, "random") == 0) {
        *ret_place = place;
        return ERR_OK;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t n = strlen(kinds[i].prefix);

        if (strncmp(words, kinds[i].prefix, n) != 0)
            continue;
        place.kind = kinds[i].kind;
        if (place.kind == PLACE_PHYS) {
            enum err e = parse_phys(words + n, &place, why);
            if (e == ERR_OK)
                *ret_place = place;
            return e;
        }
        bool good = split(words + n, &place);
        if (place.kind == PLACE_SYMBOL)
            good = good && !place.section[0] && parse_symbol(&place);
        if (place.kind == PLACE_TASK)
            good = good && strcmp(place.section, "stack") == 0;
        if (!good)
            break;
        *ret_place = place;
        return ERR_OK;
    }
    return why_set(why, ERR_INVALID,
                   "target '%.100s' is none of cell:NAME[:SECTION], symbol:NAME[+OFFSET[+BYTES]], "
                   "task:NAME:stack, phys:ADDRESS[+BYTES], "
                   "random",
                   words);
}

static enum err add(struct place_ranges *ranges, const struct view *view, struct place_range range)
{
    size_t ram;

    view_ram(view, &ram);
    if (range.bytes == 0 || range.phys >= ram || range.bytes > ram - range.phys)
        return ERR_OK;
    struct place_range *grown = reallocarray(ranges->range, ranges->count + 1, sizeof *grown);
    if (!grown)
        return ERR_NOMEM;
    ranges->range = grown;
    grown[ranges->count++] = range;
    ranges->bytes += range.bytes;
    return ERR_OK;
}

static bool overlaps_arena(const struct arena_section *s)
{
    return s->phys < LAYOUT_ARENA_PHYS + LAYOUT_ARENA_BYTES && s->phys + s->bytes > LAYOUT_ARENA_PHYS;
}

static bool section_fits(const struct view *view, uint32_t index, const char *words)
{
    static const struct {
        const char *word;
        uint32_t kind;
    } kinds[] = {{".text", SECTION_TEXT}, {".rodata", SECTION_RODATA}, {".data", SECTION_DATA}, {".bss", SECTION_BSS}};

    if (!*words)
        return true;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(words, kinds[i].word) == 0)
            return view_section(view, index)->kind == kinds[i].kind;
    const char *name = view_section_name(view, index), *dot = *name ? strchr(name + 1, '.') : NULL;
    return strcmp(name, words) == 0 || (dot && strcmp(dot + 1, words) == 0);
}

/* The arena itself is part of the nano_core's image, and the observer's own record: it is left alone here, and can be
 * reached by phys:. */
static enum err add_cell(struct place_ranges *ranges, const struct view *view, uint32_t cell, const char *section)
{
    struct view_list list = view_sections_of(view, cell);
    enum err e = ERR_OK;

    for (size_t i = 0; i < list.count && e == ERR_OK; i++) {
        const struct arena_section *s = view_section(view, list.item[i]);

        if (s && !overlaps_arena(s) && section_fits(view, list.item[i], section))
            e = add(ranges, view, (struct place_range){.phys = s->phys, .bytes = s->bytes, .section = list.item[i]});
    }
    return e;
}

static enum err add_cells(struct place_ranges *ranges, const struct view *view, const char *section)
{
    enum err e = ERR_OK;

    for (uint32_t i = 0; e == ERR_OK && (i = view_next(view, ARENA_CELLS, i));)
        if (view_cell(view, i)->state == CELL_LIVE)
            e = add_cell(ranges, view, i, section);
    return e;
}

/* Below the stack pointer nothing is kept. The saved one is as old as the last switch. */
static enum err add_stack(struct place_ranges *ranges, const struct view *view, const struct arena_task *task)
{
    uint64_t used = task->saved_rsp - task->stack_virt;
    struct place_range range = {.phys = task->stack_phys, .bytes = task->stack_bytes};

    if (task->state == TASK_FREE || task->state == TASK_EXITED)
        return ERR_OK;
    if (used < task->stack_bytes) {
        range.phys += used;
        range.bytes -= used;
    }
    return add(ranges, view, range);
}

static enum err add_stacks(struct place_ranges *ranges, const struct view *view)
{
    enum err e = ERR_OK;

    for (uint32_t i = 0; e == ERR_OK && (i = view_next(view, ARENA_TASKS, i));)
        e = add_stack(ranges, view, view_task(view, i));
    return e;
}

static enum err resolve_cell(const struct place *place, const struct view *view, struct place_ranges *ranges,
                             struct why *why)
{
    if (strcmp(place->name, "*") == 0)
        return add_cells(ranges, view, place->section);
    uint32_t cell = view_find_cell(view, 0, place->name);
    if (!cell)
        return why_set(why, ERR_NOT_FOUND, "there is no cell '%s'; `delias cells` lists them", place->name);
    return add_cell(ranges, view, cell, place->section);
}

static enum err resolve_symbol(const struct place *place, const struct view *view, struct place_ranges *ranges,
                               struct why *why)
{
    uint32_t index = view_find_symbol(view, place->name);
    const struct arena_symbol *symbol = view_symbol(view, index);
    const struct arena_section *section = symbol ? view_section(view, symbol->section) : NULL;

    if (!section || symbol->offset >= section->bytes)
        return why_set(why, ERR_NOT_FOUND, "there is no symbol '%s'; `delias symbols` lists them", place->name);
    uint64_t left = section->bytes - symbol->offset, bytes = symbol->bytes ? symbol->bytes : left;
    bytes = bytes < left ? bytes : left;
    if (place->bytes && (place->phys >= bytes || place->bytes > bytes - place->phys))
        return why_set(why, ERR_RANGE, "symbol %s has %llu bytes", place->name, (unsigned long long)bytes);
    return add(ranges, view,
               (struct place_range){.phys = section->phys + symbol->offset + place->phys,
                                    .bytes = place->bytes ? place->bytes : bytes,
                                    .section = symbol->section,
                                    .offset = symbol->offset + (uint32_t)place->phys});
}

static enum err resolve_task(const struct place *place, const struct view *view, struct place_ranges *ranges,
                             struct why *why)
{
    if (strcmp(place->name, "*") == 0)
        return add_stacks(ranges, view);
    uint32_t task = view_find_task(view, place->name);
    if (!task)
        return why_set(why, ERR_NOT_FOUND, "there is no task '%s'; `delias tasks` lists them", place->name);
    return add_stack(ranges, view, view_task(view, task));
}

/* The section that holds all of [phys, phys + bytes), so that text is written the way text must be. */
static uint32_t section_of_phys(const struct view *view, uint64_t phys, uint64_t bytes)
{
    for (uint32_t i = 0; (i = view_next(view, ARENA_SECTIONS, i));) {
        const struct arena_section *s = view_section(view, i);

        if (phys >= s->phys && phys - s->phys < s->bytes && bytes <= s->bytes - (phys - s->phys))
            return i;
    }
    return 0;
}

static enum err resolve_phys(const struct place *place, const struct view *view, struct place_ranges *ranges,
                             struct why *why)
{
    uint32_t section = section_of_phys(view, place->phys, place->bytes);
    size_t ram;

    view_ram(view, &ram);
    if (place->phys >= ram || place->bytes > ram - place->phys)
        return why_set(why, ERR_RANGE, "phys:%#llx+%llu is not within the machine's %zu MiB of RAM",
                       (unsigned long long)place->phys, (unsigned long long)place->bytes, ram >> 20);
    return add(
        ranges, view,
        (struct place_range){.phys = place->phys,
                             .bytes = place->bytes,
                             .section = section,
                             .offset = section ? (uint32_t)(place->phys - view_section(view, section)->phys) : 0});
}

static enum err resolve_random(const struct view *view, struct place_ranges *ranges)
{
    enum err e = add_cells(ranges, view, "");

    return e == ERR_OK ? add_stacks(ranges, view) : e;
}

enum err place_resolve(const struct place *place, const struct view *view, struct place_ranges *ret_ranges,
                       struct why *why)
{
    struct place_ranges ranges = {0};
    enum err e;

    why->text[0] = '\0';
    switch (place->kind) {
    case PLACE_CELL:
        e = resolve_cell(place, view, &ranges, why);
        break;
    case PLACE_SYMBOL:
        e = resolve_symbol(place, view, &ranges, why);
        break;
    case PLACE_TASK:
        e = resolve_task(place, view, &ranges, why);
        break;
    case PLACE_PHYS:
        e = resolve_phys(place, view, &ranges, why);
        break;
    default:
        e = resolve_random(view, &ranges);
        break;
    }
    if (e == ERR_OK && ranges.bytes == 0)
        e = place->section[0] && place->kind == PLACE_CELL
                ? why_set(why, ERR_NOT_FOUND, "cell %s has nothing in %s; `delias sections` lists what it has",
                          place->name, place->section)
                : why_set(why, ERR_NOT_FOUND, "%s: there is no memory to inject into", place->name);
    if (e == ERR_OK) {
        *ret_ranges = ranges;
        return ERR_OK;
    }
    if (!why->text[0])
        why_fill(why, "%s", err_text(e));
    place_ranges_done(&ranges);
    return e;
}

void place_ranges_done(struct place_ranges *ranges)
{
    free(ranges->range);
    *ranges = (struct place_ranges){0};
}

struct place_range place_byte(const struct place_ranges *ranges, uint64_t n)
{
    size_t i = 0;

    while (i + 1 < ranges->count && n >= ranges->range[i].bytes)
        n -= ranges->range[i++].bytes;
    struct place_range r = ranges->range[i];
    r.lead = n;
    r.phys += n;
    r.bytes -= n;
    r.offset += (uint32_t)n;
    return r;
}
