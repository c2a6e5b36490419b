/* See plan.h. Reads the arena only. */
#include "cells/kernel/swap/plan.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/loader/elf.h"
#include "cells/kernel/mend/mend.h"
#include "cells/kernel/swap/index.h"
#include "cells/kernel/swap/pointers.h"
#include "cells/lib/format/format.h"
#include "cells/lib/string/string.h"

void plan_say(struct loader_detail *detail, const char *a, const char *b, const char *c, const char *d)
{
    format_print(detail->text, sizeof detail->text, "%s%s%s%s", a, b, c, d);
}

static const char *name_of(uint32_t section)
{
    return arena_string(arena_section(section)->name);
}

static const char *cell_name(uint32_t section)
{
    return arena_string(arena_cell(arena_section(section)->cell)->name);
}

uint8_t *plan_bytes(uint32_t section)
{
    return page_direct(arena_section(section)->phys);
}

static bool is_data(uint32_t section)
{
    uint32_t kind = arena_section(section)->kind;

    return kind == SECTION_DATA || kind == SECTION_BSS;
}

bool plan_is_old(const struct plan *plan, uint32_t cell)
{
    for (size_t i = 0; i < plan->olds; i++)
        if (plan->old[i] == cell)
            return true;
    return false;
}

static bool is_new(const struct plan *plan, uint32_t cell)
{
    for (size_t i = 0; i < plan->news; i++)
        if (plan->new_[i] == cell)
            return true;
    return false;
}

/* ---- twins ---- */

static bool may_be_twins(uint32_t old, uint32_t new_)
{
    return is_data(old) == is_data(new_) && (is_data(old) || arena_section(old)->kind == arena_section(new_)->kind);
}

/* In the new cell of the same name the section of the same name and ordinal; where that cell lacks it, or there is none, the
 * only section of that name in the others: cells may be split, merged and renamed. */
static uint32_t find_twin(const struct plan *plan, const struct index_entry *old)
{
    uint32_t elsewhere = 0;
    size_t others = 0;

    for (const struct index_entry *e = NULL; (e = index_find(plan->sections, old->name, e));) {
        if (e->cell == old->cell && e->ordinal == old->ordinal)
            return may_be_twins(old->record, e->record) ? e->record : 0;
        if (e->cell == old->cell)
            continue;
        elsewhere = e->record;
        others++;
    }
    return others == 1 && old->ordinal == 0 && may_be_twins(old->record, elsewhere) ? elsewhere : 0;
}

/* The relocated field of `section` that holds byte `at`; NULL: none. */
static const struct arena_edge *field_at(uint32_t section, uint32_t at)
{
    for (uint32_t e = arena_section(section)->first_out; e; e = arena_edge(e)->next_out) {
        const struct arena_edge *edge = arena_edge(e);
        if (at - edge->offset < relocation_bytes(edge->type))
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
        i = x->offset + relocation_bytes(x->type) - 1;
    }
    return true;
}

/* Types that are not known count as the same. */
static bool same_type(uint64_t a, uint64_t b)
{
    return !a || !b || a == b;
}

static bool same_shape(uint32_t a, uint32_t b)
{
    const struct arena_section *s = arena_section(a), *t = arena_section(b);

    return s->bytes == t->bytes && same_type(s->type_hash, t->type_hash);
}

static uint64_t object_hash(const struct arena_section *section)
{
    uint32_t object = arena_cell(section->cell)->object;

    return object ? arena_object(object)->hash : 0;
}

/* The section that the recipe is for; 0: there is none. */
static uint32_t recipe_target(const struct plan *plan, const struct recipe *recipe)
{
    for (size_t i = 0; i < plan->news; i++)
        for (uint32_t s = arena_cell(plan->new_[i])->first_section; s; s = arena_section(s)->next_in_cell)
            if (arena_section(s)->object_index == recipe->new_section &&
                object_hash(arena_section(s)) == recipe->new_object)
                return is_data(s) ? s : 0;
    return 0;
}

