/* See inject.h. */
#include "injector/inject.h"
#include "introspect/base/own.h"
#include "introspect/disasm.h"
#include "introspect/qualified.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* Of an offset and the start of its instruction: fills in the second, told of each instruction in order. */
static void find_start(const struct disasm_line *line, void *context)
{
    uint32_t *start = context;

    if (line->offset <= start[0])
        start[1] = line->offset;
}

/* Moves a change in text back to where its instruction begins: in the middle of one, what the bytes mean together with
 * those before them would be anybody's guess. */
static void move_to_start(const struct view *view, struct change *c)
{
    uint32_t start[2] = {c->offset, c->offset};

    if (!is_text(view, c) || disasm_section(view, c->section, find_start, start) != ERR_OK)
        return;
    c->phys -= c->offset - start[1];
    c->offset = start[1];
}

enum err inject_plan(const struct view *view, const struct place *place, const struct model_use *use, struct prng *prng,
                     struct injection *ret_injection, struct why *why)
{
    CLOSED_BY(place_ranges_done) struct place_ranges ranges = {0};
    enum err e = place_resolve(place, view, &ranges, why);

    if (e != ERR_OK)
        return e;
    ret_injection->changes = model_plan(use, &ranges, prng, ret_injection->change);
    for (size_t i = 0; use->model->replaces && i < ret_injection->changes; i++)
        move_to_start(view, &ret_injection->change[i]);
    return ERR_OK;
}

enum err inject_apply(const struct inject_target *target, const struct view *view, struct injection *injection,
                      struct why *why)
{
    struct model_memory memory = memory_of(target);

    for (size_t i = 0; i < injection->changes; i++) {
        struct change *c = &injection->change[i];
        enum err e = change_apply(c, &memory, is_text(view, c));

        if (e == ERR_OK)
            continue;
        injection->changes = i;
        return why_set(why, e, "phys %#llx could not be written: %s", (unsigned long long)c->phys,
                       e == ERR_RANGE ? err_text(e) : machine_last_error());
    }
    return ERR_OK;
}

void inject_hold(const struct inject_target *target, const struct view *view, const struct injection *injection)
{
    struct model_memory memory = memory_of(target);

    for (size_t i = 0; i < injection->changes; i++) {
        struct change again = injection->change[i];
        (void)!change_apply(&again, &memory, is_text(view, &again));
    }
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

void inject_where(const struct view *view, const struct change *change, char *ret_text, size_t bytes)
{
    const struct arena_section *s = view_section(view, change->section);
    const struct arena_task *t = s ? NULL : stack_owner(view, change->phys);

    char label[256];

    view_section_label(view, change->section, label, sizeof label);
    if (s)
        snprintf(ret_text, bytes, "%s+%#x", label, change->offset);
    else if (t)
        snprintf(ret_text, bytes, "task:%s:stack+%#llx", t->name, (unsigned long long)(change->phys - t->stack_phys));
    else
        snprintf(ret_text, bytes, "%s", "");
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

enum err inject_find(const struct view *view, const char *where, struct change *change, struct why *why)
{
    static const char task[] = "task:";
    const char *plus = strrchr(where, '+');

    if (!*where)
        return ERR_OK;
    if (!plus)
        return why_set(why, ERR_NOT_FOUND, "there is no %s in this guest", where);
    uint64_t offset = strtoull(plus + 1, NULL, 0);
    enum err e = strncmp(where, task, sizeof task - 1) == 0
                     ? find_in_stack(view, where + sizeof task - 1, offset, change)
                     : find_in_section(view, where, offset, change);
    return e == ERR_OK ? ERR_OK : why_set(why, e, "there is no %s in this guest", where);
}
