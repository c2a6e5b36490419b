/* Fuzz target: objects that are sound in form, or nearly so, and what is done with them. The input is a script: up to
 * three objects, described part by part, and steps that keep, stage, swap, bind, unload and reap them, in the root and
 * in a child namespace, beside the cells of the real archive. After steps that say so, and at the end, the arena's
 * records must agree with each other; then, when all is unloaded, no frame, mapping, block, record or name may be left.
 * Run from the root of the repository.
 *
 * sources: tests/hosted/stand_in.c tests/hosted/stand_in_swap.c tests/hosted/craft.c tests/hosted/audit.c cells
 */
#include "cells/core/arena/arena.h"
#include "cells/core/edge/edge.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include "cells/core/panic/panic.h"
#include "cells/evolve/history/history.h"
#include "cells/evolve/namespace/namespace.h"
#include "cells/evolve/reap/reap.h"
#include "cells/evolve/swap/swap.h"
#include "cells/memory/heap/heap.h"
#include "tests/hosted/audit.h"
#include "tests/hosted/craft.h"
#include "tests/hosted/stand_in.h"
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { OBJECTS = 3, STEPS = 12, SECTIONS = 6, SYMBOLS = 10, RELOCATIONS = 12, PATCHES = 2 };

/* All of it is bytes that choose from a table, so that whatever the fuzzer does to one changes one thing. */
struct script {
    struct step {
        uint8_t what, objects, result, flags;
    } step[STEPS];
    struct shape {
        uint8_t name, version, kind, flags, function[4], sections, symbols, relocations, patches;
        struct {
            uint8_t kind, bytes, align, name, hash;
        } section[SECTIONS];
        struct {
            uint8_t name, section, value, size, info, access, hash;
        } symbol[SYMBOLS];
        struct {
            uint8_t section, symbol, type, offset, addend;
        } relocation[RELOCATIONS];
        struct {
            uint8_t low, high, value;
        } patch[PATCHES];
    } object[OBJECTS];
};

#define PICK(table, choice) (table)[(choice) % array_size(table)]

/* ---- objects ---- */

static const char *const cell_names[] = {"fuzz_a", "fuzz_b", "fuzz_c", "channel", "heap", "nano_core", "", "Bad"};
static const char *const section_names[] = {".text.one",  ".text.two",         ".data.one", ".bss.one",
                                            ".eh_frame",  ".gcc_except_table", ".data.two", ".rodata",
                                            NOTE_SECTION, ".data.one",         "",          ".init_array"};
static const char *const symbol_names[] = {"one",    "two",          "three",        "four",       "one_data",
                                           "",       "channel_send", "channel_new",  "arena_new",  "five",
                                           "nobody", "heap_alloc",   "strange name", "frame_alloc"};
static const uint32_t sizes[] = {16, 8, 0, 1, 4, 24, 64, 4096, 4097, 40000, 0x1000001, UINT32_MAX};
static const uint64_t aligns[] = {16, 1, 8, 0, 4096, 3, 8192};
static const uint32_t types[] = {R_X86_64_64, R_X86_64_PC32, R_X86_64_PLT32, R_X86_64_32, R_X86_64_32S, R_X86_64_PC64};
static const uint64_t offsets[] = {0, 8, 4, 12, 1, 9, 13, 16, 20, 60, 4092, UINT64_MAX - 3, UINT32_MAX};
static const int64_t addends[] = {0,         -4,        8,         1,          INT32_MAX,  INT32_MIN,
                                  INT64_MAX, INT64_MIN, -(1 << 8), UINT32_MAX, 0x60000000, 0x7fffffff0000};

static const struct {
    uint32_t type;
    uint64_t flags;
} section_kinds[] = {
    {SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR},
    {SHT_PROGBITS, SHF_ALLOC | SHF_WRITE},
    {SHT_NOBITS, SHF_ALLOC | SHF_WRITE},
    {SHT_PROGBITS, SHF_ALLOC},
    {SHT_PROGBITS, 0},
    {SHT_NOBITS, SHF_ALLOC},
    {SHT_PROGBITS, SHF_ALLOC | SHF_WRITE | SHF_EXECINSTR},
    {SHT_PROGBITS, SHF_ALLOC | SHF_WRITE | SHF_TLS},
    {SHT_NOTE, SHF_ALLOC},
    {SHT_SYMTAB, 0},
    {SHT_RELA, 0},
    {SHT_NOBITS, SHF_ALLOC | SHF_EXECINSTR | SHF_WRITE},
};

static void add_section(struct craft *craft, const struct shape *shape, size_t i)
{
    uint32_t kind = shape->section[i].kind % array_size(section_kinds), bytes = PICK(sizes, shape->section[i].bytes);

    if (section_kinds[kind].type != SHT_NOBITS && bytes > 4097) /* what the file cannot hold, a patch may say */
        bytes = 4096;
    craft_section(craft, PICK(section_names, shape->section[i].name), section_kinds[kind].type,
                  section_kinds[kind].flags, bytes);
    struct craft_section *s = &craft->section[i];
    s->align = PICK(aligns, shape->section[i].align);
    s->noted = kind == 1 || kind == 2 ? !(shape->section[i].hash & 0x80) : shape->section[i].hash & 0x40;
    s->type_hash = shape->section[i].hash & 3;
    s->deep_hash = s->type_hash ? 1 + (shape->section[i].hash >> 2 & 1) : 0;
}

