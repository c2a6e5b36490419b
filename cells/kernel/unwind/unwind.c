/* See unwind.h. Where a pad is and what the frames hold is walk.c's and dwarf.c's business; here it is decided what runs
 * next, and the progress is kept so that a fault on the way costs one frame, not the rest of the stack. */
#include "cells/kernel/unwind/unwind.h"
#include "cells/kernel/unwind/walk.h"
#include "cells/kernel/arena/arena.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/loader/loader.h"
#include "cells/kernel/lock/lock.h"
#include "cells/kernel/page/page.h"
#include "cells/kernel/panic/panic.h"
#include "cells/kernel/task/call.h"
#include "cells/lib/string/string.h"

void _Unwind_Resume(void);
void __gcc_personality_v0(void);
_Noreturn void unwind_continue(const void *exception, uint64_t rflags);
void unwind_begin_back(void);
_Noreturn void unwind_start_back(const struct task_saved *saved);

CELL("unwind", KERNEL, 1);
EXPORT(unwind_task, KERNEL);
EXPORT(unwind_walk, KERNEL);
EXPORT(unwind_stack, KERNEL);
EXPORT(unwind_bind_end, KERNEL);
EXPORT(unwind_back, KERNEL);
EXPORT(_Unwind_Resume, APPLICATION);
EXPORT(__gcc_personality_v0, APPLICATION);

#define NESTED_MAX       3    /* faults in a row without a pad that came to its end */
#define PADS_MAX         2048 /* of one unwinding: more than a stack can hold */
#define PAD_STACK_BYTES  1024 /* with less left, a pad runs on an emergency stack */
#define EMERGENCY_BYTES  4096
#define STACK_RED_BYTES  4096 /* a stack pointer this far below its stack still belongs to it: it ran over */
#define RFLAGS_ALWAYS    2
#define RFLAGS_INTERRUPT 0x200

_Static_assert(offsetof(struct cpu, fault_stack_ist) == 64);
_Static_assert(sizeof(struct unwind_again) == 56 && sizeof(((struct call *)0)->argument) == 48);
_Static_assert(DWARF_REGISTERS == sizeof(((struct task_unwind *)0)->registers) / 8);

/* One unwinding: of a task, or of an interrupt handler on top of whatever task was there. */
static struct task_unwind interrupts[CPU_MAX];
static uint8_t emergency[CPU_MAX][EMERGENCY_BYTES] __attribute__((aligned(16)));

static void (*end_call)(uint64_t fault_seq);

enum err unwind_bind_end(void (*end)(uint64_t fault_seq))
{
    return loader_bind(&end_call, end);
}

bool unwind_stack(const struct task *task, uint64_t *ret_low, uint64_t *ret_high)
{
    if (!task)
        return false;
    if (task->record && arena_sound(ARENA_TASKS, task->index) && task->record->stack_bytes) {
        *ret_low = task->record->stack_virt;
        *ret_high = task->record->stack_virt + task->record->stack_bytes;
        return true;
    }
    /* Read once: the reaper takes the stack of an ended task away while others look at it. The handle itself stays. */
    const struct mapped_pages *stack = __atomic_load_n(&task->stack, __ATOMIC_RELAXED);
    if (!stack)
        return false;
    *ret_low = (uint64_t)page_start(stack);
    *ret_high = *ret_low + page_bytes(stack);
    return true;
}

/* ---- progress ---- */

static void keep(struct task_unwind *state, const struct walk *walk)
{
    for (unsigned i = 0; i < DWARF_REGISTERS; i++)
        state->registers[i] = walk->registers.value[i];
    state->cfa = walk->cfa;
    state->exact = walk->exact;
    state->guessed = walk->guessed;
    state->frames = walk->frames;
}

static struct walk kept(const struct task_unwind *state)
{
    struct walk walk = {
        .stack = {(const uint8_t *)state->stack_low, state->stack_high - state->stack_low, state->stack_low},
        .exact = state->exact,
        .guessed = state->guessed,
        .cfa = state->cfa,
        .frames = (unsigned)state->frames,
    };

    for (unsigned i = 0; i < DWARF_REGISTERS; i++)
        walk.registers.value[i] = state->registers[i];
    return walk;
}

/* ---- leaving the unwinder ---- */

/* The record of the fault that this is for; NULL: none, or written over since. */
static struct arena_fault *record_of(const struct task_unwind *state)
{
    struct arena_fault *fault = arena_record(ARENA_FAULTS, (uint32_t)(state->fault_seq % (ARENA_FAULTS_MAX - 1)) + 1);

    return state->fault_seq && fault->seq == state->fault_seq ? fault : NULL;
}

static _Noreturn void give_up(const struct task_unwind *state, const char *why)
{
    struct arena_fault *fault = record_of(state);

    if (fault) {
        fault->action = FAULT_ACTION_HALT;
        fault->outcome = FAULT_OUTCOME_FAILED;
    }
    panic_halt(why);
}

