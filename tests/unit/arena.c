/* The view of an arena: what it shows of a sound one, and that no damage is overlooked, crashes or hangs the reader. */
#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>
#include "tests/unit/arena_build.h"

static uint8_t *ram;

static void setup(void)
{
    ram = build_ram();
}

static void teardown(void)
{
    free(ram);
}

static struct view *take(void)
{
    enum err e;
    struct view *v = view_take(ram, BUILD_RAM, &e);

    ck_assert_msg(v != NULL, "no view: %s", err_text(e));
    return v;
}

static enum err refusal(void)
{
    enum err e = ERR_OK;
    struct view *v = view_take(ram, BUILD_RAM, &e);

    ck_assert_ptr_null(v);
    return e;
}

/* Damage to `table` is found, and everything can still be asked. */
static void assert_damaged(enum arena_table table)
{
    struct view *v = take();
    bool found = false;

    for (size_t n = 0; view_damage(v, n); n++)
        found = found || view_damage(v, n)->table == table;
    ck_assert(found);
    build_ask_all(v);
    view_free(v);
}

static double cpu_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- a sound arena ---- */

START_TEST(sound_arena)
{
    struct view *v = take();

    ck_assert_uint_eq(view_damage_count(v), 0);
    ck_assert_uint_eq(view_count(v, ARENA_CELLS), 2);
    ck_assert_uint_eq(view_count(v, ARENA_EDGES), 2);
    ck_assert_str_eq(view_cell_name(v, build_alpha), "alpha");
    ck_assert_uint_eq(view_find_cell(v, NAMESPACE_ROOT, "beta").index, BUILD_BETA);
    ck_assert_uint_eq(view_find_cell(v, NAMESPACE_ROOT, "gamma").index, 0);
    ck_assert_uint_eq(view_find_section(v, build_alpha, "alpha_run").index, BUILD_ALPHA_TEXT);
    ck_assert_uint_eq(view_find_section(v, build_alpha, ".rodata.words").index, BUILD_ALPHA_RODATA);
    ck_assert_uint_eq(view_find_task(v, "7").index, 1);
    ck_assert_uint_eq(view_find_task(v, "worker").index, 1);
    ck_assert_uint_eq(view_counter(v, COUNTER_rounds), 42);
    ck_assert_uint_eq(view_sections_of(v, build_alpha).count, 2);
    ck_assert_uint_eq(view_edges_out(v, build_alpha_text).count, 2);
    ck_assert_uint_eq(view_edges_in(v, build_beta_text).item[0].index, BUILD_EDGE_CALL);
    ck_assert_uint_eq(view_tasks_in(v, build_alpha), 1);
    ck_assert(view_is_current(v));
    build_ask_all(v);
    view_free(v);
}
END_TEST

START_TEST(dependencies_without_itself)
{
    struct view *v = take();
    struct cell_ref cell = {};

    ck_assert_uint_eq(view_dependencies(v, build_alpha, &cell, 1), 1);
    ck_assert_uint_eq(cell.index, BUILD_BETA);
    ck_assert_uint_eq(view_dependents(v, build_alpha, NULL, 0), 0);
    ck_assert_uint_eq(view_dependents(v, build_beta, &cell, 1), 1);
    ck_assert_uint_eq(cell.index, BUILD_ALPHA);
    view_free(v);
}
END_TEST

enum { MOVED = 6 << 20 }; /* beyond what is kept free for tables of the usual size */

