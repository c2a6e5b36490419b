/* Structures of random layouts evolve and are taken back: what grew, or was widened, holds the same values afterwards,
 * and a value for which the first layout has no room is refused by its name. The guest's code moves the bytes; what
 * they are to be is left to the compiler. */
#include "tests/unit/transferred.h"
#include <inttypes.h>

#define PARTS_MAX 4
#define DEPTH_MAX 2
#define ROUNDS    8

enum part_kind { PART_INTEGER, PART_BITS, PART_BOOL, PART_ENUM, PART_ARRAY, PART_STRUCT, PART_KINDS };

/* A member, or the element of an array, in both layouts. */
struct part {
    enum part_kind kind;
    unsigned bits[2];
    bool is_signed[2];
    bool added;         /* the first layout lacks it */
    unsigned count[2];  /* of elements */
    struct part *inner; /* of an array: one; of a structure: `inners` */
    unsigned inners;
};

static uint64_t state; /* of the random numbers */

static unsigned below(unsigned limit)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % limit;
}

/* ---- layouts ---- */

static struct part random_part(unsigned depth, bool in_struct);

static void random_integer(struct part *part)
{
    unsigned log = below(4);

    part->bits[0] = 8u << log;
    part->bits[1] = part->bits[0] << below(4 - log);
    part->is_signed[0] = below(2);
    part->is_signed[1] = below(3) ? part->is_signed[0] : !part->is_signed[0];
}

static void random_bits(struct part *part)
{
    part->bits[0] = 2 + below(20);
    part->bits[1] = part->bits[0] + below(11);
    part->is_signed[0] = part->is_signed[1] = below(2);
}

static void random_inner(struct part *part, unsigned depth)
{
    bool array = part->kind == PART_ARRAY;

    part->inners = array ? 1 : 1 + below(PARTS_MAX);
    part->inner = calloc(part->inners, sizeof *part->inner);
    ck_assert_ptr_nonnull(part->inner);
    for (unsigned i = 0; i < part->inners; i++)
        part->inner[i] = random_part(depth + 1, !array);
    if (!array)
        part->inner[0].added = false; /* no structure is empty */
}

/* A structure has members, which may be bit fields, and may be added. */
static struct part random_part(unsigned depth, bool in_struct)
{
    struct part part = {.kind = (enum part_kind)below(depth < DEPTH_MAX ? PART_KINDS : PART_ARRAY)};

    if (part.kind == PART_BITS && !in_struct)
        part.kind = PART_INTEGER;
    part.added = in_struct && below(4) == 0;
    part.count[0] = 1 + below(3);
    part.count[1] = part.count[0] + below(3);
    if (part.kind == PART_INTEGER)
        random_integer(&part);
    else if (part.kind == PART_BITS)
        random_bits(&part);
    else if (part.kind >= PART_ARRAY)
        random_inner(&part, depth);
    return part;
}

static void part_done(struct part *part)
{
    for (unsigned i = 0; i < part->inners; i++)
        part_done(&part->inner[i]);
    free(part->inner);
}

static void write_part(FILE *to, const struct part *part, int layout, const char *name);

/* The second layout has its members in another order. */
static void write_members(FILE *to, const struct part *part, int layout)
{
    char name[16];

    for (unsigned i = 0; i < part->inners; i++) {
        unsigned k = layout ? part->inners - 1 - i : i;
        snprintf(name, sizeof name, "m%u", k);
        if (part->inner[k].added && !layout)
            continue;
        write_part(to, &part->inner[k], layout, name);
        fprintf(to, "; ");
    }
}