static void add_symbol(struct craft *craft, const struct shape *shape, size_t i)
{
    uint32_t section = shape->symbol[i].section == 0xff ? SHN_ABS : shape->symbol[i].section % (shape->sections + 2u);

    craft->symbol[craft->symbols++] = (struct craft_symbol){
        .name = PICK(symbol_names, shape->symbol[i].name),
        .section = section,
        .value = section ? PICK(offsets, shape->symbol[i].value) : 0,
        .size = PICK(sizes, shape->symbol[i].size),
        .info = shape->symbol[i].info,
        .imported = section ? shape->symbol[i].access == 0xff : shape->symbol[i].access != 0xff,
        .access = section ? shape->symbol[i].access % 6 : 0,
        .type_hash = shape->symbol[i].hash & 1,
        .deep_hash = shape->symbol[i].hash >> 1 & 1,
    };
}

static void add_relocation(struct craft *craft, const struct shape *shape, size_t i)
{
    uint8_t type = shape->relocation[i].type;

    craft_relocate(craft, 1 + shape->relocation[i].section % (shape->sections + 1u),
                   PICK(offsets, shape->relocation[i].offset), type < 0x80 ? PICK(types, type) : type - 0x80u,
                   shape->relocation[i].symbol % (shape->symbols + 2u), PICK(addends, shape->relocation[i].addend));
}

static struct craft craft_of(struct shape *shape)
{
    struct craft craft = craft_cell(PICK(cell_names, shape->name), shape->version);

    shape->sections %= SECTIONS + 1;
    shape->symbols %= SYMBOLS + 1;
    shape->relocations %= RELOCATIONS + 1;
    craft.cell.kind = 1 + shape->kind % 5u;
    craft.cell.flags = shape->flags % (NOTE_FLAGS + 2u);
    uint32_t *function[] = {&craft.cell.init, &craft.cell.main, &craft.cell.transfer, &craft.cell.done};
    for (size_t i = 0; i < array_size(function); i++)
        *function[i] = shape->function[i] % (shape->symbols + 2u);
    for (size_t i = 0; i < shape->sections; i++)
        add_section(&craft, shape, i);
    for (size_t i = 0; i < shape->symbols; i++)
        add_symbol(&craft, shape, i);
    for (size_t i = 0; i < shape->relocations; i++)
        add_relocation(&craft, shape, i);
    return craft;
}

/* Its object record, or none: the loader does not take it. */
static struct object_ref keep(struct shape *shape)
{
    const struct craft craft = craft_of(shape);
    struct object_ref object = {}; /* not craft_keep: a patch comes between */
    size_t bytes;
    uint8_t *data = craft_write(&craft, &bytes);

    for (size_t i = 0; data && i < shape->patches % (PATCHES + 1u); i++)
        data[(shape->patch[i].low | shape->patch[i].high << 8) % bytes] = shape->patch[i].value;
    if (data && lifecycle_keep_object(data, bytes, &object, NULL))
        object = NO_OBJECT;
    free(data);
    return object;
}

/* ---- steps ---- */

static struct stand_in_use baseline;
static struct cell_ref channel; /* the cell that is loaded at the start */
static bool was_there[ARENA_CELLS_BASE];
static struct namespace_ref child; /* or none */
static struct cell_ref staged[OBJECTS];
static size_t stageds;
static struct report report;

static void check(void)
{
    const char *what = audit();

    if (what) {
        fprintf(stderr, "audit: %s\n", what);
        abort();
    }
}

static struct namespace_ref namespace_of(const struct step *step)
{
    return step->flags & 4 && child.index ? child : NAMESPACE_ROOT;
}

/* The objects of the step that the loader takes, and the cells of their names, or of any, that are to go for them. */
static void gather(struct script *script, const struct step *step, struct swap_order *ret_order)
{
    struct namespace_ref namespace_ = namespace_of(step);

    *ret_order = (struct swap_order){.namespace_ = namespace_, .flags = step->flags & 3};
    for (size_t i = 0; i < OBJECTS; i++) {
        struct object_ref object = {};
        if (step->objects >> i & 1)
            object = keep(&script->object[i]);
        if (object.index)
            ret_order->object[ret_order->objects++] = object;
    }
    for (size_t i = 0; i < 4; i++) {
        struct cell_ref old = {};
        if (step->objects >> (4 + i) & 1)
            old = namespace_cell(namespace_, cell_names[i]);
        if (old.index)
            ret_order->old[ret_order->olds++] = old;
    }
}

static void drop(const struct swap_order *order)
{
    for (size_t i = 0; i < order->objects; i++)
        loader_drop_object(order->object[i]);
}