/* On a machine with more memory tables are larger, and elsewhere. */
START_TEST(tables_elsewhere)
{
    struct arena_table_desc *desc = &build_header(ram)->table[ARENA_CELLS];
    uint32_t at = MOVED + LAYOUT_ARENA_PHYS;
    uint64_t phys, bytes;

    memcpy(ram + at, build_record(ram, ARENA_CELLS, 0), desc->capacity * sizeof(struct arena_cell));
    memset(build_record(ram, ARENA_CELLS, 0), 0xee, desc->capacity * sizeof(struct arena_cell));
    desc->offset = MOVED;
    desc->capacity = 4 * ARENA_CELLS_BASE;
    struct view *v = take();
    ck_assert_uint_eq(view_damage_count(v), 0);
    ck_assert_str_eq(view_cell_name(v, (struct cell_ref){BUILD_ALPHA}), "alpha");
    ck_assert(view_is_in_arena(v, at, 1) && view_is_in_arena(v, LAYOUT_ARENA_PHYS, 1));
    ck_assert(view_is_in_arena(v, at - 1, 2) && !view_is_in_arena(v, at - 1, 1));
    ck_assert(!view_is_in_arena(v, at + desc->capacity * sizeof(struct arena_cell), 4096));
    view_arena_span(v, &phys, &bytes);
    ck_assert_uint_eq(phys, LAYOUT_ARENA_PHYS + 4096);
    ck_assert_uint_eq(phys + bytes, at + desc->capacity * sizeof(struct arena_cell));
    view_free(v);
}
END_TEST

START_TEST(addresses_to_names)
{
    struct view *v = take();
    char text[64];

    view_describe(v, BUILD_ALPHA_VIRT + 3, text, sizeof text);
    ck_assert_str_eq(text, "alpha:alpha_run+0x3");
    view_describe(v, BUILD_ALPHA_VIRT + 0x1000, text, sizeof text);
    ck_assert_str_eq(text, "alpha:.rodata.words");
    ck_assert_uint_eq(view_section_at(v, BUILD_ALPHA_VIRT).index, BUILD_ALPHA_TEXT); /* the first byte */
    ck_assert_uint_eq(view_section_at(v, BUILD_ALPHA_VIRT + BUILD_TEXT_BYTES - 1).index, BUILD_ALPHA_TEXT);
    ck_assert_uint_eq(view_section_at(v, BUILD_ALPHA_VIRT + BUILD_TEXT_BYTES).index, 0);
    ck_assert_uint_eq(view_section_at(v, BUILD_ALPHA_VIRT - 1).index, 0);
    view_describe(v, 0, text, sizeof text);
    ck_assert_str_eq(text, "");
    view_free(v);
}
END_TEST

START_TEST(rings_in_order)
{
    struct view *v = take();

    for (uint64_t n = 0; n < BUILD_FAULTS; n++)
        ck_assert_uint_eq(view_fault(v, n)->seq, n + 1);
    ck_assert_ptr_null(view_fault(v, BUILD_FAULTS));
    for (uint64_t n = 0; n < BUILD_EVENTS; n++)
        ck_assert_uint_eq(view_event(v, n)->seq, n + 8);
    ck_assert_ptr_null(view_event(v, BUILD_EVENTS));
    view_free(v);
}
END_TEST

START_TEST(a_live_cell_before_an_old_one)
{
    struct arena_cell *alpha = build_record(ram, ARENA_CELLS, BUILD_ALPHA),
                      *beta = build_record(ram, ARENA_CELLS, BUILD_BETA);

    beta->name = alpha->name;
    build_seal(ram, ARENA_CELLS, BUILD_BETA);
    alpha->state = CELL_OLD;
    struct view *v = take();
    ck_assert_uint_eq(view_find_cell(v, NAMESPACE_ROOT, "alpha").index, BUILD_BETA);
    view_free(v);
}
END_TEST

/* ---- no arena, or one in the middle of a change ---- */

START_TEST(no_arena)
{
    uint8_t *small = calloc(1, 4096); /* of its own size, so that the sanitizer sees each byte beyond it */
    enum err e;

    ck_assert_ptr_null(view_take(small, 4096, &e));
    ck_assert_int_eq(e, ERR_RANGE);
    free(small);
    build_header(ram)->version++;
    ck_assert_int_eq(refusal(), ERR_WRONG_ABI);
    build_header(ram)->magic ^= 1;
    ck_assert_int_eq(refusal(), ERR_CORRUPT);
    memset(build_header(ram), 0, 4096);
    ck_assert_int_eq(refusal(), ERR_NOT_FOUND);
}
END_TEST

