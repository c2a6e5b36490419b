/* See plan.h. Reads the arena only. */
#include "cells/kernel/swap/plan.h"
#include "cells/kernel/arena/arena.h"
#include "cells/lib/format/format.h"

#define WORDS_MAX     1024
#define R_X86_64_64   1
#define R_X86_64_PC64 24

void plan_say(struct loader_detail *detail, const char *a, const char *b, const char *c, const char *d)
{
    format_print(detail->text, sizeof detail->text, "%s%s%s%s", a, b, c, d);
}

static const char *name_of(uint32_t section)
{
    return arena_string(arena_section(section)->name);
}

static bool is_data(uint32_t section)
{
    uint32_t kind = arena_section(section)->kind;

    return kind == SECTION_DATA || kind == SECTION_BSS;
}

/* ---- twins ---- */

/* How many sections of the same name and kind come before this one in its cell. */
static unsigned ordinal(uint32_t section)
{
    const struct arena_section *s = arena_section(section);
    unsigned n = 0;

    for (uint32_t i = arena_cell(s->cell)->first_section; i && i != section; i = arena_section(i)->next_in_cell)
        n += arena_section(i)->name == s->name;
    return n;
}

static uint32_t find_twin(uint32_t section, uint32_t cell)
{
    const struct arena_section *s = arena_section(section), *t;
    unsigned n = ordinal(section);

    for (uint32_t i = arena_cell(cell)->first_section; i; i = t->next_in_cell) {
        t = arena_section(i);
        if (t->name == s->name && n-- == 0)
            return is_data(i) == is_data(section) && (is_data(i) || t->kind == s->kind) ? i : 0;
    }
    return 0;
}

static unsigned field_bytes(const struct arena_edge *edge)
{
    return edge->type == R_X86_64_64 || edge->type == R_X86_64_PC64 ? 8 : 4;
}

/* The relocated field of `section` that holds byte `at`; NULL: none. */
static const struct arena_edge *field_at(uint32_t section, uint32_t at)
{
    for (uint32_t e = arena_section(section)->first_out; e; e = arena_edge(e)->next_out) {
        const struct arena_edge *edge = arena_edge(e);
        if (at - edge->offset < field_bytes(edge))
            return edge;
    }
    return NULL;
}

static bool same_contents(uint32_t a, uint32_t b)
{
    const struct arena_section *s = arena_section(a), *t = arena_section(b);
    const uint8_t *p = page_direct(s->phys), *q = page_direct(t->phys);

    if (s->bytes != t->bytes)
        return false;
    for (uint32_t i = 0; i < s->bytes; i++) {
        if (p[i] == q[i])
            continue;
        const struct arena_edge *x = field_at(a, i), *y = field_at(b, i);
        if (!x || !y || x->offset != y->offset || x->type != y->type)
            return false;
        i = x->offset + field_bytes(x) - 1;
    }
    return true;
}

/* The type of what starts at `section`, where it is known; else 0. */
static uint64_t type_of(uint32_t section)
{
    uint32_t i = arena_cell(arena_section(section)->cell)->first_symbol;

    for (; i; i = arena_symbol(i)->next_in_cell)
        if (arena_symbol(i)->section == section && arena_symbol(i)->offset == 0 && arena_symbol(i)->type_hash)
            return arena_symbol(i)->type_hash;
    return 0;
}

static bool same_shape(uint32_t a, uint32_t b)
{
    uint64_t s = type_of(a), t = type_of(b);

    return arena_section(a)->bytes == arena_section(b)->bytes && (!s || !t || s == t);
}

static void fill_twin(const struct plan *plan, struct twin *twin, uint32_t section)
{
    bool same_object = arena_cell(plan->old)->object == arena_cell(plan->new_)->object;

    *twin = (struct twin){.old = section, .new_ = find_twin(section, plan->new_)};
    if (!twin->new_)
        return;
    if (is_data(section))
        twin->carried = !plan->fresh && same_shape(section, twin->new_);
    else
        twin->same = same_object || same_contents(section, twin->new_);
}

enum err plan_pair(struct plan *plan, uint32_t old, uint32_t new_, bool fresh, struct loader_detail *detail)
{
    size_t sections = arena_cell(old)->sections, steps = 0;

