/* Makes all other CPUs forget translations, by an interrupt that each of them answers (thesis §6.3.1; Intel SDM volume 3,
 * §4.10.5). Bound to page_shootdown, so that nobody calls it by name.
 *
 * A CPU that waits for a lock or for its own turn answers without the interrupt; one that is parked is left out, since
 * it forgets everything before it goes on. So the caller may have interrupts off and hold locks. */
#pragma once
#include "cells/cell.h"

void shootdown_pages(uint64_t virt, size_t bytes);
void shootdown_answer(void); /* does what other CPUs wait for this one to do, if anything */
