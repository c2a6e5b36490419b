/* See graph.h. Types and sections are nodes; members, elements and pointer targets are edges. The targets of a node are
 * added behind it. At the end, nodes that reach no pointer to a function are left out. */
#include "cells/tool/graph.h"
#include "cells/tool/die.h"
#include "cells/tool/list.h"
#include "cells/tool/elf_out.h"
#include "guest/abi/note.h"
#include <dwarf.h>
#include <stdio.h>
#include <string.h>

#define NAME_BYTES 128

struct edge {
    struct note_field field;     /* without target and name */
    size_t target;               /* node */
    const char *function, *name; /* function: that a static variable is local to; NULL: none */
};

struct node {
    Dwarf_Die die;    /* but for sections */
    uint32_t section; /* 0: it is none */
    const char *name; /* of the section */
    struct note_shape type;
    struct edge *edge;
    size_t edges, capacity;
    bool may_reach; /* a pointer to a function, perhaps behind a type that is opaque here */
    bool reaches;   /* one, by types that are known here */
    bool wanted, numbered;
    uint32_t number;
};

struct graph {
    const struct tags *tags;
    struct node *node;
    size_t nodes, capacity;
    size_t *order; /* the wanted nodes, by their numbers */
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
    strings_done(&graph->names);
    free(graph);
}

/* ---- nodes and edges ---- */

static bool is_record(Dwarf_Die *die)
{
    return dwarf_tag(die) == DW_TAG_structure_type || dwarf_tag(die) == DW_TAG_union_type;
}

/* Finds the type that `holder` names, without qualifiers. False: void. */
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

/* Each unit of a file describes its types again. */
static bool is_same_node(struct node *a, struct node *b)
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
        if (is_same_node(&graph->node[i], &node))
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

/* Replaces an array type by its element type, and sets the field's count. False: there are too many elements. */
static bool peel_array(Dwarf_Die *type, struct note_field *field)
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

/* Fills in what the pointer refers to. False: nothing that matters. */
static bool fill_target(struct graph *graph, Dwarf_Die *pointer, struct edge *edge)
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

/* Adds the edge of node `at` for something of `type` at the edge's offset. */
static void add_type(struct graph *graph, size_t at, struct edge edge, Dwarf_Die type)
{
    Dwarf_Word bytes;

    if (!peel_array(&type, &edge.field) || dwarf_aggregate_size(&type, &bytes) != 0 || bytes == 0)
        return;
    edge.field.stride = (uint32_t)bytes;
    if (dwarf_tag(&type) == DW_TAG_pointer_type) {
        if (!fill_target(graph, &type, &edge))
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
            uint64_t bit = 0, bits;
            (void)die_member_bit(&child, &bit, &bits);
            const struct edge edge = {.field.offset = (uint32_t)(bit / 8), .name = dwarf_diename(&child)};
            add_type(graph, at, edge, type);
        }
    while (dwarf_siblingof(&child, &child) == 0);
}

/* From node `from` on: those that were added and have no edges yet. */
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
        if (!data[i].form && bare_type(&die, &type)) /* only integers are stored in another form */
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

/* ---- which nodes are needed ---- */

static bool has_target(const struct edge *edge)
{
    return edge->field.what == NOTE_TO_TYPE || edge->field.what == NOTE_HOLDS;
}

static bool is_kept(const struct graph *graph, const struct edge *edge)
{
    return !has_target(edge) || graph->node[edge->target].may_reach;
}

static bool find_reach(const struct graph *graph, struct node *node)
{
    bool may_reach = node->may_reach, reaches = node->reaches;

    for (size_t i = 0; i < node->edges; i++) {
        const struct edge *edge = &node->edge[i];
        const struct node *to = has_target(edge) ? &graph->node[edge->target] : NULL;
        may_reach |= is_kept(graph, edge);
        reaches |= to ? to->reaches : edge->field.what == NOTE_TO_FUNCTION;
    }
    bool changed = may_reach != node->may_reach || reaches != node->reaches;
    node->may_reach = may_reach;
    node->reaches = reaches;
    return changed;
}

static bool want_targets(struct graph *graph, size_t i)
{
    struct node *node = &graph->node[i];
    bool changed = false;

    node->wanted |= (node->section && node->may_reach) || (node->type.tag && node->reaches);
    for (size_t k = 0; node->wanted && k < node->edges; k++) {
        const struct edge *edge = &node->edge[k];
        if (has_target(edge) && is_kept(graph, edge) && !graph->node[edge->target].wanted)
            changed = graph->node[edge->target].wanted = true;
    }
    return changed;
}

static void choose_nodes(struct graph *graph)
{
    bool changed = true;

    while (changed) {
        changed = false;
        for (size_t i = 0; i < graph->nodes; i++)
            changed |= find_reach(graph, &graph->node[i]);
    }
    for (changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < graph->nodes; i++)
            changed |= want_targets(graph, i);
    }
}

/* A type gets a higher number than the types that it holds. */
static void number_node(struct graph *graph, size_t i)
{
    struct node *node = &graph->node[i];

    if (!node->wanted || node->numbered)
        return;
    node->numbered = true;
    for (size_t k = 0; k < node->edges; k++)
        if (node->edge[k].field.what == NOTE_HOLDS)
            number_node(graph, node->edge[k].target);
    node->number = (uint32_t)graph->numbers;
    graph->order[graph->numbers++] = i;
}

/* ---- the note ---- */

static uint32_t add_graph_name(struct graph *graph, const char *first, const char *between, const char *last)
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
            node->type.name = add_graph_name(graph, node->name, "", "");
        else if (node->type.tag)
            node->type.name = add_graph_name(graph, dwarf_tag(&node->die) == DW_TAG_union_type ? "union" : "struct",
                                             " ", dwarf_diename(&node->die));
        for (size_t k = 0; k < node->edges; k++) {
            struct edge *edge = &node->edge[k];
            if (is_kept(graph, edge))
                edge->field.name =
                    add_graph_name(graph, edge->function ?: "", edge->function ? ":" : "", edge->name ?: "");
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

static struct note_pointers measure_note(const struct graph *graph)
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

static size_t note_bytes_of(const struct note_pointers *head)
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
    choose_nodes(graph);
    graph->order = calloc(graph->nodes + 1, sizeof *graph->order);
    if (!graph->order || graph->failed)
        return false;
    for (size_t i = 0; i < graph->nodes; i++)
        number_node(graph, i);
    if (!graph->numbers)
        return true;
    name_all(graph);
    const struct note_pointers head = measure_note(graph);
    struct note_pointers *note = graph->names.failed ? NULL : calloc(1, note_bytes_of(&head));
    if (!note)
        return false;
    *note = head;
    write_note(graph, note);
    *ret_note = note;
    *ret_bytes = note_bytes_of(&head);
    return true;
}