static const struct recipe *recipe_for(const struct plan *plan, const struct arena_section *section)
{
    uint64_t hash = object_hash(section);

    return hash && !plan->fresh ? recipes_find(&plan->recipes, hash, section->object_index) : NULL;
}

static struct twin make_twin(const struct plan *plan, const struct index_entry *old)
{
    const struct arena_section *s = arena_section(old->record);
    struct twin twin = {.virt = s->virt, .bytes = s->bytes, .old = old->record, .new_ = find_twin(plan, old)};

    twin.text = s->kind == SECTION_TEXT;
    if (is_data(twin.old) && (twin.recipe = recipe_for(plan, s))) {
        twin.new_ = recipe_target(plan, twin.recipe);
        twin.to = twin.new_ ? arena_section(twin.new_)->virt : 0;
        return twin;
    }
    if (!twin.new_)
        return twin;
    twin.to = arena_section(twin.new_)->virt;
    uint32_t object = arena_cell(s->cell)->object;
    twin.retyped = twin.text && !same_type(s->type_hash, arena_section(twin.new_)->type_hash);
    if (is_data(twin.old))
        twin.carried = !plan->fresh && same_shape(twin.old, twin.new_);
    else
        twin.same = (object && object == arena_cell(arena_section(twin.new_)->cell)->object) ||
                    same_contents(twin.old, twin.new_);
    return twin;
}

/* Shell sort: in place, no recursion. */
static void sort_twins(struct twin *twin, size_t count)
{
    for (size_t gap = count / 2; gap > 0; gap /= 2)
        for (size_t i = gap; i < count; i++) {
            struct twin moving = twin[i];
            size_t k = i;
            for (; k >= gap && moving.virt < twin[k - gap].virt; k -= gap)
                twin[k] = twin[k - gap];
            twin[k] = moving;
        }
}

static void add_span(struct plan *plan, uint64_t virt, uint32_t bytes)
{
    if (!bytes)
        return;
    plan->span[plan->spans++] = (struct span){virt, bytes};
    if (virt < plan->low)
        plan->low = virt;
    if (virt + bytes > plan->high)
        plan->high = virt + bytes;
}

static void find_bounds(struct plan *plan)
{
    plan->low = UINT64_MAX;
    for (size_t i = 0; i < plan->olds; i++)
        add_span(plan, arena_cell(plan->old[i])->text_virt, arena_cell(plan->old[i])->text_bytes);
    plan->texts = plan->spans;
    for (size_t i = 0; i < plan->olds; i++) {
        const struct arena_cell *c = arena_cell(plan->old[i]);
        add_span(plan, c->rodata_virt, c->rodata_bytes);
        add_span(plan, c->data_virt, c->data_bytes);
    }
}

struct sizes {
    size_t sections, symbols, incoming;
};

static void add_sizes(struct sizes *sizes, uint32_t cell)
{
    sizes->sections += arena_cell(cell)->sections;
    for (uint32_t i = arena_cell(cell)->first_symbol; i; i = arena_symbol(i)->next_in_cell)
        sizes->symbols += arena_symbol(i)->access != 0;
    for (uint32_t s = arena_cell(cell)->first_section; s; s = arena_section(s)->next_in_cell)
        sizes->incoming += arena_section(s)->incoming;
}

static void add_new(struct plan *plan, uint32_t cell)
{
    uint32_t name = arena_cell(cell)->name;

    for (uint32_t s = arena_cell(cell)->first_section; s; s = arena_section(s)->next_in_cell)
        index_add(plan->sections, arena_section(s)->name, name, s);
    for (uint32_t i = arena_cell(cell)->first_symbol; i; i = arena_symbol(i)->next_in_cell)
        if (arena_symbol(i)->access)
            index_add(plan->symbols, arena_symbol(i)->name, name, i);
}

