/* See place.h. */
#include "injector/place.h"
#include "guest/abi/layout.h"
#include "injector/blocks.h"
#include "introspect/base/number.h"
#include "introspect/base/ram_map.h"
#include "introspect/qualified.h"
#include "introspect/read.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { RECORD_MAX = 1024 };

static const uint32_t record_bytes[] = {
#define X(table, type, stable, base, most) [ARENA_##table] = sizeof(type),
    ARENA_SHAPES(X)
#undef X
};
#define X(table, type, stable, base, most) _Static_assert(sizeof(type) <= RECORD_MAX);
ARENA_SHAPES(X)
#undef X

/* NUMBER[+NUMBER]. */
static bool parse_span(const char *words, uint64_t *ret_start, uint64_t *ret_bytes)
{
    const char *plus = strchr(words, '+');
    char start[32];

    *ret_bytes = 1;
    if ((size_t)snprintf(start, sizeof start, "%.*s", (int)strcspn(words, "+"), words) >= sizeof start)
        return false;
    return number_parse(start, 0, UINT64_MAX, ret_start) && (!plus || number_parse(plus + 1, 1, UINT64_MAX, ret_bytes));
}

/* NAME[+OFFSET[+BYTES]]: cuts `name`. */
static bool parse_part(char *name, struct place *place)
{
    char *plus = strchr(name, '+');

    if (!plus)
        return true;
    *plus = '\0';
    return *name && parse_span(plus + 1, &place->phys, &place->bytes);
}

/* A part of what is one section. */
static bool parse_cell(struct place *place)
{
    struct qualified name;

    return parse_part(place->section, place) && (!place->bytes || strcmp(place->name, "*") != 0) &&
           qualified_parse(place->name, &name);
}

/* Splits NAME[:REST]. */
static bool split_target(const char *words, struct place *place)
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

const struct place_form place_forms[] = {
    {"cell:NAME[:SECTION[+OFFSET[+BYTES]]]",
     "all of a cell, or all sections of a kind (.text, .rodata, .data, .bss), or one\nsection by name (all that "
     "have it), or a part of one (BYTES: 1); NAME is CELL of the root,\nNAMESPACE/CELL, or * for every live cell",
     "cell:", PLACE_CELL},
    {"symbol:NAME[+OFFSET[+BYTES]]",
     "a function or datum, or a part of it (BYTES: 1); NAME is SYMBOL of the root,\nor [NAMESPACE/]CELL.SYMBOL",
     "symbol:", PLACE_SYMBOL},
    {"task:NAME:stack", "the part of its stack in use, as far as is known; NAME * is every task", "task:", PLACE_TASK},
    {"heap", "the blocks of the heap that are in use", "heap", PLACE_HEAP},
    {"phys:ADDRESS[+BYTES]", "physical memory", "phys:", PLACE_PHYS},
    {"random", "any section of any live cell, or a stack", "random", PLACE_RANDOM},
    {"arena:TABLE", "the records of a table of the arena that are in use: cells, sections, edges,\nfaults and so on",
     "arena:", PLACE_ARENA},
    {"behind:CELL:SECTION+OFFSET+BYTES", "a part of what each pointer in a section points to", "behind:", PLACE_BEHIND},
    {"register:NAME[@TARGET]",
     "a register: rax to r15, rip, rflags, or * for any; of the CPU that comes next to an\ninstruction of TARGET, a "
     "cell "
     "or symbol; else at once, of the first CPU",
     "register:", PLACE_REGISTER},
    {0},
};

/* ARENA_TABLES: there is none of that name. */
static enum arena_table table_number(const char *name)
{
    static const char *const names[] = {
#define X(table, type, stable, base, most) [ARENA_##table] = #table,
        ARENA_SHAPES(X)
#undef X
    };
    enum arena_table t = 0;

    while (t < ARENA_STRINGS && strcasecmp(names[t], name) != 0)
        t++;
    return t < ARENA_STRINGS ? t : ARENA_TABLES; /* strings and the mailbox are no records */
}

/* What follows "cell:" or "symbol:". */
static bool parse_code(enum place_kind kind, const char *rest, struct place *place)
{
    place->kind = kind;
    return split_target(rest, place) &&
           (kind == PLACE_CELL ? parse_cell(place) : !place->section[0] && parse_part(place->name, place));
}

