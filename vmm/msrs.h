/* The MSRs of a vCPU: which there are, their values at power-on, and how they are put back, many with one call. */
#pragma once
#include <linux/kvm.h>
#include <stdint.h>
#include "guest/abi/err.h"

enum { MSRS_MAX = 768 };

struct msrs {
    unsigned count;
    struct kvm_msr_entry entry[MSRS_MAX];
};

/* KVM_GET_MSRS or KVM_SET_MSRS: how many entries were done before the first one that KVM refuses; -1: errno. */
typedef int msrs_call(int vcpu_fd, unsigned long request, struct kvm_msrs *batch);
msrs_call msrs_ioctl;

/* What a guest may be able to change: all that KVM lists, and what it keeps without listing it. No values yet. */
enum err msrs_list(int kvm_fd, struct msrs *ret_msrs);
/* Takes out one that somebody else looks after, if it is there. */
void msrs_drop(struct msrs *msrs, uint32_t index);
/* Reads the values of a vCPU that has not run, and drops the MSRs that it does not give or does not take back. */
enum err msrs_read(struct msrs *msrs, int vcpu_fd, msrs_call *call);
/* Changes them to what firmware would leave: MTRRs on, memory write-back but for the legacy video range and the last
 * GiB below 4 GiB; fast string instructions. What the vCPU does not take stays as it is. `address_bits`: see CPUID leaf
 * 0x80000008. */
void msrs_power_on(struct msrs *msrs, int vcpu_fd, unsigned address_bits, msrs_call *call);
/* Reads the values of all of them. */
enum err msrs_get(struct msrs *msrs, int vcpu_fd, msrs_call *call);
/* Changes a value that is kept here, if it is there. */
void msrs_set(struct msrs *msrs, uint32_t index, uint64_t value);
enum { MSR_TSC_DEADLINE = 0x6e0 };
/* Gives the vCPU all the values. */
enum err msrs_write(const struct msrs *msrs, int vcpu_fd, msrs_call *call);
