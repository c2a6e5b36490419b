/* See libgcc.h. A frame is made up by a function whose unwind table says that all registers of its caller are in a
 * block on its stack, and that its caller was interrupted. */
#include "tests/hosted/libgcc.h"
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ucontext.h>
#include <unwind.h>

#define ALONE __attribute__((no_sanitize_address, noinline)) /* some of these are left without a return */

void made_up_enter(const struct dwarf_registers *registers, void (*run)(void));
void made_up_exit(void);

/* made_up_exit takes everybody back out of made_up_enter. The block has 17 words, in the order of DWARF. */
__asm__(".text\n"
        ".type made_up_enter, @function\n"
        "made_up_enter:\n"
        ".cfi_startproc\n"
        ".cfi_signal_frame\n"
        "push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        "mov %rsp, made_up_back(%rip)\n"
        "mov %rsi, %rax\n"
        "mov %rdi, %rsi\n"
        "sub $152, %rsp\n"
        "mov %rsp, %rdi\n"
        "mov $17, %ecx\n"
        "rep movsq\n"
        ".cfi_def_cfa %rsp, 152\n"
        ".cfi_offset 0, -152\n.cfi_offset 1, -144\n.cfi_offset 2, -136\n.cfi_offset 3, -128\n.cfi_offset 4, -120\n"
        ".cfi_offset 5, -112\n.cfi_offset 6, -104\n.cfi_offset 7, -96\n.cfi_offset 8, -88\n.cfi_offset 9, -80\n"
        ".cfi_offset 10, -72\n.cfi_offset 11, -64\n.cfi_offset 12, -56\n.cfi_offset 13, -48\n.cfi_offset 14, -40\n"
        ".cfi_offset 15, -32\n.cfi_offset 16, -24\n"
        "call *%rax\n"
        "made_up_exit:\n"
        "mov made_up_back(%rip), %rsp\n"
        "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "ret\n"
        ".cfi_endproc\n"
        ".size made_up_enter, . - made_up_enter\n"
        ".local made_up_back\n"
        ".comm made_up_back, 8, 8\n");

static unsigned above; /* frames: 1: the one that is made up, 2: its caller; 0: not there yet */

/* Counts the frame that libgcc has reached. */
static ALONE void count(struct _Unwind_Context *context)
{
    uint64_t ip = _Unwind_GetIP(context);

    if (above || (ip > (uint64_t)made_up_enter && ip <= (uint64_t)made_up_exit))
        above++;
}

/* ---- stepping ---- */

static struct libgcc_caller *found;

static _Unwind_Reason_Code visit(struct _Unwind_Context *context, void *)
{
    int before = 0;

    count(context);
    if (above < 3) /* made_up_enter counts itself */
        return _URC_NO_REASON;
    found->known = true;
    found->ip = _Unwind_GetIPInfo(context, &before);
    found->exact = before;
    found->cfa = _Unwind_GetCFA(context);
    for (int i = 0; i < DWARF_RIP; i++)
        if (i != DWARF_RSP || found->read_rsp)
            found->registers.value[i] = _Unwind_GetGR(context, i);
    return _URC_END_OF_STACK;
}

static void run_step(void)
{
    _Unwind_Backtrace(visit, NULL);
    __asm__ volatile("");
}

void libgcc_step(const struct dwarf_registers *registers, struct libgcc_caller *caller)
{
    above = 0;
    caller->known = false;
    found = caller;
    made_up_enter(registers, run_step);
}

/* ---- landing pads ---- */

static struct _Unwind_Exception exception;
static struct dwarf_registers at_pad;
static bool entered;

/* libgcc has jumped to where nothing can be executed. */
static ALONE void catch (int, siginfo_t *info, void *context)
{
    static const int order[] = {REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_R8,
                                REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP};
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;

    if ((uint64_t)info->si_addr != (uint64_t)r[REG_RIP])
        abort();
    for (int i = 0; i < DWARF_REGISTERS; i++)
        at_pad.value[i] = (uint64_t)r[order[i]];
    entered = true;
    r[REG_RIP] = (greg_t)made_up_exit;
}

static ALONE _Unwind_Reason_Code stop(int, _Unwind_Action actions, _Unwind_Exception_Class, struct _Unwind_Exception *,
                                      struct _Unwind_Context *context, void *)
{
    count(context);
    if (above < 3 && !(actions & _UA_END_OF_STACK))
        return _URC_NO_REASON;
    __asm__ volatile("jmp made_up_exit");
    __builtin_unreachable();
}

static ALONE void run_forced(void)
{
    _Unwind_ForcedUnwind(&exception, stop, NULL);
    __asm__ volatile("");
}

bool libgcc_enter_pad(const struct dwarf_registers *registers, struct dwarf_registers *ret_registers,
                      const void **ret_exception)
{
    static uint8_t stack[1 << 16];
    const stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_sigaction = catch, .sa_flags = SA_SIGINFO | SA_ONSTACK}, before;
    stack_t stack_before;

    above = 0;
    entered = false;
    memset(&exception, 0, sizeof exception);
    ck_assert_int_eq(sigaltstack(&other, &stack_before), 0);
    ck_assert_int_eq(sigaction(SIGSEGV, &action, &before), 0);
    made_up_enter(registers, run_forced);
    ck_assert_int_eq(sigaction(SIGSEGV, &before, NULL), 0);
    ck_assert_int_eq(sigaltstack(&stack_before, NULL), 0);
    if (entered) {
        *ret_registers = at_pad;
        *ret_exception = &exception;
    }
    return entered;
}
