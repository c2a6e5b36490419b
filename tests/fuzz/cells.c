/* Fuzz target: objects that are sound in form, or nearly so, and what is done with them. The input is a script: up to
 * three objects, described part by part, and steps that keep, stage, swap, bind, unload and reap them, in the root and in a
 * child namespace, beside the cells of the real archive. After steps that say so, and at the end, the arena's records must
 * agree with each other; then, when all is unloaded, no frame, mapping, block, record or name may be left. Run from the
 * root of the repository.
 *
 * sources: tests/hosted/stand_in.c tests/hosted/stand_in_swap.c tests/hosted/craft.c tests/hosted/audit.c
 * sources: cells/kernel/arena/arena.c cells/kernel/arena/find.c cells/kernel/arena/index.c cells/kernel/arena/strings.c
 * sources: cells/kernel/archive/archive.c cells/kernel/heap/heap.c cells/lib/format/format.c
 * sources: cells/kernel/history/history.c
 * sources: cells/kernel/loader/bind.c cells/kernel/loader/discard.c cells/kernel/loader/index.c
 * sources: cells/kernel/loader/keep.c cells/kernel/loader/loader.c cells/kernel/loader/nano_core.c
 * sources: cells/kernel/loader/object.c cells/kernel/loader/place.c cells/kernel/loader/pointers.c
 * sources: cells/kernel/loader/relocate.c
 * sources: cells/kernel/namespace/ask.c cells/kernel/namespace/change.c cells/kernel/namespace/namespace.c
 * sources: cells/kernel/namespace/stale.c
 * sources: cells/kernel/swap/carry.c cells/kernel/swap/commit.c cells/kernel/swap/index.c cells/kernel/swap/plan.c
 * sources: cells/kernel/swap/preview.c cells/kernel/swap/reach.c cells/kernel/swap/reap.c cells/kernel/swap/recipe.c cells/kernel/swap/record.c
 * sources: cells/kernel/swap/pointers.c cells/kernel/swap/swap.c cells/kernel/swap/switch.c cells/kernel/swap/ways.c
 */
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/heap/heap.h"
#include "cells/kernel/history/history.h"
#include "cells/kernel/loader/loader.h"
#include "cells/kernel/namespace/namespace.h"
#include "cells/kernel/panic/panic.h"
#include "cells/kernel/swap/swap.h"
#include "tests/hosted/audit.h"
#include "tests/hosted/craft.h"
#include "tests/hosted/stand_in.h"
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define ROOT 1

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
    craft.cell.flags = shape->flags % 5u;
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

/* Its object record; 0: the loader does not take it. */
static uint32_t keep(struct shape *shape)
{
    const struct craft craft = craft_of(shape);
    uint32_t object = 0; /* not craft_keep: a patch comes between */
    size_t bytes;
    uint8_t *data = craft_write(&craft, &bytes);

    for (size_t i = 0; data && i < shape->patches % (PATCHES + 1u); i++)
        data[(shape->patch[i].low | shape->patch[i].high << 8) % bytes] = shape->patch[i].value;
    if (data && loader_keep_object(data, bytes, &object, NULL))
        object = 0;
    free(data);
    return object;
}

/* ---- steps ---- */

static struct stand_in_use baseline;
static uint32_t channel; /* the cell that is loaded at the start */
static bool was_there[ARENA_CELLS_MAX];
static uint32_t child; /* namespace; 0: none */
static uint32_t staged[OBJECTS];
static size_t stageds;
static struct arena_completion report;
static struct loader_detail detail;

static void check(void)
{
    const char *what = audit();

    if (what) {
        fprintf(stderr, "audit: %s\n", what);
        abort();
    }
}

/* The objects of the step that the loader takes, and the cells of their names, or of any, that are to go for them. */
static void gather(struct script *script, const struct step *step, struct swap_order *ret_order)
{
    uint32_t namespace_ = step->flags & 4 && child ? child : ROOT;

    *ret_order = (struct swap_order){.namespace_ = namespace_, .flags = step->flags & 3};
    for (size_t i = 0; i < OBJECTS; i++) {
        uint32_t object = step->objects >> i & 1 ? keep(&script->object[i]) : 0;
        if (object)
            ret_order->object[ret_order->objects++] = object;
    }
    for (size_t i = 0; i < 4; i++) {
        uint32_t old = step->objects >> (4 + i) & 1 ? namespace_cell(namespace_, cell_names[i]) : 0;
        if (old)
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
    const struct loader_order load = {.namespace_ = order.namespace_,
                                      .object = order.object,
                                      .objects = order.objects,
                                      .old = order.old,
                                      .olds = order.olds};
    if (order.objects && !loader_stage(&load, staged, &detail))
        stageds = order.objects;
    drop(&order);
}

static void unstage(void)
{
    if (stageds)
        loader_unstage(staged, stageds);
    stageds = 0;
}

/* Stores a pointer to some function into some word of data of a cell that a script has made. */
static void bind(const struct step *step)
{
    uint32_t used = arena_header()->table[ARENA_SECTIONS].used, slot = 0, to = 0;

    for (uint32_t i = 1; i < used; i++) {
        const struct arena_section *s = arena_section(i);
        if (!s->check || !s->cell || was_there[s->cell])
            continue;
        if (s->kind == SECTION_DATA || s->kind == SECTION_BSS)
            slot = i;
        else if (s->kind == SECTION_TEXT && step->objects % 2 == (to != 0))
            to = i;
    }
    if (slot)
        (void)loader_bind((void *)(arena_section(slot)->virt + PICK(offsets, step->result)),
                          to ? (void *)arena_section(to)->virt : NULL);
}

static void unload(const struct step *step)
{
    uint32_t cell = namespace_cell(step->flags & 4 && child ? child : ROOT, PICK(cell_names, step->objects));

    if (cell && cell != channel && !was_there[cell])
        (void)loader_unload(cell);
}

static void branch(void)
{
    if (!child)
        (void)namespace_branch(ROOT, "child", NULL, &child, &detail);
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
        (void)swap_reap();
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
    for (uint32_t i = 1; i < ARENA_CELLS_MAX; i++)
        was_there[i] = arena_cell(i)->check;
    heap_trim();
    baseline = stand_in_use();
}

static void unload_all(void)
{
    uint32_t cells[ARENA_CELLS_MAX];
    size_t count = 0;

    for (uint32_t i = 1; i < arena_header()->table[ARENA_CELLS].used; i++)
        if (arena_cell(i)->check && !was_there[i])
            cells[count++] = i;
    (void)loader_unload_all(cells, count);
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
    if (child)
        (void)namespace_remove(child, &detail);
    (void)namespace_reap();
    child = 0;
    bool replaced = arena_cell_find(ROOT, "channel") != channel || arena_cell(channel)->state != CELL_LIVE ||
                    strcmp(arena_string(arena_cell(channel)->name), "channel") || !was_there[channel];
    if (replaced)
        was_there[channel] = false;
    unload_all();
    if (replaced) {
        assert(!loader_load("channel", &channel, NULL));
        was_there[channel] = true;
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
