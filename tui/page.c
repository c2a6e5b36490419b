/* See page.h. */
#include "tui/page.h"
#include <stdio.h>
#include <string.h>
#include "introspect/disasm.h"
#include "introspect/name.h"
#include "tui/dependencies.h"

static const struct link nowhere;

static struct link link_to(enum link_kind kind, uint32_t index)
{
    return (struct link){kind, index};
}

struct place page_place(const struct view *view, enum page_id page, struct cell_ref cell, struct section_ref section)
{
    const struct arena_cell *c = view_cell(view, cell);
    struct place place = {.page = page, .cell = cell, .section = section, .live = c && c->state == CELL_LIVE};

    if (c)
        qualified_name(view, cell, place.cell_name, sizeof place.cell_name);
    if (section.index)
        snprintf(place.section_name, sizeof place.section_name, "%s", view_section_name(view, section));
    return place;
}

/* Whether the record is still that of the cell of this name. */
static bool is_named(const struct view *view, struct cell_ref cell, const char *name)
{
    char now[QUALIFIED_BYTES];

    qualified_name(view, cell, now, sizeof now);
    return view_cell(view, cell) && strcmp(now, name) == 0;
}

static struct cell_ref find_cell(const struct view *view, const char *words)
{
    struct qualified_text text;
    struct cell_ref cell = NO_CELL;
    struct qualified name;

    if (!qualified_parse(words, &name) || qualified_cell(view, &name, QUALIFIED_HELD, &cell, &text))
        return NO_CELL;
    return cell;
}

void page_find_again(const struct view *view, struct place *place)
{
    const struct arena_cell *c = view_cell(view, place->cell);
    const struct arena_section *s;

    if (place->cell.index && (!is_named(view, place->cell, place->cell_name) || (place->live && c->state != CELL_LIVE)))
        place->cell = find_cell(view, place->cell_name);
    s = view_section(view, place->section);
    if (place->section.index && (!s || !same(s->cell, place->cell) ||
                                 strcmp(view_section_name(view, place->section), place->section_name) != 0))
        place->section = view_find_section(view, place->cell, place->section_name);
}

/* A live cell's row stays the same when another version takes its place. */
uint64_t page_tree_id(const struct view *view, struct cell_ref cell)
{
    const struct arena_cell *c = view_cell(view, cell);
    const char *name = view_cell_name(view, cell);

    if (!c || c->state != CELL_LIVE)
        return UINT64_MAX - cell.index;
    return (uint64_t)c->namespace_.index << 32 | arena_check(name, strlen(name)) | 1;
}

/* With the root as well, since a filter may name it. */
static void full_name(const struct view *view, struct cell_ref cell, char *ret_name, size_t bytes)
{
    const struct arena_cell *c = view_cell(view, cell);

    snprintf(ret_name, bytes, "%s/%s", view_namespace_name(view, c ? c->namespace_ : NO_NAMESPACE),
             view_cell_name(view, cell));
}

/* What makes a row flash when it differs: another object, another place, a fault, a reload. */
static uint64_t state_of(const struct arena_cell *c)
{
    return c->text_phys ^ c->loaded_ns << 20 ^ (uint64_t)c->faults << 52 ^ (uint64_t)c->reloads << 44 ^
           (uint64_t)c->state << 60 ^ c->version;
}

enum { TREE_NARROW = 23, TREE_HELD = 30, TREE_BYTES = 40, TREE_FAULTS = 48 };

/* What follows the name, as far as there is room. */
static int describe_cell(const struct view *view, struct cell_ref cell, int width, char *ret_text, size_t bytes)
{
    const struct arena_cell *c = view_cell(view, cell);
    int n = snprintf(ret_text, bytes, " v%-2u %.3s", c->version, name_cell_kind(c->kind));

    if (width >= TREE_HELD)
        n += snprintf(ret_text + n, bytes - (size_t)n, " %5u", c->holders);
    if (width >= TREE_BYTES)
        n += snprintf(ret_text + n, bytes - (size_t)n, " %8llu", (unsigned long long)table_cell_bytes(c));
    if (width >= TREE_FAULTS)
        n += snprintf(ret_text + n, bytes - (size_t)n, " %6u", c->faults);
    return n;
}

static void add_cell_row(const struct view *view, struct cell_ref cell, struct list *list, int width, bool changed)
{
    const struct arena_cell *c = view_cell(view, cell);
    enum style style = changed                                                      ? STYLE_NEW
                       : !view_is_sound(view, ARENA_CELLS, cell.index) || c->faults ? STYLE_BAD
                       : c->state != CELL_LIVE                                      ? STYLE_DIM
                                                                                    : STYLE_PLAIN;
    char name[QUALIFIED_BYTES], rest[64];

    full_name(view, cell, name, sizeof name);
    int room = width - 1 - describe_cell(view, cell, width, rest, sizeof rest);
    list_print_named(list, name, page_tree_id(view, cell), style, link_to(LINK_CELL, cell.index), "%c%-*.*s%s",
                     changed ? '*' : ' ', room, room, view_cell_name(view, cell), rest);
}

