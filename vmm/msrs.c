/* See msrs.h; MTRRs as in Intel's manual, volume 3, chapter "Memory Cache Control". */
#include "vmm/msrs.h"
#include "introspect/base/own.h"
#include "vmm/log.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

enum { BATCH = 255 }; /* KVM takes fewer than 256 at a time */

enum { MISC_ENABLE = 0x1a0, FAST_STRINGS = 1 };
enum {
    MTRR_BASE_0 = 0x200,
    MTRR_MASK_0 = 0x201,
    MTRR_64K = 0x250,
    MTRR_16K_80000 = 0x258,
    MTRR_16K_A0000 = 0x259,
    MTRR_4K = 0x268,
    MTRR_4K_COUNT = 8,
    MTRR_DEFAULT = 0x2ff
};

/* Kept by KVM for each vCPU, and in none of its lists (some kernels list some of them): first and last index. */
static const struct {
    uint32_t first, last;
} unlisted[] = {
    {0x17a, 0x17b},           /* machine check: status, control */
    {0x1d9, 0x1d9},           /* DEBUGCTL */
    {0x200, 0x20f},           /* MTRRs of ranges that vary */
    {0x250, 0x250},           /* those of fixed ranges */
    {0x258, 0x259},           /* and these */
    {0x268, 0x26f},           /* and these */
    {0x277, 0x277},           /* PAT */
    {0x280, 0x29f},           /* machine check: interrupts of each bank */
    {0x2ff, 0x2ff},           /* the default memory type */
    {0x400, 0x47f},           /* machine check: banks */
    {0xc0010015, 0xc0010015}, /* HWCR */
    {0xc0011019, 0xc001101b}, /* masks of breakpoints 1 to 3 */
    {0xc0011027, 0xc0011027}, /* mask of breakpoint 0 */
};

int msrs_ioctl(int vcpu_fd, unsigned long request, struct kvm_msrs *batch)
{
    return ioctl(vcpu_fd, request, batch);
}

static struct kvm_msr_entry *find_msr(struct msrs *msrs, uint32_t index)
{
    for (unsigned i = 0; i < msrs->count; i++)
        if (msrs->entry[i].index == index)
            return &msrs->entry[i];
    return NULL;
}

static void add_msr(struct msrs *msrs, uint32_t index)
{
    if (!find_msr(msrs, index) && msrs->count < MSRS_MAX)
        msrs->entry[msrs->count++] = (struct kvm_msr_entry){.index = index};
}

static void remove_msr(struct msrs *msrs, unsigned at)
{
    msrs->count--;
    memmove(&msrs->entry[at], &msrs->entry[at + 1], (msrs->count - at) * sizeof *msrs->entry);
}

void msrs_drop(struct msrs *msrs, uint32_t index)
{
    struct kvm_msr_entry *entry = find_msr(msrs, index);

    if (entry)
        remove_msr(msrs, (unsigned)(entry - msrs->entry));
}

static enum err add_listed(int kvm_fd, unsigned long request, const char *name, struct msrs *msrs)
{
    OWN(memory) struct kvm_msr_list *list = calloc(1, sizeof *list + MSRS_MAX * sizeof *list->indices);

    if (!list)
        return vmm_fail(ERR_NOMEM, "%s: out of memory", name);
    list->nmsrs = MSRS_MAX;
    if (ioctl(kvm_fd, request, list) != 0)
        return vmm_fail(ERR_IO, "%s: %s", name, strerror(errno));
    for (unsigned i = 0; i < list->nmsrs; i++)
        add_msr(msrs, list->indices[i]);
    return ERR_OK;
}

enum err msrs_list(int kvm_fd, struct msrs *ret_msrs)
{
    ret_msrs->count = 0;
    enum err e = add_listed(kvm_fd, KVM_GET_MSR_INDEX_LIST, "KVM_GET_MSR_INDEX_LIST", ret_msrs);
    if (e == ERR_OK && ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_GET_MSR_FEATURES) > 0)
        e = add_listed(kvm_fd, KVM_GET_MSR_FEATURE_INDEX_LIST, "KVM_GET_MSR_FEATURE_INDEX_LIST", ret_msrs);
    for (size_t i = 0; i < sizeof unlisted / sizeof *unlisted; i++)
        for (uint32_t index = unlisted[i].first; index <= unlisted[i].last; index++)
            add_msr(ret_msrs, index);
    return e;
}

