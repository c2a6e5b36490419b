/* See report.h. */
#include "vmm/report.h"
#include "vmm/log.h"
#include "vmm/vmm.h"
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

enum { INSTRUCTION_MAX = 15 };

static const char *internal_error(unsigned suberror)
{
    static const char *const names[] = {
        [KVM_INTERNAL_ERROR_EMULATION] = "an instruction that KVM cannot emulate",
        [KVM_INTERNAL_ERROR_SIMUL_EX] = "one exception amid another",
        [KVM_INTERNAL_ERROR_DELIVERY_EV] = "an exit while an interrupt or exception was delivered",
        [KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON] = "an exit that KVM does not know",
    };
    const char *name = suberror < sizeof names / sizeof *names ? names[suberror] : NULL;

    return name ? name : "internal error";
}

static void report_internal(const struct kvm_run *run, char ret_text[REPORT_WHY])
{
    size_t most = sizeof run->internal.data / sizeof *run->internal.data;
    size_t at = (size_t)snprintf(ret_text, REPORT_WHY, "%s, suberror %u", internal_error(run->internal.suberror),
                                 run->internal.suberror);

    for (size_t i = 0; i < run->internal.ndata && i < most; i++)
        at += (size_t)snprintf(ret_text + at, REPORT_WHY - at, "%s %#llx", i ? "" : ", data",
                               (unsigned long long)run->internal.data[i]);
}

void report_exit(const struct kvm_run *run, char ret_text[REPORT_WHY])
{
    switch (run->exit_reason) {
    case KVM_EXIT_INTERNAL_ERROR:
        report_internal(run, ret_text);
        break;
    case KVM_EXIT_FAIL_ENTRY:
        snprintf(ret_text, REPORT_WHY, "the processor does not enter the guest, hardware reason %#llx, host CPU %u",
                 (unsigned long long)run->fail_entry.hardware_entry_failure_reason, run->fail_entry.cpu);
        break;
    case KVM_EXIT_UNKNOWN:
        snprintf(ret_text, REPORT_WHY, "an exit of the processor that KVM does not handle, hardware reason %#llx",
                 (unsigned long long)run->hw.hardware_exit_reason);
        break;
    default:
        snprintf(ret_text, REPORT_WHY, "exit %u", run->exit_reason);
    }
}

static void say_registers(const struct vcpu *cpu, const struct kvm_regs *r, const struct kvm_sregs *s)
{
    const struct {
        const char *name;
        unsigned long long value;
    } all[] = {
        {"rax", r->rax},        {"rbx", r->rbx},       {"rcx", r->rcx},      {"rdx", r->rdx},
        {"rsi", r->rsi},        {"rdi", r->rdi},       {"rbp", r->rbp},      {"rsp", r->rsp},
        {"r8", r->r8},          {"r9", r->r9},         {"r10", r->r10},      {"r11", r->r11},
        {"r12", r->r12},        {"r13", r->r13},       {"r14", r->r14},      {"r15", r->r15},
        {"rip", r->rip},        {"rflags", r->rflags}, {"cr0", s->cr0},      {"cr2", s->cr2},
        {"cr3", s->cr3},        {"cr4", s->cr4},       {"efer", s->efer},    {"cs", s->cs.selector},
        {"ss", s->ss.selector}, {"gdt", s->gdt.base},  {"idt", s->idt.base}, {"tr", s->tr.selector},
    };
    enum { COUNT = sizeof all / sizeof *all, PER_LINE = 4 };

    for (size_t i = 0; i < COUNT; i += PER_LINE) {
        char line[PER_LINE * 32];
        size_t at = 0;
        for (size_t j = i; j < i + PER_LINE && j < COUNT; j++)
            at += (size_t)snprintf(line + at, sizeof line - at, " %s %#llx", all[j].name, all[j].value);
        vmm_say("vCPU %u:%s", cpu->id, line);
    }
}

/* As KVM has read it, else from memory. Returns the number of bytes. */
static size_t read_instruction(const struct vcpu *cpu, uint64_t at, uint8_t ret_bytes[INSTRUCTION_MAX])
{
    const struct kvm_run *run = cpu->run;
    bool emulation = run->exit_reason == KVM_EXIT_INTERNAL_ERROR &&
                     run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION && run->emulation_failure.ndata >= 4;
    size_t n = 0;

    if (emulation && (run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES) &&
        run->emulation_failure.insn_size > 0 && run->emulation_failure.insn_size <= INSTRUCTION_MAX) {
        memcpy(ret_bytes, run->emulation_failure.insn_bytes, run->emulation_failure.insn_size);
        return run->emulation_failure.insn_size;
    }
    for (; n < INSTRUCTION_MAX; n++) {
        struct kvm_translation where = {.linear_address = at + n};
        if (ioctl(cpu->fd, KVM_TRANSLATE, &where) != 0 || !where.valid ||
            ram_read(&cpu->vmm->ram, gpa(where.physical_address), ret_bytes + n, 1) != ERR_OK)
            break;
    }
    return n;
}

void report_vcpu(struct vcpu *cpu, const char *what, const char *why, const char *end)
{
    struct kvm_regs regs = {0};
    struct kvm_sregs sregs = {0};
    uint8_t bytes[INSTRUCTION_MAX];
    char text[INSTRUCTION_MAX * 3 + 1] = " none can be read";

    ioctl(cpu->fd, KVM_GET_REGS, &regs);
    ioctl(cpu->fd, KVM_GET_SREGS, &sregs);
    vmm_say("vCPU %u: %s at %#llx (%s)%s", cpu->id, what, (unsigned long long)regs.rip, why, end);
    say_registers(cpu, &regs, &sregs);
    size_t n = read_instruction(cpu, sregs.cs.base + regs.rip, bytes);
    for (size_t i = 0; i < n; i++)
        snprintf(text + 3 * i, sizeof text - 3 * i, " %02x", bytes[i]);
    vmm_say("vCPU %u: instruction bytes%s", cpu->id, text);
}
