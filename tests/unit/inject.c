/* Places, models, seeds and triggers of the injector, on a made-up arena. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include "guest/abi/heap.h"
#include "injector/activation.h"
#include "injector/inject.h"
#include "injector/watch.h"
#include "tests/unit/arena_build.h"

static uint8_t *ram;
static struct view *view;
static struct why why;

static void setup(void)
{
    enum err e;

    ram = build_ram();
    view = view_take(ram, BUILD_RAM, &e);
    ck_assert_ptr_nonnull(view);
}

static void teardown(void)
{
    view_free(view);
    free(ram);
}

/* ---- places ---- */

static const struct {
    const char *words;
    bool good;
    enum err resolves;
    uint64_t phys, bytes; /* first range; all ranges */
} places[] = {
    {"cell:alpha:.text", true, ERR_OK, BUILD_ALPHA_PHYS, BUILD_TEXT_BYTES},
    {"cell:alpha:.rodata", true, ERR_OK, BUILD_ALPHA_PHYS + 0x1000, BUILD_RODATA_BYTES},
    {"cell:alpha:.rodata.words", true, ERR_OK, BUILD_ALPHA_PHYS + 0x1000, BUILD_RODATA_BYTES},
    {"cell:alpha:alpha_run", true, ERR_OK, BUILD_ALPHA_PHYS, BUILD_TEXT_BYTES},
    {"cell:alpha", true, ERR_OK, BUILD_ALPHA_PHYS, BUILD_TEXT_BYTES + BUILD_RODATA_BYTES},
    {"cell:*:.text", true, ERR_OK, BUILD_ALPHA_PHYS, 2 * BUILD_TEXT_BYTES},
    {"cell:alpha:.data", true, ERR_NOT_FOUND, 0, 0},
    {"cell:gamma", true, ERR_NOT_FOUND, 0, 0},
    {"cell:root/alpha:.text", true, ERR_OK, BUILD_ALPHA_PHYS, BUILD_TEXT_BYTES},
    {"cell:small/alpha:.text", true, ERR_NOT_FOUND, 0, 0},
    {"cell:alpha:.text.alpha_run+0x10", true, ERR_OK, BUILD_ALPHA_PHYS + 16, 1},
    {"cell:alpha:alpha_run+4+8", true, ERR_OK, BUILD_ALPHA_PHYS + 4, 8},
    {"cell:alpha:alpha_run+4+45", true, ERR_RANGE, 0, 0},
    {"cell:alpha:.text+4", true, ERR_NOT_FOUND, 0, 0},
    {"cell:alpha:alpha_run+", false, ERR_OK, 0, 0},
    {"cell:*:alpha_run+4", false, ERR_OK, 0, 0},
    {"cell:/alpha", false, ERR_OK, 0, 0},
    {"symbol:beta.beta_run", true, ERR_OK, BUILD_BETA_PHYS, 16},
    {"symbol:root/beta.beta_run+4", true, ERR_OK, BUILD_BETA_PHYS + 4, 1},
    {"symbol:alpha.beta_run", true, ERR_NOT_FOUND, 0, 0},
    {"symbol:beta_run", true, ERR_OK, BUILD_BETA_PHYS, 16},
    {"symbol:beta_run+4", true, ERR_OK, BUILD_BETA_PHYS + 4, 1},
    {"symbol:beta_run+0x4+2", true, ERR_OK, BUILD_BETA_PHYS + 4, 2},
    {"symbol:beta_run+4+13", true, ERR_RANGE, 0, 0},
    {"symbol:beta_run+16", true, ERR_RANGE, 0, 0},
    {"symbol:beta_run+", false, ERR_OK, 0, 0},
    {"symbol:+4", false, ERR_OK, 0, 0},
    {"symbol:gamma_run", true, ERR_NOT_FOUND, 0, 0},
    {"task:worker:stack", true, ERR_OK, BUILD_STACK_PHYS, BUILD_STACK_BYTES},
    {"task:7:stack", true, ERR_OK, BUILD_STACK_PHYS, BUILD_STACK_BYTES},
    {"task:*:stack", true, ERR_OK, BUILD_STACK_PHYS, BUILD_STACK_BYTES},
    {"task:nobody:stack", true, ERR_NOT_FOUND, 0, 0},
    {"phys:0x810004+8", true, ERR_OK, BUILD_ALPHA_PHYS + 4, 8},
    {"phys:4096", true, ERR_OK, 4096, 1},
    {"phys:0xffffffffffffffff+2", true, ERR_RANGE, 0, 0},
    {"random", true, ERR_OK, BUILD_ALPHA_PHYS, 2 * BUILD_TEXT_BYTES + BUILD_RODATA_BYTES + BUILD_STACK_BYTES},
    {"", false, ERR_OK, 0, 0},
    {"alpha", false, ERR_OK, 0, 0},
    {"cell:", false, ERR_OK, 0, 0},
    {"cell:alpha:", false, ERR_OK, 0, 0},
    {"symbol:a:b", false, ERR_OK, 0, 0},
    {"task:worker", false, ERR_OK, 0, 0},
    {"task:worker:heap", false, ERR_OK, 0, 0},
    {"phys:", false, ERR_OK, 0, 0},
    {"phys:12x", false, ERR_OK, 0, 0},
    {"phys:12+", false, ERR_OK, 0, 0},
    {"phys:12+0", false, ERR_OK, 0, 0},
    {"phys:-1", false, ERR_OK, 0, 0},
    {"phys:99999999999999999999999", false, ERR_OK, 0, 0},
};

