/* Data that end in an array without a length: it has as many elements as its section has room for, of which the type
 * says nothing. */
#pragma once
#include "cells/tool/match.h"
#include "cells/tool/side.h"

/* The bytes of such an array behind the datum, which is one of the section; 0: it has none. */
uint64_t flexible_bytes(const struct side_section *section, const struct datum *datum);

/* Writes the moves for a datum whose type is the same in both versions, and that has `was` bytes of such an array
 * before and `is` bytes now: what there is no place for refuses the swap unless it is zero, or is dropped as PATH[]. */
void flexible_move(struct match *match, const struct datum *old, uint64_t was, const struct datum *new_, uint64_t is,
                   struct moves *moves);
