/* See graph.h. Types are nodes, members are edges; nodes grow in number while those before them are looked at. What leads to
 * no pointer to a function is left out at the end. */
#include "cells/tool/graph.h"
#include "cells/tool/die.h"
#include "cells/tool/list.h"
#include "cells/tool/out.h"
#include "guest/abi/note.h"
#include <dwarf.h>
#include <stdio.h>
#include <string.h>

#define NAME_BYTES 128
#define PEEL_MAX   256

struct edge {
    struct note_field field;     /* without target and name */
    size_t target;               /* node */
    const char *function, *name; /* function NULL: of no variable that is local to one */
};

struct node {
    Dwarf_Die die;    /* but for sections */
    uint32_t section; /* 0: it is none */
    const char *name; /* of the section */
    struct note_shape type;
    struct edge *edge;
    size_t edges, capacity;
    bool leads;  /* maybe to a pointer to a function */
    bool strong; /* certainly so, as far as types are known here */
    bool wanted, numbered;
    uint32_t number;
};

struct graph {
    const struct tags *tags;
    struct node *node;
    size_t nodes, capacity;
    size_t *order; /* nodes that are wanted, by their numbers */
    size_t numbers;
    struct strings names;
    bool failed;
};

struct graph *graph_new(const struct types *types)
{
    struct graph *graph = calloc(1, sizeof *graph);

    if (graph)
        graph->tags = types_tags(types);
    return graph;
}

void graph_free(struct graph *graph)
{
    if (!graph)
        return;
    for (size_t i = 0; i < graph->nodes; i++)
        free(graph->node[i].edge);
    free(graph->node);
    free(graph->order);
    free(graph->names.text);
    free(graph);
}

/* ---- nodes and edges ---- */

static bool is_record(Dwarf_Die *die)
{
    return dwarf_tag(die) == DW_TAG_structure_type || dwarf_tag(die) == DW_TAG_union_type;
}

/* Without qualifiers; false: void. */
static bool bare_type(Dwarf_Die *holder, Dwarf_Die *ret_type)
{
    Dwarf_Die type = *holder;

    for (int i = 0; i < PEEL_MAX; i++) {
        Dwarf_Die outer = type;
        if (!die_type(&outer, &type) || !die_peel(&type, true))
            return false;
        if (dwarf_tag(&type) != DW_TAG_atomic_type) {
            *ret_type = type;
            return true;
        }
    }
    return false;
}

static size_t add_node(struct graph *graph, const struct node *node)
{
    struct node *room = list_room(graph->node, graph->nodes, &graph->capacity, sizeof *room);

    if (!room) {
        graph->failed = true;
        return 0;
    }
    graph->node = room;
    room[graph->nodes] = *node;
    return graph->nodes++;
}

/* Each unit of a file describes its types anew. */
static bool is_same(struct node *a, struct node *b)
{
    if (a->type.tag)
        return a->type.tag == b->type.tag && a->type.layout == b->type.layout;
    return !a->section && !b->type.tag && dwarf_dieoffset(&a->die) == dwarf_dieoffset(&b->die);
}

static size_t node_of(struct graph *graph, Dwarf_Die *die)
{
    struct node node = {.die = *die};
    Dwarf_Word bytes = 0;

    if (is_record(die) && dwarf_diename(die)) {
        node.type.tag = hash_tag(die);
        node.type.layout = hash_layout(die);
    }
    for (size_t i = 0; i < graph->nodes; i++)
        if (is_same(&graph->node[i], &node))
            return i;
    (void)dwarf_aggregate_size(die, &bytes);
    node.type.bytes = (uint32_t)bytes;
    return add_node(graph, &node);
}

static void add_edge(struct graph *graph, size_t from, const struct edge *edge)
{
    struct node *node = &graph->node[from];
    struct edge *room = list_room(node->edge, node->edges, &node->capacity, sizeof *room);

    if (!room) {
        graph->failed = true;
        return;
    }
    node->edge = room;
    room[node->edges++] = *edge;
}

/* The element type in place of an array; false: none that can be found. */
static bool open_array(Dwarf_Die *type, struct note_field *field)
{
    uint64_t count = 1;
    bool open = false;

    for (int i = 0; i < PEEL_MAX && dwarf_tag(type) == DW_TAG_array_type; i++) {
        Dwarf_Die array = *type, child;

        if (dwarf_child(&array, &child) == 0)
            do {
                uint64_t n = die_elements(&child);
                open |= n == 0;
                if (n && __builtin_mul_overflow(count, n, &count))
                    return false;
            } while (dwarf_siblingof(&child, &child) == 0);
        if (!bare_type(&array, type))
            return false;
    }
    field->count = open ? 0 : (uint32_t)count;
    return count <= UINT32_MAX;
}

