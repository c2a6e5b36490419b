/* What becomes of cells that were replaced: swap_reap, swap_free. Internal to the swap cell. */
#pragma once
#include "cells/kernel/swap/plan.h"

/* Remembers which cells took over from which, when a swap has come to its end. */
void reap_note(const struct plan *plan);
