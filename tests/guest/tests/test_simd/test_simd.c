/* SIMD beside tasks that know nothing of it: registers survive switches between tasks of both kinds; who may not use
 * them faults and recovers; what may not be loaded is refused; a task that fails begins with fresh registers; a pointer
 * that is nowhere but in a SIMD register is found by a swap. */
#include "cells/core/archive/archive.h"
#include "cells/core/arena/arena.h"
#include "cells/core/boot/boot.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/exception/exception.h"
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/core/loader/loader.h"
#include "cells/evolve/namespace/namespace.h"
#include "cells/evolve/reap/reap.h"
#include "cells/evolve/swap/swap.h"
#include "cells/gfx/canvas/canvas.h"
#include "cells/host/log/log.h"
#include "cells/lib/string/string.h"
#include "cells/memory/heap/heap.h"
#include "cells/recover/fault/fault.h"
#include "cells/task/scheduler/scheduler.h"
#include "cells/task/simd/simd.h"
#include "cells/task/task/task.h"
#include "tests/guest/fixtures/fragile/fragile.h"
#include "tests/guest/fixtures/testing/testing.h"
#include "tests/guest/fixtures/ymm/ymm.h"
#include "tests/guest/tests/test_canvas/frames.h"

CELL("test_simd", KERNEL, 1);

#define HOLDERS    6
#define CROWD      3 /* of them: on one CPU, where each yield is a switch */
#define YIELDS     300
#define SPINS      12
#define SPIN_NS    15000000 /* longer than a tick */
#define KEY        0x5a5a5a5a5a5a5a5a
#define UNMAPPED   0x10   /* never */
#define MXCSR_HELD 0x7f80 /* rounds towards zero, all exceptions masked */
#define MXCSR_BARE 0x6000 /* rounds towards zero, none is masked */
#define FCW_HELD   0x27f  /* double precision */

static struct namespace_ref simd;
static struct report report;

/* Functions that only exist in there. */
static __typeof__(&ymm_hold) hold;
static __typeof__(&ymm_look) look;
static __typeof__(&ymm_divide) divide;
static __typeof__(&ymm_hide) hide;
static __typeof__(&ymm_crash) crash;
static __typeof__(&ymm_sum) sum;
static __typeof__(&canvas_animate) animate;

/* ---- the namespace ---- */

static struct object_ref keep(const struct testing *test, const char *member)
{
    struct archive_member file;
    struct object_ref object;

    testing_need(test, archive_find(member, &file) == ERR_OK);
    testing_need(test, lifecycle_keep_object(file.data, file.bytes, &object, &report) == ERR_OK);
    return object;
}

static void *function(const struct testing *test, const char *name)
{
    struct symbol_ref symbol = arena_symbol_find(simd, name);

    testing_need(test, symbol.index && same(arena_symbol(symbol)->namespace_, simd));
    return (void *)(arena_section(arena_symbol(symbol)->section)->virt + arena_symbol(symbol)->offset);
}

static void make_namespace(const struct testing *test)
{
    const struct object_ref objects[] = {keep(test, "ymm"), keep(test, "canvas_avx2")};

    testing_need(test, namespace_branch(NAMESPACE_ROOT, "simd", &(struct namespace_options){.flags = NAMESPACE_SIMD},
                                        &simd, &report) == ERR_OK);
    testing_need(test, namespace_change(simd, objects, array_size(objects), 0, &report) == ERR_OK);
    hold = function(test, "ymm_hold");
    look = function(test, "ymm_look");
    divide = function(test, "ymm_divide");
    hide = function(test, "ymm_hide");
    crash = function(test, "ymm_crash");
    sum = function(test, "ymm_sum");
    animate = function(test, "canvas_animate");
    testing_need(test, animate != canvas_animate);
}

static void end_namespace(const struct testing *test)
{
    hold = NULL, look = NULL, divide = NULL, hide = NULL, crash = NULL, sum = NULL, animate = NULL;
    testing_need(test, namespace_remove(simd, &report) == ERR_OK);
    testing_need(test, testing_await(!(namespace_reap() + reap_replaced()))); /* recovery has reloaded cells */
}

static bool contains(const char *text, const char *part)
{
    for (; *text; text++)
        if (string_starts(text, part))
            return true;
    return false;
}