/* False: the pointer leads nowhere. */
static bool lead_pointer(struct graph *graph, Dwarf_Die *pointer, struct edge *edge)
{
    Dwarf_Die to;

    if (!bare_type(pointer, &to))
        return false;
    switch (dwarf_tag(&to)) {
    case DW_TAG_subroutine_type:
        edge->field.what = NOTE_TO_FUNCTION;
        edge->field.hash = hash_function(&to, NULL);
        return true;
    case DW_TAG_structure_type:
    case DW_TAG_union_type:
        if (tags_define(graph->tags, &to))
            break;
        edge->field.what = NOTE_TO_TAG;
        edge->field.hash = hash_tag(&to);
        return dwarf_diename(&to) != NULL;
    case DW_TAG_pointer_type:
    case DW_TAG_array_type:
        break;
    default:
        return false;
    }
    edge->field.what = NOTE_TO_TYPE;
    edge->target = node_of(graph, &to);
    return true;
}

/* What of `type` lies where `edge` says in node `at`. */
static void add_type(struct graph *graph, size_t at, struct edge edge, Dwarf_Die type)
{
    Dwarf_Word bytes;

    if (!open_array(&type, &edge.field) || dwarf_aggregate_size(&type, &bytes) != 0 || bytes == 0)
        return;
    edge.field.stride = (uint32_t)bytes;
    if (dwarf_tag(&type) == DW_TAG_pointer_type) {
        if (!lead_pointer(graph, &type, &edge))
            return;
    } else if (is_record(&type)) {
        edge.field.what = NOTE_HOLDS;
        edge.target = node_of(graph, &type);
    } else {
        return;
    }
    add_edge(graph, at, &edge);
}

static void add_members(struct graph *graph, size_t at, Dwarf_Die *record)
{
    Dwarf_Die child, type;

    if (dwarf_child(record, &child) != 0)
        return;
    do
        if (dwarf_tag(&child) == DW_TAG_member && bare_type(&child, &type)) {
            uint64_t offset = die_number(&child, DW_AT_data_member_location, 0);
            add_type(graph, at, (struct edge){.field.offset = (uint32_t)offset, .name = dwarf_diename(&child)}, type);
        }
    while (dwarf_siblingof(&child, &child) == 0);
}

/* Nodes that were added and not looked at. */
static void add_all_members(struct graph *graph, size_t from)
{
    for (size_t i = from; i < graph->nodes && !graph->failed; i++) {
        Dwarf_Die die = graph->node[i].die;
        if (graph->node[i].section)
            continue;
        if (is_record(&die))
            add_members(graph, i, &die);
        else
            add_type(graph, i, (struct edge){0}, die);
    }
}

void graph_add(struct graph *graph, const char *name, uint32_t section, uint64_t bytes, const struct datum *data,
               size_t count)
{
    const struct node node = {.section = section, .name = name, .type.bytes = (uint32_t)bytes};
    size_t at = add_node(graph, &node);

    for (size_t i = 0; i < count && !graph->failed; i++) {
        Dwarf_Die die = data[i].die, type;
        const struct edge edge = {
            .field.offset = (uint32_t)data[i].offset, .function = data[i].function, .name = data[i].name};
        if (bare_type(&die, &type))
            add_type(graph, at, edge, type);
    }
    add_all_members(graph, at + 1);
}

static void add_tags(struct graph *graph)
{
    size_t first = graph->nodes;

    for (size_t i = 0; i < graph->tags->entries && !graph->failed; i++) {
        Dwarf_Die die = graph->tags->entry[i].die;
        if (is_record(&die))
            (void)node_of(graph, &die);
    }
    add_all_members(graph, first);
}

/* ---- what is left of them ---- */

static bool has_target(const struct edge *edge)
{
    return edge->field.what == NOTE_TO_TYPE || edge->field.what == NOTE_HOLDS;
}

static bool is_kept(const struct graph *graph, const struct edge *edge)
{
    return !has_target(edge) || graph->node[edge->target].leads;
}

static bool find_leads(const struct graph *graph, struct node *node)
{
    bool leads = node->leads, strong = node->strong;

    for (size_t i = 0; i < node->edges; i++) {
        const struct edge *edge = &node->edge[i];
        const struct node *to = has_target(edge) ? &graph->node[edge->target] : NULL;
        leads |= is_kept(graph, edge);
        strong |= to ? to->strong : edge->field.what == NOTE_TO_FUNCTION;
    }
    bool changed = leads != node->leads || strong != node->strong;
    node->leads = leads;
    node->strong = strong;
    return changed;
}

static bool want(struct graph *graph, size_t i)
{
    struct node *node = &graph->node[i];
    bool changed = false;

    node->wanted |= (node->section && node->leads) || (node->type.tag && node->strong);
    for (size_t k = 0; node->wanted && k < node->edges; k++) {
        const struct edge *edge = &node->edge[k];
        if (has_target(edge) && is_kept(graph, edge) && !graph->node[edge->target].wanted)
            changed = graph->node[edge->target].wanted = true;
    }
    return changed;
}