    for (uint32_t s = arena_cell(old)->first_section; s; s = arena_section(s)->next_in_cell)
        steps += arena_section(s)->incoming;
    *plan = (struct plan){.old = old, .new_ = new_, .fresh = fresh};
    plan->memory = page_map(sections * sizeof *plan->twin + steps * sizeof *plan->step + WORDS_MAX * sizeof *plan->word,
                            PAGE_WRITE);
    if (!plan->memory) {
        plan_say(detail, "no memory for the plan of ", arena_string(arena_cell(old)->name), "", "");
        return ERR_NOMEM;
    }
    plan->step = page_start(plan->memory);
    plan->word = (struct word *)(plan->step + steps);
    plan->twin = (struct twin *)(plan->word + WORDS_MAX);
    for (uint32_t s = arena_cell(old)->first_section; s; s = arena_section(s)->next_in_cell)
        fill_twin(plan, &plan->twin[plan->twins++], s);
    return ERR_OK;
}

void plan_end(struct plan *plan)
{
    mapped_pages_put(MOVE(plan->memory));
}

static const struct twin *twin_of(const struct plan *plan, uint32_t section)
{
    for (size_t i = 0; i < plan->twins; i++)
        if (plan->twin[i].old == section)
            return &plan->twin[i];
    return NULL;
}

/* ---- addresses ---- */

bool plan_in_regions(uint32_t cell, uint64_t address)
{
    const struct arena_cell *c = arena_cell(cell);

    return address - c->text_virt < c->text_bytes || address - c->rodata_virt < c->rodata_bytes ||
           address - c->data_virt < c->data_bytes;
}

uint64_t plan_map(const struct plan *plan, uint64_t address)
{
    for (size_t i = 0; i < plan->twins; i++) {
        const struct twin *twin = &plan->twin[i];
        const struct arena_section *s = arena_section(twin->old);
        uint64_t offset = address - s->virt;
        if (offset >= s->bytes)
            continue;
        bool whole = twin->same || twin->carried, entry = offset == 0 && s->kind == SECTION_TEXT;
        return twin->new_ && (whole || entry) ? arena_section(twin->new_)->virt + offset : 0;
    }
    return 0;
}

/* ---- edges ---- */

static enum err refuse(enum err e, struct loader_detail *detail, const struct plan *plan, const char *name,
                       const char *what)
{
    plan_say(detail, arena_string(arena_cell(plan->new_)->name), ": ", name, what);
    return e;
}

static uint32_t find_symbol(uint32_t cell, uint32_t name)
{
    for (uint32_t i = arena_cell(cell)->first_symbol; i; i = arena_symbol(i)->next_in_cell)
        if (arena_symbol(i)->name == name && arena_symbol(i)->access)
            return i;
    return 0;
}

static enum err resolve_symbol(const struct plan *plan, const struct arena_edge *edge, struct place *ret_place,
                               struct loader_detail *detail)
{
    const struct arena_symbol *old = arena_symbol(edge->symbol);
    const struct arena_cell *user = arena_cell(arena_section(edge->from)->cell);
    const char *name = arena_string(old->name);
    uint32_t found = find_symbol(plan->new_, old->name);

    if (!found)
        return refuse(ERR_MISSING_SYMBOL, detail, plan, name, " is used by others, and the new version lacks it");
    const struct arena_symbol *symbol = arena_symbol(found);
    if (old->type_hash && symbol->type_hash && old->type_hash != symbol->type_hash)
        return refuse(ERR_WRONG_TYPE, detail, plan, name, " has another type in the new version");
    if (symbol->access < user->kind)
        return refuse(ERR_NO_ACCESS, detail, plan, name, " is no longer for all of the cells that use it");
    *ret_place = (struct place){symbol->section, symbol->offset + edge->target - old->offset, found};
    return ERR_OK;
}

/* What is bound without being exported: a function or datum, known by its section's name. */
static enum err resolve_section(const struct plan *plan, const struct arena_edge *edge, struct place *ret_place,
                                struct loader_detail *detail)
{
    uint64_t address = arena_section(edge->to)->virt + edge->target, mapped = plan_map(plan, address);
    const struct twin *twin = twin_of(plan, edge->to);