START_TEST(finds_places)
{
    struct place_ranges ranges;
    struct place place;

    ck_assert_int_eq(place_parse(places[_i].words, &place, &why) == ERR_OK, places[_i].good);
    if (!places[_i].good)
        return;
    ck_assert_int_eq(place_resolve(&place, view, &ranges, &why), places[_i].resolves);
    if (places[_i].resolves != ERR_OK) {
        ck_assert_str_ne(why.text, "");
        return;
    }
    ck_assert_uint_eq(ranges.range[0].phys, places[_i].phys);
    ck_assert_uint_eq(ranges.bytes, places[_i].bytes);
    place_ranges_done(&ranges);
}
END_TEST

START_TEST(counts_bytes_of_ranges)
{
    struct place_range range[] = {{.phys = 100, .bytes = 4}, {.phys = 200, .bytes = 2, .section = {3}, .offset = 7}};
    const struct place_ranges ranges = {.range = range, .count = 2, .bytes = 6};

    ck_assert_uint_eq(place_byte(&ranges, 0).phys, 100);
    ck_assert_uint_eq(place_byte(&ranges, 3).phys, 103);
    ck_assert_uint_eq(place_byte(&ranges, 3).bytes, 1);
    ck_assert_uint_eq(place_byte(&ranges, 4).phys, 200);
    ck_assert_uint_eq(place_byte(&ranges, 5).phys, 201);
    ck_assert_uint_eq(place_byte(&ranges, 5).offset, 8);
    ck_assert_uint_eq(place_byte(&ranges, 5).section.index, 3);
}
END_TEST

START_TEST(leaves_the_arena_alone)
{
    struct arena_section *s = build_record(ram, ARENA_SECTIONS, BUILD_BETA_TEXT);
    struct place_ranges ranges;
    struct place place;
    enum err e;

    s->phys = LAYOUT_ARENA_PHYS + 64;
    build_seal(ram, ARENA_SECTIONS, BUILD_BETA_TEXT);
    view_free(view);
    view = view_take(ram, BUILD_RAM, &e);
    ck_assert_int_eq(place_parse("cell:*:.text", &place, &why), ERR_OK);
    ck_assert_int_eq(place_resolve(&place, view, &ranges, &why), ERR_OK);
    ck_assert_uint_eq(ranges.bytes, BUILD_TEXT_BYTES);
    place_ranges_done(&ranges);
}
END_TEST