/* NAME[@TARGET]. */
static bool parse_register(const char *rest, struct place *place)
{
    size_t name = strcspn(rest, "@");

    place->reg = register_parse(rest, name);
    if (!rest[name] || !place->reg)
        return place->reg != REGISTER_NONE;
    for (const struct place_form *f = place_forms; f->form; f++)
        if ((f->kind == PLACE_CELL || f->kind == PLACE_SYMBOL) &&
            strncmp(rest + name + 1, f->prefix, strlen(f->prefix)) == 0)
            return parse_code(f->kind, rest + name + 1 + strlen(f->prefix), place);
    return false;
}

static bool parse_as(const struct place_form *form, const char *rest, struct place *place)
{
    place->kind = form->kind;
    switch (form->kind) {
    case PLACE_CELL:
    case PLACE_SYMBOL:
        return parse_code(form->kind, rest, place);
    case PLACE_REGISTER:
        return parse_register(rest, place);
    case PLACE_TASK:
        return split_target(rest, place) && strcmp(place->section, "stack") == 0;
    case PLACE_PHYS:
        return parse_span(rest, &place->phys, &place->bytes);
    case PLACE_ARENA:
        return split_target(rest, place) && !place->section[0] && table_number(place->name) < ARENA_TABLES;
    case PLACE_BEHIND:
        return parse_code(PLACE_CELL, rest, place) && place->bytes && (place->kind = PLACE_BEHIND);
    case PLACE_HEAP:
    case PLACE_RANDOM:
        return !*rest;
    }
    return false;
}

static enum err refuse_target(const char *words, struct why *why)
{
    char forms[400] = "";
    size_t at = 0;

    for (const struct place_form *f = place_forms; f->form; f++)
        at += (size_t)snprintf(forms + at, sizeof forms - at, "%s%s", at ? ", " : "", f->form);
    return why_set(why, ERR_INVALID, "target '%.100s' is none of %s", words, forms);
}

enum err place_parse(const char *words, struct place *ret_place, struct why *why)
{
    for (const struct place_form *f = place_forms; f->form; f++) {
        size_t prefix = strlen(f->prefix);
        struct place place = {0};

        if (strncmp(words, f->prefix, prefix) != 0)
            continue;
        if (!parse_as(f, words + prefix, &place)) {
            if (f->kind == PLACE_PHYS)
                return why_set(why, ERR_INVALID, "target %.60s: say phys:ADDRESS or phys:ADDRESS+BYTES", words);
            break;
        }
        *ret_place = place;
        return ERR_OK;
    }
    return refuse_target(words, why);
}

static enum err add_place_range(struct place_ranges *ranges, const struct view *view, struct place_range range)
{
    size_t ram;

    view_ram(view, &ram);
    if (range.bytes == 0 || !ram_map_has(ram, range.phys, range.bytes))
        return ERR_OK;
    struct place_range *grown = reallocarray(ranges->range, ranges->count + 1, sizeof *grown);
    if (!grown)
        return ERR_NOMEM;
    ranges->range = grown;
    grown[ranges->count++] = range;
    ranges->bytes += range.bytes;
    return ERR_OK;
}

/* Several data of one name in a cell have numbers behind it, by which objects tell them apart: "table#1f2e3d4c". */
static bool is_called(const char *name, const char *words)
{
    size_t n = strlen(words);

    return strncmp(name, words, n) == 0 && (!name[n] || name[n] == '#');
}

bool place_fits(const struct place *place, uint32_t kind, const char *name)
{
    static const struct {
        const char *word;
        uint32_t kind;
    } kinds[] = {{".text", SECTION_TEXT}, {".rodata", SECTION_RODATA}, {".data", SECTION_DATA}, {".bss", SECTION_BSS}};

    const char *words = place->section, *dot = *name ? strchr(name + 1, '.') : NULL;

    if (!*words)
        return true;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(words, kinds[i].word) == 0)
            return kind == kinds[i].kind;
    return is_called(name, words) || (dot && is_called(dot + 1, words));
}

/* The arena itself is part of the nano_core's image, and the observer's own record: it is left alone here, and can be
 * reached by phys:. */