    if (!mapped || !twin)
        return refuse(ERR_MISSING_SYMBOL, detail, plan, name_of(edge->to),
                      " is bound by others, and the new version lacks it");
    *ret_place = (struct place){twin->new_, edge->target, 0};
    return ERR_OK;
}

static enum err resolve(const struct plan *plan, const struct arena_edge *edge, struct place *ret_place,
                        struct loader_detail *detail)
{
    return edge->symbol ? resolve_symbol(plan, edge, ret_place, detail)
                        : resolve_section(plan, edge, ret_place, detail);
}

static void add_step(struct plan *plan, uint32_t index, struct place to)
{
    const struct arena_edge *edge = arena_edge(index);

    plan->step[plan->steps++] = (struct step){index, {edge->to, edge->target, edge->symbol}, to};
}

static enum err plan_foreign(struct plan *plan, uint32_t index, struct loader_detail *detail)
{
    const struct arena_edge *edge = arena_edge(index);
    uint32_t user = arena_section(edge->from)->cell;
    struct place to;

    if (user == plan->new_)
        return refuse(ERR_UNRESOLVED, detail, plan, name_of(edge->to),
                      " of the old version is needed by the new one, which does not have it");
    enum err e = resolve(plan, edge, &to, detail);
    if (e && arena_cell(user)->state == CELL_OLD)
        return ERR_OK; /* it keeps the old version alive until it goes itself */
    if (!e)
        add_step(plan, index, to);
    return e;
}

static enum err plan_edges(struct plan *plan, bool own, struct loader_detail *detail)
{
    for (size_t i = 0; i < plan->twins; i++) {
        const struct twin *twin = &plan->twin[i];
        for (uint32_t e = arena_section(twin->old)->first_in; e; e = arena_edge(e)->next_in) {
            const struct arena_section *from = arena_section(arena_edge(e)->from);
            enum err error = ERR_OK;
            if ((from->cell == plan->old) != own)
                continue;
            if (!own)
                error = plan_foreign(plan, e, detail);
            else if (twin->carried && from->kind == SECTION_TEXT)
                add_step(plan, e, (struct place){twin->new_, arena_edge(e)->target, 0});
            if (error)
                return error;
        }
    }
    return ERR_OK;
}

/* ---- data ---- */

/* Data that can neither be copied nor is taken over by a transfer function must not be lost silently. */
static enum err check_data(const struct plan *plan, const struct twin *twin, struct loader_detail *detail)
{
    if (!is_data(twin->old) || plan->fresh || arena_cell(plan->new_)->transfer_section)
        return ERR_OK;
    if (twin->new_ && !twin->carried)
        return refuse(ERR_WRONG_TYPE, detail, plan, name_of(twin->old),
                      " has another size or type, and there is no transfer function");
    if (!twin->new_)
        return refuse(ERR_MISSING_SYMBOL, detail, plan, name_of(twin->old),
                      " would be lost: the new version lacks it, and has no transfer function");
    for (uint32_t e = arena_section(twin->old)->first_out; e; e = arena_edge(e)->next_out) {
        const struct arena_edge *edge = arena_edge(e);
        uint64_t value = *(const uint64_t *)(arena_section(twin->old)->virt + edge->offset);
        if (edge->type == R_X86_64_64 && plan_in_cell(plan->old, value) && !plan_map(plan, value))
            return refuse(ERR_MISSING_SYMBOL, detail, plan, name_of(twin->old),
                          " points to what the new version lacks");
    }
    return ERR_OK;
}

enum err plan_make(struct plan *plan, struct loader_detail *detail)
{
    enum err e = plan_edges(plan, false, detail);

    plan->foreign_steps = plan->steps;
    if (!e)
        e = plan_edges(plan, true, detail);
    for (size_t i = 0; !e && i < plan->twins; i++)
        e = check_data(plan, &plan->twin[i], detail);
    return e;
}

bool plan_is_current(const struct plan *plan)
{
    for (size_t i = 0; i < plan->steps; i++) {
        const struct step *step = &plan->step[i];
        const struct arena_edge *edge = arena_edge(step->edge);
        if (edge->to != step->from.section || edge->target != step->from.target || edge->symbol != step->from.symbol)
            return false;
    }
    return true;
}
