/* What a machine counts: exits of each vCPU by their reason, with the time that they took, and accesses of devices. */
#pragma once
#include <jansson.h>
#include <stdint.h>

/* Each is a number of exits; the time from the exit to the next entry is in NAME_ns. */
#define STATS_EXITS(X) X(io) X(mmio) X(hlt) X(intr) X(shutdown) X(other)

enum stats_exit {
#define X(name) STATS_EXIT_##name,
    STATS_EXITS(X)
#undef X
        STATS_EXIT_COUNT
};

/* Written by the vCPU's thread, read by others. */
struct stats_vcpu {
    uint64_t count[STATS_EXIT_COUNT], ns[STATS_EXIT_COUNT];
    uint64_t guest_ns; /* in KVM_RUN */
};

/* A clock that never goes back. */
uint64_t stats_now_ns(void);
enum stats_exit stats_exit_of(unsigned kvm_reason);
/* KVM_RUN took from `entered` to `left`, and what it wanted until `done`, by stats_now_ns. */
void stats_count(struct stats_vcpu *s, enum stats_exit exit, uint64_t entered, uint64_t left, uint64_t done);

struct vmm;
/* The answer to query-stats. */
json_t *stats_answer(struct vmm *vmm, const json_t *arguments);
