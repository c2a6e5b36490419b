/* See unwind.h. Decides what runs next: a landing pad, the end of the task, or the interrupted code.
 * walk.c finds frames and pads. The progress is saved before each pad, so that a fault in a pad costs one frame, not
 * the rest of the stack. */
#include "cells/recover/unwind/unwind.h"
#include "cells/core/edge/edge.h"
#include "cells/recover/unwind/emergency.h"
#include "cells/recover/unwind/frames.h"
#include "cells/recover/unwind/walk.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/tables.h"
#include "cells/core/loader/loader.h"
#include "cells/core/lock/lock.h"
#include "cells/core/page/page.h"
#include "cells/core/panic/panic.h"
#include "cells/lib/string/string.h"
#include "cells/task/call/call.h"
#include "cells/task/deadline/deadline.h"
#include "cells/task/park/park.h"

void _Unwind_Resume(void);
void __gcc_personality_v0(void);
_Noreturn void unwind_continue(const void *exception, uint64_t rflags);
void unwind_enter_roll_back(void);
_Noreturn void unwind_start_roll_back(const struct task_saved *saved);

CELL("unwind", KERNEL, 1);
FOUNDATION();
EXPORT(unwind_task, KERNEL);
EXPORT(unwind_give_up, KERNEL);
EXPORT(unwind_stack, KERNEL);
EXPORT(unwind_bind_end, KERNEL);
EXPORT(unwind_roll_back, KERNEL);
EXPORT(unwind_is_active, KERNEL);
EXPORT(unwind_end_sleep, KERNEL);
EXPORT(unwind_point, KERNEL);
EXPORT(_Unwind_Resume, APPLICATION);
EXPORT(__gcc_personality_v0, APPLICATION);

#define NESTED_MAX       3    /* faults in a row without a pad that reached its end */
#define PADS_MAX         2048 /* of one unwinding: more than a stack can hold */
#define PAD_STACK_BYTES  4096 /* with less left, a pad runs on the emergency stack */
#define OVERFLOW_BYTES   4096 /* a stack pointer up to this far below a stack counts as an overflow of it */
#define RFLAGS_ALWAYS    2
#define RFLAGS_INTERRUPT 0x200

/* The state of an unwinding, kept apart from the stack that is unwound. */
struct progress {
    uint64_t active;                     /* 1 from the fault until everything is released */
    uint64_t fault_seq;                  /* the newest fault that this is for; 0: a roll-back, or a killed task */
    uint64_t first_seq;                  /* the oldest one */
    uint64_t registers[DWARF_REGISTERS]; /* of the frame reached */
    uint64_t exception;                  /* only its address matters: a pad hands it to _Unwind_Resume */
    uint64_t landing_pads, frames;
    uint64_t nested;              /* faults while unwinding */
    uint64_t cfa, exact, guessed; /* see struct walk */
    uint64_t rflags;              /* interrupt flag for the next pad */
    uint64_t stack_low, stack_high;
    uint64_t emergency; /* enum emergency */
    uint64_t last_pad, last_rbp;
    uint64_t ended;         /* the hook of unwind_bind_end has been called */
    uint64_t back_cfa;      /* of a roll-back: where the frame of the call ends; 0: this is none */
    uint64_t back_entry;    /* of a roll-back: where the task resumes */
    struct call *back_call; /* of a roll-back: the call */
    struct call *call;      /* in the frame reached, or NULL */
};

_Static_assert(offsetof(struct cpu, fault_stack_ist) == 64);
_Static_assert(sizeof(struct unwind_repeat) == 56 && sizeof(((struct call *)0)->argument) == 48);
_Static_assert(sizeof(struct progress) <= sizeof(struct task_unwind));

/* Of interrupt handlers; that of a task is in its struct task_unwind. */
static struct progress interrupts[CPU_MAX];

static void (*unwound_hook)(uint64_t fault_seq);

static struct progress *progress_of(struct task *task)
{
    return (struct progress *)&task->unwind;
}

bool unwind_is_active(const struct task *task)
{
    const struct progress *progress = (const struct progress *)&task->unwind;

    return progress->active || progress->back_cfa;
}

enum err unwind_bind_end(void (*unwound)(uint64_t fault_seq))
{
    return edge_bind(&unwound_hook, unwound);
}

bool unwind_stack(const struct task *task, uint64_t *ret_low, uint64_t *ret_high)
{
    if (!task)
        return false;
    if (task->record && arena_sound(task->ref) && task->record->stack_bytes) {
        *ret_low = task->record->stack_virt;
        *ret_high = task->record->stack_virt + task->record->stack_bytes;
        return true;
    }
    const struct mapped_pages *stack = task_stack(task);
    if (!stack)
        return false;
    *ret_low = (uint64_t)page_start(stack);
    *ret_high = *ret_low + page_bytes(stack);
    return true;
}

