/* Lets loaded copies take the place of the cells that the nano_core consists of (thesis §5.3). They come from the same
 * objects, so that frames and data go on in them; when nothing refers to the image any more, its frames are freed. */
#pragma once
#include "cells/cell.h"
#include "guest/abi/arena.h"

/* One swap of all cells of the image. ERR_NOT_FOUND: there are none any more. Callers are tasks. */
enum err renew_nano_core(struct arena_completion *report);