static void refused(const struct testing *test)
{
    struct object_ref object = keep(test, "canvas_avx2");
    struct namespace_ref plain;
    struct cell_ref cell;

    testing_need(test, loader_load("ymm", &cell, &report) == LOAD_UNFIT && report.error == ERR_REFUSED);
    testing_need(test, contains(report.text, "ymm") && contains(report.text, "namespace root"));
    testing_need(test, swap_cell(NAMESPACE_ROOT, "canvas", object, 0, &report) == ERR_REFUSED);
    testing_need(test, contains(report.text, "canvas") && contains(report.text, "namespace root"));
    testing_need(test, !arena_cell_find(NAMESPACE_ROOT, "ymm").index);
    testing_need(test, namespace_branch(NAMESPACE_ROOT, "plain", NULL, &plain, &report) == ERR_OK);
    object = keep(test, "canvas_avx2");
    testing_need(test, namespace_change(plain, &object, 1, 0, &report) == ERR_REFUSED);
    testing_need(test, contains(report.text, "canvas") && contains(report.text, "namespace plain"));
    loader_drop_object(object);
    testing_need(test, namespace_remove(plain, &report) == ERR_OK);
}

static void spin(void)
{
    for (uint64_t end = cpu_ns() + SPIN_NS; cpu_ns() < end;)
        cpu_relax();
}

/* ---- registers ---- */

static void fill(struct ymm_state *state, uint64_t seed)
{
    *state = (struct ymm_state){.mxcsr = MXCSR_HELD, .fcw = FCW_HELD, .x87 = (int64_t)(seed * 1000003)};
    for (size_t i = 0; i < 16; i++)
        for (size_t k = 0; k < 4; k++)
            state->ymm[i][k] = seed << 32 | i << 8 | k;
}

struct holder {
    struct ymm_state state;
    uint64_t wrong, sums, switches;
    struct task *task;
};

static void hold_registers(uint64_t argument)
{
    struct holder *holder = (struct holder *)argument;
    static const uint32_t words[64] = {1, 2, 3};

    holder->wrong += hold(&holder->state, scheduler_yield, YIELDS);
    holder->wrong += hold(&holder->state, spin, SPINS);
    holder->sums = sum(words, array_size(words));
    holder->switches = task_this()->record->switches;
}

/* Draws the same with the cells of its namespace; what it calls beyond those is shared. */
struct painter {
    __typeof__(&canvas_animate) animate;
    uint64_t painted, wrong;
    uint32_t stop;
    struct task *task;
};

static void paint(uint64_t argument)
{
    struct painter *painter = (struct painter *)argument;
    OWN(canvas) struct canvas *canvas = canvas_new(FRAMES_WIDTH, FRAMES_HEIGHT);

    while (canvas && !__atomic_load_n(&painter->stop, __ATOMIC_RELAXED)) {
        uint32_t i = (uint32_t)(painter->painted++ % array_size(frames));
        painter->animate(canvas, i);
        painter->wrong += canvas_checksum(canvas) != frames[i];
        scheduler_yield();
    }
}

static void begin_painters(const struct testing *test, struct painter painters[2])
{
    for (unsigned i = 0; i < 2; i++) {
        painters[i] = (struct painter){.animate = i ? animate : canvas_animate};
        painters[i].task = task_spawn(i ? "painter_simd" : "painter", paint, (uint64_t)&painters[i],
                                      &(struct task_options){.namespace_ = i ? simd : NAMESPACE_ROOT});
        testing_need(test, painters[i].task);
    }
}

static void end_painters(const struct testing *test, struct painter painters[2])
{
    for (unsigned i = 0; i < 2; i++) {
        uint64_t painted = __atomic_load_n(&painters[i].painted, __ATOMIC_RELAXED);
        /* it still works after all that */
        testing_need(test, testing_await(__atomic_load_n(&painters[i].painted, __ATOMIC_RELAXED) >= painted + 2));
        __atomic_store_n(&painters[i].stop, 1, __ATOMIC_RELAXED);
        testing_need(test, task_join(MOVE(painters[i].task), NULL) == JOIN_ENDED);
        testing_need(test, !painters[i].wrong && painters[i].painted > array_size(frames));
        painters[i].animate = NULL;
    }
}