static void pair(struct plan *plan, struct index *old)
{
    for (size_t i = 0; i < plan->news; i++)
        add_new(plan, plan->new_[i]);
    for (size_t i = 0; i < plan->olds; i++)
        for (uint32_t s = arena_cell(plan->old[i])->first_section; s; s = arena_section(s)->next_in_cell)
            index_add(old, arena_section(s)->name, arena_cell(plan->old[i])->name, s);
    for (size_t i = 0; i < old->entries; i++)
        plan->twin[plan->twins++] = make_twin(plan, &old->entry[i]);
    sort_twins(plan->twin, plan->twins);
    find_bounds(plan);
}

struct plan *plan_pair(const uint32_t *old, size_t olds, const uint32_t *new_, size_t news, bool fresh,
                       const struct recipes *recipes)
{
    struct sizes of_old = {0}, of_new = {0};

    for (size_t i = 0; i < olds; i++)
        add_sizes(&of_old, old[i]);
    for (size_t i = 0; i < news; i++)
        add_sizes(&of_new, new_[i]);
    size_t twins = of_old.sections * sizeof(struct twin);
    size_t steps = (of_old.incoming * sizeof(struct step) + 7) & ~7ul; /* twins come behind them */
    size_t sections = index_bytes(of_new.sections), symbols = index_bytes(of_new.symbols);
    OWN(mapped_pages)
    struct mapped_pages *memory =
        page_map(sizeof(struct plan) + steps + twins + sections + symbols + index_bytes(of_old.sections), PAGE_WRITE);
    if (!memory)
        return NULL;
    struct plan *plan = page_start(memory);
    *plan = (struct plan){.olds = olds, .news = news, .fresh = fresh};
    if (recipes)
        plan->recipes = *recipes;
    for (size_t i = 0; i < olds; i++) {
        plan->old[i] = old[i];
        plan->core |= mend_is_core(old[i]);
    }
    for (size_t i = 0; i < news; i++)
        plan->new_[i] = new_[i];
    plan->step = (struct step *)(plan + 1);
    plan->twin = (struct twin *)((uint8_t *)plan->step + steps);
    uint8_t *rest = (uint8_t *)plan->twin + twins;
    plan->sections = index_make(rest, of_new.sections);
    plan->symbols = index_make(rest + sections, of_new.symbols);
    pair(plan, index_make(rest + sections + symbols, of_old.sections));
    plan->memory = MOVE(memory);
    return plan;
}

void plan_put(TAKES struct plan *plan)
{
    if (!plan)
        return;
    mapped_pages_put(MOVE(plan->switch_memory));
    mapped_pages_put(MOVE(plan->word_memory));
    mapped_pages_put(MOVE(plan->memory));
}

/* ---- words ---- */

enum err plan_reserve_words(struct plan *plan, size_t words)
{
    plan->words = 0;
    plan->words_lost = false;
    if (words <= plan->words_max)
        return ERR_OK;
    mapped_pages_put(MOVE(plan->word_memory));
    plan->words_max = 0;
    plan->word_memory = page_map(words * (sizeof *plan->word + sizeof *plan->hit), PAGE_WRITE);
    if (!plan->word_memory)
        return ERR_NOMEM;
    plan->word = page_start(plan->word_memory);
    plan->hit = (struct hit *)(plan->word + words);
    plan->words_max = words;
    return ERR_OK;
}

void plan_forget_words(struct plan *plan)
{
    plan->words = 0;
    plan->words_lost = false;
}

void plan_add_word(struct plan *plan, uint64_t *at, uint64_t before, uint64_t after)
{
    if (plan->words < plan->words_max)
        plan->word[plan->words++] = (struct word){at, before, after};
    else
        plan->words_lost = true;
}

/* ---- addresses ---- */

static bool is_in(const struct span *span, size_t count, uint64_t address)
{
    for (size_t i = 0; i < count; i++)
        if (address - span[i].start < span[i].bytes)
            return true;
    return false;
}

bool plan_in_regions(const struct plan *plan, uint64_t address)
{
    return is_in(plan->span, plan->spans, address);
}

bool plan_in_old_text(const struct plan *plan, uint64_t address)
{
    return is_in(plan->span, plan->texts, address);
}