static _Noreturn void go(const struct walk *walk, uint64_t rip, uint64_t rsp, uint64_t rflags, const void *exception)
{
    const uint64_t *r = walk->registers.value;
    struct trap_frame frame = {
        .r15 = r[15],
        .r14 = r[14],
        .r13 = r[13],
        .r12 = r[12],
        .rbp = r[DWARF_RBP],
        .rbx = r[DWARF_RBX],
        .rax = (uint64_t)exception,
        .rip = rip,
        .rsp = rsp,
        .rflags = rflags | RFLAGS_ALWAYS,
    };

    __asm__("mov %%cs, %0" : "=r"(frame.cs));
    __asm__("mov %%ss, %0" : "=r"(frame.ss));
    exception_resume(&frame);
}

/* What no landing pad has let go of would stop every CPU that comes for it. */
static void abandon_locks(void)
{
    unsigned locks = lock_abandon();

    if (locks)
        arena_count(COUNTER_locks_abandoned, locks);
}

/* The first and only frame of a task that has been unwound. */
static _Noreturn void end_task(void)
{
    struct task_unwind *state = &task_this()->unwind;

    loader_abandon();
    if (end_call && !state->ended) {
        state->ended = 1;
        end_call(state->fault_seq);
    }
    task_fail();
}

/* Everything has been released: the task ends, on an empty stack, owing nobody an interrupt flag or a lock. */
static _Noreturn void finish(struct task_unwind *state)
{
    struct cpu *cpu = cpu_this();
    struct walk walk = kept(state);

    state->active = 0;
    if (state == &interrupts[cpu->index])
        give_up(state, "a fault in an interrupt handler, and no way back to the code that was interrupted");
    cpu->preempt_off = 0;
    abandon_locks();
    cpu->interrupt_depth = 1; /* exception_resume takes it back */
    walk.registers = (struct dwarf_registers){};
    *(uint64_t *)(state->stack_high - 8) = 0;
    go(&walk, (uint64_t)end_task, state->stack_high - 8, RFLAGS_INTERRUPT, NULL);
}

/* The handler is gone; its caller, the interrupt entry, returns to what it had interrupted. */
static _Noreturn void end_interrupt(struct task_unwind *state, const struct walk *walk)
{
    struct arena_fault *fault = record_of(state);
    struct cpu *cpu = cpu_this();

    *state = (struct task_unwind){}; /* old addresses in there would keep an old cell alive */
    if (fault) {
        fault->recovery_ns = cpu_ns() - fault->time_ns;
        fault->action = FAULT_ACTION_UNWIND; /* the recovery cell does the rest */
    }
    cpu->interrupt_depth = 1;
    abandon_locks();
    go(walk, walk->registers.value[DWARF_RIP], walk->registers.value[DWARF_RSP], 0, NULL);
}

/* A stack that ran over has no room for a pad's calls; the pad reaches its variables through rbp, so the calls may
 * go elsewhere, to a place that belongs to the CPU: the task must stay on it. */
static _Noreturn void enter_pad(struct task_unwind *state, const struct walk *walk, const struct walk_frame *frame,
                                uint64_t address)
{
    uint64_t rsp = walk->registers.value[DWARF_RSP];
    struct cpu *cpu = cpu_this();

    state->last_pad = address;
    state->last_rbp = walk->registers.value[DWARF_RBP];
    if (rsp < state->stack_low + PAD_STACK_BYTES && frame->row.cfa_register == DWARF_RBP) {
        rsp = (uint64_t)emergency[cpu->index] + EMERGENCY_BYTES - 32 + (rsp & 8);
        state->emergency = 1;
        cpu->preempt_off++;
    }
    go(walk, address, rsp, state->rflags, state->exception_object);
}

/* ---- back to a call ---- */

/* The call that is recorded in the frame that the walk has reached; NULL: none. */
static struct call *call_in(const struct task_unwind *state, const struct walk *walk)
{
    struct walk next = *walk;
    struct call *call = task_this()->calls;

    if (!state->back_cfa || walk_next(&next) != ERR_OK || (uint64_t)call < walk->registers.value[DWARF_RSP] ||
        (uint64_t)call + sizeof *call > next.cfa)
        return NULL;
    return call;
}

static _Noreturn void return_from(struct task_unwind *state, const struct walk *walk, const struct call *call)
{
    *state = (struct task_unwind){};
    go(walk, walk->registers.value[DWARF_RIP], walk->registers.value[DWARF_RSP], call->rflags,
       (const void *)call->result);
}