START_TEST(finds_blocks_of_the_heap)
{
    enum { ENTRY = BUILD_PAGES_PHYS + 4096, AT = 0x200, BYTES = 40, OFFSET = 64 };
    const uint64_t virt = LAYOUT_PAGES_VIRT + AT;
    struct heap_header used = {heap_seal(virt, OFFSET, HEAP_SEAL_USED), OFFSET, BYTES, 0};
    struct heap_header freed = {heap_seal(virt + 0x100, OFFSET, HEAP_SEAL_FREE), OFFSET, BYTES, 0};
    struct place_ranges ranges;
    struct place place;
    struct change change = {0};
    char where[64];

    ck_assert_int_eq(place_parse("heap", &place, &why), ERR_OK);
    ck_assert_int_ne(place_parse("heaps", &(struct place){0}, &why), ERR_OK);
    ck_assert_int_eq(place_resolve(&place, view, &ranges, &why), ERR_NOT_FOUND);
    memcpy(ram + ENTRY, ram + ENTRY + 8, 8); /* the first gibibyte is mapped like the second */
    memcpy(ram + BUILD_ALPHA_PHYS + AT, &used, sizeof used);
    memcpy(ram + BUILD_ALPHA_PHYS + AT + 0x100, &freed, sizeof freed);
    ck_assert_int_eq(place_resolve(&place, view, &ranges, &why), ERR_OK);
    ck_assert_uint_eq(ranges.count, 1);
    ck_assert_uint_eq(ranges.bytes, BYTES);
    const struct place_range r = place_byte(&ranges, 3);
    ck_assert_uint_eq(r.phys, BUILD_ALPHA_PHYS + AT + sizeof used + 3);
    ck_assert_uint_eq(r.virt, virt + sizeof used + 3);
    place_ranges_done(&ranges);
    ck_assert_int_eq(inject_find(view, "heap:0xffffc00000000213", &change, &why), ERR_OK);
    ck_assert_uint_eq(change.phys, r.phys);
    inject_where(view, &change, where, sizeof where);
    ck_assert_str_eq(where, "heap:0xffffc00000000213");
    ck_assert_str_eq(inject_kind(view, &change), "heap");
    ck_assert_uint_eq(inject_gva(view, &change), r.virt);
}
END_TEST

static void set_task(uint64_t saved_rsp, uint32_t state)
{
    struct arena_task *task = build_record(ram, ARENA_TASKS, 1);
    enum err e;

    task->saved_rsp = saved_rsp;
    task->state = state;
    view_free(view);
    view = view_take(ram, BUILD_RAM, &e);
    ck_assert_ptr_nonnull(view);
}

/* What a stack holds is above its stack pointer. */
START_TEST(takes_the_used_end_of_a_stack)
{
    static const struct {
        uint64_t saved_rsp, skipped;
    } stacks[] = {
        {BUILD_STACK_VIRT + 0x3000, 0x3000},
        {BUILD_STACK_VIRT + BUILD_STACK_BYTES - 8, BUILD_STACK_BYTES - 8},
        {BUILD_STACK_VIRT, 0},
        {BUILD_STACK_VIRT + BUILD_STACK_BYTES, 0}, /* not within the stack: not to be believed */
        {BUILD_STACK_VIRT - 8, 0},
    };
    struct place_ranges ranges;
    struct place place;

    ck_assert_int_eq(place_parse("task:worker:stack", &place, &why), ERR_OK);
    for (size_t i = 0; i < sizeof stacks / sizeof *stacks; i++) {
        set_task(stacks[i].saved_rsp, TASK_BLOCKED);
        ck_assert_int_eq(place_resolve(&place, view, &ranges, &why), ERR_OK);
        ck_assert_uint_eq(ranges.count, 1);
        ck_assert_uint_eq(ranges.range[0].phys, BUILD_STACK_PHYS + stacks[i].skipped);
        ck_assert_uint_eq(ranges.range[0].bytes, BUILD_STACK_BYTES - stacks[i].skipped);
        place_ranges_done(&ranges);
    }
    set_task(BUILD_STACK_VIRT, TASK_EXITED);
    ck_assert_int_eq(place_resolve(&place, view, &ranges, &why), ERR_NOT_FOUND);
}
END_TEST