/* ---- progress ---- */

static void save_walk(struct progress *progress, const struct walk *walk)
{
    for (unsigned i = 0; i < DWARF_REGISTERS; i++)
        progress->registers[i] = walk->registers.value[i];
    progress->cfa = walk->cfa;
    progress->exact = walk->exact;
    progress->guessed = walk->guessed;
    progress->frames = walk->frames;
}

static struct walk saved_walk(const struct progress *progress)
{
    struct walk walk = {
        .stack = {(const uint8_t *)progress->stack_low, progress->stack_high - progress->stack_low,
                  progress->stack_low},
        .exact = progress->exact,
        .guessed = progress->guessed,
        .cfa = progress->cfa,
        .frames = (unsigned)progress->frames,
    };

    for (unsigned i = 0; i < DWARF_REGISTERS; i++)
        walk.registers.value[i] = progress->registers[i];
    return walk;
}

/* ---- leaving the unwinder ---- */

/* The record of the fault that this is for. NULL: there is none, or a newer fault has the record. */
static struct arena_fault *fault_of_unwinding(const struct progress *progress)
{
    struct arena_fault *fault = arena_record(ARENA_FAULTS, arena_ring_index(progress->fault_seq, ARENA_FAULTS_MAX));

    return progress->fault_seq && fault->seq == progress->fault_seq ? fault : NULL;
}

/* Resumes the task at `rip` with the callee-saved registers of the frame reached, and `rax`. */
static _Noreturn void resume_at(const struct walk *walk, uint64_t rip, uint64_t rsp, uint64_t rflags, uint64_t rax)
{
    const uint64_t *r = walk->registers.value;
    struct trap_frame frame = {
        .r15 = r[15],
        .r14 = r[14],
        .r13 = r[13],
        .r12 = r[12],
        .rbp = r[DWARF_RBP],
        .rbx = r[DWARF_RBX],
        .rax = rax,
        .rip = rip,
        .rsp = rsp,
        .rflags = rflags | RFLAGS_ALWAYS,
        .cs = CPU_CODE_SELECTOR,
    };

    __asm__("mov %%ss, %0" : "=r"(frame.ss));
    exception_resume(&frame);
}

/* Releases the locks that no landing pad has released: they would stop every CPU that takes them. */
static void abandon_locks(void)
{
    unsigned locks = lock_abandon();

    if (locks)
        arena_count(COUNTER_locks_abandoned, locks);
}

/* The only frame of a task whose stack has been unwound. */
static _Noreturn void end_unwound_task(void)
{
    struct progress *progress = progress_of(task_this());

    deadline_abandon();
    loader_abandon();
    if (unwound_hook && !progress->ended) {
        progress->ended = 1;
        unwound_hook(progress->fault_seq);
    }
    task_fail();
}

/* Every frame has been released: the task ends, on an empty stack, interrupts on. Of all locks it may hold the loader's
 * only, which end_unwound_task lets go. */
static _Noreturn void finish(struct progress *progress)
{
    struct cpu *cpu = cpu_this();
    struct walk walk = saved_walk(progress);

    progress->active = 0;
    if (progress == &interrupts[cpu->index]) /* the code that the handler has interrupted is not found */
        unwind_give_up(cpu->task, progress->fault_seq);
    cpu->preempt_off = 0;
    abandon_locks();
    park_abandon();           /* a parked task may hold what this one needs to end */
    cpu->interrupt_depth = 1; /* exception_resume decrements it */
    walk.registers = (struct dwarf_registers){};
    *(uint64_t *)(progress->stack_high - 8) = 0;
    resume_at(&walk, (uint64_t)end_unwound_task, progress->stack_high - 8, RFLAGS_INTERRUPT, 0);
}

/* Says in the record of each fault of the handler, those while it was unwound too, that it has been left: the recovery
 * cell does the rest. */
static void mark_handler_left(const struct progress *progress, const struct cpu *cpu)
{
    uint64_t newest = progress->fault_seq, seq = progress->first_seq;

    for (seq = newest - seq < ARENA_FAULTS_MAX - 1 ? seq : newest; seq && seq <= newest; seq++) {
        struct arena_fault *fault = arena_record(ARENA_FAULTS, arena_ring_index(seq, ARENA_FAULTS_MAX));
        if (fault->seq != seq || fault->cpu != cpu->index || fault->outcome != FAULT_OUTCOME_OPEN)
            continue;
        fault->recovery_ns = cpu_ns() - fault->time_ns;
        fault->action = FAULT_ACTION_UNWIND;
    }
}

