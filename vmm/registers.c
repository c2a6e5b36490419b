/* See registers.h; target/i386/cpu-dump.c of QEMU. */
#include "vmm/registers.h"
#include <sys/ioctl.h>

typedef unsigned long long wide;

uint32_t registers_attributes(const struct kvm_segment *s)
{
    return (uint32_t)s->type << 8 | (uint32_t)s->s << 12 | (uint32_t)s->dpl << 13 | (uint32_t)s->present << 15 |
           (uint32_t)s->avl << 20 | (uint32_t)s->l << 21 | (uint32_t)s->db << 22 | (uint32_t)s->g << 23;
}

static void print_segment(FILE *out, const char *name, const struct kvm_segment *s)
{
    fprintf(out, "%-3s=%04x %016llx %08x %08x\r\n", name, s->selector, (wide)s->base, s->limit,
            registers_attributes(s));
}

static void print_flags(FILE *out, uint64_t flags)
{
    static const struct {
        unsigned bit;
        char letter;
    } bits[] = {{10, 'D'}, {11, 'O'}, {7, 'S'}, {6, 'Z'}, {4, 'A'}, {2, 'P'}, {0, 'C'}};

    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++)
        fputc(flags >> bits[i].bit & 1 ? bits[i].letter : '-', out);
}

void registers_print(const struct vcpu *cpu, FILE *out)
{
    struct kvm_regs r = {0};
    struct kvm_sregs s = {0};
    struct kvm_mp_state mp = {0};

    if (ioctl(cpu->fd, KVM_GET_REGS, &r) != 0 || ioctl(cpu->fd, KVM_GET_SREGS, &s) != 0) {
        fputs("KVM does not tell\r\n", out);
        return;
    }
    ioctl(cpu->fd, KVM_GET_MP_STATE, &mp);
    fprintf(out, "RAX=%016llx RBX=%016llx RCX=%016llx RDX=%016llx\r\n", (wide)r.rax, (wide)r.rbx, (wide)r.rcx,
            (wide)r.rdx);
    fprintf(out, "RSI=%016llx RDI=%016llx RBP=%016llx RSP=%016llx\r\n", (wide)r.rsi, (wide)r.rdi, (wide)r.rbp,
            (wide)r.rsp);
    fprintf(out, "R8 =%016llx R9 =%016llx R10=%016llx R11=%016llx\r\n", (wide)r.r8, (wide)r.r9, (wide)r.r10,
            (wide)r.r11);
    fprintf(out, "R12=%016llx R13=%016llx R14=%016llx R15=%016llx\r\n", (wide)r.r12, (wide)r.r13, (wide)r.r14,
            (wide)r.r15);
    fprintf(out, "RIP=%016llx RFL=%08llx [", (wide)r.rip, (wide)r.rflags);
    print_flags(out, r.rflags);
    fprintf(out, "] CPL=%d II=0 A20=1 SMM=0 HLT=%d\r\n", s.ss.dpl, mp.mp_state == KVM_MP_STATE_HALTED);
    print_segment(out, "ES", &s.es);
    print_segment(out, "CS", &s.cs);
    print_segment(out, "SS", &s.ss);
    print_segment(out, "DS", &s.ds);
    print_segment(out, "FS", &s.fs);
    print_segment(out, "GS", &s.gs);
    print_segment(out, "LDT", &s.ldt);
    print_segment(out, "TR", &s.tr);
    fprintf(out, "GDT=     %016llx %08x\r\nIDT=     %016llx %08x\r\n", (wide)s.gdt.base, s.gdt.limit, (wide)s.idt.base,
            s.idt.limit);
    fprintf(out, "CR0=%08llx CR2=%016llx CR3=%016llx CR4=%08llx\r\nEFER=%016llx\r\n", (wide)s.cr0, (wide)s.cr2,
            (wide)s.cr3, (wide)s.cr4, (wide)s.efer);
}
