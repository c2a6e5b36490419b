/* What CPUID tells a vCPU: what KVM offers, with this vCPU's APIC id and one package of `cpus` cores. Leaves out
 * virtualization: a vCPU that has entered VMX operation takes no registers of power-on, and so no reset. */
#include "introspect/base/own.h"
#include "vmm/log.h"
#include "vmm/vmm.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

enum { ENTRIES_MAX = 256, LEVELS = 2, SPARE = 2 * LEVELS };

static unsigned bits_for(unsigned cpus)
{
    unsigned bits = 0;

    while ((1U << bits) < cpus)
        bits++;
    return bits;
}

static void set_field(uint32_t *value, unsigned shift, unsigned bits, uint32_t field)
{
    uint32_t mask = ((1U << bits) - 1) << shift;
    *value = (*value & ~mask) | (field << shift & mask);
}

/* A cache, as leaves 4 and 0x8000001d have it in EAX. Those below the third level belong to one core. */
static void set_sharing(uint32_t *eax, unsigned cpus_rounded)
{
    unsigned type = *eax & 31, level = *eax >> 5 & 7;

    if (type)
        set_field(eax, 14, 12, level < 3 ? 0 : cpus_rounded - 1);
}

static void set_identity(struct kvm_cpuid_entry2 *e, unsigned id, unsigned cpus, bool tsc_deadline)
{
    enum { VMX = 5, TSC_DEADLINE = 24, HYPERVISOR = 31, HTT = 28, CMP_LEGACY = 1, SVM = 2 };

    switch (e->function) {
    case 1:
        set_field(&e->ebx, 24, 8, id);
        set_field(&e->ebx, 16, 8, cpus);
        set_field(&e->ecx, VMX, 1, 0);
        /* KVM leaves these two to us, and kernels before 5.19 do not list them. */
        set_field(&e->ecx, TSC_DEADLINE, 1, tsc_deadline);
        set_field(&e->ecx, HYPERVISOR, 1, 1);
        set_field(&e->edx, HTT, 1, cpus > 1);
        break;
    case 4:
        set_sharing(&e->eax, 1U << bits_for(cpus));
        if (e->eax & 31) /* a cache; the last entry is none */
            set_field(&e->eax, 26, 6, (1U << bits_for(cpus)) - 1);
        break;
    case 0x80000001:
        set_field(&e->ecx, SVM, 1, 0);
        if (cpus == 1)
            set_field(&e->ecx, CMP_LEGACY, 1, 0);
        break;
    case 0x80000008:
        set_field(&e->ecx, 0, 8, cpus - 1);
        set_field(&e->ecx, 12, 4, bits_for(cpus));
        break;
    case 0x8000001d:
        set_sharing(&e->eax, cpus);
        break;
    case 0x8000001e:
        e->eax = id;
        set_field(&e->ebx, 0, 16, id); /* one thread per core */
        set_field(&e->ecx, 0, 16, 0);
        break;
    default:
        break;
    }
}

/* Whether there was one. */
static bool drop_leaf(struct kvm_cpuid2 *list, uint32_t leaf)
{
    unsigned kept = 0, had = list->nent;

    for (unsigned i = 0; i < had; i++)
        if (list->entries[i].function != leaf)
            list->entries[kept++] = list->entries[i];
    list->nent = kept;
    return kept < had;
}

/* Replaces a leaf that lists levels, where there is one: one thread per core, then all cores of the package. */
static void set_levels(struct kvm_cpuid2 *list, uint32_t leaf, unsigned id, unsigned cpus)
{
    enum { THREADS = 1 << 8, CORES = 2 << 8 };
    bool present = drop_leaf(list, leaf);

    for (unsigned level = 0; present && level < LEVELS; level++)
        list->entries[list->nent++] = (struct kvm_cpuid_entry2){.function = leaf,
                                                                .index = level,
                                                                .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
                                                                .eax = level ? bits_for(cpus) : 0,
                                                                .ebx = level ? cpus : 1,
                                                                .ecx = level | (level ? CORES : THREADS),
                                                                .edx = id};
}

void cpuid_fit(struct kvm_cpuid2 *list, unsigned id, unsigned cpus, bool tsc_deadline)
{
    set_levels(list, 0xb, id, cpus);
    set_levels(list, 0x1f, id, cpus);
    drop_leaf(list, 0x80000026); /* AMD's own list of levels: it reads as zeros then, which says that there is none */
    for (unsigned i = 0; i < list->nent; i++)
        set_identity(&list->entries[i], id, cpus, tsc_deadline);
}

static unsigned address_bits(const struct kvm_cpuid2 *list)
{
    enum { LEAF = 0x80000008, WITHOUT_LEAF = 36, MOST = 52 };
    unsigned bits = WITHOUT_LEAF;

    for (unsigned i = 0; i < list->nent; i++)
        if (list->entries[i].function == LEAF)
            bits = list->entries[i].eax & 0xff;
    return bits < WITHOUT_LEAF ? WITHOUT_LEAF : bits > MOST ? MOST : bits;
}

enum err cpuid_set(const struct vmm *vmm, const struct vcpu *cpu, unsigned *ret_address_bits)
{
    OWN(memory) struct kvm_cpuid2 *list = calloc(1, sizeof *list + (ENTRIES_MAX + SPARE) * sizeof *list->entries);

    if (!list)
        return vmm_fail(ERR_NOMEM, "vCPU %u: out of memory", cpu->id);
    list->nent = ENTRIES_MAX;
    if (ioctl(vmm->kvm_fd, KVM_GET_SUPPORTED_CPUID, list) != 0)
        return vmm_fail(ERR_IO, "KVM_GET_SUPPORTED_CPUID: %s", strerror(errno));
    cpuid_fit(list, cpu->id, vmm->cpus, ioctl(vmm->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0);
    if (ioctl(cpu->fd, KVM_SET_CPUID2, list) != 0)
        return vmm_fail(ERR_IO, "KVM_SET_CPUID2: %s", strerror(errno));
    *ret_address_bits = address_bits(list);
    return ERR_OK;
}
