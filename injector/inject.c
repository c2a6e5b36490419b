/* See inject.h. */
#include "injector/inject.h"
#include "guest/abi/layout.h"
#include "introspect/base/own.h"
#include "introspect/disasm.h"
#include "introspect/qualified.h"
#include "introspect/read.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REGISTER "register:"
#define BEHIND   "behind:"
#define ARENA    "arena:"

enum { INSTRUCTION_MS = 10000 }; /* for a CPU to come to an instruction */

static enum err write_text(void *context, uint64_t phys, const void *data, size_t bytes)
{
    return machine_ram_write(context, phys, data, bytes);
}

static bool is_text(const struct view *view, const struct change *c)
{
    const struct arena_section *s = view_section(view, c->section);

    return s && s->kind == SECTION_TEXT;
}

static struct model_memory memory_of(const struct inject_target *t)
{
    return (struct model_memory){.ram = t->ram, .bytes = t->bytes, .write_text = write_text, .context = t->machine};
}

/* An offset in a section, and the instruction that it lies in. */
struct instruction {
    uint32_t offset, start, bytes;
};

/* Told of each instruction in order. */
static void find_instruction(const struct disasm_line *line, void *context)
{
    struct instruction *i = context;

    if (line->offset > i->offset)
        return;
    i->start = line->offset;
    i->bytes = line->bytes;
}

/* Moves a change in text back to where its instruction begins: in the middle of one, what the bytes mean together with
 * those before them would be anybody's guess. A skip takes the whole instruction. */
static void move_to_start(const struct view *view, struct change *c)
{
    struct instruction i = {.offset = c->offset, .start = c->offset, .bytes = 1};

    if (!is_text(view, c) || disasm_section(view, c->section, find_instruction, &i) != ERR_OK)
        return;
    c->phys -= c->offset - i.start;
    c->offset = i.start;
    if (c->skip)
        c->bytes = i.bytes;
}

/* Leaves ranges of code only. */
static enum err keep_text(const struct view *view, struct place_ranges *ranges, struct why *why)
{
    size_t kept = 0;

    ranges->bytes = 0;
    for (size_t i = 0; i < ranges->count; i++) {
        const struct arena_section *s = view_section(view, ranges->range[i].section);
        if (!s || s->kind != SECTION_TEXT)
            continue;
        ranges->bytes += ranges->range[i].bytes;
        ranges->range[kept++] = ranges->range[i];
    }
    ranges->count = kept;
    return kept ? ERR_OK : why_set(why, ERR_INVALID, "there is no code, of which an instruction could be skipped");
}

bool inject_has_code(const struct view *view, const struct place *place)
{
    CLOSED_BY(place_ranges_done) struct place_ranges ranges = {0};
    struct why why;

    return place_resolve(place, view, &ranges, &why) == ERR_OK && keep_text(view, &ranges, &why) == ERR_OK;
}

/* The instruction is drawn from those of the place. */
static enum err plan_register(const struct view *view, const struct place *place, const struct model_use *use,
                              struct prng *prng, struct injection *ret_injection, struct why *why)
{
    CLOSED_BY(place_ranges_done) struct place_ranges ranges = {0};
    struct change *c = ret_injection->change;
    enum err e = ERR_OK;

    if (!use->model->registers)
        return why_set(why, ERR_INVALID, "model %s is not for registers", use->model->name);
    *c = (struct change){.section = NO_SECTION};
    if (place->kind != PLACE_REGISTER) {
        e = place_resolve(place, view, &ranges, why);
        if (e == ERR_OK)
            e = keep_text(view, &ranges, why);
        if (e != ERR_OK)
            return e;
        struct place_range at = place_byte(&ranges, prng_below(prng, ranges.bytes));
        *c = (struct change){.phys = at.phys, .section = at.section, .offset = at.offset};
        move_to_start(view, c);
    }
    model_plan_register(use, place->reg, prng, c);
    ret_injection->changes = 1;
    return ERR_OK;
}

/* Notes the pointer behind which the change is. */
static void name_pointer(const struct place *place, const struct place_ranges *ranges, struct change *c)
{
    for (size_t i = 0; i < ranges->count; i++)
        if (c->virt >= ranges->range[i].virt && c->virt - ranges->range[i].virt < ranges->range[i].bytes)
            snprintf(c->behind, sizeof c->behind, "%.30s:%.24s[%u]", place->name, place->section,
                     ranges->range[i].pointer);
}

