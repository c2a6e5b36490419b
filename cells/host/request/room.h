/* Room for a request that was refused for want of records or memory: what earlier requests have replaced goes as soon
 * as nothing refers to it. Private to the request cell. */
#pragma once
#include "cells/cell.h"

/* Whether an error may be gone when replaced cells are. */
bool room_is_short(enum err error);

/* Frees replaced cells. Where none can be freed yet it waits for that, until `until_ns` at the latest. Returns whether
 * there is more room than before. Call from a task, no lock held. */
bool room_make(uint64_t until_ns);