/* ---- models ---- */

static enum err write_text(void *context, uint64_t phys, const void *data, size_t bytes)
{
    ++*(int *)context;
    memcpy(ram + phys, data, bytes);
    return ERR_OK;
}

static size_t plan(const char *model, const char *words, uint64_t seed, struct change *changes)
{
    struct prng prng = {seed};
    struct place_ranges ranges;
    struct model_use use;
    struct place place;

    ck_assert_int_eq(model_parse(model, &use, &why), ERR_OK);
    ck_assert_int_eq(place_parse(words, &place, &why), ERR_OK);
    ck_assert_int_eq(place_resolve(&place, view, &ranges, &why), ERR_OK);
    size_t n = model_plan(&use, &ranges, &prng, changes);
    place_ranges_done(&ranges);
    return n;
}

static const struct {
    const char *model;
    uint64_t before, after_and, after_or; /* of bits: those that may stay, those that must be set */
    int bits;                             /* that differ, -1: any number */
} model_cases[] = {
    {"flip", 0x00, 0xff, 0, 1}, {"flip", 0xff, 0xff, 0, 1},       {"stuck0", 0xff, 0xff, 0, 1},
    {"stuck0", 0, 0, 0, 0},     {"stuck1", 0, 0xff, 0, 1},        {"stuck1", 0xff, 0xff, 0xff, 0},
    {"zero", 0xff, 0, 0, 64},   {"overwrite64", 0, ~0ull, 0, -1}, {"byte", 0, 0xff, 0, -1},
};

START_TEST(changes_memory)
{
    struct change c[MODEL_CHANGES_MAX];
    int text_writes = 0;
    const struct model_memory memory = {ram, BUILD_RAM, write_text, &text_writes};

    memset(ram + BUILD_STACK_PHYS, (int)model_cases[_i].before, BUILD_STACK_BYTES);
    ck_assert_uint_eq(plan(model_cases[_i].model, "phys:0x830000+8", (uint64_t)_i, c), 1);
    uint8_t copy[16];
    memcpy(copy, ram + BUILD_STACK_PHYS, sizeof copy);
    ck_assert_int_eq(change_apply(c, &memory, _i & 1), ERR_OK);
    ck_assert_uint_eq(c->after & ~model_cases[_i].after_and, 0);
    ck_assert_uint_eq(c->after & model_cases[_i].after_or, model_cases[_i].after_or);
    if (model_cases[_i].bits >= 0 && c->bytes == (model_cases[_i].bits == 64 ? 8 : 1))
        ck_assert_int_eq(__builtin_popcountll(c->before ^ c->after), model_cases[_i].bits);
    ck_assert_int_eq(memcmp(ram + c->phys, &c->after, c->bytes), 0);
    ck_assert_int_eq(text_writes, (_i & 1) && c->before != c->after);
    for (size_t i = 0; i < sizeof copy; i++) /* and nothing else */
        if (BUILD_STACK_PHYS + i < c->phys || BUILD_STACK_PHYS + i >= c->phys + c->bytes)
            ck_assert_uint_eq(ram[BUILD_STACK_PHYS + i], copy[i]);
}
END_TEST

START_TEST(fits_wide_changes_in)
{
    struct change c[MODEL_CHANGES_MAX];

    for (uint64_t seed = 0; seed < 20; seed++) {
        plan("zero", "phys:4096+8", seed, c);
        ck_assert_uint_eq(c->phys, 4096);
        ck_assert_uint_eq(c->bytes, 8);
        plan("zero", "phys:4096+3", seed, c);
        ck_assert_uint_eq(c->phys, 4096);
        ck_assert_uint_eq(c->bytes, 3);
        plan("trap", "symbol:beta_run", seed, c);
        ck_assert_uint_le(c->phys + c->bytes, BUILD_BETA_PHYS + 16);
        ck_assert_uint_eq(c->bytes, 2);
        ck_assert_uint_eq(c->offset, c->phys - BUILD_BETA_PHYS);
    }
}
END_TEST