/* The frame has been left: below its return address the call is put together again. */
static _Noreturn void begin_anew(struct task_unwind *state, const struct walk *walk, struct call *call)
{
    struct unwind_again *again = (struct unwind_again *)(walk->cfa - 8) - 1, anew = {.function = call->function};
    uint64_t entry = state->back_entry, rflags = call->rflags;

    for (size_t i = 0; i < CALL_ARGUMENTS; i++)
        anew.argument[i] = call->argument[i];
    call->function = 0;
    *again = anew; /* over the frame, and over its call */
    *state = (struct task_unwind){};
    go(walk, entry, (uint64_t)again, rflags, NULL);
}

/* Called when a frame has been left, on the way back to a call. */
static void look_back(struct task_unwind *state, const struct walk *walk)
{
    struct call *call = state->call;

    state->call = NULL;
    if (call && __atomic_load_n(&call->decided, __ATOMIC_ACQUIRE))
        return_from(state, walk, call);
    if (walk->cfa == state->back_cfa && call)
        begin_anew(state, walk, call);
    if (walk->cfa >= state->back_cfa) {
        state->back_cfa = 0;
        panic("a call that was to begin anew is not where it was");
    }
}

/* ---- the unwinding ---- */

/* The pad to run in this frame; 0: none. A pad that is only the closest one must find the registers where the
 * frame has them, and must not be the one whose cleanup has just failed. */
static uint64_t choose_pad(const struct task_unwind *state, const struct walk *walk, const struct walk_frame *frame,
                           bool *ret_nearest)
{
    struct walk at_pad = *walk;
    struct walk_frame pad_frame;
    struct dwarf_pad pad;
    enum err e = walk_pad(walk, frame, true, &pad);

    *ret_nearest = pad.nearest;
    if (e || !pad.address)
        return 0;
    if (!pad.nearest)
        return pad.address;
    if (state->back_cfa) /* every frame is at a call, and the table is complete for those */
        return 0;
    at_pad.registers.value[DWARF_RIP] = pad.address;
    at_pad.exact = true;
    if (state->nested || (pad.address == state->last_pad && walk->registers.value[DWARF_RBP] == state->last_rbp) ||
        walk_look(&at_pad, &pad_frame) || !dwarf_row_same(&frame->row, &pad_frame.row))
        return 0;
    return pad.address;
}

static void count_pad(struct task_unwind *state, bool nearest)
{
    struct arena_fault *fault = record_of(state);

    state->landing_pads++;
    arena_count(COUNTER_landing_pads, 1);
    if (nearest)
        arena_count(COUNTER_nearest_pads, 1);
    if (fault)
        fault->landing_pads++;
}

/* From the frame that the walk has reached to the next pad, or to the end. */
static _Noreturn void unwind(struct task_unwind *state, struct walk *walk)
{
    for (;;) {
        struct walk_frame frame;
        bool nearest;

        keep(state, walk);
        state->call = call_in(state, walk);
        if (walk_look(walk, &frame) == ERR_OK) {
            if (frame.function.signal && !walk->exact && state != &task_this()->unwind)
                end_interrupt(state, walk);
            uint64_t pad = choose_pad(state, walk, &frame, &nearest);
            if (pad && state->landing_pads < PADS_MAX) {
                count_pad(state, nearest);
                enter_pad(state, walk, &frame, pad);
            }
        }
        if (walk_next(walk) != ERR_OK)
            finish(state);
        if (state->back_cfa)
            look_back(state, walk);
    }
}

/* Whether an interrupt entry lies between here and the end of the stack. */
static bool in_interrupt(struct walk walk)
{
    struct walk_frame frame;

    do {
        if (walk_look(&walk, &frame) == ERR_OK && frame.function.signal && !walk.exact)
            return true;
    } while (walk_next(&walk) == ERR_OK);
    return false;
}

static void leave_emergency(struct task_unwind *state, struct cpu *cpu)
{
    if (!state->emergency)
        return;
    state->emergency = 0;
    if (cpu->preempt_off)
        cpu->preempt_off--;
    for (size_t i = 0; i < EMERGENCY_BYTES; i++)
        emergency[cpu->index][i] = 0; /* old addresses would keep an old cell alive */
}

/* Called by _Unwind_Resume at the end of a pad, on the fault stack, interrupts off. */
void unwind_continue(const void *exception, uint64_t rflags)
{
    struct cpu *cpu = cpu_this();
    struct task_unwind *state = &interrupts[cpu->index];

    *cpu->fault_stack_ist -= CPU_FAULT_STEP; /* as an exception would; exception_resume undoes both */
    cpu->interrupt_depth++;
    if (exception != state->exception_object)
        state = cpu->task ? &cpu->task->unwind : NULL;
    if (!state || !state->active || exception != state->exception_object)
        panic("a landing pad ended, but nothing is being unwound");
    struct walk walk = kept(state);
    leave_emergency(state, cpu);
    state->rflags = rflags & RFLAGS_INTERRUPT;
    state->nested = 0;
    if (walk_next(&walk) != ERR_OK)
        finish(state);
    if (state->back_cfa)
        look_back(state, &walk);
    unwind(state, &walk);
}

