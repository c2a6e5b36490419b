/* Parity of the archive, from which pristine objects in it are put right when more than a few bits of one are damaged.
 * The archive's pieces of a page each are dealt out to groups, neighbours to different ones; of each group there is the
 * exclusive or of all its pieces, and of each piece a check word. So one piece of each group may be damaged in any way,
 * and damage of fewer pieces in a row than there are groups costs nothing. Objects that the host has sent are in memory
 * of their own, and have no parity. */
#pragma once
#include "cells/cell.h"
#include "cells/core/loader/loader.h"
#include "guest/abi/arena.h"

#define SPARE_PIECE_BYTES  4096
#define SPARE_GROUP_PIECES 16 /* of a group, at most: a sixteenth of the archive is spent */

/* Puts the pieces right that the object is in. Returns how many were damaged and are right now. A piece stays as it is
 * when another one of its group is damaged too. */
unsigned spare_mend(struct object_ref object) NEEDS(loader_lock);
