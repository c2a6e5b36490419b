/* The registers of a vCPU that is parked. */
#pragma once
#include <stdio.h>
#include "vmm/vmm.h"

/* As `info registers` of QEMU's monitor has them; without those of the FPU. */
void registers_print(const struct vcpu *cpu, FILE *out);
/* The second word of a segment's descriptor: its attributes. */
uint32_t registers_attributes(const struct kvm_segment *segment);