enum err inject_plan(const struct view *view, const struct place *place, const struct model_use *use, struct prng *prng,
                     struct injection *ret_injection, struct why *why)
{
    CLOSED_BY(place_ranges_done) struct place_ranges ranges = {0};

    if (place->reg)
        return plan_register(view, place, use, prng, ret_injection, why);
    enum err e = place_resolve(place, view, &ranges, why);
    if (e == ERR_OK && use->model->skips)
        e = keep_text(view, &ranges, why);
    if (e != ERR_OK)
        return e;
    ret_injection->changes = model_plan(use, &ranges, prng, ret_injection->change);
    for (size_t i = 0; use->model->replaces && i < ret_injection->changes; i++)
        move_to_start(view, &ret_injection->change[i]);
    for (size_t i = 0; place->kind == PLACE_BEHIND && i < ret_injection->changes; i++)
        name_pointer(place, &ranges, &ret_injection->change[i]);
    return ERR_OK;
}

/* The task in whose stack `phys` lies, or NULL. */
static const struct arena_task *stack_owner(const struct view *view, uint64_t phys)
{
    view_each_task (task, view) {
        const struct arena_task *t = view_task(view, task);

        if (phys >= t->stack_phys && phys - t->stack_phys < t->stack_bytes)
            return t;
    }
    return NULL;
}

uint64_t inject_gva(const struct view *view, const struct change *c)
{
    const struct arena_section *s = view_section(view, c->section);
    const struct arena_task *t = s ? NULL : stack_owner(view, c->phys);

    return c->virt ? c->virt
           : s     ? s->virt + c->offset
           : t     ? t->stack_virt + (c->phys - t->stack_phys)
                   : LAYOUT_DIRECT_VIRT + c->phys;
}

static enum err inject_skip(struct stop *stop, struct change *c, uint64_t gva)
{
    enum err e = stop_set(stop, STOP_RIP, gva + c->bytes);

    c->before = gva;
    c->after = e == ERR_OK ? gva + c->bytes : gva;
    return e;
}

static enum err inject_register(struct stop *stop, struct change *c)
{
    unsigned number = (unsigned)c->reg - REGISTER_RAX;
    enum err e = stop_get(stop, number, &c->before);

    c->after = c->before;
    if (e == ERR_OK)
        e = stop_set(stop, number, change_value(c, c->before));
    if (e == ERR_OK)
        c->after = change_value(c, c->before);
    c->made = e == ERR_OK;
    return e;
}

enum err inject_stopped(struct stop *stop, struct change *c, uint64_t gva)
{
    return c->skip ? inject_skip(stop, c, gva) : inject_register(stop, c);
}

/* Waits for a CPU that comes to the instruction, and makes the change there. */
static enum err wait_for_instruction(const struct inject_target *target, uint64_t gva, struct change *c,
                                     struct why *why)
{
    OWN(stop) struct stop *stop = NULL;
    enum err e = stop_open(target->machine, STOP_BEFORE, gva, 1, &stop);

    if (e == ERR_OK)
        e = stop_run(stop, INSTRUCTION_MS);
    if (e == ERR_TIMEOUT)
        return why_set(why, e, "no CPU came to the instruction within %d ms", INSTRUCTION_MS);
    if (e == ERR_OK)
        e = inject_stopped(stop, c, gva);
    return e == ERR_OK ? ERR_OK : why_set(why, e, "%s", machine_last_error());
}

static enum err change_register(const struct inject_target *target, struct change *c, struct why *why)
{
    OWN(stop) struct stop *stop = NULL;
    enum err e = stop_attach(target->machine, &stop);

    if (e == ERR_OK)
        e = inject_register(stop, c);
    return e == ERR_OK ? ERR_OK : why_set(why, e, "%s", machine_last_error());
}

/* Changes a register, at once or when an instruction is reached, through QEMU's GDB stub, which pauses the machine. */
static enum err apply_stopped(const struct inject_target *target, const struct view *view, struct change *c,
                              struct why *why)
{
    enum err e = machine_refresh(target->machine);