/* The twin of the old section that holds `address`; NULL: none does. */
static const struct twin *twin_at(const struct plan *plan, uint64_t address)
{
    size_t low = 0, high = plan->twins;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (plan->twin[middle].virt <= address)
            low = middle + 1;
        else
            high = middle;
    }
    const struct twin *twin = low ? &plan->twin[low - 1] : NULL;
    return twin && address - twin->virt < twin->bytes ? twin : NULL;
}

static uint64_t map_in(const struct plan *plan, const struct twin *twin, uint64_t address)
{
    uint64_t offset = address - twin->virt;
    uint32_t moved;

    if (twin->new_ && twin->recipe)
        return recipe_address(&plan->recipes, twin->recipe, (uint32_t)offset, &moved) ? twin->to + moved : 0;
    bool whole = twin->same || twin->carried, entry = offset == 0 && twin->text;

    if (entry && twin->retyped) /* nobody who has it knows how it is to be called now */
        return 0;
    return twin->new_ && (whole || entry) ? twin->to + offset : 0;
}

bool plan_is_start(const struct plan *plan, uint64_t address)
{
    const struct twin *twin = twin_at(plan, address);

    return twin && twin->virt == address;
}

uint64_t plan_map(const struct plan *plan, uint64_t address)
{
    const struct twin *twin = twin_at(plan, address);

    return twin ? map_in(plan, twin, address) : 0;
}

uint32_t plan_twin(const struct plan *plan, uint32_t section, bool back)
{
    if (!back) {
        const struct twin *twin = twin_at(plan, arena_section(section)->virt);
        return twin && twin->old == section ? twin->new_ : 0;
    }
    for (size_t i = 0; i < plan->twins; i++)
        if (plan->twin[i].new_ == section)
            return plan->twin[i].old;
    return 0;
}

/* ---- functions that pointers lead to ---- */

enum err plan_calls(const struct plan *plan, uint64_t function, uint64_t hash)
{
    const struct twin *twin = twin_at(plan, function);

    if (!twin || !twin->text || twin->virt != function)
        return ERR_OK;
    if (!twin->new_)
        return ERR_MISSING_SYMBOL;
    bool fits = same_type(arena_section(twin->new_)->type_hash, hash);
    return twin->retyped && !fits ? ERR_WRONG_TYPE : ERR_OK;
}

bool plan_loses_functions(const struct plan *plan)
{
    for (size_t i = 0; i < plan->twins; i++)
        if (plan->twin[i].text && (!plan->twin[i].new_ || plan->twin[i].retyped))
            return true;
    return false;
}

bool plan_keeps(const struct plan *plan, uint32_t section)
{
    const struct twin *twin = twin_at(plan, arena_section(section)->virt);

    return !twin || twin->carried || (twin->recipe && twin->new_);
}

bool plan_moves(const struct plan *plan, uint32_t section, uint32_t offset)
{
    const struct twin *twin = twin_at(plan, arena_section(section)->virt);
    uint32_t moved;

    return !twin || twin->carried ||
           (twin->recipe && twin->new_ && recipe_map(&plan->recipes, twin->recipe, offset, 8, &moved));
}

/* ---- edges ---- */

/* `section` is one of an old cell. */
static enum err refuse(enum err e, struct loader_detail *detail, uint32_t section, const char *name, const char *what)
{
    plan_say(detail, cell_name(section), ": ", name, what);
    return e;
}

static enum err resolve_symbol(const struct plan *plan, const struct arena_edge *edge, struct place *ret_place,
                               struct loader_detail *detail)
{
    const struct arena_symbol *old = arena_symbol(edge->symbol);
    const struct arena_cell *user = arena_cell(arena_section(edge->from)->cell);
    const char *name = arena_string(old->name);
    const struct index_entry *found = index_find(plan->symbols, old->name, NULL);