/* Whether the filter lets any cell of the namespace pass. */
static bool has_rows(const struct view *view, struct namespace_ref n, const struct list *list)
{
    char name[QUALIFIED_BYTES];

    view_each_cell (cell, view) {
        full_name(view, cell, name, sizeof name);
        if (same(view_cell(view, cell)->namespace_, n) && list_matches(list->filter, name, name))
            return true;
    }
    return false;
}

static void set_tree_head(struct list *list, int width)
{
    int room =
        width - 9 - (width >= TREE_HELD ? 6 : 0) - (width >= TREE_BYTES ? 9 : 0) - (width >= TREE_FAULTS ? 7 : 0);

    snprintf(list->head, sizeof list->head, " %-*.*s VER KIN%s%s%s", room, room, "NAME",
             width >= TREE_HELD ? "  REFS" : "", width >= TREE_BYTES ? "    BYTES" : "",
             width >= TREE_FAULTS ? " FAULTS" : "");
}

void page_fill_tree(const struct view *view, struct list *list, int width, struct flash *flash, int64_t now_ms)
{
    set_tree_head(list, width);
    view_each_namespace (n, view) {
        if (!list->filter[0] || has_rows(view, n, list)) /* what is above its cells passes with them */
            list_print_named(list, list->filter, (uint64_t)n.index << 32, STYLE_DIM, nowhere, "%s/",
                             view_namespace_name(view, n));
        view_each_cell (cell, view)
            if (same(view_cell(view, cell)->namespace_, n))
                add_cell_row(view, cell, list, width,
                             flash_see(flash, page_tree_id(view, cell), state_of(view_cell(view, cell)), now_ms));
    }
    flash->begun = true;
}

static void list_sections(const struct view *view, struct place place, struct list *list)
{
    struct view_sections sections = view_sections_of(view, place.cell);

    for (size_t i = 0; i < sections.count; i++) {
        uint32_t index = sections.item[i].index;
        enum style style = view_is_sound(view, ARENA_SECTIONS, index) ? STYLE_PLAIN : STYLE_BAD;

        list_add_record(list, index, style, link_to(LINK_SECTION, index), table_sections, view, index);
    }
}

static void list_exports(const struct view *view, struct place place, struct list *list)
{
    struct view_symbols symbols = view_symbols_of(view, place.cell);

    for (size_t i = 0; i < symbols.count; i++) {
        uint32_t index = symbols.item[i].index;
        const struct arena_symbol *s = view_symbol(view, symbols.item[i]);

        if (s->access)
            list_add_record(list, index, STYLE_PLAIN, link_to(LINK_SECTION, s->section.index), table_symbols, view,
                            index);
    }
}

/* One row per edge between this cell and others. `outgoing`: edges from here. */
static void list_edges(const struct view *view, struct place place, struct list *list, bool outgoing)
{
    const struct column *columns = outgoing ? table_needs : table_needed_by;
    struct edge_walk walk = view_walk_edges(view, place.cell, outgoing);
    struct section_ref there;
    struct edge_ref edge;

    while (edge_walk_next(&walk, &edge, &there))
        list_add_record(list, edge.index, STYLE_PLAIN, link_to(LINK_SECTION, there.index), columns, view, edge.index);
}

static void list_needs(const struct view *view, struct place place, struct list *list)
{
    list_edges(view, place, list, true);
}

static void list_needed_by(const struct view *view, struct place place, struct list *list)
{
    list_edges(view, place, list, false);
}

struct code_context {
    const struct view *view;
    struct list *list;
};

static void add_instruction(const struct disasm_line *line, void *context)
{
    struct code_context *code = context;
    uint32_t to = line->edge.index ? view_edge(code->view, line->edge)->to.index : 0;

    bool direct = line->target[0] && strncmp(line->operands, "0x", 2) == 0; /* a call or jump: only the name matters */

    list_print(code->list, line->address, line->valid ? STYLE_PLAIN : STYLE_BAD, link_to(to ? LINK_SECTION : 0, to),
               "%5x  %-7s %s%s%s", line->offset, line->mnemonic, direct ? "" : line->operands,
               line->target[0] && !direct ? "  ; " : "", line->target);
}

static void list_code(const struct view *view, struct place place, struct list *list)
{
    struct code_context context = {view, list};
    enum err err = disasm_section(view, place.section, add_instruction, &context);

    if (err != ERR_OK)
        list_print(list, 1, STYLE_DIM, nowhere, "%s", place.section.index ? err_text(err) : "choose a section first");
}