/* The handler's frames are left: the interrupt entry returns to the code that was interrupted. */
static _Noreturn void return_from_interrupt(struct progress *progress, const struct walk *walk)
{
    struct cpu *cpu = cpu_this();

    mark_handler_left(progress, cpu);
    *progress = (struct progress){}; /* old addresses in it would keep an old cell in memory */
    cpu->interrupt_depth = 1;
    abandon_locks();
    resume_at(walk, walk->registers.value[DWARF_RIP], walk->registers.value[DWARF_RSP], 0, 0);
}

/* A stack that has overflowed has no room for a pad's calls. */
static _Noreturn void enter_pad(struct progress *progress, const struct walk *walk, const struct walk_frame *frame,
                                uint64_t address)
{
    uint64_t rsp = walk->registers.value[DWARF_RSP] + frame->row.args_bytes;
    struct cpu *cpu = cpu_this();

    progress->last_pad = address;
    progress->last_rbp = walk->registers.value[DWARF_RBP];
    if ((rsp < progress->stack_low + PAD_STACK_BYTES || progress->emergency) && frame->row.cfa_register == DWARF_RBP) {
        rsp = emergency_enter(cpu, rsp);
        progress->emergency |= EMERGENCY_NOW;
    }
    resume_at(walk, address, rsp, progress->rflags, (uint64_t)&progress->exception);
}

/* ---- rolling back a call ---- */

/* The call whose record is in the frame that the walk has reached. NULL: there is none. */
static struct call *call_in_frame(const struct progress *progress, const struct walk *walk)
{
    struct walk next = *walk;
    struct call *call = task_this()->calls;

    if (!progress->back_cfa || !walk_next(&next) || (uint64_t)call < walk->registers.value[DWARF_RSP] ||
        (uint64_t)call + sizeof *call > next.cfa)
        return NULL;
    return call;
}

/* The call to be rolled back ends like any other. */
static void give_up_roll_back(struct progress *progress)
{
    if (progress->back_cfa)
        progress->back_call->rolled_back = 0;
    progress->back_cfa = 0;
}

/* The frame has been left, and its call is decided: its caller gets the result. */
static _Noreturn void return_result(struct progress *progress, const struct walk *walk, struct call *call)
{
    give_up_roll_back(progress);
    call->function = 0;
    *progress = (struct progress){};
    resume_at(walk, walk->registers.value[DWARF_RIP], walk->registers.value[DWARF_RSP], call->rflags, call->result);
}

/* The frame has been left: the task calls the function again. The arguments go below the return address, over the frame
 * and the record of the call. */
static _Noreturn void repeat_call(struct progress *progress, const struct walk *walk, struct call *call)
{
    struct unwind_repeat *at = (struct unwind_repeat *)(walk->cfa - 8) - 1, repeat = {.function = call->function};
    uint64_t entry = progress->back_entry, rflags = call->rflags;

    for (size_t i = 0; i < CALL_ARGUMENTS; i++)
        repeat.argument[i] = call->argument[i];
    call->function = 0;
    *at = repeat;
    *progress = (struct progress){};
    resume_at(walk, entry, (uint64_t)at, rflags, 0);
}

/* Ends a roll-back when the frame that has just been left is the last one to leave. */
static void end_roll_back_here(struct progress *progress, const struct walk *walk)
{
    struct call *call = progress->call;

    progress->call = NULL;
    if (call && __atomic_load_n(&call->decided, __ATOMIC_ACQUIRE))
        return_result(progress, walk, call);
    if (walk->cfa == progress->back_cfa && call)
        repeat_call(progress, walk, call);
    if (walk->cfa >= progress->back_cfa) {
        give_up_roll_back(progress);
        panic("the call to be rolled back is not where it was");
    }
}

/* ---- the unwinding ---- */

/* The pad to run in this frame. 0: none, as in a frame that was guessed, where it would trust wrong registers. A pad
 * that is only the nearest one must find the registers where the frame has them, and must not be the one that has just
 * failed. */