/* Which instructions alpha's code has. */
struct starts {
    uint32_t bytes[BUILD_TEXT_BYTES]; /* of the instruction that begins at this offset; 0: none does */
};

static void note_start(const struct disasm_line *line, void *context)
{
    struct starts *starts = context;

    starts->bytes[line->offset] = line->bytes;
}

START_TEST(skips_whole_instructions)
{
    struct place place;
    struct model_use use;
    struct injection injection;
    struct starts starts = {0};

    ck_assert_int_eq(model_parse("skip", &use, &why), ERR_OK);
    ck_assert_int_eq(place_parse("cell:alpha", &place, &why), ERR_OK); /* code and data */
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct prng prng = {seed};
        ck_assert_int_eq(inject_plan(view, &place, &use, &prng, &injection, &why), ERR_OK);
        const struct change *c = injection.change;
        ck_assert_uint_eq(injection.changes, 1);
        ck_assert(c->skip && change_bit(c) < 0);
        ck_assert_int_eq(disasm_section(view, c->section, note_start, &starts), ERR_OK);
        ck_assert_uint_lt(c->offset, BUILD_TEXT_BYTES);
        ck_assert_uint_ne(c->bytes, 0);
        ck_assert_uint_eq(c->bytes, starts.bytes[c->offset]);
        ck_assert_uint_eq(c->phys, BUILD_ALPHA_PHYS + c->offset);
        ck_assert_uint_eq(inject_gva(view, c), BUILD_ALPHA_VIRT + c->offset);
    }
    ck_assert_int_eq(place_parse("cell:alpha:.rodata", &place, &why), ERR_OK);
    ck_assert_int_eq(inject_plan(view, &place, &use, &(struct prng){1}, &injection, &why), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(why.text, "no code"));
}
END_TEST

START_TEST(data_of_one_name_go_together)
{
    struct place place;

    ck_assert_int_eq(place_parse("cell:alpha:.rodata.table", &place, &why), ERR_OK);
    ck_assert(place_fits(&place, SECTION_RODATA, ".rodata.table"));
    ck_assert(place_fits(&place, SECTION_RODATA, ".rodata.table#677904b4"));
    ck_assert(!place_fits(&place, SECTION_RODATA, ".rodata.table.2"));
    ck_assert(!place_fits(&place, SECTION_RODATA, ".rodata.tab"));
}
END_TEST

START_TEST(knows_who_runs)
{
    struct arena_cpu *cpu = build_record(ram, ARENA_CPUS, 1);

    cpu->online = 1;
    cpu->current_task.index = 1;
    ck_assert(watch_is_running(ram, BUILD_RAM, "worker"));
    ck_assert(!watch_is_running(ram, BUILD_RAM, "work"));
    cpu->current_task.index = UINT32_MAX;
    ck_assert(!watch_is_running(ram, BUILD_RAM, "worker"));
    build_header(ram)->table[ARENA_TASKS].offset = UINT32_MAX - 63;
    cpu->current_task.index = 1;
    ck_assert(!watch_is_running(ram, BUILD_RAM, "worker"));
    ck_assert(!watch_is_running(ram, 4096, "worker"));
}
END_TEST

START_TEST(refuses_models)
{
    static const char *const words[] = {"", "flop", "flip:2", "flips", "flips:", "flips:0", "flips:65", "flips:2x"};
    struct model_use use;

    ck_assert_int_eq(model_parse(words[_i], &use, &why), ERR_INVALID);
    ck_assert_str_ne(why.text, "");
}
END_TEST

