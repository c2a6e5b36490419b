/* See page.h. */
#include "tui/page.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "introspect/disasm.h"
#include "introspect/name.h"

static const struct link nowhere;

static struct link link_to(enum link_kind kind, uint32_t index)
{
    return (struct link){kind, index};
}

struct place page_place(const struct view *view, enum page_id page, uint32_t cell, uint32_t section)
{
    const struct arena_cell *c = view_cell(view, cell);
    struct place place = {.page = page, .cell = cell, .section = section, .live = c && c->state == CELL_LIVE};

    if (c)
        snprintf(place.cell_name, sizeof place.cell_name, "%s", view_cell_name(view, cell));
    if (section)
        snprintf(place.section_name, sizeof place.section_name, "%s", view_section_name(view, section));
    return place;
}

void page_settle(const struct view *view, struct place *place)
{
    const struct arena_cell *c = view_cell(view, place->cell);
    const struct arena_section *s;

    if (place->cell && (!c || strcmp(view_cell_name(view, place->cell), place->cell_name) != 0 ||
                        (place->live && c->state != CELL_LIVE)))
        place->cell = view_find_cell(view, 0, place->cell_name);
    s = view_section(view, place->section);
    if (place->section &&
        (!s || s->cell != place->cell || strcmp(view_section_name(view, place->section), place->section_name) != 0))
        place->section = view_find_section(view, place->cell, place->section_name);
}

/* A live cell's row stays the same when another version takes its place. */
uint64_t page_tree_id(const struct view *view, uint32_t cell)
{
    const struct arena_cell *c = view_cell(view, cell);
    const char *name = view_cell_name(view, cell);

    if (!c || c->state != CELL_LIVE)
        return UINT64_MAX - cell;
    return (uint64_t)c->namespace_ << 32 | arena_check(name, strlen(name)) | 1;
}

void page_fill_tree(const struct view *view, struct list *list)
{
    for (uint32_t n = 0; (n = view_next(view, ARENA_NAMESPACES, n));) {
        list_add(list, (uint64_t)n << 32, STYLE_DIM, nowhere, "%s/", view_namespace_name(view, n));
        for (uint32_t i = 0; (i = view_next(view, ARENA_CELLS, i));) {
            const struct arena_cell *cell = view_cell(view, i);
            enum style style = !view_is_sound(view, ARENA_CELLS, i) || cell->faults ? STYLE_BAD
                               : cell->state != CELL_LIVE                           ? STYLE_DIM
                                                                                    : STYLE_PLAIN;
            if (cell->namespace_ == n)
                list_add(list, page_tree_id(view, i), style, link_to(LINK_CELL, i), " %-14.14s v%-2u %.3s",
                         view_cell_name(view, i), cell->version, name_cell_kind(cell->kind));
        }
    }
}

static void fill_sections(const struct view *view, struct place place, struct list *list)
{
    struct view_list sections = view_sections_of(view, place.cell);

    for (size_t i = 0; i < sections.count; i++) {
        uint32_t index = sections.item[i];
        const struct arena_section *s = view_section(view, index);
        list_add(list, index, view_is_sound(view, ARENA_SECTIONS, index) ? STYLE_PLAIN : STYLE_BAD,
                 link_to(LINK_SECTION, index), "%-26.26s %-7.7s %6u %4u %4u", view_section_name(view, index),
                 name_section_kind(s->kind), s->bytes, s->outgoing, s->incoming);
    }
}

static void fill_exports(const struct view *view, struct place place, struct list *list)
{
    struct view_list symbols = view_symbols_of(view, place.cell);

    for (size_t i = 0; i < symbols.count; i++) {
        const struct arena_symbol *s = view_symbol(view, symbols.item[i]);
        if (s->access)
            list_add(list, symbols.item[i], STYLE_PLAIN, link_to(LINK_SECTION, s->section),
                     "%-23.23s %-11.11s %016" PRIx64, view_string(view, s->name), name_access(s->access), s->type_hash);
    }
}

/* ".text." says nothing where only functions stand; the relocation types all start alike. */
static const char *without(const char *name, const char *prefix)
{
    size_t length = strlen(prefix);

    return strncmp(name, prefix, length) == 0 && name[length] ? name + length : name;
}

/* One row per edge between this cell and others. `outgoing`: edges from here. */
static void fill_edges(const struct view *view, struct place place, struct list *list, bool outgoing)
{
    struct view_list sections = view_sections_of(view, place.cell);

    for (size_t i = 0; i < sections.count; i++) {
        uint32_t here = sections.item[i];
        struct view_list edges = outgoing ? view_edges_out(view, here) : view_edges_in(view, here);
        for (size_t k = 0; k < edges.count; k++) {
            const struct arena_edge *edge = view_edge(view, edges.item[k]);
            uint32_t there = outgoing ? edge->to : edge->from;
            const struct arena_section *section = view_section(view, there);
            if (!section || section->cell == place.cell)
                continue;
            char name[96];
            snprintf(name, sizeof name, "%s:%s", view_cell_name(view, section->cell),
                     without(view_section_name(view, there), ".text."));
            list_add(list, edges.item[k], STYLE_PLAIN, link_to(LINK_SECTION, there), "%-20.20s %s %-27.27s %s",
                     without(view_section_name(view, here), ".text."), outgoing ? "->" : "<-", name,
                     without(name_relocation(edge->type), "R_X86_64_"));
        }
    }
}

static void fill_needs(const struct view *view, struct place place, struct list *list)
{
    fill_edges(view, place, list, true);
}

static void fill_needed_by(const struct view *view, struct place place, struct list *list)
{
    fill_edges(view, place, list, false);
}