    if (!found)
        return refuse(ERR_MISSING_SYMBOL, detail, edge->to, name, " is used by others, and the new version lacks it");
    const struct arena_symbol *symbol = arena_symbol(found->record);
    if (!same_type(old->type_hash, symbol->type_hash))
        return refuse(ERR_WRONG_TYPE, detail, edge->to, name, " has another type in the new version");
    if (symbol->access < user->kind)
        return refuse(ERR_NO_ACCESS, detail, edge->to, name, " is no longer for all of the cells that use it");
    *ret_place = (struct place){symbol->section, symbol->offset + edge->target - old->offset, found->record};
    return ERR_OK;
}

/* What is bound without being exported: a function or datum, known by its section's name. */
static enum err resolve_section(const struct plan *plan, const struct arena_edge *edge, struct place *ret_place,
                                struct loader_detail *detail)
{
    uint64_t address = arena_section(edge->to)->virt + edge->target;
    const struct twin *twin = twin_at(plan, address);
    uint64_t mapped = twin ? map_in(plan, twin, address) : 0;

    if (twin && twin->retyped && !mapped)
        return refuse(ERR_WRONG_TYPE, detail, edge->to, name_of(edge->to),
                      " is bound by others, and has another type in the new version");
    if (!mapped)
        return refuse(ERR_MISSING_SYMBOL, detail, edge->to, name_of(edge->to),
                      " is bound by others, and the new version lacks it");
    *ret_place = (struct place){twin->new_, (uint32_t)(mapped - twin->to), 0};
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