static void registers_stay(const struct testing *test)
{
    OWN(heap) struct holder *holders = heap_alloc(HOLDERS * sizeof *holders);

    testing_need(test, holders);
    for (uint64_t i = 0; i < HOLDERS; i++) {
        fill(&holders[i].state, i + 1);
        holders[i].task = task_spawn("holder", hold_registers, (uint64_t)&holders[i],
                                     &(struct task_options){.namespace_ = simd, .pinned = i < CROWD});
        testing_need(test, holders[i].task);
    }
    for (size_t i = 0; i < HOLDERS; i++) {
        testing_need(test, task_join(MOVE(holders[i].task), NULL) == JOIN_ENDED);
        testing_need(test, !holders[i].wrong && holders[i].sums == 6 * 3 + 64);
        testing_need(test, i >= CROWD || holders[i].switches > YIELDS / 2);
    }
}

/* ---- faults ---- */

/* The newest fault of a task of that name. */
static const struct arena_fault *last_fault(const char *task)
{
    for (uint64_t seq = arena_header()->fault_seq; seq; seq--) {
        const struct arena_fault *fault = fault_record(seq);
        if (fault && string_equal(fault->task_name, task))
            return fault;
    }
    return NULL;
}

struct trial {
    struct ymm_state state, found;
    uint64_t attempts;
    void (*fail)(struct trial *trial);
};

/* Fails the first time. */
static void try_twice(uint64_t argument)
{
    struct trial *trial = (struct trial *)argument;

    if (task_this()->simd.enabled)
        look(&trial->found);
    if (__atomic_add_fetch(&trial->attempts, 1, __ATOMIC_RELAXED) == 1)
        trial->fail(trial);
}

static void fail_in_call(struct trial *trial)
{
    trial->state.mxcsr = MXCSR_BARE;
    (void)hold(&trial->state, crash, 1);
}

static void fail_in_loop(struct trial *)
{
    (void)sum((const uint32_t *)UNMAPPED, 1000);
}

static void fail_to_divide(struct trial *)
{
    divide();
}

static void stumble(struct trial *trial)
{
    look(&trial->found);
}

static bool is_fresh(const struct ymm_state *state)
{
    for (size_t i = 0; i < 16; i++)
        for (size_t k = 0; k < 4; k++)
            if (state->ymm[i][k])
                return false;
    return state->mxcsr == 0x1f80 && state->fcw == 0x37f && !state->x87;
}

static void fails_once(const struct testing *test, const char *name, struct namespace_ref namespace_,
                       void (*fail)(struct trial *), uint32_t vector)
{
    OWN(heap) struct trial *trial = heap_alloc(sizeof *trial);

    testing_need(test, trial);
    trial->fail = fail;
    fill(&trial->state, 99);
    fill(&trial->found, 98);
    struct task *task = task_spawn(name, try_twice, (uint64_t)trial,
                                   &(struct task_options){.restartable = true, .namespace_ = namespace_});
    testing_need(test, task && task_join(task, NULL) == JOIN_ENDED);
    const struct arena_fault *fault = last_fault(name);
    testing_need(test, fault && fault->kind == FAULT_EXCEPTION && fault->vector == vector);
    testing_need(test, fault->outcome == FAULT_OUTCOME_RECOVERED && trial->attempts == 2);
    testing_need(test, same(namespace_, NAMESPACE_ROOT) || is_fresh(&trial->found));
}

/* ---- a state that comes to harm while its task waits ---- */

static struct victim {
    struct trial trial;
    struct task *task;
    uint32_t harmed;
} * victim;

static void spin_until_harmed(void)
{
    while (!__atomic_load_n(&victim->harmed, __ATOMIC_ACQUIRE))
        cpu_relax();
}

static void fail_when_harmed(struct trial *trial)
{
    (void)hold(&trial->state, spin_until_harmed, 1);
}

/* On the same CPU, so that the other does not run meanwhile. */
static void harm(uint64_t)
{
    while (!victim->harmed) {
        struct simd_state *state = victim->task->simd.saved;
        if (state && state->fcw == FCW_HELD) {
            state->header[2] = 1; /* reserved */
            __atomic_store_n(&victim->harmed, 1, __ATOMIC_RELEASE);
        }
        scheduler_yield();
    }
}