static enum err add_cell_ranges(struct place_ranges *ranges, const struct view *view, struct cell_ref cell,
                                const struct place *place)
{
    struct view_sections list = view_sections_of(view, cell);
    enum err e = ERR_OK;

    for (size_t i = 0; i < list.count && e == ERR_OK; i++) {
        const struct arena_section *s = view_section(view, list.item[i]);

        if (s && !view_is_in_arena(view, s->phys, s->bytes) &&
            place_fits(place, s->kind, view_section_name(view, list.item[i])))
            e = add_place_range(ranges, view,
                                (struct place_range){.phys = s->phys, .bytes = s->bytes, .section = list.item[i]});
    }
    return e;
}

static enum err add_all_cells(struct place_ranges *ranges, const struct view *view, const struct place *place)
{
    enum err e = ERR_OK;

    view_each_cell (cell, view)
        if (e == ERR_OK && view_cell(view, cell)->state == CELL_LIVE)
            e = add_cell_ranges(ranges, view, cell, place);
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
    return add_place_range(ranges, view, range);
}

static enum err add_stack_ranges(struct place_ranges *ranges, const struct view *view)
{
    enum err e = ERR_OK;

    view_each_task (task, view)
        if (e == ERR_OK)
            e = add_stack(ranges, view, view_task(view, task));
    return e;
}

/* `place->bytes` of the section called place->section. */
static enum err add_section_part(const struct place *place, const struct view *view, struct cell_ref cell,
                                 struct place_ranges *ranges, struct why *why)
{
    struct section_ref section = view_find_section(view, cell, place->section);
    const struct arena_section *s = view_section(view, section);

    if (!s)
        return why_set(why, ERR_NOT_FOUND, "cell %s has no section '%s'; `delias sections %s` lists them", place->name,
                       place->section, place->name);
    if (place->phys >= s->bytes || place->bytes > s->bytes - place->phys)
        return why_set(why, ERR_RANGE, "section %s of %s has %u bytes", place->section, place->name, s->bytes);
    return add_place_range(
        ranges, view,
        (struct place_range){
            .phys = s->phys + place->phys, .bytes = place->bytes, .section = section, .offset = (uint32_t)place->phys});
}

static enum err resolve_cell(const struct place *place, const struct view *view, struct place_ranges *ranges,
                             struct why *why)
{
    struct qualified_text text;
    struct qualified name;
    struct cell_ref cell;

    if (strcmp(place->name, "*") == 0)
        return add_all_cells(ranges, view, place);
    if (!qualified_parse(place->name, &name))
        return why_set(why, ERR_NOT_FOUND, "there is no cell '%s'", place->name);
    enum err e = qualified_cell(view, &name, QUALIFIED_HELD, &cell, &text);
    if (e)
        return why_set(why, e, "there is %.400s", text.text);
    return place->bytes ? add_section_part(place, view, cell, ranges, why) : add_cell_ranges(ranges, view, cell, place);
}

static enum err add_symbol_range(const struct place *place, const struct view *view, struct place_ranges *ranges,
                                 struct why *why)
{
    struct qualified_text text;
    struct symbol_ref found;
    enum err e = qualified_symbol(view, place->name, &found, &text);

    if (e)
        return why_set(why, e, "there is %.400s", text.text);
    const struct arena_symbol *symbol = view_symbol(view, found);
    const struct arena_section *section = view_section(view, symbol->section);
    if (!section || symbol->offset >= section->bytes)
        return why_set(why, ERR_NOT_FOUND, "symbol %s lies outside of its section", place->name);
    uint64_t left = section->bytes - symbol->offset, bytes = symbol->bytes ? symbol->bytes : left;
    bytes = bytes < left ? bytes : left;
    if (place->bytes && (place->phys >= bytes || place->bytes > bytes - place->phys))
        return why_set(why, ERR_RANGE, "symbol %s has %llu bytes", place->name, (unsigned long long)bytes);
    return add_place_range(ranges, view,
                           (struct place_range){.phys = section->phys + symbol->offset + place->phys,
                                                .bytes = place->bytes ? place->bytes : bytes,
                                                .section = symbol->section,
                                                .offset = symbol->offset + (uint32_t)place->phys});
}