    if (is_new(plan, user))
        return refuse(ERR_UNRESOLVED, detail, edge->to, name_of(edge->to),
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
            if (plan_is_old(plan, from->cell) != own)
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

uint32_t plan_transfer(const struct plan *plan, uint32_t section)
{
    uint32_t name = arena_cell(arena_section(section)->cell)->name, any = 0;

    for (size_t i = 0; i < plan->news; i++) {
        const struct arena_cell *new_ = arena_cell(plan->new_[i]);
        if (new_->name == name)
            return new_->transfer_section ? plan->new_[i] : 0;
        if (new_->transfer_section && !any)
            any = plan->new_[i];
    }
    return any;
}

/* The image's way in is used up when it has booted. */
static bool is_used_up(uint32_t section)
{
    return !arena_cell(arena_section(section)->cell)->object;
}

static struct recipe_side side_of(uint32_t section)
{
    const struct arena_section *s = arena_section(section);

    return (struct recipe_side){object_hash(s), s->object_index, s->bytes, s->type_hash, s->deep_hash};
}

/* Pointers that the arena knows of, and that are carried over. */
static enum err check_pointers(const struct plan *plan, const struct twin *twin, struct loader_detail *detail)
{
    for (uint32_t e = arena_section(twin->old)->first_out; e; e = arena_edge(e)->next_out) {
        const struct arena_edge *edge = arena_edge(e);
        uint64_t value;
        uint32_t moved;
        if (edge->type != R_X86_64_64 ||
            (twin->recipe && !recipe_map(&plan->recipes, twin->recipe, edge->offset, 8, &moved)))
            continue;
        memcpy(&value, plan_bytes(twin->old) + edge->offset, sizeof value);
        if (plan_in_old(plan, value) && !plan_map(plan, value))
            return refuse(ERR_MISSING_SYMBOL, detail, twin->old, name_of(twin->old),
                          " points to what the new version lacks, or has with another type");
    }
    return ERR_OK;
}

static bool is_target_of_others(const struct plan *plan, const struct twin *twin)
{
    for (size_t i = 0; i < plan->twins; i++)
        if (&plan->twin[i] != twin && plan->twin[i].new_ == twin->new_)
            return true;
    return false;
}

static enum err check_recipe(const struct plan *plan, const struct twin *twin, struct loader_detail *detail)
{
    struct recipe_side old = side_of(twin->old), new_ = {0};

    if (plan->core) /* it changes while it is carried, and switch.c knows of no moves */
        return refuse(ERR_UNSUPPORTED, detail, twin->old, name_of(twin->old),
                      " cannot change its type in one swap with the core");
    if (!twin->new_)
        return recipe_check(&plan->recipes, twin->recipe, &old, NULL, NULL, detail);
    if (is_target_of_others(plan, twin))
        return refuse(ERR_CORRUPT, detail, twin->new_, name_of(twin->new_), " is filled from two old sections");
    new_ = side_of(twin->new_);
    OWN(mapped_pages) struct mapped_pages *written = page_map(new_.bytes, PAGE_WRITE);
    if (!written) {
        plan_say(detail, "no memory to check the recipe for ", name_of(twin->new_), "", "");
        return ERR_NOMEM;
    }
    enum err e = recipe_check(&plan->recipes, twin->recipe, &old, &new_, page_start(written), detail);
    return e ? e : check_pointers(plan, twin, detail);
}

/* Data that can neither be copied nor is taken over by a transfer function must not be lost silently. */
static enum err check_data(const struct plan *plan, const struct twin *twin, struct loader_detail *detail)
{
    if (twin->recipe)
        return check_recipe(plan, twin, detail);
    if (!is_data(twin->old) || plan->fresh || is_used_up(twin->old) || plan_transfer(plan, twin->old))
        return ERR_OK;
    if (twin->new_ && twin->carried &&
        !same_type(arena_section(twin->old)->deep_hash, arena_section(twin->new_)->deep_hash))
        return refuse(ERR_WRONG_TYPE, detail, twin->old, name_of(twin->old),
                      " leads to what has another type, and there is no transfer function");
    if (twin->new_ && !twin->carried)
        return refuse(ERR_WRONG_TYPE, detail, twin->old, name_of(twin->old),
                      " has another size or type, and there is no transfer function");
    if (!twin->new_)
        return refuse(ERR_MISSING_SYMBOL, detail, twin->old, name_of(twin->old),
                      " would be lost: the new version lacks it, and has no transfer function");
    return check_pointers(plan, twin, detail);
}

enum plan_quiet_way plan_data_quiet(const struct plan *plan, const struct twin *twin)
{
    if (plan->fresh || !is_data(twin->old) || is_used_up(twin->old))
        return PLAN_QUIET_NOT;
    if (!twin->carried)
        return PLAN_QUIET_DATA;
    return same_type(arena_section(twin->old)->deep_hash, arena_section(twin->new_)->deep_hash) ? PLAN_QUIET_NOT
                                                                                                : PLAN_QUIET_BEHIND;
}

enum plan_quiet_way plan_symbol_quiet(const struct plan *plan, uint32_t symbol)
{
    const struct arena_symbol *old = arena_symbol(symbol);
    const struct index_entry *found = old->access ? index_find(plan->symbols, old->name, NULL) : NULL;

    return found && !same_type(old->deep_hash, arena_symbol(found->record)->deep_hash) ? PLAN_QUIET_CALL
                                                                                       : PLAN_QUIET_NOT;
}

/* Old code must not run on, on data that the new one sees otherwise: in static data, or behind what callers hand over. */
static bool needs_quiet(const struct plan *plan)
{
    for (size_t i = 0; i < plan->twins; i++)
        if (plan_data_quiet(plan, &plan->twin[i]))
            return true;
    for (size_t i = 0; i < plan->olds; i++)
        for (uint32_t s = arena_cell(plan->old[i])->first_symbol; s; s = arena_symbol(s)->next_in_cell)
            if (plan_symbol_quiet(plan, s))
                return true;
    return false;
}

enum err plan_make(struct plan *plan, struct loader_detail *detail)
{
    enum err e = plan_edges(plan, false, detail);

    plan->foreign_steps = plan->steps;
    if (!e)
        e = plan_edges(plan, true, detail);
    for (size_t i = 0; !e && i < plan->twins; i++)
        e = check_data(plan, &plan->twin[i], detail);
    if (!e)
        e = pointers_check(plan, detail);
    plan->quiet = needs_quiet(plan);
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