START_TEST(a_seed_replays)
{
    struct change a[MODEL_CHANGES_MAX], b[MODEL_CHANGES_MAX];
    int differ = 0;

    memset(a, 0, sizeof a);
    memset(b, 0, sizeof b);
    for (uint64_t seed = 0; seed < 50; seed++) {
        ck_assert_uint_eq(plan("flips:5", "random", seed, a), 5);
        ck_assert_uint_eq(plan("flips:5", "random", seed, b), 5);
        ck_assert_int_eq(memcmp(a, b, 5 * sizeof *a), 0);
        plan("flips:5", "random", seed + 1, b);
        differ += memcmp(a, b, 5 * sizeof *a) != 0;
    }
    ck_assert_int_eq(differ, 50);
    ck_assert_uint_eq(plan("flips:64", "phys:4096", 1, a), 8); /* a byte has eight bits */
}
END_TEST

START_TEST(draws_evenly)
{
    struct prng prng = {1};
    unsigned seen[10] = {0};

    for (int i = 0; i < 100000; i++)
        seen[prng_below(&prng, 10)]++;
    for (int i = 0; i < 10; i++)
        ck_assert(seen[i] > 9600 && seen[i] < 10400);
    ck_assert_uint_eq(prng_below(&prng, 1), 0);
    ck_assert_uint_eq(prng_below(&prng, 0), 0);
    ck_assert_uint_ne(prng_for(7, 0).state, prng_for(7, 1).state);
    ck_assert_uint_ne(prng_for(7, 0).state, prng_for(8, 0).state);
}
END_TEST