struct code_context {
    const struct view *view;
    struct list *list;
};

static void add_instruction(const struct disasm_line *line, void *context)
{
    struct code_context *code = context;
    uint32_t to = line->edge ? view_edge(code->view, line->edge)->to : 0;

    bool direct = line->target[0] && strncmp(line->operands, "0x", 2) == 0; /* a call or jump: only the name matters */

    list_add(code->list, line->address, line->valid ? STYLE_PLAIN : STYLE_BAD, link_to(to ? LINK_SECTION : 0, to),
             "%5x  %-7s %s%s%s", line->offset, line->mnemonic, direct ? "" : line->operands,
             line->target[0] && !direct ? "  ; " : "", line->target);
}

static void fill_code(const struct view *view, struct place place, struct list *list)
{
    struct code_context context = {view, list};
    enum err err = disasm_section(view, place.section, add_instruction, &context);

    if (err != ERR_OK)
        list_add(list, 1, STYLE_DIM, nowhere, "%s", place.section ? err_text(err) : "choose a section first");
}

static void fill_tasks(const struct view *view, struct place place, struct list *list)
{
    (void)place;
    for (uint32_t i = 0; (i = view_next(view, ARENA_TASKS, i));) {
        const struct arena_task *task = view_task(view, i);
        const struct arena_section *entry = view_section(view, task->entry_section);
        if (task->state != TASK_FREE)
            list_add(list, i, task->state == TASK_FAILED ? STYLE_BAD : STYLE_PLAIN, link_to(LINK_TASK, i),
                     "%4u %-16.16s %-9.9s %3u %8" PRIu64 " %4u  %s", task->id, task->name, name_task_state(task->state),
                     task->cpu, task->switches, task->restarts, entry ? view_cell_name(view, entry->cell) : "-");
    }
}

static void fill_faults(const struct view *view, struct place place, struct list *list)
{
    const struct arena_fault *fault;

    (void)place;
    for (size_t n = 0; (fault = view_fault(view, n)); n++)
        list_add(list, fault->seq, fault->outcome == FAULT_OUTCOME_RECOVERED ? STYLE_GOOD : STYLE_BAD,
                 link_to(LINK_CELL, view_find_cell(view, 0, fault->cell_name)),
                 "%4" PRIu64 " %-10.10s %-12.12s %s+0x%x  %s, %s %s", fault->seq,
                 fault->kind == FAULT_EXCEPTION ? name_exception(fault->vector) : name_fault_kind(fault->kind),
                 fault->task_name, fault->symbol[0] ? fault->symbol : fault->cell_name, fault->offset,
                 name_fault_action(fault->action), name_fault_outcome(fault->outcome), fault->message);
}

static void fill_events(const struct view *view, struct place place, struct list *list)
{
    const struct arena_event *event;

    (void)place;
    for (size_t n = 0; (event = view_event(view, n)); n++)
        list_add(list, event->seq, STYLE_PLAIN, nowhere, "%9.3f %2u %-14.14s %s", (double)event->time_ns / 1e9,
                 event->cpu, name_event_kind(event->kind), event->text);
}

static void fill_counters(const struct view *view, struct place place, struct list *list)
{
    (void)place;
    for (unsigned i = 0; i < COUNTERS; i++)
        list_add(list, i + 1, i == COUNTER_checksums_bad && view_counter(view, i) ? STYLE_BAD : STYLE_PLAIN, nowhere,
                 "%-16s %20" PRIu64, name_counter(i), view_counter(view, i));
}

static const struct page pages[PAGES] = {
    [PAGE_SECTIONS] = {"sections", '1', true, false, "SECTION                    KIND     BYTES  OUT   IN",
                       fill_sections},
    [PAGE_EXPORTS] = {"exports", '2', true, false, "SYMBOL                  ACCESS      TYPE", fill_exports},
    [PAGE_NEEDS] = {"needs", '3', true, false, "FROM                    TO", fill_needs},
    [PAGE_NEEDED_BY] = {"needed by", '4', true, false, "HERE                    FROM", fill_needed_by},
    [PAGE_CODE] = {"code", '5', true, false, "  OFF  INSTRUCTION", fill_code},
    [PAGE_TASKS] = {"tasks", '6', false, false, "  ID NAME             STATE     CPU SWITCHES RST.  CELL", fill_tasks},
    [PAGE_FAULTS] = {"faults", '7', false, true, " SEQ KIND       TASK         WHERE", fill_faults},
    [PAGE_EVENTS] = {"events", '8', false, true, "     TIME CPU KIND          WHAT", fill_events},
    [PAGE_COUNTERS] = {"counters", '9', false, false, "COUNTER                         VALUE", fill_counters},
};

const struct page *page_get(enum page_id id)
{
    return &pages[id];
}

static bool follow_section(const struct view *view, uint32_t index, struct place *ret_place)
{
    const struct arena_section *section = view_section(view, index);

    if (!section)
        return false;
    *ret_place = page_place(view, section->kind == SECTION_TEXT ? PAGE_CODE : PAGE_NEEDED_BY, section->cell, index);
    return true;
}

bool page_follow(const struct view *view, struct link link, struct place *ret_place)
{
    const struct arena_task *task;

    switch (link.kind) {
    case LINK_CELL:
        if (!view_cell(view, link.index))
            return false;
        *ret_place = page_place(view, PAGE_SECTIONS, link.index, 0);
        return true;
    case LINK_SECTION:
        return follow_section(view, link.index, ret_place);
    case LINK_TASK:
        task = view_task(view, link.index);
        return task && follow_section(view, task->entry_section, ret_place);
    case LINK_NONE:
        break;
    }
    return false;
}
