/* A copy of the nano_core's text and read-only data, made while it was whole: the one cell that cannot be reloaded is
 * mended in place. Internal to the recovery cell. */
#pragma once
#include "cells/cell.h"

enum err pristine_keep(void); /* once; ERR_NOMEM */
/* Writes back what differs in a section of the nano_core. False: it is not in the copy. */
bool pristine_mend(uint32_t section);