/* One batch from entry `at` on. Returns how many were done, or -1. */
static int pass_batch(struct msrs *msrs, unsigned at, int vcpu_fd, unsigned long request, msrs_call *call)
{
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entry[BATCH];
    } batch = {.head.nmsrs = msrs->count - at < BATCH ? msrs->count - at : BATCH};

    memcpy(batch.entry, &msrs->entry[at], batch.head.nmsrs * sizeof *batch.entry);
    int done = call(vcpu_fd, request, &batch.head);
    if (done > 0)
        memcpy(&msrs->entry[at], batch.entry, (size_t)done * sizeof *batch.entry);
    return done;
}

/* Passes all of them; those that are refused are removed. */
static enum err pass_accepted(struct msrs *msrs, int vcpu_fd, unsigned long request, msrs_call *call)
{
    for (unsigned at = 0; at < msrs->count;) {
        unsigned wanted = msrs->count - at < BATCH ? msrs->count - at : BATCH;
        int done = pass_batch(msrs, at, vcpu_fd, request, call);

        if (done < 0 || (unsigned)done > wanted)
            return vmm_fail(ERR_IO, "%s: %s", request == KVM_GET_MSRS ? "KVM_GET_MSRS" : "KVM_SET_MSRS",
                            strerror(errno));
        at += (unsigned)done;
        if ((unsigned)done < wanted)
            remove_msr(msrs, at);
    }
    return ERR_OK;
}

enum err msrs_read(struct msrs *msrs, int vcpu_fd, msrs_call *call)
{
    enum err e = pass_accepted(msrs, vcpu_fd, KVM_GET_MSRS, call);

    return e == ERR_OK ? pass_accepted(msrs, vcpu_fd, KVM_SET_MSRS, call) : e;
}

/* Both lists have few entries. */
static void wish(struct msrs *wishes, struct msrs *msrs, uint32_t index, uint64_t value)
{
    if (find_msr(msrs, index))
        wishes->entry[wishes->count++] = (struct kvm_msr_entry){.index = index, .data = value};
}

void msrs_power_on(struct msrs *msrs, int vcpu_fd, unsigned address_bits, msrs_call *call)
{
    const uint64_t write_back = UINT64_C(0x0606060606060606), hole = UINT64_C(0xc0000000), hole_bytes = 1 << 30;
    const uint64_t fixed_and_enabled = 3 << 10, valid = 1 << 11;
    struct kvm_msr_entry *misc = find_msr(msrs, MISC_ENABLE);
    struct msrs wishes;

    wishes.count = 0;
    wish(&wishes, msrs, MTRR_BASE_0, hole); /* its type is 0, uncached */
    wish(&wishes, msrs, MTRR_MASK_0, ((UINT64_C(1) << address_bits) - hole_bytes) | valid);
    wish(&wishes, msrs, MTRR_64K, write_back);
    wish(&wishes, msrs, MTRR_16K_80000, write_back);
    wish(&wishes, msrs, MTRR_16K_A0000, 0);
    for (uint32_t i = 0; i < MTRR_4K_COUNT; i++)
        wish(&wishes, msrs, MTRR_4K + i, write_back);
    wish(&wishes, msrs, MTRR_DEFAULT, fixed_and_enabled | (write_back & 0xff));
    if (misc)
        wish(&wishes, msrs, MISC_ENABLE, misc->data | FAST_STRINGS);
    if (pass_accepted(&wishes, vcpu_fd, KVM_SET_MSRS, call) != ERR_OK)
        return;
    for (unsigned i = 0; i < wishes.count; i++)
        find_msr(msrs, wishes.entry[i].index)->data = wishes.entry[i].data;
}

enum err msrs_get(struct msrs *msrs, int vcpu_fd, msrs_call *call)
{
    unsigned count = msrs->count;
    enum err e = pass_accepted(msrs, vcpu_fd, KVM_GET_MSRS, call);

    return e == ERR_OK && msrs->count != count ? vmm_fail(ERR_IO, "an MSR cannot be read any more") : e;
}

void msrs_set(struct msrs *msrs, uint32_t index, uint64_t value)
{
    struct kvm_msr_entry *entry = find_msr(msrs, index);

    if (entry)
        entry->data = value;
}

enum err msrs_write(const struct msrs *msrs, int vcpu_fd, msrs_call *call)
{
    struct msrs values = *msrs;
    enum err e = pass_accepted(&values, vcpu_fd, KVM_SET_MSRS, call);

    for (unsigned i = 0; e == ERR_OK && i < msrs->count; i++)
        if (i == values.count || values.entry[i].index != msrs->entry[i].index)
            e = vmm_fail(ERR_IO, "MSR %#x does not take its value", msrs->entry[i].index);
    return e;
}