START_TEST(says_what_and_where)
{
    const struct change c = {.phys = 0x5c1234,
                             .bytes = 1,
                             .section = build_alpha_text,
                             .offset = 5,
                             .keep = UINT64_MAX,
                             .flip = 8,
                             .before = 0x48,
                             .after = 0x40};
    const struct change z = {.phys = 16, .bytes = 2, .before = 0x1, .after = 0};
    char text[128];

    change_print(&c, text, sizeof text);
    ck_assert_str_eq(text, "phys 0x5c1234 bit 3: 0x48 -> 0x40");
    change_print(&z, text, sizeof text);
    ck_assert_str_eq(text, "phys 0x10 2 bytes: 0x0001 -> 0x0000");
    inject_where(view, &c, text, sizeof text);
    ck_assert_str_eq(text, "alpha:.text.alpha_run+0x5");
    inject_where(view, &z, text, sizeof text);
    ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(finds_a_place_again)
{
    const struct change stack = {.phys = BUILD_STACK_PHYS + 0x123, .bytes = 1};
    struct change c = {.phys = 5};
    char text[128];

    inject_where(view, &stack, text, sizeof text);
    ck_assert_str_eq(text, "task:worker:stack+0x123");
    ck_assert_int_eq(inject_find(view, text, &c, &why), ERR_OK);
    ck_assert_uint_eq(c.phys, BUILD_STACK_PHYS + 0x123);
    ck_assert_int_eq(inject_find(view, "alpha:.text.alpha_run+0x5", &c, &why), ERR_OK);
    ck_assert_uint_eq(c.phys, BUILD_ALPHA_PHYS + 5);
    ck_assert_uint_eq(c.section.index, BUILD_ALPHA_TEXT);
    ck_assert_int_eq(inject_find(view, "", &c, &why), ERR_OK);
    ck_assert_uint_eq(c.phys, BUILD_ALPHA_PHYS + 5);
    for (size_t i = 0; i < 6; i++)
        ck_assert_int_eq(inject_find(view,
                                     (const char *[]){"alpha:.text.alpha_run+0x5000", "alpha:.text.gone+0x5", "x",
                                                      "task:nobody:stack+1", "task:worker:stack+0x99999", "+:"}[i],
                                     &c, &why),
                         ERR_NOT_FOUND);
}
END_TEST

/* Its changes are no changes of a task's stack. */
START_TEST(finds_a_place_in_a_cell_called_task)
{
    struct arena_cell *alpha = build_record(ram, ARENA_CELLS, BUILD_ALPHA);
    struct change c = {.phys = 5};
    enum err e;

    memcpy(build_record(ram, ARENA_STRINGS, alpha->name), "task", sizeof "task");
    view_free(view);
    view = view_take(ram, BUILD_RAM, &e);
    ck_assert_int_eq(inject_find(view, "task:.text.alpha_run+0x5", &c, &why), ERR_OK);
    ck_assert_uint_eq(c.phys, BUILD_ALPHA_PHYS + 5);
}
END_TEST

/* An interrupt writes to the task's stack and reads descriptors: no point may be met then. */
START_TEST(watches_nothing_that_an_interrupt_touches)
{
    static const struct {
        struct change change;
        bool known;
        unsigned points;
    } cases[] = {
        {{.phys = BUILD_STACK_PHYS + 0x123, .bytes = 8}, true, 1},
        {{.phys = BUILD_ALPHA_PHYS + 0x1000, .bytes = 8, .section.index = BUILD_ALPHA_RODATA}, true, 2},
        {{.phys = 0x5000, .bytes = 1, .virt = 0x5000, .behind = "exception:.bss.idt[0]"}, false, 0},
        {{.phys = 0x5000, .bytes = 1, .virt = 0x5000, .behind = "cpu:.bss.areas[0]"}, false, 0},
        {{.phys = 0x5000, .bytes = 1, .virt = 0x5000, .behind = "memory_fs:.bss.volume[0]"}, true, 2},
    };
    struct injection injection = {{cases[_i].change}, 1};
    struct activation activation;

    activation_begin(&activation, NULL, view, &injection);
    ck_assert_int_eq(activation.known, cases[_i].known);
    ck_assert_uint_eq(activation.touch.points, cases[_i].points);
    if (activation.touch.points)
        ck_assert_int_eq(activation.touch.point[0].kind, STOP_READ);
}
END_TEST

START_TEST(stays_within_memory)
{
    const struct model_memory memory = {.ram = ram, .bytes = BUILD_RAM};
    struct change at_end = {.phys = BUILD_RAM - 4, .bytes = 8}, beyond = {.phys = UINT64_MAX, .bytes = 1};
    struct change wide = {.phys = 0, .bytes = 9}, none = {0};

    ck_assert_int_eq(change_apply(&at_end, &memory, false), ERR_RANGE);
    ck_assert_int_eq(change_apply(&beyond, &memory, false), ERR_RANGE);
    ck_assert_int_eq(change_apply(&wide, &memory, false), ERR_RANGE);
    ck_assert_int_eq(change_apply(&none, &memory, false), ERR_RANGE);
}
END_TEST

/* ---- triggers and glances ---- */

START_TEST(reads_triggers)
{
    struct watch_trigger t;

    ck_assert_int_eq(watch_parse("now", &t, &why), ERR_OK);
    ck_assert_int_eq(watch_parse("rounds:3", &t, &why), ERR_OK);
    ck_assert_int_eq(t.kind, WATCH_ROUNDS);
    ck_assert_uint_eq(t.n, 3);
    ck_assert_int_eq(watch_wait(&t, ram, BUILD_RAM, 20, &why), ERR_TIMEOUT);
    ck_assert_int_eq(watch_parse("ms:10", &t, &why), ERR_OK);
    ck_assert_int_eq(watch_wait(&t, ram, BUILD_RAM, 20, &why), ERR_OK);
    for (size_t i = 0; i < 6; i++)
        ck_assert_int_eq(watch_parse((const char *[]){"", "later", "ms:", "ms:x", "rounds:-1", "rounds"}[i], &t, &why),
                         ERR_INVALID);
}
END_TEST

/* Never less time than was asked for; how much more is the host's business. */
START_TEST(waits_as_long_as_asked_for)
{
    static const uint64_t ms[] = {0, 1, 15, 40};
    struct watch_trigger t;
    char words[16];

    for (size_t i = 0; i < sizeof ms / sizeof *ms; i++) {
        snprintf(words, sizeof words, "ms:%u", (unsigned)ms[i]);
        ck_assert_int_eq(watch_parse(words, &t, &why), ERR_OK);
        ck_assert_uint_eq(t.n, ms[i]);
        uint64_t start = watch_now_ns();
        ck_assert_int_eq(watch_wait(&t, ram, BUILD_RAM, 0, &why), ERR_OK);
        ck_assert_uint_ge(watch_now_ns() - start, ms[i] * 1000000);
    }
    uint64_t start = watch_now_ns();
    ck_assert_int_eq(watch_parse("rounds:1", &t, &why), ERR_OK);
    ck_assert_int_eq(watch_wait(&t, ram, BUILD_RAM, 15, &why), ERR_TIMEOUT);
    watch_sleep_ms(15);
    ck_assert_uint_ge(watch_now_ns() - start, 30000000);
}
END_TEST

static void *restart_guest(void *unused)
{
    watch_sleep_ms(30);
    __atomic_store_n(&build_header(ram)->counter[COUNTER_rounds], 1, __ATOMIC_RELAXED);
    return unused;
}

START_TEST(counts_on_when_the_guest_restarts)
{
    const struct watch_trigger t = {.kind = WATCH_ROUNDS, .n = 3};
    pthread_t guest;

    ck_assert_int_eq(pthread_create(&guest, NULL, restart_guest, NULL), 0);
    ck_assert_int_eq(watch_wait(&t, ram, BUILD_RAM, 200, &why), ERR_TIMEOUT);
    pthread_join(guest, NULL);
}
END_TEST

START_TEST(glances)
{
    ck_assert(watch_glance(ram, BUILD_RAM).arena);
    ck_assert(watch_glance(ram, BUILD_RAM).ready);
    ck_assert_uint_eq(watch_glance(ram, BUILD_RAM).counter[COUNTER_rounds], 42);
    ck_assert(!watch_glance(ram, 4096).arena);
    ck_assert_uint_eq(watch_glance(ram, BUILD_RAM).guest_ns, 0);
    ((struct arena_cpu *)build_record(ram, ARENA_CPUS, 1))->heartbeat_ns = 70;
    ((struct arena_cpu *)build_record(ram, ARENA_CPUS, 2))->heartbeat_ns = 60;
    ck_assert_uint_eq(watch_glance(ram, BUILD_RAM).guest_ns, 70);
    build_header(ram)->table[ARENA_CPUS].offset = UINT32_MAX - 63;
    ck_assert_uint_eq(watch_glance(ram, BUILD_RAM).guest_ns, 0);
    build_header(ram)->magic++;
    ck_assert(!watch_glance(ram, BUILD_RAM).arena);
}
END_TEST

Suite *suite_inject(void);
Suite *suite_inject(void)
{
    Suite *s = suite_create("inject");
    TCase *tc = tcase_create("inject");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, finds_places, 0, sizeof places / sizeof *places);
    tcase_add_test(tc, counts_bytes_of_ranges);
    tcase_add_test(tc, leaves_the_arena_alone);
    tcase_add_test(tc, finds_blocks_of_the_heap);
    tcase_add_test(tc, takes_the_used_end_of_a_stack);
    tcase_add_loop_test(tc, changes_memory, 0, sizeof model_cases / sizeof *model_cases);
    tcase_add_test(tc, fits_wide_changes_in);
    tcase_add_test(tc, skips_whole_instructions);
    tcase_add_test(tc, data_of_one_name_go_together);
    tcase_add_test(tc, knows_who_runs);
    tcase_add_loop_test(tc, refuses_models, 0, 8);
    tcase_add_test(tc, a_seed_replays);
    tcase_add_test(tc, draws_evenly);
    tcase_add_test(tc, says_what_and_where);
    tcase_add_test(tc, finds_a_place_again);
    tcase_add_test(tc, finds_a_place_in_a_cell_called_task);
    tcase_add_loop_test(tc, watches_nothing_that_an_interrupt_touches, 0, 5);
    tcase_add_test(tc, stays_within_memory);
    tcase_add_test(tc, reads_triggers);
    tcase_add_test(tc, waits_as_long_as_asked_for);
    tcase_add_test(tc, counts_on_when_the_guest_restarts);
    tcase_add_test(tc, glances);
    suite_add_tcase(s, tc);
    return s;
}
