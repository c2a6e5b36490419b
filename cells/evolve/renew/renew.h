/* Replaces the cells that the nano_core consists of by loaded copies (thesis §5.3). The copies are made from the same
 * objects, so that frames are resumed in them and data is carried. When nothing refers to the image any more, its
 * frames are freed. */
#pragma once
#include "cells/cell.h"
#include "cells/core/report/report.h"
#include "guest/abi/arena.h"

/* One swap of all cells of the image. ERR_NOT_FOUND: there are none any more. Callers are tasks. */
enum err renew_nano_core(struct report *report);