static enum err resolve_task(const struct place *place, const struct view *view, struct place_ranges *ranges,
                             struct why *why)
{
    if (strcmp(place->name, "*") == 0)
        return add_stack_ranges(ranges, view);
    struct task_ref task = view_find_task(view, place->name);
    if (!task.index)
        return why_set(why, ERR_NOT_FOUND, "there is no task '%s'; `delias tasks` lists them", place->name);
    return add_stack(ranges, view, view_task(view, task));
}

/* Text is written the way text must be. */
struct section_ref place_section(const struct view *view, uint64_t phys, uint64_t bytes)
{
    view_each_section (section, view) {
        const struct arena_section *s = view_section(view, section);

        if (phys >= s->phys && phys - s->phys < s->bytes && bytes <= s->bytes - (phys - s->phys))
            return section;
    }
    return NO_SECTION;
}

static enum err resolve_phys(const struct place *place, const struct view *view, struct place_ranges *ranges,
                             struct why *why)
{
    struct section_ref section = place_section(view, place->phys, place->bytes);
    size_t ram;

    view_ram(view, &ram);
    if (!ram_map_has(ram, place->phys, place->bytes))
        return why_set(why, ERR_RANGE, "phys:%#llx+%llu is not within the machine's %zu MiB of RAM",
                       (unsigned long long)place->phys, (unsigned long long)place->bytes,
                       (size_t)ram_map_bytes(ram) >> 20);
    return add_place_range(
        ranges, view,
        (struct place_range){.phys = place->phys,
                             .bytes = place->bytes,
                             .section = section,
                             .offset =
                                 section.index ? (uint32_t)(place->phys - view_section(view, section)->phys) : 0});
}

static enum err resolve_random(const struct place *place, const struct view *view, struct place_ranges *ranges)
{
    enum err e = add_all_cells(ranges, view, place);

    return e == ERR_OK ? add_stack_ranges(ranges, view) : e;
}

struct blocks {
    struct place_ranges *ranges;
    const struct view *view;
    enum err error;
};

static bool add_block(void *context, uint64_t virt, uint64_t phys, uint64_t bytes)
{
    struct blocks *b = context;

    b->error = add_place_range(b->ranges, b->view, (struct place_range){.phys = phys, .bytes = bytes, .virt = virt});
    return b->error == ERR_OK;
}

static enum err resolve_heap(const struct view *view, struct place_ranges *ranges)
{
    struct blocks b = {.ranges = ranges, .view = view};

    blocks_each(view, add_block, &b);
    return b.error;
}

bool place_table(const struct view *view, const char *name, uint64_t *ret_phys, uint64_t *ret_bytes)
{
    enum arena_table t = table_number(name);

    if (t == ARENA_TABLES)
        return false;
    const struct arena_table_desc *table = &view_header(view)->table[t];
    *ret_phys = LAYOUT_ARENA_PHYS + table->offset;
    *ret_bytes = (uint64_t)table->capacity * record_bytes[t];
    return true;
}

/* A record that is all zeros is free, or was never used. If all are, any of them is meant. */
static enum err resolve_arena(const struct place *place, const struct view *view, struct place_ranges *ranges)
{
    uint32_t each = record_bytes[table_number(place->name)];
    uint64_t start, all;
    enum err e = ERR_OK;

    if (!place_table(view, place->name, &start, &all))
        return ERR_NOT_FOUND;
    for (uint64_t at = each; at + each <= all && e == ERR_OK; at += each) {
        uint8_t record[RECORD_MAX];
        bool used = false;

        e = read_phys(view, start + at, record, each);
        for (uint32_t i = 0; i < each; i++)
            used |= record[i] != 0;
        if (e == ERR_OK && used)
            e = add_place_range(ranges, view, (struct place_range){.phys = start + at, .bytes = each});
    }
    if (e == ERR_OK && !ranges->bytes)
        e = add_place_range(ranges, view, (struct place_range){.phys = start + each, .bytes = all - each});
    return e;
}