    if (e != ERR_OK)
        return why_set(why, e, "%s", machine_last_error());
    bool running = strcmp(machine_info(target->machine)->state, "running") == 0;
    e = change_waits(c) ? wait_for_instruction(target, inject_gva(view, c), c, why) : change_register(target, c, why);
    if (running || change_waits(c))
        (void)!machine_resume(target->machine);
    return e;
}

static enum err apply(const struct inject_target *target, const struct view *view, struct change *c, struct why *why)
{
    struct model_memory memory = memory_of(target);

    if (c->skip || c->reg)
        return apply_stopped(target, view, c, why);
    enum err e = change_apply(c, &memory, is_text(view, c));
    return e == ERR_OK ? ERR_OK
                       : why_set(why, e, "phys %#llx could not be written: %s", (unsigned long long)c->phys,
                                 e == ERR_RANGE ? err_text(e) : machine_last_error());
}

enum err inject_apply(const struct inject_target *target, const struct view *view, struct injection *injection,
                      struct why *why)
{
    for (size_t i = 0; i < injection->changes; i++) {
        enum err e = apply(target, view, &injection->change[i], why);

        if (e == ERR_OK)
            continue;
        injection->changes = i;
        return e;
    }
    return ERR_OK;
}

void inject_hold(const struct inject_target *target, const struct view *view, const struct injection *injection)
{
    struct model_memory memory = memory_of(target);

    for (size_t i = 0; i < injection->changes; i++) {
        struct change again = injection->change[i];
        if (!again.skip && !again.reg)
            (void)!change_apply(&again, &memory, is_text(view, &again));
    }
}

const char *inject_kind(const struct view *view, const struct change *c)
{
    static const char *const kinds[] = {
        [SECTION_TEXT] = "text", [SECTION_RODATA] = "rodata", [SECTION_DATA] = "data", [SECTION_BSS] = "data"};
    const struct arena_section *s = view_section(view, c->section);

    if (c->reg)
        return "register";
    if (s)
        return s->kind < sizeof kinds / sizeof *kinds && kinds[s->kind] ? kinds[s->kind] : "tables";
    return *c->behind                           ? "pointed"
           : c->virt                            ? "heap"
           : view_is_in_arena(view, c->phys, 1) ? "records"
           : stack_owner(view, c->phys)         ? "stack"
                                                : "other";
}

/* The table of the arena in which `phys` lies. False: in none. */
static bool name_record(const struct view *view, uint64_t phys, char *ret_text, size_t bytes)
{
    static const char *const tables[] = {"namespaces", "objects", "cells", "sections", "symbols",
                                         "edges",      "tasks",   "cpus",  "faults",   "swaps"};
    uint64_t start, all;

    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (place_table(view, tables[i], &start, &all) && phys >= start && phys - start < all) {
            snprintf(ret_text, bytes, ARENA "%s+%#llx", tables[i], (unsigned long long)(phys - start));
            return true;
        }
    return false;
}

void inject_where(const struct view *view, const struct change *change, char *ret_text, size_t bytes)
{
    const struct arena_section *s = view_section(view, change->section);
    const struct arena_task *t = s || change->reg ? NULL : stack_owner(view, change->phys);
    char label[256], reg[32] = "";

    view_section_label(view, change->section, label, sizeof label);
    if (change->reg)
        snprintf(reg, sizeof reg, REGISTER "%s%s", register_name(change->reg), s ? "@" : "");
    if (*change->behind)
        snprintf(ret_text, bytes, BEHIND "%s+%#x", change->behind, change->offset);
    else if (change->virt)
        snprintf(ret_text, bytes, "heap:%#llx", (unsigned long long)change->virt);
    else if (s)
        snprintf(ret_text, bytes, "%s%s+%#x", reg, label, change->offset);
    else if (t)
        snprintf(ret_text, bytes, "task:%s:stack+%#llx", t->name, (unsigned long long)(change->phys - t->stack_phys));
    else if (change->reg || !name_record(view, change->phys, ret_text, bytes))
        snprintf(ret_text, bytes, "%s", reg);
}

static enum err find_in_stack(const struct view *view, const char *where, uint64_t offset, struct change *c)
{
    char name[64];

    snprintf(name, sizeof name, "%.*s", (int)strcspn(where, ":"), where);
    const struct arena_task *t = view_task(view, view_find_task(view, name));
    if (!t || offset >= t->stack_bytes)
        return ERR_NOT_FOUND;
    c->section = NO_SECTION;
    c->phys = t->stack_phys + offset;
    return ERR_OK;
}