static void write_part(FILE *to, const struct part *part, int layout, const char *name)
{
    char longer[64];

    switch (part->kind) {
    case PART_INTEGER:
        fprintf(to, "%sint%u_t %s", part->is_signed[layout] ? "" : "u", part->bits[layout], name);
        break;
    case PART_BITS:
        fprintf(to, "%s %s : %u", part->is_signed[layout] ? "int" : "unsigned", name, part->bits[layout]);
        break;
    case PART_BOOL:
        fprintf(to, "bool %s", name);
        break;
    case PART_ENUM:
        fprintf(to, "enum e %s", name);
        break;
    case PART_ARRAY: /* the outer dimension is written first */
        snprintf(longer, sizeof longer, "%s[%u]", name, part->count[layout]);
        write_part(to, part->inner, layout, longer);
        break;
    default:
        fprintf(to, "struct { ");
        write_members(to, part, layout);
        fprintf(to, "} %s", name);
    }
}

/* ---- values ---- */

/* Values are assigned path by path. `spoiled`, unless it is negative, is the number of the value that is to be one for
 * which the first layout has no room; it counts down. */
struct values {
    FILE *to;
    int layout;
    bool empty; /* all are zeros */
    uint64_t seed;
    int spoiled;
    char name[128]; /* of the spoiled one */
};

static bool is_turn(struct values *v, const char *path)
{
    if (v->layout == 0 || v->spoiled < 0 || v->spoiled-- != 0)
        return false;
    snprintf(v->name, sizeof v->name, "%s", path);
    return true;
}

/* A value that both layouts can hold. */
static int64_t common_value(const struct part *part)
{
    unsigned bits = part->bits[0] - (part->is_signed[0] || part->is_signed[1]);
    uint64_t value = (uint64_t)below(INT32_MAX) << 33 ^ (uint64_t)below(INT32_MAX) << 10 ^ below(INT32_MAX);

    value = bits < 64 ? value & ((1ull << bits) - 1) : value;
    return part->is_signed[0] && part->is_signed[1] && below(2) ? -(int64_t)value : (int64_t)value;
}

static bool can_be_spoiled(const struct part *part, bool lacking)
{
    if (lacking || part->kind == PART_ENUM)
        return true;
    return part->kind != PART_BOOL && part->bits[0] - part->is_signed[0] < part->bits[1] - part->is_signed[1];
}

/* The least value that is more than the first layout holds. */
static int64_t spoiled_value(const struct part *part, bool lacking)
{
    return lacking ? 1 : part->kind == PART_ENUM ? 3 : (int64_t)(1ull << (part->bits[0] - part->is_signed[0]));
}

/* `lacking`: the first layout has no such field; it is zero then. */
static void assign_scalar(struct values *v, const struct part *part, const char *path, bool lacking)
{
    bool flag = part->kind == PART_BOOL || part->kind == PART_ENUM;

    state = v->seed;
    for (const char *p = path; *p; p++)
        state = (state ^ (uint8_t)*p) * 0x100000001b3; /* the same in both layouts */
    int64_t value = flag ? below(2) : common_value(part);

    if (can_be_spoiled(part, lacking) && is_turn(v, path))
        value = spoiled_value(part, lacking);
    else if (lacking || v->empty)
        return;
    fprintf(v->to, "%s = (long)%#" PRIx64 ", ", path + 1, (uint64_t)value);
}

static void assign(struct values *v, const struct part *part, const char *path, bool lacking)
{
    char longer[128];

    for (unsigned i = 0; part->kind == PART_ARRAY && i < part->count[1]; i++) {
        bool beyond = lacking || i >= part->count[0];
        snprintf(longer, sizeof longer, "%s[%u]", path, i);
        if (v->layout || !beyond)
            assign(v, part->inner, longer, beyond);
    }
    for (unsigned i = 0; part->kind == PART_STRUCT && i < part->inners; i++) {
        bool beyond = lacking || part->inner[i].added;
        snprintf(longer, sizeof longer, "%s.m%u", path, i);
        if (v->layout || !beyond)
            assign(v, &part->inner[i], longer, beyond);
    }
    if (part->kind < PART_ARRAY)
        assign_scalar(v, part, path, lacking);
}