static void choose(struct graph *graph)
{
    bool changed = true;

    while (changed) {
        changed = false;
        for (size_t i = 0; i < graph->nodes; i++)
            changed |= find_leads(graph, &graph->node[i]);
    }
    for (changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < graph->nodes; i++)
            changed |= want(graph, i);
    }
}

/* What a type holds has a lower number. */
static void number(struct graph *graph, size_t i)
{
    struct node *node = &graph->node[i];

    if (!node->wanted || node->numbered)
        return;
    node->numbered = true;
    for (size_t k = 0; k < node->edges; k++)
        if (node->edge[k].field.what == NOTE_HOLDS)
            number(graph, node->edge[k].target);
    node->number = (uint32_t)graph->numbers;
    graph->order[graph->numbers++] = i;
}

/* ---- the note ---- */

static uint32_t add_name(struct graph *graph, const char *first, const char *between, const char *last)
{
    char name[NAME_BYTES];

    snprintf(name, sizeof name, "%s%s%s", first, between, last);
    return name[0] ? strings_add(&graph->names, name) : 0;
}

static void name_all(struct graph *graph)
{
    (void)strings_add(&graph->names, ""); /* at 0 */
    for (size_t i = 0; i < graph->numbers; i++) {
        struct node *node = &graph->node[graph->order[i]];
        if (node->section)
            node->type.name = add_name(graph, node->name, "", "");
        else if (node->type.tag)
            node->type.name = add_name(graph, dwarf_tag(&node->die) == DW_TAG_union_type ? "union" : "struct", " ",
                                       dwarf_diename(&node->die));
        for (size_t k = 0; k < node->edges; k++) {
            struct edge *edge = &node->edge[k];
            if (is_kept(graph, edge))
                edge->field.name = add_name(graph, edge->function ?: "", edge->function ? ":" : "", edge->name ?: "");
        }
    }
}

static uint32_t count_fields(const struct graph *graph, const struct node *node)
{
    uint32_t n = 0;

    for (size_t i = 0; i < node->edges; i++)
        n += is_kept(graph, &node->edge[i]);
    return n;
}

static struct note_pointers measure(const struct graph *graph)
{
    struct note_pointers head = {.types = (uint32_t)graph->numbers,
                                 .name_bytes = ((uint32_t)graph->names.bytes + 7) & ~7u};

    for (size_t i = 0; i < graph->numbers; i++) {
        const struct node *node = &graph->node[graph->order[i]];
        head.fields += count_fields(graph, node);
        head.roots += node->section != 0;
    }
    return head;
}

static size_t bytes_of(const struct note_pointers *head)
{
    return sizeof *head + head->types * sizeof(struct note_shape) + head->fields * sizeof(struct note_field) +
           head->roots * sizeof(struct note_root) + head->name_bytes;
}

static void write_fields(const struct graph *graph, const struct node *node, struct note_field *to)
{
    for (size_t i = 0; i < node->edges; i++) {
        const struct edge *edge = &node->edge[i];
        if (!is_kept(graph, edge))
            continue;
        *to = edge->field;
        to->target = has_target(edge) ? graph->node[edge->target].number : 0;
        to++;
    }
}

static void write_note(const struct graph *graph, struct note_pointers *head)
{
    struct note_shape *type = (struct note_shape *)(head + 1);
    struct note_field *field = (struct note_field *)(type + head->types);
    struct note_root *root = (struct note_root *)(field + head->fields);
    uint32_t first = 0;

    memcpy(root + head->roots, graph->names.text, graph->names.bytes);
    for (size_t i = 0; i < graph->numbers; i++) {
        const struct node *node = &graph->node[graph->order[i]];

        type[i] = node->type;
        type[i].first = first;
        type[i].fields = count_fields(graph, node);
        write_fields(graph, node, field + first);
        first += type[i].fields;
        if (node->section)
            *root++ = (struct note_root){node->section, (uint32_t)i};
    }
}

bool graph_note(struct graph *graph, void **ret_note, size_t *ret_bytes)
{
    *ret_note = NULL;
    *ret_bytes = 0;
    add_tags(graph);
    choose(graph);
    graph->order = calloc(graph->nodes + 1, sizeof *graph->order);
    if (!graph->order || graph->failed)
        return false;
    for (size_t i = 0; i < graph->nodes; i++)
        number(graph, i);
    if (!graph->numbers)
        return true;
    name_all(graph);
    const struct note_pointers head = measure(graph);
    struct note_pointers *note = graph->names.failed ? NULL : calloc(1, bytes_of(&head));
    if (!note)
        return false;
    *note = head;
    write_note(graph, note);
    *ret_note = note;
    *ret_bytes = bytes_of(&head);
    return true;
}
