/* The blocks of the guest's heap that are in use, found by their seals (guest/abi/heap.h). */
#pragma once
#include "introspect/view.h"

/* Told of each block, in order of addresses; within one page, since pages of a block need not lie one behind the other
 * in physical memory: a block in several pages comes in pieces. False: no more. */
typedef bool blocks_visit(void *context, uint64_t virt, uint64_t phys, uint64_t bytes);
void blocks_each(const struct view *view, blocks_visit *visit, void *context);