static enum err find_in_section(const struct view *view, const char *where, uint64_t offset, struct change *c)
{
    char words[256];
    struct qualified_text text;
    struct qualified name;
    struct cell_ref cell;

    snprintf(words, sizeof words, "%.*s", (int)(strrchr(where, '+') - where), where);
    if (!qualified_parse(words, &name) || !*name.rest || qualified_cell(view, &name, QUALIFIED_HELD, &cell, &text))
        return ERR_NOT_FOUND;
    struct section_ref section = view_find_section(view, cell, name.rest);
    const struct arena_section *s = view_section(view, section);
    if (!s || offset >= s->bytes)
        return ERR_NOT_FOUND;
    c->section = section;
    c->offset = (uint32_t)offset;
    c->phys = s->phys + offset;
    return ERR_OK;
}

/* Of "register:NAME[@SECTION+OFFSET]" notes the register, and returns what is behind '@', or "". */
static const char *take_register(const char *where, struct change *c)
{
    const char *name = where + sizeof REGISTER - 1;
    size_t length = strcspn(name, "@");

    c->reg = register_parse(name, length);
    c->section = NO_SECTION;
    return name + length + (name[length] == '@');
}

/* CELL:SECTION[NUMBER] */
static enum err find_behind(const struct view *view, const char *where, uint64_t offset, struct change *c)
{
    size_t words = strcspn(where, "[");
    char name[sizeof c->behind];
    uint64_t virt;

    if (!where[words] || words >= sizeof name)
        return ERR_NOT_FOUND;
    snprintf(name, sizeof name, "%.*s", (int)words, where);
    if (place_behind(view, name, (unsigned)strtoul(where + words + 1, NULL, 10), &virt) != ERR_OK)
        return ERR_NOT_FOUND;
    snprintf(c->behind, sizeof c->behind, "%.*s", (int)strcspn(where, "+"), where);
    c->section = NO_SECTION;
    c->offset = (uint32_t)offset;
    c->virt = virt + offset;
    return read_walk(view, c->virt, &c->phys, NULL);
}

static enum err find_record(const struct view *view, const char *where, uint64_t offset, struct change *c)
{
    char name[32];
    uint64_t start, all;

    snprintf(name, sizeof name, "%.*s", (int)strcspn(where, "+"), where);
    if (!place_table(view, name, &start, &all) || offset >= all)
        return ERR_NOT_FOUND;
    c->section = NO_SECTION;
    c->phys = start + offset;
    return ERR_OK;
}

static enum err find_by_name(const struct view *view, const char *where, uint64_t offset, struct change *c)
{
    static const char task[] = "task:";

    if (strncmp(where, BEHIND, sizeof BEHIND - 1) == 0)
        return find_behind(view, where + sizeof BEHIND - 1, offset, c);
    if (strncmp(where, ARENA, sizeof ARENA - 1) == 0 &&
        find_record(view, where + sizeof ARENA - 1, offset, c) == ERR_OK)
        return ERR_OK;
    /* A cell may be called task or arena, too. */
    return strncmp(where, task, sizeof task - 1) == 0 && strstr(where, ":stack+")
               ? find_in_stack(view, where + sizeof task - 1, offset, c)
               : find_in_section(view, where, offset, c);
}

enum err inject_find(const struct view *view, const char *where, struct change *change, struct why *why)
{
    static const char heap[] = "heap:";

    if (strncmp(where, REGISTER, sizeof REGISTER - 1) == 0)
        where = take_register(where, change);
    const char *plus = strrchr(where, '+');
    if (!*where)
        return ERR_OK;
    if (strncmp(where, heap, sizeof heap - 1) == 0) {
        change->section = NO_SECTION;
        change->virt = strtoull(where + sizeof heap - 1, NULL, 0);
        enum err e = read_walk(view, change->virt, &change->phys, NULL);
        return e == ERR_OK ? ERR_OK : why_set(why, e, "there is no %s in this guest", where);
    }
    if (!plus)
        return why_set(why, ERR_NOT_FOUND, "there is no %s in this guest", where);
    uint64_t offset = strtoull(plus + 1, NULL, 0);
    enum err e = find_by_name(view, where, offset, change);
    return e == ERR_OK ? ERR_OK : why_set(why, e, "there is no %s in this guest", where);
}