/* Makes a cell whose datum has values that depend on seed and path, or zeros. */
static void make_layout(const char *name, const struct part *all, struct values *v)
{
    char *source = NULL;
    size_t bytes;

    v->to = open_memstream(&source, &bytes);
    ck_assert_ptr_nonnull(v->to);
    fprintf(v->to, "enum e { E0, E1, E2%s };\nstatic struct { ", v->layout ? ", E3" : "");
    write_members(v->to, all, v->layout);
    fprintf(v->to, "} d = {");
    assign(v, all, "d", false);
    fprintf(v->to, "};");
    fclose(v->to);
    make_cell(name, source);
    free(source);
}

/* The block is the caller's. */
static struct block transfer(const char *old, const char *new_, const char *base)
{
    struct block from = section_of(old), to = section_of(base);

    ck_assert_msg(run("build/bin/cell transfer @/cells/%s.o @/cells/%s.o -o @/recipes", old, new_) == 0, "%s", output);
    apply(&from, &to);
    free(from.data);
    return to;
}

static void compare(struct block *is, const char *want, int round)
{
    struct block expected = section_of(want);

    ck_assert_uint_eq(is->bytes, expected.bytes);
    for (size_t i = 0; i < expected.bytes; i++)
        ck_assert_msg(is->data[i] == expected.data[i], "layout %d: byte %zu is %u, not %u as in %s", round, i,
                      is->data[i], expected.data[i], want);
    free(is->data);
    free(expected.data);
}

static struct part random_layout(uint64_t seed)
{
    struct part all = {.kind = PART_STRUCT};

    state = seed;
    random_inner(&all, 0);
    return all;
}

START_TEST(there_and_back)
{
    struct part all = random_layout((uint64_t)_i + 1);
    struct values first = {.seed = 7, .spoiled = -1}, second = {.seed = 7, .layout = 1, .spoiled = -1};
    struct values zeros = {.empty = true, .spoiled = -1}, zeros2 = {.empty = true, .layout = 1, .spoiled = -1};

    make_layout("first", &all, &first);
    make_layout("second", &all, &second);
    make_layout("first_zero", &all, &zeros);
    make_layout("second_zero", &all, &zeros2);
    struct block there = transfer("first", "second_zero", "second_zero");
    compare(&there, "second", _i);
    struct block back = transfer("second", "first_zero", "first_zero");
    compare(&back, "first", _i);
    part_done(&all);
}
END_TEST

/* Each in turn of up to 8 values that the first layout has no room for. */
START_TEST(what_does_not_fit_is_refused)
{
    struct part all = random_layout((uint64_t)_i + 1);
    struct values first = {.seed = 7, .spoiled = -1};
    char text[256], want[160];

    make_layout("first", &all, &first);
    struct block to = section_of("first");
    for (int turn = 0; turn < 8; turn++) {
        struct values spoiled = {.seed = 7, .layout = 1, .spoiled = turn * 3};
        make_layout("second", &all, &spoiled);
        if (!spoiled.name[0])
            break;
        struct block from = section_of("second");
        ck_assert_msg(run("build/bin/cell transfer @/cells/second.o @/cells/first.o -o @/recipes") == 0, "%s", output);
        refuse_values(&from, &to, text, sizeof text);
        snprintf(want, sizeof want, "one.%s is ", spoiled.name);
        ck_assert_msg(strncmp(text, want, strlen(want)) == 0, "layout %d: not '%s' but '%s'", _i, want, text);
        free(from.data);
    }
    free(to.data);
    part_done(&all);
}
END_TEST

Suite *suite_layouts(void);
Suite *suite_layouts(void)
{
    Suite *s = suite_create("layouts");
    TCase *tc = tcase_create("layouts");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, there_and_back, 0, ROUNDS);
    tcase_add_loop_test(tc, what_does_not_fit_is_refused, 0, ROUNDS);
    suite_add_tcase(s, tc);
    return s;
}