static void swap(struct script *script, const struct step *step)
{
    struct swap_order order;

    gather(script, step, &order);
    (void)namespace_swap(&order, &report);
    drop(&order);
}

static void stage(struct script *script, const struct step *step)
{
    struct swap_order order;

    if (stageds)
        return;
    gather(script, step, &order);
    const struct loader_input load = {.namespace_ = order.namespace_,
                                      .object = order.object,
                                      .objects = order.objects,
                                      .old = order.old,
                                      .olds = order.olds};
    if (order.objects && !loader_stage(&load, staged, &report))
        stageds = order.objects;
    drop(&order);
}

static void unstage(void)
{
    if (stageds)
        lifecycle_unstage(staged, stageds);
    stageds = 0;
}

/* Stores a pointer to some function into some word of data of a cell that a script has made. */
static void bind(const struct step *step)
{
    struct section_ref slot = {}, to = {};

    for_each_section (section) {
        const struct arena_section *s = arena_section(section);
        if (!s->check || !s->cell.index || was_there[s->cell.index])
            continue;
        if (section_kind_is_data(s->kind))
            slot = section;
        else if (s->kind == SECTION_TEXT && step->objects % 2 == (to.index != 0))
            to = section;
    }
    if (slot.index)
        (void)edge_bind((void *)(arena_section(slot)->virt + PICK(offsets, step->result)),
                        to.index ? (void *)arena_section(to)->virt : NULL);
}

static void unload(const struct step *step)
{
    struct cell_ref cell = namespace_cell(namespace_of(step), PICK(cell_names, step->objects));

    if (cell.index && !same(cell, channel) && !was_there[cell.index])
        (void)lifecycle_unload(cell);
}

static void branch(void)
{
    if (!child.index)
        (void)namespace_branch(NAMESPACE_ROOT, "child", NULL, &child, &report);
}

static void take(struct script *script, const struct step *step)
{
    stand_in.calls = 0;
    stand_in.call_result = step->result >= 0xf0 ? ERR_IO : ERR_OK; /* of init, transfer and done functions */
    switch (step->what % 8) {
    case 0:
    case 1:
        return swap(script, step);
    case 2:
        return stage(script, step);
    case 3:
        return unstage();
    case 4:
        return bind(step);
    case 5:
        return unload(step);
    case 6:
        return branch();
    default:
        stand_in.held = step->flags & 1;
        (void)reap_replaced();
        (void)namespace_reap();
        stand_in.held = false;
    }
}

/* ---- from one script to the next ---- */

static void boot(void)
{
    stand_in_start();
    if (!stand_in_boot("build/delias.elf", "build/cells.archive") || loader_load("channel", &channel, NULL)) {
        fprintf(stderr, "cells: cannot boot build/delias.elf with build/cells.archive; run `make all` first: %s\n",
                stand_in.printed);
        exit(1);
    }
    for (uint32_t i = 1; i < ARENA_CELLS_BASE; i++)
        was_there[i] = arena_cell((struct cell_ref){i})->check;
    heap_trim();
    baseline = stand_in_use();
}

static void unload_all(void)
{
    struct cell_ref cells[ARENA_CELLS_BASE];
    size_t count = 0;

    for_each_cell (cell)
        if (arena_cell(cell)->check && !was_there[cell.index])
            cells[count++] = cell;
    (void)lifecycle_unload_all(cells, count);
}

/* Objects that commits of this input name are kept for them. */
static void forget(void)
{
    struct history_bound bound = history_bound;

    history_bound.objects = 0;
    history_keep();
    history_bound = bound;
}

/* The channel may have been replaced: then it comes back to wherever there is room. */
static void restore(void)
{
    stand_in.calls = 0;
    stand_in.call_result = ERR_OK;
    unstage();
    if (child.index)
        (void)namespace_remove(child, &report);
    (void)namespace_reap();
    child = NO_NAMESPACE;
    bool replaced = !same(arena_cell_find(NAMESPACE_ROOT, "channel"), channel) ||
                    arena_cell(channel)->state != CELL_LIVE ||
                    strcmp(arena_string(arena_cell(channel)->name), "channel") || !was_there[channel.index];
    if (replaced)
        was_there[channel.index] = false;
    unload_all();
    if (replaced) {
        assert(!loader_load("channel", &channel, NULL));
        was_there[channel.index] = true;
    }
    forget();
    heap_trim();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct script script;
    static bool booted;

    if (!booted)
        boot();
    booted = true;
    memset(&script, 0, sizeof script);
    memcpy(&script, data, bytes < sizeof script ? bytes : sizeof script);
    for (size_t i = 0; i < STEPS; i++) {
        if (script.step[i].what == 0xff)
            break;
        take(&script, &script.step[i]);
        if (script.step[i].flags & 0x80)
            check();
    }
    restore();
    check();
    struct stand_in_use now = stand_in_use();
    const char *what = stand_in_difference(&baseline, &now);
    if (what) {
        fprintf(stderr, "left behind: %s\n", what);
        abort();
    }
    return 0;
}