static uint64_t choose_pad(const struct progress *progress, const struct walk *walk, const struct walk_frame *frame,
                           bool *ret_nearest)
{
    struct walk at_pad = *walk;
    struct walk_frame pad_frame;
    struct dwarf_pad pad;
    enum err e = walk_pad(walk, frame, true, &pad);

    *ret_nearest = pad.nearest;
    if (e || !pad.address || walk->guessed)
        return 0;
    if (!pad.nearest)
        return pad.address;
    if (!progress->fault_seq) /* rolled back or killed: the table has each place with something to clean up */
        return 0;
    at_pad.registers.value[DWARF_RIP] = pad.address;
    at_pad.exact = true;
    if (progress->nested ||
        (pad.address == progress->last_pad && walk->registers.value[DWARF_RBP] == progress->last_rbp) ||
        walk_look_up(&at_pad, &pad_frame) || !dwarf_row_same(&frame->row, &pad_frame.row))
        return 0;
    return pad.address;
}

static void count_pad(struct progress *progress, bool nearest)
{
    struct arena_fault *fault = fault_of_unwinding(progress);

    progress->landing_pads++;
    arena_count(COUNTER_landing_pads, 1);
    if (nearest)
        arena_count(COUNTER_nearest_pads, 1);
    if (fault)
        fault->landing_pads++;
}

/* Goes from the frame that the walk has reached to the next pad, or to the end. */
static _Noreturn void unwind(struct progress *progress, struct walk *walk)
{
    for (;;) {
        struct walk_frame frame;
        bool nearest, known = walk_look_up(walk, &frame) == ERR_OK;

        save_walk(progress, walk);
        progress->call = call_in_frame(progress, walk);
        if (known) {
            if (frame.function.signal && !walk->exact && progress != progress_of(task_this()))
                return_from_interrupt(progress, walk);
            uint64_t pad = choose_pad(progress, walk, &frame, &nearest);
            if (pad && progress->landing_pads < PADS_MAX) {
                count_pad(progress, nearest);
                enter_pad(progress, walk, &frame, pad);
            }
        }
        if (!walk_leave(walk, known ? &frame : NULL))
            finish(progress);
        if (progress->back_cfa)
            end_roll_back_here(progress, walk);
    }
}

static void leave_emergency(struct progress *progress, struct cpu *cpu)
{
    if (progress->emergency & EMERGENCY_NOW)
        emergency_leave(cpu);
    progress->emergency &= ~(uint64_t)EMERGENCY_NOW;
}

/* Called by _Unwind_Resume at the end of a pad, on the fault stack, interrupts off. Goes on with the next frame. */
void unwind_continue(const void *exception, uint64_t rflags)
{
    struct cpu *cpu = cpu_this();
    struct progress *progress = &interrupts[cpu->index];

    *cpu->fault_stack_ist -= CPU_FAULT_STEP; /* as an exception does; exception_resume undoes both */
    cpu->interrupt_depth++;
    if (exception != &progress->exception)
        progress = cpu->task ? progress_of(cpu->task) : NULL;
    if (!progress || !progress->active || exception != &progress->exception)
        panic("a landing pad ended, but nothing is being unwound");
    struct walk walk = saved_walk(progress);
    leave_emergency(progress, cpu);
    progress->rflags = rflags & RFLAGS_INTERRUPT;
    progress->nested = 0;
    if (!walk_next(&walk))
        finish(progress);
    if (progress->back_cfa)
        end_roll_back_here(progress, &walk);
    unwind(progress, &walk);
}

static bool is_on_stack(uint64_t rsp, uint64_t low, uint64_t high)
{
    return rsp >= low - OVERFLOW_BYTES && rsp <= high;
}

/* Starts a new unwinding; counts the fault when one is under way. Returns how many faults there have been in it
 * without a pad that reached its end. */
static uint64_t begin_or_nest(struct progress *progress, uint64_t low, uint64_t high)
{
    if (progress->active)
        return progress->nested + 1;
    *progress = (struct progress){.active = 1, .stack_low = low, .stack_high = high, .ended = progress->ended};
    return 0;
}

