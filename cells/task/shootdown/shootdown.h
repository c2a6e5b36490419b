/* TLB shootdown: has all other CPUs drop their TLB entries of some pages, by an interrupt that each of them answers
 * (thesis §6.3.1; Intel SDM volume 3, §4.10.5). Bound to page_shootdown, so that nobody calls it by name.
 *
 * A CPU that waits for a lock, or for a shootdown of its own, answers without the interrupt. A parked one is left
 * out, since it flushes its whole TLB before it resumes. So the caller may have interrupts off and hold locks. */
#pragma once
#include "cells/cell.h"

/* Returns when no other CPU uses old TLB entries of these pages. From any context. */
void shootdown_pages(uint64_t virt, size_t bytes);
/* Flushes what another CPU waits for this one to flush, if anything. From any context. */
void shootdown_answer(void);