static void list_tasks(const struct view *view, struct place place, struct list *list)
{
    (void)place;
    view_each_task (task, view) {
        uint32_t state = view_task(view, task)->state;

        if (state != TASK_FREE)
            list_add_record(list, task.index, state == TASK_FAILED ? STYLE_BAD : STYLE_PLAIN,
                            link_to(LINK_TASK, task.index), table_tasks, view, task.index);
    }
}

static void list_faults(const struct view *view, struct place place, struct list *list)
{
    const struct arena_fault *fault;

    (void)place;
    for (size_t n = 0; (fault = view_fault(view, n)); n++)
        list_add_record(list, fault->seq,
                        fault->outcome == FAULT_OUTCOME_RECOVERED ? STYLE_GOOD
                        : fault->outcome == FAULT_OUTCOME_OPEN    ? STYLE_KEY
                                                                  : STYLE_BAD,
                        link_to(LINK_FAULT, (uint32_t)fault->seq), table_faults, view, n);
}

static void list_events(const struct view *view, struct place place, struct list *list)
{
    const struct arena_event *event;

    (void)place;
    for (size_t n = 0; (event = view_event(view, n)); n++)
        list_add_record(list, event->seq, STYLE_PLAIN, nowhere, table_events, view, n);
}

static void list_counters(const struct view *view, struct place place, struct list *list)
{
    (void)place;
    for (unsigned i = 0; i < COUNTERS; i++)
        list_add_record(list, i + 1, i == COUNTER_checksums_bad && view_counter(view, i) ? STYLE_BAD : STYLE_PLAIN,
                        nowhere, table_counters, view, i);
}

static const struct page pages[PAGES] = {
    [PAGE_SECTIONS] = {"sections", '1', true, false, table_sections, "", "sections",
                       "What the cell consists of: one section for each function and datum.", list_sections},
    [PAGE_EXPORTS] = {"exports", '2', true, false, table_symbols, "", "symbols",
                      "What other cells may call; ACCESS says which of them.", list_exports},
    [PAGE_NEEDS] = {"needs", '3', true, false, table_needs, "", "deps",
                    "Each reference from here to another cell. Enter goes to its other end.", list_needs},
    [PAGE_NEEDED_BY] = {"needed by", '4', true, false, table_needed_by, "", "deps",
                        "Each reference from another cell to here. Enter goes to where it comes from.", list_needed_by},
    [PAGE_CODE] = {"code", '5', true, false, NULL, "  OFF  INSTRUCTION", "disasm",
                   "The instructions in memory now. Enter follows a call.", list_code},
    [PAGE_TASKS] = {"tasks", '6', false, false, table_tasks, "", "tasks",
                    "The threads of the machine. CELL is where a task began, RST. how often it was restarted.",
                    list_tasks},
    [PAGE_FAULTS] = {"faults", '7', false, true, table_faults, "", "faults",
                     "All incidents. OUTCOME says how each ended, US how long that took. Enter tells all about one.",
                     list_faults},
    [PAGE_EVENTS] = {"events", '8', false, true, table_events, "", "events", "What has happened, newest last.",
                     list_events},
    [PAGE_COUNTERS] = {"counters", '9', false, false, table_counters, "", "counters",
                       "checksums_bad counts results that the guest found wrong; it is to stay 0.", list_counters},
    [PAGE_DEPENDENCIES] = {"dependencies", 'd', true, false, NULL, "CELL                     TIMES  BY", "deps",
                           "Who uses this cell, directly or through others, and what it uses. Enter goes to that cell.",
                           page_list_dependencies},
};

const struct page *page_get(enum page_id id)
{
    return &pages[id];
}

static bool follow_section(const struct view *view, struct section_ref section, struct place *ret_place)
{
    const struct arena_section *s = view_section(view, section);

    if (!s)
        return false;
    *ret_place = page_place(view, s->kind == SECTION_TEXT ? PAGE_CODE : PAGE_NEEDED_BY, s->cell, section);
    return true;
}

bool page_follow(const struct view *view, struct link link, struct place *ret_place)
{
    struct cell_ref cell = {link.index};
    const struct arena_task *task;

    switch (link.kind) {
    case LINK_CELL:
        if (!view_cell(view, cell))
            return false;
        *ret_place = page_place(view, PAGE_SECTIONS, cell, NO_SECTION);
        return true;
    case LINK_SECTION:
        return follow_section(view, (struct section_ref){link.index}, ret_place);
    case LINK_TASK:
        task = view_task(view, (struct task_ref){link.index});
        return task && follow_section(view, task->entry_section, ret_place);
    case LINK_DEPENDENCIES:
        if (!view_cell(view, cell))
            return false;
        *ret_place = page_place(view, PAGE_DEPENDENCIES, cell, NO_SECTION);
        return true;
    case LINK_FAULT: /* is told by a command */
    case LINK_NONE:
        break;
    }
    return false;
}