void unwind_task(struct task *task, const struct trap_frame *frame, uint64_t fault_seq)
{
    struct cpu *cpu = cpu_this();
    uint64_t low, high;

    if (!unwind_stack(task, &low, &high))
        panic_halt("a fault outside of every task");
    struct walk walk = walk_from(frame, low, high);
    /* After a fault in an interrupt handler the interrupted code resumes; but not the switch of tasks, once it has
     * saved the task's SIMD state. */
    bool interrupt = !task->simd.saved && is_on_stack(frame->rsp, low, high) && frames_in_interrupt(frame, walk);
    struct progress *progress =
        interrupt || interrupts[cpu->index].active ? &interrupts[cpu->index] : progress_of(task);
    uint64_t nested = begin_or_nest(progress, low, high);

    if (nested > NESTED_MAX)
        finish(progress);
    if (progress == progress_of(task) && task->record)
        task->record->state = TASK_UNWINDING; /* it runs, whatever it was about to do */
    if (progress == progress_of(task))
        simd_begin(&task->simd); /* no pad needs SIMD registers; the fault may have changed MXCSR */
    progress->nested = nested;
    give_up_roll_back(progress);
    if (nested && !progress->emergency && frame->rsp < low + PAD_STACK_BYTES)
        progress->emergency = EMERGENCY_ALWAYS;
    leave_emergency(progress, cpu);
    progress->fault_seq = fault_seq;
    if (!nested)
        progress->first_seq = fault_seq;
    progress->rflags = frame->rflags & RFLAGS_INTERRUPT;
    if (is_on_stack(frame->rsp, low, high))
        unwind(progress, &walk);
    walk = saved_walk(progress);
    if (nested == 0 || !walk_next(&walk))
        finish(progress);
    unwind(progress, &walk);
}

void unwind_give_up(struct task *task, uint64_t fault_seq)
{
    struct cpu *cpu = cpu_this();
    struct progress *progress = progress_of(task);
    uint64_t low, high;

    if (!unwind_stack(task, &low, &high))
        panic_halt("a fault outside of every task");
    give_up_roll_back(progress);
    leave_emergency(&interrupts[cpu->index], cpu);
    leave_emergency(progress, cpu);
    interrupts[cpu->index] = (struct progress){};
    *progress = (struct progress){.active = 1,
                                  .fault_seq = fault_seq,
                                  .first_seq = fault_seq,
                                  .stack_low = low,
                                  .stack_high = high,
                                  .ended = progress->ended};
    if (task->record)
        task->record->state = TASK_UNWINDING;
    simd_begin(&task->simd);
    finish(progress);
}

/* As if unwind_enter_roll_back had called task_switch, and had itself been called where task_switch was. */
void unwind_end_sleep(struct task *task)
{
    struct task_saved *saved = (struct task_saved *)task->rsp;
    struct task_saved *lower = (struct task_saved *)((uint64_t *)saved - 1);

    memmove(lower, saved, offsetof(struct task_saved, rip));
    lower->rip = (uint64_t)unwind_enter_roll_back;
    task->rsp = (uint64_t)lower;
    task->record->saved_rsp = task->rsp;
}

void unwind_roll_back(struct task *task, struct call *call, uint64_t cfa, void (*entry)(void))
{
    call->rolled_back = 1;
    progress_of(task)->back_call = call;
    progress_of(task)->back_cfa = cfa;
    progress_of(task)->back_entry = (uint64_t)entry;
    unwind_end_sleep(task);
}

/* Called by unwind_enter_roll_back on the fault stack, interrupts off. */
void unwind_start_roll_back(const struct task_saved *saved)
{
    struct cpu *cpu = cpu_this();
    struct progress *progress = progress_of(cpu->task);
    struct trap_frame frame = task_saved_frame(saved);
    uint64_t low, high;

    *cpu->fault_stack_ist -= CPU_FAULT_STEP;
    cpu->interrupt_depth++;
    if (!unwind_stack(cpu->task, &low, &high))
        panic_halt("a task without a stack");
    simd_restore(&cpu->task->simd); /* the end of the switch, which would do it, does not run */
    *progress = (struct progress){.active = 1,
                                  .stack_low = low,
                                  .stack_high = high,
                                  .back_call = progress->back_call,
                                  .back_cfa = progress->back_cfa,
                                  .back_entry = progress->back_entry};
    if (!progress->back_cfa)
        cpu->task->record->state = TASK_UNWINDING; /* it does not go on */
    struct walk walk = walk_from(&frame, low, high);
    walk.exact = false; /* rip is a return address */
    unwind(progress, &walk);
}

/* ---- walking only ---- */

enum unwind_point unwind_point(const struct task *task, const struct trap_frame *frame)
{
    uint64_t low, high;

    if (!unwind_stack(task, &low, &high))
        return UNWIND_POINT_ANY;
    struct walk walk = walk_from(frame, low, high);
    return walk_point(&walk);
}

static bool is_unwinding(void)
{
    const struct task *task = cpu_task();

    return (task && unwind_is_active(task)) || interrupts[cpu_this()->index].active;
}

static enum err unwind_init(void)
{
    enum err e = emergency_init();

    if (!e)
        e = edge_bind(&lock_unwinding_hook, is_unwinding);
    return e ? e : edge_bind(&exception_unwind_resume, _Unwind_Resume);
}
INIT(unwind_init);