/* The pointers of a section: one behind the other. */
static enum err pointers_of(const struct place *place, const struct view *view,
                            const struct arena_section **ret_section, struct why *why)
{
    struct qualified_text text;
    struct qualified name;
    struct cell_ref cell;

    if (!qualified_parse(place->name, &name))
        return why_set(why, ERR_NOT_FOUND, "there is no cell '%s'", place->name);
    enum err e = qualified_cell(view, &name, QUALIFIED_HELD, &cell, &text);
    if (e)
        return why_set(why, e, "there is %.400s", text.text);
    *ret_section = view_section(view, view_find_section(view, cell, place->section));
    return *ret_section ? ERR_OK
                        : why_set(why, ERR_NOT_FOUND, "cell %s has no section '%s'", place->name, place->section);
}

/* Pages that lie one behind the other for the guest need not do so in physical memory. */
static enum err add_behind(const struct place *place, const struct view *view, uint64_t virt, uint32_t pointer,
                           struct place_ranges *ranges)
{
    enum { PAGE = 4096 };
    enum err e = ERR_OK;

    for (uint64_t at = place->phys, end = at + place->bytes; at < end && e == ERR_OK;) {
        uint64_t left = PAGE - (virt + at) % PAGE, phys;
        struct place_range r = {.bytes = left < end - at ? left : end - at,
                                .virt = virt + at,
                                .offset = (uint32_t)at,
                                .pointer = pointer,
                                .section = NO_SECTION};
        if (read_walk(view, virt + at, &phys, NULL) == ERR_OK) {
            r.phys = phys;
            e = add_place_range(ranges, view, r);
        }
        at += r.bytes;
    }
    return e;
}

static enum err resolve_behind(const struct place *place, const struct view *view, struct place_ranges *ranges,
                               struct why *why)
{
    const struct arena_section *s;
    enum err e = pointers_of(place, view, &s, why);
    uint64_t virt;

    for (uint32_t i = 0; e == ERR_OK && i < s->bytes / sizeof virt; i++) {
        e = read_phys(view, s->phys + i * sizeof virt, &virt, sizeof virt);
        if (e == ERR_OK && virt)
            e = add_behind(place, view, virt, i + 1, ranges);
    }
    return e;
}

enum err place_behind(const struct view *view, const char *words, unsigned pointer, uint64_t *ret_virt)
{
    struct place place = {0};
    const struct arena_section *s;
    struct why why;

    if (!split_target(words, &place) || pointers_of(&place, view, &s, &why) != ERR_OK || !pointer ||
        pointer > s->bytes / sizeof *ret_virt)
        return ERR_NOT_FOUND;
    return read_phys(view, s->phys + (pointer - 1) * sizeof *ret_virt, ret_virt, sizeof *ret_virt);
}

enum err place_resolve(const struct place *place, const struct view *view, struct place_ranges *ret_ranges,
                       struct why *why)
{
    CLOSED_BY(place_ranges_done) struct place_ranges ranges = {0};
    enum err e;

    why->text[0] = '\0';
    switch (place->kind) {
    case PLACE_CELL:
        e = resolve_cell(place, view, &ranges, why);
        break;
    case PLACE_SYMBOL:
        e = add_symbol_range(place, view, &ranges, why);
        break;
    case PLACE_TASK:
        e = resolve_task(place, view, &ranges, why);
        break;
    case PLACE_HEAP:
        e = resolve_heap(view, &ranges);
        break;
    case PLACE_PHYS:
        e = resolve_phys(place, view, &ranges, why);
        break;
    case PLACE_ARENA:
        e = resolve_arena(place, view, &ranges);
        break;
    case PLACE_BEHIND:
        e = resolve_behind(place, view, &ranges, why);
        break;
    default:
        e = resolve_random(place, view, &ranges);
        break;
    }
    if (e == ERR_OK && ranges.bytes == 0)
        e = place->section[0] && place->kind == PLACE_CELL
                ? why_set(why, ERR_NOT_FOUND, "cell %s has nothing in %s; `delias sections` lists what it has",
                          place->name, place->section)
                : why_set(why, ERR_NOT_FOUND, "%s: there is no memory to inject into", place->name);
    if (e == ERR_OK) {
        *ret_ranges = ranges;
        ranges = (struct place_ranges){0};
        return ERR_OK;
    }
    if (!why->text[0])
        why_fill(why, "%s", err_text(e));
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
    r.before = n;
    r.phys += n;
    r.bytes -= n;
    r.offset += (uint32_t)n;
    r.virt += r.virt ? n : 0;
    return r;
}