static bool starts_on(uint64_t rsp, uint64_t low, uint64_t high)
{
    return rsp >= low - STACK_RED_BYTES && rsp <= high;
}

void unwind_task(struct task *task, const struct trap_frame *frame, uint64_t fault_seq)
{
    struct cpu *cpu = cpu_this();
    uint64_t low, high;

    if (!unwind_stack(task, &low, &high))
        panic_halt("a fault outside of every task");
    struct walk walk = walk_from(frame, low, high);
    /* What an interrupt came upon goes on; not so when a failed switch has the task's SIMD state in its hands. */
    bool interrupt = !task->simd_away && starts_on(frame->rsp, low, high) && in_interrupt(walk);
    struct task_unwind *state = interrupt || interrupts[cpu->index].active ? &interrupts[cpu->index] : &task->unwind;
    uint64_t nested = state->active ? state->nested + 1 : 0;

    if (nested > NESTED_MAX)
        finish(state);
    if (!state->active)
        *state = (struct task_unwind){.active = 1, .stack_low = low, .stack_high = high, .ended = state->ended};
    if (state == &task->unwind && task->record)
        task->record->state = TASK_UNWINDING; /* it runs, whatever it was about to do */
    if (state == &task->unwind)
        task_begin_simd(); /* no landing pad finds anything in SIMD registers; what faulted may have changed MXCSR */
    state->nested = nested;
    state->back_cfa = 0;
    leave_emergency(state, cpu);
    state->fault_seq = fault_seq;
    state->rflags = frame->rflags & RFLAGS_INTERRUPT;
    if (starts_on(frame->rsp, low, high))
        unwind(state, &walk);
    walk = kept(state);
    if (nested == 0 || walk_next(&walk) != ERR_OK)
        finish(state);
    unwind(state, &walk);
}

void unwind_back(struct task *task, uint64_t cfa, void (*entry)(void))
{
    struct task_saved *saved = (struct task_saved *)task->rsp;
    struct task_saved *lower = (struct task_saved *)((uint64_t *)saved - 1);

    task->unwind.back_cfa = cfa;
    task->unwind.back_entry = (uint64_t)entry;
    /* as if task_switch had been called from unwind_begin_back, and that from where it was called */
    memmove(lower, saved, offsetof(struct task_saved, rip));
    lower->rip = (uint64_t)unwind_begin_back;
    task->rsp = (uint64_t)lower;
    task->record->saved_rsp = task->rsp;
}

/* Called by unwind_begin_back on the fault stack, interrupts off. */
void unwind_start_back(const struct task_saved *saved)
{
    struct cpu *cpu = cpu_this();
    struct task_unwind *state = &cpu->task->unwind;
    struct trap_frame frame = {.r15 = saved->r15,
                               .r14 = saved->r14,
                               .r13 = saved->r13,
                               .r12 = saved->r12,
                               .rbx = saved->rbx,
                               .rbp = saved->rbp,
                               .rip = saved->rip,
                               .rsp = (uint64_t)(saved + 1)};
    uint64_t low, high;

    *cpu->fault_stack_ist -= CPU_FAULT_STEP;
    cpu->interrupt_depth++;
    if (!unwind_stack(cpu->task, &low, &high))
        panic_halt("a task without a stack");
    task_resume_simd(); /* the end of the switch is not come to */
    *state = (struct task_unwind){.active = 1,
                                  .stack_low = low,
                                  .stack_high = high,
                                  .back_cfa = state->back_cfa,
                                  .back_entry = state->back_entry};
    struct walk walk = walk_from(&frame, low, high);
    walk.exact = false; /* a return address */
    unwind(state, &walk);
}

/* ---- looking only ---- */

void unwind_walk(const struct trap_frame *from, uint64_t stack_low, uint64_t stack_high,
                 bool (*visit)(const struct unwind_frame *frame, void *context), void *context)
{
    struct walk walk = walk_from(from, stack_low, stack_high);
    bool more;

    do {
        struct unwind_frame frame = {.rip = walk.registers.value[DWARF_RIP], .rsp = walk.registers.value[DWARF_RSP]};
        uint64_t ip = frame.rip - !walk.exact;

        frame.cell = arena_cell_at(ip);
        frame.section = arena_section_at(ip);
        more = walk_next(&walk) == ERR_OK;
        frame.cfa = walk.cfa;
        if (!visit(&frame, context))
            return;
    } while (more);
}

static enum err unwind_init(void)
{
    return loader_bind(&exception_unwind_resume, _Unwind_Resume);
}
INIT(unwind_init);
