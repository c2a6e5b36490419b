/* What is said when a vCPU can't go on: why, as KVM tells it, its registers and the instruction that it was at. */
#pragma once
#include <linux/kvm.h>
#include <stddef.h>

struct vcpu;

enum { REPORT_WHY = 512 };

/* Words for the exit that `run` describes. */
void report_exit(const struct kvm_run *run, char ret_text[REPORT_WHY]);
/* On the log: "vCPU N: WHAT at ADDRESS (WHY)END", registers, bytes of the instruction. From the vCPU's own thread. */
void report_vcpu(struct vcpu *cpu, const char *what, const char *why, const char *end);