static void harmed(const struct testing *test)
{
    OWN(heap) struct victim *memory = heap_alloc(sizeof *memory);
    struct task_options options = {.restartable = true, .namespace_ = simd, .pinned = 1};

    testing_need(test, memory);
    victim = memory;
    victim->trial.fail = fail_when_harmed;
    fill(&victim->trial.state, 7);
    victim->task = task_spawn("harmed", try_twice, (uint64_t)&victim->trial, &options);
    testing_need(test, victim->task);
    struct task *harmer = task_spawn("harmer", harm, 0, &(struct task_options){.pinned = 1});
    testing_need(test, harmer && task_join(harmer, NULL) == JOIN_ENDED);
    testing_need(test, task_join(victim->task, NULL) == JOIN_ENDED);
    testing_need(test, victim->trial.attempts == 2 && is_fresh(&victim->trial.found));
    testing_need(test, last_fault("harmed")->vector == EXCEPTION_GP);
    victim = NULL;
}

/* ---- a swap ---- */

struct hidden {
    uint64_t word, right;
    uint32_t there, stop;
};
static struct hidden *hidden;

static void wait_for_swap(void)
{
    __atomic_store_n(&hidden->there, 1, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&hidden->stop, __ATOMIC_ACQUIRE))
        cpu_relax();
}

static void hide_word(uint64_t)
{
    hidden->word = hide(hidden->word, KEY, wait_for_swap);
    hidden->right = (uint64_t)fragile_word(1) ^ KEY; /* a task that cannot come to a cell is not looked at */
}

static void swapped_on(const struct testing *test, unsigned cpu)
{
    uint64_t old = (uint64_t)fragile_word(1) ^ KEY; /* words on stacks are changed too */
    OWN(heap) struct hidden *memory = heap_alloc(sizeof *memory);

    testing_need(test, memory);
    hidden = memory;
    hidden->word = old;
    struct task *task =
        task_spawn("hider", hide_word, 0, &(struct task_options){.namespace_ = simd, .pinned = cpu + 1});
    testing_need(test, task);
    testing_need(test, testing_await(__atomic_load_n(&hidden->there, __ATOMIC_ACQUIRE)));
    testing_need(test, swap_reload(NAMESPACE_ROOT, "fragile", 0, &report) == ERR_OK);
    __atomic_store_n(&hidden->stop, 1, __ATOMIC_RELEASE);
    testing_need(test, task_join(task, NULL) == JOIN_ENDED);
    testing_need(test, hidden->word != old && hidden->word == hidden->right);
    hidden = NULL;
}

/* A register of a task that runs here in between, or on another CPU. */
static void swapped(const struct testing *test)
{
    for (unsigned cpu = 0; cpu < cpu_count(); cpu++)
        swapped_on(test, cpu);
}

/* ---- the whole ---- */

static void all(const struct testing *test)
{
    struct painter painters[2];

    make_namespace(test);
    refused(test);
    begin_painters(test, painters);
    registers_stay(test);
    fails_once(test, "stumbler", NAMESPACE_ROOT, stumble, 7);
    fails_once(test, "crasher", simd, fail_in_call, 14);
    fails_once(test, "looper", simd, fail_in_loop, 14);
    fails_once(test, "divider", simd, fail_to_divide, 19);
    harmed(test);
    swapped(test);
    end_painters(test, painters);
    end_namespace(test);
}

static void without(const struct testing *test)
{
    char none[8];

    testing_need(test, boot_option("simd", none, sizeof none) && string_equal(none, "no"));
    testing_need(test, namespace_branch(NAMESPACE_ROOT, "simd", &(struct namespace_options){.flags = NAMESPACE_SIMD},
                                        &simd, &report) == ERR_UNSUPPORTED);
    testing_need(test, contains(report.text, "simd") && contains(report.text, "AVX2"));
    testing_ok(test, "a SIMD namespace is refused on a processor without AVX2");
}

static int test_simd_main(int, char **)
{
    struct testing test = testing_begin("test_simd");

    if (!simd_works()) {
        without(&test);
        testing_end(&test);
    }
    testing_need(&test, testing_has_recovery());
    all(&test);
    test = testing_begin("test_simd");
    all(&test);
    testing_ok(&test, "SIMD cells are refused where tasks do not save SIMD registers");
    testing_ok(&test, "all registers of 6 tasks survive yields and preemption, beside tasks without any");
    testing_ok(&test, "a plain task that comes upon SIMD faults and is recovered");
    testing_ok(&test, "SIMD tasks that fail begin with fresh registers, also when what was saved is damaged");
    testing_ok(&test, "a pointer in a SIMD register follows a swap");
    testing_end(&test);
}
MAIN(test_simd_main);