START_TEST(a_writer_that_never_ends)
{
    enum err e;

    build_header(ram)->generation = 7;
    ck_assert_int_eq(refusal(), ERR_BUSY);
    struct view *v = view_take_anyway(ram, BUILD_RAM, &e);
    ck_assert_ptr_nonnull(v);
    ck_assert(view_is_torn(v));
    ck_assert_uint_eq(view_damage(v, 0)->table, ARENA_TABLES);
    ck_assert_uint_eq(view_count(v, ARENA_CELLS), 2);
    view_free(v);
    v = view_take_soon(ram, BUILD_RAM, &e);
    ck_assert(v && view_is_torn(v));
    view_free(v);
}
END_TEST

static atomic_bool writing;

/* Gives alpha and beta the same version, over and over, each change in two steps. */
static void *writer(void *unused)
{
    struct arena_header *header = build_header(ram);
    struct arena_cell *alpha = build_record(ram, ARENA_CELLS, BUILD_ALPHA),
                      *beta = build_record(ram, ARENA_CELLS, BUILD_BETA);

    for (uint32_t version = 1; writing; version++) {
        __atomic_add_fetch(&header->generation, 1, __ATOMIC_SEQ_CST);
        alpha->version = version;
        build_seal(ram, ARENA_CELLS, BUILD_ALPHA);
        beta->version = version;
        build_seal(ram, ARENA_CELLS, BUILD_BETA);
        __atomic_add_fetch(&header->generation, 1, __ATOMIC_SEQ_CST);
        nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
    }
    return unused;
}

START_TEST(a_view_is_of_one_moment)
{
    pthread_t thread;
    int taken = 0;

    writing = true;
    uint64_t before = __atomic_load_n(&build_header(ram)->generation, __ATOMIC_SEQ_CST);
    ck_assert_int_eq(pthread_create(&thread, NULL, writer, NULL), 0);
    while (__atomic_load_n(&build_header(ram)->generation, __ATOMIC_SEQ_CST) <
           before + 2) /* versions differ at first */
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    for (int i = 0; i < 300; i++) {
        enum err e;
        struct view *v = view_take(ram, BUILD_RAM, &e);

        if (!v) {
            ck_assert_int_eq(e, ERR_BUSY);
            continue;
        }
        ck_assert_uint_eq(view_damage_count(v), 0);
        ck_assert_uint_eq(view_cell(v, build_alpha)->version, view_cell(v, build_beta)->version);
        view_free(v);
        taken++;
    }
    writing = false;
    pthread_join(thread, NULL);
    ck_assert_int_gt(taken, 0);
}
END_TEST

/* ---- a ring that is written to while it is read ---- */

enum { PAGE = 4096, TORN = 5, TORN_SEQ = TORN - 1 };

static struct arena_event *torn;

static void write_event(uint64_t seq)
{
    torn->seq = seq;
    memset(torn->text, (int)('a' + seq % 26), sizeof torn->text - 1);
}

/* The copy has come to the record's second page: whoever writes it takes it for an event a round later. */
static void on_second_page(int signal_number, siginfo_t *info, void *)
{
    uint8_t *page = (uint8_t *)((uintptr_t)torn->text & -(uintptr_t)PAGE) + PAGE;

    if ((uint8_t *)info->si_addr < page || (uint8_t *)info->si_addr >= page + PAGE)
        signal(signal_number, SIG_DFL); /* no access of ours */
    mprotect(page, PAGE, PROT_READ | PROT_WRITE);
    write_event(TORN_SEQ + build_header(ram)->table[ARENA_EVENTS].capacity - 1);
}

/* Moves the events into the mailbox, which nobody copies, so that one of them reaches from page to page. */
static uint8_t *move_events(uint8_t *from)
{
    uint8_t *to = mmap(NULL, BUILD_RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct arena_table_desc *events = &build_header(from)->table[ARENA_EVENTS];
    uint32_t page = (build_header(from)->table[ARENA_MAILBOX].offset + 2 * PAGE - 1) & -(uint32_t)PAGE;
    uint32_t before = TORN * (uint32_t)sizeof *torn + (uint32_t)offsetof(struct arena_event, text);

    ck_assert(to != MAP_FAILED);
    events->offset = page - ((before + 63) & ~63u);
    memset(build_record(from, ARENA_EVENTS, 0), 0, events->capacity * sizeof *torn);
    memcpy(to, from, BUILD_RAM);
    return to;
}

START_TEST(a_record_of_two_moments_is_no_record)
{
    struct sigaction action = {.sa_sigaction = on_second_page, .sa_flags = SA_SIGINFO}, before;
    uint8_t *small = ram;

    ram = move_events(small);
    torn = build_record(ram, ARENA_EVENTS, TORN);
    write_event(TORN_SEQ);
    sigaction(SIGSEGV, &action, &before);
    uint8_t *page = (uint8_t *)((uintptr_t)torn->text & -(uintptr_t)PAGE) + PAGE;
    ck_assert_int_eq(mprotect(page, PAGE, PROT_NONE), 0);
    struct view *v = take();
    sigaction(SIGSEGV, &before, NULL);
    ck_assert_uint_eq(torn->seq, TORN_SEQ + build_header(ram)->table[ARENA_EVENTS].capacity - 1);
    const struct arena_event *e = view_event(v, 0);
    ck_assert(e && !view_event(v, 1));
    ck_assert_uint_eq(e->seq, torn->seq);
    ck_assert_int_eq(memcmp(e->text, torn->text, sizeof e->text), 0);
    view_free(v);
    munmap(ram, BUILD_RAM);
    ram = small;
}
END_TEST

/* ---- damage ---- */

/* Every bit of what a check word covers, in every record: found, and survived. */
START_TEST(every_flipped_bit_is_found)
{
    for (unsigned t = 0; t <= ARENA_CPUS; t++)
        for (uint32_t i = 1; i < build_header(ram)->table[t].used; i++)
            for (uint32_t bit = 0; bit < layout_rules[t].stable_bytes * 8; bit++) {
                uint8_t *byte = (uint8_t *)build_record(ram, t, i) + bit / 8;

                *byte ^= (uint8_t)(1 << bit % 8);
                struct view *v = take();
                ck_assert_msg(view_damage_count(v) > 0, "%s %u bit %u", name_table(t), i, bit);
                if (bit % 8 == 0)
                    build_ask_all(v);
                view_free(v);
                *byte ^= (uint8_t)(1 << bit % 8);
            }
}
END_TEST

START_TEST(flips_in_the_header)
{
    for (size_t bit = 0; bit < sizeof(struct arena_header) * 8; bit++) {
        uint8_t *byte = (uint8_t *)build_header(ram) + bit / 8;
        enum err e;

        if (bit / 8 == offsetof(struct arena_header, generation) && bit % 8 == 0)
            continue; /* an odd generation only costs time */
        *byte ^= (uint8_t)(1 << bit % 8);
        struct view *v = view_take(ram, BUILD_RAM, &e);
        if (v && bit % 8 == 0)
            build_ask_all(v);
        view_free(v);
        *byte ^= (uint8_t)(1 << bit % 8);
    }
}
END_TEST

static void set_next_section(void)
{
    ((struct arena_section *)build_record(ram, ARENA_SECTIONS, BUILD_ALPHA_RODATA))->next_in_cell = build_alpha_text;
    build_seal(ram, ARENA_SECTIONS, BUILD_ALPHA_RODATA);
}

static void set_next_edge(void)
{
    ((struct arena_edge *)build_record(ram, ARENA_EDGES, BUILD_EDGE_LOAD))->next_out.index = BUILD_EDGE_CALL;
}

static void set_edge_count(void)
{
    ((struct arena_section *)build_record(ram, ARENA_SECTIONS, BUILD_ALPHA_TEXT))->outgoing = 0x7fffffff;
}

static void set_parent(void)
{
    ((struct arena_namespace *)build_record(ram, ARENA_NAMESPACES, 1))->parent = NAMESPACE_ROOT;
    build_seal(ram, ARENA_NAMESPACES, 1);
}

static void set_edge_target(void)
{
    ((struct arena_edge *)build_record(ram, ARENA_EDGES, BUILD_EDGE_CALL))->to.index = 63;
    build_seal(ram, ARENA_EDGES, BUILD_EDGE_CALL);
}

static void set_edge_offset(void)
{
    ((struct arena_edge *)build_record(ram, ARENA_EDGES, BUILD_EDGE_CALL))->offset = BUILD_TEXT_BYTES - 3;
    build_seal(ram, ARENA_EDGES, BUILD_EDGE_CALL);
}

static void set_section_wrap(void)
{
    ((struct arena_section *)build_record(ram, ARENA_SECTIONS, BUILD_BETA_TEXT))->virt = UINT64_MAX - 4;
    build_seal(ram, ARENA_SECTIONS, BUILD_BETA_TEXT);
}

static void set_section_huge(void)
{
    ((struct arena_section *)build_record(ram, ARENA_SECTIONS, BUILD_ALPHA_TEXT))->bytes = UINT32_MAX;
    build_seal(ram, ARENA_SECTIONS, BUILD_ALPHA_TEXT);
}

static void set_unwind_entry(void)
{
    ((struct arena_section *)build_record(ram, ARENA_SECTIONS, BUILD_ALPHA_TEXT))->unwind_entry = 1 << 20;
    build_seal(ram, ARENA_SECTIONS, BUILD_ALPHA_TEXT);
}

static void set_name_middle(void)
{
    ((struct arena_cell *)build_record(ram, ARENA_CELLS, BUILD_ALPHA))->name++;
    build_seal(ram, ARENA_CELLS, BUILD_ALPHA);
}

static void set_object_outside(void)
{
    ((struct arena_object *)build_record(ram, ARENA_OBJECTS, 1))->phys = BUILD_RAM - 8;
    build_seal(ram, ARENA_OBJECTS, 1);
}

static void set_stack_outside(void)
{
    ((struct arena_task *)build_record(ram, ARENA_TASKS, 1))->stack_phys = UINT64_MAX - 4096;
    build_seal(ram, ARENA_TASKS, 1);
}

static void set_ring_seq(void)
{
    ((struct arena_event *)build_record(ram, ARENA_EVENTS, 1))->seq = 5;
}

static void set_used(void)
{
    build_header(ram)->table[ARENA_CELLS].used = UINT32_MAX;
}

static void set_capacity(void)
{
    build_header(ram)->table[ARENA_EDGES].capacity = UINT32_MAX;
}

/* A quarter of a million namespaces, each the parent of the next. */
static void set_long_table(void)
{
    struct arena_table_desc *desc = &build_header(ram)->table[ARENA_NAMESPACES];

    desc->capacity = desc->used = (LAYOUT_ARENA_BYTES - desc->offset) / (uint32_t)sizeof(struct arena_namespace);
    for (uint32_t i = 1; i < desc->used; i++)
        *(struct arena_namespace *)build_record(ram, ARENA_NAMESPACES, i) =
            (struct arena_namespace){.check = 1, .parent = {i - 1}};
}

static void set_in_use(void)
{
    build_header(ram)->table[ARENA_EDGES].in_use++;
}

/* One more than any machine has, in room for so many. */
static void set_too_large(void)
{
    struct arena_table_desc *desc = &build_header(ram)->table[ARENA_NAMESPACES];

    desc->offset = MOVED;
    desc->capacity = ARENA_MOST(ARENA_NAMESPACES_BASE) + 1;
}

static void set_offset(void)
{
    build_header(ram)->table[ARENA_SECTIONS].offset = BUILD_RAM - LAYOUT_ARENA_PHYS - 64;
}

static void set_string_control(void)
{
    ((uint8_t *)build_record(ram, ARENA_STRINGS, 1))[1] = 0x1b;
}

static void set_no_string_end(void)
{
    struct arena_table_desc *strings = &build_header(ram)->table[ARENA_STRINGS];

    memset(build_record(ram, ARENA_STRINGS, 1), 'x', strings->capacity - 1);
    strings->used = strings->capacity;
}

/* Each kind of damage that check words alone would let pass. */
static const struct {
    void (*damage)(void);
    enum arena_table found_in;
} cases[] = {
    {set_next_section, ARENA_CELLS},    {set_next_edge, ARENA_SECTIONS},
    {set_edge_count, ARENA_SECTIONS},   {set_parent, ARENA_NAMESPACES},
    {set_edge_target, ARENA_EDGES},     {set_edge_offset, ARENA_EDGES},
    {set_section_wrap, ARENA_SECTIONS}, {set_section_huge, ARENA_SECTIONS},
    {set_name_middle, ARENA_CELLS},     {set_object_outside, ARENA_OBJECTS},
    {set_stack_outside, ARENA_TASKS},   {set_ring_seq, ARENA_EVENTS},
    {set_used, ARENA_TABLES},           {set_capacity, ARENA_TABLES},
    {set_in_use, ARENA_TABLES},         {set_too_large, ARENA_TABLES},
    {set_offset, ARENA_TABLES},         {set_string_control, ARENA_STRINGS},
    {set_no_string_end, ARENA_STRINGS}, {set_long_table, ARENA_TABLES},
    {set_unwind_entry, ARENA_SECTIONS},
};

START_TEST(damage_with_right_check_words)
{
    double started = cpu_seconds();

    cases[_i].damage();
    assert_damaged(cases[_i].found_in);
    ck_assert(cpu_seconds() - started < 20);
}
END_TEST

/* Thousands of bytes anywhere in the arena, more and more of them. */
START_TEST(random_damage)
{
    unsigned seed = 2020;

    for (int round = 0; round < 120; round++) {
        uint8_t *fresh = build_ram();
        uint32_t used = build_header(fresh)->table[ARENA_MAILBOX].offset;
        enum err e;

        for (int n = 0; n < 1 << (round % 12); n++)
            fresh[LAYOUT_ARENA_PHYS + 16 + (uint32_t)rand_r(&seed) % (used - 16)] = (uint8_t)rand_r(&seed);
        build_header(fresh)->generation &= ~1ull;
        struct view *v = view_take(fresh, BUILD_RAM, &e);
        if (v)
            build_ask_all(v);
        view_free(v);
        free(fresh);
    }
}
END_TEST

Suite *suite_arena(void);
Suite *suite_arena(void)
{
    Suite *s = suite_create("arena");
    TCase *tc = tcase_create("view"), *each = tcase_create("each bit");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, sound_arena);
    tcase_add_test(tc, dependencies_without_itself);
    tcase_add_test(tc, tables_elsewhere);
    tcase_add_test(tc, addresses_to_names);
    tcase_add_test(tc, rings_in_order);
    tcase_add_test(tc, a_live_cell_before_an_old_one);
    tcase_add_test(tc, no_arena);
    tcase_add_test(tc, a_writer_that_never_ends);
    tcase_add_test(tc, a_view_is_of_one_moment);
    tcase_add_test(tc, a_record_of_two_moments_is_no_record);
    tcase_add_loop_test(tc, damage_with_right_check_words, 0, sizeof cases / sizeof *cases);
    suite_add_tcase(s, tc);
    tcase_add_checked_fixture(each, setup, teardown);
    tcase_add_test(each, every_flipped_bit_is_found);
    tcase_add_test(each, flips_in_the_header);
    tcase_add_test(each, random_damage);
    suite_add_tcase(s, each);
    return s;
}
